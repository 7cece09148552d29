from __future__ import annotations

from pathlib import Path

import pytest
from sqlalchemy import delete

from companyos.core.access import Caller
from companyos.core.errors import Denied
from companyos.ledger import Journal
from companyos.policy.log import DecisionLog, Decisions, segment
from companyos.policy.log.tables import decision_segments
from tests.policy.log.lines import decision, id_of


@pytest.fixture
def ids(log: DecisionLog) -> list[str]:
    """Return the audit ids of two closed segments with three records each, and an open one with two."""
    lines = [decision(f"s{number}") for number in range(8)]
    for number, line in enumerate(lines):
        log.record(line)
        log.flush()
        if number in (2, 5):
            log.rotate()
    return [id_of(line) for line in lines]


def file_of(log: DecisionLog, number: int) -> Path:
    """Return the file of a segment."""
    (found,) = log.folder.glob(f"*/{segment.name(number)}")
    return found


def test_an_untouched_log_is_whole(decisions: Decisions, admin: Caller, ids: list[str]) -> None:
    """Every record is counted, and how many of them the ledger covers."""
    report = decisions.verify(admin)
    assert (report.ok, report.streams, report.segments, report.records, report.rooted) == (True, 1, 3, 8, 6)
    assert report.last_good == ids[-1]
    assert report.torn_bytes == 0


def test_an_empty_log_is_whole(decisions: Decisions, admin: Caller) -> None:
    """A home that never decided anything has nothing at fault."""
    report = decisions.verify(admin)
    assert (report.ok, report.records, report.last_good) == (True, 0, None)


def change_record(file: Path, place: int) -> None:
    """Change one letter of a record."""
    rows = file.read_bytes().split(b"\n")
    rows[place] = rows[place].replace(b'"decision":"allow"', b'"decision":"alloW"')
    file.write_bytes(b"\n".join(rows))


def test_a_changed_record_is_named_by_the_last_good_one(
    log: DecisionLog, decisions: Decisions, admin: Caller, ids: list[str]
) -> None:
    """The fault says which segment, and that record 1 is the last good one when record 2 was changed."""
    change_record(file_of(log, 2), 2)
    chain, root = decisions.verify(admin).faults
    assert (chain.kind, chain.segment, chain.record, chain.last_good) == ("chain", 2, 1, ids[3])
    assert (root.kind, root.segment) == ("root", 2)


def test_a_change_in_the_open_segment_is_found_without_a_root(
    log: DecisionLog, decisions: Decisions, admin: Caller, ids: list[str]
) -> None:
    """Records that no ledger row covers yet are chained all the same."""
    change_record(file_of(log, 3), 1)
    report = decisions.verify(admin)
    assert [(fault.kind, fault.segment, fault.record) for fault in report.faults] == [("chain", 3, 0)]
    assert ids[6] != report.last_good


def rewrite(log: DecisionLog, number: int, keep: int) -> None:
    """Write a segment again with fewer records and links that fit, as somebody who knows the format could."""
    file = file_of(log, number)
    found = segment.scan(file.read_bytes())
    file.write_bytes(file.read_bytes()[: found.lines[keep].offset])


def test_a_shortened_segment_differs_from_its_root(
    log: DecisionLog, decisions: Decisions, admin: Caller, ids: list[str]
) -> None:
    """Links that fit do not help: the ledger knows the head and the number of records."""
    rewrite(log, 2, 2)
    (fault,) = decisions.verify(admin).faults
    assert (fault.kind, fault.segment, fault.record, fault.last_good) == ("root", 2, 2, ids[4])


@pytest.mark.parametrize("number", [1, 2])
def test_a_removed_segment_is_missed(
    log: DecisionLog, decisions: Decisions, admin: Caller, ids: list[str], number: int
) -> None:
    """The ledger knows each closed segment by its number."""
    file_of(log, number).unlink()
    faults = decisions.verify(admin).faults
    assert ("missing", number) in {(fault.kind, fault.segment) for fault in faults}
    assert ids


def test_a_removed_row_of_the_table_hides_nothing(
    journal: Journal, log: DecisionLog, decisions: Decisions, admin: Caller, ids: list[str]
) -> None:
    """What counts is the ledger: without the row of the table the segment is still compared with its root."""
    with journal.database.write() as connection:
        connection.execute(delete(decision_segments))
    assert decisions.verify(admin).rooted == 6
    change_record(file_of(log, 1), 1)
    assert not decisions.verify(admin).ok
    assert ids


def test_an_index_that_lies_is_named(log: DecisionLog, decisions: Decisions, admin: Caller, ids: list[str]) -> None:
    """An index from which somebody took a record is found out; reading goes by it, so it matters."""
    file = file_of(log, 1).with_suffix(".idx")
    file.write_bytes(file.read_bytes()[:-21])
    (fault,) = decisions.verify(admin).faults
    assert (fault.kind, fault.segment) == ("index", 1)
    file.unlink()
    assert decisions.verify(admin).ok
    assert decisions.reader.find(ids[0])


def test_a_torn_end_is_reported_and_no_fault(
    log: DecisionLog, decisions: Decisions, admin: Caller, ids: list[str]
) -> None:
    """What a dying process had begun to write is counted; the last good record is the one before it."""
    with file_of(log, 3).open("ab") as file:
        file.write(b"0" * 64 + b' {"half":')
    report = decisions.verify(admin)
    assert (report.ok, report.torn_bytes, report.last_good) == (True, 73, ids[-1])


def test_a_torn_end_under_a_root_is_a_fault(
    log: DecisionLog, decisions: Decisions, admin: Caller, ids: list[str]
) -> None:
    """Nothing is ever behind a closed segment."""
    with file_of(log, 1).open("ab") as file:
        file.write(b"more")
    assert [fault.kind for fault in decisions.verify(admin).faults] == ["chain"]
    assert ids


def test_it_takes_a_permission(decisions: Decisions, viewer: Caller) -> None:
    """Who may only look at services may neither verify nor look up decisions."""
    with pytest.raises(Denied):
        decisions.verify(viewer)
    with pytest.raises(Denied):
        decisions.find(viewer, "x")
