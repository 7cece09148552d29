"""How often a healthy release is rolled back by mistake, and how soon a bad one comes back: simulated ramps.

``guarded`` and ``literal`` are decided by the product's own machine under the default policy, but for steps of five
minutes (1, 10, 50 %, then 98 %); the others are stand-ins that see the same kind of traffic on a ramp by the clock.
"""

from __future__ import annotations

import os
import time
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from datetime import UTC, datetime, timedelta
from functools import partial
from multiprocessing import get_context
from typing import Final, NamedTuple

from bench._ramps import (
    BAD,
    BASELINE,
    BURSTS,
    CANDIDATE,
    HEALTHY,
    OUTAGE,
    Look,
    Setting,
    Traffic,
    flagger_like,
    kayenta_like,
    z_test,
)
from bench._ramps import Row as Counts
from bench.harness import AtLeast, AtMost, Row, best_of, percentile
from companyos.delivery import machine
from companyos.delivery.model import ArmWindow, Baseline, Instance, Interval, Observation, Release
from companyos.delivery.policy import ReleasePolicy

_RAMPS: Final = 3000
_PEER_RAMPS: Final = 100
_RATES: Final = (5.0, 50.0, 500.0)
_BEGAN: Final = datetime(2026, 1, 1, tzinfo=UTC)
_AFTER_S: Final = 2400.0
"""A ramp that is still held then is not followed further."""
_CANARY: Final = Instance(release_id=CANDIDATE, state="ready")
_STABLE: Final = Instance(release_id=BASELINE, state="ready")
_POLICIES: Final = {name: ReleasePolicy(triggers=name, hold_s=300, bake_s=300) for name in ("guarded", "literal")}
_PEERS: Final[dict[str, Callable[[Sequence[Counts], float], float | None]]] = {
    "z-test": z_test,
    "Flagger-like": flagger_like,
    "Kayenta-like": kayenta_like,
}


class Looks(NamedTuple):
    """How often the machine looks, and into how many pieces of evidence each look is divided."""

    seconds: float
    parts: int


class End(NamedTuple):
    """How one ramp ended."""

    rolled_back_s: float | None
    promoted: bool


