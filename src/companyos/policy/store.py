"""Every query of bundles and activations."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeVar

import msgspec
from sqlalchemy import ColumnElement, Connection, RowMapping, Select, func, insert, select, update

from companyos.policy.model import Activation, Published, Stage, StageStatus
from companyos.policy.tables import policy_activations, policy_bundles, policy_stages

if TYPE_CHECKING:
    from datetime import datetime

Row = TypeVar("Row", Published, Activation)


def add_published(connection: Connection, row: Published) -> None:
    """Add a published version."""
    connection.execute(insert(policy_bundles).values(_values(row)))


def set_tests(connection: Connection, row: Published) -> None:
    """Write what the tests of a published version say, where nothing did before."""
    values = {"tests": msgspec.to_builtins(row.tests), "attestation": row.attestation}
    connection.execute(update(policy_bundles).where(policy_bundles.c.id == row.id).values(values))


def published(connection: Connection, bundle_id: str, version: str) -> Published | None:
    """Return a published version, or None."""
    query = select(policy_bundles).where(policy_bundles.c.bundle_id == bundle_id, policy_bundles.c.version == version)
    return _one(connection, query, Published)


def published_page(connection: Connection, bundle_id: str | None, *, after: str | None, limit: int) -> list[Published]:
    """Return up to ``limit`` published versions, newest first, behind the id ``after``."""
    table = policy_bundles
    wanted: list[ColumnElement[bool]] = [table.c.bundle_id == bundle_id] if bundle_id is not None else []
    if after is not None:
        wanted.append(table.c.id < after)
    query = select(table).where(*wanted).order_by(table.c.id.desc()).limit(limit)
    return [_read(row, Published) for row in connection.execute(query).mappings()]


def add_activation(connection: Connection, row: Activation) -> None:
    """Add an activation and make it the active one of its stage; a failure that was noted there is taken away."""
    connection.execute(insert(policy_activations).values(_values(row)))
    _put_stage(
        connection,
        row.bundle_id,
        row.stage,
        activation_id=row.id,
        failed_at=None,
        failed_version=None,
        failure=None,
    )


def note_failure(
    connection: Connection, bundle_id: str, stage: Stage, *, version: str, failure: str, at: datetime
) -> None:
    """Write down that something else could not be made active; what is active stays."""
    _put_stage(connection, bundle_id, stage, failed_at=at, failed_version=version, failure=failure)


def active(connection: Connection, bundle_id: str, stage: Stage, *, lock: bool = False) -> Activation | None:
    """Return what is active in a stage, or None. With ``lock`` nobody else changes it until the transaction ends."""
    place = (policy_stages.c.bundle_id == bundle_id, policy_stages.c.stage == stage)
    if lock:
        connection.execute(select(policy_stages.c.stage).where(*place).with_for_update())
    query = (
        select(policy_activations)
        .join(policy_stages, policy_stages.c.activation_id == policy_activations.c.id)
        .where(*place)
    )
    return _one(connection, query, Activation)


def activation_of(connection: Connection, bundle_id: str, stage: Stage, version: str) -> Activation | None:
    """Return the newest activation of a version in a stage, or None when it was never active there."""
    query = (
        select(policy_activations)
        .where(
            policy_activations.c.bundle_id == bundle_id,
            policy_activations.c.stage == stage,
            policy_activations.c.version == version,
        )
        .order_by(policy_activations.c.id.desc())
        .limit(1)
    )
    return _one(connection, query, Activation)


def activation_by_digest(connection: Connection, digest: str) -> Activation | None:
    """Return the newest activation of these very bytes, or None."""
    query = (
        select(policy_activations)
        .where(policy_activations.c.digest == digest)
        .order_by(policy_activations.c.id.desc())
        .limit(1)
    )
    return _one(connection, query, Activation)


def steps(connection: Connection, bundle_id: str, stage: Stage) -> list[tuple[Any, ...]]:
    """Return version, kind and previous version of every activation in a stage, oldest first."""
    table = policy_activations
    query = (
        select(table.c.version, table.c.kind, table.c.previous)
        .where(table.c.bundle_id == bundle_id, table.c.stage == stage)
        .order_by(table.c.id)
    )
    return [tuple(row) for row in connection.execute(query)]


def history_page(
    connection: Connection, bundle_id: str, stage: Stage | None, *, after: str | None, limit: int
) -> list[Activation]:
    """Return up to ``limit`` activations of a bundle, newest first, behind the id ``after``."""
    table = policy_activations
    wanted: list[ColumnElement[bool]] = [table.c.bundle_id == bundle_id]
    if stage is not None:
        wanted.append(table.c.stage == stage)
    if after is not None:
        wanted.append(table.c.id < after)
    query = select(table).where(*wanted).order_by(table.c.id.desc()).limit(limit)
    return [_read(row, Activation) for row in connection.execute(query).mappings()]


def status(connection: Connection, bundle_id: str, stage: Stage) -> StageStatus | None:
    """Return what is active in a stage and what has failed there, or None when nothing was ever tried."""
    return next((one for one in stages(connection) if (one.bundle_id, one.stage) == (bundle_id, stage)), None)


def stages(connection: Connection) -> list[StageStatus]:
    """Return what is active in every stage of every bundle, and what has failed there, by bundle and stage."""
    query = select(policy_activations).join(policy_stages, policy_stages.c.activation_id == policy_activations.c.id)
    by_id = {row["id"]: _read(row, Activation) for row in connection.execute(query).mappings()}
    rows = connection.execute(select(policy_stages).order_by(policy_stages.c.bundle_id)).mappings()
    return [
        StageStatus(
            bundle_id=row["bundle_id"],
            stage=row["stage"],
            active=by_id.get(row["activation_id"]),
            failed_at=row["failed_at"],
            failed_version=row["failed_version"],
            failure=row["failure"],
        )
        for row in rows
    ]


def revision(connection: Connection) -> str:
    """Return something that is another text whenever anything became active."""
    query = select(func.count(), func.max(policy_activations.c.id)).select_from(policy_activations)
    count, newest = connection.execute(query).one()
    return f"{count}-{newest}"


def _put_stage(connection: Connection, bundle_id: str, stage: Stage, **values: Any) -> None:  # noqa: ANN401 - columns
    place = (policy_stages.c.bundle_id == bundle_id, policy_stages.c.stage == stage)
    if connection.execute(update(policy_stages).where(*place).values(values)).rowcount == 0:
        connection.execute(insert(policy_stages).values(bundle_id=bundle_id, stage=stage, **values))


def _one(connection: Connection, query: Select[Any], kind: type[Row]) -> Row | None:
    row = connection.execute(query).mappings().first()
    return _read(row, kind) if row else None


def _read(row: RowMapping, kind: type[Row]) -> Row:
    # SQLAlchemy's keys are a subclass of str, which msgspec takes for something else.
    return msgspec.convert({str(key): value for key, value in row.items()}, kind)


def _values(row: Published | Activation) -> dict[str, Any]:
    """Return the columns of a row; moments stay moments, and values that nest become JSON."""
    values = msgspec.structs.asdict(row)
    for name in ("tests", "replay", "obligations", "acknowledged"):
        if name in values:
            values[name] = msgspec.to_builtins(values[name])
    return values
