from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from companyos.cli import main
from companyos.core import access
from companyos.core.access import Caller
from companyos.core.clock import ManualClock
from companyos.core.database import Database
from companyos.ledger import Journal
from companyos.policy.service import Policies
from companyos.policy.shelf import Shelf
from tests.pillar import admin, bound, clock, journal, migrated_postgres, operator, person, viewer
from tests.policy.people import Checks, Decided, Run

__all__ = ["admin", "bound", "clock", "journal", "migrated_postgres", "operator", "viewer"]


@pytest.fixture
def database(migrated_sqlite: Path, tmp_path: Path) -> Iterator[Database]:
    """Return an empty database; what differs on PostgreSQL has a test of its own."""
    own = Database.open(f"sqlite:///{shutil.copy(migrated_sqlite, tmp_path / 'companyos.db')}")
    yield own
    own.close()


@pytest.fixture
def author() -> Caller:
    """Return somebody who publishes and may promote, but not what they wrote to prod."""
    return person("ann", "sre_lead")


@pytest.fixture
def approver() -> Caller:
    """Return a colleague who may approve."""
    return person("bob", "security_approver")


@pytest.fixture
def decided() -> Decided:
    """Return the recorded decisions; a test adds to them."""
    return Decided()


@pytest.fixture
def checks() -> Checks:
    """Return what the platform finds when it runs tests; a test changes it."""
    return Checks()


@pytest.fixture
def policies(journal: Journal, decided: Decided, checks: Checks, clock: ManualClock) -> Policies:
    """Return the use cases over an empty home."""
    del clock
    return Policies(journal, decided, checks)


@pytest.fixture
def shelf(journal: Journal) -> Shelf:
    """Return the artifacts and keys of the home, as a decider or an attacker who has them would use them."""
    return Shelf(journal)


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Iterator[Run]:
    """Return what runs a command on a home of its own and gives its JSON; the exit code has to be the expected one."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COMPANYOS_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("COMPANYOS_POLICY_STAGE", "staging")

    def command(*words: str, code: int = 0) -> Any:
        capsys.readouterr()
        found = main.run([*words, "--json"])
        out, err = capsys.readouterr()
        assert found == code, (words, out, err)
        return json.loads(out or err)

    yield command
    access.bind(access.DenyAll())
