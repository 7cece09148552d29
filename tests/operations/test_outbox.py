from __future__ import annotations

import subprocess
import sys
import threading
import time
from datetime import datetime
from http.server import BaseHTTPRequestHandler
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from companyos.core.clock import ManualClock
from companyos.core.database import Database
from companyos.core.errors import InvalidInput
from companyos.core.settings import Settings
from companyos.ledger import Journal
from companyos.operations import Notification, Operations
from companyos.operations.outbox import (
    CLAIM_S,
    FIRST_PAUSE_S,
    JITTER_RATIO,
    LONGEST_PAUSE_S,
    MAX_ATTEMPTS,
    Outbox,
    Send,
    pause_s,
)
from companyos.operations.webhook import TIMEOUT_S, Webhook
from tests.operations.outgoing import notify
from tests.operations.receiver import SECRET, Message, Receiver, closed_port, reply
from tests.pillar import person, records
from tests.waiting import until

OLGA = person("olga", "operator")


def journal_with(journal: Journal, settings: Settings) -> Journal:
    """Return another journal over the same database and ledger, as another process has one."""
    return Journal(journal.database, journal.ledger, journal.clock, settings)


def outbox(journal: Journal, send: Send) -> Outbox:
    """Return an outbox that sends in some way of the test's own."""
    settings = Settings(home="x", notify_webhook_url="http://127.0.0.1:9/hook", notify_webhook_secret=SECRET)
    return Outbox(journal_with(journal, settings), send=send)


def newest(operations: Operations) -> Notification:
    """Return the newest notification."""
    return operations.list_notifications(OLGA, limit=1).items[0]


# --- rules ------------------------------------------------------------------------------------------------------------


@given(st.integers(1, 10_000), st.floats(-1, 1))
def test_pauses_grow_from_seconds_to_an_hour(attempts: int, jitter: float) -> None:
    """They double, with a fifth of jitter either way."""
    pause = pause_s(attempts, jitter)
    assert FIRST_PAUSE_S * (1 - JITTER_RATIO) <= pause <= LONGEST_PAUSE_S * (1 + JITTER_RATIO)
    assert pause_s(attempts + 1, 0) == min(LONGEST_PAUSE_S, 2 * pause_s(attempts, 0))


def test_all_attempts_together_take_about_a_day() -> None:
    """The pauses before the last attempt."""
    assert 23 < sum(pause_s(attempt, 0) for attempt in range(1, MAX_ATTEMPTS)) / 3600 < 26
    assert CLAIM_S > 2 * TIMEOUT_S


# --- delivery ---------------------------------------------------------------------------------------------------------


def test_what_is_due_is_sent_and_marked(operations: Operations, receiver: Receiver, clock: ManualClock) -> None:
    """Oldest first, each once, and the ledger says so."""
    made = [notify(operations, "k1")]
    clock.advance(1)
    made.append(notify(operations, "k2"))
    box = Outbox(journal_with(operations.journal, receiver.settings(operations.journal.settings.home)))
    assert box.deliver_due() == 2
    assert [message.id for message in receiver.messages] == [one.id for one in made]
    assert receiver.messages[0].timestamp == clock.now().timestamp()
    found = newest(operations)
    assert (found.delivered_at, found.next_at, found.attempts, found.last_error) == (clock.now(), None, 1, None)
    told = records(operations.journal)[-1]
    assert (told.verb, told.actor, told.release) == ("notification.deliver", "system:outbox", "shop@1.2.0")
    assert box.deliver_due() == 0
    assert len(operations.list_notifications(OLGA, status="delivered").items) == 2


def test_without_an_address_it_stays_and_is_due_when_there_is_one(
    operations: Operations, receiver: Receiver, clock: ManualClock
) -> None:
    """Days later too: waiting for an address is no failed attempt."""
    notify(operations)
    assert Outbox(operations.journal).deliver_due() == 0
    clock.advance(7 * 86_400)
    assert Outbox(operations.journal).deliver_due() == 0
    assert (newest(operations).attempts, newest(operations).gave_up_at) == (0, None)
    assert Outbox(journal_with(operations.journal, receiver.settings("x"))).deliver_due() == 1


def test_an_address_without_a_secret_sends_nothing_and_says_so(operations: Operations, receiver: Receiver) -> None:
    """The loop fails, which `companyos status` shows."""
    notify(operations)
    settings = Settings(home="x", notify_webhook_url=receiver.url)
    with pytest.raises(InvalidInput, match="notify_webhook_secret"):
        Outbox(journal_with(operations.journal, settings)).deliver_due()
    assert (receiver.messages, newest(operations).attempts) == ([], 0)


