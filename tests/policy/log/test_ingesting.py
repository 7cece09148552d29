from __future__ import annotations

import threading
from typing import Any

import msgspec
import pytest

from companyos.core.access import Caller
from companyos.core.errors import Denied, Unavailable
from companyos.ledger import Journal
from companyos.policy.log import DecisionLog, Decisions, ingesting
from tests.pillar import person
from tests.policy.log.lines import decision, fulfilment, id_of

SERVICE = person("checkout", "operator", type="service")


def test_a_batch_is_stored_and_says_from_whom(decisions: Decisions) -> None:
    """Everything new is accepted, and the record knows who sent it."""
    lines = [decision("ana"), decision("ben", allow=False)]
    outcome = decisions.ingest(SERVICE, b"\n".join(lines) + b"\n")
    assert (outcome.accepted, outcome.duplicates, outcome.rejected) == (2, 0, ())
    found = decisions.reader.find(id_of(lines[1]))[0]
    assert (found.source, found.subject.id, found.decision) == ("service:checkout", "ben", "deny")


def test_the_same_batch_again_changes_nothing(decisions: Decisions, admin: Caller) -> None:
    """A service that got no answer sends again; what is there already counts as a duplicate."""
    lines = [decision() for _ in range(3)]
    receipt = fulfilment(id_of(lines[0]))
    body = b"\n".join([*lines, receipt])
    assert decisions.ingest(SERVICE, body).accepted == 4
    again = decisions.ingest(SERVICE, body + b"\n" + (new := decision()))
    assert (again.accepted, again.duplicates) == (1, 4)
    assert len(decisions.reader.find(id_of(lines[0]))) == 2
    assert decisions.reader.find(id_of(new))
    assert decisions.verify(admin).records == 5


def test_a_record_twice_in_one_batch_is_stored_once(decisions: Decisions, admin: Caller) -> None:
    """A batch may repeat itself."""
    line = decision()
    outcome = decisions.ingest(SERVICE, line + b"\n\n" + line)
    assert (outcome.accepted, outcome.duplicates) == (1, 1)
    assert decisions.verify(admin).records == 1


def test_a_duplicate_is_known_across_restarts_and_processes(journal: Journal, decisions: Decisions) -> None:
    """Segments that are closed, and streams of other processes, count too."""
    closed, opened, other = decision(), decision(), decision()
    decisions.ingest(SERVICE, closed)
    decisions.log.rotate()
    decisions.ingest(SERVICE, opened)
    second = Decisions(journal, DecisionLog(journal))
    outcome = second.ingest(SERVICE, b"\n".join([closed, opened, other]))
    assert (outcome.accepted, outcome.duplicates) == (1, 2)
    second.log.close()
    decisions.log.close()
    third = Decisions(journal, DecisionLog(journal))
    assert third.ingest(SERVICE, b"\n".join([closed, opened, other])).duplicates == 3
    third.log.close()


def test_two_who_send_the_same_at_once_store_it_once(journal: Journal, admin: Caller) -> None:
    """Comparing and writing is one step, in all processes of a home."""
    lines = b"\n".join(decision() for _ in range(50))
    logs = [DecisionLog(journal), DecisionLog(journal)]
    outcomes: list[Any] = []
    barrier = threading.Barrier(2)

    def send(log: DecisionLog) -> None:
        barrier.wait()
        outcomes.append(Decisions(journal, log).ingest(SERVICE, lines))

    threads = [threading.Thread(target=send, args=(log,)) for log in logs]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted((one.accepted, one.duplicates) for one in outcomes) == [(0, 50), (50, 0)]
    assert Decisions(journal, logs[0]).verify(admin).records == 50
    for log in logs:
        log.close()


