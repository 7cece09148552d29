from __future__ import annotations

from tests.pillar import (
    admin,
    bound,
    clock,
    database,
    journal,
    migrated_postgres,
    migrated_sqlite,
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
    "migrated_sqlite",
    "operator",
    "viewer",
]
