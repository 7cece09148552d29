"""What brings a release back: every trigger in every phase, guarded and literal."""

from __future__ import annotations

from typing import Any

import pytest
from msgspec.structs import replace

from companyos.delivery.model import ArmWindow, Instance
from companyos.delivery.policy import ReleasePolicy
from tests.delivery.looks import FAILING, OLD, POLICY, READY, SLOW, WELL, Ride, command, failed_checks

LITERAL = ReleasePolicy(triggers="literal", hold_s=10, bake_s=8)
WATCHED = ["canary", "held", "promoted"]
FACTS: list[tuple[dict[str, Any], str]] = [
    ({"candidate": Instance(release_id="new", state="failed", failure="crash_loop", restarts=3)}, "crash_loop"),
    ({"candidate": Instance(release_id="new", state="failed", failure="out_of_memory")}, "out_of_memory"),
    ({"candidate": Instance(release_id="new", state="failed", failure="not_ready")}, "not_ready"),
    ({"candidate": Instance(release_id="new", state="failed", failure="refused", reason="No such file.")}, "not_ready"),
    ({"commands": (command("abort"),)}, "manual"),
    ({"commands": (command("rollback"),)}, "manual"),
]
BREACHES: list[tuple[dict[str, Any], str]] = [
    ({"canary": FAILING}, "error_rate"),
    ({"canary": SLOW}, "latency"),
    ({"synthetic": failed_checks(3)}, "synthetic"),
    ({"alerts": ("HighErrors",)}, "alert"),
]


def came_back(ride: Ride) -> str | None:
    """The trigger that brought the release back, None when it was not."""
    if ride.state.phase != "rollback_pending":
        return None
    assert ride.state.cause is not None
    assert ride.moves[-1] == "rollback"
    return ride.state.cause.trigger


@pytest.mark.parametrize("policy", [POLICY, LITERAL], ids=["guarded", "literal"])
@pytest.mark.parametrize("phase", ["pending", *WATCHED])
@pytest.mark.parametrize(("seen", "trigger"), FACTS)
def test_a_fact_brings_it_back_at_once(policy: ReleasePolicy, phase: str, seen: dict[str, Any], trigger: str) -> None:
    """In every phase before the end."""
    ride = Ride(policy).to(phase)
    ride.look(**seen)
    assert came_back(ride) == trigger


@pytest.mark.parametrize("phase", WATCHED)
@pytest.mark.parametrize(("seen", "trigger"), FACTS)
def test_a_fact_needs_no_access_log(phase: str, seen: dict[str, Any], trigger: str) -> None:
    """A crash is known without requests."""
    ride = Ride().to(phase)
    ride.look(lost_source="the access log is gone", **seen)
    assert came_back(ride) == trigger


def test_a_refusal_says_its_true_reason() -> None:
    """Not only that it did not become ready."""
    ride = Ride()
    ride.look()
    ride.look(candidate=Instance(release_id="new", state="failed", failure="refused", reason="The tar was altered."))
    assert ride.state.cause is not None
    assert ride.state.cause.sentence == "It cannot be started: The tar was altered."


@pytest.mark.parametrize("phase", WATCHED)
@pytest.mark.parametrize("state", ["absent", "preparing", "starting", "unready", "stopping"])
def test_a_candidate_that_is_not_ready_for_too_long_goes_back(phase: str, state: Any) -> None:
    """Until then it is held."""
    ride = Ride().to(phase)
    candidate = None if state == "absent" else Instance(release_id="new", state=state, reason="GET /ready: 503.")
    weights = ride.state.weights
    ride.look(candidate=candidate)
    for _ in range(int(POLICY.start_timeout_s)):
        assert came_back(ride) is None
        assert ride.state.weights == weights, "what is not ready does not climb"
        ride.look(candidate=candidate)
    ride.look(candidate=candidate)
    assert came_back(ride) == "not_ready"


