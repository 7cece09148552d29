from __future__ import annotations

import shutil
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest

from companyos.core import access
from companyos.core.access import Caller, Verdict
from companyos.core.clock import ManualClock
from companyos.core.database import Database
from companyos.core.keys import KeyStore
from companyos.core.settings import Settings
from companyos.ledger import Entry, Journal, Ledger, LedgerReader

ORIGIN = "companyos.test/ledger"
ANA = Caller(subject="user:ana", ip="192.0.2.7", device="curl/8.5", request_id="request-1")
"""Who does things in these tests; the role table belongs to another floor, so names decide here."""
GUEST = Caller(subject="user:guest")


class OnlyAna:
    """An authorizer that allows everything to one person and nothing to others."""

    def decide(self, caller: Caller, action: str, resource: str, facts: object = None) -> Verdict:
        """Return the verdict by the name alone."""
        del action, resource, facts
        return Verdict(allowed=caller.subject == ANA.subject, policy="test:ana", reason="Only ana may.")


@pytest.fixture(autouse=True)
def _rules(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let ana do everything in this test, and put back whatever decided before."""
    monkeypatch.setattr(access._Binding, "authorizer", OnlyAna())  # noqa: SLF001 - nothing else puts it back


@pytest.fixture
def clock() -> ManualClock:
    """Return the clock of the test."""
    return ManualClock()


@pytest.fixture
def keys(tmp_path: Path, clock: ManualClock) -> KeyStore:
    """Return a key store of the test's own."""
    return KeyStore(tmp_path / "keys", clock)


@pytest.fixture
def ledger(keys: KeyStore) -> Ledger:
    """Return a ledger with the keys of the test."""
    return Ledger(keys, ORIGIN)


@pytest.fixture
def journal(database: Database, ledger: Ledger, clock: ManualClock, tmp_path: Path) -> Journal:
    """Return a journal over the database of the test; SQLite and PostgreSQL take turns."""
    return Journal(database, ledger, clock, Settings(home=str(tmp_path), ledger_origin=ORIGIN))


@pytest.fixture
def reader(journal: Journal) -> LedgerReader:
    """Return a reader of that journal."""
    return LedgerReader(journal)


@pytest.fixture
def sqlite_journal(migrated_sqlite: Path, tmp_path: Path, ledger: Ledger, clock: ManualClock) -> Iterator[Journal]:
    """Return a journal on SQLite, for what does not depend on the database."""
    database = Database.open(f"sqlite:///{shutil.copy(migrated_sqlite, tmp_path / 'ledger.db')}")
    yield Journal(database, ledger, clock, Settings(home=str(tmp_path), ledger_origin=ORIGIN))
    database.close()


def entry(time: datetime, number: int = 0, **fields: Any) -> Entry:
    """Return an entry like those that the platform makes."""
    values: dict[str, Any] = {
        "actor": "user:ana",
        "verb": "service.create",
        "target": f"service:svc-{number}",
        "service": f"svc-{number}",
        "ip": "192.0.2.7",
        "device": "curl/8.5",
        "details": {"number": number},
    }
    return Entry(time=time, **(values | fields))


def fill(journal: Journal, count: int, **fields: Any) -> list[Entry]:
    """Record this many entries in one transaction and return them."""
    entries = [entry(journal.clock.now(), number, **fields) for number in range(count)]
    with journal.database.write() as connection:
        journal.ledger.append_all(connection, entries)
    return entries
