"""What the tests of catalog, identity and operations share: a journal on each kind of database, and people to ask."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from litestar import Litestar, Request, Response
from litestar.di import Provide
from litestar.testing import TestClient
from sqlalchemy import text

from companyos.core import access
from companyos.core.access import Caller
from companyos.core.clock import ManualClock
from companyos.core.database import Database, metadata
from companyos.core.errors import CompanyOSError
from companyos.core.ids import uuid7
from companyos.core.keys import KeyStore
from companyos.core.settings import Settings
from companyos.identity import RoleAuthorizer
from companyos.ledger import Filter, Journal, Ledger, LedgerReader, Record
from tests.needs import needs
from tests.postgres import own_database


@pytest.fixture(autouse=True)
def bound() -> Iterator[None]:
    """Let the table of roles decide, as in a running platform, and nothing afterwards."""
    access.bind(RoleAuthorizer())
    yield
    access.bind(access.DenyAll())


@pytest.fixture
def clock() -> ManualClock:
    """Return the clock that the use cases see."""
    return ManualClock()


@pytest.fixture(scope="session")
def migrated_postgres(postgres_server: str, postgres_template: str) -> Iterator[Database]:
    """Return a database with the schema, which the tests of a session empty one after the other."""
    with own_database(postgres_server, postgres_template) as url:
        made = Database.open(url)
        yield made
        made.close()


@pytest.fixture(params=["sqlite", pytest.param("postgresql", marks=needs("postgres"))])
def database(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Database]:
    """Return an empty database with the schema of this release; the test runs once on each kind."""
    if request.param == "postgresql":
        shared: Database = request.getfixturevalue("migrated_postgres")
        with shared.write() as connection:
            connection.execute(text(f"TRUNCATE {', '.join(metadata.tables)}"))
        yield shared
        return
    copy = shutil.copy(request.getfixturevalue("migrated_sqlite"), tmp_path / "companyos.db")
    own = Database.open(f"sqlite:///{copy}")
    yield own
    own.close()


@pytest.fixture
def journal(database: Database, tmp_path: Path, clock: ManualClock) -> Journal:
    """Return a journal on an empty database; the test runs once on each kind."""
    settings = Settings(home=str(tmp_path / "home"))
    settings.folder.create()
    ledger = Ledger(KeyStore(settings.folder.keys, clock), settings.ledger_origin)
    return Journal(database, ledger, clock, settings)


def person(name: str, *roles: str, type: str = "user") -> Caller:
    """Return somebody with these roles, who is a subject of their own."""
    return Caller(subject=f"{type}:{name}", roles=frozenset(roles), subject_id=uuid7(), ip="192.0.2.7")


@pytest.fixture
def admin() -> Caller:
    """Return somebody who may do everything."""
    return person("root", "admin")


@pytest.fixture
def operator() -> Caller:
    """Return somebody who may write to the catalog."""
    return person("olga", "operator")


@pytest.fixture
def viewer() -> Caller:
    """Return somebody who may only look."""
    return person("vera", "viewer")


def records(journal: Journal) -> list[Record]:
    """Return everything that the ledger holds, oldest first."""
    page = LedgerReader(journal).entries(person("auditor", "admin"), Filter(), limit=500)
    return sorted(page.items, key=lambda record: record.index)


def web(routes: Any, caller: Caller, **dependencies: Any) -> TestClient[Litestar]:
    """Return a client of an application with these routes; faults are answered with status and field, as JSON."""

    def answer(_request: Request[Any, Any, Any], fault: CompanyOSError) -> Response[dict[str, str | None]]:
        body = {"slug": fault.slug, "detail": fault.detail, "field": fault.field}
        return Response(body, status_code=fault.status)

    def provide(value: object) -> Provide:
        return Provide(lambda: value, sync_to_thread=False)

    app = Litestar(
        routes,
        dependencies={name: provide(value) for name, value in {"caller": caller, **dependencies}.items()},
        exception_handlers={CompanyOSError: answer},
        logging_config=None,
    )
    return TestClient(app)
