from __future__ import annotations

from datetime import timedelta

import pytest

from companyos.core.access import Caller
from companyos.core.clock import ManualClock
from companyos.core.errors import Conflict, Denied, InvalidInput
from companyos.core.keys import KeyStore
from companyos.ledger import Journal
from companyos.policy.errors import NeverActive, NothingActive, NoWayBack
from companyos.policy.service import Policies
from companyos.policy.shelf import Shelf
from companyos_sdk.bundle import Active, BundleError, open_bundle
from tests.pillar import records
from tests.policy.bundles import ALLOW, BUNDLE_ID, deny
from tests.policy.people import bring, codes, promote, publish

RULES = {"read": ALLOW}
OWNER = Caller(subject="os:owner", roles=frozenset())


@pytest.fixture
def twice(policies: Policies, author: Caller, approver: Caller) -> Policies:
    """Return a home where 1.1.0 is active in prod and 1.0.0 was."""
    for version in ("1.0.0", "1.1.0"):
        bring(policies, author, approver, RULES, version)
    return policies


def test_a_rollback_goes_back_to_the_version_before(twice: Policies, approver: Caller, journal: Journal) -> None:
    """With a reason, which the ledger keeps."""
    back = twice.roll_back(approver, BUNDLE_ID, "prod", reason="Too many denials.")
    assert (back.version, back.previous, back.kind) == ("1.0.0", "1.1.0", "rollback")
    assert twice.active(BUNDLE_ID, "prod") == back
    last = records(journal)[-1]
    assert (last.verb, last.actor, last.details["reason"]) == (
        "policy.rollback",
        approver.subject,
        "Too many denials.",
    )
    assert [one.kind for one in twice.history(approver, BUNDLE_ID, stage="prod").items] == [
        "rollback",
        "promote",
        "promote",
    ]


def test_deciders_take_a_rollback_and_nothing_else_that_goes_down(
    twice: Policies, approver: Caller, shelf: Shelf, clock: ManualClock
) -> None:
    """The signature names the version that is taken back; the older bytes themselves stay refused."""
    before, _ = twice.fetch(approver, BUNDLE_ID, "prod")
    trust = shelf.trust()
    opened = open_bundle(before, trust, "prod", now=clock.now())
    there = Active(version="1.1.0", checksum=opened.content_digest, signed_at=opened.signed_at)
    twice.roll_back(approver, BUNDLE_ID, "prod", reason="Back.")
    data, _ = twice.fetch(approver, BUNDLE_ID, "prod")
    assert open_bundle(data, trust, "prod", now=clock.now(), active_version=there).metadata.version == "1.0.0"
    first = next(one for one in twice.history(approver, BUNDLE_ID, stage="prod").items if one.previous is None)
    with pytest.raises(BundleError) as refused:
        open_bundle(shelf.read(first.digest), trust, "prod", now=clock.now(), active_version=there)
    assert refused.value.code == "rolled-back"


def test_after_a_rollback_the_bad_version_does_not_come_back_by_itself(
    twice: Policies, author: Caller, approver: Caller
) -> None:
    """It can be promoted again, because it is above the active one; that is a decision with all that it takes."""
    twice.roll_back(approver, BUNDLE_ID, "prod", reason="Back.")
    assert codes(promote(twice, author, "1.1.0", "prod")) == ["replay.nothing", "approval.missing"]
    assert promote(twice, approver, "1.1.0", "prod", without_replay=True).outcome == "promoted"


