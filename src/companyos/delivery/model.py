"""The values of delivery: a release, what is seen of it, what was decided, and what is to be done. No I/O.

Words: the *candidate* is the release that is rolled out; its *baseline* is the stable release that runs beside it. On
the router both are *arms*, ``canary`` and ``stable``. A *weight* is the share 0..1 of the traffic that the candidate is
assigned. Each change of the weight begins an *interval* with a number of its own, which the router writes into every
line of its access log: so the weight under which a request was routed is known exactly, however late its line comes.
"""

from __future__ import annotations

from datetime import datetime
from typing import Any, Final, Literal, TypeAlias

import msgspec

from companyos.core.fields import Name
from companyos.delivery.policy import ReleasePolicy

Arm: TypeAlias = Literal["stable", "canary"]
Phase: TypeAlias = Literal["pending", "canary", "held", "promoted", "steady", "rollback_pending", "rolled_back"]
PublicPhase: TypeAlias = Literal["canary", "promoted", "rolling_back", "rolled_back"]
"""The words of the playbook's ``GET /state/{deployment_id}``."""
FINAL: Final[frozenset[Phase]] = frozenset({"steady", "rolled_back"})
"""Phases in which the controller watches no more; ``steady`` can still be rolled back by a person."""
PUBLIC_PHASE: Final[dict[Phase, PublicPhase]] = {
    "pending": "canary",
    "canary": "canary",
    "held": "canary",
    "promoted": "promoted",
    "steady": "promoted",
    "rollback_pending": "rolling_back",
    "rolled_back": "rolled_back",
}

HoldReason: TypeAlias = Literal[
    "no_data",
    "lost_source",
    "sample_ratio",
    "clock",
    "baseline_down",
    "saturation",
    "sick_baseline",
    "unconfirmed",
    "guardrail",
    "alert",
    "operations",
    "policy",
    "manual",
]
"""Why a release does not move: too few requests or no baseline to compare with · the access log and the counters
disagree · the arms do not get their shares · the clock jumped · the baseline does not run · CPU, memory or requests in
flight above the limit · the baseline breaks the same limit · a literal breach that no test confirms yet, or a test that
rejects without a breach · a guardrail is not kept · an alert fires · a hold in operations · a person."""
Trigger: TypeAlias = Literal[
    "error_rate", "latency", "synthetic", "crash_loop", "not_ready", "out_of_memory", "alert", "manual"
]
"""What brought a release back."""
IndicatorName: TypeAlias = Literal["error_rate", "latency_p95", "saturation", "synthetic", "sample_ratio"]
CommandKind: TypeAlias = Literal["hold", "resume", "promote", "abort", "rollback"]
RECENT_S: Final = 10.0
"""The length of the short window, beside the policy's ``window_s``, in which a breach shows at once."""


# --- what is seen -----------------------------------------------------------------------------------------------------


class Interval(msgspec.Struct, frozen=True, kw_only=True):
    """What came in since the last observation for one interval of the weight.

    ``…_errors`` and ``…_slow`` are de-duplicated: of one session (or trace) only the first counts, and then none for a
    minute, on whichever arm. Requests that were forced to an arm by ``x-canary`` count nowhere.
    """

    number: int
    canary_requests: int = 0
    stable_requests: int = 0
    canary_errors: int = 0
    stable_errors: int = 0
    canary_slow: int = 0
    stable_slow: int = 0


class ArmWindow(msgspec.Struct, frozen=True, kw_only=True):
    """The last ``window_s`` seconds of one arm, as the router saw them; every request counts, repeated ones too."""

    requests: int = 0
    errors: int = 0
    p95_ms: float | None = None
    """None without requests."""

    @property
    def error_ratio(self) -> float | None:
        """Errors per request, None without requests."""
        return self.errors / self.requests if self.requests else None


class Synthetic(msgspec.Struct, frozen=True, kw_only=True):
    """New results of the smoke checks on one arm, in their order, and how many failed in a row up to now."""

    passed: int = 0
    failed: int = 0
    consecutive_failures: int = 0
    last_failure: str = ""
    """One sentence about the newest failure."""


InstanceState: TypeAlias = Literal["absent", "preparing", "starting", "ready", "unready", "failed", "stopping"]


class Instance(msgspec.Struct, frozen=True, kw_only=True):
    """One running version, as the runtime sees it."""

    release_id: str
    state: InstanceState = "absent"
    """absent · preparing (artifact and environment) · starting (not ready yet) · ready · unready (was ready, its probe
    fails) · failed (given up: see ``failure``) · stopping (drains)."""
    failure: Literal["refused", "crash_loop", "not_ready", "out_of_memory", ""] = ""
    reason: str = ""
    """One sentence on why it is not ready."""
    address: tuple[str, int] | None = None
    """Host and port while it runs."""
    pid: int | None = None
    restarts: int = 0
    since: datetime | None = None
    """When this state began."""
    cpu_ratio: float | None = None
    """Of one core, over the last second."""
    memory_ratio: float | None = None
    """Of the limit."""
    memory_mb: float | None = None


