"""Sealing: what is personal in a record is encrypted for its subject, and the chain sees a commitment to it.

The commitment is that of the ledger (``ledger.body.commitment``): whoever is shown salt and value can check them, and
nobody can guess them. Both are inside the encrypted part, so that deleting the key takes the salt along.
"""

from __future__ import annotations

import base64
import binascii
import os
from collections.abc import Mapping, Sequence
from typing import Final, NamedTuple

import msgspec
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from companyos.core.errors import IntegrityFault
from companyos.core.ids import uuid7
from companyos.ledger.body import commitment
from companyos.policy.log.index import key_of, keys_of, receipt_key
from companyos.policy.log.keys import SubjectKey, owner
from companyos.policy.log.record import (
    DECISION,
    OPAQUE,
    Arrived,
    Decision,
    Line,
    Obligation,
    Party,
    Personal,
    Stored,
    StoredObligation,
    decoded,
    read_line,
)

SALT_BYTES: Final = 16
NONCE_BYTES: Final = 12
_RANDOM_BYTES: Final = SALT_BYTES + NONCE_BYTES
NOBODY: Final = owner("", "")
"""Whose key seals what belongs to no subject that is known."""

_POOL_BYTES: Final = 1024 * _RANDOM_BYTES
_FIELD: Final = b"decision"
_ENCODER: Final = msgspec.json.Encoder()
_STORED: Final = msgspec.json.Decoder(Stored)
_PERSONAL: Final = msgspec.json.Decoder(Personal)


class Prepared(NamedTuple):
    """A line that was read, and under whose key it is sealed."""

    line: bytes
    arrived: Arrived | None
    """None for a line that cannot be read."""
    whole: bool
    owner: str
    key: bytes | None
    """The key under which it is stored once (see ``index``); None for a line that cannot be read."""
    source: str


class Sealed(NamedTuple):
    """A record as it goes into its segment."""

    audit_id: str
    keys: tuple[bytes, ...]
    """Under which it is found; the last one is its own (see ``index``)."""
    text: bytes
    """One line of JSON without its end."""


def prepare(line: bytes, source: str = "", read: Line | None = None) -> Prepared:
    """Return the line with what sealing needs to know of it; nothing is raised, whatever the line is."""
    try:
        if read is None:
            read = read_line(line)
        arrived = read.arrived
        if arrived.receipt_id is None:
            key = key_of(arrived.audit_id, arrived.kind)
        else:
            key = receipt_key(arrived.receipt_id)
            key_of(arrived.audit_id, arrived.kind)
    except (ValueError, RecursionError):
        return Prepared(line, None, whole=False, owner=NOBODY, key=None, source=source)
    subject = arrived.subject
    return Prepared(line, arrived, read.whole, owner(subject.type or "", subject.id or ""), key, source)


