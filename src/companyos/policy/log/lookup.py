"""Finding records in the segments: by audit id, and all of them, newest first."""

from __future__ import annotations

import os
import threading
from collections import OrderedDict
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Final, NamedTuple

from companyos.core import durable
from companyos.core.errors import CompanyOSError
from companyos.core.ids import is_uuid
from companyos.ledger import Journal
from companyos.policy.log import index, roots, segment, streams
from companyos.policy.log.appending import index_path, indexed
from companyos.policy.log.index import SegmentIndex
from companyos.policy.log.roots import Root
from companyos.policy.log.segment import Line

_KEPT: Final = 64
"""How many indexes a process remembers; one has about a megabyte."""
_PIECE_BYTES: Final = 8 * 1024
_MAX_LINE_BYTES: Final = 4 * 1024 * 1024


class Place(NamedTuple):
    """A segment that may hold what is looked for."""

    path: Path
    stream: str
    number: int
    root: Root | None
    """None while the segment is open, or was left open by a process that died."""


class Found(NamedTuple):
    """A record in its segment."""

    stream: str
    number: int
    line: Line


class Lookup:
    """The segments of a home, with the indexes that were read lately; safe between threads."""

    def __init__(self, journal: Journal, folder: Path) -> None:
        """Take the journal with the roots, and the folder with the streams."""
        self._journal = journal
        self._folder = folder
        self._kept: OrderedDict[tuple[Path, object], SegmentIndex] = OrderedDict()
        self._lock = threading.Lock()

    def places(self) -> list[Place]:
        """Return all segments, those with the newest records first."""
        with self._journal.read() as connection:
            known = roots.roots(connection)
        found = [
            Place(folder / segment.name(number), folder.name, number, known.get((folder.name, number)))
            for folder in streams.folders(self._folder)
            for number in segment.numbers(folder)
        ]
        return sorted(found, key=_age, reverse=True)

    def find(self, audit_id: str) -> list[Found]:
        """Return the decision with this id and what was recorded later about it; empty when there is nothing."""
        if not is_uuid(audit_id):
            return []
        found = []
        for place in self.places():
            if not _may_hold(place, audit_id):
                continue
            if offsets := self._index(place).offsets(audit_id):
                found += [Found(place.stream, place.number, line) for line in _lines_at(place.path, offsets)]
        return found

    def known(self, wanted: Mapping[bytes, str], *, without: tuple[str, int] | None) -> set[bytes]:
        """Return those of the keys that are stored, given with their audit ids; one segment may be left out."""
        known: set[bytes] = set()
        if not wanted:
            return known
        for place in self.places():
            if (place.stream, place.number) == without:
                continue
            here = [key for key, audit_id in wanted.items() if key not in known and _may_hold(place, audit_id)]
            if here:
                rows = self._index(place)
                known.update(key for key in here if key in rows)
        return known

    def lines(self, place: Place) -> Iterator[Line]:
        """Yield the records of a segment, newest first. Raises IntegrityFault when it is gone or broken."""
        yield from reversed(segment.scan(segment.read(place.path)).lines)

    def _index(self, place: Place) -> SegmentIndex:
        """Return the index of a segment; of an open one, up to its last whole line."""
        state: object = place.root.head if place.root is not None else place.path.stat().st_size
        with self._lock:
            kept = self._kept.get((place.path, state))
        if kept is not None:
            return kept
        rows = index.load(index_path(place.path.parent, place.number), place.root.head) if place.root else None
        if rows is None:
            rows = indexed(segment.scan(segment.read(place.path)).lines)
        with self._lock:
            self._kept[place.path, state] = rows
            while len(self._kept) > _KEPT:
                self._kept.popitem(last=False)
        return rows


def _age(place: Place) -> tuple[bool, float, int]:
    """Return what sorts segments by when they were closed, the open ones last."""
    return place.root is None, 0.0 if place.root is None else place.root.closed_at.timestamp(), place.number


def _may_hold(place: Place, audit_id: str) -> bool:
    root = place.root
    if root is None:
        return True
    return root.first_id is not None and root.last_id is not None and root.first_id <= audit_id <= root.last_id


def _lines_at(path: Path, offsets: list[int]) -> list[Line]:
    """Return the lines that begin at these offsets; one that is not whole is left out, `verify` names it."""
    try:
        descriptor = durable.open_regular(path)
    except (CompanyOSError, OSError):
        return []
    try:
        return [line for offset in offsets if (line := _line_at(descriptor, offset)) is not None]
    finally:
        os.close(descriptor)


def _line_at(descriptor: int, offset: int) -> Line | None:
    data = b""
    while b"\n" not in data:
        piece = os.pread(descriptor, _PIECE_BYTES, offset + len(data))
        if not piece or len(data) > _MAX_LINE_BYTES:
            return None
        data += piece
    link, _, text = data[: data.index(b"\n")].partition(b" ")
    return Line(offset, link.decode("ascii", "replace"), text) if text else None
