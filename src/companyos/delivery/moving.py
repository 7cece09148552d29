"""How a release moves: each function makes one transition, with everything that is to be done for it. Pure.

Whether a release moves is decided in ``machine`` and ``judging``.
"""

from __future__ import annotations

from datetime import datetime
from typing import Any

from msgspec.structs import replace

from companyos.delivery import sentences
from companyos.delivery.actions import (
    Action,
    Attest,
    CaptureDiagnostics,
    MarkUnhealthy,
    NotifyOnCall,
    OpenIncident,
    RecordRunning,
    SetWeight,
    StartBaseline,
    StopBaseline,
    StopCandidate,
    TurnBackFlags,
    TurnOnFlags,
)
from companyos.delivery.model import Cause, Held, Observation, Phase, Weight
from companyos.delivery.policy import ReleasePolicy
from companyos.delivery.state import LASTING, Move, State, Step


def start(state: State, observation: Observation, policy: ReleasePolicy, now: datetime) -> Step:
    """Give the candidate its first traffic: the first step, or all of it when there is nothing to compare with."""
    flags: tuple[Action, ...] = (TurnOnFlags(),) if state.has_flags else ()
    if not state.has_baseline:
        state, weight = _weigh(state, 1.0, None, now)
        state = _enter(state, len(policy.steps) - 1, now, phase="steady")
        return Step(
            state=state,
            actions=(weight, *flags, Attest("promoted"), RecordRunning()),
            move=Move(verb="release.settle", sentence="The first release takes all of the traffic."),
        )
    if not policy.ramp:
        promoted = promote(state, observation, policy, now, "It is ready, and its policy has no step below 100 %.")
        move_traffic, *rest = promoted.actions
        return replace(promoted, actions=(move_traffic, *flags, *rest))
    state, weight = _weigh(state, policy.ramp[0], slow_ms(observation, policy), now)
    return Step(
        state=_enter(state, 0, now, phase="canary"),
        actions=(weight, *flags, RecordRunning()),
        move=Move(verb="release.start", sentence=f"It is ready and takes {sentences.percent(policy.ramp[0])}."),
    )


def advance(state: State, observation: Observation, policy: ReleasePolicy, now: datetime) -> Step:
    """Go to the next step; behind the last one the release is promoted."""
    kept = sentences.kept(state, observation, policy)
    place = state.step + 1
    if place >= len(policy.ramp):
        return promote(state, observation, policy, now, kept)
    ratio = policy.ramp[place]
    state, weight = _weigh(state, ratio, slow_ms(observation, policy), now)
    return Step(
        state=_enter(state, place, now, phase="canary"),
        actions=(weight, RecordRunning()),
        move=Move(verb="release.advance", sentence=f"On to {sentences.percent(ratio)}: {kept}"),
    )


def promote(state: State, observation: Observation, policy: ReleasePolicy, now: datetime, why: str) -> Step:
    """Give the candidate all but the share that the old version keeps while this one bakes, and never less than now."""
    state, weight = _weigh(state, max(policy.bake_ratio, state.ratio), slow_ms(observation, policy), now)
    return Step(
        state=_enter(state, len(policy.steps) - 1, now, phase="promoted"),
        actions=(weight, RecordRunning()),
        move=Move(verb="release.promote", sentence=f"Promoted: {why}"),
    )


def settle(state: State, now: datetime, why: str) -> Step:
    """End a promoted release well: it takes everything, and the old version stops."""
    state, weight = _weigh(state, 1.0, None, now)
    return Step(
        state=_enter(state, state.step, now, phase="steady"),
        actions=(weight, StopBaseline(), Attest("promoted"), RecordRunning()),
        move=Move(verb="release.settle", sentence=f"Settled: {why}"),
    )


def hold(state: State, held: Held, now: datetime) -> Step:
    """Hold the release where it is, or give the reason that holds it now."""
    changes: dict[str, Any] = {"held": held, "gone_s": None, "reason_s": 0.0}
    if state.phase != "held":
        changes |= {"phase": "held", "back_to": state.phase, "since": now, "repeat": False}
    repeat = held.reason in LASTING or (state.phase == "held" and state.repeat)
    return Step(
        state=replace(state, **{**changes, "repeat": repeat}),
        move=Move(verb="release.hold", sentence=held.sentence),
    )


def resume(state: State, now: datetime, why: str) -> Step:
    """Go on where the release was held."""
    state = replace(
        state,
        phase=state.back_to,
        since=now,
        held=None,
        gone_s=None,
        clean_s=0.0 if state.repeat else state.clean_s,
        repeat=False,
    )
    return Step(state=state, move=Move(verb="release.resume", sentence=why))


def roll_back(state: State, cause: Cause, now: datetime) -> Step:
    """Bring the release back; the traffic moves first, everything else follows."""
    first: tuple[Action, ...] = (StartBaseline(),) if state.phase == "steady" else ()
    flags: tuple[Action, ...] = (TurnBackFlags(),) if state.has_flags else ()
    state, weight = _weigh(state, 0.0, None, now)
    state = replace(
        state, phase="rollback_pending", since=now, held=None, cause=cause, manual=None, gone_s=None, repeat=False
    )
    return Step(
        state=state,
        actions=(
            *first,
            weight,
            MarkUnhealthy(),
            *flags,
            CaptureDiagnostics(),
            OpenIncident(),
            NotifyOnCall(),
            RecordRunning(),
            Attest("rolled_back"),
            StopCandidate(),
        ),
        move=Move(verb="release.rollback", sentence=cause.sentence),
    )


def end_rollback(state: State, now: datetime) -> Step:
    """End a rollback of which everything is done."""
    return Step(
        state=replace(state, phase="rolled_back", since=now),
        move=Move(verb="release.rolled_back", sentence="Everything that the rollback takes is done."),
    )


def judge_slowness(state: State, observation: Observation, policy: ReleasePolicy, now: datetime) -> Step | None:
    """Begin a new interval of the same weight once the baseline tells what is slow; None when nothing changes."""
    if state.weights[-1].slow_ms is not None:
        return None
    limit = slow_ms(observation, policy)
    if limit is None:
        return None
    state, weight = _weigh(state, state.ratio, limit, now)
    return Step(state=state, actions=(weight,))


def slow_ms(observation: Observation, policy: ReleasePolicy) -> float | None:
    """Return what counts as slow from now on, in milliseconds, or None while the baseline has served too little."""
    stable = observation.stable
    if stable.p95_ms is None or stable.requests < max(1, policy.min_requests):
        return None
    return max(policy.floor_ms, stable.p95_ms * (1 + policy.p95_increase_ratio))


def _weigh(state: State, ratio: float, limit: float | None, now: datetime) -> tuple[State, SetWeight]:
    number = state.number + 1
    weight = Weight(number=number, canary_ratio=ratio, slow_ms=limit, at=now)
    return replace(state, weights=(*state.weights, weight)), SetWeight(number=number, canary_ratio=ratio)


def _enter(state: State, place: int, now: datetime, *, phase: Phase) -> State:
    return replace(
        state,
        phase=phase,
        since=now,
        step=place,
        step_number=state.number,
        step_requests=0,
        step_stable=0,
        clean_s=0.0,
        held=None,
        gone_s=None,
        repeat=False,
        manual=None,
    )
