"""A release in five measures and one sentence."""

from __future__ import annotations

from typing import Any

import pytest
from msgspec.structs import replace

from companyos.delivery import sentences, verdict
from companyos.delivery.model import Indicator, Instance, Observation
from companyos.delivery.policy import ReleasePolicy
from tests.delivery.looks import FAILING, NOTHING, OLD, POLICY, READY, SLOW, Ride, command, failed_checks


def said(ride: Ride) -> str:
    """The sentence after the last look."""
    return verdict.sentence(ride.state, ride.last, ride.policy, ride.release)


def measured(ride: Ride) -> dict[str, Indicator]:
    """The indicators after the last look, by name."""
    return {shown.name: shown for shown in verdict.indicators(ride.state, ride.last, ride.policy)}


def test_the_measures_come_in_one_order_with_value_threshold_and_baseline() -> None:
    """Nothing is wrong with any."""
    ride = Ride().to("canary")
    ride.look(candidate=replace(READY, memory_ratio=0.4), baseline=replace(OLD, cpu_ratio=0.5))
    found = verdict.indicators(ride.state, ride.last, ride.policy)
    assert [(one.name, one.value, one.threshold, one.baseline, one.samples) for one in found] == [
        ("error_rate", 0.001, 0.01, 0.001, 1000),
        ("latency_p95", 100.0, 130.0, 100.0, 1000),
        ("saturation", 0.4, 0.7, 0.5, 1),
        ("synthetic", None, 2.0, 0.0, 0),
        ("sample_ratio", 0.01, 0.01, None, 500),
    ]
    assert not any(one.breached or one.rejected for one in found)
    assert [one.e_limit for one in found] == [300.0, 300.0, None, 300.0, 1000.0]


def test_a_breach_is_shown_with_what_its_proof_still_takes() -> None:
    """Breached, not rejected."""
    ride = Ride().to("canary", step=1)
    ride.look(canary=FAILING, synthetic=failed_checks(3, new=1))
    found = measured(ride)
    assert found["error_rate"].breached
    assert not found["error_rate"].rejected
    assert found["error_rate"].forecast is not None
    assert found["synthetic"].breached
    assert (found["synthetic"].value, found["synthetic"].samples) == (3.0, 1)


def test_a_proof_is_shown_with_its_evidence() -> None:
    """Rejected, not breached."""
    ride = Ride().to("canary")
    ride.prove()
    shown = measured(ride)["error_rate"]
    assert shown.rejected
    assert shown.e_value is not None
    assert shown.e_value > 300
    assert not shown.breached


def test_without_requests_nothing_is_claimed() -> None:
    """No value, no verdict."""
    ride = Ride()
    ride.look(canary=NOTHING, stable=NOTHING, candidate=None, baseline=None, in_flight=None)
    for shown in measured(ride).values():
        assert (shown.value, shown.breached, shown.rejected, shown.samples) == (None, False, False, 0)
    fresh = verdict.indicators(ride.state, Observation(elapsed_s=0.0), POLICY)
    assert len(fresh) == 5


def test_the_threshold_of_p95_is_the_narrower_of_guardrail_and_trigger() -> None:
    """And the guardrail without a baseline."""
    ride = Ride().to("canary")
    ride.look(stable=replace(SLOW, p95_ms=280.0))
    assert measured(ride)["latency_p95"].threshold == POLICY.p95_ms_max
    ride.look(stable=NOTHING)
    assert measured(ride)["latency_p95"].threshold == POLICY.p95_ms_max


@pytest.mark.parametrize(
    ("candidate", "sentence"),
    [
        (None, "Accepted; waits to be started."),
        (Instance(release_id="new", state="preparing"), "Its environment is prepared."),
        (
            Instance(release_id="new", state="starting", reason="GET /ready: 503."),
            "It starts: GET /ready: 503.",
        ),
        (Instance(release_id="new", state="unready"), "It is not ready."),
    ],
)
def test_before_the_first_step_it_says_what_the_start_waits_for(candidate: Any, sentence: str) -> None:
    """With the reason when there is one."""
    ride = Ride()
    ride.look(candidate=candidate)
    ride.look(candidate=candidate)
    assert said(ride) == sentence


def test_a_pending_release_that_is_stopped_says_by_whom() -> None:
    """The hold in operations first."""
    ride = Ride()
    ride.look(operations_hold="the error budget is spent.")
    assert said(ride) == "A hold in operations stops it: the error budget is spent."
    ride.look(commands=(command("hold", "fair\nweek"),))
    assert said(ride) == "user:olga holds it: fair week."


def test_a_climbing_release_says_its_values_and_when_it_goes_on() -> None:
    """From the first requests to the end."""
    ride = Ride().to("canary", step=1)
    assert said(ride) == (
        "At 10 %: 0.1 % of 1,000 requests failed (limit 1 %, baseline 0.1 %), p95 100 ms (limit 130 ms, baseline "
        "100 ms); goes on in 10 s."
    )
    ride.look(canary=NOTHING)
    assert said(ride) == "At 10 %: no requests yet; goes on in 9 s."
    for _ in range(20):
        ride.look(applied_interval=1)
    assert said(ride).endswith("; waits for the router to take the weight.")
    assert said(ride.to("promoted")).startswith("Promoted, bakes at 98 %: ")
    assert said(ride).endswith("; settles in 8 s.")
    assert said(ride.to("steady")) == "It has replaced the old version."
    assert said(Ride(first=True).to("steady")) == "It takes all of the traffic."


def test_a_held_release_says_why_and_a_lost_one_what_brought_it_back() -> None:
    """In the words of the decision."""
    ride = Ride().to("canary")
    ride.look(lost_source="the log stays 40 requests behind.")
    assert said(ride) == "Not every request is known, so nothing is judged: the log stays 40 requests behind."
    ride.look(commands=(command("abort"),))
    assert said(ride) == "Going back to 1.0: user:olga aborted it: it looks odd."
    ride.look()
    assert said(ride) == "Rolled back to 1.0: user:olga aborted it: it looks odd."


def test_what_others_wrote_is_one_short_line() -> None:
    """However long and broken it is."""
    ride = Ride().to("canary")
    ride.look(alerts=tuple(f"{'A' * 5000}\n{number}" for number in range(900)))
    assert ride.state.held is not None
    assert len(ride.state.held.sentence) < 1000
    assert "\n" not in ride.state.held.sentence
    assert " and 897 more fire; " in ride.state.held.sentence


@pytest.mark.parametrize(
    ("ratio", "written"),
    [
        (0, "0 %"),
        (1, "100 %"),
        (0.98, "98 %"),
        (0.999, "99.9 %"),
        (0.052, "5.2 %"),
        (0.001, "0.1 %"),
        (0.00029, "0.029 %"),
        (0.00001, "0.001 %"),
        (None, "unknown"),
    ],
)
def test_percent_has_as_many_figures_as_are_read(ratio: float | None, written: str) -> None:
    """Never an exponent."""
    assert sentences.percent(ratio) == written


def test_a_policy_with_its_own_limits_says_these() -> None:
    """Not the defaults."""
    ride = Ride(ReleasePolicy(hold_s=10, error_ratio_max=0.05, false_rollback_ratio=0.001)).to("canary")
    ride.look(canary=FAILING)
    assert "(limit 5 %, baseline 0.1 %)" in said(ride)
    assert "limit 3,000 : 1" in said(ride)
