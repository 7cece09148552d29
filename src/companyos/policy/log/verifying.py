"""Verifying the whole decision log: every link, every root in the ledger, and what is sealed as far as keys are there.

It needs the files and the database, and no server. Where something is wrong, it names the last good record.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Final, Literal, TypeAlias

import msgspec

from companyos.core.access import Caller
from companyos.core.errors import CompanyOSError, IntegrityFault
from companyos.ledger import Filter, Journal, LedgerReader
from companyos.policy.log import roots, segment, streams
from companyos.policy.log.appending import index_path, indexed
from companyos.policy.log.index import load
from companyos.policy.log.keys import Keys
from companyos.policy.log.roots import VERB
from companyos.policy.log.sealing import stored, unseal
from companyos.policy.log.segment import GENESIS, Scan

_SYSTEM: Final = Caller(subject="system:decisions", roles=frozenset({"admin"}))
_PAGE: Final = 500

Kind: TypeAlias = Literal["chain", "root", "missing", "sealed", "index"]


class Fault(msgspec.Struct, frozen=True, kw_only=True):
    """Something that is not as it was recorded."""

    kind: Kind
    """A link does not fit; a segment is not what its ledger row says; it is gone; a sealed part or an index differs."""
    stream: str
    segment: int
    record: int
    """How many records of the segment are good: the number of the last good one."""
    last_good: str | None
    """The audit id of that record; None when there is none."""
    detail: str
    """One sentence."""


class Report(msgspec.Struct, frozen=True, kw_only=True):
    """The outcome."""

    ok: bool
    streams: int
    segments: int
    records: int
    """How many records were found good."""
    rooted: int
    """How many of them are covered by a row of the ledger; the others are in segments that are still open."""
    erased: int
    """How many have values that nobody can read any more, because their subject was erased."""
    torn_bytes: int
    """What dying processes had begun to write behind the last record of an open segment; it was never logged."""
    last_good: str | None
    """The audit id of the last good record of the newest segment."""
    faults: tuple[Fault, ...]


class Verification:
    """One run over all streams."""

    def __init__(self, journal: Journal, folder: Path, keys: Keys) -> None:
        """Take the journal with the ledger, the folder with the streams, and the keys."""
        self._journal = journal
        self._folder = folder
        self._keys = keys
        self._faults: list[Fault] = []
        self._segments = self._records = self._rooted = self._erased = self._torn = 0
        self._last: tuple[str, int, str | None] = ("", 0, None)

    def run(self) -> Report:
        """Return what is found. Raises Unavailable when the database cannot be asked."""
        recorded = _recorded(self._journal)
        with self._journal.read() as connection:
            rows = roots.roots(connection)
        found = streams.folders(self._folder)
        for folder in found:
            self._stream(folder, recorded)
        for stream, number in sorted(rows.keys() - recorded.keys()):
            self._fault("root", stream, number, None, f"The ledger has no row for segment {number} of {stream}.")
        there = {(folder.name, number) for folder in found for number in segment.numbers(folder)}
        for stream, number in sorted(recorded.keys() - there):
            self._fault("missing", stream, number, None, f"Segment {number} of {stream} is gone.")
        return Report(
            ok=not self._faults,
            streams=len(found),
            segments=self._segments,
            records=self._records,
            rooted=self._rooted,
            erased=self._erased,
            torn_bytes=self._torn,
            last_good=self._last[2],
            faults=tuple(self._faults),
        )

    def _stream(self, folder: Path, recorded: Mapping[tuple[str, int], Mapping[str, Any]]) -> None:
        head = GENESIS
        expected = 1
        numbers = segment.numbers(folder)
        for number in numbers:
            if number != expected:
                # Gaps with a row in the ledger are named by the caller; one without was never closed.
                self._unless_recorded(folder.name, expected, recorded)
            expected = number + 1
            self._segments += 1
            root = recorded.get((folder.name, number))
            try:
                found = segment.scan(segment.read(folder / segment.name(number)))
            except (CompanyOSError, OSError) as fault:
                self._fault("chain", folder.name, number, None, f"Segment {number} cannot be read: {fault}")
                continue
            self._chain(folder, number, found, head, last=number == numbers[-1] and root is None)
            self._content(folder.name, number, found)
            head = found.head
            if root is not None:
                self._root(folder, number, found, root)
                # What the ledger says goes before what the file says, so that one fault is named once.
                head = str(root.get("head"))

    def _chain(self, folder: Path, number: int, found: Scan, head: str, *, last: bool) -> None:
        stream, header = folder.name, found.header
        if header is None or (header.stream, header.number, header.prev) != (stream, number, head):
            if header is None and last and not found.broken:
                self._torn += found.torn_bytes
            else:
                detail = f"Segment {number} of {stream} does not continue the one before it."
                self._fault("chain", stream, number, None, detail)
        elif found.broken or (found.torn_bytes and not last):
            what = f"Segment {number} of {stream} is changed behind its record {len(found.lines)}."
            self._fault("chain", stream, number, found, what)
        else:
            self._torn += found.torn_bytes

    def _root(self, folder: Path, number: int, found: Scan, root: Mapping[str, Any]) -> None:
        if (found.head, len(found.lines)) != (root.get("head"), root.get("records")):
            detail = (
                f"Segment {number} of {folder.name} has {len(found.lines)} good records, and the ledger says "
                f"{root.get('records')} that end with {str(root.get('head'))[:16]}…."
            )
            self._fault("root", folder.name, number, found, detail)
            return
        self._rooted += len(found.lines)
        kept = load(index_path(folder, number), found.head)
        rows = indexed(found.lines)
        if kept is not None and not kept.same(rows):
            detail = f"The index of segment {number} of {folder.name} is not that of its records; remove it."
            self._fault("index", folder.name, number, found, detail)

    def _content(self, stream: str, number: int, found: Scan) -> None:
        """Look into each record: it must be one of ours, and its sealed part what it is committed to."""
        records = []
        for place, line in enumerate(found.lines):
            try:
                records.append(stored(line.text))
            except (msgspec.MsgspecError, UnicodeDecodeError) as fault:
                detail = f"Record {place + 1} of segment {number} of {stream} cannot be read: {fault}."
                self._fault("sealed", stream, number, found, detail)
        ciphers = self._keys.ciphers({record.key for record in records})
        for record in records:
            cipher = ciphers[record.key]
            if cipher is None:
                self._erased += 1
                continue
            try:
                unseal(record, cipher)
            except IntegrityFault as fault:
                self._fault("sealed", stream, number, found, fault.detail)
        self._records += len(found.lines)
        if records and found.header is not None:
            self._last = max(self._last, (found.header.opened_at, number, records[-1].audit_id))

    def _unless_recorded(self, stream: str, number: int, recorded: Mapping[tuple[str, int], object]) -> None:
        if (stream, number) not in recorded:
            self._fault("missing", stream, number, None, f"Segment {number} of {stream} is gone.")

    def _fault(self, kind: Kind, stream: str, number: int, found: Scan | None, detail: str) -> None:
        lines: Sequence[segment.Line] = found.lines if found is not None else ()
        self._faults.append(
            Fault(
                kind=kind,
                stream=stream,
                segment=number,
                record=len(lines),
                last_good=_audit_id(lines[-1].text) if lines else None,
                detail=detail,
            )
        )


def _audit_id(text: bytes) -> str | None:
    try:
        return stored(text).audit_id
    except (msgspec.MsgspecError, UnicodeDecodeError):
        return None


def _recorded(journal: Journal) -> dict[tuple[str, int], dict[str, Any]]:
    """Return what the ledger says of each closed segment, by stream and number."""
    return {(str(row.get("stream")), int(row.get("number", 0))): row for row in _rows(journal)}


def _rows(journal: Journal) -> Iterator[dict[str, Any]]:
    reader = LedgerReader(journal)
    cursor: str | None = None
    while True:
        page = reader.entries(_SYSTEM, Filter(verb=VERB), cursor=cursor, limit=_PAGE)
        yield from (record.details for record in page.items)
        if page.next_cursor is None:
            return
        cursor = page.next_cursor
