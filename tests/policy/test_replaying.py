from __future__ import annotations

import threading
from collections.abc import Iterator
from typing import Any

import pytest

from companyos.core.access import Caller
from companyos.core.errors import Conflict, InvalidInput, Unavailable
from companyos.ledger import Journal
from companyos.policy.replay import RecordedDecision
from companyos.policy.service import Policies
from tests.pillar import records
from tests.policy.bundles import ALLOW, BUNDLE_ID, deny, owing
from tests.policy.people import Checks, Decided, bring, codes, promote, publish

OLD = {"read": ALLOW, "transfer": deny("residency.eu"), "export": owing("log_event")}
OPENED = {**OLD, "transfer": ALLOW}
SILENT = {**OLD, "export": ALLOW}


@pytest.fixture
def in_prod(policies: Policies, author: Caller, approver: Caller, decided: Decided) -> Policies:
    """Return a home where 1.0.0 decides in prod and has decided there, and 1.1.0 is to come."""
    bring(policies, author, approver, OLD, "1.0.0")
    for action, answer in OLD.items():
        decided.add("prod", action, answer, 100)
    return policies


def stage(policies: Policies, author: Caller, rules: dict[str, Any], version: str = "1.1.0") -> None:
    """Bring a version to staging, where nothing was decided."""
    publish(policies, author, rules, version)
    for place in ("dev", "staging"):
        assert promote(policies, author, version, place, without_replay=True).outcome == "promoted"


def test_a_denial_that_would_be_allowed_blocks_until_a_colleague_names_it(
    in_prod: Policies, author: Caller, approver: Caller, journal: Journal
) -> None:
    """The block says how it is signed off; the activation and the ledger keep what was signed off."""
    stage(in_prod, author, OPENED)
    told = promote(in_prod, approver, "1.1.0", "prod")
    assert codes(told) == ["replay.allowed"]
    block = told.blocks[0]
    assert "100 recorded denials would be allowed: residency.eu → default.allow" in block.sentence
    name = "deny_to_allow:transfer:residency.eu"
    assert block.next_step.endswith(f"--acknowledge {name}=100")
    told = promote(in_prod, approver, "1.1.0", "prod", acknowledged={name: 100})
    assert told.outcome == "promoted"
    assert told.activation is not None
    assert told.activation.acknowledged == {name: 100}
    assert records(journal)[-1].details["acknowledged"] == {name: 100}


def test_a_sign_off_counts_for_what_was_seen_and_no_more(
    in_prod: Policies, author: Caller, approver: Caller, decided: Decided
) -> None:
    """Decisions that came in after the dry run, another name, and a kind that covers it do not pass."""
    stage(in_prod, author, OPENED)
    name = "deny_to_allow:transfer:residency.eu"
    decided.add("prod", "transfer", OLD["transfer"])
    for acknowledged in ({name: 100}, {"deny_to_allow:transfer:*": 1000}, {"deny_to_allow": 1000}, {}):
        assert codes(promote(in_prod, approver, "1.1.0", "prod", acknowledged=acknowledged)) == ["replay.allowed"]
    assert promote(in_prod, approver, "1.1.0", "prod", acknowledged={name: 101}).outcome == "promoted"


def test_a_lost_obligation_blocks_until_it_is_named(in_prod: Policies, author: Caller, approver: Caller) -> None:
    """What is allowed as before and owes less is no small difference."""
    stage(in_prod, author, SILENT)
    told = promote(in_prod, approver, "1.1.0", "prod")
    assert codes(told) == ["replay.obligation"]
    assert "would owe less" in told.blocks[0].sentence
    acknowledged = {"obligation_lost:export:log_event": 100}
    assert promote(in_prod, approver, "1.1.0", "prod", acknowledged=acknowledged).outcome == "promoted"


def test_an_author_signs_nothing_off_in_prod(in_prod: Policies, author: Caller) -> None:
    """Naming a difference takes somebody else; in staging the author may."""
    stage(in_prod, author, OPENED)
    told = promote(in_prod, author, "1.1.0", "prod", acknowledged={"deny_to_allow:transfer:residency.eu": 100})
    assert codes(told) == ["signoff.author", "replay.allowed", "approval.missing"]


def test_an_author_may_sign_off_in_staging(policies: Policies, author: Caller, decided: Decided) -> None:
    """Before prod, the author says what is meant."""
    publish(policies, author, OLD)
    promote(policies, author, "1.0.0", "dev")
    promote(policies, author, "1.0.0", "staging", without_replay=True)
    decided.add("staging", "transfer", OLD["transfer"], 2)
    publish(policies, author, OPENED, "1.1.0")
    promote(policies, author, "1.1.0", "dev")
    assert codes(promote(policies, author, "1.1.0", "staging")) == ["replay.allowed"]
    acknowledged = {"deny_to_allow:transfer:residency.eu": 2}
    assert promote(policies, author, "1.1.0", "staging", acknowledged=acknowledged).outcome == "promoted"


def test_what_denies_more_or_owes_more_is_shown_and_blocks_nothing(
    in_prod: Policies, author: Caller, approver: Caller
) -> None:
    """Closing something needs no sign-off."""
    stage(in_prod, author, {**OLD, "read": deny("dlp.clearance"), "export": owing("log_event", "alert")})
    told = promote(in_prod, approver, "1.1.0", "prod")
    assert told.outcome == "promoted"
    assert told.replay is not None
    assert (told.replay.allow_to_deny, told.replay.obligations_gained, told.replay.same) == (100, 100, 100)
    assert "100 would be denied instead of allowed, 100 would gain one" in told.sentence


