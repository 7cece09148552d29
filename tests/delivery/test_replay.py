"""Recorded releases decided again under another policy."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from msgspec.structs import replace

from companyos.delivery import planning, replay, verdict
from companyos.delivery.machine import Step
from companyos.delivery.model import ArmWindow, Observation, Totals
from companyos.delivery.policy import ReleasePolicy
from companyos.delivery.view import Difference
from tests.delivery.looks import FAILING, NOTHING, POLICY, READY, Ride, command


class Recorded(Ride):
    """A ride whose looks are kept."""

    def __init__(self, policy: ReleasePolicy = POLICY) -> None:
        super().__init__(policy)
        self.record: list[tuple[datetime, Observation]] = []

    def take(self, observation: Observation) -> Step:
        """Take the observation, and keep it."""
        self.record.append((self.now, observation))
        return super().take(observation)

    def under(self, **changes: Any) -> Difference:
        """What another policy makes of the record."""
        snapshot = planning.summary(
            planning.first_summary(self.release),
            self.release,
            self.state,
            indicators=(),
            verdict=verdict.sentence(self.state, self.last, self.policy, self.release),
            totals=Totals(),
            now=self.now,
            moved=False,
        )
        return replay.compare(self.release, snapshot, replace(self.policy, **changes), self.record)


def test_under_its_own_policy_nothing_changes() -> None:
    """Ended or not."""
    for ride in (_brought_back(), Recorded().to("steady"), Recorded().to("canary", step=1), Recorded()):
        again = ride.under()
        assert not again.changed
        assert again.recorded == again.replayed == (ride.state.phase.replace("rollback_pending", "rolled_back"))
        assert again.sentence.startswith("The same")
        assert again.sentence.count("unknown") == 0


def test_a_tighter_policy_brings_back_earlier() -> None:
    """It says by how much."""
    ride = Recorded().to("canary")
    ride.look(canary=FAILING)
    for _ in range(89):
        ride.look(canary=FAILING, recent=NOTHING)
    ride.look(intervals=ride.bad(canary=30), canary=FAILING)
    ride.look()
    assert ride.state.phase == "rolled_back"
    again = ride.under(triggers="literal")
    assert (again.recorded, again.replayed, again.changed) == ("rolled_back", "rolled_back", True)
    assert (again.recorded_at - again.replayed_at).total_seconds() == 90
    assert again.sentence == "Rolled back 90 s earlier: at 12:00:03 instead of 12:01:33."


def test_a_looser_policy_leaves_open_what_nobody_has_seen() -> None:
    """The record ends with the rollback."""
    ride = _brought_back()
    ended = ride.record[-2][0]
    again = ride.under(error_ratio_max=0.1)
    assert (again.recorded, again.replayed, again.changed) == ("rolled_back", "held", True)
    assert again.sentence.startswith(f"Not rolled back: at {ended:%H:%M:%S} it would have been held with 1 % of the")
    assert again.sentence.endswith(f"; unknown after {ended:%H:%M:%S}, where the record ends.")


def test_what_would_have_been_rolled_back_says_why() -> None:
    """With the numbers of that moment."""
    ride = Recorded().to("canary", step=1)
    ride.look(canary=ArmWindow(requests=100, errors=2, p95_ms=90.0))
    ride.to("steady")
    again = ride.under(triggers="literal")
    assert (again.recorded, again.replayed, again.changed) == ("steady", "rolled_back", True)
    assert again.sentence.startswith("Rolled back at ")
    assert " instead of steady: 2 % of its requests failed over 5 min (limit 1 %, baseline 0.1 %); " in again.sentence


def test_other_steps_are_judged_with_the_weights_that_requests_really_had() -> None:
    """Errors that fall evenly on a half are no evidence; at the 4 % of the other policy they would be."""
    ride = Recorded().to("canary", step=2)
    for _ in range(8):
        ride.look(intervals=ride.bad(canary=3, stable=3), recent=FAILING)
    ride.to("steady")
    again = ride.under(steps=(1, 2, 3, 4, 100))
    assert again.replayed == "canary"
    assert " From 12:00:12 on it would have had 2 % instead of 10 %; what was counted after that is" in again.sentence
    assert again.sentence.startswith(
        "Not steady: at 12:00:43 it would have been a canary with 4 % of the traffic; unkn"
    )


def test_longer_steps_settle_later_or_are_unknown() -> None:
    """Shorter ones earlier."""
    ride = Recorded().to("steady")
    again = ride.under(hold_s=5)
    assert (again.replayed, again.changed) == ("steady", True)
    assert again.sentence.startswith("Steady 15 s earlier: at ")
    again = ride.under(hold_s=600)
    assert (again.replayed, again.changed) == ("canary", True)
    assert "unknown after" in again.sentence


def test_commands_are_replayed_as_they_came() -> None:
    """A person would have aborted all the same."""
    ride = Recorded().to("canary", step=1)
    ride.look(commands=(command("abort"),))
    asked = ride.now
    ride.look()
    again = ride.under(hold_s=600)
    assert (again.replayed, again.replayed_at, again.changed) == ("rolled_back", asked, False)


def test_the_way_out_of_a_rolled_back_release_is_no_evidence_against_it() -> None:
    """While the recorded release stops its candidate, the replayed one would still have had it."""
    ride = _brought_back()
    for _ in range(200):
        ride.look(candidate=replace(READY, state="stopping"), canary=NOTHING)
    again = ride.under(error_ratio_max=0.1)
    assert again.replayed == "held"


def _brought_back() -> Recorded:
    ride = Recorded().to("canary")
    ride.look(intervals=ride.bad(canary=30), canary=FAILING)
    assert ride.state.phase == "rollback_pending"
    ride.look()
    return ride
