"""What is written down of the looks at a release is short, and decides the same again."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from companyos.delivery import machine, ticks
from companyos.delivery.machine import State
from companyos.delivery.model import Interval, Observation, Synthetic
from companyos.delivery.tick_store import Tick
from tests.delivery.looks import FAILING, NOTHING, NOW, POLICY, READY, WELL, Ride, command


class Recorded(Ride):
    """A ride that is recorded."""

    def __init__(self, *arguments: Any) -> None:
        super().__init__(*arguments)
        self.recorder = ticks.Recorder()
        self.record: list[Tick] = []

    def take(self, observation: Observation) -> machine.Step:
        """Take the observation, and keep it."""
        before = self.state
        step = super().take(observation)
        self.record += self.recorder.add(before, step, observation, self.now)
        return step


def test_two_looks_become_one() -> None:
    """Counts add up, and the newer window holds."""
    one = Observation(
        elapsed_s=0.25,
        intervals=(Interval(number=1, canary_requests=1, stable_requests=9), Interval(number=2, canary_errors=1)),
        canary=FAILING,
        synthetic=Synthetic(failed=2, consecutive_failures=2, last_failure="500."),
        lost_source="late",
        commands=(command("hold"),),
    )
    two = Observation(
        elapsed_s=0.5,
        intervals=(Interval(number=2, canary_errors=2, stable_slow=3, canary_slow=4, stable_errors=5),),
        canary=WELL,
        synthetic=Synthetic(passed=1),
        commands=(command("resume"),),
    )
    assert ticks.coalesce(one, two) == Observation(
        elapsed_s=0.75,
        intervals=(
            Interval(number=1, canary_requests=1, stable_requests=9),
            Interval(number=2, canary_errors=3, stable_slow=3, canary_slow=4, stable_errors=5),
        ),
        canary=WELL,
        synthetic=Synthetic(passed=1, failed=2, last_failure="500."),
        commands=(command("hold"), command("resume")),
    )
    assert ticks.coalesce(None, two) is two
    assert ticks.coalesce(one, Observation(elapsed_s=0)).synthetic == one.synthetic


def test_a_quiet_release_is_written_down_about_once_a_second_or_less() -> None:
    """Less while no request comes."""
    ride = Recorded().to("canary")
    had = len(ride.record)
    for _ in range(40):
        ride.look(0.1)
    assert 3 <= len(ride.record) - had <= 4
    for _ in range(250):
        ride.look(0.1, canary_requests=0, canary=NOTHING)
    assert len(ride.record) - had <= 9


def test_what_was_decided_stands_alone_behind_what_came_before() -> None:
    """So that it is decided again at the same moment."""
    ride = Recorded().to("canary")
    ride.look(0.25)
    ride.look(0.25, commands=(command("abort"),))
    before, decided = ride.record[-2:]
    assert (before.observation.elapsed_s, before.observation.commands) == (0.25, ())
    assert (decided.observation.elapsed_s, len(decided.observation.commands)) == (0.25, 1)
    assert decided.evidence["weight"] == {"number": 2, "canary_ratio": 0.0}
    assert [tick.number for tick in ride.record] == list(range(1, len(ride.record) + 1))


def test_nothing_is_written_down_of_what_has_ended() -> None:
    """Its record is complete."""
    ride = Recorded().to("rolled_back")
    had = len(ride.record)
    for _ in range(100):
        ride.look()
    assert len(ride.record) == had


def test_numbers_go_on_behind_the_last() -> None:
    """Also after a restart."""
    ride = Ride()
    step = ride.look()
    (tick,) = ticks.Recorder(41).add(machine.begin(ride.release, NOW), step, ride.last, ride.now)
    assert tick.number == 42


def test_an_outage_of_hours_stays_small(monkeypatch: pytest.MonkeyPatch) -> None:
    """Looks with errors are joined after the first thousands."""
    monkeypatch.setattr(ticks, "ALONE_MAX", 100)
    ride = Recorded().to("canary", step=1)
    outage: dict[str, Any] = {"canary": FAILING, "stable": FAILING, "recent": FAILING}
    had = len(ride.record)
    for _ in range(4 * ticks.ALONE_MAX):
        ride.look(0.1, intervals=ride.bad(stable=1), **outage)
    assert len(ride.record) - had < ticks.ALONE_MAX * 1.4


def test_the_evidence_is_what_the_tests_rest_on() -> None:
    """As JSON."""
    ride = Ride().to("canary")
    ride.look()
    ride.look(intervals=ride.bad(canary=2, stable=1), synthetic=Synthetic(passed=3, failed=1))
    found = msgspec.json.decode(msgspec.json.encode(ticks.evidence(ride.state)))
    assert (found["errors"]["canary"], found["errors"]["stable"]) == (2, 1)
    assert (found["synthetic"]["passed"], found["synthetic"]["failed"]) == (3, 1)
    assert found["errors"]["e_value"] == ride.state.tests.errors.e_value > 1
    assert found["share"]["stable"] > 0


LOOKS = st.fixed_dictionaries(
    {"elapsed": st.sampled_from([0.25, 0.25, 0.5])},
    optional={
        "canary": st.sampled_from([FAILING, WELL, NOTHING]),
        "alerts": st.sampled_from([(), ("Slow",)]),
        "lost_source": st.sampled_from([None, "gone"]),
        "commands": st.sampled_from([(), (), (), (command("hold"),), (command("resume"),)]),
        "synthetic": st.sampled_from([Synthetic(passed=1), Synthetic(failed=1, consecutive_failures=1)]),
        "bad": st.sampled_from([(0, 1), (1, 0), (2, 5)]),
        "canary_requests": st.sampled_from([0, 1, 5]),
    },
)


@settings(max_examples=60, deadline=None)
@given(st.lists(st.tuples(LOOKS, st.integers(1, 30)), min_size=1, max_size=8))
def test_the_record_decides_the_same_again(script: list[tuple[dict[str, Any], int]]) -> None:
    """Same moves, same evidence to the last digit."""
    ride = Recorded(POLICY)
    for look, times in script:
        for _ in range(times):
            seen = dict(look)
            bad = seen.pop("bad", None)
            if bad and ride.state.number:
                canary, stable = bad
                seen["intervals"] = ride.bad(canary=canary, stable=stable)
            ride.look(seen.pop("elapsed"), **seen)
    assert decided_again(ride) == ride.moves


@pytest.mark.parametrize("ill", [{"operations_hold": "freeze"}, {"alerts": ("Slow",)}, {"lost_source": "gone"}])
def test_what_begins_or_ends_within_a_hold_is_timed_to_the_look(ill: dict[str, Any]) -> None:
    """When the reason went, when the candidate stopped being ready, when the clock jumped."""
    for policy in (POLICY, replace(POLICY, start_timeout_s=2)):
        ride = Recorded(policy).to("canary")
        for _ in range(5):
            ride.look(0.3, canary_requests=0, **ill)
        for _ in range(20 if policy is POLICY else 0):
            ride.look(0.3)
        for _ in range(5):
            ride.look(0.3, canary_requests=0, **ill)
        for _ in range(20):
            ride.look(0.3, canary_requests=0, candidate=replace(READY, state="unready"), **ill)
        assert decided_again(ride) == ride.moves


def decided_again(ride: Recorded) -> list[str]:
    """The moves of the record, each at the same moment and with the same evidence."""
    again: State = machine.begin(ride.release, NOW)
    moves = []
    for tick in [*ride.record, *ride.recorder.flush()]:
        told = msgspec.json.decode(msgspec.json.encode(tick.observation), type=Observation)
        step = machine.step(again, told, ride.policy, tick.at)
        again = step.state
        if step.move is not None:
            moves.append(step.move.verb.removeprefix("release."))
        assert ticks.evidence(again)["errors"] == tick.evidence["errors"]
        assert ticks.evidence(again)["synthetic"] == tick.evidence["synthetic"]
    assert (again.phase, again.weights, again.cause) == (ride.state.phase, ride.state.weights, ride.state.cause)
    assert again.since == ride.state.since
    return moves
