"""The files of the spool: lines that each carry a checksum, in segments that only grow.

A line is the CRC-32 of a record in eight hexadecimal digits, a space, the record, a line feed. Each line stands for
itself, so that whatever a crash has cut off or a disk has damaged is known exactly, and the others are still good.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import uuid
import zlib
from collections.abc import Iterable
from pathlib import Path
from typing import Final

import msgspec

OPEN: Final = ".open"
"""The ending of the segment that is written now."""
CLOSED: Final = ".log"
REJECTED: Final = "rejected.lines"
"""Records that the receiver refuses for good; kept until somebody looks."""
DAMAGED: Final = "damaged.bin"
"""Bytes that were no good lines; kept until somebody looks."""
_LOCK: Final = "lock"
_PREFIX: Final = 9


class Scan(msgspec.Struct, frozen=True):
    """What a segment holds."""

    lines: tuple[bytes, ...]
    """The good records, oldest first."""
    bad: bytes
    """All that is no good line, as it stands in the file; a line that a crash has cut off is the end of it."""


class Files:
    """The calls to the operating system that may fail for want of room; a test puts others in their place."""

    def create(self, path: Path) -> int:
        """Open a new file to append to."""
        return os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_APPEND | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)

    def write(self, descriptor: int, data: bytes) -> int:
        """Write and say how many bytes were taken."""
        return os.write(descriptor, data)

    def sync(self, descriptor: int) -> None:
        """Return when all is on the disk."""
        os.fsync(descriptor)

    def truncate(self, descriptor: int, length: int) -> None:
        """Cut the file to this length."""
        os.ftruncate(descriptor, length)


class Segment:
    """The file that is written now. Used by one thread."""

    def __init__(self, files: Files, folder: Path, number: int) -> None:
        """Create it. Raises OSError."""
        self._files = files
        self.path = folder / f"{number:016d}{OPEN}"
        self._descriptor = files.create(self.path)
        self.size = 0
        """Bytes that are on the disk for certain."""
        try:
            sync_folder(folder)
        except OSError:
            self._abandon()
            raise

    def append(self, data: bytes) -> None:
        """Return when the data is on the disk. After an OSError the segment must be closed."""
        done = 0
        try:
            while done < len(data):
                done += self._files.write(self._descriptor, data[done:] if done else data)
            self._files.sync(self._descriptor)
        except OSError:
            with contextlib.suppress(OSError):
                self._files.truncate(self._descriptor, self.size)
            raise
        self.size += len(data)

    def close(self) -> Path | None:
        """The path of the closed segment, or None when it was empty and is gone."""
        with contextlib.suppress(OSError):  # all that counts is on the disk already
            os.close(self._descriptor)
        if self.size == 0:
            with contextlib.suppress(OSError):
                self.path.unlink()
            return None
        closed = self.path.with_suffix(CLOSED)
        try:
            self.path.rename(closed)
            sync_folder(closed.parent)
        except OSError:
            return self.path if self.path.exists() else closed
        return closed

    def forget(self) -> None:
        """Close this process's descriptor and leave the file alone."""
        os.close(self._descriptor)

    def _abandon(self) -> None:
        os.close(self._descriptor)
        with contextlib.suppress(OSError):
            self.path.unlink()


class Folder:
    """The part of a spool that belongs to one process, held by a lock until it ends."""

    def __init__(self, root: Path) -> None:
        """Make one below ``root``, which is made too. Raises OSError."""
        root.mkdir(mode=0o700, parents=True, exist_ok=True)
        self.root = root
        hidden = root / f".{uuid.uuid4().hex}"
        hidden.mkdir(mode=0o700)
        descriptor = lock(hidden)
        if descriptor is None:
            raise OSError(f"{hidden} was taken by another process.")
        self._descriptor: int | None = descriptor
        # Others look only at names without a dot, and by then the lock is held.
        self.path = hidden.rename(root / hidden.name[1:])
        sync_folder(root)

    def others(self) -> list[Path]:
        """The folders of processes beside this one, alive or not, oldest name first."""
        return sorted(
            path for path in self.root.iterdir() if path != self.path and path.name[0] != "." and path.is_dir()
        )

    def adopt(self) -> list[Path]:
        """Take over what processes that have ended left behind; the segments among it."""
        taken: list[Path] = []
        for folder in self.others():
            with contextlib.suppress(OSError):
                descriptor = lock(folder)
                if descriptor is None:
                    continue
                try:
                    taken += self._emptied(folder)
                    (folder / _LOCK).unlink()
                    folder.rmdir()
                finally:
                    os.close(descriptor)
        if taken:
            sync_folder(self.path)
        return taken

    def _emptied(self, folder: Path) -> list[Path]:
        """Move the files of a folder here, under new names because each folder counts from 1; the segments."""
        taken = []
        for path in sorted(folder.iterdir()):
            if path.suffix in (OPEN, CLOSED):
                taken.append(path.rename(self.path / f"{uuid.uuid4().hex}{CLOSED}"))
            elif path.suffix in (Path(REJECTED).suffix, Path(DAMAGED).suffix):
                path.rename(self.path / f"{uuid.uuid4().hex}{path.suffix}")
        return taken

    def used(self) -> int:
        """Bytes of all its files."""
        return sum(path.stat().st_size for path in self.path.iterdir())

    def append(self, name: str, data: bytes) -> None:
        """Put data at the end of a file that is kept for people, and return when it is on the disk. Raises OSError."""
        descriptor = os.open(
            self.path / name, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600
        )
        with os.fdopen(descriptor, "ab") as file:
            file.write(data)
            file.flush()
            os.fsync(descriptor)

    def release(self) -> None:
        """Give the lock back; the folder goes when nothing is left in it."""
        if self._descriptor is None:
            return
        with contextlib.suppress(OSError):
            if [path.name for path in self.path.iterdir()] == [_LOCK]:
                (self.path / _LOCK).unlink()
                self.path.rmdir()
        self.forget()

    def forget(self) -> None:
        """Close this process's descriptor; in a child after a fork the parent's lock stays."""
        if self._descriptor is not None:
            os.close(self._descriptor)
            self._descriptor = None


def lock(folder: Path) -> int | None:
    """The descriptor that holds the folder until it is closed, or None while somebody else has it. Raises OSError."""
    descriptor = os.open(folder / _LOCK, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(descriptor)
        return None
    return descriptor


def framed(lines: Iterable[bytes]) -> bytes:
    """Records as they stand in a segment."""
    return b"".join([b"%08x %b\n" % (zlib.crc32(line), line) for line in lines])


def scan(data: bytes) -> Scan:
    """What the bytes of a segment hold; a line without its line feed is a bad one."""
    good: list[bytes] = []
    bad: list[bytes] = []
    start = 0
    while start < len(data):
        end = data.find(b"\n", start)
        stop = len(data) if end < 0 else end + 1
        line = data[start + _PREFIX : stop - 1]
        if end >= 0 and data[start : start + _PREFIX] == b"%08x " % zlib.crc32(line):
            good.append(line)
        else:
            bad.append(data[start:stop])
        start = stop
    return Scan(tuple(good), b"".join(bad))


def sync_folder(path: Path) -> None:
    """Return when the names in the folder are on the disk. Raises OSError."""
    descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
