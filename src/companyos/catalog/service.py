"""The use cases of services: add, import, list, change, remove. Each change ends with its ledger record."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from contextlib import nullcontext
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Final, cast

from companyos.catalog import deployment_store, store
from companyos.catalog.directory import Directory, check_cursor_text
from companyos.catalog.errors import NameTaken, ServiceNotFound, StillNeeded
from companyos.catalog.etag import check_match
from companyos.catalog.facts import Restated, restate
from companyos.catalog.model import (
    FACTS,
    KINDS,
    MANUAL,
    Domain,
    Imported,
    ImportReport,
    Projected,
    Service,
    ServiceQuery,
    SourceFile,
    Statement,
    Team,
)
from companyos.catalog.reading import read_files
from companyos.catalog.recording import record
from companyos.catalog.running import Running
from companyos.core.access import Caller, require
from companyos.core.errors import InvalidInput
from companyos.core.ids import check_name, check_service_name
from companyos.core.paging import DEFAULT_LIMIT, Page, check_limit, decode_cursor, encode_cursor

if TYPE_CHECKING:
    from sqlalchemy import Connection

_NAMED: Final = 5
"""How many dependents a refusal names."""
_TEXT_LIMIT: Final = 100
_SETS: Final = ("regions", "environments", "depends_on")


class Catalog(Directory, Running):
    """Services; from ``Directory`` teams and words, from ``Running`` what runs where."""

    def add(self, caller: Caller, name: str, facts: Mapping[str, Any]) -> Service:
        """Return the new service with these facts, whose source is ``manual``. Raises NameTaken or InvalidInput."""
        statement = _statement(name, facts)
        verdict = require(caller, "catalog.write", f"service:{name}")
        with self.journal.write(caller) as change:
            if store.load(change.connection, Service, [name]):
                raise NameTaken("service", name)
            restated = restate(None, statement, self.journal.clock.now())
            record(change, verdict, restated, source=MANUAL)
        return _service(restated)

    def import_documents(self, caller: Caller, files: Sequence[SourceFile]) -> ImportReport:
        """Return what manifests and Backstage entities changed: all of it in one transaction, or nothing.

        Each changed thing has its own ledger record; an import that changes nothing records nothing.
        Raises InvalidInput or TooLarge for any document that is broken.
        """
        verdict = require(caller, "catalog.write", "catalog")
        plan = read_files(files)
        items: list[Imported] = []
        with self.journal.write(caller, unchanged_ok=True) as change:
            now = self.journal.clock.now()
            # Things are locked and written in one order everywhere, so that two imports cannot wait for each other.
            for kind, type_ in KINDS.items():
                said = {statement.name: statement for statement in plan.statements if statement.kind == kind}
                known: dict[str, Service | Team | Domain] = store.load(change.connection, type_, said, lock=True)
                for name, statement in sorted(said.items()):
                    restated = restate(known.get(name), statement, now)
                    record(change, verdict, restated, source=statement.source)
                    items.append(Imported(kind=kind, name=name, outcome=restated.outcome))
        return ImportReport(items=items, skipped=list(plan.skipped))

    def list_services(
        self, caller: Caller, asked: ServiceQuery, *, cursor: str | None = None, limit: int = DEFAULT_LIMIT
    ) -> Page[Service]:
        """Return a page of the services that match, and how many match in all."""
        require(caller, "catalog.read", "catalog")
        _check_query(asked)
        check_limit(limit)
        after = None if cursor is None else _after(cursor, asked.sort)
        with self.journal.read() as connection:
            found = store.services_page(connection, asked, after=after, limit=limit + 1)
            total = store.count_services(connection, asked)
        items, more = found[:limit], len(found) > limit
        return Page(
            items=items,
            next_cursor=encode_cursor(store.sort_value(items[-1], asked.sort), items[-1].name) if more else None,
            total=total,
        )

    def get(self, caller: Caller, name: str) -> Service:
        """Return a service, or raise ServiceNotFound."""
        check_service_name(name)
        require(caller, "catalog.read", f"service:{name}")
        with self.journal.read() as connection:
            service = store.load(connection, Service, [name]).get(name)
        if service is None:
            raise ServiceNotFound(name)
        return service

    def update(self, caller: Caller, name: str, facts: Mapping[str, Any], *, if_match: str | None) -> Service:
        """Return the service with the given facts changed; facts that are not given stay, empty ones are withdrawn.

        ``if_match`` must name the present revision: see ``etag.check_match``. Raises ServiceNotFound or InvalidInput.
        """
        statement = _statement(name, facts)
        verdict = require(caller, "catalog.write", f"service:{name}")
        with self.journal.write(caller, unchanged_ok=True) as change:
            known = _locked(change.connection, name)
            check_match(if_match, known.revision, what=f"service {name}")
            restated = restate(known, statement, self.journal.clock.now())
            record(change, verdict, restated, source=MANUAL)
        return _service(restated)

    def remove(self, caller: Caller, name: str, *, if_match: str | None) -> None:
        """Remove a service. There is no cascade: while others depend on it, or it runs somewhere, it stays.

        Raises ServiceNotFound, StillNeeded, or what ``etag.check_match`` raises.
        """
        check_service_name(name)
        verdict = require(caller, "catalog.remove", f"service:{name}")
        with self.journal.write(caller) as change:
            known = _locked(change.connection, name)
            check_match(if_match, known.revision, what=f"service {name}")
            if others := store.dependents(change.connection, name, limit=_NAMED + 1):
                named = ", ".join(others[:_NAMED]) + (" and others" if len(others) > _NAMED else "")
                raise StillNeeded(name, f"{named} depend on it", "Change what they depend on first.")
            if runs := deployment_store.running(change.connection, [name]).get(name):
                places = ", ".join(sorted({deployment.environment for deployment in runs}))
                raise StillNeeded(name, f"it runs in {places}", "End its deployments first.")
            store.delete_service(change.connection, name)
            change.record(
                verb="service.remove",
                target=f"service:{name}",
                verdict=verdict,
                service=name,
                details={"revision": known.revision, "owner": known.owner},
            )

    def services_for_projection(
        self, names: Collection[str] | None = None, *, connection: Connection | None = None
    ) -> list[Projected]:
        """Return all that is known of the named services that exist, by name; of every service without ``names``.

        It takes three queries for each thousand names, asks for no permission, and belongs to the platform's own pages,
        which guard themselves. Give ``connection`` to read within a transaction.
        """
        with nullcontext(connection) if connection is not None else self.journal.read() as reader:
            services = store.load(reader, Service, names)
            running = deployment_store.running(reader, None if names is None else services)
            owners = {service.owner for service in services.values() if service.owner is not None}
            teams = store.load(reader, Team, None if names is None else owners)
        return [
            Projected(
                service=service,
                team=teams.get(service.owner) if service.owner is not None else None,
                deployments=running.get(name, ()),
            )
            for name, service in services.items()
        ]


def _statement(name: str, facts: Mapping[str, Any]) -> Statement:
    """Return what a person says about a service, or raise InvalidInput."""
    check_service_name(name)
    if unknown := sorted(set(facts) - set(FACTS["service"])):
        name_of_it = unknown[0][:60]
        raise InvalidInput(f"A service has no fact {name_of_it!r}.", next_step="See /schema.", field=name_of_it)
    if name in facts.get("depends_on", ()):
        raise InvalidInput(f"{name} depends on itself.", next_step="Leave it out.", field="depends_on")
    sets = {fact: tuple(sorted(set(facts[fact]))) for fact in _SETS if fact in facts}
    return Statement(kind="service", name=name, source=MANUAL, said={**facts, **sets}, complete=False)


def _service(restated: Restated) -> Service:
    return cast("Service", restated.entity)


def _locked(connection: Connection, name: str) -> Service:
    service = store.load(connection, Service, [name], lock=True).get(name)
    if service is None:
        raise ServiceNotFound(name)
    return service


def _check_query(asked: ServiceQuery) -> None:
    for what, word in (
        ("domain", asked.domain),
        ("region", asked.region),
        ("tier", asked.tier),
        ("team", asked.owner),
    ):
        if word is not None:
            check_name(word, what=what, field="owner" if what == "team" else what)
    if asked.text is not None and (len(asked.text) > _TEXT_LIMIT or not asked.text.isprintable()):
        raise InvalidInput(
            f"A search is up to {_TEXT_LIMIT} printable characters.", next_step="Shorten it.", field="text"
        )
    if asked.sort.removeprefix("-") not in store.SORT_KEYS:
        raise InvalidInput(
            f"Services cannot be sorted by {asked.sort[:60]!r}.",
            next_step=f"Use one of {', '.join(store.SORT_KEYS)}, with a hyphen before it to turn the order round.",
            field="sort",
        )


def _after(cursor: str, sort: str) -> tuple[str | datetime, str]:
    """Return the sort key and the name behind which the page starts, or raise InvalidInput."""
    key, name = (check_cursor_text(part) for part in decode_cursor(cursor, str, str))
    if sort.removeprefix("-") != "updated_at":
        return key, name
    try:
        return datetime.fromisoformat(key).astimezone(UTC), name
    except (ValueError, OverflowError) as fault:
        raise InvalidInput(
            "The cursor belongs to a list in another order.", next_step="Start again without a cursor.", field="cursor"
        ) from fault
