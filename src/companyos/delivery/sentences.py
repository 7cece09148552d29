"""What is said to people about a release: each sentence carries the value, its limit and the baseline. Pure."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from companyos.delivery import forecast as forecasting
from companyos.delivery.model import (
    RECENT_S,
    ArmWindow,
    Command,
    Forecast,
    Held,
    IndicatorName,
    Instance,
    Observation,
    Phase,
)
from companyos.delivery.policy import ReleasePolicy
from companyos.delivery.sequential import SKEW_LIMIT, CoinFlip, Sprt
from companyos.delivery.sequential import limit as evidence_limit
from companyos.delivery.state import Manual, State

_MINUTE_S: Final = 60.0
_HOUR_S: Final = 3600.0
_QUOTED: Final = 200
"""So many characters of what somebody else wrote are repeated."""
_LISTED: Final = 3
"""So many names are listed; the rest is counted."""
_TESTED: Final[dict[IndicatorName, str]] = {
    "error_rate": "its requests fail more often than the baseline's",
    "latency_p95": "its requests are slow more often than the baseline's",
    "synthetic": "its smoke checks fail more often than a healthy version's",
}


# --- values -----------------------------------------------------------------------------------------------------------


def percent(ratio: float | None) -> str:
    """Return a ratio as percent with two or three figures, "unknown" for None."""
    if ratio is None:
        return "unknown"
    value = ratio * 100
    if value >= 10:  # noqa: PLR2004 - two figures before the point
        return f"{value:.3g} %"
    return f"{value:.2g} %" if value >= 0.01 else f"{value:.3f}".rstrip("0").rstrip(".") + " %"  # noqa: PLR2004 - no 1e-05


def milliseconds(value: float | None) -> str:
    """Return a duration in milliseconds, "unknown" for None."""
    if value is None:
        return "unknown"
    return f"{value:,.0f} ms" if value >= 10 else f"{value:.2g} ms"  # noqa: PLR2004 - two figures


def seconds(value: float) -> str:
    """Return a length of time in the unit that a person would use."""
    if value < 2 * _MINUTE_S:
        return f"{value:.0f} s"
    return f"{value / _MINUTE_S:.0f} min" if value < 2 * _HOUR_S else f"{value / _HOUR_S:.1f} h"


def quoted(text: str) -> str:
    """Return what somebody else wrote as the end of a sentence: one line, cut, without its full stop."""
    flat = " ".join(text.split())
    flat = flat if len(flat) <= _QUOTED else f"{flat[: _QUOTED - 1]}…"
    return flat.rstrip(".") or "no reason given"


def latency_limit(observation: Observation, policy: ReleasePolicy) -> float | None:
    """Return the p95 in milliseconds above which the trigger is broken, or None without a baseline."""
    p95 = observation.stable.p95_ms
    return None if p95 is None else max(policy.floor_ms, p95 * (1 + policy.p95_increase_ratio))


def fullest(observation: Observation, policy: ReleasePolicy) -> tuple[str, float] | None:
    """Return what is fullest of the candidate and how full, as a ratio; None when nothing is known."""
    candidate = observation.candidate
    best: tuple[str, float] | None = None
    if candidate is not None:
        if candidate.cpu_ratio is not None:
            best = ("CPU", candidate.cpu_ratio)
        if candidate.memory_ratio is not None and (best is None or candidate.memory_ratio > best[1]):
            best = ("memory", candidate.memory_ratio)
    if observation.in_flight is not None:
        waiting = observation.in_flight / policy.in_flight_max
        if best is None or waiting > best[1]:
            best = ("requests in flight", waiting)
    return best


# --- indicators -------------------------------------------------------------------------------------------------------


def errors(state: State, observation: Observation, policy: ReleasePolicy, window: ArmWindow) -> str:
    """Say how many of the candidate's requests fail."""
    return (
        f"{percent(window.error_ratio)} of its requests failed over {_over(window, observation, policy)} "
        f"(limit {percent(policy.error_ratio_max)}, baseline {percent(observation.stable.error_ratio)}); "
        f"{_evidence(state.tests.errors, policy)}."
    )


def latency(state: State, observation: Observation, policy: ReleasePolicy, window: ArmWindow) -> str:
    """Say how slow the candidate is, against the narrower of guardrail and trigger."""
    limit = latency_limit(observation, policy)
    limit = policy.p95_ms_max if limit is None else min(limit, policy.p95_ms_max)
    return (
        f"Its p95 is {milliseconds(window.p95_ms)} over {_over(window, observation, policy)} "
        f"(limit {milliseconds(limit)}, baseline {milliseconds(observation.stable.p95_ms)}); "
        f"{_evidence(state.tests.slow, policy)}."
    )


