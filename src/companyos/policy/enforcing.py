"""The platform's own routes, decided by a policy like everybody else's.

The roles policy ships compiled, so that a home without any bundle authorizes, and without the compiler too. A bundle
with the id ``companyos/platform`` takes its place while it is active. Whatever is not a clear allow is a denial.
"""

from __future__ import annotations

import hashlib
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import msgspec

from companyos.core.access import NO_FACTS, Caller, Verdict
from companyos.core.clock import rfc3339
from companyos.identity.roles import ALLOWED, ROLES, SIGNED_IN, RoleAuthorizer
from companyos.policy.model import PLATFORM
from companyos_sdk import rego
from companyos_sdk.policy.decider import Decider
from companyos_sdk.policy.decision import BundleIdentity

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from companyos.core.clock import Clock
    from companyos_sdk.policy.decision import Decision
    from companyos_sdk.policy.record import Recorder
    from companyos_sdk.rego import Program

ENTRYPOINT: Final = "data.companyos.authz.decision"
FOLDER: Final = Path(__file__).parent / "platform"
"""The policy that ships: its source, and the plan that `make policies` makes of it."""
FULFILLED: Final = frozenset({"log_event"})
"""Obligations that the platform fulfils by itself: each of its decisions is in the log, each change in the ledger."""

_ROLE_REASON: Final = "roles:"


def roles_data() -> dict[str, Any]:
    """Return the role table of ``identity`` as the policy's data."""
    roles = [{"name": role, "reason": f"{_ROLE_REASON}{role}", "actions": sorted(ALLOWED[role])} for role in ROLES]
    return {"platform": {"roles": roles, "signed_in": sorted(SIGNED_IN)}}


@cache
def shipped() -> tuple[Program, BundleIdentity]:
    """Return the policy that ships, ready to decide, and its identity in records; its stage is ``shipped``."""
    plan, data = (FOLDER / "plan.json").read_bytes(), roles_data()
    identity = BundleIdentity(
        id=PLATFORM,
        version="0.0.0",
        stage="shipped",
        digest=_digest(plan),
        data_digest=_digest(msgspec.json.encode(data, order="deterministic")),
    )
    return rego.load(plan, data, ENTRYPOINT), identity


def shipped_decider(recorder: Recorder) -> Decider:
    """Return a decider over the policy that ships."""
    program, identity = shipped()
    return Decider(program, identity, recorder, emits=())


class PolicyAuthorizer:
    """Answers ``core.access.require`` from a policy."""

    def __init__(self, current: Callable[[], Decider], clock: Clock) -> None:
        """Ask ``current`` for the decider of the moment, and the clock for the time that rules may look at."""
        self._current = current
        self._clock = clock

    def decide(self, caller: Caller, action: str, resource: str, facts: Mapping[str, Any] = NO_FACTS) -> Verdict:
        """Return the verdict; its policy is the reason that the policy gave."""
        decision = self._current().decide(self._document(caller, action, resource, facts))
        names = tuple(obligation.id for obligation in decision.obligations)
        unmet = [obligation.type for obligation in decision.obligations if obligation.type not in FULFILLED]
        if decision.allow and unmet:
            return Verdict(
                allowed=False,
                policy=decision.reason,
                reason=f"the policy asks for {unmet[0]}, which the platform cannot do for you.",
                obligations=names,
                audit_id=decision.audit_id,
            )
        return Verdict(
            allowed=decision.allow,
            policy=decision.reason,
            reason=_sentence(decision, caller, action, resource),
            obligations=names,
            audit_id=decision.audit_id,
        )

    def _document(self, caller: Caller, action: str, resource: str, facts: Mapping[str, Any]) -> dict[str, Any]:
        kind, _, name = resource.partition(":")
        return {
            "subject": {
                "id": caller.subject,
                "type": caller.subject.partition(":")[0],
                "attributes": {"roles": sorted(caller.roles), "signed_in": caller.subject_id is not None},
            },
            "action": action,
            "resource": {**facts, "type": kind, "id": name},
            "environment": {"ip": caller.ip, "time": rfc3339(self._clock.now())},
            "context": {"request_id": caller.request_id},
        }


def _sentence(decision: Decision, caller: Caller, action: str, resource: str) -> str:
    """Return why, for a person. What the role table says has words of its own there."""
    if decision.error is not None:
        return f"no decision could be made: {decision.error}"
    if decision.reason.startswith(_ROLE_REASON):
        told = RoleAuthorizer().decide(caller, action, resource)
        if told.policy == decision.reason:
            return told.reason
    return f"The policy {decision.reason} allows it." if decision.allow else f"the policy says {decision.reason}."


def _digest(data: bytes) -> str:
    return f"sha256:{hashlib.sha256(data).hexdigest()}"
