"""Simulated ramps: what the requests of one release look like, look by look, and how other rules would decide."""

from __future__ import annotations

import math
import random
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Final, NamedTuple

from companyos.delivery.accounting import Accounting
from companyos.delivery.model import Interval, Weight
from companyos.delivery.policy import ReleasePolicy
from companyos.delivery.ports import Request

CANDIDATE: Final = "candidate"
BASELINE: Final = "baseline"
EPOCH_S: Final = 1_800_000_000.0
_EXACT_MEAN: Final = 40.0
_RETRIES: Final = 20
_BURSTS_PER_S: Final = 1 / 60
_BURSTS_PER_REQUEST: Final = 0.0004


class Setting(NamedTuple):
    """One kind of traffic."""

    name: str
    baseline: float
    """Which share of its requests fails."""
    candidate: float
    outage: float = 0.0
    """Which share fails on both arms during two minutes in the step at 10 %."""
    bursts: bool = False
    """Whether clients come, at most one a minute, that repeat a failing request twenty times; every second one stays on
    the arm that it had first, the others are routed anew each time."""


HEALTHY: Final = Setting("healthy, both arms fail 0.5 %", 0.005, 0.005)
OUTAGE: Final = Setting("outage, both arms fail 50 % for 2 min", 0.001, 0.001, outage=0.5)
BURSTS: Final = Setting("clients that retry 20 times, de-duplicated", 0.001, 0.001, bursts=True)
BAD: Final = Setting("candidate fails 5 %", 0.001, 0.05)


class Look(NamedTuple):
    """What came in between two looks; ``parts`` is what of it is evidence, in the order of time."""

    canary: int
    canary_errors: int
    stable: int
    stable_errors: int
    parts: tuple[Interval, ...]


class Traffic:
    """The requests of one ramp; the same seed and the same weights give the same ones."""

    def __init__(self, setting: Setting, per_second: float, seed: str) -> None:
        """Take what comes and how much of it."""
        self._setting = setting
        self._rate = per_second
        self._rng = random.Random(seed)  # noqa: S311 - made-up traffic
        self._accounting = Accounting(CANDIDATE, BASELINE, ReleasePolicy()) if setting.bursts else None
        self._clients = 0

    def look(self, number: int, ratio: float, at_s: float, lasts_s: float, parts: int) -> Look:
        """Return what comes from ``at_s`` on under this weight, as so many pieces of evidence."""
        setting = self._setting
        down = setting.outage if setting.outage and 400 <= at_s < 520 else 0.0
        fails = max(down, setting.candidate), max(down, setting.baseline)
        arms = self._rate * ratio * lasts_s, self._rate * (1 - ratio) * lasts_s
        errors = [
            (self._poisson(arms[0] * fails[0] / parts), self._poisson(arms[1] * fails[1] / parts)) for _ in range(parts)
        ]
        canary_errors, stable_errors = (sum(part[arm] for part in errors) for arm in (0, 1))
        canary, stable = (
            served + self._poisson(arms[arm] * (1 - fails[arm]))
            for arm, served in enumerate((canary_errors, stable_errors))
        )
        seen = [Interval(number=number, canary_requests=canary, stable_requests=stable)]
        seen += [
            Interval(number=number, canary_errors=one, stable_errors=other) for one, other in errors if one or other
        ]
        if self._accounting is not None:
            repeats, counted = self._bursts(self._accounting, number, ratio, at_s, lasts_s)
            canary, canary_errors = canary + repeats[0], canary_errors + repeats[0]
            stable, stable_errors = stable + repeats[1], stable_errors + repeats[1]
            seen += counted
        return Look(canary, canary_errors, stable, stable_errors, tuple(seen))

    def _bursts(
        self, accounting: Accounting, number: int, ratio: float, at_s: float, lasts_s: float
    ) -> tuple[tuple[int, int], Sequence[Interval]]:
        """Return what clients that repeat send to each arm, and its evidence by the product's own accounting."""
        now, requests = EPOCH_S + at_s, []
        for _ in range(self._poisson(lasts_s * min(_BURSTS_PER_S, self._rate * _BURSTS_PER_REQUEST))):
            self._clients += 1
            sticky = float(self._rng.random() < ratio) if self._clients % 2 else ratio
            for _ in range(_RETRIES):
                drawn = CANDIDATE if self._rng.random() < sticky else BASELINE
                requests.append(_failed(drawn, number, now, f"client-{self._clients}"))
        if not requests:
            return (0, 0), ()
        weight = Weight(number=number, canary_ratio=ratio, at=datetime.fromtimestamp(now, UTC))
        accounting.add(requests, {number: weight}, now)
        of_canary = sum(request.release_id == CANDIDATE for request in requests)
        return (of_canary, len(requests) - of_canary), accounting.take(now).intervals

    def _poisson(self, mean: float) -> int:
        """A Poisson number; for large means the nearest whole number of a normal one."""
        if mean > _EXACT_MEAN:
            return max(0, round(self._rng.gauss(mean, math.sqrt(mean))))
        bound, count, draw = math.exp(-mean), 0, self._rng.random()
        product = draw
        while product > bound:
            count += 1
            product *= self._rng.random()
        return count


