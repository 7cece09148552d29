"""The values of evidence: artifacts, what is known of their signatures, and denials."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any, Literal, TypeAlias

import msgspec
from msgspec import Meta

from companyos.core.fields import END, Line

Outcome: TypeAlias = Literal["promoted", "rolled_back"]


class Commit(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A commit that is new in an artifact."""

    id: Annotated[str, Meta(pattern=r"^([0-9a-f]{40}|[0-9a-f]{64})" + END)]
    subject: Line = ""


class Artifact(msgspec.Struct, frozen=True, kw_only=True):
    """A stored artifact, as its bytes say it."""

    digest: str
    """``sha256:<hex>``."""
    id: str
    """By which lists are ordered; the digest is its name."""
    service: str
    version: str
    commit: str
    committed_at: datetime
    dependencies_digest: str
    """``sha256:<hex>`` of its dependency list."""
    size_bytes: int
    files: int
    envelope_digest: str | None = None
    """Of the signed provenance, None until it is signed."""
    commits: tuple[Commit, ...] = ()
    """What is new in it, as whoever sent it has said, newest first."""
    built_by: str
    """Who sent it."""
    built_at: datetime

    @property
    def release(self) -> str:
        """``<service>@<version>``."""
        return f"{self.service}@{self.version}"


class Denial(msgspec.Struct, frozen=True, kw_only=True):
    """Why a digest must not be deployed again."""

    digest: str
    reason: str
    release: str
    """The release that showed it, ``<service>@<version>``."""
    release_id: str
    """Empty when a person denied it and no release showed it."""
    denied_by: str
    denied_at: datetime


class Verified(msgspec.Struct, frozen=True, kw_only=True, tag="verified", tag_field="state"):
    """The bytes are those that were stored, and a key of the platform signed where they come from."""

    key_id: str
    at: datetime
    """When it was signed, as the signed Statement says."""


class Missing(msgspec.Struct, frozen=True, kw_only=True, tag="missing", tag_field="state"):
    """Nobody has signed it."""


class Invalid(msgspec.Struct, frozen=True, kw_only=True, tag="invalid", tag_field="state"):
    """The bytes were altered, or the signature does not hold."""

    reason: str
    """One sentence."""


Signature: TypeAlias = Verified | Missing | Invalid


class ArtifactView(Artifact, frozen=True, kw_only=True):
    """An artifact with what decides about it."""

    signature: Signature
    denial: Denial | None = None


class Signed(msgspec.Struct, frozen=True, kw_only=True):
    """What came of signing an artifact."""

    digest: str
    envelope_digest: str
    """Where the signed provenance is: ``/api/attestations/<digest>``."""
    key_id: str
    at: datetime


class PromotionRecord(msgspec.Struct, frozen=True, kw_only=True):
    """What became of a release, to be signed."""

    digest: str
    release: str
    """``<service>@<version>``."""
    release_id: str
    outcome: Outcome
    policy_digest: str
    """``sha256:<hex>`` of the release policy."""
    decided_at: datetime
    evidence: dict[str, Any] = {}
    """The summary of what it was decided on, as JSON."""
    ledger_ids: tuple[str, ...] = ()
    """The ids of the ledger records of its transitions."""
