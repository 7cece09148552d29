"""The repositories of the story: made by the product's own template, then one commit a round."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING, Final

from companyos.cli.story.cast import HANDLER, TEMPLATE, changed, next_version
from companyos.core.errors import Unavailable

if TYPE_CHECKING:
    from companyos.cli.story.cast import Part

CHANGES: Final = "CHANGES.md"
_TIMEOUT_S: Final = 30.0
_SETTINGS: Final = (
    "-c",
    "user.name=CompanyOS demo",
    "-c",
    "user.email=demo@companyos.localhost",
    "-c",
    "commit.gpgsign=false",
    "-c",
    "tag.gpgsign=false",
    "-c",
    f"core.hooksPath={os.devnull}",
)


def make(part: Part, folder: Path) -> Path:
    """Return the repository of a service with its version 1.0.0, made now unless it is there already.

    Raises Unavailable without git or when the folder cannot be written.
    """
    from companyos.goldenpath import repository
    from companyos.goldenpath.archives import load_template
    from companyos.goldenpath.creating import create

    place = folder / part.service
    if not (place / ".git").is_dir():
        if not place.exists():
            create(load_template(TEMPLATE), part.service, folder, part.answers)
        if not (place / ".git").is_dir():
            # The home may lie in a checkout, and then `create` leaves git alone; here each service has its own.
            begun = repository.begin(place, around=Path(place.anchor), message=f"Create {part.service}")
            if begun.state != "committed":
                raise Unavailable(
                    f"{place} is no git repository: {begun.detail or begun.state}.",
                    next_step="Install git, then start again.",
                )
    if not _tags(place):
        _git(place, "tag", f"v{next_version([])}")
    return place


def commit_change(part: Part, repository: Path) -> str:
    """Commit the change of a part under the next version, and return that version.

    A round after the first finds the change in place already and only says so in the file of changes: the commit is
    new all the same, and so is its artifact. Raises Conflict for a handler that somebody changed, Unavailable.
    """
    version = next_version(_tags(repository))
    try:
        handler, notes = repository / HANDLER, repository / CHANGES
        handler.write_text(changed(part, handler.read_text(encoding="utf-8")), encoding="utf-8")
        told = notes.read_text(encoding="utf-8") if notes.exists() else f"# Changes of {part.service}\n"
        notes.write_text(f"{told}\n## {version}\n\n{part.subject}.\n", encoding="utf-8")
    except OSError as fault:
        raise Unavailable(
            f"{repository} cannot be changed: {fault.strerror}.",
            next_step="Move the folder of the demo services away; then they are made again.",
        ) from fault
    _git(repository, "add", "--all")
    _git(repository, "commit", "--quiet", "--message", part.subject)
    _git(repository, "tag", f"v{version}")
    return version


def _tags(repository: Path) -> list[str]:
    return _git(repository, "tag", "--list", "v*").split()


def _git_program() -> str:
    program = shutil.which("git")
    if program is None:
        raise Unavailable("There is no git to make the demo services with.", next_step="Install git.")
    return program


def _git(repository: Path, *words: str) -> str:
    environment = {name: value for name, value in os.environ.items() if not name.startswith("GIT_")}
    try:
        ended = subprocess.run(  # noqa: S603 - a list of our own, and the path of git was looked up
            [_git_program(), *_SETTINGS, "-C", str(repository), *words],
            env={**environment, "LC_ALL": "C", "GIT_TERMINAL_PROMPT": "0"},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            errors="replace",
            timeout=_TIMEOUT_S,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired) as fault:
        raise Unavailable(f"git {words[0]} did not work in {repository}: {fault}.", next_step="Try again.") from fault
    if ended.returncode != 0:
        said = (ended.stderr or ended.stdout).strip().splitlines()[:1] or [f"exit code {ended.returncode}"]
        raise Unavailable(
            f"git {words[0]} did not work in {repository}: {said[0][:200]}.",
            next_step="Move the folder of the demo services away; then they are made again.",
        )
    return ended.stdout
