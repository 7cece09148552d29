from __future__ import annotations

import itertools
import threading
from datetime import datetime, timedelta
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from companyos.core.access import Caller
from companyos.core.clock import ManualClock, rfc3339
from companyos.core.database import Database
from companyos.core.documents import decode
from companyos.core.errors import Denied, InvalidInput
from companyos.ledger import Journal
from companyos.operations import Alert, Operations
from companyos.operations.alert import LATE, step
from companyos.operations.alertmanager import Delivery
from companyos.operations.model import AlertReceipt
from tests.operations.incoming import delivery, message
from tests.pillar import person, records

ROBOT = person("alertmanager", "operator", type="service")
T0 = ManualClock().now() - timedelta(hours=1)
FIRING = Alert(
    fingerprint="f",
    service="shop",
    name="Errors",
    status="firing",
    labels={},
    annotations={},
    starts_at=T0,
    received_at=ManualClock().now(),
)


def hear(operations: Operations, *alerts: dict[str, Any], **more: Any) -> AlertReceipt:
    """Take in one delivery."""
    return operations.receive_alerts(ROBOT, decode(delivery(*alerts, **more), Delivery, where="The body"))


def firing(operations: Operations, service: str = "shop") -> list[str]:
    """Return the fingerprints of what fires."""
    with operations.journal.read() as connection:
        return [alert.fingerprint for alert in operations.firing_alerts(connection, service)]


# --- rules ------------------------------------------------------------------------------------------------------------

messages = st.lists(st.tuples(st.integers(0, 3), st.sampled_from(["firing", "resolved"])), min_size=1, max_size=8)


@given(messages, st.randoms())
def test_the_order_in_which_messages_come_plays_no_part(heard: list[tuple[int, str]], random: Any) -> None:
    """Late, twice, turned round: what is known in the end is the newest beginning, and its end when that was said."""

    def after(order: list[tuple[int, str]]) -> Alert:
        known: Alert | None = None
        for hours, status in order:
            alert = msgspec.structs.replace(FIRING, starts_at=T0 + timedelta(hours=hours), status=status)
            if step(known, alert) in {"fire", "resolve"}:
                known = alert
        assert known is not None
        return known

    shuffled = random.sample(heard, len(heard))
    assert after(heard) == after(shuffled)
    assert after(heard).starts_at == T0 + timedelta(hours=max(hours for hours, _ in heard))


def test_what_ended_and_is_heard_again_much_later_fires() -> None:
    """An alert that was thought to have ended keeps its beginning; a late message comes within minutes."""
    ended = msgspec.structs.replace(FIRING, status="resolved")
    soon = msgspec.structs.replace(FIRING, received_at=ended.received_at + LATE)
    assert step(ended, soon) == "outdated"
    later = msgspec.structs.replace(FIRING, received_at=ended.received_at + LATE + timedelta(seconds=1))
    assert step(ended, later) == "fire"


# --- use cases --------------------------------------------------------------------------------------------------------


def test_an_alert_fires_until_it_is_resolved(operations: Operations, journal: Journal, clock: ManualClock) -> None:
    """Each change has its record, with the name of the alert and none of its words."""
    receipt = hear(operations, message())
    assert receipt == AlertReceipt(changed=1, repeated=0, outdated=0, ignored=0, truncated=0)
    assert (firing(operations), firing(operations, "cart")) == (["a1b2c3d4e5f60718"], [])
    clock.advance(60)
    assert hear(operations, message(status="resolved", endsAt=rfc3339(clock.now()))).changed == 1
    assert firing(operations) == []
    told = records(journal)
    assert [(one.verb, one.target, one.service, one.actor) for one in told] == [
        ("alert.fire", "service:shop", "shop", "service:alertmanager"),
        ("alert.resolve", "service:shop", "shop", "service:alertmanager"),
    ]
    assert told[0].details["name"] == "Errors"
    assert told[1].details["ends_at"] == rfc3339(clock.now())
    assert "Too many" not in str(told)


def test_a_repeated_message_counts_as_heard_and_is_not_recorded(
    operations: Operations, journal: Journal, clock: ManualClock
) -> None:
    """What it says now is kept, and since when it fires does not move."""
    hear(operations, message())
    clock.advance(3600)
    assert hear(operations, message(annotations={"summary": "More errors."})).repeated == 1
    assert journal.size() == 1
    (known,) = operations.list_alerts(ROBOT).items
    assert (known.received_at, known.annotations) == (clock.now(), {"summary": "More errors."})
    resolved = message(status="resolved", endsAt=rfc3339(clock.now()))
    hear(operations, resolved)
    size = journal.size()
    assert hear(operations, resolved).repeated == 1
    assert journal.size() == size


