"""What holds a release, in which order, how long, and what people may do about it."""

from __future__ import annotations

from typing import Any

import pytest
from msgspec.structs import replace

from companyos.delivery.model import ArmWindow, HoldReason, Instance, Interval
from companyos.delivery.policy import ReleasePolicy
from tests.delivery.looks import FAILING, NOW, OLD, POLICY, READY, Ride, command, failed_checks, kinds

TOO_SLOW = ArmWindow(requests=1000, p95_ms=350.0)
ALMOST = ArmWindow(requests=1000, p95_ms=290.0)
REASONS: list[tuple[HoldReason, dict[str, Any]]] = [
    ("lost_source", {"lost_source": "the log stays behind the counters"}),
    ("baseline_down", {"baseline": replace(OLD, state="unready")}),
    ("operations", {"operations_hold": "the error budget is spent"}),
    ("alert", {"alerts": ("HighErrors", "Slow")}),
    ("saturation", {"in_flight": 70}),
    ("sick_baseline", {"canary": FAILING, "stable": FAILING}),
    ("unconfirmed", {"canary": FAILING}),
    ("guardrail", {"canary": TOO_SLOW, "stable": ALMOST}),
]
LASTING = {"alert", "sick_baseline", "unconfirmed", "guardrail"}


def reason(ride: Ride) -> str | None:
    """Why the release is held, None when it is not."""
    assert (ride.state.phase == "held") == (ride.state.held is not None)
    return ride.state.held.reason if ride.state.held is not None else None


@pytest.mark.parametrize("phase", ["canary", "promoted"])
@pytest.mark.parametrize(("why", "seen"), REASONS)
def test_a_reason_holds_the_weight_and_goes_back_to_where_it_was(phase: str, why: str, seen: dict[str, Any]) -> None:
    """In a step and in the bake."""
    ride = Ride().to(phase)
    ratio = ride.state.ratio
    for _ in range(30):
        assert not [kind for kind in kinds(ride.look(**seen)) if kind.startswith("set_weight")]
    assert (reason(ride), ride.state.ratio, ride.moves[-1]) == (why, ratio, "hold")
    while ride.state.phase == "held":
        ride.look()
    assert (ride.state.phase, ride.moves[-1]) == (phase, "resume")


@pytest.mark.parametrize(("why", "seen"), REASONS)
def test_a_hold_ends_when_its_reason_has_been_gone_for_long_enough(why: str, seen: dict[str, Any]) -> None:
    """What a person lifts ends at once."""
    ride = Ride().to("canary")
    ride.look(**seen)
    waited = 0
    while ride.state.phase == "held":
        ride.look()
        waited += 1
    assert waited == (1 if why == "operations" else 1 + POLICY.resume_after_s)


@pytest.mark.parametrize(("why", "seen"), REASONS)
def test_a_step_begins_again_after_a_breach_and_goes_on_after_a_pause(why: str, seen: dict[str, Any]) -> None:
    """A pause says nothing against the release."""
    ride = Ride().to("canary")
    for _ in range(6):
        ride.look()
    ride.look(**seen)
    while ride.state.phase == "held":
        ride.look()
    assert ride.state.clean_s == (0 if why in LASTING else 6)


def test_a_breach_is_not_forgotten_when_another_reason_follows_it_in_the_same_hold() -> None:
    """The step begins again for the breach, not for the pause."""
    ride = Ride().to("canary")
    for _ in range(6):
        ride.look()
    ride.look(canary=FAILING)
    ride.look(lost_source="gone")
    ride.look(lost_source="gone")
    assert reason(ride) == "lost_source"
    while ride.state.phase == "held":
        ride.look()
    assert ride.state.clean_s == 0


def test_a_reason_that_comes_back_starts_the_wait_again() -> None:
    """One hold, not five."""
    ride = Ride().to("canary")
    ride.look(canary=FAILING)
    for _ in range(4):
        for _ in range(4):
            ride.look()
        ride.look(canary=FAILING)
    assert (reason(ride), ride.moves) == ("unconfirmed", ["start", "hold"])


def test_the_gravest_reason_is_given_in_the_order_of_caution() -> None:
    """All of them together, one more at a time."""
    ride = Ride().to("canary")
    together: dict[str, Any] = {}
    for why, seen in reversed(REASONS):
        if why == "alert":
            ride.look(commands=(command("hold"),), **together)
            assert reason(ride) == "manual"
        together |= seen
        ride.look(commands=(command("resume"),) if why == "alert" else (), **together)
        if why != "alert":
            assert reason(ride) == why
    ride.look(jump=-60, **{**together, "lost_source": None})
    assert reason(ride) == "clock"


