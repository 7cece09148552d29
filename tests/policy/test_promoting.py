from __future__ import annotations

import pytest
from sqlalchemy import update

from companyos.core.access import Caller
from companyos.core.artifacts import ArtifactStore
from companyos.core.clock import ManualClock
from companyos.core.errors import Denied, IntegrityFault
from companyos.ledger import Journal
from companyos.operations import Operations
from companyos.policy.errors import BundleNotFound
from companyos.policy.service import Policies
from companyos.policy.tables import policy_activations
from tests.pillar import person, records
from tests.policy.bundles import ALLOW, BUNDLE_ID, deny, owing
from tests.policy.people import Checks, Decided, bring, codes, promote, publish

RULES = {"read": ALLOW, "transfer": deny("residency.eu"), "export": owing("log_event")}


def test_a_version_goes_from_dev_over_staging_to_prod(
    policies: Policies, author: Caller, approver: Caller, journal: Journal, decided: Decided
) -> None:
    """The author brings it to staging, a colleague to prod; each step is an activation, a record and a Statement."""
    publish(policies, author, RULES)
    decided.add("staging", "read", ALLOW, 20)
    decided.add("prod", "export", owing("log_event"), 20)
    assert promote(policies, author, "1.0.0", "dev").outcome == "promoted"
    assert promote(policies, author, "1.0.0", "staging").outcome == "promoted"
    told = promote(policies, approver, "1.0.0", "prod")
    assert told.outcome == "promoted"
    assert told.activation is not None
    assert (told.activation.by, told.activation.approver) == (approver.subject, approver.subject)
    assert told.replay is not None
    assert (told.replay.total, told.replay.same, told.replay.replayable_ratio) == (20, 20, 1.0)
    assert "20 of 20 recorded decisions (100 %) were decided again: all the same" in told.sentence
    active = [policies.active(BUNDLE_ID, stage) for stage in ("dev", "staging", "prod")]
    assert len({one.content_digest for one in active if one}) == 1
    assert len({one.digest for one in active if one}) == 3, "each stage has a signature of its own"
    verbs = [row.verb for row in records(journal) if row.verb.startswith("policy.")]
    assert verbs == ["policy.sign", "policy.publish", "policy.publish", "policy.promote", "policy.promote"]
    assert ArtifactStore(journal.settings.folder.artifacts).has(told.activation.attestation or "")


def test_a_stage_cannot_be_skipped(policies: Policies, author: Caller, approver: Caller) -> None:
    """What is not active in the stage before does not go on, and the sentence names the stage and the command."""
    publish(policies, author, RULES)
    told = promote(policies, approver, "1.0.0", "prod", without_replay=True)
    assert codes(told) == ["stage.skipped"]
    assert "not active in staging" in told.blocks[0].sentence
    assert told.blocks[0].next_step == f"companyos policy promote {BUNDLE_ID}@1.0.0 --to staging"
    assert policies.active(BUNDLE_ID, "prod") is None


def test_what_was_replaced_in_the_stage_before_does_not_go_on(policies: Policies, author: Caller) -> None:
    """Only what is active there now counts: an earlier version may have been taken back for a reason."""
    for version in ("1.0.0", "1.1.0"):
        publish(policies, author, RULES, version)
        assert promote(policies, author, version, "dev").outcome == "promoted"
    assert codes(promote(policies, author, "1.0.0", "staging", without_replay=True)) == ["stage.skipped"]


def test_nobody_promotes_what_was_never_published(policies: Policies, author: Caller) -> None:
    """An unknown version is a 404."""
    with pytest.raises(BundleNotFound, match=r"companyos/documents@9\.0\.0"):
        promote(policies, author, "9.0.0", "dev")


def test_a_content_that_changed_between_stages_does_not_go_on(
    policies: Policies, author: Caller, journal: Journal
) -> None:
    """Were the content in staging another one than in dev, the promotion says which digests differ."""
    publish(policies, author, RULES)
    promote(policies, author, "1.0.0", "dev")
    with journal.database.write() as connection:
        connection.execute(update(policy_activations).values(content_digest="sha256:" + "0" * 64))
    told = promote(policies, author, "1.0.0", "staging", without_replay=True)
    assert codes(told) == ["digest.changed"]
    assert "sha256:" + "0" * 64 in told.blocks[0].sentence