class Sealer:
    """Seals records; for one thread."""

    def __init__(self) -> None:
        """Start with an empty pool of random bytes."""
        self._pool = b""
        self._place = 0

    def seal(self, prepared: Prepared, key: SubjectKey) -> Sealed:
        """Return the record as it is stored."""
        arrived = prepared.arrived
        if arrived is None:
            personal = Personal(line=prepared.line.decode("utf-8", "replace"))
        else:
            personal = Personal(
                inputs=arrived.inputs,
                line=None if prepared.whole else prepared.line.decode("utf-8", "replace"),
                outcomes=arrived.outcomes,
                properties=tuple([owed.properties for owed in arrived.obligations]) if arrived.obligations else (),
                resource=arrived.resource.id,
                subject=arrived.subject.id,
            )
        if arrived is None:
            arrived = Arrived(audit_id=uuid7(), at="", kind=OPAQUE)
        value = _ENCODER.encode(personal)
        salt, nonce = self._random()
        sealed = key.cipher.encrypt(nonce, salt + value, arrived.audit_id.encode())
        stored = Stored(
            action=arrived.action,
            at=arrived.at,
            audit_id=arrived.audit_id,
            bundle=arrived.bundle,
            commitment=commitment(_FIELD, salt, value),
            data_digest=arrived.data_digest,
            decision=arrived.decision,
            error=arrived.error,
            granted=arrived.granted,
            key=key.id,
            kind=arrived.kind,
            latency_us=arrived.latency_us,
            obligations=tuple([StoredObligation(id=owed.id, type=owed.type) for owed in arrived.obligations])
            if arrived.obligations
            else (),
            phase=arrived.phase,
            policy_reason=arrived.policy_reason,
            reason=arrived.reason,
            receipt_id=arrived.receipt_id,
            resource_type=arrived.resource.type,
            sealed=binascii.b2a_base64(nonce + sealed, newline=False).decode(),
            source=prepared.source,
            stale=arrived.stale,
            stale_attributes=arrived.stale_attributes,
            subject_type=arrived.subject.type,
        )
        return Sealed(
            arrived.audit_id,
            (prepared.key,) if arrived.kind == DECISION and prepared.key is not None else keys_of(stored),
            _ENCODER.encode(stored),
        )

    def _random(self) -> tuple[bytes, bytes]:
        place = self._place
        if place + _RANDOM_BYTES > len(self._pool):
            self._pool, place = os.urandom(_POOL_BYTES), 0
        self._place = place + _RANDOM_BYTES
        return self._pool[place : place + SALT_BYTES], self._pool[place + SALT_BYTES : place + _RANDOM_BYTES]


def stored(text: bytes) -> Stored:
    """Return a stored record; raises MsgspecError or UnicodeDecodeError when it is none."""
    return _STORED.decode(text)


def unseal(record: Stored, cipher: AESGCM | None) -> Personal | None:
    """Return the personal part, None without a key. Raises IntegrityFault when it is not what was recorded."""
    if cipher is None:
        return None
    try:
        data = base64.b64decode(record.sealed, validate=True)
        plain = cipher.decrypt(data[:NONCE_BYTES], data[NONCE_BYTES:], record.audit_id.encode())
        personal = _PERSONAL.decode(plain[SALT_BYTES:])
    except (InvalidTag, ValueError, msgspec.MsgspecError) as fault:
        raise _altered(record) from fault
    if commitment(_FIELD, plain[:SALT_BYTES], plain[SALT_BYTES:]) != record.commitment:
        raise _altered(record)
    return personal


def opened(record: Stored, personal: Personal | None) -> Decision:
    """Return the record as a reader sees it."""
    part = personal or Personal()
    properties: Sequence[Mapping[str, object] | None] = [decoded(raw) for raw in part.properties]
    return Decision(
        audit_id=record.audit_id,
        at=record.at,
        kind=record.kind,
        bundle=record.bundle,
        data_digest=record.data_digest,
        subject=Party(id=part.subject, type=record.subject_type),
        action=record.action,
        resource=Party(id=part.resource, type=record.resource_type),
        decision=record.decision,
        reason=record.reason,
        obligations=tuple(
            Obligation(id=owed.id, type=owed.type, properties=dict(found) if found is not None else None)
            for owed, found in zip(record.obligations, [*properties, *([None] * len(record.obligations))], strict=False)
        ),
        latency_us=record.latency_us,
        stale=record.stale,
        error=record.error,
        policy_reason=record.policy_reason,
        stale_attributes=record.stale_attributes,
        source=record.source,
        erased=personal is None,
        inputs=decoded(part.inputs) if personal is not None else None,
        receipt_id=record.receipt_id,
        phase=record.phase,
        granted=record.granted,
        outcomes=_outcomes(part.outcomes),
        line=part.line,
    )


def _outcomes(raw: msgspec.Raw) -> list[dict[str, object]] | None:
    try:
        return msgspec.json.decode(raw, type=list[dict[str, object]] | None)
    except (msgspec.MsgspecError, RecursionError):
        return None


def _altered(record: Stored) -> IntegrityFault:
    return IntegrityFault(
        f"The sealed part of decision {record.audit_id} is not what was recorded.",
        next_step="Run `companyos policy log verify`, and restore the segment from a backup.",
    )
