"""A policy of the platform that would lock its last admins out is refused before it decides anything."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from typing import TYPE_CHECKING, Final

from companyos.core.clock import ManualClock
from companyos.policy.enforcing import PolicyAuthorizer
from companyos.policy.model import PLATFORM
from companyos_sdk.policy.decider import Decider
from companyos_sdk.policy.decision import BundleIdentity
from companyos_sdk.policy.record import Discard

if TYPE_CHECKING:
    from companyos.core.access import Caller
    from companyos_sdk.policy.decider import Program

NEEDED: Final = ("policy.publish", "policy.promote", "policy.rollback")
"""What at least one admin must be able to do, so that a policy can be mended."""


def lockout(bundle_id: str, program: Program, admins: Iterable[Caller], now: datetime) -> str | None:
    """Return why this policy must not decide about the platform, in one sentence, or None when it may.

    It is asked the way the platform asks. Without any admin there is nobody to lock out. Other bundles may deny what
    they like.
    """
    if bundle_id != PLATFORM:
        return None
    asked = list(admins)
    decider = Decider(program, BundleIdentity(id=bundle_id), Discard())
    authorizer = PolicyAuthorizer(lambda: decider, ManualClock(now))
    for action in NEEDED:
        verdicts = [authorizer.decide(admin, action, f"policy:{PLATFORM}") for admin in asked]
        if verdicts and not any(verdict.allowed for verdict in verdicts):
            who = asked[0].subject if len(asked) == 1 else f"every one of {len(asked)} admins"
            return f"{PLATFORM} would deny {action} to {who} ({verdicts[0].policy}), so that nobody could mend it."
    return None
