from __future__ import annotations

import math
import threading
from datetime import timedelta
from hashlib import sha256
from typing import Any

import pytest

from companyos.core.clock import ManualClock
from companyos.core.database import Database
from companyos.core.errors import CompanyOSError, Denied, InvalidInput, TooLarge
from companyos.ledger import Journal
from companyos.operations import Notification, Operations
from companyos.operations.notifying import PAYLOAD_DEPTH, PAYLOAD_LIMIT_BYTES
from tests.operations.outgoing import CONTROLLER, notify
from tests.pillar import person, records


def waiting(operations: Operations) -> list[Notification]:
    """Return what waits to be sent, newest first."""
    return operations.list_notifications(person("olga", "operator"), status="waiting").items


def test_it_waits_from_the_moment_of_the_change(operations: Operations, journal: Journal, clock: ManualClock) -> None:
    """Without any address too; the ledger has the digest of what it says, and not the words."""
    made = notify(operations)
    assert waiting(operations) == [made]
    assert (made.next_at, made.attempts, made.payload) == (clock.now(), 0, {"reason": "errors"})
    (record,) = records(journal)
    assert (record.verb, record.actor, record.target, record.release) == (
        "notification.queue",
        "system:delivery",
        "release:shop@1.2.0",
        "shop@1.2.0",
    )
    assert record.details["payload_digest"] == "sha256:" + sha256(b'{"reason":"errors"}').hexdigest()
    assert (record.details["notification_id"], record.details["key"]) == (made.id, "r1:rollback")


def test_a_key_is_queued_once(operations: Operations, journal: Journal, clock: ManualClock) -> None:
    """Whoever resumes after a crash asks again and gets the one that is there, whatever it would say now."""
    made = notify(operations)
    clock.advance(60)
    assert notify(operations, payload={"reason": "other"}) == made
    assert len(records(journal)) == 1
    other = notify(operations, "r2:rollback")
    assert [one.id for one in waiting(operations)] == [other.id, made.id]


def test_it_goes_with_the_transaction(operations: Operations, journal: Journal) -> None:
    """What is rolled back was never said."""

    def failing() -> None:
        with journal.write(CONTROLLER) as change:
            operations.notify_in(change, key="k", kind="release.held", subject="fleet", payload={})
            raise ArithmeticError

    with pytest.raises(ArithmeticError):
        failing()
    assert waiting(operations) == []
    assert journal.size() == 0


def test_two_transactions_with_one_key_make_one(operations: Operations, journal: Journal, database: Database) -> None:
    """The second waits for the first, and neither fails."""
    entered, leave = threading.Event(), threading.Event()
    found: list[Notification] = []

    def first() -> None:
        with journal.write(CONTROLLER) as change:
            found.append(operations.notify_in(change, key="k", kind="release.held", subject="fleet", payload={}))
            entered.set()
            leave.wait(10)

    def second() -> None:
        found.append(notify(operations, "k"))

    threads = [threading.Thread(target=first), threading.Thread(target=second)]
    threads[0].start()
    assert entered.wait(10)
    threads[1].start()
    threads[1].join(0.2)  # On both kinds of database it waits now; leaving early only makes the test easier.
    leave.set()
    for thread in threads:
        thread.join(10)
    assert [one.id for one in found] == [found[0].id] * 2
    assert len(records(journal)) == 1


@pytest.mark.parametrize(
    ("wrong", "kind"),
    [
        ({"key": ""}, InvalidInput),
        ({"key": "k" * 201}, InvalidInput),
        ({"key": "a\nb"}, InvalidInput),
        ({"kind": "Rolled back"}, InvalidInput),
        ({"kind": "x" * 101}, InvalidInput),
        ({"subject": "shop"}, InvalidInput),
        ({"payload": {"x": math.nan}}, InvalidInput),
        ({"payload": {"x": {1, 2}}}, InvalidInput),
        ({"payload": {"x": "a\0"}}, InvalidInput),
        ({"payload": {"\\\0": 1}}, InvalidInput),
        ({"payload": {"x": "\ud800"}}, InvalidInput),
        ({"payload": {"x": "x" * PAYLOAD_LIMIT_BYTES}}, TooLarge),
    ],
)
def test_what_cannot_be_kept_is_refused(
    operations: Operations, journal: Journal, wrong: dict[str, Any], kind: type[CompanyOSError]
) -> None:
    """Before anything is written."""
    with pytest.raises(kind):
        notify(operations, **wrong)
    assert journal.size() == 0


def test_the_deepest_payload_is_kept_and_one_deeper_is_not(operations: Operations) -> None:
    """Nested as deep as is allowed; a text that only looks like an escape is one like any other."""
    deep: dict[str, Any] = {"text": r"\u0000"}
    for _ in range(PAYLOAD_DEPTH - 1):
        deep = {"x": deep}
    assert notify(operations, payload=deep).payload == waiting(operations)[0].payload == deep
    with pytest.raises((InvalidInput, TooLarge)):
        notify(operations, "other", payload={"x": deep})


def test_the_list_has_pages_and_a_guard(operations: Operations, clock: ManualClock) -> None:
    """Newest first; nothing is delivered yet."""
    made = []
    for number in range(3):
        made.append(notify(operations, f"k{number}").id)
        clock.advance(timedelta(minutes=1).total_seconds())
    operator = person("olga", "operator")
    first = operations.list_notifications(operator, limit=2)
    rest = operations.list_notifications(operator, limit=2, cursor=first.next_cursor)
    assert [one.id for one in (*first.items, *rest.items)] == made[::-1]
    assert rest.next_cursor is None
    assert operations.list_notifications(operator, status="delivered").items == []
    assert operations.list_notifications(operator, status="gave_up").items == []
    with pytest.raises(Denied):
        operations.list_notifications(person("vera", "viewer"))
