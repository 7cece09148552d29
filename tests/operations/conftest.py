from __future__ import annotations

from collections.abc import Iterator

import pytest

from companyos.ledger import Journal
from companyos.operations import Operations
from tests.operations.receiver import Receiver
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
def operations(journal: Journal) -> Operations:
    """Return the use cases over an empty database."""
    return Operations(journal)


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    """Return a receiver of notifications that runs."""
    with Receiver() as running:
        yield running
