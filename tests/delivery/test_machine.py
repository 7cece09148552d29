"""The way of a release that nothing stops, and what each move does."""

from __future__ import annotations

import pytest

from companyos.delivery.actions import SetWeight, StartBaseline
from companyos.delivery.model import ArmWindow, CommandKind, Forecast, Instance, InstanceState, Interval
from companyos.delivery.policy import ReleasePolicy
from tests.delivery.looks import NOTHING, POLICY, WELL, Ride, command, kinds

ROLLBACK = [
    "set_weight 0",
    "mark_unhealthy",
    "capture_diagnostics",
    "open_incident",
    "notify_on_call",
    "record_running",
    "attest",
    "stop_candidate",
]


def test_the_first_look_starts_the_candidate_once() -> None:
    """No move, no weight: it only has to run."""
    ride = Ride()
    first = ride.look(candidate=None)
    assert (kinds(first), first.move) == (["start_candidate"], None)
    again = ride.look(candidate=None)
    assert (kinds(again), again.move) == ([], None)


def test_a_candidate_gets_traffic_only_when_it_is_ready() -> None:
    """Whatever else it does."""
    ride = Ride()
    states: tuple[InstanceState, ...] = ("absent", "preparing", "starting", "unready")
    for state in states:
        assert ride.look(candidate=Instance(release_id="new", state=state)).move is None
    step = ride.look()
    assert step.move is not None
    assert step.move.verb == "release.start"
    assert kinds(step) == ["set_weight 0.01", "record_running"]
    assert (ride.state.phase, ride.state.step) == ("canary", 0)


def test_flags_are_turned_on_with_the_first_traffic_and_back_with_a_rollback() -> None:
    """Both in the same decision as the weight."""
    ride = Ride(flags=True)
    ride.look()
    assert kinds(ride.look()) == ["set_weight 0.01", "turn_on_flags", "record_running"]
    back = ride.look(commands=(command("abort"),))
    assert kinds(back) == [*ROLLBACK[:2], "turn_back_flags", *ROLLBACK[2:]]


def test_a_good_release_climbs_bakes_and_settles() -> None:
    """1, 10, 50, 98 and 100 %."""
    ride = Ride()
    weights = []
    for _ in range(60):
        weights += [kind for kind in kinds(ride.look()) if kind.startswith("set_weight")]
    assert ride.moves == ["start", "advance", "advance", "promote", "settle"]
    assert weights == [f"set_weight {ratio}" for ratio in ("0.01", "0.1", "0.5", "0.98", "1")]
    assert (ride.state.phase, ride.state.step) == ("steady", 3)


def test_a_promotion_never_takes_traffic_away() -> None:
    """A last step above the share of the bake keeps its own."""
    ride = Ride(ReleasePolicy(steps=(50, 99, 100), hold_s=2, bake_s=2)).to("promoted")
    assert [weight.canary_ratio for weight in ride.state.weights] == [0.5, 0.99, 0.99]


def test_each_step_lasts_its_time() -> None:
    """The steps their hold, the promoted one its bake."""
    ride = Ride().to("canary")
    began = ride.now
    ride.to("canary", step=1)
    assert (ride.now - began).total_seconds() == POLICY.hold_s
    ride.to("promoted")
    began = ride.now
    ride.to("steady")
    assert (ride.now - began).total_seconds() == POLICY.bake_s


def test_settling_stops_the_old_version_and_signs() -> None:
    """The weight moves before the old version stops."""
    ride = Ride().to("promoted")
    for _ in range(7):
        assert ride.look().move is None
    assert kinds(ride.look()) == ["set_weight 1", "stop_baseline", "attest", "record_running"]


def test_a_step_waits_until_the_router_works_with_its_weight() -> None:
    """What the router does not do yet was not tried."""
    ride = Ride().to("canary")
    for _ in range(20):
        assert ride.look(applied_interval=None).move is None
    assert ride.look().move is not None


def test_late_requests_of_an_earlier_step_do_not_count_for_this_one() -> None:
    """Their interval says to which step they belong."""
    ride = Ride().to("canary", step=1)
    for _ in range(10):
        ride.look(intervals=(_interval(1, 50),))
    assert ride.state.held is not None
    assert ride.state.held.reason == "no_data"


def test_too_few_requests_hold_with_a_forecast_until_there_are_enough() -> None:
    """Neither passed nor failed."""
    ride = Ride().to("canary")
    for _ in range(10):
        ride.look(canary_requests=0)
    held = ride.state.held
    assert held is not None
    assert held.reason == "no_data"
    assert held.forecast == Forecast(requests=2000, seconds=20.0)
    assert held.sentence == "Too little traffic to judge: needs about 2,000 more requests, 20 s at this rate."
    ride.look(canary_requests=20)
    assert ride.state.phase == "canary", "what was waited for is there, so it goes on at once"
    assert ride.look(canary_requests=0).move is not None, "a hold for want of requests does not begin the step again"
    assert ride.moves == ["start", "hold", "resume", "advance"]