def test_a_candidate_that_never_becomes_ready_never_gets_traffic() -> None:
    """It goes back, and says what it did meanwhile."""
    ride = Ride()
    for _ in range(62):
        ride.look(candidate=Instance(release_id="new", state="starting", reason="GET /ready: 503."))
        assert ride.state.ratio == 0
    assert came_back(ride) is None
    ride.look(candidate=Instance(release_id="new", state="starting", reason="GET /ready: 503."))
    assert came_back(ride) == "not_ready"
    assert ride.state.cause is not None
    assert ride.state.cause.sentence == "It has been starting for more than 60 s: GET /ready: 503."


def test_an_unready_moment_is_none() -> None:
    """The count begins again each time."""
    ride = Ride().to("canary")
    for _ in range(20):
        ride.look(30, candidate=replace(READY, state="unready"), canary_requests=0)
        ride.look(30, candidate=replace(READY, state="unready"), canary_requests=0)
        ride.look()
    assert came_back(ride) is None


def test_preparing_an_environment_may_take_its_time() -> None:
    """The runtime gives up by itself."""
    ride = Ride()
    for _ in range(300):
        ride.look(candidate=Instance(release_id="new", state="preparing"))
    assert ride.state.phase == "pending"


@pytest.mark.parametrize("phase", WATCHED)
@pytest.mark.parametrize(("seen", "trigger"), BREACHES)
def test_literal_triggers_bring_it_back_at_once(phase: str, seen: dict[str, Any], trigger: str) -> None:
    """As the playbook is written."""
    ride = Ride(LITERAL).to(phase)
    ride.look(**seen)
    assert came_back(ride) == trigger


@pytest.mark.parametrize("phase", ["canary", "promoted"])
@pytest.mark.parametrize(("seen", "trigger"), BREACHES)
def test_guarded_triggers_hold_while_nothing_is_proven(phase: str, seen: dict[str, Any], trigger: str) -> None:
    """A breach alone may be chance."""
    ride = Ride().to(phase)
    unproven = {"synthetic": failed_checks(3, new=1)} if trigger == "synthetic" else seen
    ride.look(**unproven)
    assert came_back(ride) is None
    assert ride.state.held is not None
    assert ride.state.held.reason == ("alert" if trigger == "alert" else "unconfirmed")


@pytest.mark.parametrize("window", ["canary", "recent"])
@pytest.mark.parametrize("phase", WATCHED)
def test_a_breach_that_is_proven_brings_it_back(phase: str, window: str) -> None:
    """Over five minutes or over the last seconds."""
    for breach, slow, trigger in ((FAILING, False, "error_rate"), (SLOW, True, "latency")):
        ride = Ride().to(phase)
        seen: dict[str, Any] = {window: breach}
        ride.look(intervals=_proof(ride, slow=slow), **seen)
        assert came_back(ride) == trigger


def test_a_handful_of_failed_requests_in_the_last_seconds_is_enough() -> None:
    """Four errors, all of the candidate's at 1 %, prove it long before five minutes are over their limit."""
    ride = Ride().to("canary")
    ride.look(intervals=ride.bad(canary=4), recent=ArmWindow(requests=9, errors=4, p95_ms=90.0))
    assert came_back(ride) == "error_rate"
    assert ride.state.cause is not None
    assert "44.4 % of its requests failed over 10 s (limit 1 %, baseline 0.1 %); evidence " in ride.state.cause.sentence


def test_a_proof_without_a_breach_holds_and_a_breach_in_the_last_seconds_without_proof_is_nothing() -> None:
    """Both are needed."""
    ride = Ride().to("canary")
    assert ride.look(recent=FAILING).move is None
    assert ride.state.phase == "canary"
    ride.prove()
    assert came_back(ride) is None
    assert ride.state.held is not None
    assert ride.state.held.reason == "unconfirmed"
    assert ride.state.held.sentence.startswith("Within its limit, but its requests fail more often than the baseline's")


@pytest.mark.parametrize("phase", WATCHED)
def test_smoke_checks_that_fail_in_a_row_bring_it_back(phase: str) -> None:
    """More than two."""
    ride = Ride().to(phase)
    for row in (1, 2, 3):
        assert came_back(ride) is None
        ride.look(synthetic=failed_checks(row, new=1))
    assert came_back(ride) == "synthetic"
    assert ride.state.cause is not None
    assert "smoke checks in a row failed (limit 2, baseline 0): GET / answered 500; " in ride.state.cause.sentence


