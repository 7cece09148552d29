"""Which looks at a release are written down, and how several become one.

The record of a release is what its verdicts can be computed from again. A look on which something was decided, began or
ended, or on which a bad request or a smoke check was counted, stands alone; between them, looks are joined. So the
record is short, and deciding it again comes to the same.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any, Final

from msgspec.structs import replace

from companyos.delivery.model import FINAL, Interval, Observation, Synthetic
from companyos.delivery.sequential import CoinFlip, Sprt
from companyos.delivery.state import State, Step
from companyos.delivery.tick_store import Tick

JOINED_S: Final = 1.0
"""Looks are joined up to so many seconds."""
QUIET_S: Final = 30.0
"""The same while no request comes."""
ALONE_MAX: Final = 3000
"""So many looks with bad requests stand alone in one record; the rest is joined, so that an outage of hours stays
small. Deciding it again then bets on larger batches: as valid, but not to the last digit the same."""


def coalesce(before: Observation | None, new: Observation) -> Observation:
    """Return two looks, one after the other, as one: counts add up, and of all else the newer holds."""
    if before is None:
        return new
    return replace(
        new,
        elapsed_s=before.elapsed_s + new.elapsed_s,
        intervals=_join(before.intervals, new.intervals),
        synthetic=_checks(before.synthetic, new.synthetic),
        synthetic_baseline=_checks(before.synthetic_baseline, new.synthetic_baseline),
        commands=before.commands + new.commands,
    )


class Recorder:
    """Joins the looks at one release; numbers go on behind the last one that was written."""

    def __init__(self, last: int = 0) -> None:
        """Go on behind the number ``last``; 0 before the first."""
        self._number = last
        self._alone = 0
        self._joined: Observation | None = None
        self._at: datetime | None = None
        self._evidence: dict[str, Any] = {}

    def add(self, before: State, decided: Step, observation: Observation, now: datetime) -> tuple[Tick, ...]:
        """Take what was seen, with the state before and what came of it; return what is to be written now."""
        if before.phase in FINAL and decided.move is None:
            return ()
        bad = _is_evidence(observation)
        if _turns(before, decided, observation) or (bad and self._alone < ALONE_MAX):
            self._alone += bad
            earlier = self.flush()
            return (*earlier, self._tick(now, observation, evidence(decided.state)))
        self._joined = coalesce(self._joined, observation)
        self._at, self._evidence = now, evidence(decided.state)
        full = self._joined.elapsed_s >= (JOINED_S if self._joined.intervals else QUIET_S)
        return self.flush() if full else ()

    def flush(self) -> tuple[Tick, ...]:
        """Return what was joined and not written yet."""
        if self._joined is None or self._at is None:
            return ()
        tick = self._tick(self._at, self._joined, self._evidence)
        self._joined = None
        return (tick,)

    def flush_counts(self) -> tuple[Tick, ...]:
        """Return what was joined when requests are counted in it, which the state that is written now has already."""
        return self.flush() if self._joined is not None and self._joined.intervals else ()

    def _tick(self, at: datetime, observation: Observation, found: dict[str, Any]) -> Tick:
        self._number += 1
        return Tick(number=self._number, at=at, observation=observation, evidence=found)


def evidence(state: State) -> dict[str, Any]:
    """Return the sufficient statistics of every test: what was counted, and what it amounts to.

    ``errors`` and ``slow``: bad requests per arm; ``synthetic``: checks; ``share``: all requests per arm. Each with
    its e-value; ``weight`` is the newest interval with the candidate's share.
    """
    share = state.tests.share
    return {
        "weight": {"number": state.number, "canary_ratio": state.ratio},
        "errors": _flips(state.tests.errors),
        "slow": _flips(state.tests.slow),
        "synthetic": _runs(state.tests.synthetic),
        "share": {"canary": share.canary_requests, "stable": share.stable_requests, "e_value": share.e_value},
        "step": {"requests": state.step_requests, "clean_s": state.clean_s},
    }


def _flips(test: CoinFlip) -> dict[str, Any]:
    return {"canary": test.canary, "stable": test.stable, "e_value": test.e_value, "e_max": test.e_max}


def _runs(test: Sprt) -> dict[str, Any]:
    return {"passed": test.passed, "failed": test.failed, "e_value": test.e_value, "e_max": test.e_max}


def _turns(before: State, decided: Step, observation: Observation) -> bool:
    """Whether this look decided something, or began or ended something that a later decision counts the time of."""
    after = decided.state
    return bool(
        decided.move is not None
        or decided.actions
        or observation.commands
        or before.seen_at is None
        or (before.gone_s is None) != (after.gone_s is None)
        or (before.unready_s is None) != (after.unready_s is None)
        or (before.jumped_s is None) != (after.jumped_s is None)
    )


def _is_evidence(observation: Observation) -> bool:
    if observation.synthetic is not None or observation.synthetic_baseline is not None:
        return True
    return any(
        interval.canary_errors or interval.stable_errors or interval.canary_slow or interval.stable_slow
        for interval in observation.intervals
    )


def _join(before: Sequence[Interval], new: Sequence[Interval]) -> tuple[Interval, ...]:
    if not before or not new:
        return tuple(before or new)
    known = {interval.number: interval for interval in before}
    for interval in new:
        had = known.get(interval.number)
        known[interval.number] = interval if had is None else _sum(had, interval)
    return tuple(known[number] for number in sorted(known))


def _sum(one: Interval, other: Interval) -> Interval:
    return Interval(
        number=one.number,
        canary_requests=one.canary_requests + other.canary_requests,
        stable_requests=one.stable_requests + other.stable_requests,
        canary_errors=one.canary_errors + other.canary_errors,
        stable_errors=one.stable_errors + other.stable_errors,
        canary_slow=one.canary_slow + other.canary_slow,
        stable_slow=one.stable_slow + other.stable_slow,
    )


def _checks(before: Synthetic | None, new: Synthetic | None) -> Synthetic | None:
    if before is None or new is None:
        return new if before is None else before
    return Synthetic(
        passed=before.passed + new.passed,
        failed=before.failed + new.failed,
        consecutive_failures=new.consecutive_failures,
        last_failure=new.last_failure or before.last_failure,
    )