BAD = {
    "no JSON": (b"{", "not JSON"),
    "a key twice": (b'{"audit_id":"x","audit_id":"y"}', "more than once"),
    "NaN": (b'{"audit_id":NaN}', "NaN"),
    "too deep": (b'{"inputs":' + b"[" * 200 + b"]" * 200 + b"}", "nested too deeply"),
    "no id": (b'{"at":"now"}', "audit_id"),
    "another kind": (b'{"audit_id":"%b","at":"","kind":"joke"}' % id_of(decision()).encode(), "kind"),
    "an id that is none": (decision().replace(b'"audit_id":"', b'"audit_id":"X'), "no UUID"),
    "no decision": (decision().replace(b'"decision":"allow"', b'"decision":"maybe"'), "neither allow nor deny"),
    "control characters": (decision().replace(b"role.bound", b"role\\u001b[2J"), "printable"),
    "a long reason": (decision().replace(b"role.bound", b"x" * 600), "printable"),
    "inputs that are a list": (decision().replace(b'"inputs":{', b'"inputs":[],"x":{'), "no object"),
    "a huge number": (decision().replace(b'"latency_us":', b'"latency_us":1e999,"x":'), "out of range"),
    "too long": (decision(clearance="~").replace(b"~", b"x" * 600_000), "limit"),
    "no UTF-8": (decision(clearance="~").replace(b"~", b"\xff"), "UTF-8"),
    "a surrogate": (decision(clearance="~").replace(b"~", b"\\ud800"), "surrogate"),
}


@pytest.mark.parametrize("case", BAD)
def test_one_bad_record_rejects_the_batch(decisions: Decisions, case: str) -> None:
    """The answer names the line and what is wrong with it, and nothing of the batch is stored."""
    line, reason = BAD[case]
    good = decision()
    outcome = decisions.ingest(SERVICE, b"\n".join([good, line]))
    assert outcome.accepted == 0
    (rejected,) = outcome.rejected
    assert rejected.line == 2
    assert reason in rejected.reason
    assert decisions.reader.find(id_of(good)) == []


def test_a_rejected_record_is_named_by_its_id(decisions: Decisions) -> None:
    """Where a line has an id that can be shown, the answer has it."""
    line = decision().replace(b'"decision":"allow"', b'"decision":"maybe"')
    (rejected,) = decisions.ingest(SERVICE, line).rejected
    assert rejected.audit_id == id_of(line)


def test_a_batch_has_a_number_of_records(decisions: Decisions, monkeypatch: pytest.MonkeyPatch) -> None:
    """More records than a batch may have are refused before any is looked at."""
    monkeypatch.setattr(ingesting, "MAX_RECORDS", 2)
    (rejected,) = decisions.ingest(SERVICE, b"x\nx\nx").rejected
    assert "up to 2 records" in rejected.reason


def test_an_empty_batch_is_fine(decisions: Decisions) -> None:
    """Nothing sent is nothing stored."""
    assert decisions.ingest(SERVICE, b"\n \n").accepted == 0
    assert not decisions.log.folder.exists()


def test_it_takes_the_permission(decisions: Decisions, viewer: Caller) -> None:
    """Not everybody may write into the log of decisions."""
    with pytest.raises(Denied):
        decisions.ingest(viewer, decision())


def test_a_log_that_takes_nothing_says_so(decisions: Decisions) -> None:
    """Who sends is told to come back, and keeps what it has."""
    decisions.log.close()
    with pytest.raises(Unavailable, match="closed") as fault:
        decisions.ingest(SERVICE, decision())
    assert "again" in fault.value.next_step


def test_a_batch_is_not_acknowledged_before_it_is_on_the_disk(
    decisions: Decisions, monkeypatch: pytest.MonkeyPatch
) -> None:
    """When the disk does not take it in time, the answer is no success."""
    monkeypatch.setattr(ingesting, "_PATIENCE_S", 0.05)
    monkeypatch.setattr(DecisionLog, "_append", lambda _log, _batch: (_ for _ in ()).throw(OSError(28, "No space")))
    with pytest.raises(Unavailable, match="No space"):
        decisions.ingest(SERVICE, decision())
    monkeypatch.undo()


def test_a_foreign_field_survives(decisions: Decisions) -> None:
    """A service with a newer SDK loses nothing of its records."""
    line = decision()[:-1] + b',"mood":"good"}'
    decisions.ingest(SERVICE, line)
    found = decisions.reader.find(id_of(line))[0]
    assert found.line is not None
    assert msgspec.json.decode(found.line)["mood"] == "good"
