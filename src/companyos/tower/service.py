"""What people ask of the Tower: each use case checks the caller, reads, and returns a value that a template shows."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import timedelta
from typing import Final

from companyos.catalog import Catalog
from companyos.core.access import Caller, require
from companyos.core.errors import Denied, NotFound
from companyos.core.ids import check_service_name
from companyos.core.sse import Event
from companyos.ledger import Filter, Journal, LedgerReader, Record
from companyos.operations import Incident, Operations
from companyos.tower.condition import judge
from companyos.tower.detail import IncidentView, ServicePage, service_page
from companyos.tower.findings import findings
from companyos.tower.fleet import FleetReader
from companyos.tower.landing import LandingPage, landing
from companyos.tower.ledger_page import LedgerPage, ledger_page, proof_of
from companyos.tower.live import Mark, Poller, mark_of
from companyos.tower.model import Card
from companyos.tower.projection import project
from companyos.tower.projector import Projector
from companyos.tower.query import Query
from companyos.tower.release_pages import ReleasePages
from companyos.tower.releases import NoReleases, Releases
from companyos.tower.render import Fragments
from companyos.tower.updates import Updates

HISTORY_ROWS: Final = 12
RELEASE_ROWS: Final = 6
LEDGER_ROWS: Final = 50
TIMELINE_ROWS: Final = 50


class Tower:
    """The pages of the Control Tower over its projection, and the projector that keeps it."""

    def __init__(self, journal: Journal, releases: Releases | None = None) -> None:
        """Work on the database, clock, settings and ledger of this journal; ``releases`` is delivery, where it runs."""
        self.clock = journal.clock
        self.fragments = Fragments()
        self._journal = journal
        self._ledger = LedgerReader(journal)
        self._catalog = Catalog(journal)
        self._operations = Operations(journal)
        self._known = releases or NoReleases()
        self.releases = ReleasePages(journal, self._known, self._operations)
        self.projector = Projector(journal, self._catalog, self._operations)
        stale_after = timedelta(seconds=journal.settings.tower_stale_after_s)
        self._reader = FleetReader(journal.database, journal.clock, stale_after, self._known)
        self._updates = Updates(self._reader, self.fragments, Poller(self._reader))

    def landing(self, caller: Caller, query: Query) -> tuple[LandingPage, Mark]:
        """Return the landing page for a query, after one query of the database, and the mark that it is true at."""
        require(caller, "tower.read", "tower:landing")
        board = self._reader.board()
        return landing(board, query, self.clock.now()), mark_of(board)

    def service(self, caller: Caller, name: str) -> tuple[ServicePage, Mark]:
        """Return the page of a service and the mark that it is true at. Raises InvalidInput or NotFound.

        Its state is that of the list. A service that was added a moment ago and is not projected yet is judged here, by
        the same functions.
        """
        check_service_name(name)
        require(caller, "tower.read", f"service:{name}")
        board = self._reader.board()
        with self._journal.read() as connection:
            found = self._catalog.services_for_projection({name}, connection=connection)
            against = findings(
                self._operations.active_holds_by_subject(connection=connection),
                self._operations.open_incidents_by_subject(connection=connection),
            )
            released = self._known.of_service(name, limit=RELEASE_ROWS, connection=connection)
        if not found:
            raise NotFound(
                f"There is no service {name!r} in the catalog.", next_step="See all of them at /?view=table."
            )
        card = board.cards.get(name)
        now = self.clock.now()
        if card is None:
            row = project(found[0], against, revision=board.revision)
            card = Card(row, judge(row, now, self._reader.stale_after))
        page = service_page(
            card,
            found[0],
            board,
            now,
            holds=against.holds_of(name),
            incidents=[self._with_timeline(caller, incident) for incident in against.incidents_of(name)],
            records=self._history(caller, name),
            releases=released,
        )
        return page, mark_of(board)

    def ledger(self, caller: Caller, *, service: str | None, cursor: str | None) -> LedgerPage:
        """Return a page of the ledger, newest first, with the state of its proof.

        ``cursor`` continues a page, ``service`` shows the records of one service. Raises Denied or InvalidInput.
        """
        if service is not None:
            check_service_name(service)
        page = self._ledger.entries(caller, Filter(service=service), cursor=cursor, limit=LEDGER_ROWS)
        proof = proof_of(self._checkpoint(caller), self._journal.ledger.verify_checkpoint)
        return ledger_page(page, proof, self.clock.now(), service=service, paged=cursor is not None)

    def events(self, caller: Caller, query: Query, mark: Mark) -> AsyncIterator[Event]:
        """Return the events that keep a page true from ``mark`` on."""
        require(caller, "tower.read", "tower:events")
        return self._updates.events(query, mark)

    def _checkpoint(self, caller: Caller) -> str | None:
        try:
            return self._ledger.checkpoint(caller)
        except NotFound:
            return None

    def _history(self, caller: Caller, name: str) -> list[Record] | None:
        try:
            return self._ledger.entries(caller, Filter(service=name), limit=HISTORY_ROWS).items
        except Denied:
            return None

    def _with_timeline(self, caller: Caller, incident: Incident) -> IncidentView:
        try:
            timeline = self._operations.timeline(caller, incident.id, limit=TIMELINE_ROWS).items
        except Denied:
            timeline = []
        return IncidentView(incident, tuple(timeline))
