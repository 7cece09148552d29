"""The access log of a real router is lost: what is not known is no verdict, in neither direction."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import msgspec
import pytest

from tests.faults.platform import QUICK, Platform, Users
from tests.needs import needs

pytestmark = [needs("envoy"), pytest.mark.timeout(120)]

PATIENT = msgspec.structs.replace(QUICK, hold_s=600.0)


def _delete(log: Path) -> None:
    log.unlink()


def _truncate(log: Path) -> None:
    with log.open("r+b") as file:
        file.truncate(0)


@pytest.mark.parametrize("lose", [_delete, _truncate])
def test_a_release_is_held_while_the_log_is_lost_and_goes_on_afterwards(
    platform: Platform, lose: Callable[[Path], None]
) -> None:
    """It is a good one: it is not blamed, and not waved through either."""
    service = f"{lose.__name__.strip('_')}-shop"
    platform.steady(service)
    with Users(platform.address, [service] * 2) as users:
        second = platform.deploy(service, "1.1", policy=msgspec.structs.replace(QUICK, hold_s=3.0))
        platform.until_phase(second, "canary")
        seen = len(users.answers)
        platform.until(lambda: len(users.answers) > seen + 100, "answers")
        lose(platform.home.path / "traffic" / "access.log")
        shown = platform.until_phase(second, "held")
        assert shown.held is not None
        assert shown.held.reason == "lost_source", shown.held
        platform.until_phase(second, "steady")
    verbs = [step.verb for step in platform.show(second).transitions]
    assert verbs.index("release.hold") < verbs.index("release.resume") < verbs.index("release.promote")
    assert "release.rollback" not in verbs
    assert set(users.statuses()) == {200}


def test_a_bad_release_is_found_once_the_log_is_there_again(platform: Platform) -> None:
    """The loss hides nothing for good."""
    platform.steady("bad-shop")
    with Users(platform.address, ["bad-shop"] * 2) as users:
        platform.until(lambda: len(users.answers) > 50, "answers")
        (platform.home.path / "traffic" / "access.log").unlink()
        second = platform.deploy("bad-shop", "1.1", "fails", policy=PATIENT)
        shown = platform.until_phase(second, "rolled_back")
    assert shown.cause is not None
    assert shown.cause.trigger == "error_rate"
