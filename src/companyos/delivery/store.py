"""The queries of releases and their transitions."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Any

import msgspec
from sqlalchemy import Connection, RowMapping, insert, or_, select, update
from sqlalchemy import exc as sql

from companyos.delivery.errors import InFlight
from companyos.delivery.machine import State
from companyos.delivery.model import FINAL, Indicator, Phase, Release
from companyos.delivery.tables import release_actions, release_transitions, releases
from companyos.delivery.view import RollbackPlan, Summary, Transition


class Stored(msgspec.Struct, frozen=True, kw_only=True):
    """A release as it is written down."""

    release: Release
    state: State
    snapshot: Summary
    plan: RollbackPlan
    changelog: dict[str, Any]
    in_flight: bool
    stable: bool
    revision: int
    """Grows with each decision; a writer that knows an older one has been overtaken."""

    @property
    def id(self) -> str:
        """The id of the release."""
        return self.release.id


def add(connection: Connection, stored: Stored) -> None:
    """Add a release, or raise InFlight when the service has one on its way."""
    release = stored.release
    try:
        connection.execute(
            insert(releases).values(
                id=release.id,
                service=release.service,
                version=release.version,
                environment=release.environment,
                digest=release.digest,
                body=msgspec.to_builtins(release),
                plan=msgspec.to_builtins(stored.plan),
                changelog=stored.changelog,
                created_at=release.created_at,
                **_changing(stored),
            )
        )
    except sql.IntegrityError as fault:
        raise InFlight(release.service) from fault


def save(connection: Connection, stored: Stored) -> bool:
    """Write what a decision changed and return True, or False when somebody else has decided since it was read."""
    done = connection.execute(
        update(releases)
        .where(releases.c.id == stored.id, releases.c.revision == stored.revision - 1)
        .values(_changing(stored))
    )
    return done.rowcount == 1


def save_snapshot(connection: Connection, stored: Stored) -> bool:
    """Write state and snapshot of a release within a phase; False when somebody else has decided meanwhile."""
    done = connection.execute(
        update(releases)
        .where(releases.c.id == stored.id, releases.c.revision == stored.revision)
        .values(state=msgspec.to_builtins(stored.state), snapshot=msgspec.to_builtins(stored.snapshot))
    )
    return done.rowcount == 1


def leave_stable(connection: Connection, service: str, environment: str) -> None:
    """Have no release of the service be the stable one, so that another can become it."""
    connection.execute(
        update(releases)
        .where(releases.c.service == service, releases.c.environment == environment, releases.c.stable)
        .values(stable=False)
    )


def make_stable(connection: Connection, id: str) -> None:
    """Have this release be the stable one again; nothing is when it has gone."""
    connection.execute(update(releases).where(releases.c.id == id).values(stable=True))


def get(connection: Connection, id: str, *, lock: bool = False) -> Stored | None:
    """Return a release, or None. With ``lock`` nobody else changes it until the transaction ends."""
    query = select(releases).where(releases.c.id == id)
    row = connection.execute(query.with_for_update() if lock else query).mappings().first()
    return _read(row) if row else None


def stable(connection: Connection, service: str, environment: str) -> Stored | None:
    """Return the stable release of a service, or None before the first one."""
    query = select(releases).where(
        releases.c.service == service, releases.c.environment == environment, releases.c.stable
    )
    row = connection.execute(query).mappings().first()
    return _read(row) if row else None


def unfinished(connection: Connection, service: str, environment: str) -> Stored | None:
    """Return the release of a service that is on its way, or None."""
    query = select(releases).where(
        releases.c.service == service, releases.c.environment == environment, releases.c.in_flight
    )
    row = connection.execute(query).mappings().first()
    return _read(row) if row else None


def live(connection: Connection) -> list[Stored]:
    """Return every release that the controller cares for: in flight, stable, or with something still to be done."""
    owing = select(release_actions.c.release_id).where(release_actions.c.done_at.is_(None))
    query = select(releases).where(
        or_(
            releases.c.in_flight,
            releases.c.stable,
            releases.c.phase.not_in(sorted(FINAL)),
            releases.c.id.in_(owing),
        )
    )
    return [_read(row) for row in connection.execute(query.order_by(releases.c.id)).mappings()]


def page(
    connection: Connection,
    *,
    service: str | None = None,
    version: str | None = None,
    in_flight: bool | None = None,
    phases: Collection[Phase] | None = None,
    after: str | None = None,
    limit: int,
) -> list[Summary]:
    """Return up to ``limit`` releases, newest first, behind the id ``after``."""
    query = select(releases.c.snapshot).order_by(releases.c.id.desc()).limit(limit)
    if service is not None:
        query = query.where(releases.c.service == service)
    if version is not None:
        query = query.where(releases.c.version == version)
    if in_flight is not None:
        query = query.where(releases.c.in_flight if in_flight else releases.c.in_flight.is_(False))
    if phases is not None:
        query = query.where(releases.c.phase.in_(sorted(phases)))
    if after is not None:
        query = query.where(releases.c.id < after)
    return [msgspec.convert(row.snapshot, Summary) for row in connection.execute(query)]


def add_transition(connection: Connection, release_id: str, made: Transition, measured: Sequence[Indicator]) -> None:
    """Add a transition with the indicators as they stood."""
    values = msgspec.structs.asdict(made)
    values["percent"] = f"{made.percent:g}"
    connection.execute(
        insert(release_transitions).values(
            release_id=release_id, indicators=msgspec.to_builtins(tuple(measured)), **values
        )
    )


def transitions(connection: Connection, release_id: str) -> tuple[Transition, ...]:
    """Return the transitions of a release, oldest first."""
    query = (
        select(release_transitions)
        .where(release_transitions.c.release_id == release_id)
        .order_by(release_transitions.c.number)
    )
    return tuple(
        Transition(
            number=row.number,
            at=row.at,
            verb=row.verb,
            phase=row.phase,
            percent=float(row.percent),
            sentence=row.sentence,
            entry_id=row.entry_id,
        )
        for row in connection.execute(query)
    )


def next_transition(connection: Connection, release_id: str) -> int:
    """Return the number of the next transition of a release."""
    return len(transitions(connection, release_id)) + 1


def _changing(stored: Stored) -> dict[str, Any]:
    return {
        "phase": stored.state.phase,
        "in_flight": stored.in_flight,
        "stable": stored.stable,
        "state": msgspec.to_builtins(stored.state),
        "snapshot": msgspec.to_builtins(stored.snapshot),
        "revision": stored.revision,
    }


def _read(row: RowMapping) -> Stored:
    return Stored(
        release=msgspec.convert(row["body"], Release),
        state=msgspec.convert(row["state"], State),
        snapshot=msgspec.convert(row["snapshot"], Summary),
        plan=msgspec.convert(row["plan"], RollbackPlan),
        changelog=row["changelog"],
        in_flight=row["in_flight"],
        stable=row["stable"],
        revision=row["revision"],
    )