def test_nothing_to_replay_is_said_and_has_to_be_signed_off(
    policies: Policies, author: Caller, approver: Caller
) -> None:
    """A first version has no record; that is neither a pass nor a failure."""
    publish(policies, author, OLD)
    promote(policies, author, "1.0.0", "dev")
    promote(policies, author, "1.0.0", "staging", without_replay=True)
    told = promote(policies, approver, "1.0.0", "prod")
    assert codes(told) == ["replay.nothing"]
    assert "nothing to replay" in told.blocks[0].sentence
    assert told.replay is not None
    assert told.replay.outcome == "nothing"
    told = promote(policies, approver, "1.0.0", "prod", without_replay=True)
    assert told.activation is not None
    assert told.activation.without_replay


@pytest.mark.parametrize(("lacking", "outcome"), [(15, "promoted"), (16, "blocked")])
def test_below_95_percent_of_replayable_decisions_it_blocks(
    in_prod: Policies, author: Caller, approver: Caller, decided: Decided, lacking: int, outcome: str
) -> None:
    """300 of 315 are 95.2 %, 300 of 316 are 94.9 %: the share is shown, and what most records lack."""
    stage(in_prod, author, OLD)
    decided.add("prod", "read", ALLOW, lacking, paths=(("environment",),), values=({},))
    told = promote(in_prod, approver, "1.1.0", "prod")
    assert told.outcome == outcome
    assert told.replay is not None
    assert told.replay.replayable == 300
    if outcome == "blocked":
        assert codes(told) == ["replay.share"]
        assert "Only 94.9 % of 316" in told.blocks[0].sentence
        assert "16 do not hold" in told.blocks[0].sentence


def test_little_to_replay_can_be_signed_off_and_what_it_shows_still_counts(
    in_prod: Policies, author: Caller, approver: Caller, decided: Decided
) -> None:
    """A policy that reads something new could go nowhere otherwise; the flips that are seen block as ever."""
    stage(in_prod, author, OPENED)
    decided.add("prod", "read", ALLOW, 600, paths=(("environment",),), values=({},))
    assert codes(promote(in_prod, approver, "1.1.0", "prod")) == ["replay.share", "replay.allowed"]
    assert codes(promote(in_prod, approver, "1.1.0", "prod", without_replay=True)) == ["replay.allowed"]


def test_the_decisions_of_the_target_stage_are_replayed(in_prod: Policies, author: Caller, decided: Decided) -> None:
    """Not those of where it comes from, and for dev none at all."""
    decided.asked.clear()
    publish(in_prod, author, OLD, "1.1.0")
    promote(in_prod, author, "1.1.0", "dev")
    assert decided.asked == []
    promote(in_prod, author, "1.1.0", "staging", without_replay=True)
    assert decided.asked == [(BUNDLE_ID, "staging")]


def test_an_activation_between_the_replay_and_the_switch_is_not_overwritten(
    journal: Journal, checks: Checks, author: Caller, approver: Caller
) -> None:
    """What was replayed against one active version does not take the place of another."""

    class Meanwhile:
        """Records whose reading takes so long that somebody rolls back."""

        armed = False

        def records(self, bundle_id: str, stage: str) -> Iterator[RecordedDecision]:
            """Roll back while the replay reads."""
            if self.armed:
                self.armed = False
                policies.roll_back(approver, bundle_id, "prod", reason="Not good.")
            yield from Decided().records(bundle_id, stage)

    meanwhile = Meanwhile()
    policies = Policies(journal, meanwhile, checks)
    for version in ("1.0.0", "1.1.0"):
        bring(policies, author, approver, OLD, version)
    stage(policies, author, OPENED, "1.2.0")
    meanwhile.armed = True
    with pytest.raises(Conflict, match=r"became active in prod meanwhile: 1\.0\.0"):
        promote(policies, approver, "1.2.0", "prod", without_replay=True)
    active = policies.active(BUNDLE_ID, "prod")
    assert active is not None
    assert active.version == "1.0.0"


def test_one_replay_runs_at_a_time(journal: Journal, checks: Checks, author: Caller, approver: Caller) -> None:
    """A replay takes a processor for seconds; the second one is told to wait instead of taking another."""
    reading, release = threading.Event(), threading.Event()

    class Slow:
        """Records that come when they are let go."""

        def records(self, bundle_id: str, stage: str) -> Iterator[RecordedDecision]:
            """Wait."""
            reading.set()
            assert release.wait(30)
            yield from Decided().records(bundle_id, stage)

    policies = Policies(journal, Slow(), checks)
    publish(policies, author, OLD)
    promote(policies, author, "1.0.0", "dev")
    first = threading.Thread(target=promote, args=(policies, author, "1.0.0", "staging"), kwargs={"dry_run": True})
    first.start()
    assert reading.wait(30)
    try:
        with pytest.raises(Unavailable, match="Another replay"):
            promote(policies, approver, "1.0.0", "staging", dry_run=True)
    finally:
        release.set()
        first.join()
    assert promote(policies, approver, "1.0.0", "staging", dry_run=True).outcome == "blocked"


def test_sign_offs_are_bounded(policies: Policies, author: Caller) -> None:
    """A list of thousands is no sign-off."""
    publish(policies, author, OLD)
    with pytest.raises(InvalidInput, match="At most 200"):
        promote(policies, author, "1.0.0", "dev", acknowledged={f"n{number}": 1 for number in range(201)})
