"""Admission: whether an artifact may be deployed now. Pure; the rules are asked in order and the first no counts.

It fails closed: what is not known to be fine is refused.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

import msgspec

from companyos.evidence.model import Artifact, Denial, Invalid, Missing, Signature, Verified

POLICY: Final = "admission"


class Facts(msgspec.Struct, frozen=True, kw_only=True):
    """All that admission looks at."""

    digest: str
    """The digest that is to be deployed."""
    artifact: Artifact | None
    signature: Signature | None
    denial: Denial | None
    running: str | None
    """The release that is steady there already with this digest or this version; None when it is another one."""
    in_flight: str | None
    """The release of the service that is on its way there."""
    holds: tuple[str, ...]
    """The reasons of the holds that are active for it."""
    service_known: bool
    """Whether the catalog has the service."""


class Admission(msgspec.Struct, frozen=True, kw_only=True):
    """The answer."""

    allowed: bool
    policy: str
    """``admission:<rule>``: the rule that said no, or ``admission:all``."""
    reason: str
    """One sentence."""
    next_step: str = ""


def admit(facts: Facts) -> Admission:
    """Return whether these facts allow a deploy, with the first rule that they break."""
    for name, rule in _RULES:
        refused = rule(facts)
        if refused is not None:
            reason, next_step = refused
            return Admission(allowed=False, policy=f"{POLICY}:{name}", reason=reason, next_step=next_step)
    return Admission(
        allowed=True, policy=f"{POLICY}:all", reason="It is signed and unaltered, and nothing stands against it."
    )


_Refusal = tuple[str, str] | None


def _unknown(facts: Facts) -> _Refusal:
    if facts.artifact is not None and facts.artifact.digest == facts.digest:
        return None
    return f"There is no artifact {facts.digest[:80]}.", "Store it first: companyos ship"


def _unsigned(facts: Facts) -> _Refusal:
    if not isinstance(facts.signature, Missing):
        return None
    return f"The artifact {facts.digest} is not signed.", "Have it signed: companyos ship does that."


def _bad_signature(facts: Facts) -> _Refusal:
    if isinstance(facts.signature, Verified):
        return None
    why = facts.signature.reason if isinstance(facts.signature, Invalid) else "Nobody has looked at its signature."
    return f"The signature of {facts.digest} does not hold: {why}", "Build and sign it again from its commit."


def _denied(facts: Facts) -> _Refusal:
    if facts.denial is None:
        return None
    return (
        f"The digest {facts.digest} was denied after {facts.denial.release}: {facts.denial.reason}",
        "Ship a mended version, or have the denial lifted.",
    )


def _unknown_service(facts: Facts) -> _Refusal:
    if facts.service_known:
        return None
    name = facts.artifact.service if facts.artifact else "of the artifact"
    return f"The service {name} is not in the catalog.", "Import its companyos.yaml first."


def _duplicate(facts: Facts) -> _Refusal:
    if facts.running is None:
        return None
    return f"{facts.running} is running there already.", "Nothing is left to do; ship a newer commit."


def _in_flight(facts: Facts) -> _Refusal:
    if facts.in_flight is None:
        return None
    return f"{facts.in_flight} is on its way there.", "Wait until it is promoted, or abort it."


def _held(facts: Facts) -> _Refusal:
    if not facts.holds:
        return None
    return f"A hold stops this: {facts.holds[0]}", "Have the hold lifted."


_RULES: Final[tuple[tuple[str, Callable[[Facts], _Refusal]], ...]] = (
    ("unknown-artifact", _unknown),
    ("unsigned", _unsigned),
    ("bad-signature", _bad_signature),
    ("denied-digest", _denied),
    ("unknown-service", _unknown_service),
    ("duplicate", _duplicate),
    ("in-flight", _in_flight),
    ("hold", _held),
)