def test_older_news_that_comes_late_changes_nothing(
    operations: Operations, journal: Journal, clock: ManualClock
) -> None:
    """A message of an earlier beginning, and "fires" after "has ended"."""
    hear(operations, message(starts=T0))
    assert hear(operations, message(starts=T0 - timedelta(hours=1), status="resolved")).outdated == 1
    assert firing(operations) == ["a1b2c3d4e5f60718"]
    hear(operations, message(starts=T0, status="resolved"))
    assert hear(operations, message(starts=T0)).outdated == 1
    assert firing(operations) == []
    assert journal.size() == 2
    assert hear(operations, message(starts=T0 + timedelta(minutes=30))).changed == 1
    assert firing(operations) == ["a1b2c3d4e5f60718"]


def test_an_end_that_comes_before_its_beginning_is_remembered(operations: Operations) -> None:
    """Two senders overtake each other: the alert has ended."""
    assert hear(operations, message(status="resolved")).changed == 1
    assert hear(operations, message()).outdated == 1
    assert firing(operations) == []


def test_what_is_not_repeated_counts_no_more(operations: Operations, clock: ManualClock) -> None:
    """Whoever watched has gone; the message stays in the list, with its age."""
    hear(operations, message())
    stale_s = operations.journal.settings.alert_stale_after_s
    assert stale_s == 4 * 3600
    clock.advance(stale_s - 1)
    assert firing(operations) != []
    hear(operations, message())
    clock.advance(stale_s - 1)
    assert firing(operations) != [], "it was repeated in time"
    clock.advance(1)
    assert firing(operations) == []
    assert operations.list_alerts(ROBOT, status="firing").items[0].status == "firing"
    hear(operations, message())
    assert firing(operations) != []


def test_alerts_without_a_service_are_counted_and_not_kept(operations: Operations, journal: Journal) -> None:
    """The others of the delivery are."""
    receipt = hear(operations, message("a", service=None), message("b"), message("c", service="?"), truncatedAlerts=7)
    assert receipt == AlertReceipt(changed=1, repeated=0, outdated=0, ignored=2, truncated=7)
    assert [alert.fingerprint for alert in operations.list_alerts(ROBOT).items] == ["b"]
    assert hear(operations, message("a", service=None)).ignored == 1
    assert journal.size() == 1


def test_one_delivery_may_say_both(operations: Operations) -> None:
    """In the order in which it says them."""
    both = (message(), message(status="resolved"), message("other"))
    assert hear(operations, *both).changed == 3
    assert firing(operations) == ["other"]


def test_a_delivery_is_taken_in_whole_or_not_at_all(operations: Operations, journal: Journal) -> None:
    """A moment that is none refuses the rest too, so that the sender sees it."""
    with pytest.raises(InvalidInput):
        hear(operations, message("a"), message("b", startsAt="9999-12-31T23:59:59-23:00"))
    assert (journal.size(), operations.list_alerts(ROBOT).items) == (0, [])


def test_two_alertmanagers_say_the_same_at_once(operations: Operations, journal: Journal, database: Database) -> None:
    """As a pair for high availability does: every alert once, and nobody fails."""
    gate = threading.Barrier(3)
    receipts: list[AlertReceipt] = []
    names = [f"f{number:02}" for number in range(20)]

    def say(order: list[str]) -> None:
        gate.wait()
        receipts.append(hear(operations, *(message(name) for name in order)))

    threads = [threading.Thread(target=say, args=(order,)) for order in (names, names[::-1], names)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sum(receipt.changed for receipt in receipts) == 20
    assert sum(receipt.repeated for receipt in receipts) == 40
    assert firing(operations) == names
    assert journal.size() == 20


def test_the_list_comes_in_pages(operations: Operations, clock: ManualClock) -> None:
    """The newest beginning first, also of those that began together; by service and status."""
    moments: list[datetime] = [T0 + timedelta(minutes=minute) for minute in (3, 1, 1, 1, 2)]
    hear(operations, *(message(f"f{number}", starts=moment) for number, moment in enumerate(moments)))
    hear(operations, message("other", service="cart", status="resolved"))
    found: list[str] = []
    cursor = None
    for _ in itertools.count():
        page = operations.list_alerts(ROBOT, service="shop", limit=2, cursor=cursor)
        found += [alert.fingerprint for alert in page.items]
        if (cursor := page.next_cursor) is None:
            break
    assert found == ["f0", "f4", "f1", "f2", "f3"]
    assert [alert.fingerprint for alert in operations.list_alerts(ROBOT, status="resolved").items] == ["other"]
    for wrong in ({"service": "?"}, {"cursor": "x"}, {"cursor": "WyJ4IiwieSJd"}, {"limit": 0}):
        with pytest.raises(InvalidInput):
            operations.list_alerts(ROBOT, **wrong)


def test_looking_is_for_viewers_and_telling_for_operators(
    operations: Operations, journal: Journal, viewer: Caller
) -> None:
    """Everybody else is denied, and nothing is written."""
    operations.list_alerts(viewer)
    with pytest.raises(Denied):
        operations.list_alerts(person("nobody"))
    with pytest.raises(Denied):
        operations.receive_alerts(viewer, decode(delivery(message()), Delivery, where="The body"))
    assert journal.size() == 0
