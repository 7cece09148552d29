"""A release as it stands, for people: its five measures, and one sentence. Pure."""

from __future__ import annotations

from companyos.delivery import judging, sentences
from companyos.delivery.model import Indicator, Observation, Release
from companyos.delivery.policy import ReleasePolicy
from companyos.delivery.sequential import SKEW_LIMIT
from companyos.delivery.sequential import limit as evidence_limit
from companyos.delivery.state import State


def indicators(state: State, observation: Observation, policy: ReleasePolicy) -> tuple[Indicator, ...]:
    """Return errors, p95, saturation, synthetic checks and sample ratio, in this order."""
    return (
        _errors(state, observation, policy),
        _latency(state, observation, policy),
        _saturation(observation, policy),
        _synthetic(state, policy),
        _share(state),
    )


def sentence(state: State, observation: Observation, policy: ReleasePolicy, release: Release) -> str:
    """Return the release in one sentence: where it stands, what its values are, what it waits for."""
    phase = state.phase
    if phase == "held" and state.held is not None:
        return state.held.sentence
    if phase in {"rollback_pending", "rolled_back"}:
        return _back(state, release)
    if phase == "steady":
        return "It takes all of the traffic." if release.baseline is None else "It has replaced the old version."
    if phase == "pending":
        return _pending(state, observation)
    return _climbing(state, observation, policy)


def _pending(state: State, observation: Observation) -> str:
    candidate = observation.candidate
    if state.manual is not None:
        return sentences.held_by(state.manual)
    if observation.operations_hold is not None:
        return sentences.stopped(observation.operations_hold)
    if observation.promotion_denied is not None:
        return judging.denied(observation.promotion_denied)
    if not state.started or candidate is None or candidate.state == "absent":
        return "Accepted; waits to be started."
    words = {"preparing": "Its environment is prepared", "starting": "It starts", "ready": "It is ready"}
    why = f": {sentences.quoted(candidate.reason)}" if candidate.reason else ""
    return f"{words.get(candidate.state, 'It is not ready')}{why}."


def _back(state: State, release: Release) -> str:
    word = "Rolled back" if state.phase == "rolled_back" else "Going back"
    to = f" to {release.baseline.version}" if release.baseline is not None else ""
    cause = state.cause.sentence if state.cause is not None else "the cause was not written down."
    return f"{word}{to}: {cause}"


def _climbing(state: State, observation: Observation, policy: ReleasePolicy) -> str:
    window, bakes = observation.canary, state.phase == "promoted"
    where = f"Promoted, bakes at {sentences.percent(state.ratio)}" if bakes else f"At {sentences.percent(state.ratio)}"
    if window.requests:
        limit = sentences.latency_limit(observation, policy)
        limit = policy.p95_ms_max if limit is None else min(limit, policy.p95_ms_max)
        seen = (
            f"{sentences.percent(window.error_ratio)} of {window.requests:,} requests failed (limit "
            f"{sentences.percent(policy.error_ratio_max)}, baseline "
            f"{sentences.percent(observation.stable.error_ratio)}), p95 {sentences.milliseconds(window.p95_ms)} (limit "
            f"{sentences.milliseconds(limit)}, baseline {sentences.milliseconds(observation.stable.p95_ms)})"
        )
    else:
        seen = "no requests yet"
    left = (policy.bake_s if bakes else policy.hold_s) - state.clean_s
    if left > 0:
        ahead = f"{'settles' if bakes else 'goes on'} in {sentences.seconds(max(left, 1.0))}"
    elif observation.applied_interval != state.number:
        ahead = "waits for the router to take the weight"
    else:
        ahead = "goes on now"
    return f"{where}: {seen}; {ahead}."


def _errors(state: State, observation: Observation, policy: ReleasePolicy) -> Indicator:
    window, test, limit = observation.canary, state.tests.errors, evidence_limit(policy)
    breached = judging.errors_break(window, policy, policy.min_requests)
    return Indicator(
        name="error_rate",
        value=window.error_ratio,
        threshold=policy.error_ratio_max,
        baseline=observation.stable.error_ratio,
        samples=window.requests,
        breached=breached,
        e_value=test.e_value,
        e_limit=limit,
        rejected=test.rejects(limit),
        forecast=sentences.expected_proof(state, observation, policy) if breached and not test.rejects(limit) else None,
    )


def _latency(state: State, observation: Observation, policy: ReleasePolicy) -> Indicator:
    window, test, limit = observation.canary, state.tests.slow, evidence_limit(policy)
    trigger = sentences.latency_limit(observation, policy)
    threshold = policy.p95_ms_max if trigger is None else min(trigger, policy.p95_ms_max)
    return Indicator(
        name="latency_p95",
        value=window.p95_ms,
        threshold=threshold,
        baseline=observation.stable.p95_ms,
        samples=window.requests,
        breached=window.p95_ms is not None
        and window.requests >= max(1, policy.min_requests)
        and window.p95_ms > threshold,
        e_value=test.e_value,
        e_limit=limit,
        rejected=test.rejects(limit),
    )


def _saturation(observation: Observation, policy: ReleasePolicy) -> Indicator:
    fullest = sentences.fullest(observation, policy)
    value = None if fullest is None else fullest[1]
    baseline = observation.baseline
    shares = (
        [share for share in (baseline.cpu_ratio, baseline.memory_ratio) if share is not None]
        if baseline is not None
        else []
    )
    return Indicator(
        name="saturation",
        value=value,
        threshold=policy.saturation_ratio_max,
        baseline=max(shares, default=None),
        samples=int(value is not None),
        breached=value is not None and value >= policy.saturation_ratio_max,
    )


def _synthetic(state: State, policy: ReleasePolicy) -> Indicator:
    test, limit = state.tests.synthetic, evidence_limit(policy)
    samples = test.passed + test.failed
    return Indicator(
        name="synthetic",
        value=float(state.failing) if samples else None,
        threshold=float(policy.synthetic_failures_max),
        baseline=float(state.failing_baseline),
        samples=samples,
        breached=state.failing > policy.synthetic_failures_max,
        e_value=test.e_value,
        e_limit=limit,
        rejected=test.rejects(limit),
    )


def _share(state: State) -> Indicator:
    share = state.tests.share
    # What a release had before it went back is what its share is compared with.
    assigned = next((weight.canary_ratio for weight in reversed(state.weights) if weight.canary_ratio > 0), 0.0)
    return Indicator(
        name="sample_ratio",
        value=state.share,
        threshold=assigned,
        samples=state.step_requests + state.step_stable,
        breached=share.skewed,
        e_value=share.e_value,
        e_limit=SKEW_LIMIT,
        rejected=share.skewed,
    )
