"""Appending to one stream: what is there is mended first, then each batch is on the disk before it counts."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import Final, NamedTuple

import msgspec

from companyos.core.clock import Clock, rfc3339
from companyos.policy.log import index, segment, streams
from companyos.policy.log.index import SegmentIndex
from companyos.policy.log.sealing import Sealed, stored
from companyos.policy.log.segment import FORMAT, GENESIS, Header

CONTINUE_BYTES: Final = 1024 * 1024
"""A segment that a process has left is continued while it is no longer than that; each is a row of the ledger."""


class Closed(NamedTuple):
    """A segment that is not written any more, and that no ledger row names yet."""

    stream: str
    number: int
    records: int
    bytes: int
    first_id: str | None
    last_id: str | None
    head: str
    torn_bytes: int
    """What a dying process had begun to write, and what was cut off; it was never said to be logged."""
    broken: bool
    """Whether somebody changed it; it is left as it is, and counts up to its last good record."""


class Known(NamedTuple):
    """What is kept of a closed segment elsewhere."""

    head: str


class Appender:
    """The stream that this process holds; for one thread."""

    def __init__(self, root: Path, clock: Clock) -> None:
        """Claim a stream below ``root``. Raises Unavailable."""
        self._clock = clock
        self.folder, self._held = streams.claim(root)
        self._descriptor: int | None = None
        self._number = 0
        self._head = GENESIS
        self._size = 0
        self._places: list[tuple[bytes, int]] = []
        self._ids: list[str] = []
        self.keys: set[bytes] = set()
        """The keys of the records in the open segment."""
        self.opened_at: float | None = None
        """When the open segment was begun, on the clock's monotonic scale; None between segments."""

    @property
    def stream(self) -> str:
        """The id of the stream."""
        return self.folder.name

    @property
    def open_segment(self) -> tuple[str, int] | None:
        """The stream and the number of the open segment, None between segments."""
        return None if self._descriptor is None else (self.stream, self._number)

    @property
    def records(self) -> int:
        """How many records the open segment has."""
        return len(self._ids)

    @property
    def size(self) -> int:
        """How many bytes the open segment has."""
        return self._size

    def mend(self, known: Mapping[int, Known]) -> list[Closed]:
        """Return the segments of this stream that were never closed, each cut behind its last good record.

        The last one is continued instead when a process has left it in order. ``known`` has the closed ones by number.
        Call it once, first. Raises OSError, CompanyOSError.
        """
        found = []
        numbers = segment.numbers(self.folder)
        for number in numbers:
            if number in known:
                self._number, self._head = number, known[number].head
                continue
            if number == numbers[-1] and self._continued(number):
                continue
            if (closed := self._mended(number)) is not None:
                self._number, self._head = number, closed.head
                found.append(closed)
        return found

    def append(self, batch: Sequence[Sealed]) -> None:
        """Put the records on the disk; when it returns, they survive whatever happens to the process.

        Raises OSError, and then none of them counts; the same batch may be tried again.
        """
        descriptor = self._open()
        head, size = self._head, self._size
        places: list[tuple[bytes, int]] = []
        lines: list[bytes] = []
        for one in batch:
            head, line = segment.chained(head, one.text)
            lines.append(line)
            places += [(key, size) for key in one.keys]
            size += len(line)
        if os.fstat(descriptor).st_size != self._size:
            # A try before this one failed halfway; what it left must not come before these records.
            os.ftruncate(descriptor, self._size)
        segment.write_all(descriptor, b"".join(lines))
        os.fsync(descriptor)
        self._head, self._size = head, size
        self._places += places
        self._ids += [one.audit_id for one in batch]
        self.keys.update([key for key, _ in places])

    def close_segment(self) -> Closed | None:
        """Return the segment that was open, with its index written; None when there is none. Raises OSError."""
        if self._descriptor is None:
            return None
        index.save(self._index_path(self._number), index.made(self._places), self._head)
        os.close(self._descriptor)
        closed = Closed(
            stream=self.stream,
            number=self._number,
            records=len(self._ids),
            bytes=self._size,
            first_id=min(self._ids, default=None),
            last_id=max(self._ids, default=None),
            head=self._head,
            torn_bytes=0,
            broken=False,
        )
        self._descriptor, self.opened_at = None, None
        self._places, self._ids = [], []
        self.keys = set()
        return closed

    def release(self) -> None:
        """Let go of the stream, as it is."""
        if self._descriptor is not None:
            os.close(self._descriptor)
            self._descriptor = None
        os.close(self._held)

    def _open(self) -> int:
        if self._descriptor is None:
            header = Header(
                format=FORMAT,
                number=self._number + 1,
                opened_at=rfc3339(self._clock.now()),
                prev=self._head,
                stream=self.stream,
            )
            self._descriptor, self._head, self._size = segment.create(self.folder, header)
            self._number += 1
            self.opened_at = self._clock.monotonic()
        return self._descriptor

    def _continued(self, number: int) -> bool:
        """Open the segment that a process has left, where nothing is wrong with it."""
        path = self.folder / segment.name(number)
        if path.stat().st_size > CONTINUE_BYTES:
            return False
        found = segment.scan(segment.read(path))
        if found.header is None or found.torn_bytes or found.broken or found.header.prev != self._head:
            return False
        try:
            age_s = (self._clock.now() - datetime.fromisoformat(found.header.opened_at)).total_seconds()
        except (TypeError, ValueError):
            return False
        self._descriptor = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CLOEXEC | os.O_NOFOLLOW)
        self._number, self._head, self._size = number, found.head, found.good_bytes
        self._ids, self._places = listed(found.lines)
        self.keys = {key for key, _ in self._places}
        self.opened_at = self._clock.monotonic() - max(0.0, age_s)
        return True

    def _mended(self, number: int) -> Closed | None:
        path = self.folder / segment.name(number)
        found = segment.scan(segment.read(path))
        if found.header is None and not found.broken:
            # The process died while it made the file: there was never a record in it.
            path.unlink()
            return None
        if found.torn_bytes and not found.broken:
            _cut(path, found.good_bytes)
        ids, places = listed(found.lines)
        index.save(self._index_path(number), index.made(places), found.head)
        return Closed(
            stream=self.stream,
            number=number,
            records=len(found.lines),
            bytes=found.good_bytes,
            first_id=min(ids, default=None),
            last_id=max(ids, default=None),
            head=found.head or GENESIS,
            torn_bytes=0 if found.broken else found.torn_bytes,
            broken=found.broken,
        )

    def _index_path(self, number: int) -> Path:
        return index_path(self.folder, number)


def index_path(folder: Path, number: int) -> Path:
    """Return where the index of a segment is."""
    return (folder / segment.name(number)).with_suffix(index.SUFFIX)


def indexed(lines: Sequence[segment.Line]) -> SegmentIndex:
    """Return the index of a segment with these lines."""
    return index.made(listed(lines)[1])


def listed(lines: Sequence[segment.Line]) -> tuple[list[str], list[tuple[bytes, int]]]:
    """Return the audit ids of these lines, and under which keys they are; a text that is no record is passed over."""
    ids: list[str] = []
    places: list[tuple[bytes, int]] = []
    for line in lines:
        try:
            record = stored(line.text)
            places += [(key, line.offset) for key in index.keys_of(record)]
        except (msgspec.MsgspecError, ValueError):
            continue
        ids.append(record.audit_id)
    return ids, places


def _cut(path: Path, size: int) -> None:
    descriptor = os.open(path, os.O_WRONLY | os.O_CLOEXEC | os.O_NOFOLLOW)
    try:
        os.ftruncate(descriptor, size)
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
