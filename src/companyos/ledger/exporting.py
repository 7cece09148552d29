"""The ledger as lines of JSON, with nothing left out that it takes to verify it elsewhere.

The first line is ``{"checkpoint", "public_key", "size"}``. Each further line is ``{"body", "index", "personal"}``: the
canonical record, whose bytes (RFC 8785) are what the leaf is the hash of, and its personal values with their salts.
"""

from __future__ import annotations

import base64
from collections.abc import Callable, Iterable, Iterator
from contextlib import AbstractContextManager
from typing import Any, Final

import msgspec
from sqlalchemy import Connection

from companyos.core import canonical
from companyos.core.errors import IntegrityFault, InvalidInput
from companyos.ledger import raw, store
from companyos.ledger.model import OpenedValue, PublicKeyView
from companyos.ledger.raw import Head
from companyos.ledger.store import StoredPersonal

CHUNK: Final = 500
"""How many records are read and written at a time."""

_ENCODER: Final = msgspec.json.Encoder()


class Header(msgspec.Struct, frozen=True, kw_only=True):
    """The first line."""

    checkpoint: str
    public_key: PublicKeyView
    size: int


def lines(
    read: Callable[[], AbstractContextManager[Connection]], head: Head, public_key: PublicKeyView
) -> Iterator[bytes]:
    """Yield the lines in chunks of bounded size, each read in a short transaction of its own.

    Records never change, so all chunks belong to the checkpoint of the first line. Raises IntegrityFault when one is
    missing.
    """
    yield _ENCODER.encode(Header(checkpoint=head.checkpoint, public_key=public_key, size=head.size)) + b"\n"
    first = 0
    while first < head.size:
        with read() as connection:
            rows = raw.bodies(connection, first, min(CHUNK, head.size - first))
            beside = store.personal(connection, [index for index, _ in rows])
        chunk = []
        for expected, (index, data) in enumerate(rows, first):
            if index != expected or data is None:
                break
            personal = _ENCODER.encode(opened(beside.get(index, ())))
            chunk.append(b'{"body":%b,"index":%d,"personal":%b}\n' % (data, index, personal))
        if len(chunk) < min(CHUNK, head.size - first):
            raise IntegrityFault(
                f"Record {first + len(chunk)} of the ledger is missing.",
                next_step="Run `companyos ledger verify`, and restore the database from a backup.",
            )
        yield b"".join(chunk)
        first += len(chunk)


def opened(beside: Iterable[StoredPersonal]) -> dict[str, OpenedValue]:
    """Return the personal values that are still there, with their salts, by name."""
    return {
        row.field: OpenedValue(value=row.value, salt=base64.b64encode(row.salt).decode())
        for row in sorted(beside, key=lambda row: row.field)
        if row.value is not None and row.salt is not None
    }


def as_object(index: int, data: bytes) -> dict[str, Any]:
    """Return the canonical record as an object; raises IntegrityFault when it is not canonical any more."""
    try:
        value = canonical.loads(data, must_be_canonical=True)
    except InvalidInput as fault:
        raise IntegrityFault(
            f"Record {index} of the ledger cannot be read: {fault}",
            next_step="Run `companyos ledger verify`, and restore the database from a backup.",
        ) from fault
    return value if isinstance(value, dict) else {}
