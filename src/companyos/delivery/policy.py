"""The release policy: how a release climbs, what it must keep to, and what brings it back. Data, nothing else.

The defaults are the playbook's numbers (prompt 5, "Standard Release Pattern" and "Rollback Controller", and the
guardrails of prompt 1). A service changes them in the section ``release`` of its ``companyos.yaml``; every release
keeps the policy that it was deployed with.
"""

from __future__ import annotations

from hashlib import sha256
from typing import Annotated, Any, Final, Literal, TypeAlias

import msgspec
from msgspec import Meta

from companyos.core import canonical, documents
from companyos.core.errors import InvalidInput

Triggers: TypeAlias = Literal["guarded", "literal"]
Seconds: TypeAlias = Annotated[float, Meta(ge=0, le=2_592_000)]
Percent: TypeAlias = Annotated[float, Meta(ge=0.1, le=100)]
Ratio: TypeAlias = Annotated[float, Meta(gt=0, le=1)]

STEPS_LIMIT: Final = 20
WEIGHT_STEP: Final = 0.1
"""The smallest difference between two weights, in percent; the router counts in thousandths."""


class ReleasePolicy(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The rules of one release. Making one raises InvalidInput when its parts contradict each other."""

    triggers: Triggers = "guarded"
    """``guarded``: a literal breach rolls back only when an anytime-valid test also rejects, and otherwise holds.
    ``literal``: a breach rolls back at once, as the playbook is written."""
    steps: tuple[Percent, ...] = (1.0, 10.0, 50.0, 100.0)
    """The share of the traffic that the new version gets, in percent; the last one is 100."""
    hold_s: Seconds = 600.0
    """How long a step below 100 % lasts at least."""
    bake_s: Seconds = 600.0
    """How long the old version is kept beside the promoted one."""
    bake_old_percent: Annotated[float, Meta(ge=0.1, le=10)] = 2.0
    """The share that the old version keeps while the promoted one bakes, so that there still is a baseline."""
    error_ratio_max: Ratio = 0.01
    """Guardrail and trigger: errors per request of the canary within ``window_s``."""
    p95_ms_max: Annotated[float, Meta(gt=0, le=600_000)] = 300.0
    """Guardrail: the 95th percentile of the canary's durations."""
    p95_increase_ratio: Annotated[float, Meta(gt=0, le=100)] = 0.30
    """Trigger: how far the canary's p95 may lie above the baseline's; 0.3 is +30 %."""
    p95_floor_ms: Annotated[float, Meta(ge=0, le=600_000)] = 50.0
    """A p95 at or below this is no breach of ``p95_increase_ratio`` and no request below it is slow. Not in the
    playbook: a fast service on a busy machine doubles its 3 ms by chance. ``triggers: literal`` takes it as 0."""
    saturation_ratio_max: Ratio = 0.70
    """Guardrail: the fullest of CPU, memory and requests in flight; above it the release is held."""
    window_s: Annotated[float, Meta(ge=10, le=3600)] = 300.0
    """The window of the error rate and of p95: "over 5 m"."""
    synthetic_interval_s: Annotated[float, Meta(ge=0.1, le=3600)] = 5.0
    synthetic_failures_max: Annotated[int, Meta(ge=0, le=1000)] = 2
    """Trigger: more consecutive failures of the smoke checks than this."""
    crash_loop_restarts: Annotated[int, Meta(ge=1, le=100)] = 3
    """Trigger: so many restarts within a minute are a crash loop."""
    min_requests: Annotated[int, Meta(ge=0, le=10_000_000)] = 20
    """Requests that the canary must have served in a step before it may go on; with fewer it is held."""
    resume_after_s: Seconds = 5.0
    """How long the reason of a hold must be gone before the release goes on."""
    false_rollback_ratio: Annotated[float, Meta(gt=0, le=0.5)] = 0.01
    """The allowance: the probability that a release that is no worse than its baseline is ever rolled back by a test;
    it is split over the indicators that are tested."""
    start_timeout_s: Annotated[float, Meta(gt=0, le=3600)] = 60.0
    """How long a candidate may take until it is ready."""
    drain_s: Seconds = 15.0
    """How long a version that is stopped may finish what it has begun."""
    route_timeout_s: Annotated[float, Meta(gt=0, le=3600)] = 15.0
    """After so long the router answers 504 for the service, so that a hung request is an error."""
    memory_mb: Annotated[int, Meta(ge=32, le=1_048_576)] = 512
    """What a version may take; above it, it is stopped as out of memory."""
    open_files: Annotated[int, Meta(ge=64, le=1_048_576)] = 1024
    in_flight_max: Annotated[int, Meta(ge=1, le=1_000_000)] = 100
    """So many requests in flight count as full."""

    def __post_init__(self) -> None:
        if not 1 <= len(self.steps) <= STEPS_LIMIT:
            raise InvalidInput(
                f"A release has 1 to {STEPS_LIMIT} steps, and here are {len(self.steps)}.",
                next_step="Write them like steps: [1, 10, 50, 100].",
                field="steps",
            )
        if list(self.steps) != sorted(set(self.steps)) or self.steps[-1] != 100:  # noqa: PLR2004 - the whole traffic
            raise InvalidInput(
                "The steps of a release grow, and the last one is 100.",
                next_step="Write them like steps: [1, 10, 50, 100].",
                field="steps",
            )
        for percent in (*self.steps, self.bake_old_percent):
            if abs(percent / WEIGHT_STEP - round(percent / WEIGHT_STEP)) > 1e-6:  # noqa: PLR2004 - rounding only
                raise InvalidInput(
                    f"The router divides traffic in steps of {WEIGHT_STEP} %, and {percent} is none.",
                    next_step=f"Use a multiple of {WEIGHT_STEP}.",
                    field="steps",
                )

    @property
    def ramp(self) -> tuple[float, ...]:
        """The steps below 100 as ratios 0..1, in order; empty when everything moves at once."""
        return tuple(round(percent / 100, 4) for percent in self.steps[:-1])

    @property
    def bake_ratio(self) -> float:
        """The share 0..1 of the new version while it bakes."""
        return round(1 - self.bake_old_percent / 100, 4)

    @property
    def floor_ms(self) -> float:
        """The floor that counts: ``p95_floor_ms``, or 0 under literal triggers."""
        return self.p95_floor_ms if self.triggers == "guarded" else 0.0

    @property
    def digest(self) -> str:
        """``sha256:<hex>`` of the policy as canonical JSON."""
        return f"sha256:{sha256(canonical.dumps(msgspec.to_builtins(self))).hexdigest()}"


def read_policy(value: Any, *, where: str) -> ReleasePolicy:  # noqa: ANN401 - what a parser returned
    """Return the policy in a document, defaults filled in. Raises InvalidInput that names the field."""
    return documents.decode({} if value is None else value, ReleasePolicy, where=where)


def changed(policy: ReleasePolicy) -> dict[str, Any]:
    """Return the fields in which a policy differs from the defaults, for pages that must say so."""
    usual = msgspec.to_builtins(ReleasePolicy())
    return {name: value for name, value in msgspec.to_builtins(policy).items() if usual[name] != value}
