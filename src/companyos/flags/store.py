"""Every query of flags."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date, datetime
from typing import Any

import msgspec
from sqlalchemy import Connection, RowMapping, delete, insert, select, tuple_, union, update
from sqlalchemy.exc import IntegrityError

from companyos.core.errors import Conflict
from companyos.flags.definition import Definition
from companyos.flags.model import Change, Flag, Setting
from companyos.flags.tables import flag_changes, flag_definitions, flag_values


def define(connection: Connection, service: str, definitions: Sequence[Definition], digest: str, now: datetime) -> None:
    """Replace what is known of the flags of a service; what they are set to stays.

    Raises Conflict when somebody else has defined them for the first time in this moment.
    """
    connection.execute(delete(flag_definitions).where(flag_definitions.c.service == service))
    rows = [
        {
            **msgspec.structs.asdict(one),
            "service": service,
            "expires": one.expires.isoformat(),
            "cleanup": one.cleanup if isinstance(one.cleanup, str) else "\n".join(one.cleanup),
            "digest": digest,
            "defined_at": now,
        }
        for one in definitions
    ]
    if not rows:
        return
    try:
        with connection.begin_nested():
            connection.execute(insert(flag_definitions), rows)
    except IntegrityError as fault:
        raise Conflict(f"The flags of {service} were defined at the same time.", next_step="Try again.") from fault


def defined_by(connection: Connection, service: str) -> set[str]:
    """Return the digests of the artifacts that defined the flags of a service: one, or none."""
    query = select(flag_definitions.c.digest).where(flag_definitions.c.service == service)
    return set(connection.execute(query).scalars())


def setting(connection: Connection, service: str, environment: str, key: str) -> Setting | None:
    """Return what a flag was set to, None at its default; nobody else changes it until the transaction ends."""
    query = select(flag_values).where(*_is(service, environment, key)).with_for_update()
    row = connection.execute(query).mappings().first()
    return _read(row, Setting) if row else None


def settings_of_release(connection: Connection, release_id: str) -> list[Setting]:
    """Return what is still set as this release has set it, by key."""
    query = select(flag_values).where(flag_values.c.release_id == release_id).order_by(flag_values.c.key)
    return [_read(row, Setting) for row in connection.execute(query.with_for_update()).mappings()]


def put(connection: Connection, known: Setting | None, now: Setting | None) -> None:
    """Write what a flag is set to in the place of ``known``; None leaves it at its default.

    Raises Conflict when somebody else has set it for the first time in this moment.
    """
    if now is None:
        if known is not None:
            where = _is(known.service, known.environment, known.key)
            connection.execute(delete(flag_values).where(*where))
        return
    values = msgspec.structs.asdict(now)
    if known is not None:
        connection.execute(update(flag_values).where(*_is(now.service, now.environment, now.key)).values(values))
        return
    try:
        with connection.begin_nested():
            connection.execute(insert(flag_values).values(values))
    except IntegrityError as fault:
        raise Conflict(f"The flag {now.key} was changed at the same time.", next_step="Try again.") from fault


def add_change(connection: Connection, change: Change) -> None:
    """Add a row to the change log."""
    connection.execute(insert(flag_changes).values(msgspec.structs.asdict(change)))


def changes_of_release(connection: Connection, release_id: str) -> list[Change]:
    """Return what a release has changed, oldest first."""
    query = select(flag_changes).where(flag_changes.c.release_id == release_id).order_by(flag_changes.c.id)
    return [_read(row, Change) for row in connection.execute(query).mappings()]


def changes_page(
    connection: Connection,
    service: str,
    key: str,
    *,
    environment: str | None = None,
    after: str | None = None,
    limit: int,
) -> list[Change]:
    """Return up to ``limit`` changes of a flag, newest first, behind the id ``after``; in all environments or one."""
    query = (
        select(flag_changes)
        .where(flag_changes.c.service == service, flag_changes.c.key == key)
        .order_by(flag_changes.c.id.desc())
        .limit(limit)
    )
    if environment is not None:
        query = query.where(flag_changes.c.environment == environment)
    rows = connection.execute(query.where(flag_changes.c.id < after) if after is not None else query).mappings()
    return [_read(row, Change) for row in rows]


def flags(
    connection: Connection,
    environment: str,
    *,
    service: str | None = None,
    key: str | None = None,
    after: tuple[str, str] | None = None,
    limit: int,
) -> list[Flag]:
    """Return up to ``limit`` flags that are defined or set in an environment, by service and key."""
    defined, held = flag_definitions.c, flag_values.c
    known = union(
        select(defined.service, defined.key), select(held.service, held.key).where(held.environment == environment)
    ).subquery()
    query = (
        select(
            known.c.service,
            known.c.key,
            defined.description,
            defined.owner,
            defined.default,
            defined.expires,
            defined.cleanup,
            held.value,
            held.changed_at,
            held.changed_by,
            held.release_id,
            held.revision,
        )
        .select_from(known)
        .outerjoin(flag_definitions, (defined.service == known.c.service) & (defined.key == known.c.key))
        .outerjoin(
            flag_values,
            (held.service == known.c.service) & (held.key == known.c.key) & (held.environment == environment),
        )
        .order_by(known.c.service, known.c.key)
        .limit(limit)
    )
    if service is not None:
        query = query.where(known.c.service == service)
    if key is not None:
        query = query.where(known.c.key == key)
    if after is not None:
        query = query.where(tuple_(known.c.service, known.c.key) > after)
    return [_flag(row, environment) for row in connection.execute(query).mappings()]


def _flag(row: RowMapping, environment: str) -> Flag:
    default = bool(row["default"])
    return Flag(
        service=row["service"],
        environment=environment,
        key=row["key"],
        value=default if row["value"] is None else row["value"],
        default=default,
        defined=row["default"] is not None,
        description=row["description"] or "",
        owner=row["owner"] or "",
        expires=date.fromisoformat(row["expires"]) if row["expires"] else None,
        cleanup=row["cleanup"] or "",
        changed_at=row["changed_at"],
        changed_by=row["changed_by"],
        release_id=row["release_id"],
        revision=row["revision"] or 0,
    )


def _is(service: str, environment: str, key: str) -> tuple[Any, ...]:
    held = flag_values.c
    return (held.service == service, held.environment == environment, held.key == key)


def _read(row: RowMapping, kind: type[Any]) -> Any:  # noqa: ANN401 - one of the values of this package
    # SQLAlchemy's keys are a subclass of str, which msgspec takes for something else.
    return msgspec.convert({str(key): value for key, value in row.items()}, kind)
