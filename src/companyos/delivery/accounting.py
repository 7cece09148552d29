"""From single requests to what the machine is told: counts per interval of the weight, and windows per arm. No I/O.

Two kinds of number come out. The tests need *independent* bad requests: a client that repeats a failing request a
hundred times is one piece of evidence. So of each key (session or trace) the first bad request counts and then none for
``REPEAT_S``, whichever arm the next ones fall on. One per key *and arm* would favour the smaller arm: of ten retries
that fail anywhere at a weight of 1 %, each arm would get one, a share of 9 % for the candidate. The windows are what
users felt: every request counts.

A request that was forced to an arm by ``x-canary`` counts nowhere: its arm was no draw.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Final

import msgspec

from companyos.delivery.model import RECENT_S, ArmWindow, Interval, Totals, Weight
from companyos.delivery.policy import ReleasePolicy
from companyos.delivery.ports import Request

REPEAT_S: Final = 60.0
"""After so many seconds the next bad request of a key is a new piece of evidence."""
KEYS_LIMIT: Final = 200_000
"""So many keys are remembered per kind; beyond it the oldest is forgotten."""
_CANARY: Final = 0
_STABLE: Final = 1
_AHEAD_S: Final = 1
"""A request that began later than this after now is booked as now: the clocks differ."""

_GROWTH: Final = 1.08
"""Neighbouring bins of durations differ by 8 %, so that the middle of one is at most 4 % from any value in it."""
_PER_E: Final = 1 / math.log(_GROWTH)
_SHORTEST_MS: Final = 0.01
_BINS: Final = 260
_LONGEST_MS: Final = _SHORTEST_MS * _GROWTH ** (_BINS - 1)
"""76 minutes: the last bin holds all that takes longer."""
_SHIFT: Final = -math.log(_SHORTEST_MS) * _PER_E


class Counted(msgspec.Struct, frozen=True, kw_only=True):
    """What ``Accounting.take`` returns: the parts of an observation that come from requests."""

    intervals: tuple[Interval, ...]
    """What came in since the last ``take``, by number; intervals without requests are left out."""
    canary: ArmWindow
    stable: ArmWindow
    recent: ArmWindow
    """The candidate's last ``RECENT_S`` seconds."""
    requests_per_s: float | None
    """Of both arms, over the last ``RECENT_S`` seconds; None before anything was added."""
    totals: Totals


class Accounting:
    """Counts the requests of one release. Not safe for threads; one owner adds and takes."""

    def __init__(
        self, candidate: str, baseline: str | None, policy: ReleasePolicy, *, totals: Totals | None = None
    ) -> None:
        """Take the ids of both releases, and what the candidate served before this process began."""
        before = totals or Totals()
        self._candidate, self._baseline = candidate, baseline
        self._requests, self._errors = before.canary_requests, before.canary_errors
        self._first_error = math.inf if before.first_error_at is None else before.first_error_at.timestamp()
        self._last_request = -math.inf if before.last_request_at is None else before.last_request_at.timestamp()
        self._canary = _Window(policy.window_s)
        self._stable = _Window(policy.window_s)
        self._recent = _Window(RECENT_S)
        self._recent_stable = _Window(RECENT_S)
        self._open: dict[int, list[int]] = {}
        self._failing = _Seen()
        self._slow = _Seen()
        self._began: float | None = None

    def add(self, requests: Sequence[Request], weights: Mapping[int, Weight], now: float) -> None:
        """Count these requests; ``weights`` are the intervals of the candidate, ``now`` is seconds since the epoch.

        A request of an interval that is not in ``weights`` counts in the windows and totals, and in no interval.
        """
        if self._began is None:
            self._began = now
        for window in (self._canary, self._stable, self._recent, self._recent_stable):
            window.advance(now)
        newest = now + _AHEAD_S
        for request in requests:
            arm = self._arm(request)
            if arm is None:
                continue
            at, failed, bin_ = min(request.at, newest), request.failed, _bin(request.duration_ms)
            if arm == _CANARY:
                self._canary.add(at, bin_, failed=failed)
                self._recent.add(at, bin_, failed=failed)
                self._total(at, failed=failed)
            else:
                self._stable.add(at, bin_, failed=failed)
                self._recent_stable.add(at, bin_, failed=failed)
            if request.rollout == self._candidate and (weight := weights.get(request.number)) is not None:
                self._count(request, arm, weight, at, failed=failed)

    def take(self, now: float) -> Counted:
        """Return what came in since the last call, and the windows that end now."""
        intervals = tuple(
            Interval(
                number=number,
                canary_requests=counts[0],
                stable_requests=counts[1],
                canary_errors=counts[2],
                stable_errors=counts[3],
                canary_slow=counts[4],
                stable_slow=counts[5],
            )
            for number, counts in sorted(self._open.items())
        )
        self._open = {}
        recent = self._recent.take(now)
        return Counted(
            intervals=intervals,
            canary=self._canary.take(now),
            stable=self._stable.take(now),
            recent=recent,
            requests_per_s=self._rate(recent.requests, now),
            totals=Totals(
                canary_requests=self._requests,
                canary_errors=self._errors,
                first_error_at=_moment(self._first_error),
                last_request_at=_moment(self._last_request),
            ),
        )

    def _arm(self, request: Request) -> int | None:
        """Return the arm that a request counts for, None for one that counts nowhere."""
        if request.forced:
            return None
        if request.release_id == self._candidate:
            return _CANARY if request.rollout == self._candidate else None
        if request.release_id == self._baseline and request.rollout in (self._candidate, self._baseline):
            return _STABLE
        return None

    def _count(self, request: Request, arm: int, weight: Weight, at: float, *, failed: bool) -> None:
        """Count a request whose arm was drawn with a known weight."""
        counts = self._open.get(weight.number)
        if counts is None:
            counts = self._open[weight.number] = [0] * 6
        counts[arm] += 1
        if failed and self._failing.new(request.key, at):
            counts[2 + arm] += 1
        if weight.slow_ms is not None and request.duration_ms > weight.slow_ms and self._slow.new(request.key, at):
            counts[4 + arm] += 1

    def _rate(self, recent: int, now: float) -> float | None:
        if self._began is None:
            return None
        seen_s = min(RECENT_S, max(1.0, now - self._began))
        return (recent + self._recent_stable.take(now).requests) / seen_s

    def _total(self, at: float, *, failed: bool) -> None:
        self._requests += 1
        self._last_request = max(self._last_request, at)
        if failed:
            self._errors += 1
            self._first_error = min(self._first_error, at)


