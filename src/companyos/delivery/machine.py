"""The state machine of a release; nothing else decides. Pure: the same looks in the same order decide the same.

    pending → canary(step) ⇄ held(reason) → promoted (bakes) → steady
    every phase before steady → rollback_pending → rolled_back; steady too, when a person asks for it

One look makes at most one move, and each move is one row of the ledger. In the order of strength: what a person orders
and what cannot run brings a release back at once; then what users suffer from, when it is proven; then reasons to hold;
only a release that nothing holds goes on. (Playbook, prompt 5, "Rollback Controller"; ADR 0011.)
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Final, NamedTuple

from msgspec.structs import replace

from companyos.delivery import judging, moving, sentences
from companyos.delivery.actions import StartCandidate
from companyos.delivery.model import RECENT_S, Cause, Command, Held, Observation, Release
from companyos.delivery.policy import ReleasePolicy
from companyos.delivery.sequential import Tests
from companyos.delivery.state import JUMP_S, LIFTED, WATCHED, Manual, Move, State, Step

__all__ = ["Move", "State", "Step", "begin", "step"]

_REASON_S: Final = 1.0
"""A held release gives another reason at most once in so many seconds."""


class _Asked(NamedTuple):
    """What the commands of one look come to."""

    strongest: Command | None = None
    resumed: bool = False


def begin(release: Release, now: datetime) -> State:
    """Return the state of a release that was just deployed."""
    return State(
        since=now,
        tests=Tests.begin(release.policy),
        has_baseline=release.baseline is not None,
        has_flags=bool(release.flags),
    )


def step(
    state: State,
    observation: Observation,
    policy: ReleasePolicy,
    now: datetime,
    *,
    routed: Mapping[int, float] | None = None,
) -> Step:
    """Return what one look at ``now`` decides. The policy is the one that the release was deployed with.

    ``routed`` gives the weights of the intervals by number when they were not decided here, as in a replay.
    """
    if state.phase not in WATCHED and state.phase != "pending":
        return _after(state, observation, now)
    state = _seen(state, observation, now, routed)
    state, asked = _asked(state, observation.commands)
    cause = _ordered(asked.strongest) or judging.failure(state, observation, policy)
    if cause is None and state.phase in WATCHED:
        cause = judging.sickness(state, observation, policy)
    if cause is not None:
        back = moving.roll_back(state, cause, now)
        return replace(back, answer="It is being rolled back." if observation.commands else "")
    if state.phase == "pending":
        return _pending(state, observation, policy, now)
    return _watched(state, observation, policy, now, asked)


def _after(state: State, observation: Observation, now: datetime) -> Step:
    """Decide behind the watch: a rollback ends, and a person may still bring back what is steady."""
    if state.phase == "steady":
        asked = next((command for command in observation.commands if command.kind == "rollback"), None)
        if asked is not None and state.has_baseline:
            back = moving.roll_back(state, _order(asked), now)
            return replace(back, answer="It is being rolled back.")
    elif state.phase == "rollback_pending" and observation.actions_open == 0:
        return moving.end_rollback(state, now)
    return Step(state=state, answer=sentences.too_late(state.phase) if observation.commands else "")


def _seen(state: State, observation: Observation, now: datetime, routed: Mapping[int, float] | None) -> State:
    """Return the state with what was counted and how the time went."""
    elapsed = observation.elapsed_s
    jumped = state.jumped_s
    away = 0.0 if state.seen_at is None else (now - state.seen_at).total_seconds() - elapsed
    # A controller that has just begun knows no elapsed time: to it, its own absence looks like a jump forward.
    if away < -JUMP_S or (away > JUMP_S and elapsed > 0):
        jumped = 0.0
    elif jumped is not None:
        jumped = jumped + elapsed if jumped + elapsed < RECENT_S else None
    word = observation.candidate.state if observation.candidate is not None else "absent"
    unready: float | None = None
    if state.started and word != "ready" and (state.phase != "pending" or word != "preparing"):
        unready = 0.0 if state.unready_s is None else state.unready_s + elapsed
    watched = state.phase in WATCHED
    tests, served, stable = state.tests, state.step_requests, state.step_stable
    if watched and (observation.intervals or observation.synthetic is not None):
        ratios = routed if routed is not None else {weight.number: weight.canary_ratio for weight in state.weights}
        tests = tests.observe(observation.intervals, ratios, observation.synthetic)
        for interval in observation.intervals:
            if routed is not None or interval.number >= state.step_number:
                served += interval.canary_requests
                stable += interval.stable_requests
    candidate, baseline = observation.synthetic, observation.synthetic_baseline
    return replace(
        state,
        tests=tests,
        seen_at=now,
        step_requests=served,
        step_stable=stable,
        jumped_s=jumped,
        unready_s=unready,
        failing=state.failing if candidate is None or not watched else candidate.consecutive_failures,
        failing_baseline=state.failing_baseline if baseline is None else baseline.consecutive_failures,
        last_failure=state.last_failure if candidate is None else candidate.last_failure or state.last_failure,
    )


def _asked(state: State, commands: tuple[Command, ...]) -> tuple[State, _Asked]:
    """Return the state with the holds of persons, and the strongest command: rollback, then hold, then promote.

    The commands are taken in their order, so of ``hold`` and ``resume`` the later one counts.
    """
    if not commands:
        return state, _Asked()
    manual, resumed = state.manual, False
    for command in commands:
        if command.kind == "hold":
            manual, resumed = Manual(actor=command.actor, reason=command.reason), False
        elif command.kind == "resume":
            manual, resumed = None, True
    back = next((command for command in commands if command.kind in {"abort", "rollback"}), None)
    held_now = manual is not None and manual is not state.manual
    forward = None if held_now else next((command for command in commands if command.kind == "promote"), None)
    return replace(state, manual=manual), _Asked(back or forward, resumed)


def _ordered(asked: Command | None) -> Cause | None:
    return _order(asked) if asked is not None and asked.kind != "promote" else None


def _order(asked: Command) -> Cause:
    return Cause(trigger="manual", sentence=sentences.ordered(asked), command_id=asked.id)


def _pending(state: State, observation: Observation, policy: ReleasePolicy, now: datetime) -> Step:
    answer = sentences.answer_while_pending(state) if observation.commands else ""
    if not state.started:
        return Step(state=replace(state, started=True), actions=(StartCandidate(),), answer=answer)
    ready = observation.candidate is not None and observation.candidate.state == "ready"
    stopped = observation.operations_hold is not None or observation.promotion_denied is not None
    if ready and state.manual is None and not stopped:
        return replace(moving.start(state, observation, policy, now), answer=answer)
    return Step(state=state, answer=answer)


def _watched(state: State, observation: Observation, policy: ReleasePolicy, now: datetime, asked: _Asked) -> Step:
    refusal = ""
    if asked.strongest is not None:
        refusal = _refusal(state, observation, policy)
        if not refusal:
            return _promoted_by(asked.strongest, state, observation, policy, now)
    decided = _climb(state, observation, policy, now, resumed=asked.resumed)
    after = decided.state
    if refusal and after.held is not None:
        said = replace(after.held, sentence=f"{refusal} {after.held.sentence}")
        decided = replace(decided, state=replace(after, held=said))
    if decided.move is None:
        decided = moving.judge_slowness(decided.state, observation, policy, now) or decided
    return replace(decided, answer=refusal or sentences.answer(after)) if observation.commands else decided


def _climb(state: State, observation: Observation, policy: ReleasePolicy, now: datetime, *, resumed: bool) -> Step:
    """Hold while something holds; else go on, step by step."""
    found = judging.reason(state, observation, policy)
    if found is None and state.phase != "held":
        state = replace(state, clean_s=state.clean_s + observation.elapsed_s)
    ended = state.clean_s >= (policy.bake_s if _bakes(state) else policy.hold_s)
    if found is None and ended:
        found = judging.lacking(state, observation, policy)
    if found is not None:
        return _held(state, found, observation, now)
    if state.phase == "held":
        return _cleared(state, observation, policy, now, resumed=resumed)
    if not ended or observation.applied_interval != state.number:
        return Step(state=state)
    if state.phase == "promoted":
        return moving.settle(state, now, sentences.kept(state, observation, policy))
    return moving.advance(state, observation, policy, now)


def _bakes(state: State) -> bool:
    return state.phase == "promoted" or (state.phase == "held" and state.back_to == "promoted")


def _refusal(state: State, observation: Observation, policy: ReleasePolicy) -> str:
    """Return why not even a person may promote the release now; empty when one may."""
    if state.phase == "promoted":
        return "It is promoted already and bakes."
    proven = judging.rejecting(state, policy)
    if proven:
        return f"Not promoted: {sentences.proven(state, policy, proven[0])}."
    if observation.operations_hold is not None:
        return "Not promoted: a hold in operations stops it; lift that first."
    if observation.promotion_denied is not None:
        return "Not promoted."
    return ""


def _promoted_by(asked: Command, state: State, observation: Observation, policy: ReleasePolicy, now: datetime) -> Step:
    """Move on because a person says so, whatever the guardrails say: promote, or settle what is promoted."""
    why = sentences.promoted_by(asked)
    if _bakes(state):
        return replace(moving.settle(state, now, why), answer="It is settled.")
    return replace(moving.promote(state, observation, policy, now, why), answer="It is promoted.")


def _held(state: State, found: Held, observation: Observation, now: datetime) -> Step:
    """Hold, or go on holding; a new reason is a move of its own, a new sentence is none."""
    if state.phase != "held" or state.held is None:
        return moving.hold(state, found, now)
    lasted = state.reason_s + observation.elapsed_s
    if found.reason == state.held.reason:
        return Step(state=replace(state, held=found, gone_s=None, reason_s=lasted))
    if lasted >= _REASON_S:
        return moving.hold(state, found, now)
    return Step(state=replace(state, gone_s=None, reason_s=lasted))


def _cleared(state: State, observation: Observation, policy: ReleasePolicy, now: datetime, *, resumed: bool) -> Step:
    """Wait until the reason has been gone for long enough, unless a person has ended it."""
    gone = 0.0 if state.gone_s is None else state.gone_s + observation.elapsed_s
    lifted = state.held is not None and state.held.reason in LIFTED
    if resumed or lifted or gone >= policy.resume_after_s:
        return moving.resume(state, now, sentences.over(state, resumed=resumed))
    return Step(state=replace(state, gone_s=gone))
