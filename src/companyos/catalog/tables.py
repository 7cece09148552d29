"""The tables of the catalog; their migration is in ``companyos.migrations``.

``service_regions`` and ``service_dependencies`` are indexes over what the row of the service says: they are written
with it, by the same function of the store, and answer "which services are in this region, need this service".
"""

from __future__ import annotations

from typing import Final

from sqlalchemy import CheckConstraint, Column, Float, ForeignKey, Index, Integer, String, Table, Text

from companyos.core.database import Json, UtcDateTime, metadata

services: Final = Table(
    "services",
    metadata,
    Column("name", String(39), primary_key=True),
    Column("description", Text),
    Column("owner", String(63)),
    Column("domain", String(63)),
    Column("tier", String(63)),
    Column("lifecycle", String(63)),
    Column("regions", Json, nullable=False),
    Column("environments", Json, nullable=False),
    Column("depends_on", Json, nullable=False),
    Column("labels", Json, nullable=False),
    Column("annotations", Json, nullable=False),
    Column("links", Json, nullable=False),
    Column("sections", Json, nullable=False),
    Column("provenance", Json, nullable=False),
    Column("revision", Integer, nullable=False),
    Column("created_at", UtcDateTime, nullable=False),
    Column("updated_at", UtcDateTime, nullable=False),
    Index(None, "owner"),
    Index(None, "domain"),
    Index(None, "tier"),
)

service_regions: Final = Table(
    "service_regions",
    metadata,
    Column("service", String(39), ForeignKey("services.name", ondelete="CASCADE"), primary_key=True),
    Column("region", String(63), primary_key=True),
    Index(None, "region"),
)

service_dependencies: Final = Table(
    "service_dependencies",
    metadata,
    Column("service", String(39), ForeignKey("services.name", ondelete="CASCADE"), primary_key=True),
    Column("depends_on", String(39), primary_key=True),
    Index(None, "depends_on"),
)

teams: Final = Table(
    "teams",
    metadata,
    Column("name", String(63), primary_key=True),
    Column("title", String(200)),
    Column("oncall", String(200)),
    Column("members", Json, nullable=False),
    Column("provenance", Json, nullable=False),
    Column("revision", Integer, nullable=False),
    Column("created_at", UtcDateTime, nullable=False),
    Column("updated_at", UtcDateTime, nullable=False),
)

domains: Final = Table(
    "domains",
    metadata,
    Column("name", String(63), primary_key=True),
    Column("title", String(200)),
    Column("description", Text),
    Column("owner", String(63)),
    Column("provenance", Json, nullable=False),
    Column("revision", Integer, nullable=False),
    Column("created_at", UtcDateTime, nullable=False),
    Column("updated_at", UtcDateTime, nullable=False),
)

deployments: Final = Table(
    "deployments",
    metadata,
    Column("id", String(36), primary_key=True),
    Column("service", String(39), ForeignKey("services.name", ondelete="CASCADE"), nullable=False),
    Column("environment", String(63), nullable=False),
    Column("arm", String(16), nullable=False),
    Column("digest", String(71), nullable=False),
    Column("version", String(128), nullable=False),
    Column("release", String(168), nullable=False),
    Column("weight_ratio", Float),
    Column("since", UtcDateTime, nullable=False),
    Column("until", UtcDateTime),
    Column("source", String(600), nullable=False),
    Column("observed_at", UtcDateTime, nullable=False),
    CheckConstraint("arm IN ('stable', 'canary')", name="arm"),
    Index(None, "service", "id"),
    Index(None, "digest"),
)
"""Also those that have ended, whose ``until`` is set. Of an arm of an environment at most one runs: whoever writes
holds the row of the service."""
