"""Every query of the catalog about things: services, teams and domains. What runs where is in ``deployment_store``."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from datetime import datetime
from typing import Any, Final, TypeVar

import msgspec
from sqlalchemy import (
    ColumnElement,
    Connection,
    RowMapping,
    Select,
    Table,
    delete,
    exc,
    exists,
    func,
    insert,
    literal,
    or_,
    select,
    tuple_,
    union,
    update,
)

from companyos.catalog.errors import NameTaken
from companyos.catalog.model import Counts, Domain, Entity, Service, ServiceQuery, Team, Usage
from companyos.catalog.tables import (
    deployments,
    domains,
    service_dependencies,
    service_regions,
    services,
    teams,
)
from companyos.core.clock import rfc3339

Thing = TypeVar("Thing", bound=Entity)
CHUNK: Final = 1000
"""How many names one query asks for."""

_TABLES: Final[Mapping[type[Entity], Table]] = {Service: services, Team: teams, Domain: domains}

SORT_KEYS: Final[Mapping[str, ColumnElement[Any]]] = {
    "name": services.c.name,
    "owner": func.coalesce(services.c.owner, ""),
    "domain": func.coalesce(services.c.domain, ""),
    "tier": func.coalesce(services.c.tier, ""),
    "updated_at": services.c.updated_at,
}
"""What a list of services can be sorted by; the name decides among equals."""


# --- things -----------------------------------------------------------------------------------------------------------


def load(
    connection: Connection, kind: type[Thing], names: Collection[str] | None = None, *, lock: bool = False
) -> dict[str, Thing]:
    """Return the things of a kind by name: those that are asked for and exist, all without ``names``.

    With ``lock`` nobody else changes them until the transaction ends; locks are taken in the order of the names.
    """
    table = _TABLES[kind]
    query = select(table).order_by(table.c.name)
    if lock:
        query = query.with_for_update()
    found: dict[str, Thing] = {}
    for chunk in [None] if names is None else chunks(sorted(names)):
        rows = connection.execute(query if chunk is None else query.where(table.c.name.in_(chunk))).mappings()
        found.update((row["name"], _read(row, kind)) for row in rows)
    return found


def insert_thing(connection: Connection, thing: Service | Team | Domain) -> None:
    """Add a thing, or raise NameTaken."""
    try:
        connection.execute(insert(_TABLES[type(thing)]).values(_row(thing)))
    except exc.IntegrityError as fault:
        raise NameTaken(type(thing).__name__.lower(), thing.name) from fault
    _index(connection, thing)


def update_thing(connection: Connection, thing: Service | Team | Domain) -> None:
    """Write a thing that this transaction has locked."""
    table = _TABLES[type(thing)]
    connection.execute(update(table).where(table.c.name == thing.name).values(_row(thing)))
    if isinstance(thing, Service):
        for index in (service_regions, service_dependencies):
            connection.execute(delete(index).where(index.c.service == thing.name))
    _index(connection, thing)


def delete_service(connection: Connection, name: str) -> None:
    """Remove a service with all that hangs on it: index rows and the history of its deployments."""
    connection.execute(delete(services).where(services.c.name == name))


def dependents(connection: Connection, name: str, *, limit: int) -> list[str]:
    """Return the names of up to ``limit`` services that depend on this one."""
    query = (
        select(service_dependencies.c.service)
        .where(service_dependencies.c.depends_on == name)
        .order_by(service_dependencies.c.service)
        .limit(limit)
    )
    return list(connection.execute(query).scalars())


def _row(thing: Entity) -> dict[str, Any]:
    plain: dict[str, Any] = msgspec.to_builtins(thing)
    return plain | {"created_at": thing.created_at, "updated_at": thing.updated_at}


def _read(row: RowMapping, kind: type[Thing]) -> Thing:
    # SQLAlchemy's keys are a subclass of str, which msgspec takes for something else.
    return msgspec.convert({str(key): value for key, value in row.items()}, kind)


def _index(connection: Connection, thing: Service | Team | Domain) -> None:
    if not isinstance(thing, Service):
        return
    if thing.regions:
        rows = [{"service": thing.name, "region": region} for region in thing.regions]
        connection.execute(insert(service_regions), rows)
    if thing.depends_on:
        rows = [{"service": thing.name, "depends_on": other} for other in thing.depends_on]
        connection.execute(insert(service_dependencies), rows)


def chunks(names: Sequence[str]) -> Iterator[Sequence[str]]:
    """Yield the names in pieces that fit into one query."""
    for start in range(0, len(names), CHUNK):
        yield names[start : start + CHUNK]


# --- lists of services ------------------------------------------------------------------------------------------------


def services_page(
    connection: Connection, asked: ServiceQuery, *, after: tuple[str | datetime, str] | None, limit: int
) -> list[Service]:
    """Return up to ``limit`` services in the order asked, behind the sort key and name ``after``."""
    key = SORT_KEYS[asked.sort.removeprefix("-")]
    descending = asked.sort.startswith("-")
    query = _matching(select(services), asked).limit(limit)
    query = query.order_by(key.desc(), services.c.name.desc()) if descending else query.order_by(key, services.c.name)
    if after is not None:
        place = tuple_(literal(after[0], key.type), literal(after[1]))
        here = tuple_(key, services.c.name)
        query = query.where(here < place if descending else here > place)
    return [_read(row, Service) for row in connection.execute(query).mappings()]


def count_services(connection: Connection, asked: ServiceQuery) -> int:
    """Return how many services match."""
    count: int = connection.execute(_matching(select(func.count()).select_from(services), asked)).scalar_one()
    return count


def sort_value(service: Service, sort: str) -> str:
    """Return the sort key of a service as it goes into a cursor."""
    value = getattr(service, sort.removeprefix("-"))
    return rfc3339(value) if isinstance(value, datetime) else value or ""


def _matching(query: Select[Any], asked: ServiceQuery) -> Select[Any]:
    asked_words = {"domain": asked.domain, "tier": asked.tier, "owner": asked.owner}
    for column, value in ((services.c[name], value) for name, value in asked_words.items()):
        if value is not None:
            query = query.where(column == value)
    if asked.region is not None:
        query = query.where(
            exists().where(service_regions.c.service == services.c.name, service_regions.c.region == asked.region)
        )
    if asked.ownership is not None:
        query = query.where(services.c.owner.is_not(None) if asked.ownership == "owned" else services.c.owner.is_(None))
    if asked.text:
        searched = (services.c.name, services.c.description, services.c.owner)
        query = query.where(or_(*(func.lower(c).contains(asked.text.lower(), autoescape=True) for c in searched)))
    return query


# --- words that services are sorted by --------------------------------------------------------------------------------


def usage_page(
    connection: Connection, word: str, *, described: type[Team | Domain] | None, after: str | None, limit: int
) -> list[Usage]:
    """Return up to ``limit`` words in their order, with how many services use each.

    ``word`` is ``region`` or a column of services. With ``described``, also those that only a source describes.
    """
    used = service_regions.c.region if word == "region" else services.c[word]
    names = select(used.label("name")).where(used.is_not(None)).distinct()
    every = names.subquery() if described is None else union(names, select(_TABLES[described].c.name)).subquery()
    counted = select(used.label("name"), func.count().label("services")).group_by(used).subquery()
    query = (
        select(every.c.name, func.coalesce(counted.c.services, 0).label("services"))
        .outerjoin(counted, counted.c.name == every.c.name)
        .order_by(every.c.name)
        .limit(limit)
    )
    rows = connection.execute(query.where(every.c.name > after) if after is not None else query)
    return [Usage(name=row.name, services=row.services) for row in rows]


def environments_page(connection: Connection, *, after: str | None, limit: int) -> list[Usage]:
    """Return up to ``limit`` environments in which services run now, with how many services each."""
    column = deployments.c.environment
    query = (
        select(column, func.count(deployments.c.service.distinct()).label("services"))
        .where(deployments.c.until.is_(None))
        .group_by(column)
        .order_by(column)
        .limit(limit)
    )
    rows = connection.execute(query.where(column > after) if after is not None else query)
    return [Usage(name=row.environment, services=row.services) for row in rows]


def counts(connection: Connection) -> Counts:
    """Return how much the catalog holds, in one query."""
    total = select(func.count()).select_from(services).scalar_subquery()
    owned = select(func.count(services.c.owner)).scalar_subquery()
    owners = union(
        select(services.c.owner.label("name")).where(services.c.owner.is_not(None)), select(teams.c.name)
    ).subquery()
    parts = union(
        select(services.c.domain.label("name")).where(services.c.domain.is_not(None)), select(domains.c.name)
    ).subquery()
    running = select(func.count()).select_from(deployments).where(deployments.c.until.is_(None)).scalar_subquery()
    row = connection.execute(
        select(
            total.label("services"),
            owned.label("owned"),
            select(func.count()).select_from(owners).scalar_subquery().label("teams"),
            select(func.count()).select_from(parts).scalar_subquery().label("domains"),
            running.label("deployments"),
        )
    ).one()
    return Counts(
        services=row.services,
        owned=row.owned,
        unowned=row.services - row.owned,
        teams=row.teams,
        domains=row.domains,
        deployments=row.deployments,
    )
