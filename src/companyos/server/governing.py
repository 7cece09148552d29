"""What guards the platform's own use cases in a process that has a journal: the policy, with the log of decisions."""

from __future__ import annotations

from companyos.ledger import Journal
from companyos.policy.activated import Activated
from companyos.policy.enforcing import PolicyAuthorizer
from companyos.policy.governing import Governing
from companyos.policy.model import PLATFORM
from companyos.policy.service import Policies
from companyos_sdk.policy.record import Recorder


def authorizer(journal: Journal, policies: Policies, recorder: Recorder) -> PolicyAuthorizer:
    """Return the authorizer over the policy that is active in the stage of this platform, or the one that ships."""
    active = Activated(policies, journal.settings.policy_stage, only=frozenset({PLATFORM}))
    return PolicyAuthorizer(Governing(active, recorder, journal.clock.monotonic).decider, journal.clock)
