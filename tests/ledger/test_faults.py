"""Processes that write at once, and processes that are killed while they do, on every database."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from sqlalchemy import text

from companyos.core.access import Caller
from companyos.core.settings import Settings
from companyos.ledger import Journal, open_journal, raw
from companyos.ledger.body import read
from companyos.ledger.model import Report

ROOT = Path(__file__).resolve().parents[2]
WRITERS = 4


@pytest.fixture
def opened(database_url: str, tmp_path: Path) -> Iterator[Journal]:
    """Return a journal whose home and database other processes can open, with a number that they count up."""
    journal = open_journal(Settings(home=str(tmp_path / "home"), database_url=database_url))
    with journal.database.write() as connection:
        connection.execute(text("CREATE TABLE counter (value integer)"))
        connection.execute(text("INSERT INTO counter VALUES (0)"))
    yield journal
    journal.close()


@contextmanager
def writers(journal: Journal, changes: int, count: int = WRITERS) -> Iterator[list[subprocess.Popen[str]]]:
    """Start writers; whatever still runs at the end is killed."""
    children = [
        subprocess.Popen(
            [
                sys.executable,
                "-m",
                "tests.ledger.writer",
                journal.settings.home,
                journal.settings.database_url,
                f"writer-{number}",
                str(changes),
            ],
            cwd=ROOT,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        for number in range(count)
    ]
    try:
        yield children
    finally:
        for child in children:
            child.kill()
            child.communicate()


def is_sound(journal: Journal) -> Report:
    """Return the report, which must be a good one."""
    with journal.read() as connection:
        *_, report = journal.ledger.verify(connection)
    assert isinstance(report, Report)
    assert report.ok, report.fault
    return report


def recorded(journal: Journal) -> list[tuple[int, int]]:
    """Return value and part of each recorded step, in order, after checking that no index is left out."""
    with journal.read() as connection:
        rows = raw.bodies(connection, 0, 100_000)
    assert [index for index, _ in rows] == list(range(len(rows)))
    found = [read(index, body or b"") for index, body in rows]
    return [(one.details["value"], one.details["part"]) for one in found if one.verb == "counter.add"]


def counted(journal: Journal) -> int:
    """Return the number that the writers count up."""
    with journal.read() as connection:
        return int(connection.execute(text("SELECT value FROM counter")).scalar_one())


def check_whole(journal: Journal) -> int:
    """Check that each change has all of its records, and each record its change; return how many changes there are."""
    found = recorded(journal)
    values = [value for value, part in found if part == 0]
    assert values == list(range(1, counted(journal) + 1)), "a change was lost, doubled or recorded without being made"
    parts: dict[int, list[int]] = {}
    for value, part in found:
        parts.setdefault(value, []).append(part)
    assert all(numbers == list(range(len(numbers))) for numbers in parts.values())
    assert is_sound(journal).size >= len(found)
    return len(values)


def test_four_processes_write_at_once(opened: Journal) -> None:
    """Four processes that change the same row lose no update, meet no lock error, and leave one unbroken ledger."""
    with writers(opened, changes=30) as children:
        answers = [child.communicate(timeout=90) for child in children]
    assert [error for _, error in answers] == [""] * WRITERS
    assert [child.returncode for child in children] == [0] * WRITERS
    told = sorted(int(line) for out, _ in answers for line in out.split())
    assert told == list(range(1, 30 * WRITERS + 1))
    assert check_whole(opened) == 30 * WRITERS


def test_a_process_that_ends_takes_nothing_from_one_that_goes_on(opened: Journal) -> None:
    """Whoever opens, writes and closes the database beside a running process leaves that one its locks and its log."""
    for value in range(1, 7, 2):
        with opened.write(Caller(subject="user:ana")) as change:
            change.connection.execute(text("UPDATE counter SET value = :value"), {"value": value})
            change.record(verb="counter.add", target="counter", details={"value": value, "part": 0})
        beside = open_journal(opened.settings)  # opens more connections in this process too
        assert beside.size() == opened.size()
        beside.close()
        with writers(opened, changes=1, count=1) as children:
            assert children[0].communicate(timeout=60) == (f"{value + 1}\n", "")
    assert check_whole(opened) == 6


def test_killed_writers_leave_no_gap_and_no_fork(opened: Journal) -> None:
    """SIGKILL in the middle of appends from four processes: what was answered is there, and the ledger verifies."""
    told: list[int] = []
    for killed_after in (3, 20):
        with writers(opened, changes=0) as children:
            for child in children:
                assert child.stdout is not None
                told += [int(child.stdout.readline()) for _ in range(killed_after)]
            for child in children:
                child.kill()
            for child in children:
                assert child.stdout is not None
                assert child.stderr is not None
                # Lines may wait in the reader's own buffer, which `communicate` would pass over.
                told += [int(line) for line in child.stdout.read().split("\n")[:-1]]
                assert child.stderr.read() == ""
                child.wait()
        done = check_whole(opened)
        assert set(told) <= set(range(1, done + 1)), "a change that was answered is gone"
        assert len(told) == len(set(told))
    with opened.write(Caller(subject="user:ana")) as change:
        change.record(verb="counter.look", target="counter")
    is_sound(opened)