def test_another_reason_is_a_move_and_another_number_is_none() -> None:
    """The sentence follows the numbers."""
    ride = Ride().to("canary")
    ride.look(canary=FAILING)
    first = ride.state.held
    step = ride.look(canary=replace(FAILING, errors=60))
    assert step.move is None
    assert ride.state.held != first
    assert ride.state.held is not None
    assert ride.state.held.sentence.startswith("6 % of its requests failed over 5 min (limit 1 %, baseline 0.1 %); ")
    step = ride.look(alerts=("Slow",), canary=FAILING)
    assert step.move is not None
    assert (step.move.verb, reason(ride)) == ("release.hold", "alert")


def test_reasons_that_flutter_move_at_most_once_a_second() -> None:
    """Each move is a row of the ledger."""
    ride = Ride().to("canary")
    slow: dict[str, Any] = {"alerts": ("Slow",)}
    failing: dict[str, Any] = {"canary": FAILING}
    for number in range(100):
        ride.look(0.1, **(slow if number % 2 else failing))
    assert ride.moves.count("hold") <= 11


@pytest.mark.parametrize("full", [{"cpu_ratio": 0.7}, {"memory_ratio": 0.9}])
def test_a_full_candidate_is_held(full: dict[str, float]) -> None:
    """At the limit itself, too."""
    ride = Ride().to("canary")
    ride.look(candidate=replace(READY, **full))
    assert reason(ride) == "saturation"


def test_requests_that_are_not_divided_as_assigned_hold_and_prove_nothing() -> None:
    """The test of the errors rests on the assigned weight."""
    ride = Ride().to("canary")
    skewed = (Interval(number=1, canary_requests=400, stable_requests=600, canary_errors=30),)
    ride.look(intervals=skewed, canary=FAILING)
    assert reason(ride) == "sample_ratio"
    assert ride.state.held is not None
    assert "it got 40 % in this step (assigned 1 %)" in ride.state.held.sentence


def test_guardrails_are_kept_when_a_step_ends_however_few_requests_there_were() -> None:
    """The last look at a step is the strictest."""
    ride = Ride().to("canary")
    few = ArmWindow(requests=POLICY.min_requests - 1, errors=1, p95_ms=20.0)
    for _ in range(9):
        assert ride.look(canary=few).move is None
    ride.look(canary=few)
    assert reason(ride) == "guardrail"


def test_a_guardrail_that_the_baseline_breaks_as_well_is_not_the_fault_of_the_release() -> None:
    """Both are too slow."""
    ride = Ride().to("canary")
    ride.look(canary=TOO_SLOW, stable=TOO_SLOW)
    assert reason(ride) == "sick_baseline"


@pytest.mark.parametrize("jump", [-3600.0, 5.5, 3600.0])
def test_a_clock_that_jumps_holds_once(jump: float) -> None:
    """Forward or backward."""
    ride = Ride().to("canary")
    ride.look(jump=jump)
    assert reason(ride) == "clock"
    for _ in range(20):
        ride.look()
    assert ride.moves == ["start", "hold", "resume"]


def test_slow_looks_and_a_controller_that_was_away_are_no_jump() -> None:
    """Both clocks agree, or there is only one."""
    ride = Ride(ReleasePolicy()).to("canary")
    ride.look(120.0)
    assert reason(ride) is None
    ride.look(0.0, jump=600.0)
    assert reason(ride) is None
    assert ride.state.clean_s == 120, "what nobody has watched was not clean"


# --- people -----------------------------------------------------------------------------------------------------------


def test_only_a_person_ends_what_a_person_holds() -> None:
    """However long it takes."""
    ride = Ride().to("canary")
    step = ride.look(commands=(command("hold", "wait for the fair"),))
    assert step.answer == "It is held: user:olga holds it: wait for the fair."
    for _ in range(50):
        assert ride.look().move is None
    assert ride.look(commands=(command("resume"),)).answer == "It goes on as canary."
    assert ride.moves == ["start", "hold", "resume"]


def test_a_person_may_resume_what_has_just_got_well_but_not_what_is_still_ill() -> None:
    """Resuming only shortens the wait."""
    ride = Ride().to("canary")
    ride.look(canary=FAILING)
    ride.look(canary=FAILING, commands=(command("resume"),))
    assert reason(ride) == "unconfirmed"
    ride.look(commands=(command("resume"),))
    assert ride.state.phase == "canary"


