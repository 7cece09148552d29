"""What is judged in one look: what brings a release back, what holds it, what a step still lacks. Pure.

A literal breach alone is never enough under ``triggers: guarded``: at a few requests per second one failed request in
twenty is five percent. What is missing (requests, a source, a baseline) is never a verdict, in neither direction.
"""

from __future__ import annotations

from typing import Final

from companyos.delivery import sentences
from companyos.delivery.model import ArmWindow, Cause, Held, IndicatorName, Observation, Trigger
from companyos.delivery.policy import ReleasePolicy
from companyos.delivery.sequential import limit as evidence_limit
from companyos.delivery.state import State

_FAILED: Final[dict[str, Trigger]] = {
    "refused": "not_ready",
    "not_ready": "not_ready",
    "crash_loop": "crash_loop",
    "out_of_memory": "out_of_memory",
}


def failure(state: State, observation: Observation, policy: ReleasePolicy) -> Cause | None:
    """Return why the candidate cannot run; that is a fact and needs no requests."""
    candidate = observation.candidate
    if candidate is not None and candidate.failure:
        return Cause(trigger=_FAILED[candidate.failure], sentence=sentences.failed(candidate))
    if state.unready_s is not None and state.unready_s > policy.start_timeout_s:
        return Cause(trigger="not_ready", sentence=sentences.unready(candidate, policy))
    return None


def sickness(state: State, observation: Observation, policy: ReleasePolicy) -> Cause | None:
    """Return what users suffer from, proven as far as the policy asks for proof; None when nothing is."""
    return (_literal if policy.triggers == "literal" else _guarded)(state, observation, policy)


def rejecting(state: State, policy: ReleasePolicy) -> tuple[IndicatorName, ...]:
    """Return the indicators whose tests say that the candidate is worse than it may be.

    While requests are not divided as assigned, they prove nothing. The smoke checks count only while they fail, and
    while those of the baseline do not: two failures long ago prove nothing about now.
    """
    limit = evidence_limit(policy)
    tests = state.tests
    found: tuple[IndicatorName, ...] = ()
    if not tests.share.skewed:
        found += ("error_rate",) if tests.errors.rejects(limit) else ()
        found += ("latency_p95",) if tests.slow.rejects(limit) else ()
    if state.failing and not _checks_of_baseline_fail(state, policy) and tests.synthetic.rejects(limit):
        found += ("synthetic",)
    return found


def reason(state: State, observation: Observation, policy: ReleasePolicy) -> Held | None:
    """Return the first reason to hold, in the order of the playbook's caution; None when the release may go on."""
    return (
        _blindness(state, observation)
        or _stops(state, observation)
        or _distortion(state, observation, policy)
        or _breaches(state, observation, policy)
        or _guardrail(state, observation, policy)
    )


def blind(state: State, observation: Observation) -> bool:
    """Whether what is counted cannot be trusted now, so that nothing is concluded from it."""
    return observation.lost_source is not None or state.jumped_s is not None


def lacking(state: State, observation: Observation, policy: ReleasePolicy) -> Held | None:
    """Return what a step lacks whose time is over: requests, or a guardrail that is kept; None when it may end."""
    window = observation.canary
    if state.step_requests < policy.min_requests or window.requests < min(1, policy.min_requests):
        return sentences.too_little(state, observation, policy)
    if (window.error_ratio or 0.0) >= policy.error_ratio_max:
        return Held(reason="guardrail", sentence=sentences.errors(state, observation, policy, window))
    if (window.p95_ms or 0.0) >= policy.p95_ms_max:
        return Held(reason="guardrail", sentence=sentences.latency(state, observation, policy, window))
    return None


def baseline_ready(state: State, observation: Observation) -> bool:
    """Whether there is something to compare with and to go back to, as far as there should be."""
    return not state.has_baseline or (observation.baseline is not None and observation.baseline.state == "ready")


def errors_break(window: ArmWindow, policy: ReleasePolicy, minimum: int) -> bool:
    """Playbook, prompt 5: "error rate > 1 % over 5m"; with at least this many requests."""
    return window.requests >= max(1, minimum) and window.errors > policy.error_ratio_max * window.requests


def latency_breaks(window: ArmWindow, observation: Observation, policy: ReleasePolicy, minimum: int) -> bool:
    """Playbook, prompt 5: "p95 latency +30 % vs baseline"; with at least this many requests, and above the floor."""
    limit = sentences.latency_limit(observation, policy)
    return (
        limit is not None and window.requests >= max(1, minimum) and window.p95_ms is not None and window.p95_ms > limit
    )


def _checks_fail(state: State, policy: ReleasePolicy) -> bool:
    """Playbook, prompt 5: "synthetic failure > 2 consecutive"."""
    return state.failing > policy.synthetic_failures_max


