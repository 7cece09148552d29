from __future__ import annotations

import pytest

from companyos.flags import Flags
from companyos.ledger import Journal
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
def flags(journal: Journal) -> Flags:
    """Return the use cases over an empty journal."""
    return Flags(journal)
