"""Whether the personal values beside the tree are those that were committed to, and why some are absent.

A value may be absent for two reasons, and the ledger itself says so: a record ``ledger.erase`` names one value, whose
row then names that record; a record ``ledger.expire`` says up to which index retention has removed everything.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Final

import msgspec

from companyos.ledger.body import commitment
from companyos.ledger.model import Commitment, Fault

ERASE: Final = "ledger.erase"
"""The verb of a record that erased one value; its details are ``index``, ``field`` and ``reason``."""

EXPIRE: Final = "ledger.expire"
"""The verb of a record that removed all values up to its detail ``through_index``, because they were too old."""

PersonalRow = tuple[int, bytes, bytes | None, bytes | None, int | None]
"""Index, field, salt, value and ``erased_by`` of a stored row; texts as the bytes of their UTF-8."""


class _Committed(msgspec.Struct, frozen=True):
    """The part of a record that this check reads; the rest is skipped."""

    verb: str
    ip: Commitment | None
    device: Commitment | None
    personal: dict[str, Commitment]
    details: msgspec.Raw


class _Erased(msgspec.Struct, frozen=True):
    index: int
    field: str


class _Expired(msgspec.Struct, frozen=True):
    through_index: int


_DECODER: Final = msgspec.json.Decoder(_Committed)


class PersonalCheck:
    """What the records said so far about their personal values; fed in order, chunk by chunk."""

    def __init__(self) -> None:
        """Start before the first record."""
        self.fault: Fault | None = None
        """The first fault that needs no later record to be sure of."""
        self.expired_through = -1
        """Up to which index retention has removed everything."""
        self.last_absent = -1
        """The last index beside which a row is absent."""
        self._claims: dict[int, tuple[int, bytes]] = {}

    def add(self, first: int, bodies: Sequence[bytes], rows: Iterable[PersonalRow]) -> None:
        """Check the next records, of which the first has the given index, with the rows beside them."""
        committed: dict[tuple[int, bytes], str] = {}
        speaking: list[tuple[int, _Committed]] = []
        for index, body in enumerate(bodies, first):
            record = _read(body)
            if record is None:
                continue  # The tree says that this record is broken.
            if record.verb == ERASE or record.verb == EXPIRE:  # noqa: PLR1714 - twice as fast, for every record
                speaking.append((index, record))
            for field, one in _commitments(record):
                committed[index, field] = one.commitment
        for index, field, salt, value, erased_by in rows:
            known = committed.pop((index, field), None)
            if erased_by is not None or known is None or not _opens(known, field, salt, value):
                self._check_absence(known, (index, field, salt, value, erased_by))
        if committed:
            self.last_absent = max(index for index, _ in committed)
        for index, record in speaking:
            self._explain(index, record)

    def finish(self) -> Fault | None:
        """Return the first fault when every record was seen, except for rows that are absent without a reason."""
        for index, field in sorted(self._claims.values()):
            self._found(index, field, "is said to be erased, and no record says so")
            break
        return self.fault

    def _check_absence(self, known: str | None, row: PersonalRow) -> None:
        """Judge a row that does not open its commitment."""
        index, field, salt, value, erased_by = row
        if known is None:
            self._found(index, field, "was never part of it")
        elif erased_by is None:
            self._found(index, field, "is not the value that was recorded")
        elif salt is not None or value is not None or erased_by in self._claims:
            self._found(index, field, "is said to be erased, and is not")
        else:
            self._claims[erased_by] = (index, field)

    def _explain(self, index: int, record: _Committed) -> None:
        try:
            if record.verb == EXPIRE:
                through = msgspec.json.decode(record.details, type=_Expired).through_index
                if through < index:
                    self.expired_through = max(self.expired_through, through)
                return
            erased = msgspec.json.decode(record.details, type=_Erased)
        except msgspec.MsgspecError:
            return  # A record of this verb by something else explains nothing.
        if self._claims.get(index) == (erased.index, erased.field.encode()):
            del self._claims[index]

    def _found(self, index: int, field: bytes, what: str) -> None:
        if self.fault is None or index < self.fault.index:
            detail = f"The personal value {field.decode(errors='replace')!r} beside record {index} {what}."
            self.fault = Fault(kind="personal", index=index, through=index, detail=detail)


def first_absent(first: int, bodies: Sequence[bytes], rows: Iterable[PersonalRow]) -> int | None:
    """Return the first of these records beside which a row is absent, or None; for a second look at a chunk."""
    present = {(row[0], row[1]) for row in rows}
    for index, body in enumerate(bodies, first):
        record = _read(body)
        if record is not None and any((index, field) not in present for field, _ in _commitments(record)):
            return index
    return None


def _opens(known: str, field: bytes, salt: bytes | None, value: bytes | None) -> bool:
    try:
        return commitment(field, salt, value) == known  # type: ignore[arg-type]  # what is no bytes raises
    except TypeError:
        return False


def _read(body: bytes) -> _Committed | None:
    try:
        return _DECODER.decode(body)
    except (msgspec.MsgspecError, UnicodeDecodeError):
        return None


def _commitments(record: _Committed) -> Iterator[tuple[bytes, Commitment]]:
    if record.ip is not None:
        yield b"ip", record.ip
    if record.device is not None:
        yield b"device", record.device
    for name, one in record.personal.items():
        yield name.encode(), one
