"""Log files that stay small although the writer never closes them."""

from __future__ import annotations

import os
import shutil
from pathlib import Path
from typing import Final

LIMIT_BYTES: Final = 8 * 1024 * 1024
KEPT: Final = 3


def open_log(path: Path) -> int:
    """Return a descriptor that appends to a log, 0600; a symbolic link in its place is refused with OSError."""
    return os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)


def rotate(path: Path, *, limit_bytes: int = LIMIT_BYTES, kept: int = KEPT) -> bool:
    """Copy a log that has outgrown the limit to ``<name>.1``, empty it, and return whether that was done.

    Writers hold the file open for appending and must survive a keeper that is killed, so there is no pipe in between
    and the file cannot be exchanged under them; emptying it moves them to its start. A line that is written between the
    copy and the emptying is lost.
    """
    try:
        if path.stat().st_size <= limit_bytes:
            return False
        for number in range(kept - 1, 0, -1):
            older = _numbered(path, number)
            if older.exists():
                older.replace(_numbered(path, number + 1))
        fresh = path.with_name(f"{path.name}.new")
        shutil.copyfile(path, fresh)
        fresh.chmod(0o600)
        fresh.replace(_numbered(path, 1))
        os.truncate(path, 0)
    except OSError:
        # A full disk must not end the keeper; the next round tries again.
        return False
    return True


def _numbered(path: Path, number: int) -> Path:
    return path.with_name(f"{path.name}.{number}")
