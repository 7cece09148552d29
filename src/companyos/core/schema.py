"""The schema's version: upgrade it under a lock, and refuse to run on one that this release does not know.

The whole upgrade is one transaction that takes the lock first (``BEGIN IMMEDIATE`` on SQLite, an advisory lock on
PostgreSQL), so starters that race find the work done, and a killed one leaves the old schema.
"""

from __future__ import annotations

import io
from functools import cache
from importlib import resources
from typing import TYPE_CHECKING, Final

import msgspec
from sqlalchemy import inspect, text

from companyos.core.errors import NewerSchema, Unavailable

if TYPE_CHECKING:
    from alembic.config import Config
    from sqlalchemy import Connection

    from companyos.core.database import Database

_ADVISORY_LOCK: Final = 0x636F6D70616E79
"""The key of PostgreSQL's advisory lock for upgrades ("company" in ASCII)."""


class Plan(msgspec.Struct, frozen=True, kw_only=True):
    """What an upgrade did, or would do."""

    current: str | None
    """The revision before the upgrade; None for an empty database."""
    target: str
    pending: tuple[str, ...]
    """The revisions that were missing, oldest first, as ``0001_ground_floor``."""
    sql: str = ""
    """The statements of a dry run."""


@cache
def revisions() -> tuple[str, ...]:
    """Return the names of all revisions that this release knows, oldest first."""
    folder = resources.files("companyos.migrations") / "versions"
    return tuple(sorted(entry.name[:-3] for entry in folder.iterdir() if entry.name[:4].isdigit()))


def head() -> str:
    """Return the id of the newest revision that this release knows."""
    return revisions()[-1][:4]


def current(connection: Connection) -> str | None:
    """Return the revision of the database, or None when it is empty."""
    if not inspect(connection).has_table("alembic_version"):
        return None
    return connection.execute(text("SELECT version_num FROM alembic_version")).scalar_one_or_none()


def check(database: Database) -> None:
    """Return when the schema is this release's own; raise NewerSchema or Unavailable that names the one command."""
    with database.read() as connection:
        found = current(connection)
    if found == head():
        return
    _refuse_newer(found)
    raise Unavailable(
        f"The database has the schema {found or 'of nothing yet'}, and this release needs {head()}.",
        next_step="Run `companyos db upgrade`; `--dry-run` shows what it will do.",
    )


def ensure(database: Database) -> None:
    """Make the schema of an empty database; otherwise the same as ``check``."""
    with database.read() as connection:
        empty = current(connection) is None
    if empty:
        upgrade(database)
    check(database)


def upgrade(database: Database, *, dry_run: bool = False) -> Plan:
    """Bring the schema to this release's and return what was pending; safe when several processes call it at once.

    Raises NewerSchema when the database belongs to a newer release.
    """
    if dry_run:
        with database.read() as connection:
            plan = _plan(connection)
        return msgspec.structs.replace(plan, sql=_statements(database.dialect, plan)) if plan.pending else plan
    with database.write() as connection:
        if database.dialect == "postgresql":
            connection.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": _ADVISORY_LOCK})
        plan = _plan(connection)
        if plan.pending:
            from alembic import command  # 0.4 s that only an upgrade pays

            config = _config()
            config.attributes["connection"] = connection
            command.upgrade(config, "head")
    return plan


def _plan(connection: Connection) -> Plan:
    found = current(connection)
    _refuse_newer(found)
    return Plan(
        current=found, target=head(), pending=tuple(name for name in revisions() if found is None or name[:4] > found)
    )


def _refuse_newer(found: str | None) -> None:
    if found is not None and found not in {name[:4] for name in revisions()}:
        raise NewerSchema(
            f"The database has the schema {found}, which is newer than this release's {head()}.",
            next_step="Start the newer release of CompanyOS on it, or name another database.",
        )


def _statements(dialect: str, plan: Plan) -> str:
    from alembic import command  # 0.4 s that only an upgrade pays

    config = _config()
    config.output_buffer = io.StringIO()
    config.attributes["dialect"] = dialect
    command.upgrade(config, f"{plan.current or 'base'}:head", sql=True)
    return config.output_buffer.getvalue()


def _config() -> Config:
    from alembic.config import Config  # 0.4 s that only an upgrade pays

    config = Config()
    config.set_main_option("script_location", "companyos:migrations")
    config.set_main_option("path_separator", "os")
    return config
