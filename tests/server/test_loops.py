from __future__ import annotations

import logging
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from companyos.core.clock import ManualClock
from companyos.core.database import Database
from companyos.core.leases import Leases
from companyos.core.settings import Settings
from companyos.server.loops import HUNG_S, LEASE_S, SLOWEST_RETRY_S, Loop, Loops, Report, pause_s, state_of
from tests.waiting import until

NOW = ManualClock().now()
WELL = Report(name="x", interval_s=1.0, alive=True, done_at=NOW)


@pytest.fixture
def database(settings: Settings) -> Iterator[Database]:
    """Return the database of the home."""
    opened = Database.open(settings.resolved_database_url)
    yield opened
    opened.close()


@contextmanager
def running(database: Database, clock: ManualClock, loop: Loop, holder: str = "one") -> Iterator[Loops]:
    """Give a loop that runs."""
    loops = Loops([loop], Leases(database, clock), clock, holder)
    loops.start()
    try:
        yield loops
    finally:
        loops.stop()


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({}, "up"),
        ({"done_at": None}, "unknown"),
        ({"done_at": None, "standby": True}, "up"),
        ({"failures": 1, "error": "ValueError"}, "down"),
        ({"alive": False}, "down"),
        ({"running_since": NOW - timedelta(seconds=HUNG_S - 1)}, "up"),
        ({"running_since": NOW - timedelta(seconds=HUNG_S + 1)}, "down"),
        ({"done_at": None, "running_since": NOW}, "up"),
    ],
)
def test_a_loop_that_fails_hangs_or_died_is_down(changes: dict[str, object], expected: str) -> None:
    """Only a loop that runs and does its work is up; one that has not run yet is unknown."""
    assert state_of(msgspec.structs.replace(WELL, **changes), NOW) == expected


@given(st.floats(0.1, 10_000), st.integers(0, 100), st.floats(-1, 1))
def test_pauses_are_jittered_and_bounded(interval_s: float, failures: int, jitter: float) -> None:
    """The pause is within a tenth of the interval; after failures it grows to a minute, and is never shorter."""
    report = msgspec.structs.replace(WELL, interval_s=interval_s, failures=failures)
    pause = pause_s(report, jitter)
    assert pause >= interval_s * 0.9 - 1e-9
    assert pause <= max(interval_s, SLOWEST_RETRY_S if failures else interval_s) * 1.1 + 1e-9


def test_work_is_done_again_and_again(database: Database, clock: ManualClock) -> None:
    """A loop runs at once and keeps running, under a lease with its name."""
    done: list[int] = []
    with running(database, clock, Loop("tick", 0.01, lambda: done.append(1))) as loops:
        until(lambda: len(done) >= 3, "three runs")
        assert [lease.name for lease in Leases(database, clock).held()] == ["loop.tick"]
        report = loops.reports()[0]
        assert (report.alive, report.standby, report.failures) == (True, False, 0)
    assert Leases(database, clock).held() == [], "stopping gives the lease back"


def test_a_failing_loop_goes_on_and_says_so(
    database: Database, clock: ManualClock, caplog: pytest.LogCaptureFixture
) -> None:
    """A failure is logged with a constant event and shown; the next good run clears it."""
    healthy = threading.Event()

    def work() -> None:
        if not healthy.is_set():
            raise ValueError("no")

    with running(database, clock, Loop("tick", 0.01, work)) as loops:
        until(lambda: loops.reports()[0].failures == 1, "a failure is shown")
        assert state_of(loops.reports()[0], clock.now()) == "down"
        assert loops.reports()[0].error == "ValueError"
        healthy.set()
        until(lambda: state_of(loops.reports()[0], clock.now()) == "up", "the loop recovers")
    failures = [record for record in caplog.records if record.levelno == logging.ERROR]
    assert {record.getMessage() for record in failures} == {"background loop failed"}


def test_one_process_works_and_the_other_stands_by(database: Database, clock: ManualClock) -> None:
    """While the first holds the lease the second does nothing; when the first is gone the second takes over."""
    first: list[int] = []
    second: list[int] = []
    with running(database, clock, Loop("tick", 0.01, lambda: second.append(1)), "two") as two:
        until(lambda: second, "the second works alone")
        # A holder that is killed does not give its lease back.
        two._stopping.set()  # noqa: SLF001 - this is what SIGKILL leaves behind
        until(lambda: not two.reports()[0].alive, "its thread ends")
        with running(database, clock, Loop("tick", 0.01, lambda: first.append(1)), "one") as one:
            until(lambda: one.reports()[0].standby, "the first stands by")
            assert first == []
            assert state_of(one.reports()[0], clock.now()) == "up"
            clock.advance(LEASE_S + 1)
            until(lambda: first, "the first takes over")


def test_a_loop_of_its_own_needs_no_lease(database: Database, clock: ManualClock) -> None:
    """What each process does for itself runs without a lease."""
    done: list[int] = []
    with running(database, clock, Loop("own", 0.01, lambda: done.append(1), shared=False)):
        until(lambda: done, "a run")
        assert Leases(database, clock).held() == []


def test_an_idle_loop_does_not_write(database: Database, clock: ManualClock) -> None:
    """The lease is renewed when half of it is over, not at every run: a quiet platform writes next to nothing."""
    done: list[int] = []
    with running(database, clock, Loop("tick", 0.001, lambda: done.append(1))):
        until(lambda: done, "a run")
        before = Leases(database, clock).held()[0].expires_at
        seen = len(done)
        clock.advance(LEASE_S / 4)
        until(lambda: len(done) > seen + 5, "more runs")
        assert Leases(database, clock).held()[0].expires_at == before
        clock.advance(LEASE_S / 2)
        until(lambda: Leases(database, clock).held()[0].expires_at > before, "a renewal")
