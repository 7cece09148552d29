from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from companyos.core import dsse
from companyos.core.access import Caller
from companyos.core.artifacts import ArtifactStore
from companyos.core.clock import ManualClock
from companyos.core.errors import Conflict, Denied, TooLarge
from companyos.core.keys import KeyStore
from companyos.core.statement import verify
from companyos.ledger import Journal
from companyos.policy.errors import BundleRefused, NothingActive
from companyos.policy.service import Policies
from companyos.policy.shelf import MAX_BYTES, Shelf
from companyos_sdk.bundle import open_bundle, pack, unpack
from tests.pillar import person, records
from tests.policy.bundles import ALLOW, BUNDLE_ID, built, deny, files
from tests.policy.people import Checks, bring, promote, publish

RULES = {"read": ALLOW}


def test_a_bundle_is_published_once_with_what_its_tests_say(
    policies: Policies, author: Caller, journal: Journal
) -> None:
    """The Statement about its tests is signed and names the content; the same again changes nothing."""
    signed = policies.sign(author, built(RULES), "dev")
    published = policies.publish(author, signed.bundle)
    assert (published.bundle_id, published.version, published.published_by) == (BUNDLE_ID, "1.0.0", author.subject)
    assert published.content_digest == signed.content_digest
    assert published.obligations == ("log_event",)
    envelope = dsse.decode(ArtifactStore(journal.settings.folder.artifacts).read(published.attestation or "", 100_000))
    keys = KeyStore(journal.settings.folder.keys, journal.clock).public_keys("attestation")
    claim = verify(envelope, [key.public_key for key in keys])
    assert claim.is_about("sha256", published.content_digest.removeprefix("sha256:"))
    assert (claim.predicate["passed"], claim.predicate["failed"]) == (3, 0)
    size = journal.size()
    assert policies.publish(person("olga", "operator"), signed.bundle) == published
    assert journal.size() == size


def test_another_content_under_a_published_version_is_refused(policies: Policies, author: Caller) -> None:
    """A version means one content for ever."""
    publish(policies, author, RULES)
    with pytest.raises(Conflict, match="published already, with another content"):
        publish(policies, author, {"read": deny("x")})


def test_what_was_published_untested_is_tested_when_it_is_sent_again(
    policies: Policies, author: Caller, checks: Checks, journal: Journal
) -> None:
    """A platform that had no compiler then has one now; the author stays who it was."""
    found, checks.found = checks.found, None
    untested = publish(policies, author, RULES)
    assert untested.tests is None
    checks.found = found
    tested = policies.publish(person("olga", "operator"), policies.sign(author, built(RULES), "dev").bundle)
    assert (tested.tests, tested.published_by) == (found, author.subject)
    assert policies.get_published(author, BUNDLE_ID, "1.0.0") == tested
    assert records(journal)[-1].verb == "policy.test"


@pytest.mark.parametrize("stage", [None, "staging", "prod"])
def test_what_is_not_signed_for_dev_is_not_published(
    policies: Policies, author: Caller, shelf: Shelf, stage: Any
) -> None:
    """Unsigned, or signed for another stage: nothing is stored."""
    data = built(RULES)
    if stage is not None:
        data = shelf.seal(unpack(data), stage)
    with pytest.raises(BundleRefused) as refused:
        policies.publish(author, data)
    assert refused.value.code == ("unsigned" if stage is None else "unknown-key")
    assert policies.list_published(author).items == []


def test_a_bundle_signed_by_another_home_is_not_published(
    policies: Policies, author: Caller, tmp_path: Any, clock: ManualClock
) -> None:
    """Trust is this platform's own, whatever a bundle says of its key."""
    from companyos_sdk.bundle import seal

    other = KeyStore(tmp_path / "other", clock).signer("bundle-dev")
    policies.sign(author, built(RULES), "dev")
    with pytest.raises(BundleRefused) as refused:
        policies.publish(author, seal(files(RULES), other, "dev", now=clock.now()))
    assert refused.value.code == "unknown-key"


@pytest.mark.parametrize(
    ("data", "fault"),
    [(b"", BundleRefused), (b"{}", BundleRefused), (b"\x1f\x8b" + b"\0" * MAX_BYTES, TooLarge)],
)
def test_what_is_no_bundle_is_refused(policies: Policies, author: Caller, data: bytes, fault: type[Exception]) -> None:
    """Both for signing and for publishing, and before anything is stored."""
    with pytest.raises(fault):
        policies.sign(author, data, "dev")
    with pytest.raises(fault):
        policies.publish(author, data)


def test_a_bundle_without_a_manifest_is_not_signed(policies: Policies, author: Caller) -> None:
    """There is nothing that says what it is."""
    with pytest.raises(BundleRefused, match=r"no \.manifest"):
        policies.sign(author, pack({"data.json": b"{}"}), "dev")


def test_the_platform_signs_beyond_dev_only_what_is_active_there(
    policies: Policies, author: Caller, approver: Caller, admin: Caller
) -> None:
    """Otherwise a signature would be a promotion that nobody approved."""
    with pytest.raises(Denied):
        policies.sign(author, built(RULES), "prod")
    with pytest.raises(NothingActive):
        policies.sign(admin, built(RULES), "prod")
    bring(policies, author, approver, RULES, "1.0.0")
    with pytest.raises(Conflict, match=r"1\.1\.0 is not what is active in prod"):
        policies.sign(admin, built(RULES, "1.1.0"), "prod")
    with pytest.raises(Conflict):
        policies.sign(admin, built({"read": ALLOW, "more": ALLOW}), "prod")
    assert policies.sign(admin, built(RULES), "prod").stage == "prod"


def test_each_stage_has_a_key_of_its_own_and_the_key_never_leaves(
    policies: Policies, author: Caller, approver: Caller, shelf: Shelf, clock: ManualClock
) -> None:
    """What is active in prod is opened with the key of prod, and with no other stage's."""
    bring(policies, author, approver, RULES, "1.0.0")
    trust = shelf.trust()
    keys = set()
    for stage in ("dev", "staging", "prod"):
        data, _ = policies.fetch(author, BUNDLE_ID, stage)
        keys.add(open_bundle(data, trust, stage, now=clock.now()).key_id)
    assert len(keys) == 3


def test_a_rotated_key_does_not_keep_a_version_from_going_on(
    policies: Policies, author: Caller, shelf: Shelf, journal: Journal, clock: ManualClock
) -> None:
    """What was signed for dev by a key that is over now is still what was published; it is signed anew per stage."""
    publish(policies, author, RULES)
    KeyStore(journal.settings.folder.keys, clock).rotate("bundle-dev", overlap=timedelta(hours=1))
    clock.advance(7200)
    assert promote(policies, author, "1.0.0", "dev").outcome == "promoted"
    assert promote(policies, author, "1.0.0", "staging", without_replay=True).outcome == "promoted"
    active = policies.active(BUNDLE_ID, "dev")
    assert active is not None
    data, _ = policies.fetch(author, BUNDLE_ID, "dev")
    assert open_bundle(data, shelf.trust(), "dev", now=clock.now()).content_digest == active.content_digest
