"""The use cases of incidents and their timelines."""

from __future__ import annotations

from contextlib import nullcontext
from hashlib import sha256
from typing import TYPE_CHECKING, Any, Final

from companyos.core.access import Caller, Verdict, require
from companyos.core.ids import is_uuid, uuid7
from companyos.core.paging import DEFAULT_LIMIT, Page, after_id, check_limit, page_by_id
from companyos.operations import incident as rules
from companyos.operations import store
from companyos.operations.errors import IncidentNotFound
from companyos.operations.model import (
    Incident,
    IncidentLink,
    IncidentStatus,
    Severity,
    TimelineEntry,
    TimelineKind,
)
from companyos.operations.subject import check_subject, named

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence
    from datetime import datetime

    from sqlalchemy import Connection

    from companyos.ledger import Change, Journal


_VERBS: Final[dict[IncidentStatus, str]] = {"open": "reopen", "mitigated": "mitigate", "closed": "close"}


class Responding:
    """Incidents: opened, worked on in a timeline, mitigated, closed."""

    def __init__(self, journal: Journal) -> None:
        """Work on the database, clock and ledger of this journal."""
        self.journal = journal

    def open_incident(
        self,
        caller: Caller,
        subject: str,
        *,
        title: str,
        severity: Severity,
        links: Sequence[IncidentLink] = (),
    ) -> Incident:
        """Return the new incident; its timeline begins with the title. Raises InvalidInput."""
        check_subject(subject)
        verdict = require(caller, "incident.write", subject)
        with self.journal.write(caller) as change:
            return self.open_incident_in(change, subject, title=title, severity=severity, links=links, verdict=verdict)

    def open_incident_in(
        self,
        change: Change,
        subject: str,
        *,
        title: str,
        severity: Severity,
        links: Sequence[IncidentLink] = (),
        verdict: Verdict | None = None,
    ) -> Incident:
        """Return the incident that the caller's transaction opens. It asks no permission. Raises InvalidInput."""
        check_subject(subject)
        now = self.journal.clock.now()
        incident = Incident(
            id=uuid7(),
            severity=severity,
            title=title,
            subject=subject,
            opened_by=change.actor,
            opened_at=now,
            links=tuple(links),
        )
        store.add(change.connection, incident)
        _note(change, verdict, incident, "opened", title, verb="open", now=now)
        return incident

    def change_incident(
        self,
        caller: Caller,
        id: str,
        *,
        status: IncidentStatus | None = None,
        severity: Severity | None = None,
        links: Sequence[IncidentLink] = (),
        text: str = "",
    ) -> Incident:
        """Return the incident after it has moved, was graded anew, or got more links; each is an entry of the timeline.

        Raises IncidentNotFound, or Conflict when the incident cannot do that.
        """
        verdict = require(caller, "incident.write", f"incident:{id}")
        with self.journal.write(caller, unchanged_ok=True) as change:
            return self.change_incident_in(
                change, id, status=status, severity=severity, links=links, text=text, verdict=verdict
            )

    def change_incident_in(
        self,
        change: Change,
        id: str,
        *,
        status: IncidentStatus | None = None,
        severity: Severity | None = None,
        links: Sequence[IncidentLink] = (),
        text: str = "",
        verdict: Verdict | None = None,
    ) -> Incident:
        """Return the incident after the caller's transaction has changed it. It asks no permission.

        Raises IncidentNotFound, or Conflict when the incident cannot do that.
        """
        now = self.journal.clock.now()
        known = incident = _found(change.connection, id, lock=True)
        if severity is not None:
            said = text or f"{incident.severity} to {severity}"
            incident = rules.grade(incident, severity)
            _note(change, verdict, incident, "severity", said, verb="grade", now=now)
        if status is not None:
            said = text or f"{incident.status} to {status}"
            incident = rules.move(incident, status, now)
            _note(change, verdict, incident, "status", said, verb=_VERBS[status], now=now)
        for link in links:
            incident = rules.link(incident, link)
            said = f"{link.title} {link.url}".strip()
            _note(change, verdict, incident, "link", said, verb="link", now=now)
        if incident is not known:
            store.put(change.connection, incident)
        return incident

    def close_incident(self, caller: Caller, id: str, *, text: str = "") -> Incident:
        """Return the closed incident."""
        return self.change_incident(caller, id, status="closed", text=text)

    def add_timeline(self, caller: Caller, id: str, text: str) -> TimelineEntry:
        """Return the new entry of the timeline; also of a closed incident, where the review is written down."""
        verdict = require(caller, "incident.write", f"incident:{id}")
        with self.journal.write(caller) as change:
            return self.add_timeline_in(change, id, text, verdict=verdict)

    def add_timeline_in(self, change: Change, id: str, text: str, *, verdict: Verdict | None = None) -> TimelineEntry:
        """Return the entry that the caller's transaction adds to a timeline. It asks no permission.

        Raises IncidentNotFound.
        """
        incident = _found(change.connection, id, lock=True)
        return _note(change, verdict, incident, "note", text, verb="note", now=self.journal.clock.now())

    def get_incident(self, caller: Caller, id: str) -> Incident:
        """Return an incident, or raise IncidentNotFound."""
        require(caller, "incident.read", f"incident:{id}")
        with self.journal.read() as connection:
            return _found(connection, id)

    def list_incidents(
        self,
        caller: Caller,
        *,
        subject: str | None = None,
        status: IncidentStatus | None = None,
        cursor: str | None = None,
        limit: int = DEFAULT_LIMIT,
    ) -> Page[Incident]:
        """Return a page of incidents, newest first."""
        require(caller, "incident.read", subject or "incidents")
        check_limit(limit)
        if subject is not None:
            check_subject(subject)
        with self.journal.read() as connection:
            found = store.incidents_page(
                connection,
                subject=subject,
                statuses=None if status is None else [status],
                after=after_id(cursor),
                limit=limit + 1,
            )
        return page_by_id(found, limit, lambda incident: incident.id)

    def timeline(
        self, caller: Caller, id: str, *, cursor: str | None = None, limit: int = DEFAULT_LIMIT
    ) -> Page[TimelineEntry]:
        """Return a page of the timeline of an incident, oldest first."""
        require(caller, "incident.read", f"incident:{id}")
        check_limit(limit)
        with self.journal.read() as connection:
            _found(connection, id)
            found = store.timeline_page(connection, id, after=after_id(cursor), limit=limit + 1)
        return page_by_id(found, limit, lambda entry: entry.id)

    def open_incidents_by_subject(
        self, subjects: Collection[str] | None = None, *, connection: Connection | None = None
    ) -> dict[str, tuple[Incident, ...]]:
        """Return the incidents that are not closed by their subject, in one query; without ``subjects`` all of them.

        It asks for no permission and belongs to the platform's own pages. Give ``connection`` to read within a
        transaction.
        """
        with nullcontext(connection) if connection is not None else self.journal.read() as reader:
            return store.by_subject(store.open_incidents(reader, subjects))


def _note(
    change: Change,
    verdict: Verdict | None,
    incident: Incident,
    kind: TimelineKind,
    text: str,
    *,
    verb: str,
    now: datetime,
) -> TimelineEntry:
    """Write an entry and note it for the ledger, which gets the digest of the text: people may be named in it."""
    entry = TimelineEntry(id=uuid7(), incident_id=incident.id, at=now, actor=change.actor, kind=kind, text=text)
    store.add(change.connection, entry)
    about = named(incident.subject)
    details: dict[str, Any] = {
        "incident_id": incident.id,
        "severity": incident.severity,
        "status": incident.status,
        "entry_id": entry.id,
        "text_digest": f"sha256:{sha256(text.encode()).hexdigest()}",
    }
    change.record(
        verb=f"incident.{verb}",
        target=incident.subject,
        verdict=verdict,
        service=about.service,
        release=about.release,
        details=details,
    )
    return entry


def _found(connection: Connection, id: str, *, lock: bool = False) -> Incident:
    incident = store.get(connection, Incident, id, lock=lock) if is_uuid(id) else None
    if incident is None:
        raise IncidentNotFound(id)
    return incident
