from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from companyos.core.clock import ManualClock
from companyos.core.settings import Settings
from companyos.identity import Identity
from companyos.ledger import Journal, open_journal
from tests.pillar import (
    admin,
    bound,
    clock,
    database,
    journal,
    migrated_postgres,
    operator,
    viewer,
)

__all__ = [
    "admin",
    "bound",
    "clock",
    "database",
    "journal",
    "migrated_postgres",
    "operator",
    "viewer",
]


@pytest.fixture
def quick(tmp_path: Path, clock: ManualClock, migrated_sqlite: Path) -> Iterator[Journal]:
    """Return a journal on SQLite alone, for what does not depend on the kind of database."""
    settings = Settings(home=str(tmp_path / "home"))
    settings.folder.create()
    shutil.copy(migrated_sqlite, settings.folder.database_file)
    made = open_journal(settings, clock)
    yield made
    made.close()


@pytest.fixture
def identity(quick: Journal) -> Identity:
    """Return the use cases on SQLite alone; a module that wants both kinds has a fixture of its own."""
    return Identity(quick)