def test_a_failed_attempt_is_made_again_later(operations: Operations, receiver: Receiver, clock: ManualClock) -> None:
    """Under the same id, with the same body and a new time; the reason is seen meanwhile."""
    receiver.answer = lambda _, to: reply(to, 503)
    notify(operations)
    box = Outbox(journal_with(operations.journal, receiver.settings("x")))
    assert box.deliver_due() == 0
    found = newest(operations)
    assert (found.attempts, found.last_error) == (1, "The receiver answered 503.")
    assert found.next_at is not None
    assert 4 <= (found.next_at - clock.now()).total_seconds() <= 6
    size = operations.journal.size()
    assert box.deliver_due() == 0
    assert len(receiver.messages) == 1, "it is not due yet"
    clock.advance(FIRST_PAUSE_S * (1 + JITTER_RATIO))
    receiver.answer = lambda _, to: reply(to, 204)
    assert box.deliver_due() == 1
    first, second = receiver.messages
    assert (first.id, first.raw) == (second.id, second.raw)
    assert second.timestamp > first.timestamp
    assert (newest(operations).attempts, newest(operations).last_error) == (2, None)
    assert operations.journal.size() == size + 1, "attempts that fail fill no ledger"


def test_it_gives_up_after_about_a_day(operations: Operations, clock: ManualClock) -> None:
    """The ledger says so, and why; nobody tries again."""
    tried: list[datetime] = []

    def send(_: Webhook, __: Notification, now: datetime) -> str:
        tried.append(now)
        return "The receiver answered 500."

    notify(operations)
    box = outbox(operations.journal, send)
    while newest(operations).next_at is not None:
        box.deliver_due()
        clock.advance(600)
        assert len(tried) <= MAX_ATTEMPTS
    assert len(tried) == MAX_ATTEMPTS
    assert 18 < (tried[-1] - tried[0]).total_seconds() / 3600 < 36
    found = newest(operations)
    assert (found.gave_up_at is not None, found.last_error) == (True, "The receiver answered 500.")
    told = records(operations.journal)[-1]
    assert (told.verb, told.details["attempts"]) == ("notification.give_up", MAX_ATTEMPTS)
    assert [one.id for one in operations.list_notifications(OLGA, status="gave_up").items] == [found.id]
    clock.advance(86_400)
    assert box.deliver_due() == 0
    assert len(tried) == MAX_ATTEMPTS


def test_one_bad_receiver_does_not_keep_a_run_for_ever(operations: Operations, clock: ManualClock) -> None:
    """Every attempt takes its whole time; a run ends all the same, and the rest is due in the next one."""

    def send(_: Webhook, __: Notification, ___: datetime) -> str:
        clock.advance(TIMEOUT_S)
        return "The receiver did not answer within 10 s."

    for number in range(10):
        notify(operations, f"k{number}")
    outbox(operations.journal, send).deliver_due()
    assert sorted(one.attempts for one in operations.list_notifications(OLGA).items) == [0] * 7 + [1] * 3


# --- several at once --------------------------------------------------------------------------------------------------


def test_two_servers_never_send_the_same(
    operations: Operations, receiver: Receiver, database: Database, tmp_path: Path
) -> None:
    """Both at work on one database: each notification arrives once."""
    for number in range(30):
        notify(operations, f"k{number}")
    url = str(database.writer.url.render_as_string(hide_password=False)).replace("+psycopg", "")
    gate = threading.Barrier(2)
    counts: list[int] = []

    def serve(own: Database) -> None:
        other = Journal(
            own, operations.journal.ledger, operations.journal.clock, receiver.settings(str(tmp_path / "h"))
        )
        gate.wait()
        counts.append(Outbox(other).deliver_due())

    own = [Database.open(url) for _ in range(2)]
    threads = [threading.Thread(target=serve, args=(one,)) for one in own]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for one in own:
        one.close()
    ids = [message.id for message in receiver.messages]
    assert len(ids) == len(set(ids)) == sum(counts) == 30


