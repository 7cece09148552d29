"""What the controller keeps in memory of one release between two ticks, and how it becomes an observation.

Nothing here is needed after a crash but the windows of five minutes, which then begin anew.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Final, NamedTuple

import msgspec

from companyos.delivery.accounting import Accounting, Counted
from companyos.delivery.model import Command, Instance, Observation, Synthetic, Totals
from companyos.delivery.ports import CheckResult, Request, Route
from companyos.delivery.routing import applied_number
from companyos.delivery.tick_store import Tick
from companyos.delivery.ticks import Recorder
from companyos.delivery.view import FailedRequest

if TYPE_CHECKING:
    from companyos.delivery.store import Stored

_KEPT_REQUESTS: Final = 50
"""How many failed and how many slow requests are kept for diagnostics."""


class Look(NamedTuple):
    """What one tick sees of the world, for all releases together."""

    at: datetime
    monotonic: float
    instances: Mapping[str, Instance]
    requests: Mapping[str, Sequence[Request]]
    """What ended since the last tick, by service."""
    position: str
    lost: str | None
    in_flight: Mapping[str, int]
    checks: Mapping[str, Sequence[CheckResult]]
    """New results of the smoke checks, by release."""
    routes: tuple[Route, ...]
    """What the router was last told."""


class Facts(NamedTuple):
    """What people and other systems have said, as of the last change of the ledger."""

    commands: Mapping[str, tuple[Command, ...]]
    """By release."""
    alerts: Mapping[str, tuple[str, ...]]
    """Names of the alerts that fire, by service."""
    holds: Mapping[str, str]
    """The reason of an active hold, by release."""


NO_FACTS: Final = Facts({}, {}, {})


class Watch:
    """One release under watch."""

    def __init__(self, stored: Stored, last_tick: int, look: Look) -> None:
        """Follow what was written down, from this look on; numbers of ticks continue after ``last_tick``."""
        release = stored.release
        baseline = release.baseline.release_id if release.baseline else None
        self.stored = stored
        self.recorder = Recorder(last_tick)
        self.ticks: list[Tick] = []
        """Seen and not written down yet."""
        self.counted: Counted | None = None
        self.observation = Observation(elapsed_s=0.0)
        self.failed: deque[FailedRequest] = deque(maxlen=_KEPT_REQUESTS)
        self.slow: deque[FailedRequest] = deque(maxlen=_KEPT_REQUESTS)
        self.first_slow_at: datetime | None = None
        self._accounting = Accounting(release.id, baseline, release.policy, totals=stored.snapshot.totals)
        self._monotonic = look.monotonic
        self._checks = {release.id: 0, baseline or "": 0}

    @property
    def totals(self) -> Totals:
        """What the candidate has served since it was deployed."""
        return self.counted.totals if self.counted is not None else self.stored.snapshot.totals

    def observe(self, look: Look, facts: Facts, actions_open: int, promotion_denied: str | None = None) -> Observation:
        """Return what the machine is told about this look, and remember it."""
        stored, release = self.stored, self.stored.release
        baseline = release.baseline.release_id if release.baseline else ""
        counted = self._count(look)
        self.observation = Observation(
            elapsed_s=max(0.0, look.monotonic - self._monotonic),
            intervals=counted.intervals,
            canary=counted.canary,
            stable=counted.stable,
            recent=counted.recent,
            requests_per_s=counted.requests_per_s,
            synthetic=self._synthetic(release.id, look.checks),
            synthetic_baseline=self._synthetic(baseline, look.checks) if baseline else None,
            candidate=look.instances.get(release.id),
            baseline=look.instances.get(baseline) if baseline else None,
            in_flight=look.in_flight.get(release.id),
            lost_source=look.lost,
            applied_interval=applied_number(look.routes, release.id),
            alerts=facts.alerts.get(release.service, ()),
            operations_hold=facts.holds.get(stored.id),
            commands=facts.commands.get(stored.id, ()),
            actions_open=actions_open,
            promotion_denied=promotion_denied,
        )
        self._monotonic = look.monotonic
        return self.observation

    def told(self, observation: Observation) -> Observation:
        """Remember what the machine was told instead, in the same look."""
        self.observation = observation
        return observation

    def evidence_of_failure(self) -> dict[str, Any]:
        """Return the newest failed and slow requests, as JSON."""
        return {
            "failed_requests": msgspec.to_builtins(tuple(self.failed)),
            "slow_requests": msgspec.to_builtins(tuple(self.slow)),
        }

    def _count(self, look: Look) -> Counted:
        requests = look.requests.get(self.stored.release.service, ())
        now = look.at.timestamp()
        if requests:
            weights = {weight.number: weight for weight in self.stored.state.weights}
            self._accounting.add(requests, weights, now)
            for request in requests:
                if request.release_id != self.stored.id or request.forced:
                    continue
                weight = weights.get(request.number) if request.rollout == self.stored.id else None
                slow_ms = weight.slow_ms if weight is not None else None
                if request.failed:
                    self.failed.append(_shown(request))
                elif slow_ms is not None and request.duration_ms > slow_ms:
                    self.slow.append(_shown(request))
                    self.first_slow_at = self.first_slow_at or self.slow[-1].at
        self.counted = self._accounting.take(now)
        return self.counted

    def _synthetic(self, release_id: str, checks: Mapping[str, Sequence[CheckResult]]) -> Synthetic | None:
        results = checks.get(release_id)
        if not results:
            return None
        for result in results:
            self._checks[release_id] = 0 if result.passed else self._checks[release_id] + 1
        failures = [result.failure for result in results if not result.passed]
        return Synthetic(
            passed=len(results) - len(failures),
            failed=len(failures),
            consecutive_failures=self._checks[release_id],
            last_failure=failures[-1] if failures else "",
        )


def _shown(request: Request) -> FailedRequest:
    return FailedRequest(
        at=datetime.fromtimestamp(request.at, UTC),
        status=request.status,
        duration_ms=round(request.duration_ms, 3),
        method=request.method,
        path=request.path,
        trace_id=request.trace_id,
        arm="canary",
    )
