from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from companyos.core.access import Caller
from companyos.core.clock import ManualClock
from companyos.core.leases import Leases
from companyos.core.settings import Settings
from companyos.ledger import Journal, open_journal
from companyos.operations import Operations
from companyos.server.app import Application, create_app
from companyos.server.background import background
from companyos.server.denials import Denials
from companyos.server.loops import Loop, Loops, state_of
from companyos.tower.service import Tower
from tests.operations.receiver import Receiver
from tests.waiting import until

SYSTEM = Caller(subject="system:test", roles=frozenset({"admin"}))
NAME = "operations.outbox"


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    """Return a receiver of notifications that runs."""
    with Receiver() as running:
        yield running


@contextmanager
def opened(settings: Settings, clock: ManualClock) -> Iterator[Journal]:
    """Give a journal as one server process has it."""
    journal = open_journal(settings, clock)
    try:
        yield journal
    finally:
        journal.close()


@contextmanager
def delivering(journal: Journal, clock: ManualClock, holder: str = "one") -> Iterator[Loops]:
    """Give the loop of the outbox as it runs in a server, only more often."""
    made = background(journal, Tower(journal).projector, Denials(journal, clock))
    (loop,) = [Loop(loop.name, 0.01, loop.work, loop.shared) for loop in made if loop.name == NAME]
    loops = Loops([loop], Leases(journal.database, clock), clock, holder)
    loops.start()
    try:
        yield loops
    finally:
        loops.stop()


def queue(journal: Journal, key: str) -> str:
    """Put a notification into the outbox and return its id."""
    with journal.write(SYSTEM) as change:
        return Operations(journal).notify_in(change, key=key, kind="release.held", subject="fleet", payload={}).id


def test_a_server_delivers_what_is_queued(home: object, receiver: Receiver, clock: ManualClock) -> None:
    """Also what comes while it runs; a second server stands by."""
    settings = receiver.settings(str(home))
    with opened(settings, clock) as journal, opened(settings, clock) as other:
        made = [queue(journal, "before")]
        with delivering(journal, clock):
            until(lambda: receiver.messages, "the first arrives")
            with delivering(other, clock, "two") as two:
                until(lambda: two.reports()[0].standby, "the second stands by")
                made.append(queue(other, "while it runs"))
                until(lambda: len(receiver.messages) == 2, "the second arrives")
        assert [message.id for message in receiver.messages] == made


def test_a_bad_setting_is_seen_and_the_loop_goes_on(home: object, receiver: Receiver, clock: ManualClock) -> None:
    """An address without a secret: the loop is down, with the kind of fault, and nothing is sent."""
    settings = Settings(home=str(home), notify_webhook_url=receiver.url)
    with opened(settings, clock) as journal:
        queue(journal, "k")
        with delivering(journal, clock) as loops:
            until(lambda: loops.reports()[0].failures, "the loop fails")
            assert loops.reports()[0].error == "InvalidInput"
            assert state_of(loops.reports()[0], clock.now()) == "down"
    assert receiver.messages == []


def test_the_outbox_is_one_of_the_loops_of_the_application(app: Application) -> None:
    """One process does it for all."""
    assert NAME in {report.name for report in app._loops.reports()}  # noqa: SLF001 - they are shown nowhere else at rest


def test_an_application_without_a_receiver_has_a_quiet_outbox(settings: Settings, clock: ManualClock) -> None:
    """What is queued waits, and the loop is up."""
    application = create_app(settings, clock)
    try:
        queue(application.journal, "k")
        with delivering(application.journal, clock) as loops:
            until(lambda: loops.reports()[0].done_at, "a run")
            assert state_of(loops.reports()[0], clock.now()) == "up"
        found = Operations(application.journal).list_notifications(SYSTEM, status="waiting").items
        assert [(one.key, one.attempts) for one in found] == [("k", 0)]
    finally:
        application.close()
