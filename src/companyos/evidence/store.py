"""Every query of evidence."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any, Final

import msgspec
from sqlalchemy import Connection, RowMapping, delete, insert, select, update
from sqlalchemy.exc import IntegrityError

from companyos.evidence.model import Artifact, Commit, Denial
from companyos.evidence.tables import artifact_denials, artifacts

_DIGEST: Final = re.compile(r"sha256:[0-9a-f]{64}")


def add_artifact(connection: Connection, artifact: Artifact) -> bool:
    """Add a row; False when there is one for this digest already, also of a transaction that was faster."""
    values = msgspec.structs.asdict(artifact) | {"commits": msgspec.to_builtins(artifact.commits)}
    return _added(connection, artifacts, values)


def artifact(connection: Connection, digest: str, *, lock: bool = False) -> Artifact | None:
    """Return what is known of a digest, None for anything else.

    With ``lock`` nobody else changes it until the transaction ends.
    """
    if not _DIGEST.fullmatch(digest):
        return None
    query = select(artifacts).where(artifacts.c.digest == digest)
    row = connection.execute(query.with_for_update() if lock else query).mappings().first()
    return _read(row, Artifact) if row else None


def set_envelope(connection: Connection, digest: str, envelope_digest: str) -> None:
    """Write down where the signed provenance of an artifact is."""
    connection.execute(update(artifacts).where(artifacts.c.digest == digest).values(envelope_digest=envelope_digest))


def set_commits(connection: Connection, digest: str, commits: Sequence[Commit]) -> None:
    """Write down what is new in an artifact."""
    values = {"commits": msgspec.to_builtins(commits)}
    connection.execute(update(artifacts).where(artifacts.c.digest == digest).values(values))


def artifacts_page(connection: Connection, *, service: str | None, after: str | None, limit: int) -> list[Artifact]:
    """Return up to ``limit`` artifacts, newest first, behind the id ``after``."""
    query = select(artifacts).order_by(artifacts.c.id.desc()).limit(limit)
    if service is not None:
        query = query.where(artifacts.c.service == service)
    rows = connection.execute(query.where(artifacts.c.id < after) if after is not None else query).mappings()
    return [_read(row, Artifact) for row in rows]


def add_denial(connection: Connection, denial: Denial) -> bool:
    """Add a denial; False when the digest is denied already."""
    return _added(connection, artifact_denials, msgspec.structs.asdict(denial))


def denial(connection: Connection, digest: str, *, lock: bool = False) -> Denial | None:
    """Return the denial of a digest, None for anything else."""
    if not _DIGEST.fullmatch(digest):
        return None
    query = select(artifact_denials).where(artifact_denials.c.digest == digest)
    row = connection.execute(query.with_for_update() if lock else query).mappings().first()
    return _read(row, Denial) if row else None


def remove_denial(connection: Connection, digest: str) -> None:
    """Delete the denial of a digest."""
    connection.execute(delete(artifact_denials).where(artifact_denials.c.digest == digest))


def _added(connection: Connection, table: Any, values: dict[str, Any]) -> bool:  # noqa: ANN401 - a table with a digest
    if connection.execute(select(table.c.digest).where(table.c.digest == values["digest"])).first() is not None:
        return False
    try:
        with connection.begin_nested():
            connection.execute(insert(table).values(values))
    except IntegrityError:
        return False
    return True


def _read(row: RowMapping, kind: type[Any]) -> Any:  # noqa: ANN401 - one of the values above
    # SQLAlchemy's keys are a subclass of str, which msgspec takes for something else.
    return msgspec.convert({str(key): value for key, value in row.items()}, kind)
