"""What delivery shows of a release: to the HTTP API, to the terminal and to the Control Tower, all the same value.

Numbers are those that the controller wrote down with its last tick, so that a list and a page never disagree.
"""

from __future__ import annotations

from datetime import datetime
from typing import Any, Literal, TypeAlias

import msgspec

from companyos.delivery.model import (
    Baseline,
    Cause,
    FlagChange,
    Held,
    Indicator,
    Phase,
    PublicPhase,
    Totals,
    Weight,
)

StepState: TypeAlias = Literal["done", "current", "next", "left"]
"""done · current · next (not reached yet) · left (the release went back from here)."""


class StepView(msgspec.Struct, frozen=True, kw_only=True):
    """One rung of the ladder."""

    percent: float
    """Of the traffic: 1, 10, 50, 100."""
    state: StepState
    entered_at: datetime | None = None
    left_at: datetime | None = None
    indicators: tuple[Indicator, ...] = ()
    """As they stood when the step was left; for the current step as they stand now; empty before it is reached."""


class Transition(msgspec.Struct, frozen=True, kw_only=True):
    """One change of phase or step; each is one row of the ledger."""

    number: int
    at: datetime
    verb: str
    """``release.start``, ``release.advance``, ``release.hold``, …"""
    phase: Phase
    percent: float
    sentence: str
    entry_id: str
    """The id of its ledger record."""


class RollbackPlan(msgspec.Struct, frozen=True, kw_only=True):
    """How the release would be brought back, written when it was deployed."""

    previous: Baseline | None
    flags: tuple[FlagChange, ...] = ()
    previous_starts: bool | None = None
    """Whether the previous version was seen to start; None when there is none, or nobody has looked lately."""
    proof: str
    """One sentence: how that is known."""


class Summary(msgspec.Struct, frozen=True, kw_only=True):
    """A release in a list."""

    id: str
    service: str
    version: str
    name: str
    """``<service>@<version>``."""
    environment: str
    digest: str
    commit: str
    state: Phase
    phase: PublicPhase
    baseline: Baseline | None
    weight_ratio: float
    """The share of the traffic that the release has now."""
    verdict: str
    """The release in one sentence."""
    held: Held | None = None
    cause: Cause | None = None
    steps: tuple[StepView, ...] = ()
    indicators: tuple[Indicator, ...] = ()
    totals: Totals = Totals()
    since: datetime
    """When the present state began."""
    observed_at: datetime | None = None
    """When the controller last looked; a release in flight that it has not looked at for long is stale, not fine."""
    created_at: datetime
    created_by: str
    ended_at: datetime | None = None
    """When it was settled or rolled back."""
    policy_changes: dict[str, Any] = {}
    """Fields of the policy that are not the product's defaults, for example a shortened ``hold_s``."""
    incident_id: str | None = None
    seconds_to_rollback: float | None = None
    """From its first failed request, else its first slow one, else the decision, until its traffic was moved."""


class Detail(Summary, frozen=True, kw_only=True):
    """All that is known of one release."""

    policy: dict[str, Any]
    policy_digest: str
    flags: tuple[FlagChange, ...] = ()
    weights: tuple[Weight, ...] = ()
    transitions: tuple[Transition, ...] = ()
    plan: RollbackPlan | None = None
    changelog: dict[str, Any] = {}
    """What is different from the baseline: files, dependencies, commits."""
    diagnostics: dict[str, Any] | None = None
    """What a rollback captured; see ``diagnostics`` for its shape."""
    attestations: tuple[str, ...] = ()
    """Digests of the signed Statements about the release."""
    actions_open: tuple[str, ...] = ()
    """Kinds of the actions that are decided and not done yet."""


class FailedRequest(msgspec.Struct, frozen=True, kw_only=True):
    """One failed (or slow) request among the diagnostics."""

    at: datetime
    status: int
    duration_ms: float
    method: str
    path: str
    trace_id: str
    arm: str


class Diagnostics(msgspec.Struct, frozen=True, kw_only=True):
    """What a rollback captured."""

    captured_at: datetime
    failed_requests: tuple[FailedRequest, ...] = ()
    """The newest failed requests of the candidate."""
    slow_requests: tuple[FailedRequest, ...] = ()
    log_tail: tuple[str, ...] = ()
    counters: dict[str, Any] = {}
    """The router's counters of both arms."""
    process: dict[str, Any] = {}
    """State, exit, restarts, memory and CPU of the candidate."""
    metrics_snapshot: dict[str, Any] = {}
    """What the caller of ``POST /rollback`` sent along."""


class State(msgspec.Struct, frozen=True, kw_only=True):
    """The answer to the playbook's ``GET /state/{deployment_id}``, with ours beside it."""

    deployment_id: str
    phase: PublicPhase
    indicators: tuple[Indicator, ...]
    state: Phase
    service: str
    release: str
    weight_ratio: float
    verdict: str
    held: Held | None = None
    cause: Cause | None = None
    since: datetime
    observed_at: datetime | None = None


class Difference(msgspec.Struct, frozen=True, kw_only=True):
    """One recorded release decided again under another policy."""

    release_id: str
    name: str
    recorded: Phase
    recorded_at: datetime
    replayed: Phase
    """What the other policy would have come to by the end of the recording."""
    replayed_at: datetime
    changed: bool
    sentence: str
    """What would have been different, for a person; says "unknown after …" where the record ends."""