def run(scale: float) -> Iterator[Row]:
    """Rows for each setting and rate, and for one decision."""
    yield _decision()
    ramps, peer_ramps = max(20, round(_RAMPS * scale)), max(10, round(_PEER_RAMPS * scale))
    with ProcessPoolExecutor(os.cpu_count() or 1, mp_context=get_context("spawn")) as pool:
        for setting in (HEALTHY, OUTAGE, BURSTS, BAD):
            for rate in _RATES:
                looks = _looks(setting, rate)
                guarded = list(
                    pool.map(partial(_ramp, setting, rate, looks, "guarded"), range(ramps), chunksize=ramps // 20)
                )
                peers = pool.map(partial(_peers, setting, rate), range(peer_ramps), chunksize=peer_ramps // 10)
                yield from _rows(setting, rate, looks, guarded, list(peers))


def _looks(setting: Setting, rate: float) -> Looks:
    if setting is BAD:
        return Looks(max(1.0, 100 / rate), 1)
    return Looks(30.0, 3)


def _rows(
    setting: Setting, rate: float, looks: Looks, ends: Sequence[End], peers: Sequence[dict[str, float | None]]
) -> Iterator[Row]:
    back = [end.rolled_back_s for end in ends if end.rolled_back_s is not None]
    name = f"{setting.name}, {rate:g} requests/s"
    promoted = sum(end.promoted for end in ends) / len(ends)
    note = (
        f"{len(ends):,} ramps, machine.step every {looks.seconds:g} s, "
        f"{promoted:.1%} promoted within {_AFTER_S / 60:g} min"
    )
    others = "; ".join(_told([peer[rule] for peer in peers], rule, timed=setting is BAD) for rule in peers[0])
    yield Row(
        room="simulation",
        name=f"{name}: rolled back",
        value=100 * len(back) / len(ends),
        unit="%",
        target=AtLeast(99) if setting is BAD else AtMost(1),
        note=note,
        peer=f"{len(peers)} ramps each: {others}",
    )
    if setting is BAD and back:
        yield Row(room="simulation", name=f"{name}: median time", value=percentile(back, 0.5), unit="s")


def _told(found: Sequence[float | None], rule: str, *, timed: bool) -> str:
    back = [seconds for seconds in found if seconds is not None]
    share = f"{rule} {len(back) / len(found):.1%}"
    return f"{share} in {percentile(back, 0.5):,.0f} s" if timed and back else share


def _release(policy: ReleasePolicy) -> Release:
    return Release(
        id=CANDIDATE,
        service="orders",
        version="2",
        environment="production",
        digest="sha256:2",
        commit="2",
        baseline=Baseline(release_id=BASELINE, version="1", digest="sha256:1"),
        policy=policy,
        created_at=_BEGAN,
        created_by="bench",
    )


def _ramp(setting: Setting, rate: float, looks: Looks, triggers: str, seed: int) -> End:
    """Let the product's machine lead one release from its first traffic to an end, or until nobody waits longer."""
    policy = _POLICIES[triggers]
    traffic = Traffic(setting, rate, f"{setting.name} {rate} {seed}")
    state = machine.begin(_release(policy), _BEGAN)
    for _ in range(2):
        state = machine.step(state, _observation(state, 0.0), policy, _BEGAN).state
    assert state.phase == "canary"
    window, sums, at_s = deque[Look](), [0, 0, 0, 0], 0.0
    while at_s < _AFTER_S:
        weight = state.weights[-1]
        look = traffic.look(weight.number, weight.canary_ratio, at_s, looks.seconds, looks.parts)
        at_s += looks.seconds
        window.append(look)
        sums = [total + new for total, new in zip(sums, look[:4], strict=True)]
        if len(window) * looks.seconds > policy.window_s:
            sums = [total - old for total, old in zip(sums, window.popleft()[:4], strict=True)]
        now = _BEGAN + timedelta(seconds=at_s)
        state = machine.step(state, _observation(state, looks.seconds, look, sums), policy, now).state
        if state.phase == "rollback_pending":
            return End(at_s, promoted=False)
        if state.phase == "steady":
            return End(None, promoted=True)
    return End(None, promoted=state.phase == "promoted")


def _observation(
    state: machine.State, elapsed_s: float, look: Look | None = None, sums: Sequence[int] = (0, 0, 0, 0)
) -> Observation:
    requests, errors, stable, stable_errors = sums
    recent = ArmWindow() if look is None else ArmWindow(requests=look.canary, errors=look.canary_errors, p95_ms=20.0)
    return Observation(
        elapsed_s=elapsed_s,
        intervals=() if look is None else look.parts,
        canary=ArmWindow(requests=requests, errors=errors, p95_ms=20.0 if requests else None),
        stable=ArmWindow(requests=stable, errors=stable_errors, p95_ms=20.0 if stable else None),
        recent=recent,
        candidate=_CANARY,
        baseline=_STABLE,
        applied_interval=state.number or None,
    )


def _peers(setting: Setting, rate: float, seed: int) -> dict[str, float | None]:
    """Return when each other rule would have rolled back; None is never."""
    looks = Looks(10.0, 1)
    found: dict[str, float | None] = {"literal": _ramp(setting, rate, looks, "literal", seed).rolled_back_s}
    policy = _POLICIES["literal"]
    traffic = Traffic(setting, rate, f"peers {setting.name} {rate} {seed}")
    rows: list[Counts] = []
    for number, ratio in enumerate(policy.ramp, 1):
        for _ in range(round(policy.hold_s / looks.seconds)):
            rows.append((ratio, *traffic.look(number, ratio, len(rows) * looks.seconds, looks.seconds, 1)[:4]))
    return found | {name: rule(rows, looks.seconds) for name, rule in _PEERS.items()}


def _decision() -> Row:
    """Measure one decision in the step at 10 %, with a failed request on either arm in every look."""
    policy = _POLICIES["guarded"]
    state = machine.begin(_release(policy), _BEGAN)
    for _ in range(2):
        state = machine.step(state, _observation(state, 0.0), policy, _BEGAN).state
    part = Interval(
        number=state.number, canary_requests=1, stable_requests=99, canary_errors=1, stable_errors=3, stable_slow=5
    )
    look = Look(1, 1, 99, 3, (part,))
    times = 2000

    def decide() -> float:
        began = time.perf_counter()
        for _ in range(times):
            machine.step(state, _observation(state, 0.25, look, (300, 2, 29_700, 60)), policy, _BEGAN)
        return (time.perf_counter() - began) / times * 1e6

    return Row(
        room="simulation",
        name="one decision: machine.step with its tests",
        value=best_of(5, decide, float),
        unit="µs",
        target=AtMost(50),
        note="1 interval, errors on both arms, observation made anew",
    )