class Command(msgspec.Struct, frozen=True, kw_only=True):
    """What a person asked of a release."""

    id: str
    release_id: str
    kind: CommandKind
    reason: str
    actor: str
    created_at: datetime
    metrics_snapshot: dict[str, Any] = {}


class Observation(msgspec.Struct, frozen=True, kw_only=True):
    """All that the machine is told in one tick. The same observations in the same order give the same decisions."""

    elapsed_s: float
    """Monotonic seconds since the last tick."""
    intervals: tuple[Interval, ...] = ()
    canary: ArmWindow = ArmWindow()
    stable: ArmWindow = ArmWindow()
    recent: ArmWindow = ArmWindow()
    """The last ``RECENT_S`` seconds of the candidate."""
    requests_per_s: float | None = None
    """Of the service, both arms, over the last ten seconds."""
    synthetic: Synthetic | None = None
    """On the candidate; None when no check ended since the last tick."""
    synthetic_baseline: Synthetic | None = None
    candidate: Instance | None = None
    baseline: Instance | None = None
    in_flight: int | None = None
    """Requests of the candidate that the router waits for."""
    lost_source: str | None = None
    """Why the requests are not fully known, in one sentence; None while log and counters agree."""
    applied_interval: int | None = None
    """The interval that the router works with; None before the first."""
    alerts: tuple[str, ...] = ()
    """Names of the alerts that fire for the service."""
    operations_hold: str | None = None
    """The reason of an active hold that covers the release."""
    commands: tuple[Command, ...] = ()
    actions_open: int = 0
    """How many actions of earlier decisions are not done yet."""
    promotion_denied: str | None = None
    """Why the policy does not let this release be promoted, as of when it was last asked."""


# --- what was decided -------------------------------------------------------------------------------------------------


class Forecast(msgspec.Struct, frozen=True, kw_only=True):
    """What a held release waits for, as far as it can be told."""

    requests: int | None = None
    """How many more requests of the service (both arms) it needs."""
    seconds: float | None = None
    """How long that takes at the present rate; None when nothing comes."""


class Held(msgspec.Struct, frozen=True, kw_only=True):
    """Why a release is held."""

    reason: HoldReason
    sentence: str
    """For a person, for example "Too little traffic to judge: needs about 1,200 more requests, 6 min at this rate."."""
    forecast: Forecast | None = None


class Cause(msgspec.Struct, frozen=True, kw_only=True):
    """Why a release is brought back."""

    trigger: Trigger
    sentence: str
    """For a person, with value, threshold and baseline."""
    command_id: str | None = None
    """The command of the person who asked for it."""


class Weight(msgspec.Struct, frozen=True, kw_only=True):
    """One interval of the weight."""

    number: int
    canary_ratio: float
    slow_ms: float | None = None
    """A request that takes longer is slow in this interval; frozen from the baseline when it began. None while there
    is no baseline."""
    at: datetime


class Indicator(msgspec.Struct, frozen=True, kw_only=True):
    """One measure of a release as it stands: what a page shows beside the ladder."""

    name: IndicatorName
    value: float | None
    """Ratio 0..1, or milliseconds for ``latency_p95``, or failures in a row for ``synthetic``; None without data."""
    threshold: float
    baseline: float | None = None
    samples: int = 0
    breached: bool = False
    """Whether the playbook's literal rule is broken."""
    e_value: float | None = None
    """Evidence of the anytime-valid test against "no worse than the baseline"; None where nothing is tested."""
    e_limit: float | None = None
    """The test rejects once its largest e-value has reached this: 1 / (its share of the allowance)."""
    rejected: bool = False
    forecast: Forecast | None = None


# --- a release --------------------------------------------------------------------------------------------------------


class Baseline(msgspec.Struct, frozen=True, kw_only=True):
    """The release that was stable when this one was deployed."""

    release_id: str
    version: str
    digest: str


class FlagChange(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A flag that a release sets while it runs."""

    key: Name
    value: bool = True


class Release(msgspec.Struct, frozen=True, kw_only=True):
    """What was deployed: fixed when it is, and never changed afterwards. ``id`` is the playbook's deployment id."""

    id: str
    service: str
    version: str
    environment: str
    digest: str
    commit: str
    baseline: Baseline | None
    """None for the first release of a service in an environment."""
    policy: ReleasePolicy
    flags: tuple[FlagChange, ...] = ()
    created_at: datetime
    created_by: str
    created_by_id: str | None = None
    """The subject of the deployer, whose roles are looked at again before the promotion; None for one without a row."""
    created_roles: tuple[str, ...] = ()
    """The roles that the deployer had."""

    @property
    def name(self) -> str:
        """``<service>@<version>``."""
        return f"{self.service}@{self.version}"


class Totals(msgspec.Struct, frozen=True, kw_only=True):
    """What the candidate has served since it was deployed."""

    canary_requests: int = 0
    canary_errors: int = 0
    """Every failed request, repeated ones too: what users felt."""
    first_error_at: datetime | None = None
    last_request_at: datetime | None = None
