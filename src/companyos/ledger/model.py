"""The values of the ledger: what goes in (``Entry``), what comes out (``Record``), and what proves it."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any, Literal, NewType, TypeAlias

import msgspec

from companyos.core.ids import uuid7

LogIndex = NewType("LogIndex", int)
"""The position of a record in the ledger; the first one has 0, and there are no gaps."""

Decision: TypeAlias = Literal["allow", "deny"]


class Entry(msgspec.Struct, frozen=True, kw_only=True):
    """What is to be recorded: the fields of the playbook's audit log (prompt 3), with where and when.

    ``ledger.body`` states the limits of each field.
    """

    time: datetime
    """When it was decided; aware."""
    actor: str
    """Who did it: ``user:<name>``, ``service:<name>``, ``os:<user>`` or ``system:<loop>``."""
    verb: str
    """What was done, as ``service.create``."""
    target: str
    """What it was done to, as ``service:checkout``."""
    decision: Decision = "allow"
    policy: str | None = None
    """The rule that decided."""
    obligations: tuple[str, ...] = ()
    ip: str | None = None
    """Where the request came from; a personal value."""
    device: str | None = None
    """What the caller claimed to be, None when it claimed nothing; a personal value."""
    service: str | None = None
    """The service that this belongs to."""
    release: str | None = None
    """The release that this belongs to, as ``checkout@1.4.2``."""
    request_id: str | None = None
    details: Mapping[str, Any] = {}
    """Anything else, as JSON; nothing personal, because it can never be erased."""
    personal: Mapping[str, str] = {}
    """Personal values by name; the tree sees commitments only, so that they can be erased."""
    id: str = msgspec.field(default_factory=uuid7)


class Commitment(msgspec.Struct, frozen=True):
    """What the tree sees of a personal value."""

    commitment: str
    """``sha256:<hex>`` over the name, a random salt and the value."""


class PersonalValue(msgspec.Struct, frozen=True):
    """A personal value beside the tree; whoever has the salt can check it against the commitment."""

    field: str
    salt: bytes
    value: str


class Body(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The canonical record: what a leaf of the tree is the hash of, field by field."""

    actor: str
    decision: Decision
    details: dict[str, Any]
    device: Commitment | None
    id: str
    ip: Commitment | None
    obligations: tuple[str, ...]
    personal: dict[str, Commitment]
    policy: str | None
    release: str | None
    request_id: str | None
    service: str | None
    target: str
    time: datetime
    verb: str


class InclusionProof(msgspec.Struct, frozen=True, kw_only=True):
    """Why a record is in the tree of a checkpoint (RFC 6962 §2.1.1)."""

    index: int
    tree_size: int
    hashes: tuple[str, ...]
    """Base64, from the leaf's sibling up."""


class Signature(msgspec.Struct, frozen=True, kw_only=True):
    """The signature of a record: the signed checkpoint that covers it, and its inclusion proof."""

    checkpoint: str
    """C2SP tlog-checkpoint."""
    proof: InclusionProof


class Record(msgspec.Struct, frozen=True, kw_only=True):
    """A record as readers see it: personal values where they are still there, None where they were erased."""

    index: int
    id: str
    time: datetime
    actor: str
    verb: str
    target: str
    policy: str | None
    decision: Decision
    obligations: tuple[str, ...]
    ip: str | None
    device: str | None
    service: str | None
    release: str | None
    request_id: str | None
    details: dict[str, Any]
    personal: dict[str, str | None]
    erased: tuple[str, ...]
    """The names of the personal values that were there and were erased."""
    signature: Signature | None = None
    """None in lists, unless asked for."""


class Filter(msgspec.Struct, frozen=True, kw_only=True):
    """Which records a reader wants: all that match every field that is set."""

    id: str | None = None
    actor: str | None = None
    verb: str | None = None
    target: str | None = None
    service: str | None = None
    decision: Decision | None = None
    since: datetime | None = None
    """The earliest time, included."""
    until: datetime | None = None
    """The latest time, excluded."""


class OpenedValue(msgspec.Struct, frozen=True, kw_only=True):
    """A personal value with the salt (base64) that opens its commitment."""

    value: str
    salt: str


class PublicKeyView(msgspec.Struct, frozen=True, kw_only=True):
    """The key that signed a checkpoint, in the two forms that other tools read."""

    verifier_key: str
    """``name+id+base64``, as C2SP signed-note verifiers take it."""
    pem: str


class ProofDocument(msgspec.Struct, frozen=True, kw_only=True):
    """All that somebody needs to check one record without this platform."""

    index: int
    body: dict[str, Any]
    """The canonical record; its RFC 8785 bytes are what the leaf is the hash of."""
    personal: dict[str, OpenedValue]
    """The personal values that are still there."""
    proof: InclusionProof
    checkpoint: str
    public_key: PublicKeyView


class Consistency(msgspec.Struct, frozen=True, kw_only=True):
    """Why one tree extends another (RFC 6962 §2.1.2)."""

    first: int
    second: int
    hashes: tuple[str, ...]
    """Base64; empty when the two are the same."""
    first_root: str
    second_root: str


class Fault(msgspec.Struct, frozen=True, kw_only=True):
    """What verification found wrong first."""

    kind: Literal["record", "missing", "extra", "personal", "tree", "head", "checkpoint", "history"]
    """A record differs from its leaf, is missing or is not covered; a personal value does not open its commitment; a
    stored part of the tree differs from the records, or the head from itself; the checkpoint is not ours; an older one
    of ours is not kept."""
    index: int
    """The first bad index: of the record at fault, or the first one that the faulty thing vouches for."""
    through: int
    """The last index that the fault may lie at; more than ``index`` where nothing stored can tell it exactly."""
    detail: str
    """One sentence."""


class Report(msgspec.Struct, frozen=True, kw_only=True):
    """The outcome of a verification."""

    ok: bool
    size: int
    """How many records the newest checkpoint covers."""
    checked: int
    """How many records were read."""
    first_bad_index: int | None
    fault: Fault | None
    checkpoint: str | None
    """The checkpoint that was verified against; None in an empty ledger."""
    since: tuple[int, ...] = ()
    """The sizes of the older checkpoints that the tree was compared with."""


class ReadCount(msgspec.Struct, frozen=True, kw_only=True):
    """How often an actor read something on a day."""

    day: str
    """UTC, as ``2026-01-31``."""
    actor: str
    action: str
    count: int
