"""A record of a decision in its three forms: as it arrives, as it is stored, and as a reader sees it.

It arrives as one line of JSON, made where it was decided. What is personal in it (the subject, the resource's id, the
values that the policy read, the properties of obligations) is stored sealed; the rest stays readable for good.
"""

from __future__ import annotations

from typing import Any, Final, NamedTuple

import msgspec

from companyos.core import canonical
from companyos.core.errors import InvalidInput
from companyos.core.ids import is_uuid

MAX_LINE_BYTES: Final = 512 * 1024
"""How long a record may be that somebody sends; our own deciders make shorter ones."""

MAX_DEPTH: Final = 40
"""How deep a record that somebody sends may nest."""

MAX_CHARACTERS: Final = 512
"""How long each text field of a record that somebody sends may be."""

MAX_OBLIGATIONS: Final = 64

DECISION: Final = "decision"
OPAQUE: Final = "opaque"
"""The kind of a line that could not be read: it is kept as a whole, sealed, because nothing is ever dropped."""


class BundleRef(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """Which bundle decided; all are empty when none was active."""

    digest: str = ""
    id: str = ""
    stage: str = ""
    version: str = ""


class Party(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """A subject or a resource, as far as a record names it."""

    id: str | None = None
    type: str | None = None


class ArrivedObligation(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """An obligation on its way in."""

    id: str
    type: str
    properties: msgspec.Raw = msgspec.Raw(b"{}")


class Arrived(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, gc=False):
    """A line on its way in: a decision, or a receipt with ``receipt_id``, ``phase``, ``granted`` and ``outcomes``."""

    audit_id: str
    at: str
    kind: str = DECISION
    receipt_id: str | None = None
    phase: str | None = None
    granted: bool | None = None
    outcomes: msgspec.Raw = msgspec.Raw(b"null")
    bundle: BundleRef = BundleRef()
    data_digest: str = ""
    subject: Party = Party()
    action: str = ""
    resource: Party = Party()
    inputs: msgspec.Raw = msgspec.Raw(b"{}")
    decision: str = ""
    reason: str = ""
    obligations: tuple[ArrivedObligation, ...] = ()
    latency_us: float = 0
    stale: bool = False
    error: str | None = None
    policy_reason: str | None = None
    stale_attributes: tuple[str, ...] = ()


class _Lenient(Arrived, frozen=True, kw_only=True, forbid_unknown_fields=False, gc=False):
    """The same with fields that this release does not know."""


class StoredObligation(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """What stays readable of an obligation."""

    id: str
    type: str


class Stored(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, gc=False):
    """The record in its chain. The fields are in alphabetical order, so that its bytes are canonical."""

    action: str = ""
    at: str = ""
    audit_id: str
    bundle: BundleRef = BundleRef()
    commitment: str
    """``sha256:<hex>`` over a salt and the personal part; see ``ledger.body.commitment``."""
    data_digest: str = ""
    decision: str = ""
    error: str | None = None
    granted: bool | None = None
    key: str
    """The id of the key that opens ``sealed``."""
    kind: str = DECISION
    latency_us: float = 0
    obligations: tuple[StoredObligation, ...] = ()
    phase: str | None = None
    policy_reason: str | None = None
    reason: str = ""
    receipt_id: str | None = None
    resource_type: str | None = None
    sealed: str
    """Base64 of the nonce and of what AES-256-GCM made of the salt and the personal part."""
    source: str = ""
    """Who sent it, as ``service:<name>``; empty when this platform decided itself."""
    stale: bool = False
    stale_attributes: tuple[str, ...] = ()
    subject_type: str | None = None


class Personal(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, gc=False):
    """What is sealed."""

    inputs: msgspec.Raw = msgspec.Raw(b"{}")
    line: str | None = None
    """The whole line, where it could not be read or says more than this release knows."""
    outcomes: msgspec.Raw = msgspec.Raw(b"null")
    properties: tuple[msgspec.Raw, ...] = ()
    resource: str | None = None
    subject: str | None = None


class Obligation(msgspec.Struct, frozen=True, kw_only=True):
    """An obligation as a reader sees it; without properties when the subject was erased."""

    id: str
    type: str
    properties: dict[str, Any] | None = None


class Decision(msgspec.Struct, frozen=True, kw_only=True):
    """A record as a reader sees it."""

    audit_id: str
    at: str
    kind: str
    bundle: BundleRef
    data_digest: str
    subject: Party
    action: str
    resource: Party
    decision: str
    reason: str
    obligations: tuple[Obligation, ...]
    latency_us: float
    stale: bool
    error: str | None
    policy_reason: str | None
    stale_attributes: tuple[str, ...]
    source: str
    erased: bool
    """Whether the values are gone for good, because the subject was erased."""
    inputs: dict[str, Any] | None
    """What the policy read, by dotted path; None when it is erased."""
    receipt_id: str | None = None
    phase: str | None = None
    granted: bool | None = None
    """Of a receipt: whether the access was granted in the end."""
    outcomes: list[dict[str, Any]] | None = None
    """Of a receipt: what became of each obligation; None when it is erased."""
    line: str | None = None
    """The whole line as it arrived, where it could not be read or says more than this release knows."""
    stream: str = ""
    segment: int = 0
    hash: str = ""
    """The link of the chain that this record is."""


_STRICT: Final = msgspec.json.Decoder(Arrived)
_LENIENT: Final = msgspec.json.Decoder(_Lenient)
_OBJECT: Final = msgspec.json.Decoder(dict[str, Any])


class Line(NamedTuple):
    """A line that was read."""

    arrived: Arrived
    whole: bool
    """Whether all that it says is in the fields."""


def read_line(line: bytes) -> Line:
    """Return a line that our own code made; raises MsgspecError or UnicodeDecodeError when it is none."""
    try:
        return Line(_STRICT.decode(line), whole=True)
    except msgspec.ValidationError:
        return Line(_LENIENT.decode(line), whole=False)


def check_line(line: bytes) -> Line:
    """Return a line that somebody has sent; raises InvalidInput or TooLarge with one sentence on what is wrong."""
    canonical.loads(line, max_depth=MAX_DEPTH, max_bytes=MAX_LINE_BYTES)
    try:
        found = read_line(line)
    except msgspec.MsgspecError as fault:
        raise InvalidInput(f"The record cannot be read: {fault}.", next_step="Send what the SDK writes.") from fault
    _check(found.arrived)
    return found


def _check(arrived: Arrived) -> None:
    _check_ids(arrived)
    if len(arrived.obligations) > MAX_OBLIGATIONS:
        raise InvalidInput(f"There are more than {MAX_OBLIGATIONS} obligations.", next_step="Send fewer.")
    for name in ("at", "data_digest", "action", "reason", "error", "policy_reason", "phase"):
        _check_text(name, getattr(arrived, name))
    for name, value in msgspec.structs.asdict(arrived.bundle).items():
        _check_text(f"bundle.{name}", value)
    for party in ("subject", "resource"):
        _check_text(f"{party}.type", getattr(arrived, party).type)
    for owed in arrived.obligations:
        _check_text("obligations.id", owed.id)
        _check_text("obligations.type", owed.type)
        _check_object("obligations.properties", owed.properties)
    for attribute in arrived.stale_attributes:
        _check_text("stale_attributes", attribute)
    _check_object("inputs", arrived.inputs)


def _check_ids(arrived: Arrived) -> None:
    if not is_uuid(arrived.audit_id):
        raise InvalidInput("The audit_id is no UUID in lower case.", next_step="Mend it.", field="audit_id")
    match arrived.kind:
        case "decision":
            if arrived.decision not in ("allow", "deny") or arrived.receipt_id is not None:
                raise InvalidInput("The decision is neither allow nor deny.", next_step="Mend it.", field="decision")
        case "fulfilment":
            if not is_uuid(arrived.receipt_id or ""):
                raise InvalidInput("The receipt_id is no UUID in lower case.", next_step="Mend it.", field="receipt_id")
        case _:
            raise InvalidInput(f"There are no records of the kind {arrived.kind[:40]!r}.", next_step="Mend it.")


def decoded(data: bytes | msgspec.Raw) -> dict[str, Any] | None:
    """Return an object of JSON, or None when it is not one; for what was sealed by us."""
    try:
        return _OBJECT.decode(data)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        return None


def _check_text(field: str, value: str | None) -> None:
    if value and (len(value) > MAX_CHARACTERS or not value.isprintable()):
        raise InvalidInput(
            f"{field} is not up to {MAX_CHARACTERS} printable characters.", next_step=f"Mend {field}.", field=field
        )


def _check_object(field: str, value: msgspec.Raw) -> None:
    if not bytes(value).lstrip().startswith(b"{"):
        raise InvalidInput(f"{field} is no object.", next_step=f"Mend {field}.", field=field)