def slow_arm(observation: Observation, policy: ReleasePolicy) -> str:
    """Say that the candidate is slower than the guardrail."""
    return (
        f"Its p95 is {milliseconds(observation.canary.p95_ms)} over {seconds(policy.window_s)} "
        f"(limit {milliseconds(policy.p95_ms_max)}, baseline {milliseconds(observation.stable.p95_ms)})."
    )


def checks(state: State, policy: ReleasePolicy) -> str:
    """Say how many smoke checks failed in a row."""
    newest = f": {quoted(state.last_failure)}" if state.last_failure else ""
    return (
        f"{state.failing} smoke check{'' if state.failing == 1 else 's'} in a row failed "
        f"(limit {policy.synthetic_failures_max}, baseline {state.failing_baseline}){newest}; "
        f"{_evidence(state.tests.synthetic, policy)}."
    )


def alert(observation: Observation, beside: str) -> str:
    """Say which alerts fire, and what stands beside them."""
    names = observation.alerts
    return f"The alert{'' if len(names) == 1 else 's'} {_list(names)} fire{'s' if len(names) == 1 else ''}; {beside}."


def proven(state: State, policy: ReleasePolicy, name: IndicatorName) -> str:
    """Say what a test has proven, without a full stop."""
    test = _test(state, name)
    return f"{_TESTED[name]}, {_evidence(test, policy)}" if test is not None else "nothing is proven"


def skewed(state: State) -> str:
    """Say that the arms do not get their shares."""
    return (
        f"Requests are not divided as assigned: it got {percent(state.share)} in this step (assigned "
        f"{percent(state.ratio)}); evidence {_odds(state.tests.share.e_value)}, limit {_odds(SKEW_LIMIT)}. Look for "
        "what bypasses or repeats the router's choice."
    )


def full(what: tuple[str, float], policy: ReleasePolicy) -> str:
    """Say what of the candidate is too full."""
    return f"Its {what[0]} is at {percent(what[1])} (limit {percent(policy.saturation_ratio_max)})."


# --- reasons to hold --------------------------------------------------------------------------------------------------


def lost(why: str) -> str:
    """Say that requests are missing."""
    return f"Not every request is known, so nothing is judged: {quoted(why)}."


def baseline_down(baseline: Instance | None) -> str:
    """Say that there is nothing to compare with."""
    word, why = _state(baseline)
    return f"The baseline is {word}, so there is nothing to compare with{why}."


def stopped(why: str) -> str:
    """Say that a hold in operations covers the release."""
    return f"A hold in operations stops it: {quoted(why)}."


def held_by(manual: Manual) -> str:
    """Say who holds the release."""
    return f"{manual.actor} holds it: {quoted(manual.reason)}."


def both_sick(sentence: str) -> Held:
    """Hold because the baseline is as sick as the candidate."""
    said = f"{sentence} The baseline breaks the same limit, so the release is not shown to be the cause."
    return Held(reason="sick_baseline", sentence=said)


def unconfirmed(sentence: str, expected: Forecast | None = None) -> Held:
    """Hold for a breach that no test confirms."""
    beside = f"not proven yet, {forecasting.sentence(expected)}" if expected is not None else "not proven yet"
    return Held(reason="unconfirmed", sentence=f"{sentence.rstrip('.')}, {beside}.", forecast=expected)


def unconfirmed_errors(state: State, observation: Observation, policy: ReleasePolicy) -> Held:
    """Hold for an error rate that no test confirms, with what that would take."""
    return unconfirmed(
        errors(state, observation, policy, observation.canary), expected_proof(state, observation, policy)
    )


def within_limits(state: State, policy: ReleasePolicy, name: IndicatorName) -> Held:
    """Hold for a proof of something that is within its limit."""
    sentence = f"Within its limit, but {proven(state, policy, name)}: a person must decide to bring it back."
    return Held(reason="unconfirmed", sentence=sentence)


def too_little(state: State, observation: Observation, policy: ReleasePolicy) -> Held:
    """Hold for want of requests."""
    missing = max(policy.min_requests - state.step_requests, 1)
    expected = forecasting.for_minimum(missing, state.ratio, observation.requests_per_s)
    sentence = f"Too little traffic to judge: {forecasting.sentence(expected)}."
    return Held(reason="no_data", sentence=sentence, forecast=expected)


def expected_proof(state: State, observation: Observation, policy: ReleasePolicy) -> Forecast | None:
    """Return when the test of the errors will reject if both arms go on like this, or None if it never will."""
    canary, stable = observation.canary.error_ratio, observation.stable.error_ratio
    if canary is None or stable is None:
        return None
    return forecasting.for_evidence(
        state.tests.errors,
        limit=evidence_limit(policy),
        ratio=state.ratio,
        canary_error_ratio=canary,
        stable_error_ratio=stable,
        requests_per_s=observation.requests_per_s,
    )