def test_a_lower_or_equal_version_does_not_take_the_place_of_the_active_one(policies: Policies, author: Caller) -> None:
    """Going down is for a rollback only; 1.10.0 is above 1.9.0."""
    for version in ("1.9.0", "1.10.0"):
        publish(policies, author, RULES, version)
        assert promote(policies, author, version, "dev").outcome == "promoted"
    told = promote(policies, author, "1.9.0", "dev")
    assert codes(told) == ["version.not_higher"]
    assert "1.9.0 is not above 1.10.0" in told.blocks[0].sentence


def test_what_is_active_already_changes_nothing(policies: Policies, author: Caller, journal: Journal) -> None:
    """The same promotion again says so, and leaves no record."""
    publish(policies, author, RULES)
    promote(policies, author, "1.0.0", "dev")
    size = journal.size()
    assert promote(policies, author, "1.0.0", "dev").outcome == "unchanged"
    assert journal.size() == size


@pytest.mark.parametrize(
    ("found", "code", "says"),
    [
        (None, "tests.missing", "has not run the tests"),
        ({"failed": 1, "failures": ("residency_test.rego:4: test_eu fails.",)}, "tests.failed", "test_eu fails"),
        ({"passed": 0}, "tests.failed", "has no tests"),
        ({"coverage_ratio": 0.7999}, "tests.coverage", "79.9 %"),
        ({"coverage_ratio": 0.9, "coverage_wanted": 1.0}, "tests.coverage", "100 % are needed"),
    ],
)
def test_tests_and_coverage_are_needed_beyond_dev(
    policies: Policies, author: Caller, checks: Checks, found: dict[str, object] | None, code: str, says: str
) -> None:
    """What the platform could not test, what fails and what is hardly covered stays in dev."""
    if found is None:
        checks.found = None
    else:
        checks.change(**found)
    publish(policies, author, RULES)
    assert promote(policies, author, "1.0.0", "dev").outcome == "promoted"
    told = promote(policies, author, "1.0.0", "staging", without_replay=True)
    assert codes(told) == [code]
    assert says in told.blocks[0].sentence


def test_the_author_does_not_bring_it_to_prod_under_another_token_either(
    policies: Policies, author: Caller, approver: Caller
) -> None:
    """The person counts and not the token; nothing of what the author signs off counts in prod."""
    publish(policies, author, RULES)
    promote(policies, author, "1.0.0", "dev")
    promote(policies, author, "1.0.0", "staging", without_replay=True)
    renamed = Caller(subject="user:ann-at-home", roles=author.roles, subject_id=author.subject_id)
    namesake = Caller(subject=author.subject, roles=author.roles, subject_id=approver.subject_id)
    for again in (author, renamed, namesake):
        told = promote(policies, again, "1.0.0", "prod", without_replay=True)
        assert codes(told) == ["signoff.author", "replay.nothing", "approval.missing"]
    assert promote(policies, approver, "1.0.0", "prod", without_replay=True).outcome == "promoted"


def test_a_program_and_somebody_at_the_files_approve_nothing(
    policies: Policies, author: Caller, approver: Caller
) -> None:
    """Of neither can anybody say whether the author stands behind it."""
    publish(policies, author, RULES)
    promote(policies, author, "1.0.0", "dev")
    promote(policies, author, "1.0.0", "staging", without_replay=True)
    program = person("robot", "admin", type="service")
    at_the_files = Caller(subject="os:root", roles=frozenset({"admin"}))
    for nobody in (program, at_the_files):
        assert "approval.missing" in codes(promote(policies, nobody, "1.0.0", "prod"))


def test_what_was_written_at_the_files_is_approved_by_nobody(
    policies: Policies, author: Caller, approver: Caller
) -> None:
    """Nobody can be proven to be somebody else than the unknown author."""
    publish(policies, Caller(subject="os:ann", roles=frozenset({"admin"})), RULES)
    promote(policies, author, "1.0.0", "dev")
    promote(policies, author, "1.0.0", "staging", without_replay=True)
    assert "approval.missing" in codes(promote(policies, approver, "1.0.0", "prod", without_replay=True))


def test_an_approval_of_a_colleague_lets_the_author_promote(
    policies: Policies, author: Caller, approver: Caller, journal: Journal, decided: Decided, clock: ManualClock
) -> None:
    """With a standing approval the author may bring it to prod, which names who approved; an old one has ended."""
    published = publish(policies, author, RULES)
    decided.add("prod", "read", ALLOW, 3)
    promote(policies, author, "1.0.0", "dev")
    promote(policies, author, "1.0.0", "staging", without_replay=True)
    operations = Operations(journal)
    subject = f"policy:{published.name}"
    asked = operations.request_approval(author, subject, kind="promotion", reason="Please look.")
    assert codes(promote(policies, author, "1.0.0", "prod")) == ["approval.missing"]
    operations.decide_approval(approver, asked.id, "approve", reason="Looks right.")
    clock.advance(8 * 86400)
    assert codes(promote(policies, author, "1.0.0", "prod")) == ["approval.missing"]
    again = operations.request_approval(author, subject, kind="promotion", reason="Once more.")
    operations.decide_approval(approver, again.id, "approve", reason="Still right.")
    told = promote(policies, author, "1.0.0", "prod")
    assert told.activation is not None
    assert (told.activation.approver, told.activation.approval_id) == (approver.subject, again.id)