def test_traffic_that_has_stopped_is_not_passed() -> None:
    """Requests of minutes ago say nothing about now."""
    ride = Ride().to("canary")
    for _ in range(9):
        ride.look()
    ride.look(canary=NOTHING, canary_requests=0)
    assert ride.state.held is not None
    assert ride.state.held.reason == "no_data"


def test_the_first_release_takes_everything_at_once() -> None:
    """There is nothing to compare it with."""
    ride = Ride(first=True, flags=True)
    ride.look()
    step = ride.look()
    assert step.move is not None
    assert step.move.verb == "release.settle"
    assert kinds(step) == ["set_weight 1", "turn_on_flags", "attest", "record_running"]
    assert ride.state.phase == "steady"


def test_without_steps_below_the_whole_a_release_goes_straight_to_its_bake() -> None:
    """It is watched there all the same."""
    ride = Ride(ReleasePolicy(steps=(100,), bake_s=5), flags=True)
    ride.look()
    step = ride.look()
    assert step.move is not None
    assert step.move.verb == "release.promote"
    assert kinds(step) == ["set_weight 0.98", "turn_on_flags", "record_running"]
    assert ride.to("steady").moves == ["promote", "settle"]


@pytest.mark.parametrize("phase", ["pending", "canary", "held", "promoted"])
def test_a_rollback_moves_traffic_first_and_ends_when_all_is_done(phase: str) -> None:
    """Everything else can wait a moment."""
    ride = Ride().to(phase)
    number = ride.state.number
    step = ride.look(commands=(command("rollback"),))
    assert kinds(step) == ROLLBACK
    assert step.actions[0] == SetWeight(number=number + 1, canary_ratio=0.0)
    assert ride.state.phase == "rollback_pending"
    for _ in range(30):
        assert ride.look(actions_open=3, candidate=None).move is None
    end = ride.look(actions_open=0, candidate=None)
    assert end.move is not None
    assert (end.move.verb, kinds(end), ride.state.phase) == ("release.rolled_back", [], "rolled_back")


def test_a_steady_release_goes_back_only_when_a_person_asks() -> None:
    """The old version is started first."""
    ride = Ride().to("steady")
    before = ride.state
    for _ in range(3):
        step = ride.look(candidate=None, alerts=("Down",), canary=NOTHING, lost_source="gone", commands=())
        assert (step.state, step.actions, step.move) == (before, (), None)
    assert ride.look(commands=(command("abort"),)).move is None
    step = ride.look(commands=(command("rollback"),))
    assert step.actions[0] == StartBaseline()
    assert kinds(step)[1:] == ROLLBACK
    assert ride.state.cause is not None
    assert ride.state.cause.command_id == "rollback-1"


def test_the_first_release_has_nothing_to_go_back_to() -> None:
    """So nothing is done."""
    ride = Ride(first=True).to("steady")
    assert ride.look(commands=(command("rollback"),)).move is None


def test_what_is_rolled_back_stays_so() -> None:
    """Whatever is seen or asked."""
    ride = Ride().to("rolled_back")
    before = ride.state
    kinds_of_command: tuple[CommandKind, ...] = ("rollback", "promote", "resume")
    for kind in kinds_of_command:
        step = ride.look(commands=(command(kind),), alerts=("Down",))
        assert (step.state, step.actions, step.move) == (before, (), None)
        assert step.answer == "Nothing is done: the release is rolled back."


def test_slowness_is_judged_as_soon_as_the_baseline_tells_what_is_slow() -> None:
    """By a new interval of the same weight."""
    ride = Ride()
    ride.look()
    ride.look(stable=NOTHING)
    assert ride.state.weights[-1].slow_ms is None
    assert kinds(ride.look(stable=ArmWindow(requests=POLICY.min_requests - 1, p95_ms=100.0))) == []
    step = ride.look(stable=WELL)
    assert (kinds(step), step.move) == (["set_weight 0.01"], None)
    newest = ride.state.weights[-1]
    assert (newest.number, newest.slow_ms) == (2, 130.0)
    assert ride.state.step_requests > 0, "the step goes on"
    assert kinds(ride.look()) == []


def test_a_fast_baseline_makes_nothing_below_the_floor_slow() -> None:
    """2.6 ms would be chance."""
    ride = Ride()
    ride.look()
    ride.look(stable=ArmWindow(requests=100, p95_ms=2.0))
    assert ride.state.weights[-1].slow_ms == POLICY.p95_floor_ms


def _interval(number: int, requests: int) -> Interval:
    return Interval(number=number, canary_requests=requests, stable_requests=requests * 99)
