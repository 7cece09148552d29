from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from companyos.core.access import Caller
from companyos.core.errors import Conflict
from companyos.policy.errors import NoWayBack
from companyos.policy.returning import Step, way_back
from companyos.policy.service import Policies
from companyos_sdk.bundle import version_key
from tests.policy.bundles import ALLOW, BUNDLE_ID
from tests.policy.people import bring, promote

RULES = {"read": ALLOW}
OWNER = Caller(subject="os:owner", roles=frozenset())


def down(policies: Policies, caller: Caller, *, local: bool, version: str | None = None) -> str:
    """Go back in prod, as somebody or as the owner of the home, and return the version."""
    back = policies.roll_back_locally if local else policies.roll_back
    return back(OWNER if local else caller, BUNDLE_ID, "prod", version=version, reason="Back.").version


@pytest.mark.parametrize("local", [False, True])
def test_two_rollbacks_go_two_steps_down_and_a_third_is_refused(
    policies: Policies, author: Caller, approver: Caller, *, local: bool
) -> None:
    """The second does not bring back what the first has taken back; what is active stays when nothing is left."""
    for version in ("1.9.0", "1.10.0", "1.11.0"):
        bring(policies, author, approver, RULES, version)
    assert down(policies, approver, local=local) == "1.10.0"
    assert down(policies, approver, local=local) == "1.9.0"
    with pytest.raises(NoWayBack, match="no lower version"):
        down(policies, approver, local=local)
    active = policies.active(BUNDLE_ID, "prod")
    assert active is not None
    assert active.version == "1.9.0"


@pytest.mark.parametrize("local", [False, True])
def test_a_rollback_that_names_a_higher_version_is_refused(
    policies: Policies, author: Caller, approver: Caller, *, local: bool
) -> None:
    """The way up is a promotion, with its approval and its replay; the sentence names it."""
    for version in ("1.0.0", "1.1.0"):
        bring(policies, author, approver, RULES, version)
    down(policies, approver, local=local)
    with pytest.raises(Conflict, match="a rollback only goes down") as refused:
        down(policies, approver, local=local, version="1.1.0")
    assert refused.value.next_step == f"companyos policy promote {BUNDLE_ID}@1.1.0 --to prod"


def test_a_renewed_signature_is_no_step(policies: Policies, author: Caller, approver: Caller, admin: Caller) -> None:
    """What was active before the version is still found behind it."""
    for version in ("1.0.0", "1.1.0"):
        bring(policies, author, approver, RULES, version)
    policies.renew(admin, BUNDLE_ID, "prod", reason="r")
    assert down(policies, approver, local=False) == "1.0.0"


def test_what_was_promoted_again_may_be_gone_back_to(policies: Policies, author: Caller, approver: Caller) -> None:
    """Somebody has approved it once more."""
    for version in ("1.0.0", "1.1.0"):
        bring(policies, author, approver, RULES, version)
    down(policies, approver, local=False)
    promote(policies, approver, "1.1.0", "prod", without_replay=True)
    bring(policies, author, approver, RULES, "1.2.0")
    assert down(policies, approver, local=False) == "1.1.0"


def test_what_was_taken_back_has_to_be_named(policies: Policies, author: Caller, approver: Caller) -> None:
    """By itself a rollback passes over it, although it was active most lately."""
    for version in ("1.0.0", "1.1.0"):
        bring(policies, author, approver, RULES, version)
    down(policies, approver, local=False)
    bring(policies, author, approver, RULES, "1.2.0")
    assert down(policies, approver, local=False, version="1.1.0") == "1.1.0"
    bring(policies, author, approver, RULES, "1.3.0")
    assert down(policies, approver, local=False) == "1.0.0"


def test_something_that_became_active_meanwhile_stops_a_rollback(
    policies: Policies, author: Caller, approver: Caller, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Two people go back at once: the second would otherwise decide from what was active before the first."""
    for version in ("1.0.0", "1.1.0", "1.2.0"):
        bring(policies, author, approver, RULES, version)
    others = [approver]
    made_ready = policies._made_ready  # noqa: SLF001 - what happens between looking and switching has no other name

    def late(*arguments: Any, **options: Any) -> Any:
        if others:
            down(policies, others.pop(), local=False)
        return made_ready(*arguments, **options)

    monkeypatch.setattr(policies, "_made_ready", late)
    with pytest.raises(Conflict, match="became active in prod meanwhile"):
        down(policies, approver, local=False)
    active = policies.active(BUNDLE_ID, "prod")
    assert active is not None
    assert active.version == "1.1.0"


@given(st.lists(st.one_of(st.none(), st.integers(0, 12)), max_size=25))
def test_the_way_back_is_always_down_to_what_was_not_taken_back(moves: list[int | None]) -> None:
    """A number is the promotion of a version where it is higher; None is a rollback."""
    steps: list[Step] = []
    bad: set[str] = set()
    for move in moves:
        here = steps[-1].version if steps else None
        if move is None:
            found = way_back(steps)
            if found is None:
                continue
            assert here is not None
            assert version_key(found) < version_key(here)
            bad.add(here)
            assert found not in bad
            assert found in {step.version for step in steps}
            steps.append(Step(found, "rollback", here))
        elif here is None or version_key(f"1.{move}.0") > version_key(here):
            bad.discard(f"1.{move}.0")
            steps.append(Step(f"1.{move}.0", "promote", here))