def test_a_claim_is_respected_until_it_ends(operations: Operations, clock: ManualClock) -> None:
    """Somebody else who looks while an attempt goes on finds nothing; when the claim is over they take it."""
    looked: list[str] = []

    def other(_: Webhook, notification: Notification, __: datetime) -> None:
        looked.append(notification.id)

    def slow(_: Webhook, __: Notification, ___: datetime) -> str:
        assert outbox(operations.journal, other).deliver_due() == 0
        clock.advance(CLAIM_S - 1)
        assert outbox(operations.journal, other).deliver_due() == 0
        clock.advance(1)
        assert outbox(operations.journal, other).deliver_due() == 1
        return "The receiver answered 500."

    made = notify(operations)
    outbox(operations.journal, slow).deliver_due()
    assert looked == [made.id]
    found = newest(operations)
    assert (found.attempts, found.next_at, found.last_error) == (2, None, None), "who was too slow changes nothing"
    assert found.delivered_at is not None


@pytest.mark.parametrize("other", [None, "The receiver answered 500."])
def test_who_was_slow_and_succeeded_is_believed(operations: Operations, clock: ManualClock, other: str | None) -> None:
    """It was delivered, whoever has claimed it since and with whatever result; it is recorded once."""

    def slow(_: Webhook, __: Notification, ___: datetime) -> None:
        clock.advance(CLAIM_S)
        outbox(operations.journal, lambda *_: other).deliver_due()

    notify(operations)
    assert outbox(operations.journal, slow).deliver_due() == 1
    assert newest(operations).delivered_at is not None
    assert [record.verb for record in records(operations.journal)] == ["notification.queue", "notification.deliver"]


def test_a_quiet_outbox_takes_no_write_lock(operations: Operations, receiver: Receiver) -> None:
    """The loop looks each second, so looking must cost next to nothing: another process writes all the while."""
    box = Outbox(journal_with(operations.journal, receiver.settings("x")))
    with operations.journal.database.write():
        began = time.monotonic()
        assert box.deliver_due() == 0
    assert time.monotonic() - began < 5


# --- SIGKILL ----------------------------------------------------------------------------------------------------------

PROGRAM = """\
import sys
from companyos.core.settings import Settings
from companyos.ledger import open_journal
from companyos.operations.outbox import Outbox

home, database, url, secret = sys.argv[1:]
settings = Settings(home=home, database_url=database, notify_webhook_url=url, notify_webhook_secret=secret)
journal = open_journal(settings)
Outbox(journal).deliver_due()
print("done", flush=True)
"""


def test_a_process_that_is_killed_between_sending_and_marking(
    operations: Operations, receiver: Receiver, database: Database, tmp_path: Path
) -> None:
    """The receiver has it, the database does not know; it is sent again under the same id, and then marked once."""
    made = notify(operations)
    arrived, leave = threading.Event(), threading.Event()

    def hold(_: Message, to: BaseHTTPRequestHandler) -> None:
        arrived.set()
        leave.wait(20)
        reply(to, 204)

    receiver.answer = hold
    home = str(tmp_path / "home")
    url = str(database.writer.url.render_as_string(hide_password=False)).replace("+psycopg", "")
    settings = receiver.settings(home)
    command = [sys.executable, "-c", PROGRAM, home, url, settings.notify_webhook_url, settings.notify_webhook_secret]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True) as process:
        try:
            until(arrived.is_set, "the message arrives")
        finally:
            process.kill()
        assert process.stdout is not None
        assert "done" not in process.stdout.read()
    leave.set()
    found = newest(operations)
    assert (found.attempts, found.delivered_at) == (1, None)
    assert found.next_at is not None
    receiver.answer = lambda _, to: reply(to, 204)
    later = ManualClock(found.next_at)
    successor = Journal(database, operations.journal.ledger, later, settings)
    assert Outbox(successor).deliver_due() == 1
    assert [message.id for message in receiver.messages] == [made.id, made.id]
    assert len({message.raw for message in receiver.messages}) == 1
    verbs = [record.verb for record in records(operations.journal)]
    assert verbs == ["notification.queue", "notification.deliver"]


def test_a_receiver_that_is_down_costs_nothing_but_time(operations: Operations, clock: ManualClock) -> None:
    """It is delivered when the receiver is back."""
    settings = Settings(
        home="x",
        notify_webhook_url=f"http://127.0.0.1:{closed_port()}/hook",
        notify_webhook_secret=SECRET,
    )
    notify(operations)
    assert Outbox(journal_with(operations.journal, settings)).deliver_due() == 0
    assert newest(operations).last_error == "The receiver could not be reached (ConnectError)."
    clock.advance(10)
    with Receiver() as back:
        assert Outbox(journal_with(operations.journal, back.settings("x"))).deliver_due() == 1
