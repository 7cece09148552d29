"""The index of a closed segment: where in it each audit id is. It is made from the segment, again if it is bad.

A row is a key (17 bytes) and the offset of a line (4 bytes, big-endian); rows are sorted. A key is the audit id and
what is behind it: the decision, or something that was recorded later about it. A receipt has its own id as a key too.
The first line of the file names the head of the segment that the index was made from.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterable
from pathlib import Path
from typing import Final

from companyos.core import durable
from companyos.core.errors import CompanyOSError
from companyos.policy.log.record import DECISION, Stored

SUFFIX: Final = ".idx"
KEY_BYTES: Final = 17
ROW_BYTES: Final = KEY_BYTES + 4
_MAX_BYTES: Final = 256 * 1024 * 1024
_MAGIC: Final = b"companyos.dev/decisions/index/v1 "
_UUID_BYTES: Final = 16
_DECISION: Final = b"\0"
_LATER: Final = b"\1"
_RECEIPT: Final = b"\2"


class SegmentIndex:
    """The sorted rows of one segment."""

    def __init__(self, rows: bytes) -> None:
        """Take the rows as bytes."""
        self._rows = rows

    def __len__(self) -> int:
        """Return how many rows there are."""
        return len(self._rows) // ROW_BYTES

    def __contains__(self, key: bytes) -> bool:
        """Tell whether a record has this key."""
        place = bisect_left(range(len(self)), key, key=self._key)
        return place < len(self) and self._key(place) == key

    def offsets(self, audit_id: str) -> list[int]:
        """Return where the lines with this audit id begin: the decision first, then what came later about it."""
        lowest, highest = key_of(audit_id, DECISION), key_of(audit_id, "")
        place = bisect_left(range(len(self)), lowest, key=self._key)
        found = []
        while place < len(self) and lowest <= self._key(place) <= highest:
            row = self._rows[place * ROW_BYTES : (place + 1) * ROW_BYTES]
            found.append(int.from_bytes(row[KEY_BYTES:], "big"))
            place += 1
        return found

    def same(self, other: SegmentIndex) -> bool:
        """Tell whether two indexes say the same."""
        return self._rows == other._rows

    def _key(self, place: int) -> bytes:
        return self._rows[place * ROW_BYTES : place * ROW_BYTES + KEY_BYTES]


def key_of(audit_id: str, kind: str) -> bytes:
    """Return the key of a record by its audit id; raises ValueError for a text that is no UUID."""
    return _packed(audit_id) + (_DECISION if kind == DECISION else _LATER)


def keys_of(record: Stored) -> tuple[bytes, ...]:
    """Return the keys of a stored record; the last one is its own, under which it is stored once."""
    key = key_of(record.audit_id, record.kind)
    return (key, receipt_key(record.receipt_id)) if record.receipt_id else (key,)


def receipt_key(receipt_id: str) -> bytes:
    """Return the own key of a receipt; raises ValueError for a text that is no UUID."""
    return _packed(receipt_id) + _RECEIPT


def _packed(text: str) -> bytes:
    """Return the 16 bytes of a UUID, in a fifth of the time that uuid.UUID takes."""
    data = bytes.fromhex(text.replace("-", ""))
    if len(data) != _UUID_BYTES:
        raise ValueError(f"{text[:60]!r} is no UUID")
    return data


def made(places: Iterable[tuple[bytes, int]]) -> SegmentIndex:
    """Return the index of records, given by their keys and offsets."""
    return SegmentIndex(b"".join(sorted(key + offset.to_bytes(4, "big") for key, offset in places)))


def save(path: Path, index: SegmentIndex, head: str) -> None:
    """Keep an index beside its segment. Raises OSError."""
    durable.write(path, _MAGIC + head.encode() + b"\n" + index._rows)  # noqa: SLF001 - this module's own class


def load(path: Path, head: str) -> SegmentIndex | None:
    """Return the index that was made from the segment with this head, or None."""
    try:
        data = durable.read(path, limit_bytes=_MAX_BYTES)
    except (CompanyOSError, OSError):
        return None
    first, _, rows = data.partition(b"\n")
    return SegmentIndex(rows) if first == _MAGIC + head.encode() and not len(rows) % ROW_BYTES else None
