"""Reading a git repository that somebody else has made: it may say what it likes, and nothing of it is run."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path
from typing import Final

from companyos.core.errors import InvalidInput, Unavailable

_TIMEOUT_S: Final = 60.0
# A repository that was handed on brings settings along; these name programs that reading it would run.
_HARMLESS: Final = ("-c", "core.fsmonitor=false", "-c", "core.hooksPath=/dev/null")
_FILTERS: Final = r"^filter\..*\.(clean|smudge|process|required)$"
_SCOPES_OF_REPOSITORY: Final = frozenset({"local", "worktree"})
_NO_TRANSPORT: Final = "none"
"""The one protocol that git may use: there is none of this name, so that missing objects are not fetched."""


def git(repository: Path, *words: str, before: tuple[str, ...] = (), given: bytes | None = None) -> bytes | None:
    """Return what git prints, or None when it says no; ``before`` comes before the command.

    Raises Unavailable without git, and after a minute.

    The settings of the user stay in force, because they say which repositories git may open at all; the commands that
    are called here read objects, which no setting changes. A hook that calls us has set variables that point git to
    its own repository; they are left out.
    """
    program = shutil.which("git")
    if program is None:
        raise Unavailable("There is no git to read the repository with.", next_step="Install git.")
    kept = {name: value for name, value in os.environ.items() if name[:4] != "GIT_" or name.startswith("GIT_CONFIG")}
    settled = {
        "LC_ALL": "C",
        "GIT_TERMINAL_PROMPT": "0",
        "GIT_OPTIONAL_LOCKS": "0",
        "GIT_NO_REPLACE_OBJECTS": "1",
        "GIT_NO_LAZY_FETCH": "1",
        "GIT_ALLOW_PROTOCOL": _NO_TRANSPORT,
    }
    try:
        ended = subprocess.run(  # noqa: S603 - a list of arguments, none of which a caller's text begins
            [program, *_HARMLESS, *before, "-C", str(repository), *words],
            input=given,
            stdin=subprocess.DEVNULL if given is None else None,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            env=kept | settled,
            timeout=_TIMEOUT_S,
            check=False,
        )
    except subprocess.TimeoutExpired as fault:
        raise Unavailable(f"git {words[0]} did not end within {_TIMEOUT_S:.0f} s.", next_step="Try again.") from fault
    return ended.stdout if ended.returncode == 0 else None


def without_filters(repository: Path) -> tuple[str, ...]:
    """Return the words before a command of git that keep it from running filters that the repository itself names.

    Filters in the settings of the user are the user's own choice. Raises InvalidInput for a name that no word can hold.
    """
    told = git(repository, "config", "--show-scope", "--null", "--name-only", "--get-regexp", _FILTERS) or b""
    parts = told.decode("utf-8", "surrogateescape").split("\0")
    words: list[str] = []
    for scope, name in zip(parts[::2], parts[1::2], strict=False):
        if scope not in _SCOPES_OF_REPOSITORY:
            continue
        if "=" in name or not name.isprintable():
            raise InvalidInput(
                f"The settings of {repository} name the filter {name[:80]!r}.", next_step="Remove it: git config --edit"
            )
        words += ["-c", f"{name}={'false' if name.endswith('.required') else ''}"]
    return tuple(words)


def needed(repository: Path, *words: str, given: bytes | None = None) -> bytes:
    """Return what git prints, or raise Unavailable when it says no."""
    told = git(repository, *words, given=given)
    if told is None:
        raise Unavailable(f"git {words[0]} failed in {repository}.", next_step="Run: git fsck")
    return told
