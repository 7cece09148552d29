"""Streams: each process that logs decisions writes a chain of its own, so that none waits for another.

A stream is a folder below ``decisions/`` of the home, named by an id, with segments, their indexes and a lock. A
process takes the first stream that nobody holds and continues it, or begins a new one.
"""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from companyos.core.errors import Unavailable
from companyos.core.ids import is_uuid, uuid7

LOCK: Final = ".lock"
INGEST_LOCK: Final = ".ingest.lock"
MAX_STREAMS: Final = 1000
"""How many processes may log into one home at once."""


def folders(root: Path) -> list[Path]:
    """Return the folders of all streams, oldest first."""
    try:
        return sorted(path for path in root.iterdir() if is_uuid(path.name) and path.is_dir())
    except FileNotFoundError:
        return []


def claim(root: Path) -> tuple[Path, int]:
    """Return a stream's folder and the descriptor that holds it until it is closed. Raises Unavailable."""
    try:
        root.mkdir(mode=0o700, parents=True, exist_ok=True)
        for folder in folders(root):
            if (descriptor := _lock(folder / LOCK)) is not None:
                return folder, descriptor
        if len(folders(root)) >= MAX_STREAMS:
            raise Unavailable(
                f"More than {MAX_STREAMS} processes log decisions in {root}.", next_step="Stop some of them."
            )
        folder = root / uuid7()
        folder.mkdir(mode=0o700)
        descriptor = _lock(folder / LOCK)
    except OSError as fault:
        raise _unusable(root, fault) from fault
    if descriptor is None:
        raise Unavailable(f"The stream {folder} was taken meanwhile.", next_step="Try again.")
    return folder, descriptor


@contextmanager
def ingesting(root: Path) -> Iterator[None]:
    """Hold the lock under which sent records are compared with the known ones, so that none is stored twice."""
    try:
        descriptor = os.open(root / INGEST_LOCK, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
    except OSError as fault:
        raise _unusable(root, fault) from fault
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)


def _lock(path: Path) -> int | None:
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(descriptor)
        return None
    return descriptor


def _unusable(root: Path, fault: OSError) -> Unavailable:
    return Unavailable(
        f"The folder {root} of the decision log cannot be used: {fault.strerror or fault}.",
        next_step="Make it a folder that this user owns, on a disk with room.",
    )
