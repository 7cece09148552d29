from __future__ import annotations

from typing import Any

import pytest

from companyos.core.access import Caller
from companyos.core.errors import Conflict
from companyos.identity import Identity
from companyos.ledger import Journal
from companyos.policy.guards import NEEDED, lockout
from companyos.policy.model import PLATFORM
from companyos.policy.promoting import Order
from companyos.policy.service import Policies
from companyos_sdk import rego
from tests.pillar import person
from tests.policy.bundles import ALLOW, deny, plan
from tests.policy.people import codes, publish

ENTRYPOINT = "data.companyos.documents.decision"
BY_ACTION = {"policy.publish": ALLOW, "policy.promote": ALLOW, "policy.rollback": ALLOW}


def program(rules: dict[str, Any], *paths: tuple[str, ...]) -> Any:
    """A policy that looks the answer up by the values at these paths."""
    return rego.load(plan(paths or (("action",),)), {"rules": rules}, ENTRYPOINT)


def to_dev(policies: Policies, caller: Caller, version: str) -> Any:
    """Try to activate a policy of the platform in dev."""
    return policies.promote(caller, Order(bundle_id=PLATFORM, version=version, stage="dev", reason="r"))


@pytest.mark.parametrize("missing", NEEDED)
def test_a_policy_that_denies_the_last_admin_is_named(missing: str, journal: Journal, admin: Caller) -> None:
    """Each of the actions by which a policy is mended has to be allowed to somebody."""
    now = journal.clock.now()
    assert lockout(PLATFORM, program(BY_ACTION), [admin], now) is None
    why = lockout(PLATFORM, program({**BY_ACTION, missing: deny("night.shift")}), [admin], now)
    assert why == f"{PLATFORM} would deny {missing} to user:root (night.shift), so that nobody could mend it."


def test_one_admin_who_may_is_enough(journal: Journal, admin: Caller) -> None:
    """A policy may take the right from all but one."""
    rules = {"user:root": BY_ACTION, "user:rita": {action: deny("x") for action in BY_ACTION}}
    made = program(rules, ("subject", "id"), ("action",))
    rita = person("rita", "admin")
    assert lockout(PLATFORM, made, [rita, admin], journal.clock.now()) is None
    assert "user:rita" in (lockout(PLATFORM, made, [rita], journal.clock.now()) or "")
    many = lockout(PLATFORM, made, [rita, person("rosa", "admin")], journal.clock.now())
    assert "every one of 2 admins" in (many or "")


@pytest.mark.parametrize(
    "answer",
    [
        {"decision": "maybe", "reason": "x", "obligations": []},
        {**ALLOW, "obligations": [{"id": "require_mfa", "type": "require_mfa", "properties": {}}]},
    ],
)
def test_an_allowance_that_the_platform_cannot_honour_is_a_denial(
    answer: dict[str, Any], journal: Journal, admin: Caller
) -> None:
    """It is asked as the platform asks: an answer that is none, or an obligation nobody fulfils, locks out too."""
    made = program({**BY_ACTION, "policy.promote": answer})
    assert "policy.promote" in (lockout(PLATFORM, made, [admin], journal.clock.now()) or "")


def test_other_bundles_may_deny_what_they_like(journal: Journal, admin: Caller) -> None:
    """And without any admin there is nobody to lock out."""
    nothing = program({})
    assert lockout("companyos/documents", nothing, [admin], journal.clock.now()) is None
    assert lockout(PLATFORM, nothing, [], journal.clock.now()) is None
    assert lockout(PLATFORM, nothing, [admin], journal.clock.now()) is not None


def test_it_is_refused_at_publication_and_at_activation(policies: Policies, admin: Caller, journal: Journal) -> None:
    """With a real admin in the home a policy that locks them out is not even published; one that is good is."""
    policies_of_nobody = {"policy.read": ALLOW}
    published = publish(policies, admin, policies_of_nobody, "1.0.0", bundle_id=PLATFORM)
    assert published.version == "1.0.0", "there was no admin yet"
    Identity(journal).bootstrap_admin()
    told = to_dev(policies, admin, "1.0.0")
    assert codes(told) == ["platform.lockout"]
    assert "user:admin" in told.blocks[0].sentence
    with pytest.raises(Conflict, match="nobody could mend it"):
        publish(policies, admin, policies_of_nobody, "1.1.0", bundle_id=PLATFORM)
    publish(policies, admin, BY_ACTION, "1.2.0", bundle_id=PLATFORM)
    assert to_dev(policies, admin, "1.2.0").outcome == "promoted"


def test_a_rollback_does_not_lock_out_either(policies: Policies, admin: Caller, journal: Journal) -> None:
    """What was fine before there were admins is looked at again, also for the owner of the home."""
    publish(policies, admin, {"policy.read": ALLOW}, "1.0.0", bundle_id=PLATFORM)
    assert to_dev(policies, admin, "1.0.0").outcome == "promoted"
    Identity(journal).bootstrap_admin()
    publish(policies, admin, BY_ACTION, "1.1.0", bundle_id=PLATFORM)
    assert to_dev(policies, admin, "1.1.0").outcome == "promoted"
    with pytest.raises(Conflict, match="nobody could mend it"):
        policies.roll_back(admin, PLATFORM, "dev", reason="r")
    active = policies.active(PLATFORM, "dev")
    assert active is not None
    assert active.version == "1.1.0"
