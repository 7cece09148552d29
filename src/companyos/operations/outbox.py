"""The outbox at work: what is due is claimed, sent and marked, at least once and by one process at a time.

A claim moves ``next_at`` before anything is sent. Whoever is killed after that simply never marks the row, and when the
claim is over it is due again, under the same id. A process that is stopped for longer than its claim may send beside
its successor; the receiver sees the same ``webhook-id`` then.
"""

from __future__ import annotations

import logging
import random
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Final, TypeAlias

from companyos.core.access import Caller
from companyos.core.clock import Clock
from companyos.operations import outbox_store as store
from companyos.operations import webhook as http
from companyos.operations.model import Notification
from companyos.operations.subject import named
from companyos.operations.webhook import Webhook, webhook_of

if TYPE_CHECKING:
    from companyos.ledger import Change, Journal

FIRST_PAUSE_S: Final = 5.0
LONGEST_PAUSE_S: Final = 3600.0
JITTER_RATIO: Final = 0.2
MAX_ATTEMPTS: Final = 34
"""With the pauses between them, about a day."""
CLAIM_S: Final = 60.0
"""How long a row belongs to whoever began to send it; much longer than one attempt takes."""
RUN_S: Final = 30.0
"""How long one run goes on claiming; what is left is due in the next one."""

OUTBOX: Final = Caller(subject="system:outbox")

_log = logging.getLogger(__name__)


Send: TypeAlias = Callable[[Webhook, Notification, datetime], str | None]
"""Sends a notification once and returns None, or a sentence that says why it was not taken."""


def pause_s(attempts: int, jitter: float) -> float:
    """Return the seconds until the next attempt after so many failed ones; ``jitter`` is in -1..1."""
    pause = min(LONGEST_PAUSE_S, FIRST_PAUSE_S * 2.0 ** min(attempts - 1, 16))
    return pause * (1 + JITTER_RATIO * jitter)


class Outbox:
    """Delivers the notifications of one database; several processes may each have one."""

    def __init__(self, journal: Journal, *, send: Send = http.send) -> None:
        """Take the journal, whose settings say where notifications go, and what sends them."""
        self._journal = journal
        self._clock: Clock = journal.clock
        self._send = send
        self._jitter: Callable[[], float] = lambda: random.uniform(-1, 1)  # noqa: S311 - only spreads load

    def deliver_due(self) -> int:
        """Send what is due and return how much of it was taken; nothing happens while no address is set.

        Raises InvalidInput when an address is set without a secret, so that the loop says so and nothing goes unsigned.
        """
        webhook = webhook_of(self._journal.settings)
        if webhook is None:
            return 0
        delivered = 0
        end = self._clock.monotonic() + RUN_S
        while self._clock.monotonic() < end and (claimed := self._claim()) is not None:
            error = self._send(webhook, claimed, self._clock.now())
            if error is None:
                self._mark_delivered(claimed)
                delivered += 1
            else:
                self._mark_failed(claimed, error)
        return delivered

    def _claim(self) -> Notification | None:
        """Return a notification that is due and belongs to this process for ``CLAIM_S``, or None."""
        with self._journal.read() as connection:
            if not store.is_due(connection, self._clock.now()):
                return None  # A quiet outbox takes no write lock.
        with self._journal.database.write() as connection:
            now = self._clock.now()
            return store.claim(connection, now, until=now + timedelta(seconds=CLAIM_S))

    def _mark_delivered(self, claimed: Notification) -> None:
        with self._journal.write(OUTBOX, unchanged_ok=True) as change:
            if store.mark_delivered(change.connection, claimed.id, self._clock.now()):
                _record(change, claimed, "deliver")

    def _mark_failed(self, claimed: Notification, error: str) -> None:
        extra = {"notification": claimed.id, "attempts": claimed.attempts, "cause": error}
        if claimed.attempts < MAX_ATTEMPTS:
            _log.warning("notification not delivered", extra=extra)
            next_at = self._clock.now() + timedelta(seconds=pause_s(claimed.attempts, self._jitter()))
            with self._journal.database.write() as connection:
                store.mark_failed(connection, claimed, error, next_at=next_at)
            return
        _log.error("notification given up", extra=extra)
        with self._journal.write(OUTBOX, unchanged_ok=True) as change:
            if store.mark_failed(change.connection, claimed, error, next_at=None, gave_up_at=self._clock.now()):
                _record(change, claimed, "give_up", error=error)


def _record(change: Change, notification: Notification, verb: str, **more: str) -> None:
    about = named(notification.subject)
    change.record(
        verb=f"notification.{verb}",
        target=notification.subject,
        service=about.service,
        release=about.release,
        details={
            "notification_id": notification.id,
            "kind": notification.kind,
            "attempts": notification.attempts,
            **more,
        },
    )