# --- causes, moves and answers ----------------------------------------------------------------------------------------


def failed(candidate: Instance) -> str:
    """Say why the candidate cannot run."""
    words = {
        "refused": "It cannot be started",
        "crash_loop": f"It crashes again and again ({candidate.restarts} restarts)",
        "out_of_memory": "It took more memory than it may",
        "not_ready": "It did not become ready",
    }
    why = f": {quoted(candidate.reason)}" if candidate.reason else ""
    return f"{words.get(candidate.failure, 'It failed')}{why}."


def unready(candidate: Instance | None, policy: ReleasePolicy) -> str:
    """Say that the candidate has not been ready for too long."""
    word, why = _state(candidate)
    return f"It has been {word} for more than {seconds(policy.start_timeout_s)}{why}."


def unready_now(candidate: Instance | None) -> str:
    """Say that the candidate is not ready at the moment."""
    word, why = _state(candidate)
    return f"It is {word} just now{why}."


def ordered(asked: Command) -> str:
    """Say who brings the release back, and why."""
    verb = "aborted" if asked.kind == "abort" else "rolled back"
    return f"{asked.actor} {verb} it: {quoted(asked.reason)}."


def promoted_by(asked: Command) -> str:
    """Say who moved the release on, and why."""
    return f"{asked.actor} moved it on: {quoted(asked.reason)}."


def kept(state: State, observation: Observation, policy: ReleasePolicy) -> str:
    """Say what a step has shown."""
    window = observation.canary
    return (
        f"{state.step_requests:,} requests in {seconds(state.clean_s)} at {percent(state.ratio)}; "
        f"{percent(window.error_ratio)} failed (limit {percent(policy.error_ratio_max)}, baseline "
        f"{percent(observation.stable.error_ratio)}), p95 {milliseconds(window.p95_ms)} (baseline "
        f"{milliseconds(observation.stable.p95_ms)})."
    )


def over(state: State, *, resumed: bool) -> str:
    """Say that nothing holds the release any more."""
    word = "" if state.held is None else f" ({state.held.reason.replace('_', ' ')})"
    again = " The step begins again." if state.repeat else ""
    return f"{'A person resumed it; n' if resumed else 'N'}othing holds it any more{word}.{again}"


def too_late(phase: Phase) -> str:
    """Answer a command that comes when it means nothing any more."""
    return f"Nothing is done: the release is {phase.replace('_', ' ')}."


def answer_while_pending(state: State) -> str:
    """Answer a command that comes before the candidate runs."""
    return "It waits before its first step." if state.manual is not None else "Taken up; it has not begun yet."


def answer(state: State) -> str:
    """Answer a command with where the release stands now."""
    if state.phase == "held" and state.held is not None:
        return f"It is held: {state.held.sentence}"
    return f"It goes on as {state.phase}."


def _state(instance: Instance | None) -> tuple[str, str]:
    """Return what a version is doing, and why as the end of a sentence."""
    if instance is None:
        return "absent", ""
    return instance.state, f": {quoted(instance.reason)}" if instance.reason else ""


def _over(window: ArmWindow, observation: Observation, policy: ReleasePolicy) -> str:
    recent = window is observation.recent and window is not observation.canary
    return seconds(RECENT_S if recent else policy.window_s)


def _test(state: State, name: IndicatorName) -> CoinFlip | Sprt | None:
    tests = state.tests
    known: dict[IndicatorName, CoinFlip | Sprt] = {
        "error_rate": tests.errors,
        "latency_p95": tests.slow,
        "synthetic": tests.synthetic,
    }
    return known.get(name)


def _evidence(test: CoinFlip | Sprt | None, policy: ReleasePolicy) -> str:
    reached = test.e_max if test is not None and test.rejects(evidence_limit(policy)) else None
    value = reached if reached is not None else test.e_value if test is not None else 1.0
    return f"evidence {_odds(value)}, limit {_odds(evidence_limit(policy))}"


def _odds(value: float) -> str:
    if value > 1e9:  # noqa: PLR2004 - more than a billion is read by nobody
        return "over 1,000,000,000 : 1"
    if value >= 100:  # noqa: PLR2004 - two figures
        rounded = float(f"{value:.2g}")
        return f"{rounded:,.0f} : 1"
    return f"{value:.2g} : 1"


def _list(names: Iterable[str]) -> str:
    found = [quoted(name) for name in names]
    more = f" and {len(found) - _LISTED} more" if len(found) > _LISTED else ""
    return ", ".join(found[:_LISTED]) + more