def _failed(release: str, number: int, at: float, key: str) -> Request:
    return Request(at, "orders", CANDIDATE, number, release, False, 503, 5.0, key, key, "GET", "/")  # noqa: FBT003 - fields


# --- what others do ---------------------------------------------------------------------------------------------------

Row = tuple[float, int, int, int, int]
"""Weight, requests and errors of the candidate, requests and errors of the baseline, per look."""


def z_test(rows: Sequence[Row], look_s: float) -> float | None:
    """Seconds until a pooled two-sample z-test, started anew at each step, has p < 0.05 at any look."""
    began, total = 0.0, [0, 0, 0, 0]
    for place, (ratio, *counts) in enumerate(rows):
        if ratio != began:
            began, total = ratio, [0, 0, 0, 0]
        total = [sum(pair) for pair in zip(total, counts, strict=True)]
        canary, canary_errors, stable, stable_errors = total
        if canary and stable and canary_errors:
            pooled = (canary_errors + stable_errors) / (canary + stable)
            deviation = math.sqrt(pooled * (1 - pooled) * (1 / canary + 1 / stable))
            if deviation and (canary_errors / canary - stable_errors / stable) / deviation > 1.645:
                return (place + 1) * look_s
    return None


def flagger_like(rows: Sequence[Row], look_s: float) -> float | None:
    """Seconds until the error rate of one minute, looked at each minute, was above 1 % for the fifth time."""
    failed, minute = 0, round(60 / look_s)
    for end in range(minute, len(rows) + 1, minute):
        requests = sum(row[1] for row in rows[end - minute : end])
        errors = sum(row[2] for row in rows[end - minute : end])
        failed += errors > 0.01 * requests
        if failed == 5:
            return end * look_s
    return None


def kayenta_like(rows: Sequence[Row], look_s: float) -> float | None:
    """Seconds until a step ends whose error rates per minute are higher by a Mann-Whitney test at 98 %."""
    minute = round(60 / look_s)
    step: list[tuple[float, float]] = []
    for end in range(minute, len(rows) + 1, minute):
        ratio, part = rows[end - 1][0], rows[end - minute : end]
        of_canary, of_stable = (
            sum(row[2 + arm] for row in part) / max(1, sum(row[1 + arm] for row in part)) for arm in (0, 2)
        )
        step.append((of_canary, of_stable))
        if end == len(rows) or rows[end][0] != ratio:
            if _mann_whitney(step):
                return end * look_s
            step = []
    return None


def _mann_whitney(step: Sequence[tuple[float, float]]) -> bool:
    """Whether the 98 % interval of the differences lies above a quarter of their median, as Kayenta's does."""
    size = len(step)
    differences = sorted(one - other for one, _ in step for _, other in step)
    if differences[0] == differences[-1]:
        return False
    lowest = max(0, int(size * size / 2 - 2.326 * math.sqrt(size * size * (2 * size + 1) / 12)))
    return differences[lowest] > 0.25 * abs(differences[len(differences) // 2])
