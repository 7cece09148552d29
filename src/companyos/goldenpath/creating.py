"""Creating a service: a rendered template becomes a folder, whole or not at all, with a first commit in git.

Everything, git included, happens in a hidden folder beside the place; one rename puts it there. Whatever kills the
process leaves nothing under the name of the service, and the next call for that name removes what was left hidden.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import secrets
import shutil
from collections.abc import Iterator, Mapping
from datetime import date
from pathlib import Path
from typing import Final

import msgspec

from companyos.core.clock import SystemClock
from companyos.core.errors import Conflict, InvalidInput, Unavailable
from companyos.goldenpath import repository
from companyos.goldenpath.rendering import Files, render
from companyos.goldenpath.repository import Git
from companyos.goldenpath.template import NAME, Answer, Template, check_name, complete

PARTIAL: Final = ".partial"


class Created(msgspec.Struct, frozen=True, kw_only=True):
    """What ``create`` made."""

    path: str
    template: str
    version: str
    digest: str
    answers: dict[str, Answer]
    files: int
    git: Git


def create(
    template: Template, name: str, into: Path, given: Mapping[str, Answer], *, today: date | None = None
) -> Created:
    """Create ``into/name`` from a template and return what was made; answers that are not given are the defaults.

    ``today`` is what dates like ``+90d`` count from, in UTC; None asks the clock of the machine.
    Raises InvalidInput for a name, an answer or a folder that is not allowed, Conflict when something is there
    already, Unavailable when the folder cannot be written. In each case nothing was made.
    """
    answers = complete(template.definition, name, given, today=today or SystemClock().now().date())
    place = _place(into, check_name(name))
    files = render(template, answers)
    try:
        with _partial(place) as folder:
            _write(folder, files)
            git = repository.begin(folder, around=place.parent, message=_message(template, name))
            _put(folder, place)
    except OSError as fault:
        raise Unavailable(
            f"{place} cannot be written: {fault.strerror}.", next_step="Choose another folder with --into."
        ) from fault
    return Created(
        path=str(place),
        template=template.definition.name,
        version=template.definition.version,
        digest=template.digest,
        answers={key: value for key, value in answers.items() if key != NAME},
        files=len(files),
        git=git,
    )


def check_place(into: Path, name: str) -> None:
    """Raise as ``create`` does when that name cannot be created there, so that nobody answers questions in vain."""
    _place(into, check_name(name))


def _place(into: Path, name: str) -> Path:
    """Return where the service will be; the folder around it exists, and nothing or an empty folder is there."""
    try:
        place = into.resolve(strict=True) / name
    except (OSError, ValueError, RuntimeError) as fault:
        raise InvalidInput(
            f"The folder {str(into)[:200]} does not exist.", next_step="Make it, or choose another with --into."
        ) from fault
    if not place.parent.is_dir():
        raise InvalidInput(f"{into} is not a folder.", next_step="Choose another with --into.")
    taken = place.is_symlink() or (place.exists() and not (place.is_dir() and _is_empty(place)))
    if taken:
        raise _taken(place)
    return place


def _is_empty(folder: Path) -> bool:
    try:
        return next(folder.iterdir(), None) is None
    except OSError:
        return False  # What cannot be looked into counts as taken.


@contextlib.contextmanager
def _partial(place: Path) -> Iterator[Path]:
    """Give a hidden folder beside the place; it is locked while this process works on it, and gone at the end."""
    _sweep(place)
    folder, descriptor = _locked_folder(place)
    try:
        yield folder
    finally:
        os.close(descriptor)
        shutil.rmtree(folder, ignore_errors=True)


def _locked_folder(place: Path) -> tuple[Path, int]:
    """Make a hidden folder and lock it; one that somebody has swept away before it was locked is made again."""
    while True:
        folder = place.with_name(f".{place.name}.{secrets.token_hex(8)}{PARTIAL}")
        folder.mkdir(mode=0o755)
        try:
            descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        except FileNotFoundError:
            continue
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        if folder.exists():
            return folder, descriptor
        os.close(descriptor)


def _sweep(place: Path) -> None:
    """Remove what killed processes left for this name; a folder that somebody works on is locked and stays."""
    for left in place.parent.glob(f".{place.name}.{'[0-9a-f]' * 16}{PARTIAL}"):
        with contextlib.suppress(OSError):
            descriptor = os.open(left, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
                shutil.rmtree(left, ignore_errors=True)
            finally:
                os.close(descriptor)


def _write(folder: Path, files: Files) -> None:
    for path, (content, mode) in files.items():
        target = folder / path
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(content)
        target.chmod(mode)


def _put(folder: Path, place: Path) -> None:
    """Rename the folder to its place. An empty folder there is replaced; anything that came meanwhile is a Conflict."""
    try:
        folder.rename(place)
    except OSError as fault:
        if place.is_symlink() or place.exists():
            raise _taken(place) from fault
        raise


def _taken(place: Path) -> Conflict:
    return Conflict(f"{place} exists already.", next_step="Choose another name, or another folder with --into.")


def _message(template: Template, name: str) -> str:
    about = f"{template.definition.name} {template.definition.version}"
    return f"Create {name} from the template {about}\n\nTemplate digest: {template.digest}\n"