def test_smoke_checks_that_fail_on_both_arms_hold() -> None:
    """Something else is broken."""
    ride = Ride().to("canary")
    ride.look(synthetic=failed_checks(5), synthetic_baseline=failed_checks(3))
    assert came_back(ride) is None
    assert ride.state.held is not None
    assert ride.state.held.reason == "sick_baseline"


def test_an_alert_with_a_proof_brings_it_back() -> None:
    """Neither alone does."""
    ride = Ride().to("canary")
    ride.prove()
    assert came_back(ride) is None
    ride.look(alerts=("HighErrors",))
    assert came_back(ride) == "alert"
    assert ride.state.cause is not None
    assert ride.state.cause.sentence.startswith("The alert HighErrors fires; its requests fail more often")


@pytest.mark.parametrize("policy", [POLICY, LITERAL], ids=["guarded", "literal"])
@pytest.mark.parametrize("phase", ["canary", "promoted"])
@pytest.mark.parametrize("loss", ["lost_source", "clock"])
def test_nothing_is_concluded_from_counts_that_cannot_be_trusted(policy: ReleasePolicy, phase: str, loss: str) -> None:
    """However bad they look."""
    ride = Ride(policy).to(phase)
    unsure: dict[str, Any] = {"lost_source": "the log is gone"} if loss == "lost_source" else {"jump": 3600.0}
    for _ in range(5):
        ride.look(intervals=_proof(ride), canary=FAILING, recent=FAILING, synthetic=failed_checks(9), **unsure)
        if loss == "clock":
            unsure = {}
    assert came_back(ride) is None
    assert ride.state.held is not None
    assert ride.state.held.reason == loss


def test_an_outage_of_both_arms_is_no_reason_to_go_back() -> None:
    """The baseline is as sick."""
    ride = Ride().to("canary", step=1)
    for _ in range(60):
        ride.look(intervals=ride.bad(canary=1, stable=9), canary=FAILING, recent=FAILING, stable=FAILING)
    assert came_back(ride) is None
    assert ride.state.held is not None
    assert ride.state.held.reason == "sick_baseline"


def test_a_proof_does_not_send_traffic_to_a_baseline_that_is_down() -> None:
    """It goes back as soon as there is somewhere to go."""
    ride = Ride().to("canary")
    ride.look(intervals=_proof(ride), canary=FAILING, baseline=replace(OLD, state="unready", reason="503."))
    assert ride.state.held is not None
    assert ride.state.held.reason == "baseline_down"
    ride.look(canary=FAILING)
    assert came_back(ride) == "error_rate"


def test_few_requests_break_no_window() -> None:
    """One of twenty is five percent."""
    few = ArmWindow(requests=POLICY.min_requests - 1, errors=5, p95_ms=200.0)
    for policy in (POLICY, LITERAL):
        ride = Ride(policy).to("canary")
        assert ride.look(canary=few).move is None
        ride.look(canary=replace(few, requests=POLICY.min_requests))
        assert ride.moves[-1] == ("hold" if policy is POLICY else "rollback")


def test_a_quick_p95_is_no_breach_below_the_floor_except_literally() -> None:
    """9 ms against 3 ms."""
    for policy in (POLICY, LITERAL):
        ride = Ride(policy).to("canary")
        ride.look(canary=ArmWindow(requests=500, p95_ms=9.0), stable=ArmWindow(requests=500, p95_ms=3.0))
        assert ride.state.phase == ("canary" if policy is POLICY else "rollback_pending")


def test_the_limits_themselves_are_no_breach() -> None:
    """The playbook says more than."""
    ride = Ride(LITERAL).to("canary")
    ride.look(canary=ArmWindow(requests=1000, errors=9, p95_ms=130.0), synthetic=failed_checks(2), stable=WELL)
    assert ride.state.phase == "canary"


def _proof(ride: Ride, *, slow: bool = False) -> Any:
    """Bad requests that no luck explains, at the weight that the release has."""
    return ride.bad(canary=3000 if ride.state.ratio > 0.9 else 30, slow=slow)
