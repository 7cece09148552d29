from __future__ import annotations

import threading

import pytest

from companyos.core.access import Caller
from companyos.core.errors import Denied, InvalidInput, NotFound
from companyos.ledger import Journal
from companyos.policy.log import DecisionLog, Decisions
from companyos.policy.log.keys import Keys, owner
from companyos.policy.log.tables import decision_keys
from tests.pillar import database as both_databases
from tests.pillar import records
from tests.policy.log.lines import decision, fulfilment, id_of

database = both_databases


def test_a_subject_keeps_its_key(journal: Journal) -> None:
    """Every record of a subject is sealed with the same key, in whichever process; others have others."""
    first = Keys(journal).of({owner("user", "ana"), owner("user", "ben")})
    again = Keys(journal).of({owner("user", "ana")})
    assert again[owner("user", "ana")].id == first[owner("user", "ana")].id
    assert len({key.id for key in first.values()}) == 2


def test_racing_processes_agree_on_a_key(journal: Journal) -> None:
    """Whoever makes the key first wins, and the others use that one."""
    wanted = {owner("user", f"s{number}") for number in range(20)}
    found: list[dict[str, str]] = []
    barrier = threading.Barrier(4)

    def run() -> None:
        barrier.wait()
        found.append({whose: key.id for whose, key in Keys(journal).of(wanted).items()})

    threads = [threading.Thread(target=run) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(found) == 4
    assert all(one == found[0] for one in found)


def test_owners_cannot_be_confused() -> None:
    """The digest is over type and id with their border, and takes whatever text an id is."""
    assert owner("user", "x") != owner("use", "rx")
    assert owner("", "\ud800") != owner("", "\ud801")


def test_an_erasure_deletes_the_key_and_says_so(
    journal: Journal, log: DecisionLog, decisions: Decisions, admin: Caller
) -> None:
    """The values of every decision about a subject are gone at once; the ledger says who did it and why."""
    gone, kept = decision("ana"), decision("ben")
    log.record(gone)
    log.record(kept)
    log.flush()
    erased = decisions.erase(admin, "user", "ana", "asked for by ana")
    assert decisions.reader.find(id_of(gone))[0].erased
    assert decisions.reader.find(id_of(kept))[0].subject.id == "ben"
    row = records(journal)[-1]
    assert (row.verb, row.target, row.details) == (
        "decision.erase",
        f"decisions:{erased}",
        {"key": erased, "reason": "asked for by ana"},
    )
    with journal.read() as connection:
        stored = {row.id: row for row in connection.execute(decision_keys.select())}
    assert (stored[erased].key, stored[erased].subject) == (None, None)
    report = decisions.verify(admin)
    assert (report.ok, report.erased) == (True, 1)


def test_a_subject_that_comes_back_gets_another_key(log: DecisionLog, decisions: Decisions, admin: Caller) -> None:
    """What is decided after an erasure is sealed with a new key, and can be erased again."""
    log.record(decision("ana"))
    log.flush()
    first = decisions.erase(admin, "user", "ana", "r")
    line = decision("ana")
    log.keys.refresh()
    log.record(line)
    log.flush()
    assert decisions.reader.find(id_of(line))[0].subject.id == "ana"
    assert decisions.erase(admin, "user", "ana", "r") != first


def test_receipts_are_erased_with_their_decision(log: DecisionLog, decisions: Decisions, admin: Caller) -> None:
    """A receipt is sealed with the key of its decision, also when that is in an older segment."""
    line = decision("ana")
    log.record(line)
    log.record(fulfilment(id_of(line)))
    log.rotate()
    log.record(fulfilment(id_of(line)))
    log.flush()
    found = decisions.reader.find(id_of(line))
    assert [(one.kind, one.erased) for one in found] == [
        ("decision", False),
        ("fulfilment", False),
        ("fulfilment", False),
    ]
    decisions.erase(admin, "user", "ana", "r")
    assert [one.erased for one in decisions.reader.find(id_of(line))] == [True, True, True]


def test_what_an_erasure_refuses(log: DecisionLog, decisions: Decisions, admin: Caller, viewer: Caller) -> None:
    """It takes the permission, a reason, and a subject that decisions were about."""
    log.record(decision("ana"))
    log.flush()
    with pytest.raises(Denied):
        decisions.erase(viewer, "user", "ana", "r")
    with pytest.raises(InvalidInput, match="needs a reason"):
        decisions.erase(admin, "user", "ana", " ")
    with pytest.raises(NotFound, match="No decision was ever about"):
        decisions.erase(admin, "user", "nobody", "r")
