from __future__ import annotations

import pytest

from companyos.core.access import Caller
from companyos.core.errors import NotFound
from companyos.ledger import Journal
from companyos.policy.log import DecisionLog, Decisions
from companyos.policy.replay import RecordedDecision
from companyos_sdk.policy.decision import Obligation
from companyos_sdk.rego.values import UNDEFINED
from tests.policy.log.lines import BUNDLE, MASK, PATHS, decision, fulfilment, id_of


def replayable(decisions: Decisions) -> list[RecordedDecision]:
    """Return what a replay gets."""
    return list(decisions.reader.records("acme/documents", "prod"))


@pytest.fixture
def known(journal: Journal, log: DecisionLog) -> Decisions:
    """Return the use cases where the bundle of the records is still known."""
    return Decisions(journal, log, lambda digest: PATHS if digest == BUNDLE.digest else None)


def test_a_replay_gets_the_newest_decisions_first(log: DecisionLog, known: Decisions) -> None:
    """Across segments, closed or open, each decision comes once; receipts are no decisions."""
    lines = [decision(f"s{number}") for number in range(6)]
    for number, line in enumerate(lines):
        log.record(line)
        log.record(fulfilment(id_of(line)))
        log.flush()
        if number in (1, 3):
            log.rotate()
    assert [one.audit_id for one in replayable(known)] == [id_of(line) for line in reversed(lines)]


def test_a_value_that_was_absent_is_told_from_one_never_read(log: DecisionLog, known: Decisions) -> None:
    """All that the bundle could read is there, with UNDEFINED where the request had nothing."""
    log.record(decision("ana", allow=False, obligations=(MASK,)))
    log.flush()
    (found,) = replayable(known)
    assert found.paths == PATHS
    assert found.values == ("ana", "high", "read", "eu", UNDEFINED)
    assert (found.allowed, found.reason, found.action) == (False, "residency.eu", "read")
    assert found.obligations == (Obligation("mask_fields", "mask_fields", {"fields": ["iban"]}),)


def test_of_an_unknown_bundle_only_what_was_there_is_known(log: DecisionLog, decisions: Decisions) -> None:
    """Without the bundle nobody can say that a value was looked for, so it counts as never read."""
    log.record(decision("ana"))
    log.flush()
    (found,) = replayable(decisions)
    assert found.paths == PATHS[:4]
    assert UNDEFINED not in found.values


def test_other_bundles_and_erased_subjects_are_left_out(log: DecisionLog, decisions: Decisions, admin: Caller) -> None:
    """A replay sees the decisions of its bundle and stage that can still be read."""
    log.record(decision("ana"))
    log.record(decision("ben"))
    log.record(decision("eve").replace(b'"stage":"prod"', b'"stage":"dev"'))
    log.record(decision("eve").replace(b'"acme/documents"', b'"acme/documents2"'))
    log.flush()
    decisions.erase(admin, "user", "ana", "r")
    assert [one.values[0] for one in replayable(decisions)] == ["ben"]


def test_a_record_that_lacks_what_was_read_is_not_replayable(log: DecisionLog, known: Decisions) -> None:
    """A denial because the request could not be written down holds no values, so nothing is guessed from it."""
    log.record(decision("ana", allow=False).replace(b'"residency.eu"', b'"policy.input"'))
    log.flush()
    (found,) = replayable(known)
    assert (found.paths, found.values) == ((), ())


def test_a_decision_that_never_was_is_not_found(decisions: Decisions, admin: Caller) -> None:
    """An unknown id, and a text that is none, are the same."""
    for audit_id in (id_of(decision()), "../../etc/passwd", "x" * 1000, ""):
        with pytest.raises(NotFound):
            decisions.find(admin, audit_id)


def test_a_decision_comes_before_its_receipts(log: DecisionLog, decisions: Decisions, admin: Caller) -> None:
    """Whoever looks up an audit id sees what was decided first, and where it is in the log."""
    line = decision("ana")
    log.record(fulfilment(id_of(line)))
    log.record(line)
    log.flush()
    first, second = decisions.find(admin, id_of(line))
    assert (first.kind, second.kind) == ("decision", "fulfilment")
    assert (first.segment, len(first.hash), first.stream) == (1, 64, second.stream)