def test_there_is_no_way_back_to_what_was_never_there(twice: Policies, author: Caller, approver: Caller) -> None:
    """Not to a version that only dev knew, not to the active one, not in an empty stage, not under an odd name."""
    publish(twice, author, RULES, "1.2.0")
    promote(twice, author, "1.2.0", "dev")
    with pytest.raises(NeverActive, match=r"1\.2\.0 was never active in prod"):
        twice.roll_back(approver, BUNDLE_ID, "prod", version="1.2.0", reason="r")
    with pytest.raises(Conflict, match="active in prod already"):
        twice.roll_back(approver, BUNDLE_ID, "prod", version="1.1.0", reason="r")
    with pytest.raises(NothingActive):
        twice.roll_back(approver, "companyos/other", "prod", reason="r")
    with pytest.raises(InvalidInput):
        twice.roll_back(approver, "../etc", "prod", reason="r")
    with pytest.raises(InvalidInput):
        twice.roll_back(approver, BUNDLE_ID, "prod", version="latest", reason="r")


def test_the_first_version_has_none_before_it(policies: Policies, author: Caller, approver: Caller) -> None:
    """Going back from it would leave nothing active."""
    bring(policies, author, approver, RULES, "1.0.0")
    with pytest.raises(NoWayBack, match=r"nothing to go back to from companyos/documents@1\.0\.0 in prod"):
        policies.roll_back(approver, BUNDLE_ID, "prod", reason="r")


def test_who_may_only_promote_may_not_roll_back(twice: Policies, author: Caller) -> None:
    """It is a permission of its own."""
    with pytest.raises(Denied):
        twice.roll_back(author, BUNDLE_ID, "prod", reason="r")


def test_the_owner_of_the_home_needs_no_permission(twice: Policies, journal: Journal) -> None:
    """Not even a role; the ledger names them and says that no policy was asked."""
    back = twice.roll_back_locally(OWNER, BUNDLE_ID, "prod", reason="Locked out.")
    assert back.version == "1.0.0"
    last = records(journal)[-1]
    assert (last.actor, last.policy, last.verb) == ("os:owner", "local:owner", "policy.rollback")


def test_nobody_else_gets_around_the_policy(twice: Policies, admin: Caller) -> None:
    """An admin with a token asks the policy like everybody."""
    for caller in (admin, Caller(subject="os:owner", subject_id=admin.subject_id), Caller(subject="system:loop")):
        with pytest.raises(Denied):
            twice.roll_back_locally(caller, BUNDLE_ID, "prod", reason="r")


def test_a_rollback_survives_a_version_that_denies_everything(
    policies: Policies, author: Caller, approver: Caller
) -> None:
    """What it denies does not matter for other bundles than the platform's own."""
    bring(policies, author, approver, RULES, "1.0.0")
    publish(policies, author, {"read": deny("everything")}, "1.1.0")
    promote(policies, author, "1.1.0", "dev")
    assert policies.roll_back(approver, BUNDLE_ID, "dev", reason="r").version == "1.0.0"


def test_after_a_rotation_what_is_active_is_signed_anew(
    twice: Policies, approver: Caller, admin: Caller, journal: Journal, shelf: Shelf, clock: ManualClock
) -> None:
    """Deciders refuse the old signature once its key is over, and take the new one, which changes nothing else."""
    KeyStore(journal.settings.folder.keys, clock).rotate("bundle-prod", overlap=timedelta(hours=1))
    clock.advance(7200)
    old, _ = twice.fetch(approver, BUNDLE_ID, "prod")
    with pytest.raises(BundleError) as refused:
        open_bundle(old, shelf.trust(), "prod", now=clock.now())
    assert refused.value.code == "expired-key"
    with pytest.raises(Denied):
        twice.renew(approver, BUNDLE_ID, "prod", reason="r")
    renewed = twice.renew(admin, BUNDLE_ID, "prod", reason="The key was rotated.")
    data, digest = twice.fetch(approver, BUNDLE_ID, "prod")
    assert digest == renewed.digest
    bundle = open_bundle(data, shelf.trust(), "prod", now=clock.now())
    assert (bundle.metadata.version, bundle.content_digest) == ("1.1.0", renewed.content_digest)
    with pytest.raises(NothingActive):
        twice.renew(admin, "companyos/other", "prod", reason="r")
