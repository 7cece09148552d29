from __future__ import annotations

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
