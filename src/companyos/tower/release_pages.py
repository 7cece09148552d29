"""What people ask of the Tower about releases: the list, one of them, and commands with a reason."""

from __future__ import annotations

from typing import Final

from companyos.core.access import Caller, require
from companyos.core.errors import Denied, NotFound
from companyos.core.ids import is_uuid
from companyos.delivery.view import Detail
from companyos.ledger import Journal
from companyos.operations import Incident, Operations
from companyos.tower.asking import ASKED, check_kind, check_reason, offers
from companyos.tower.release_page import Asking, ReleasePage, release_page
from companyos.tower.releases import ReleaseQuery, Releases, ReleasesPage, finished, not_found, releases_page

TICKS: Final = 500
"""How many recorded ticks a chart is drawn from; those of the beginning, of a release with more."""
_LATER: Final = 50


class ReleasePages:
    """The pages of releases over delivery."""

    def __init__(self, journal: Journal, releases: Releases, operations: Operations) -> None:
        """Take the clock's journal, who knows releases, and who knows incidents."""
        self._clock = journal.clock
        self._releases = releases
        self._operations = operations

    def listing(self, caller: Caller, query: ReleaseQuery) -> ReleasesPage:
        """Return the releases in flight and a page of the finished ones. Raises Denied or InvalidInput."""
        require(caller, "release.read", f"service:{query.service}" if query.service else "releases")
        ended, cursor = finished(
            lambda cursor, limit: self._releases.list_releases(
                caller, service=query.service, in_flight=False, cursor=cursor, limit=limit
            ),
            query,
        )
        moving = () if query.over else self._releases.in_flight()
        return releases_page(moving, ended, cursor, query, self._clock.now())

    def one(
        self, caller: Caller, id: str, *, asked: str | None = None, refused: tuple[str, str, str] | None = None
    ) -> ReleasePage:
        """Return the page of a release. Raises Denied or NotFound.

        ``asked`` is the command that was just taken up; ``refused`` is one that was not: its kind, the reason that was
        typed and the sentence that says why.
        """
        require(caller, "release.read", f"deployment:{id[:60]}")
        release = self._releases.detail_for_page(id) if is_uuid(id) else None
        if release is None:
            raise not_found(id)
        kind, reason, fault = refused or ("", "", None)
        may = self._may_control(caller, id)
        asking = Asking(
            may=may,
            offers=offers(release, is_newest=self._is_newest(release)) if may else (),
            said=next((sentence for known, sentence in ASKED.items() if known == asked), None),
            fault=fault,
            kind=kind,
            reason=reason,
        )
        return release_page(
            release,
            self._clock.now(),
            asking=asking,
            incident=self._incident(caller, release.incident_id),
            ticks=self._releases.ticks(caller, id, limit=TICKS),
        )

    def ask(self, caller: Caller, id: str, kind: str, reason: str) -> None:
        """Write down what a person asks of a release. Raises Denied, NotFound, InvalidInput or Conflict."""
        require(caller, "release.control", f"deployment:{id[:60]}")
        self._releases.command(caller, id, check_kind(kind), reason=check_reason(reason))

    def _is_newest(self, release: Detail) -> bool:
        if release.state != "steady":
            return False
        promoted = (
            other.id
            for other in self._releases.of_service(release.service, limit=_LATER)
            if other.state == "steady" and other.environment == release.environment
        )
        return next(promoted, None) == release.id

    def _incident(self, caller: Caller, id: str | None) -> Incident | None:
        try:
            return self._operations.get_incident(caller, id) if id is not None else None
        except (Denied, NotFound):
            return None

    @staticmethod
    def _may_control(caller: Caller, id: str) -> bool:
        try:
            require(caller, "release.control", f"deployment:{id[:60]}")
        except Denied:
            return False
        return True
