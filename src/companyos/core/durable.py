"""Files that are there whole or not at all, also after SIGKILL or a power cut, and that are read with a limit.

The order is the usual one: write a new file beside the old, flush it to the disk, rename it over the old, flush the
folder. A crash leaves at most a hidden file whose name ends in ``PARTIAL_SUFFIX``, which nothing reads.
"""

from __future__ import annotations

import os
import secrets
import stat
from pathlib import Path
from typing import Final

from companyos.core.errors import IntegrityFault, NotFound, TooLarge, Unavailable

PARTIAL_SUFFIX: Final = ".partial"
"""How the name of a file ends that is being written, or was when its process died."""


def write(path: Path, data: bytes, *, mode: int = 0o600) -> None:
    """Put the bytes at the path in one step: readers see the old file or the new one. OSError leaves nothing behind."""
    partial = path.with_name(f".{path.name}.{secrets.token_hex(8)}{PARTIAL_SUFFIX}")
    try:
        descriptor = os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC | os.O_NOFOLLOW, mode)
        with os.fdopen(descriptor, "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        partial.replace(path)
    except BaseException:
        partial.unlink(missing_ok=True)
        raise
    sync_folder(path.parent)


def sync_folder(folder: Path) -> None:
    """Flush the folder, so that a file that was renamed into it is still there after a power cut. Raises OSError."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def open_regular(path: Path) -> int:
    """Return a descriptor to read a regular file; a link, a folder, a pipe or a device is refused without blocking.

    Raises NotFound when nothing is there, IntegrityFault when it is no regular file, OSError for the rest.
    """
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    except FileNotFoundError as fault:
        raise NotFound(f"The file {path} does not exist.") from fault
    except OSError as fault:
        if path.is_symlink():
            raise _not_regular(path) from fault
        raise
    if not stat.S_ISREG(os.fstat(descriptor).st_mode):
        os.close(descriptor)
        raise _not_regular(path)
    return descriptor


def read(path: Path, *, limit_bytes: int, forbidden_mode: int = 0) -> bytes:
    """Return the bytes of a regular file.

    Raises as ``open_regular`` does, TooLarge above the limit, and Unavailable when the file has a forbidden mode bit.
    """
    with os.fdopen(open_regular(path), "rb") as file:
        check_mode(path, os.fstat(file.fileno()), forbidden_mode)
        data = file.read(limit_bytes + 1)
    if len(data) > limit_bytes:
        raise TooLarge(f"The file {path} is larger than {limit_bytes} bytes.")
    return data


def check_mode(path: Path, status: os.stat_result, forbidden: int) -> None:
    """Raise Unavailable, with the command that mends it, when the mode has one of the forbidden bits."""
    mode = stat.S_IMODE(status.st_mode)
    if mode & forbidden:
        raise Unavailable(
            f"{path} has mode {mode:04o}, which lets other users in.",
            next_step=f"Run: chmod {mode & ~forbidden:03o} {path}",
        )


def _not_regular(path: Path) -> IntegrityFault:
    return IntegrityFault(f"{path} is not a regular file.", next_step="Look who put it there, and remove it.")