def test_a_hold_before_the_first_step_keeps_it_from_starting() -> None:
    """It runs, and gets no traffic."""
    cases: list[tuple[dict[str, Any], dict[str, Any]]] = [
        ({"commands": (command("hold"),)}, {"commands": (command("resume"),)}),
        ({"operations_hold": "freeze"}, {}),
    ]
    for asked, over in cases:
        ride = Ride()
        ride.look()
        for number in range(10):
            ride.look(**(asked if number == 0 or "commands" not in asked else {}))
        assert ride.state.phase == "pending"
        ride.look(**over)
        assert ride.moves == ["start"]


@pytest.mark.parametrize("seen", [{}, {"canary": FAILING}, {"lost_source": "gone"}, {"baseline": None}])
@pytest.mark.parametrize("phase", ["canary", "held"])
def test_a_person_may_promote_whatever_the_guardrails_say(phase: str, seen: dict[str, Any]) -> None:
    """At once, with name and reason."""
    ride = Ride().to(phase)
    step = ride.look(commands=(command("promote", "tested by hand"),), **seen)
    assert step.move is not None
    assert (step.move.verb, kinds(step)[0]) == ("release.promote", "set_weight 0.98")
    assert step.move.sentence == "Promoted: user:olga moved it on: tested by hand."
    assert ride.state.manual is None


def test_nobody_promotes_past_a_test_that_rejects_or_a_hold_of_operations() -> None:
    """The answer says why."""
    ride = Ride().to("canary")
    ride.prove()
    step = ride.look(commands=(command("promote"),))
    assert (step.move, reason(ride)) == (None, "unconfirmed")
    assert step.answer.startswith("Not promoted: its requests fail more often than the baseline's, evidence ")
    assert ride.state.held is not None
    assert ride.state.held.sentence.startswith("Not promoted: ")
    ride = Ride().to("canary")
    step = ride.look(commands=(command("promote"),), operations_hold="freeze")
    assert (step.answer, reason(ride)) == (
        "Not promoted: a hold in operations stops it; lift that first.",
        "operations",
    )


def test_promoting_what_bakes_changes_nothing_and_settles_it_when_it_is_held_there() -> None:
    """A click that comes late skips no bake."""
    ride = Ride().to("promoted")
    step = ride.look(commands=(command("promote"),))
    assert (step.move, step.answer) == (None, "It is promoted already and bakes.")
    ride.look(alerts=("Slow",))
    ride.look(alerts=("Slow",), commands=(command("promote"),))
    assert (ride.moves[-1], ride.state.phase) == ("settle", "steady")


@pytest.mark.parametrize(
    ("asked", "phase"),
    [
        (("hold", "resume"), "canary"),
        (("resume", "hold"), "held"),
        (("promote", "hold"), "held"),
        (("hold", "promote"), "held"),
        (("resume", "promote"), "promoted"),
        (("promote", "abort"), "rollback_pending"),
        (("rollback", "hold", "resume", "promote"), "rollback_pending"),
    ],
)
def test_of_several_commands_the_strongest_wins(asked: tuple[Any, ...], phase: str) -> None:
    """Rollback, then hold, then promote; of hold and resume the later."""
    ride = Ride().to("canary")
    ride.look(commands=tuple(command(kind) for kind in asked))
    assert ride.state.phase == phase


def test_a_short_wait_may_be_none() -> None:
    """The policy says so."""
    ride = Ride(ReleasePolicy(hold_s=10, bake_s=8, resume_after_s=0)).to("canary")
    ride.look(canary=FAILING)
    ride.look()
    assert ride.moves == ["start", "hold", "resume"]
    assert ride.state.since > NOW


def test_a_baseline_that_is_not_there_holds() -> None:
    """Unknown or not ready."""
    for baseline in (None, Instance(release_id="old", state="starting", reason="It restarts.")):
        ride = Ride().to("canary")
        ride.look(baseline=baseline)
        assert reason(ride) == "baseline_down"


def test_checks_that_failed_once_and_pass_now_prove_nothing_beside_an_alert() -> None:
    """Both arms failed them, and that is over."""
    ride = Ride().to("canary")
    ride.look(synthetic=failed_checks(4), synthetic_baseline=failed_checks(4))
    passing = replace(failed_checks(0), passed=1, failed=0)
    ride.look(synthetic=passing, synthetic_baseline=passing, alerts=("Slow",))
    assert ride.state.tests.synthetic.rejects(300)
    assert reason(ride) in {"alert", "sick_baseline"}
    ride.look(alerts=("Slow",))
    assert reason(ride) == "alert"


def test_two_failed_checks_long_ago_do_not_hold_for_ever() -> None:
    """The evidence stays, the failures do not."""
    ride = Ride().to("canary")
    ride.look(synthetic=failed_checks(2))
    for _ in range(30):
        ride.look(synthetic=replace(failed_checks(0), passed=1, failed=0))
    assert "advance" in ride.moves
