"""The tables of delivery; their migration is in ``companyos.migrations``."""

from __future__ import annotations

from typing import Final

from sqlalchemy import Boolean, Column, ForeignKey, Index, Integer, String, Table, Text, text

from companyos.core.database import Json, UtcDateTime, metadata

releases: Final = Table(
    "releases",
    metadata,
    Column("id", String(36), primary_key=True),
    Column("service", String(39), nullable=False),
    Column("version", String(128), nullable=False),
    Column("environment", String(63), nullable=False),
    Column("digest", String(71), nullable=False),
    Column("body", Json, nullable=False),
    Column("plan", Json, nullable=False),
    Column("changelog", Json, nullable=False),
    Column("created_at", UtcDateTime, nullable=False),
    Column("phase", String(20), nullable=False),
    Column("in_flight", Boolean, nullable=False),
    Column("stable", Boolean, nullable=False),
    Column("state", Json, nullable=False),
    Column("snapshot", Json, nullable=False),
    Column("revision", Integer, nullable=False),
    Index(None, "service", "id"),
    Index(None, "digest"),
    Index(
        "uq_releases_in_flight",
        "service",
        "environment",
        unique=True,
        sqlite_where=text("in_flight"),
        postgresql_where=text("in_flight"),
    ),
    Index(
        "uq_releases_stable",
        "service",
        "environment",
        unique=True,
        sqlite_where=text("stable"),
        postgresql_where=text("stable"),
    ),
)
"""``body`` is the ``Release``; ``state`` the machine's; ``snapshot`` what pages show. A service has at most one release
in flight and at most one that is stable in an environment, whatever two writers do at once."""

release_transitions: Final = Table(
    "release_transitions",
    metadata,
    Column("release_id", String(36), ForeignKey("releases.id"), primary_key=True),
    Column("number", Integer, primary_key=True, autoincrement=False),
    Column("at", UtcDateTime, nullable=False),
    Column("verb", String(40), nullable=False),
    Column("phase", String(20), nullable=False),
    Column("percent", String(8), nullable=False),
    Column("sentence", Text, nullable=False),
    Column("entry_id", String(36), nullable=False),
    Column("indicators", Json, nullable=False),
)

release_actions: Final = Table(
    "release_actions",
    metadata,
    Column("release_id", String(36), ForeignKey("releases.id"), primary_key=True),
    Column("number", Integer, primary_key=True, autoincrement=False),
    Column("kind", String(32), nullable=False),
    Column("action", Json, nullable=False),
    Column("decided_at", UtcDateTime, nullable=False),
    Column("done_at", UtcDateTime),
    Column("result", Json, nullable=False),
    Index(None, "done_at"),
)
"""Written in the transaction of the decision, so that a controller that is killed finds what it still owes."""

release_commands: Final = Table(
    "release_commands",
    metadata,
    Column("id", String(36), primary_key=True),
    Column("release_id", String(36), ForeignKey("releases.id"), nullable=False),
    Column("kind", String(16), nullable=False),
    Column("reason", Text, nullable=False),
    Column("actor", String(200), nullable=False),
    Column("metrics_snapshot", Json, nullable=False),
    Column("created_at", UtcDateTime, nullable=False),
    Column("handled_at", UtcDateTime),
    Column("answer", Text),
    Index(None, "handled_at"),
)

release_ticks: Final = Table(
    "release_ticks",
    metadata,
    Column("release_id", String(36), ForeignKey("releases.id"), primary_key=True),
    Column("number", Integer, primary_key=True, autoincrement=False),
    Column("at", UtcDateTime, nullable=False),
    Column("observation", Json, nullable=False),
    Column("evidence", Json, nullable=False),
)
"""What each changed tick saw and the evidence after it: enough for anybody to compute the verdict again."""

delivery_positions: Final = Table(
    "delivery_positions",
    metadata,
    Column("name", String(40), primary_key=True),
    Column("position", Text, nullable=False),
    Column("at", UtcDateTime, nullable=False),
)
"""Where the controller stopped reading the access log; written together with the ticks that came of it."""
