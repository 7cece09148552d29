"""What the controller makes of a log that is lost and of clocks that disagree: it holds, and judges nothing."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.delivery.controlling import BRISK, Platform, alone
from tests.delivery.lives import SLOWLY
from tests.pillar import bound

__all__ = ["bound"]

HOUR_S = 3600.0


@pytest.fixture
def platform(migrated_sqlite: Path, tmp_path: Path) -> Iterator[Platform]:
    """Return a platform with a stable release."""
    with alone(migrated_sqlite, tmp_path) as made:
        made.steady("1.0")
        made.clock.jump(86_400.0)  # The keys of the ledger must have begun, also after a jump back.
        made.pass_time(1.0)
        yield made


def test_without_the_log_a_bad_release_is_held_and_not_judged(platform: Platform) -> None:
    """Neither passed nor failed; the verdict comes once the log is whole again."""
    second = platform.deploy("1.1", policy=BRISK)
    platform.until_phase(second, "canary")
    platform.traffic.lost = "The access log is gone."
    platform.fails(second)
    shown = platform.until_phase(second, "held")
    assert shown.held is not None
    assert (shown.held.reason, "The access log is gone" in shown.held.sentence) == ("lost_source", True)
    platform.pass_time(20.0)
    assert platform.phase(second) == "held"
    platform.traffic.lost = None
    shown = platform.until_phase(second, "rolled_back")
    assert shown.cause is not None
    assert shown.cause.trigger == "error_rate"


def test_a_good_release_goes_on_when_the_log_is_there_again(platform: Platform) -> None:
    """The hold ends by itself."""
    second = platform.deploy("1.1", policy=BRISK)
    platform.until_phase(second, "canary")
    platform.traffic.lost = "The access log is gone."
    platform.until_phase(second, "held")
    platform.traffic.lost = None
    platform.until_phase(second, "steady")


@pytest.mark.parametrize("seconds", [HOUR_S, -HOUR_S, 10.0, -10.0])
def test_a_jump_of_the_clock_is_no_verdict(platform: Platform, seconds: float) -> None:
    """A good release is held while the windows cannot be trusted, and climbs on."""
    second = platform.deploy("1.1", policy=BRISK)
    platform.until_phase(second, "canary")
    platform.pass_time(0.5)
    platform.clock.jump(seconds)
    shown = platform.until_phase(second, "held")
    assert shown.held is not None
    assert shown.held.reason == "clock"
    platform.until_phase(second, "steady")
    assert "rollback" not in platform.moves(second)


@pytest.mark.parametrize("seconds", [HOUR_S, -HOUR_S])
def test_a_bad_release_is_still_found_after_a_jump(platform: Platform, seconds: float) -> None:
    """The jump hides nothing for good."""
    second = platform.deploy("1.1", policy=SLOWLY)
    platform.until_phase(second, "canary")
    platform.clock.jump(seconds)
    platform.fails(second)
    platform.pass_time(5.0)
    assert platform.phase(second) == "held"
    shown = platform.until_phase(second, "rolled_back")
    assert shown.cause is not None
    assert shown.cause.trigger == "error_rate"
    assert shown.seconds_to_rollback is not None


def test_a_controller_that_was_away_takes_its_absence_for_no_jump(platform: Platform) -> None:
    """It was dead for a minute; that is no fault of the release, and what happened meanwhile counts."""
    second = platform.deploy("1.1", policy=SLOWLY)
    platform.until_phase(second, "canary")
    platform.fails(second)
    for _ in range(600):
        platform.send()
        platform.clock.advance(0.1)
    platform.boot()
    shown = platform.until_phase(second, "rolled_back")
    assert shown.cause is not None
    assert shown.cause.trigger == "error_rate"
    assert [move for move in platform.moves(second) if move == "hold"] == []


def test_no_request_is_counted_twice_or_lost_over_a_death(platform: Platform) -> None:
    """What was read and what was written down end at the same place."""
    second = platform.deploy("1.1", policy=SLOWLY)
    platform.until_phase(second, "canary")
    for _ in range(12):
        platform.pass_time(0.7)
        platform.boot()
    platform.rate = 0.0
    platform.pass_time(2.0)
    assert platform.show(second).totals.canary_requests == platform.answered[second]
    assert sum(_canary_requests(platform, second)) == platform.answered[second]


def test_without_traffic_it_is_held_with_a_forecast(platform: Platform) -> None:
    """Nobody asked it anything, which is nothing that speaks for it."""
    second = platform.deploy("1.1", policy=BRISK)
    platform.rate = 2.0
    shown = platform.until_phase(second, "held")
    assert shown.held is not None
    assert shown.held.reason == "no_data"
    assert shown.held.forecast is not None
    assert shown.held.forecast.requests
    platform.pass_time(3.0)
    assert platform.phase(second) == "held"
    platform.rate = 100.0
    platform.until_phase(second, "steady")


def _canary_requests(platform: Platform, release_id: str) -> list[int]:
    page = platform.delivery.ticks(platform.olga, release_id, limit=500)
    assert page.next_cursor is None
    return [sum(one.get("canary_requests", 0) for one in item.get("intervals", ())) for item in page.items]
