"""Whom the Tower asks about releases, and the page that lists them as a value."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from datetime import datetime
from enum import StrEnum
from typing import Any, Final, Protocol
from urllib.parse import urlencode

import msgspec
from sqlalchemy import Connection

from companyos.core.access import Caller
from companyos.core.errors import InvalidInput, NotFound
from companyos.core.ids import check_service_name
from companyos.core.paging import Page, encode_cursor
from companyos.delivery.model import CommandKind
from companyos.delivery.view import Detail, Summary
from companyos.tower.ladder import ReleaseCard, card, worst_first

PAGE_ROWS: Final = 25
_SCAN_ROWS: Final = 100
_SCANS: Final = 5
"""A page that filters by outcome reads at most this many pages of releases; what comes after is one link away."""


class Releases(Protocol):
    """What the Tower needs of delivery; ``delivery.Delivery`` is it."""

    def in_flight(self, *, connection: Connection | None = None) -> tuple[Summary, ...]:
        """Return the releases on their way, in one query."""
        ...

    def of_service(self, service: str, *, limit: int = 10, connection: Connection | None = None) -> tuple[Summary, ...]:
        """Return the newest releases of a service, newest first."""
        ...

    def detail_for_page(self, id: str, *, connection: Connection | None = None) -> Detail | None:
        """Return all that is known of a release, or None."""
        ...

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
        """Return a page of releases, newest first."""
        ...

    def ticks(self, caller: Caller, id: str, *, cursor: str | None = None, limit: int = 500) -> Page[dict[str, Any]]:
        """Return what was seen of a release, oldest first."""
        ...

    def command(self, caller: Caller, id: str, kind: CommandKind, *, reason: str) -> Detail:
        """Write down what a person asks of a release."""
        ...


class NoReleases:
    """A platform that has never released anything."""

    def in_flight(self, *, connection: Connection | None = None) -> tuple[Summary, ...]:
        """Return none."""
        del connection
        return ()

    def of_service(self, service: str, *, limit: int = 10, connection: Connection | None = None) -> tuple[Summary, ...]:
        """Return none."""
        del service, limit, connection
        return ()

    def detail_for_page(self, id: str, *, connection: Connection | None = None) -> Detail | None:
        """Return None."""
        del id, connection
        return None

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
        """Return an empty page."""
        del caller, service, name, in_flight, cursor, limit
        return Page(items=[])

    def ticks(self, caller: Caller, id: str, *, cursor: str | None = None, limit: int = 500) -> Page[dict[str, Any]]:
        """Return an empty page."""
        del caller, id, cursor, limit
        return Page(items=[])

    def command(self, caller: Caller, id: str, kind: CommandKind, *, reason: str) -> Detail:
        """Raise NotFound."""
        del caller, kind, reason
        raise not_found(id)


class Outcome(StrEnum):
    """How a release ended."""

    PROMOTED = "promoted"
    ROLLED_BACK = "rolled_back"

    def includes(self, release: Summary) -> bool:
        """Whether the release ended like this."""
        return release.state == {"promoted": "steady", "rolled_back": "rolled_back"}[self]


class ReleaseQuery(msgspec.Struct, frozen=True, kw_only=True):
    """What the page of releases was asked for; a field that is None filters nothing."""

    service: str | None = None
    outcome: Outcome | None = None
    cursor: str | None = None

    @property
    def over(self) -> bool:
        """Whether only releases that have ended are asked for."""
        return self.outcome is not None or self.cursor is not None

    def url(self, **changes: Any) -> str:  # noqa: ANN401 - the fields of this struct
        """Return the address of this view with some fields changed; without ``cursor`` it starts at the newest."""
        wanted = msgspec.structs.replace(self, **{"cursor": None, **changes})
        pairs = [(field, value) for field in self.__struct_fields__ if (value := getattr(wanted, field)) is not None]
        return f"/releases?{urlencode(pairs)}" if pairs else "/releases"


class ReleasesPage(msgspec.Struct, frozen=True, kw_only=True):
    """Everything that the page of releases shows."""

    now: datetime
    query: ReleaseQuery
    moving: tuple[ReleaseCard, ...]
    """In flight: what needs a person first. Empty where only those that have ended are asked for."""
    finished: tuple[ReleaseCard, ...]
    older: str | None
    """The address of the next page, None on the last one."""


def read_query(given: dict[str, str]) -> ReleaseQuery:
    """Return the query in the parameters of an address, or raise InvalidInput that names the one at fault."""
    service, outcome = given.get("service"), given.get("outcome")
    if service is not None:
        check_service_name(service, field="service")
    try:
        wanted = Outcome(outcome) if outcome is not None else None
    except ValueError as fault:
        raise InvalidInput(
            f"A release cannot have ended as {str(outcome)[:40]!r}.",
            next_step=f"Use {' or '.join(Outcome)}.",
            field="outcome",
        ) from fault
    return ReleaseQuery(service=service, outcome=wanted, cursor=given.get("cursor"))


def finished(read: Callable[[str | None, int], Page[Summary]], query: ReleaseQuery) -> tuple[list[Summary], str | None]:
    """Return up to ``PAGE_ROWS`` finished releases that match, and the cursor behind them or None at the end.

    ``read`` returns a page of releases for a cursor and a limit. The outcome is looked at here, a bounded number of
    releases at a time, so a page may be short although there are older ones.
    """
    found: list[Summary] = []
    cursor = query.cursor
    for _ in range(_SCANS):
        page = read(cursor, _SCAN_ROWS if query.outcome else PAGE_ROWS)
        for release in page.items:
            if query.outcome is not None and not query.outcome.includes(release):
                continue
            found.append(release)
            if len(found) == PAGE_ROWS:
                last = release is page.items[-1] and page.next_cursor is None
                return found, None if last else encode_cursor(release.id)
        cursor = page.next_cursor
        if cursor is None or query.outcome is None:
            break
    return found, cursor


def releases_page(
    moving: Iterable[Summary], ended: Sequence[Summary], cursor: str | None, query: ReleaseQuery, now: datetime
) -> ReleasesPage:
    """Return the page."""
    cards = [card(release, now) for release in moving if query.service in {None, release.service}]
    return ReleasesPage(
        now=now,
        query=query,
        moving=() if query.over else tuple(sorted(cards, key=worst_first)),
        finished=tuple(card(release, now) for release in ended),
        older=query.url(cursor=cursor) if cursor else None,
    )


def not_found(id: str) -> NotFound:
    """Return the error for a release that is not there."""
    return NotFound(f"There is no release {id[:60]!r}.", next_step="See all of them at /releases.")
