"""Verification: what decides is the root in the signed checkpoint; what is stored beside it tells where a fault is."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Final, Protocol

import msgspec

from companyos.core.errors import IntegrityFault
from companyos.ledger.checkpoint import Checkpoint
from companyos.ledger.model import Fault, Report
from companyos.ledger.personal import PersonalCheck, PersonalRow, first_absent
from companyos.ledger.replay import Difference, Replay, StoredTiles, locate
from companyos.ledger.tiles import Frontier

CHUNK: Final = 4096
"""How many records are read, hashed and compared at a time."""


class Stored(StoredTiles, Protocol):
    """What is stored: one moment of the tables of the ledger, or something that stands in for them."""

    def records(self, first: int, limit: int) -> Sequence[tuple[int, bytes | None]]:
        """Return index and body of up to ``limit`` records from index ``first`` on, in order."""
        ...

    def personal(self, first: int, last: int) -> Iterable[PersonalRow]:
        """Return the rows beside the records ``first`` up to and including ``last``."""
        ...

    def lowest(self) -> int | None:
        """Return the lowest index of all records, or None."""
        ...

    def stray(self, size: int) -> int | None:
        """Return the lowest index that a tile or a personal value is about beyond a ledger of this size, or None."""
        ...


class StoredHead(msgspec.Struct, frozen=True):
    """The head as it is stored, with what its checkpoint says when the signature holds."""

    size: int
    frontier: bytes
    note: str
    signed: Checkpoint | None
    """None when the checkpoint is not one of ours; then ``reason`` says why."""
    reason: str = ""


class Progress(msgspec.Struct, frozen=True):
    """How far a verification has come."""

    checked: int
    size: int


def verify(stored: Stored, head: StoredHead | None, older: Sequence[Checkpoint] = ()) -> Iterator[Progress | Report]:
    """Yield the progress after every chunk, and at last the report on all that is stored.

    ``older`` are checkpoints of ours, whose signatures hold, that the ledger must still extend.
    """
    size = 0 if head is None else head.size if head.signed is None else head.signed.size
    replay = Replay(stored, (one for one in older if one.size > 0))
    personal = PersonalCheck()
    gap: Fault | None = None
    while replay.frontier.size < size and gap is None:
        first = replay.frontier.size
        rows = stored.records(first, min(CHUNK, size - first))
        gap = _gap(first, min(CHUNK, size - first), size, rows)
        bodies = [body or b"" for _, body in rows[: gap.index - first if gap else None]]
        if bodies:
            replay.add(bodies)
            personal.add(first, bodies, stored.personal(first, first + len(bodies) - 1))
        yield Progress(replay.frontier.size, size)
    frontier, faults = _edge(head)
    replay.compare_edge(frontier)
    faults += _tree_faults(stored, head, frontier, replay)
    faults += [fault for fault in (gap, personal.finish(), _absent(stored, personal, replay)) if fault]
    faults += _stray_faults(stored, size)
    faults += _history_faults(replay, size, faults)
    # Of two faults at one index the one that was looked for first explains the other.
    fault = min(faults, key=lambda one: one.index, default=None)
    yield Report(
        ok=fault is None,
        size=size,
        checked=replay.frontier.size,
        first_bad_index=None if fault is None else fault.index,
        fault=fault,
        checkpoint=None if head is None else head.note,
        since=tuple(sorted(one.size for one in older)),
    )


def _gap(first: int, expected: int, size: int, rows: Sequence[tuple[int, bytes | None]]) -> Fault | None:
    """Return the first index that is not there. Indexes are unique and in order, so the last one tells."""
    if len(rows) == expected and rows[-1][0] == first + expected - 1:
        return None
    place, found = next(((at, row[0]) for at, row in enumerate(rows, first) if row[0] != at), (first + len(rows), None))
    then = "no record follows it" if found is None else f"the next one there is {found}"
    return Fault(kind="missing", index=place, through=place, detail=f"Record {place} of {size} is missing; {then}.")


def _edge(head: StoredHead | None) -> tuple[Frontier, list[Fault]]:
    """Return the stored frontier, and what is wrong with the head in itself."""
    if head is None:
        return Frontier(), []
    last = max(0, head.size - 1)
    try:
        frontier = Frontier.decode(head.size, head.frontier)
    except IntegrityFault as fault:
        return Frontier(), [Fault(kind="head", index=0, through=last, detail=fault.detail)]
    if head.signed is None or head.signed.size == head.size:
        return frontier, []
    index = min(head.size, head.signed.size)
    detail = f"The head says {head.size} records, and its signed checkpoint {head.signed.size}."
    return frontier, [Fault(kind="head", index=index, through=max(index, last), detail=detail)]


def _tree_faults(stored: Stored, head: StoredHead | None, frontier: Frontier, replay: Replay) -> list[Fault]:
    """Return what the records, the stored tree and the signed root say about each other."""
    if head is None:
        return []
    difference = replay.first_difference()
    last = max(replay.kept, head.size - 1)
    if head.signed is None:
        index = replay.kept if difference is None else min(replay.kept, difference.index)
        faults = [Fault(kind="checkpoint", index=index, through=last, detail=f"{head.reason} Nothing vouches for it.")]
        return [_differs("record", difference), *faults] if difference else faults
    if replay.frontier.size == head.signed.size and replay.frontier.root() == head.signed.root:
        return [_differs("tree", difference)] if difference else []
    if difference is None and replay.frontier.size < head.signed.size:
        return []  # Only the end is missing, and that was noticed.
    found = locate(replay, stored, frontier, head.signed.root)
    if found is not None:
        return [_differs("record", Difference(max(found.index, replay.kept), max(found.through, replay.kept)))]
    if replay.rewritten is not None:
        last = replay.rewritten.size - 1
    detail = "The records lead to another root than the signed one, and so does every stored part of the tree."
    return [Fault(kind="record", index=replay.kept, through=last, detail=detail)]


def _differs(kind: str, difference: Difference) -> Fault:
    where = (
        f"Record {difference.index}"
        if difference.index == difference.through
        else f"A record from {difference.index} to {difference.through}"
    )
    if kind == "record":
        detail = f"{where} is not the one that was recorded."
        return Fault(kind="record", index=difference.index, through=difference.through, detail=detail)
    detail = f"{where} is as it was signed, but the stored tree over it was changed."
    return Fault(kind="tree", index=difference.index, through=difference.through, detail=detail)


def _absent(stored: Stored, check: PersonalCheck, replay: Replay) -> Fault | None:
    """Return the first record whose personal value is gone without a record that says why."""
    first = check.expired_through + 1
    if check.last_absent < first:
        return None
    while first < replay.frontier.size:
        rows = stored.records(first, min(CHUNK, replay.frontier.size - first))
        bodies = [body or b"" for _, body in rows]
        index = first_absent(first, bodies, stored.personal(first, first + len(rows) - 1))
        if index is not None:
            detail = f"A personal value of record {index} is gone, and no record says that it was erased."
            return Fault(kind="personal", index=index, through=index, detail=detail)
        first += len(rows)
    return None


def _stray_faults(stored: Stored, size: int) -> list[Fault]:
    faults = []
    lowest = stored.lowest()
    beyond = stored.records(size, 1)
    extra = lowest if lowest is not None and lowest < 0 else beyond[0][0] if beyond else None
    if extra is not None:
        detail = f"Record {extra} is beyond the {size} that the head of the ledger covers."
        faults.append(Fault(kind="extra", index=extra, through=extra, detail=detail))
    stray = stored.stray(size)
    if stray is not None:
        detail = f"A part of the tree or a personal value is stored for record {stray}, of only {size}."
        faults.append(Fault(kind="extra", index=stray, through=stray, detail=detail))
    return faults


def _history_faults(replay: Replay, size: int, known: Sequence[Fault]) -> list[Fault]:
    """Return how the ledger contradicts what we signed before, unless a changed record explains it already."""
    faults = []
    older = 0 if replay.rewritten is None else replay.rewritten.size
    if older and not any(one.kind == "record" and replay.kept <= one.index < older for one in known):
        detail = f"The first {older} records are not those of the older checkpoint: history was rewritten."
        faults.append(Fault(kind="history", index=replay.kept, through=older - 1, detail=detail))
    if replay.unreached is not None and replay.unreached.size > size:
        older = replay.unreached.size
        detail = f"An older checkpoint covers {older} records, and the ledger has {size}: its end was cut off."
        faults.append(Fault(kind="history", index=size, through=older - 1, detail=detail))
    return faults