def test_an_approval_by_the_author_of_what_another_has_asked_for_does_not_count(
    policies: Policies, author: Caller, approver: Caller, journal: Journal, decided: Decided
) -> None:
    """Four eyes are those of the author of the policy, not of the request."""
    published = publish(policies, author, RULES)
    decided.add("prod", "read", ALLOW, 3)
    promote(policies, author, "1.0.0", "dev")
    promote(policies, author, "1.0.0", "staging", without_replay=True)
    operations = Operations(journal)
    asked = operations.request_approval(
        person("olga", "operator"), f"policy:{published.name}", kind="promotion", reason="Go on."
    )
    operations.decide_approval(author, asked.id, "approve", reason="I wrote it.")
    assert codes(promote(policies, author, "1.0.0", "prod")) == ["approval.missing"]


def test_roles_decide_who_may_promote(policies: Policies, author: Caller, operator: Caller, viewer: Caller) -> None:
    """An operator publishes and activates in dev; staging takes more; a viewer may only look at a dry run."""
    publish(policies, operator, RULES)
    with pytest.raises(Denied):
        promote(policies, viewer, "1.0.0", "dev")
    assert promote(policies, viewer, "1.0.0", "dev", dry_run=True).outcome == "possible"
    assert promote(policies, operator, "1.0.0", "dev").outcome == "promoted"
    with pytest.raises(Denied):
        promote(policies, operator, "1.0.0", "staging", without_replay=True)
    assert promote(policies, author, "1.0.0", "staging", without_replay=True).outcome == "promoted"


def test_a_dry_run_shows_everything_and_changes_nothing(policies: Policies, author: Caller, journal: Journal) -> None:
    """It names all blocks at once, and neither the ledger nor the stage knows of it."""
    publish(policies, author, RULES)
    size = journal.size()
    told = promote(policies, author, "1.0.0", "prod", dry_run=True)
    assert codes(told) == ["stage.skipped", "replay.nothing", "approval.missing"]
    assert told.activation is None
    assert journal.size() == size


def test_a_blocked_promotion_is_recorded_with_its_reasons(policies: Policies, author: Caller, journal: Journal) -> None:
    """The ledger says who wanted what, and what stood against it."""
    publish(policies, author, RULES)
    promote(policies, author, "1.0.0", "staging")
    last = records(journal)[-1]
    assert (last.verb, last.actor, last.target) == ("policy.block", author.subject, f"policy:{BUNDLE_ID}@1.0.0")
    assert last.details["blocks"] == ["replay.nothing", "stage.skipped"]


def test_a_damaged_bundle_leaves_the_last_good_one_active_and_says_so(
    policies: Policies, author: Caller, approver: Caller, journal: Journal
) -> None:
    """What cannot be read any more is noted at the stage, in the ledger and in the outbox; a success takes it away."""
    bring(policies, author, approver, RULES, "1.0.0")
    published = publish(policies, author, {**RULES, "erase": ALLOW}, "1.1.0")
    hexadecimal = published.digest.removeprefix("sha256:")
    file = journal.settings.folder.artifacts / "sha256" / hexadecimal[:2] / hexadecimal[2:]
    good = file.read_bytes()
    file.chmod(0o600)
    file.write_bytes(good[:-1] + bytes([good[-1] ^ 1]))
    with pytest.raises(IntegrityFault, match="damaged"):
        promote(policies, author, "1.1.0", "dev")
    active = policies.active(BUNDLE_ID, "dev")
    assert active is not None
    assert active.version == "1.0.0"
    status = next(one for one in policies.stages() if one.stage == "dev")
    assert status.failed_version == "1.1.0"
    assert "damaged" in (status.failure or "")
    assert [row.verb for row in records(journal)][-2:] == ["policy.fail", "notification.queue"]
    file.write_bytes(good)
    assert promote(policies, author, "1.1.0", "dev").outcome == "promoted"
    assert next(one for one in policies.stages() if one.stage == "dev").failure is None
