from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from companyos.core.database import Database
from companyos.ledger import Journal
from companyos.policy.log import DecisionLog, Decisions
from tests.pillar import admin, bound, clock, journal, migrated_postgres, viewer

__all__ = ["admin", "bound", "clock", "journal", "migrated_postgres", "viewer"]


@pytest.fixture
def database(migrated_sqlite: Path, tmp_path: Path) -> Iterator[Database]:
    """Return an empty SQLite database; what differs on PostgreSQL is tested in ``test_keys``."""
    own = Database.open(f"sqlite:///{shutil.copy(migrated_sqlite, tmp_path / 'companyos.db')}")
    yield own
    own.close()


@pytest.fixture
def log(journal: Journal) -> Iterator[DecisionLog]:
    """Return a log that nothing was written to."""
    made = DecisionLog(journal)
    yield made
    made.close()


@pytest.fixture
def decisions(journal: Journal, log: DecisionLog) -> Decisions:
    """Return the use cases over that log."""
    return Decisions(journal, log)
