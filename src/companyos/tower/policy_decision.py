"""The page about one recorded decision as a value: what came out, why, on which values, and what proves it. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, Final

import msgspec

from companyos.policy.explaining import Explanation, Rule
from companyos.policy.log.record import DECISION, Decision
from companyos.tower.model import Look
from companyos.tower.policy_stages import bundle_url

MAX_VALUES: Final = 200
"""How many values of one decision a page shows."""

_CUT: Final = 2_000
_ALLOWED: Final = ("ok", Look("Allowed", "✓", "the policy allowed it"))
_DENIED: Final = ("down", Look("Denied", "✕", "the policy, or what stood in its way, denied it"))
_UNKNOWN: Final = ("stale", Look("Not recorded", "?", "only what came later is in the log"))


class Value(msgspec.Struct, frozen=True):
    """One value that the policy read."""

    path: str
    text: str


class Owed(msgspec.Struct, frozen=True, kw_only=True):
    """An obligation of the decision."""

    id: str
    type: str
    properties: str | None
    """As JSON; None when they were erased."""


class Receipt(msgspec.Struct, frozen=True, kw_only=True):
    """What became of the obligations."""

    phase: str
    says: str
    outcomes: tuple[str, ...]


class Place(msgspec.Struct, frozen=True, kw_only=True):
    """Where the record is, and what proves it."""

    stream: str
    segment: int
    link: str
    """The link of the chain that the record is."""
    records: int = 0
    closed_at: datetime | None = None
    """When its segment was closed; None while it is open."""
    ledger_id: str | None = None
    """The ledger record with the root of the segment."""


class Found(msgspec.Struct, frozen=True, kw_only=True):
    """A decision as the page shows it."""

    audit_id: str
    tone: str
    look: Look
    says: str
    at: datetime | None
    at_text: str
    bundle_id: str
    bundle_url: str | None
    version: str
    stage: str
    digest: str
    data_digest: str
    subject: str | None
    resource: str | None
    action: str
    reason: str
    policy_reason: str | None
    stale_attributes: tuple[str, ...]
    stale: bool
    source: str
    latency: str
    error: str | None
    obligations: tuple[Owed, ...]
    erased: bool
    values: tuple[Value, ...]
    more_values: int
    fired: tuple[Rule, ...]
    failed: Rule | None
    same: bool | None
    receipts: tuple[Receipt, ...]
    place: Place


class DecisionPage(msgspec.Struct, frozen=True, kw_only=True):
    """The lookup, and what it found."""

    now: datetime
    asked: str = ""
    found: Found | None = None
    fault: str | None = None
    """Why nothing can be shown for what was asked."""


def found_of(records: Sequence[Decision], told: Explanation | None, place: Place, *, known: bool) -> Found:
    """Return a decision and its receipts as they are shown.

    ``told`` is None where nothing can be explained; ``known`` is whether its bundle has a page here.
    """
    first = records[0]
    tone, look = _UNKNOWN if first.kind != DECISION else _ALLOWED if first.decision == "allow" else _DENIED
    values = _values(first.inputs)
    return Found(
        audit_id=first.audit_id,
        tone=tone,
        look=look,
        says=told.sentence if told is not None else "The log has no decision with this id, only what came later.",
        at=_moment(first.at),
        at_text=first.at,
        bundle_id=first.bundle.id,
        bundle_url=bundle_url(first.bundle.id) if known else None,
        version=first.bundle.version,
        stage=first.bundle.stage,
        digest=first.bundle.digest,
        data_digest=first.data_digest,
        subject=_party(first.subject.type, first.subject.id),
        resource=_party(first.resource.type, first.resource.id),
        action=first.action,
        reason=first.reason,
        policy_reason=first.policy_reason,
        stale_attributes=first.stale_attributes,
        stale=first.stale,
        source=first.source,
        latency=_latency(first.latency_us),
        error=first.error,
        obligations=tuple(
            Owed(id=one.id, type=one.type, properties=None if one.properties is None else _json(one.properties))
            for one in first.obligations
        ),
        erased=first.erased,
        values=values[:MAX_VALUES],
        more_values=max(0, len(values) - MAX_VALUES),
        fired=told.fired if told is not None else (),
        failed=told.failed if told is not None else None,
        same=told.same if told is not None else None,
        receipts=tuple(_receipt(one) for one in records if one.kind != DECISION),
        place=place,
    )


def _values(inputs: Mapping[str, Any] | None) -> tuple[Value, ...]:
    return tuple(Value(path, _json(value)) for path, value in (inputs or {}).items())


def _receipt(one: Decision) -> Receipt:
    says = {True: "Access was granted in the end.", False: "Access was refused in the end."}
    outcomes = one.outcomes or []
    return Receipt(
        phase=one.phase or one.kind,
        says=says[one.granted] if one.granted is not None else "",
        outcomes=tuple(_json(outcome) for outcome in outcomes[:MAX_VALUES]),
    )


def _party(kind: str | None, name: str | None) -> str | None:
    """Return who or what it is; None when nothing is readable any more."""
    if name is None:
        return None
    return f"{kind}:{name}" if kind and not name.startswith(f"{kind}:") else name


def _json(value: Any) -> str:  # noqa: ANN401 - any JSON
    text = msgspec.json.encode(value).decode()
    return text if len(text) <= _CUT else f"{text[:_CUT]}…"


def _latency(microseconds: float) -> str:
    if microseconds >= 1000:  # noqa: PLR2004 - a millisecond
        return f"{microseconds / 1000:,.1f} ms"
    return f"{microseconds:,.1f} µs"


def _moment(text: str) -> datetime | None:
    """Return the moment that a record names, None when a service has sent something else."""
    try:
        found = datetime.fromisoformat(text)
    except ValueError:
        return None
    return found if found.tzinfo is not None else None