def _guarded(state: State, observation: Observation, policy: ReleasePolicy) -> Cause | None:
    proven = rejecting(state, policy)
    if blind(state, observation) or not proven or not baseline_ready(state, observation):
        return None
    for window, minimum in ((observation.canary, policy.min_requests), (observation.recent, 1)):
        if "error_rate" in proven and errors_break(window, policy, minimum):
            return Cause(trigger="error_rate", sentence=sentences.errors(state, observation, policy, window))
        if "latency_p95" in proven and latency_breaks(window, observation, policy, minimum):
            return Cause(trigger="latency", sentence=sentences.latency(state, observation, policy, window))
    if "synthetic" in proven and _checks_fail(state, policy):
        return Cause(trigger="synthetic", sentence=sentences.checks(state, policy))
    if observation.alerts:
        return Cause(trigger="alert", sentence=sentences.alert(observation, sentences.proven(state, policy, proven[0])))
    return None


def _checks_of_baseline_fail(state: State, policy: ReleasePolicy) -> bool:
    return state.failing_baseline > policy.synthetic_failures_max


def _literal(state: State, observation: Observation, policy: ReleasePolicy) -> Cause | None:
    window = observation.canary
    if not blind(state, observation):
        if errors_break(window, policy, policy.min_requests):
            return Cause(trigger="error_rate", sentence=sentences.errors(state, observation, policy, window))
        if latency_breaks(window, observation, policy, policy.min_requests):
            return Cause(trigger="latency", sentence=sentences.latency(state, observation, policy, window))
        if _checks_fail(state, policy):
            return Cause(trigger="synthetic", sentence=sentences.checks(state, policy))
    if observation.alerts:
        return Cause(trigger="alert", sentence=sentences.alert(observation, "the policy takes every alert literally"))
    return None


def _blindness(state: State, observation: Observation) -> Held | None:
    if observation.lost_source is not None:
        return Held(reason="lost_source", sentence=sentences.lost(observation.lost_source))
    if state.jumped_s is not None:
        return Held(reason="clock", sentence="The clock jumped, so the last minutes cannot be told apart.")
    return None


def denied(why: str) -> str:
    """Say that the policy does not let the release be promoted."""
    return f"The policy does not allow the promotion: {sentences.quoted(why)}."


def _stops(state: State, observation: Observation) -> Held | None:
    if not baseline_ready(state, observation):
        return Held(reason="baseline_down", sentence=sentences.baseline_down(observation.baseline))
    if observation.operations_hold is not None:
        return Held(reason="operations", sentence=sentences.stopped(observation.operations_hold))
    if observation.promotion_denied is not None and state.phase != "promoted" and state.back_to != "promoted":
        return Held(reason="policy", sentence=denied(observation.promotion_denied))
    if state.manual is not None:
        return Held(reason="manual", sentence=sentences.held_by(state.manual))
    if observation.alerts:
        return Held(reason="alert", sentence=sentences.alert(observation, "no test says that the release is the cause"))
    return None


def _distortion(state: State, observation: Observation, policy: ReleasePolicy) -> Held | None:
    if state.tests.share.skewed:
        return Held(reason="sample_ratio", sentence=sentences.skewed(state))
    if (fullest := sentences.fullest(observation, policy)) is not None and fullest[1] >= policy.saturation_ratio_max:
        return Held(reason="saturation", sentence=sentences.full(fullest, policy))
    return None


def _breaches(state: State, observation: Observation, policy: ReleasePolicy) -> Held | None:
    """Return a literal breach that is not proven, or a proof without one; a baseline that is as sick comes first."""
    window = observation.canary
    errors = errors_break(window, policy, policy.min_requests)
    checks = _checks_fail(state, policy)
    if errors and errors_break(observation.stable, policy, 1):
        return sentences.both_sick(sentences.errors(state, observation, policy, window))
    if checks and _checks_of_baseline_fail(state, policy):
        return sentences.both_sick(sentences.checks(state, policy))
    if errors:
        return sentences.unconfirmed_errors(state, observation, policy)
    if latency_breaks(window, observation, policy, policy.min_requests):
        return sentences.unconfirmed(sentences.latency(state, observation, policy, window))
    if checks:
        return sentences.unconfirmed(sentences.checks(state, policy))
    proven = next((name for name in rejecting(state, policy) if name != "synthetic"), None)
    return sentences.within_limits(state, policy, proven) if proven is not None else None


def _guardrail(state: State, observation: Observation, policy: ReleasePolicy) -> Held | None:
    """Playbook, prompt 1: "p95 < 300 ms", and prompt 5: readiness; the other guardrails are triggers that hold."""
    if state.unready_s is not None:
        return Held(reason="guardrail", sentence=sentences.unready_now(observation.candidate))
    window, stable = observation.canary, observation.stable
    if window.p95_ms is None or window.requests < max(1, policy.min_requests) or window.p95_ms < policy.p95_ms_max:
        return None
    sentence = sentences.slow_arm(observation, policy)
    if stable.p95_ms is not None and stable.p95_ms >= policy.p95_ms_max:
        return sentences.both_sick(sentence)
    return Held(reason="guardrail", sentence=sentence)
