"""Answers of the decision point to ``POST /v1/authorize``, as the playbook has them."""

from __future__ import annotations

from typing import Final

import msgspec

from companyos_sdk.policy.decision import Decision, Obligation


class Bundle(msgspec.Struct, frozen=True, gc=False):
    """Which bundle decided; all are empty when none is active."""

    id: str
    version: str
    digest: str


class Details(msgspec.Struct, frozen=True, gc=False, omit_defaults=True):
    """What stands behind a reason that is not the policy's own."""

    policy_reason: str | None = None
    stale_attributes: tuple[str, ...] = ()
    error: str | None = None


class Answer(msgspec.Struct, frozen=True, gc=False, omit_defaults=True):
    """The answer; its first four fields are those of the playbook."""

    decision: str
    reason: str
    obligations: list[str] | tuple[str, ...]
    audit_id: str
    obligation_details: tuple[Obligation, ...]
    bundle: Bundle
    stale: bool
    details: Details | None = None


_ENCODER: Final = msgspec.json.Encoder()
_NOTHING: Final[tuple[str, ...]] = ()


def answer(decision: Decision) -> bytes:
    """Return the answer as JSON."""
    owed = decision.obligations
    details = None
    if decision.policy_reason is not None or decision.error is not None:
        details = Details(decision.policy_reason, decision.stale_attributes, decision.error)
    identity = decision.bundle
    return _ENCODER.encode(
        Answer(
            "allow" if decision.allow else "deny",
            decision.reason,
            [one.id for one in owed] if owed else _NOTHING,
            decision.audit_id,
            owed,
            Bundle(identity.id, identity.version, identity.digest),
            decision.stale,
            details,
        )
    )