class _Second:
    """What one arm served in one second."""

    __slots__ = ("bins", "errors", "requests")

    def __init__(self) -> None:
        self.requests = 0
        self.errors = 0
        self.bins: dict[int, int] = {}


class _Window:
    """One arm's last seconds, with running sums: a look costs what left the window since the last one."""

    def __init__(self, window_s: float) -> None:
        self._window = math.ceil(window_s)
        self._seconds: dict[int, _Second] = {}
        self._now = 0
        self._requests = 0
        self._errors = 0
        self._bins = [0] * _BINS

    def advance(self, now: float) -> None:
        """Let go of the seconds that have left the window, and of those in the future when the clock went back."""
        if int(now) == self._now:
            return
        self._now = int(now)
        oldest, newest = self._now - self._window, self._now + _AHEAD_S
        for number in [number for number in self._seconds if not oldest < number <= newest]:
            second = self._seconds.pop(number)
            self._requests -= second.requests
            self._errors -= second.errors
            for bin_, count in second.bins.items():
                self._bins[bin_] -= count

    def add(self, at: float, bin_: int, *, failed: bool) -> None:
        """Count one request; one that has left the window already is not counted."""
        number = int(at)
        second = self._seconds.get(number)
        if second is None:
            if number <= self._now - self._window:
                return
            second = self._seconds[number] = _Second()
        second.requests += 1
        self._requests += 1
        if failed:
            second.errors += 1
            self._errors += 1
        second.bins[bin_] = second.bins.get(bin_, 0) + 1
        self._bins[bin_] += 1

    def take(self, now: float) -> ArmWindow:
        """Return the window that ends now."""
        self.advance(now)
        return ArmWindow(requests=self._requests, errors=self._errors, p95_ms=self._p95())

    def _p95(self) -> float | None:
        """Return the middle of the bin that holds the 95th percentile by nearest rank."""
        if not self._requests:
            return None
        above = self._requests - -(-95 * self._requests // 100)
        for bin_ in range(_BINS - 1, -1, -1):
            above -= self._bins[bin_]
            if above < 0:
                return _SHORTEST_MS * math.exp((bin_ + 0.5) / _PER_E)
        raise AssertionError("The bins hold every request of the window.")


class _Seen:
    """Which keys had a bad request lately. Keys are kept as hashes, so that a long one takes no more room."""

    def __init__(self) -> None:
        self._counted: dict[int, float] = {}

    def new(self, key: str, at: float) -> bool:
        """Whether a bad request of this key is a new piece of evidence; then it is remembered."""
        number = hash(key)
        before = self._counted.get(number)
        if before is not None:
            if at - before < REPEAT_S:
                return False
            del self._counted[number]
        elif len(self._counted) >= KEYS_LIMIT:
            del self._counted[next(iter(self._counted))]
        self._counted[number] = at
        return True


def _bin(duration_ms: float) -> int:
    if not duration_ms > _SHORTEST_MS:
        return 0
    if duration_ms >= _LONGEST_MS:
        return _BINS - 1
    return int(math.log(duration_ms) * _PER_E + _SHIFT)


def _moment(seconds: float) -> datetime | None:
    """Return seconds since the epoch as a time, None for infinity."""
    return datetime.fromtimestamp(seconds, UTC) if math.isfinite(seconds) else None
