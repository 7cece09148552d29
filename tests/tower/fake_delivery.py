"""A delivery for the tests of the Tower: it knows the releases that it is given, and remembers what is asked of it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from sqlalchemy import Connection

from companyos.core.access import Caller, require
from companyos.core.errors import Conflict, NotFound
from companyos.core.paging import Page, after_id, page_by_id
from companyos.delivery.model import CommandKind
from companyos.delivery.view import Detail, Summary
from tests.tower.releases import detail, over


class FakeDelivery:
    """A delivery whose releases stand in a list; what is asked of it is remembered."""

    def __init__(self, releases: Sequence[Summary] = (), ticks: Sequence[dict[str, Any]] = ()) -> None:
        """Take the releases, in any order."""
        self.releases = {release.id: release for release in releases}
        self.recorded = list(ticks)
        self.commands: list[tuple[str, CommandKind, str]] = []

    def put(self, *releases: Summary) -> None:
        """Add releases, or replace older ones of the same id."""
        self.releases |= {release.id: release for release in releases}

    def in_flight(self, *, connection: Connection | None = None) -> tuple[Summary, ...]:
        """Return those on their way."""
        del connection
        return tuple(release for _, release in sorted(self.releases.items()) if not over(release))

    def of_service(self, service: str, *, limit: int = 10, connection: Connection | None = None) -> tuple[Summary, ...]:
        """Return those of a service, newest first."""
        del connection
        return tuple([one for one in self._newest_first() if one.service == service][:limit])

    def detail_for_page(self, id: str, *, connection: Connection | None = None) -> Detail | None:
        """Return one, or None."""
        del connection
        return detail(self.releases[id]) if id in self.releases else None

    def list_releases(
        self,
        caller: Caller,
        *,
        service: str | None = None,
        name: str | None = None,
        in_flight: bool | None = None,
        cursor: str | None = None,
        limit: int = 100,
    ) -> Page[Summary]:
        """Return a page, newest first."""
        require(caller, "release.read", "releases")
        after = after_id(cursor)
        found = [
            one
            for one in self._newest_first()
            if service in {None, one.service}
            and name in {None, one.name}
            and in_flight in {None, not over(one)}
            and (after is None or one.id < after)
        ]
        return page_by_id(found[: limit + 1], limit, lambda one: one.id)

    def ticks(self, caller: Caller, id: str, *, cursor: str | None = None, limit: int = 500) -> Page[dict[str, Any]]:
        """Return the ticks, the same for each release."""
        del caller, id, cursor
        return Page(items=self.recorded[:limit])

    def command(self, caller: Caller, id: str, kind: CommandKind, *, reason: str) -> Detail:
        """Remember what is asked."""
        require(caller, "release.control", f"deployment:{id}")
        if id not in self.releases:
            raise NotFound("There is no such release.", next_step="See all of them.")
        release = self.releases[id]
        if release.state == "rolled_back":
            raise Conflict(f"{release.name} is rolled back already.", next_step="Deploy again.")
        self.commands.append((id, kind, reason))
        return detail(release)

    def _newest_first(self) -> list[Summary]:
        return [release for _, release in sorted(self.releases.items(), reverse=True)]
