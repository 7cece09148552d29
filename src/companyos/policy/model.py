"""The values of bundles and their promotion."""

from __future__ import annotations

from datetime import datetime
from typing import Final, Literal, TypeAlias, get_args

import msgspec

from companyos.policy.replay import ReplayReport

Stage: TypeAlias = Literal["dev", "staging", "prod"]
STAGES: Final[tuple[Stage, ...]] = get_args(Stage)
"""The way of a bundle, the first one first."""

PLATFORM: Final = "companyos/platform"
"""The bundle that says who may do what on the platform itself."""

ActivationKind: TypeAlias = Literal["publish", "promote", "rollback", "renew"]
Outcome: TypeAlias = Literal["promoted", "unchanged", "blocked", "possible"]


class Checked(msgspec.Struct, frozen=True, kw_only=True):
    """What the platform saw when it ran the tests of a bundle itself."""

    passed: int
    failed: int
    coverage_ratio: float
    """The share of the policy's rows that the tests reach, 0 to 1."""
    coverage_wanted: float = 0.0
    """The share that its own metadata wants."""
    failures: tuple[str, ...] = ()
    """The first failures, one sentence each."""
    at: datetime


class Published(msgspec.Struct, frozen=True, kw_only=True):
    """A version of a bundle that was published: it never changes."""

    id: str
    bundle_id: str
    version: str
    digest: str
    """The digest of the bytes that were sent, signed for dev."""
    content_digest: str
    """The digest of what the bundle says, without stage and signature: the same in every stage."""
    entrypoint: str
    obligations: tuple[str, ...]
    """The types of obligations that it can emit."""
    tests: Checked | None = None
    attestation: str | None = None
    """The digest of the signed Statement about its tests."""
    published_by: str
    published_by_id: str | None = None
    published_at: datetime

    @property
    def name(self) -> str:
        """How people name it: ``companyos/documents@1.4.0``."""
        return f"{self.bundle_id}@{self.version}"


class SignedBundle(msgspec.Struct, frozen=True, kw_only=True):
    """A bundle that was signed for a stage."""

    bundle: bytes
    """The `.tar.gz`; base64 in JSON."""
    digest: str
    content_digest: str
    stage: Stage
    key_id: str


class Activation(msgspec.Struct, frozen=True, kw_only=True):
    """That a version became the active one of a stage."""

    id: str
    bundle_id: str
    stage: Stage
    published_id: str
    version: str
    digest: str
    """The digest of the bytes that deciders of this stage get."""
    content_digest: str
    kind: ActivationKind
    reason: str
    previous: str | None = None
    """The version that was active before; None for the first."""
    by: str
    by_id: str | None = None
    at: datetime
    approver: str | None = None
    """Who has approved it, where it takes an approval."""
    approval_id: str | None = None
    replay: ReplayReport | None = None
    acknowledged: dict[str, int] = {}
    """The differences that were signed off, with how many there might be."""
    without_replay: bool = False
    """Whether it was signed off that the replay says nothing, or little."""
    attestation: str | None = None
    """The digest of the signed Statement about this promotion."""


class StageStatus(msgspec.Struct, frozen=True, kw_only=True):
    """What is active in a stage."""

    bundle_id: str
    stage: Stage
    active: Activation | None = None
    failed_at: datetime | None = None
    failed_version: str | None = None
    failure: str | None = None
    """Why the newest attempt to make something else active failed; None when the last one went well."""


class Block(msgspec.Struct, frozen=True, kw_only=True):
    """A reason why a promotion does not happen."""

    code: str
    sentence: str
    next_step: str


class Promotion(msgspec.Struct, frozen=True, kw_only=True):
    """What became, or would become, of a promotion."""

    outcome: Outcome
    bundle_id: str
    version: str
    stage: Stage
    active_version: str | None
    """What was active in the stage when this was decided."""
    content_digest: str
    tests: Checked | None
    replay: ReplayReport | None
    blocks: tuple[Block, ...] = ()
    activation: Activation | None = None
    """The new activation; None unless it was promoted."""
    sentence: str
