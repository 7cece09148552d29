"""The use cases of teams, domains and the other words that services are sorted by."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeVar

from companyos.catalog import store
from companyos.catalog.errors import TeamNotFound
from companyos.catalog.etag import check_match
from companyos.catalog.facts import restate
from companyos.catalog.model import MANUAL, Counts, Domain, DomainView, Statement, Team, TeamView, Usage
from companyos.catalog.recording import record
from companyos.core.access import Caller, require
from companyos.core.errors import InvalidInput
from companyos.core.ids import check_name
from companyos.core.paging import DEFAULT_LIMIT, Page, check_limit, decode_cursor, encode_cursor

if TYPE_CHECKING:
    from collections.abc import Callable

    from sqlalchemy import Connection

    from companyos.ledger import Journal

View = TypeVar("View", Usage, TeamView, DomainView)


class Directory:
    """Teams, domains, regions, tiers and environments."""

    def __init__(self, journal: Journal) -> None:
        """Work on the database, clock and ledger of this journal."""
        self.journal = journal

    def teams(self, caller: Caller, *, cursor: str | None = None, limit: int = DEFAULT_LIMIT) -> Page[TeamView]:
        """Return a page of teams by name: those that a source describes, and those that services name as owner."""

        def views(connection: Connection, words: list[Usage]) -> list[TeamView]:
            known = store.load(connection, Team, [word.name for word in words])
            return [TeamView(name=word.name, services=word.services, team=known.get(word.name)) for word in words]

        return self._page(caller, "owner", views, described=Team, cursor=cursor, limit=limit)

    def domains(self, caller: Caller, *, cursor: str | None = None, limit: int = DEFAULT_LIMIT) -> Page[DomainView]:
        """Return a page of domains by name: those that a source describes, and those that services are in."""

        def views(connection: Connection, words: list[Usage]) -> list[DomainView]:
            known = store.load(connection, Domain, [word.name for word in words])
            return [DomainView(name=word.name, services=word.services, domain=known.get(word.name)) for word in words]

        return self._page(caller, "domain", views, described=Domain, cursor=cursor, limit=limit)

    def regions(self, caller: Caller, *, cursor: str | None = None, limit: int = DEFAULT_LIMIT) -> Page[Usage]:
        """Return a page of the regions that services are in."""
        return self._page(caller, "region", _as_they_are, cursor=cursor, limit=limit)

    def tiers(self, caller: Caller, *, cursor: str | None = None, limit: int = DEFAULT_LIMIT) -> Page[Usage]:
        """Return a page of the tiers that services have."""
        return self._page(caller, "tier", _as_they_are, cursor=cursor, limit=limit)

    def environments(self, caller: Caller, *, cursor: str | None = None, limit: int = DEFAULT_LIMIT) -> Page[Usage]:
        """Return a page of the environments in which services run now."""
        return self._page(caller, "environment", _as_they_are, cursor=cursor, limit=limit)

    def counts(self, caller: Caller) -> Counts:
        """Return how much the catalog holds; ``unowned`` is how many services nobody owns."""
        require(caller, "catalog.read", "catalog")
        with self.journal.read() as connection:
            return store.counts(connection)

    def get_team(self, caller: Caller, name: str) -> Team:
        """Return a team that a source describes, or raise TeamNotFound."""
        check_name(name, what="team", field="name")
        require(caller, "catalog.read", f"team:{name}")
        with self.journal.read() as connection:
            team = store.load(connection, Team, [name]).get(name)
        if team is None:
            raise TeamNotFound(name)
        return team

    def put_team(
        self,
        caller: Caller,
        name: str,
        *,
        title: str | None = None,
        oncall: str | None = None,
        members: tuple[str, ...] = (),
        if_match: str | None = None,
    ) -> Team:
        """Return the team, which says now exactly this; a team that is there already needs ``if_match``."""
        check_name(name, what="team", field="name")
        verdict = require(caller, "catalog.write", f"team:{name}")
        said = {"title": title, "oncall": oncall, "members": tuple(sorted(set(members)))}
        statement = Statement(kind="team", name=name, source=MANUAL, said=said, complete=False)
        with self.journal.write(caller, unchanged_ok=True) as change:
            known = store.load(change.connection, Team, [name], lock=True).get(name)
            if known is not None:
                check_match(if_match, known.revision, what=f"team {name}")
            restated = restate(known, statement, self.journal.clock.now())
            record(change, verdict, restated, source=MANUAL)
        team = restated.entity
        assert isinstance(team, Team)  # noqa: S101 - tells mypy what the kind of the statement says
        return team

    def _page(
        self,
        caller: Caller,
        word: str,
        views: Callable[[Connection, list[Usage]], list[View]],
        *,
        described: type[Team | Domain] | None = None,
        cursor: str | None,
        limit: int,
    ) -> Page[View]:
        require(caller, "catalog.read", "catalog")
        check_limit(limit)
        after = None if cursor is None else check_cursor_text(decode_cursor(cursor, str)[0])
        with self.journal.read() as connection:
            if word == "environment":
                found = store.environments_page(connection, after=after, limit=limit + 1)
            else:
                found = store.usage_page(connection, word, described=described, after=after, limit=limit + 1)
            items = views(connection, found[:limit])
        more = len(found) > limit
        return Page(items=items, next_cursor=encode_cursor(found[limit - 1].name) if more else None)


def check_cursor_text(part: str | int) -> str:
    """Return a part of a cursor that is a name, or raise InvalidInput: PostgreSQL takes no NUL, and we made none."""
    text = str(part)
    if not text.isprintable():
        raise InvalidInput("The cursor is not one of ours.", next_step="Start again without a cursor.", field="cursor")
    return text


def _as_they_are(_connection: Connection, words: list[Usage]) -> list[Usage]:
    return words
