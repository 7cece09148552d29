"""The use cases of holds."""

from __future__ import annotations

from contextlib import nullcontext
from typing import TYPE_CHECKING

from companyos.core.access import Caller, require
from companyos.core.clock import in_utc, rfc3339
from companyos.core.ids import is_uuid, uuid7
from companyos.core.paging import DEFAULT_LIMIT, Page, after_id, check_limit, page_by_id
from companyos.operations import hold as rules
from companyos.operations import store
from companyos.operations.errors import HoldNotFound
from companyos.operations.model import Hold
from companyos.operations.subject import check_subject, covering, named

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping
    from datetime import datetime

    from sqlalchemy import Connection

    from companyos.ledger import Journal


class Holding:
    """Stops on services, releases, environments or everything."""

    def __init__(self, journal: Journal) -> None:
        """Work on the database, clock and ledger of this journal."""
        self.journal = journal

    def place_hold(
        self,
        caller: Caller,
        subject: str,
        *,
        reason: str,
        source: str | None = None,
        evidence: Mapping[str, str] | None = None,
        until: datetime | None = None,
    ) -> Hold:
        """Return the hold that stops the subject now; the same one is not placed twice while it is active.

        ``source`` is the caller unless a part of the platform names itself. Raises InvalidInput.
        """
        check_subject(subject)
        end = in_utc(until, field="until") if until is not None else None
        verdict = require(caller, "hold.place", subject)
        with self.journal.write(caller, unchanged_ok=True) as change:
            now = self.journal.clock.now()
            rules.check_until(end, now)
            placed = Hold(
                id=uuid7(),
                subject=subject,
                reason=reason,
                source=source or caller.subject,
                evidence=dict(evidence or {}),
                placed_by=caller.subject,
                placed_at=now,
                until=end,
            )
            for active in store.active_holds(change.connection, [subject], now):
                if rules.same_stop(active, placed):
                    return active
            store.add(change.connection, placed)
            about = named(subject)
            change.record(
                verb="hold.place",
                target=subject,
                verdict=verdict,
                service=about.service,
                release=about.release,
                details={
                    "hold_id": placed.id,
                    "reason": reason,
                    "source": placed.source,
                    "evidence": placed.evidence,
                    "until": rfc3339(end) if end else None,
                },
            )
            return placed

    def lift_hold(self, caller: Caller, id: str, *, reason: str) -> Hold:
        """Return the lifted hold. Raises HoldNotFound, or Conflict when it stops nothing any more."""
        verdict = require(caller, "hold.lift", f"hold:{id}")
        with self.journal.write(caller) as change:
            known = store.get(change.connection, Hold, id, lock=True) if is_uuid(id) else None
            if known is None:
                raise HoldNotFound(id)
            lifted = rules.lift(known, by=caller.subject, reason=reason, now=self.journal.clock.now())
            store.put(change.connection, lifted)
            about = named(lifted.subject)
            change.record(
                verb="hold.lift",
                target=lifted.subject,
                verdict=verdict,
                service=about.service,
                release=about.release,
                details={"hold_id": id, "reason": reason},
            )
            return lifted

    def get_hold(self, caller: Caller, id: str) -> Hold:
        """Return a hold, or raise HoldNotFound."""
        require(caller, "hold.read", f"hold:{id}")
        with self.journal.read() as connection:
            found = store.get(connection, Hold, id) if is_uuid(id) else None
        if found is None:
            raise HoldNotFound(id)
        return found

    def list_holds(
        self,
        caller: Caller,
        *,
        subject: str | None = None,
        active: bool = True,
        cursor: str | None = None,
        limit: int = DEFAULT_LIMIT,
    ) -> Page[Hold]:
        """Return a page of holds, newest first: those that stop something now, or all with ``active=False``."""
        require(caller, "hold.read", subject or "holds")
        check_limit(limit)
        if subject is not None:
            check_subject(subject)
        now = self.journal.clock.now()
        with self.journal.read() as connection:
            found = store.holds_page(
                connection,
                subject=subject,
                active_at=now if active else None,
                after=after_id(cursor),
                limit=limit + 1,
            )
        return page_by_id(found, limit, lambda hold: hold.id)

    def active_holds(self, connection: Connection, subject: str, now: datetime | None = None) -> list[Hold]:
        """Return what stops this subject at the moment, oldest first.

        A release is stopped by a hold on itself, on its service or on the fleet. Delivery asks this before each step,
        within its transaction; it needs no permission. Raises InvalidInput.
        """
        check_subject(subject)
        return store.active_holds(connection, covering(subject), now or self.journal.clock.now())

    def active_holds_by_subject(
        self,
        subjects: Collection[str] | None = None,
        now: datetime | None = None,
        *,
        connection: Connection | None = None,
    ) -> dict[str, tuple[Hold, ...]]:
        """Return the active holds by the subject they were placed on, in one query; without ``subjects`` all of them.

        It asks for no permission and belongs to the platform's own pages. Give ``connection`` to read within a
        transaction.
        """
        moment = now or self.journal.clock.now()
        with nullcontext(connection) if connection is not None else self.journal.read() as reader:
            return store.by_subject(store.active_holds(reader, subjects, moment))
