"""The use cases of alerts: Alertmanager says what fires, and delivery asks before it moves anything."""

from __future__ import annotations

from collections import Counter
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

from companyos.core.access import Caller, Verdict, require
from companyos.core.clock import rfc3339
from companyos.core.errors import InvalidInput
from companyos.core.ids import check_service_name
from companyos.core.paging import DEFAULT_LIMIT, Page, check_limit, decode_cursor, encode_cursor
from companyos.operations import alert as rules
from companyos.operations import alert_store as store
from companyos.operations.alertmanager import Delivery, alert_of
from companyos.operations.model import Alert, AlertReceipt, AlertStatus

if TYPE_CHECKING:
    from sqlalchemy import Connection

    from companyos.ledger import Change, Journal


class Alerting:
    """What fires."""

    def __init__(self, journal: Journal) -> None:
        """Work on the database, clock, settings and ledger of this journal."""
        self.journal = journal

    def receive_alerts(self, caller: Caller, delivery: Delivery) -> AlertReceipt:
        """Return what became of the alerts of a delivery: all of them are taken in, or none.

        An alert that begins or ceases to fire has its ledger record; one that says the same again only counts as heard.
        Raises InvalidInput for a moment that is off the calendar.
        """
        verdict = require(caller, "alert.write", "alerts")
        now = self.journal.clock.now()
        heard = [alert for received in delivery.alerts if (alert := alert_of(received, now)) is not None]
        steps: Counter[rules.Step] = Counter()
        repeated: list[Alert] = []
        with self.journal.write(caller, unchanged_ok=True) as change:
            # Rows are locked in one order everywhere, so that two deliveries cannot wait for each other.
            for alert in sorted(heard, key=lambda alert: alert.fingerprint):
                step = _take(change, verdict, alert)
                steps[step] += 1
                if step == "repeat" and alert.status == "firing":
                    repeated.append(alert)
        if repeated:
            with self.journal.database.write() as connection:
                for alert in repeated:
                    store.refresh(connection, alert)
        return AlertReceipt(
            changed=steps["fire"] + steps["resolve"],
            repeated=steps["repeat"],
            outdated=steps["outdated"],
            ignored=len(delivery.alerts) - len(heard),
            truncated=delivery.truncated_alerts,
        )

    def firing_alerts(self, connection: Connection, service: str) -> tuple[Alert, ...]:
        """Return the alerts of a service that fire now, in the order in which they began.

        One that was not repeated for ``alert_stale_after_s`` counts no more. Delivery asks this before each step; it
        asks no permission.
        """
        stale = timedelta(seconds=self.journal.settings.alert_stale_after_s)
        return tuple(store.firing(connection, service, heard_after=self.journal.clock.now() - stale))

    def list_alerts(
        self,
        caller: Caller,
        *,
        service: str | None = None,
        status: AlertStatus | None = None,
        cursor: str | None = None,
        limit: int = DEFAULT_LIMIT,
    ) -> Page[Alert]:
        """Return a page of alerts, the newest beginning first, as they were heard last."""
        require(caller, "alert.read", f"service:{service}" if service is not None else "alerts")
        check_limit(limit)
        if service is not None:
            check_service_name(service, field="service")
        with self.journal.read() as connection:
            found = store.page(connection, service=service, status=status, after=_after(cursor), limit=limit + 1)
        items, more = found[:limit], len(found) > limit
        last = items[-1] if more else None
        return Page(
            items=items,
            next_cursor=encode_cursor(rfc3339(last.starts_at), last.fingerprint) if last is not None else None,
        )


def _take(change: Change, verdict: Verdict, heard: Alert) -> rules.Step:
    """Write what a message changes, with its record, and return what that is."""
    known = store.get(change.connection, heard.fingerprint)
    step = rules.step(known, heard)
    if step in {"fire", "resolve"}:
        if known is not None:
            store.put(change.connection, heard)
        elif not store.add(change.connection, heard):
            return _take(change, verdict, heard)
        change.record(
            verb=f"alert.{step}",
            target=f"service:{heard.service}",
            verdict=verdict,
            service=heard.service,
            details={
                "fingerprint": heard.fingerprint,
                "name": heard.name,
                "starts_at": rfc3339(heard.starts_at),
                "ends_at": rfc3339(heard.ends_at) if heard.ends_at is not None else None,
            },
        )
    return step


def _after(cursor: str | None) -> tuple[datetime, str] | None:
    """Return the beginning and the fingerprint behind which a page starts, or raise InvalidInput."""
    if cursor is None:
        return None
    moment, fingerprint = decode_cursor(cursor, str, str)
    try:
        return datetime.fromisoformat(str(moment)).astimezone(UTC), str(fingerprint)
    except (ValueError, OverflowError) as fault:
        raise InvalidInput(
            "The cursor is not one of ours.", next_step="Start again without a cursor.", field="cursor"
        ) from fault
