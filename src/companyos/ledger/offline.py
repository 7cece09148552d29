"""Checking a proof or an export without the platform: a file and the ledger's public key are enough.

A file brings its own key, which says nothing about who made it: compare the verifier key with the published one
(``/.well-known/companyos-keys.json``), or give the one that you know.
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Iterable, Iterator
from itertools import islice
from typing import Final, Literal, TypeVar

import msgspec

from companyos.core import canonical
from companyos.core.documents import decode
from companyos.core.errors import IntegrityFault, InvalidInput
from companyos.ledger import checkpoint, merkle
from companyos.ledger.checkpoint import Checkpoint
from companyos.ledger.model import OpenedValue, ProofDocument
from companyos.ledger.personal import PersonalCheck, PersonalRow
from companyos.ledger.tiles import Frontier

_T = TypeVar("_T")

_CHUNK: Final = 4096
_LINE_LIMIT_BYTES: Final = 1024 * 1024


class Checked(msgspec.Struct, frozen=True, kw_only=True):
    """What a file was found to prove."""

    kind: Literal["proof", "export"]
    origin: str
    size: int
    """How many records the checkpoint covers."""
    records: int
    """How many of them the file holds."""
    index: int | None
    """The index of the record that a proof is about."""
    verifier_key: str
    """The key that signed the checkpoint."""
    key_was_given: bool
    """Whether that key was known beforehand, or came with the file."""


class _Key(msgspec.Struct, frozen=True):
    verifier_key: str


class _Header(msgspec.Struct, frozen=True):
    checkpoint: str
    public_key: _Key
    size: int


class _Noted(msgspec.Struct, frozen=True):
    checkpoint: str


class _Line(msgspec.Struct, frozen=True):
    body: msgspec.Raw
    index: int
    personal: dict[str, OpenedValue]


def check(lines: Iterable[bytes], key: str | None = None) -> Checked:
    """Return what a file proves, given line by line. ``key`` is the verifier key that is trusted.

    Raises InvalidInput when the file is neither a proof nor an export, IntegrityFault when it proves nothing.
    """
    # A proof is one document, on one line or many; an export has a document on each line, and no body in the first.
    given = iter(lines)
    first = next(given, b"")
    if first.rstrip().endswith(b"}") and b'"body"' not in first:
        return _check_export(first, given, key)
    return _check_proof(_joined(first, given), key)


def note_in(data: bytes) -> str:
    """Return the checkpoint in a file: the text itself, or that of a proof or an export. Raises InvalidInput."""
    try:
        if not data.lstrip().startswith(b"{"):
            return data.decode()
        first, _, rest = data.partition(b"\n")
        is_export = first.rstrip().endswith(b"}") and rest.lstrip().startswith(b"{")
        return msgspec.json.decode(first if is_export else data, type=_Noted).checkpoint
    except (msgspec.MsgspecError, UnicodeDecodeError) as fault:
        raise InvalidInput(
            "The file holds no checkpoint.",
            next_step="Use what `ledger checkpoint` or `ledger prove --json` printed.",
        ) from fault


def _check_proof(data: bytes, key: str | None) -> Checked:
    document = decode(canonical.loads(data, max_bytes=_LINE_LIMIT_BYTES), ProofDocument, where="The proof")
    signed, verifier_key = _verify(document.checkpoint, document.public_key.verifier_key, key)
    if (document.proof.index, document.proof.tree_size) != (document.index, signed.size):
        raise IntegrityFault("The proof is about another record or another checkpoint.")
    body = canonical.dumps(document.body)
    hashes = [_base64(one) for one in document.proof.hashes[: merkle.MAX_PROOF_HASHES + 1]]
    merkle.verify_inclusion(merkle.leaf_hash(body), document.index, signed.size, hashes, signed.root)
    _check_personal(document.index, [body], list(_rows(document.index, document.personal)))
    return Checked(
        kind="proof",
        origin=signed.origin,
        size=signed.size,
        records=1,
        index=document.index,
        verifier_key=verifier_key,
        key_was_given=key is not None,
    )


def _check_export(first: bytes, lines: Iterator[bytes], key: str | None) -> Checked:
    header = _decoded(first, _Header, "The first line of the export")
    signed, verifier_key = _verify(header.checkpoint, header.public_key.verifier_key, key)
    frontier = Frontier()
    while chunk := list(islice(lines, _CHUNK)):
        start = frontier.size
        bodies: list[bytes] = []
        rows: list[PersonalRow] = []
        for expected, data in enumerate(chunk, start):
            line = _decoded(data, _Line, f"Line {expected + 2} of the export")
            if line.index != expected:
                raise IntegrityFault(f"Record {expected} is missing in the export.")
            bodies.append(bytes(line.body))
            rows += _rows(line.index, line.personal)
        frontier, _ = frontier.extend([merkle.leaf_hash(body) for body in bodies])
        _check_personal(start, bodies, rows)
    if frontier.size != signed.size:
        raise IntegrityFault(f"The export holds {frontier.size} records, and its checkpoint covers {signed.size}.")
    if frontier.root() != signed.root:
        raise IntegrityFault("The records of the export do not lead to the root of its checkpoint.")
    return Checked(
        kind="export",
        origin=signed.origin,
        size=signed.size,
        records=frontier.size,
        index=None,
        verifier_key=verifier_key,
        key_was_given=key is not None,
    )


def _verify(note: str, brought: str, given: str | None) -> tuple[Checkpoint, str]:
    """Return what the checkpoint says and the key that signed it."""
    verifier_key = brought if given is None else given
    name, key = checkpoint.parse_verifier_key(verifier_key)
    return checkpoint.verify(note, name, [key])[0], verifier_key.strip()


def _check_personal(first: int, bodies: list[bytes], rows: list[PersonalRow]) -> None:
    """Raise IntegrityFault when a personal value is not the one that was committed to; absent ones were erased."""
    personal = PersonalCheck()
    personal.add(first, bodies, rows)
    if personal.fault is not None:
        raise IntegrityFault(personal.fault.detail)


def _rows(index: int, personal: dict[str, OpenedValue]) -> Iterator[PersonalRow]:
    for field, opened in personal.items():
        yield index, field.encode(), _base64(opened.salt), opened.value.encode(), None


def _base64(text: str) -> bytes:
    try:
        return base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError) as fault:
        raise InvalidInput("The file has a hash or a salt that is not base64.", next_step="Export it again.") from fault


def _joined(first: bytes, rest: Iterator[bytes]) -> bytes:
    data = bytearray(first)
    for line in rest:
        data += line
        if len(data) > _LINE_LIMIT_BYTES:
            break  # The reader below says that it is too large.
    return bytes(data)


def _decoded(data: bytes, kind: type[_T], where: str) -> _T:
    try:
        return msgspec.json.decode(data, type=kind)
    except (msgspec.MsgspecError, UnicodeDecodeError) as fault:
        raise InvalidInput(f"{where} cannot be read: {fault}.", next_step="Export the ledger again.") from fault
