"""The policy that the platform ships decides as the role table does, and its plan is that of its source."""

from __future__ import annotations

import itertools
import subprocess
import sys
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from companyos.core.access import Caller
from companyos.core.clock import ManualClock
from companyos.identity.roles import ACTIONS, ROLES, SIGNED_IN, RoleAuthorizer
from companyos.policy.enforcing import PolicyAuthorizer, shipped_decider
from companyos_sdk.policy.decider import Decider
from companyos_sdk.policy.decision import BundleIdentity
from companyos_sdk.policy.record import MemoryRecorder
from tests.needs import ROOT, needs

NOW = datetime(2026, 11, 28, tzinfo=UTC)


@pytest.fixture
def log() -> MemoryRecorder:
    """A log of decisions in memory."""
    return MemoryRecorder()


@pytest.fixture
def authorizer(log: MemoryRecorder) -> PolicyAuthorizer:
    """What a fresh home authorizes with."""
    decider = shipped_decider(log)
    return PolicyAuthorizer(lambda: decider, ManualClock(NOW))


def asker(roles: frozenset[str], *, signed_in: bool = True) -> Caller:
    """Somebody with these roles."""
    return Caller(subject="user:olga", roles=roles, subject_id="subject" if signed_in else None, ip="192.0.2.7")


@needs("rego")
def test_the_plan_is_that_of_the_source() -> None:
    """Whoever changes the policy compiles it again."""
    done = subprocess.run(
        [sys.executable, "-m", "tools.policies", "--check"], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr


def test_every_role_and_action_is_decided_as_the_table_says(authorizer: PolicyAuthorizer) -> None:
    """Verdict, rule and sentence are the same, for each role alone and for nobody."""
    table = RoleAuthorizer()
    for action in sorted(ACTIONS | SIGNED_IN | {"session.open"}):
        for roles in [frozenset[str](), *(frozenset({role}) for role in ROLES), frozenset({"unheard-of"})]:
            for signed_in in (True, False):
                caller = asker(roles, signed_in=signed_in)
                told, known = (one.decide(caller, action, "service:shop") for one in (authorizer, table))
                assert (told.allowed, told.policy, told.reason) == (known.allowed, known.policy, known.reason), (
                    action,
                    roles,
                )


@given(roles=st.frozensets(st.sampled_from(ROLES)), action=st.sampled_from(sorted(ACTIONS)))
def test_the_least_powerful_role_is_the_reason(roles: frozenset[str], action: str) -> None:
    """Whatever roles somebody has together."""
    decider = shipped_decider(MemoryRecorder())
    told = PolicyAuthorizer(lambda: decider, ManualClock(NOW)).decide(asker(roles), action, "service:shop")
    assert told.policy == RoleAuthorizer().decide(asker(roles), action, "service:shop").policy


def test_each_decision_has_a_record(authorizer: PolicyAuthorizer, log: MemoryRecorder) -> None:
    """With what the policy read, and under the audit id that the verdict names."""
    verdicts = [
        authorizer.decide(asker(frozenset({"operator"})), action, "release:shop@1.0", {"environment": "production"})
        for action in ("release.deploy", "token.issue")
    ]
    records = log.decoded()
    assert [one["audit_id"] for one in records] == [verdict.audit_id for verdict in verdicts]
    assert [one["decision"] for one in records] == ["allow", "deny"]
    assert records[0]["bundle"]["id"] == "companyos/platform"
    assert records[0]["action"] == "release.deploy"


class Scripted:
    """A program that always says the same."""

    input_paths: tuple[tuple[str, ...], ...] = ()

    def __init__(self, value: object) -> None:
        """Take what it says."""
        self.value = value

    def observe(self, input: object) -> tuple[object, tuple[object, ...]]:
        """Return it."""
        del input
        return self.value, ()


def says(value: object, recorder: MemoryRecorder) -> PolicyAuthorizer:
    """An authorizer over a policy that always says this."""
    decider = Decider(Scripted(value), BundleIdentity(id="companyos/platform"), recorder)
    return PolicyAuthorizer(lambda: decider, ManualClock(NOW))


def test_an_obligation_that_the_platform_cannot_fulfil_is_a_denial(log: MemoryRecorder) -> None:
    """A page cannot ask for a second factor, so what needs one is closed; what only is to be logged is open."""
    admin = asker(frozenset({"admin"}))
    for kind, allowed in (("require_mfa", False), ("log_event", True)):
        policy = says({"decision": "allow", "reason": "mine", "obligations": [{"id": kind}]}, log)
        verdict = policy.decide(admin, "token.issue", "service:ci")
        assert (verdict.allowed, verdict.obligations) == (allowed, (kind,))


@pytest.mark.parametrize("value", [None, True, "allow", {"decision": "allow"}, {"allow": True}])
def test_whatever_is_no_decision_is_a_denial(value: object, log: MemoryRecorder) -> None:
    """Also to an admin."""
    verdict = says(value, log).decide(asker(frozenset({"admin"})), "token.issue", "service:ci")
    assert not verdict.allowed
    assert verdict.policy == "policy.invalid"


def test_without_room_in_the_log_nothing_is_allowed() -> None:
    """A decision that cannot be recorded is none."""
    decider = shipped_decider(MemoryRecorder(limit=1))
    authorizer = PolicyAuthorizer(lambda: decider, ManualClock(NOW))
    verdicts = [authorizer.decide(asker(frozenset({"admin"})), "token.read", "tokens") for _ in range(2)]
    assert [one.allowed for one in verdicts] == [True, False]
    assert "could not be recorded" in verdicts[1].reason


def test_facts_do_not_rename_the_resource(log: MemoryRecorder) -> None:
    """What is known of a resource cannot pretend that it is another one."""

    class Reading(Scripted):
        def observe(self, input: object) -> tuple[object, tuple[object, ...]]:
            assert isinstance(input, dict)
            seen.append(input["resource"])
            return super().observe(input)

    seen: list[dict[str, str]] = []
    decider = Decider(Reading(None), BundleIdentity(), log)
    PolicyAuthorizer(lambda: decider, ManualClock(NOW)).decide(
        asker(frozenset()), "release.deploy", "release:shop@1.0", {"id": "other", "type": "x", "service": "shop"}
    )
    assert seen == [{"id": "shop@1.0", "type": "release", "service": "shop"}]


def test_the_table_is_complete() -> None:
    """Each action of the table is decided for somebody, so no row is dead."""
    reached = {
        action
        for role, action in itertools.product(ROLES, ACTIONS)
        if RoleAuthorizer().decide(asker(frozenset({role})), action, "x").allowed
    }
    assert reached == ACTIONS
