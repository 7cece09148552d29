from __future__ import annotations

from datetime import timedelta

import pytest

from companyos.delivery.model import FINAL
from companyos.tower import ladder, moving
from companyos.tower.ladder import PHASES, card
from tests.tower.releases import in_every_phase, steps, summary
from tests.tower.rows import NOW, ago


def test_a_rung_says_by_word_and_sign_where_the_release_stands() -> None:
    """Passed, now, held here, went back here, to come: no two look alike without colour."""
    shown = card(summary(phase="held", steps=steps(1)), NOW).rungs
    assert [(rung.percent, rung.word) for rung in shown] == [
        ("1 %", "passed"),
        ("10 %", "held here"),
        ("50 %", "to come"),
        ("100 %", "to come"),
    ]
    back = card(summary(phase="rolled_back"), NOW).rungs
    assert [rung.word for rung in back] == ["passed", "went back here", "not reached", "not reached"]
    assert len(set(ladder.RUNGS.values())) == len({word for _, word in ladder.RUNGS.values()}) == len(ladder.RUNGS)


def test_every_rung_that_was_reached_keeps_its_numbers() -> None:
    """Value, limit and baseline of the passed steps stay beside those of now."""
    reached = [rung for rung in card(summary(), NOW).rungs if rung.measures]
    assert [rung.percent for rung in reached] == ["1 %", "10 %"]
    first = reached[0].measures[0]
    assert (first.value, first.limit, first.baseline) == ("0.31 %", "1 %", "0.29 %")
    assert reached[0].lasted == "10 min"


@pytest.mark.parametrize(
    ("phase", "seconds", "stale"),
    [("canary", 10, False), ("canary", 11, True), ("pending", 30, True), ("steady", 86_400, False)],
)
def test_what_nobody_watches_is_stale(phase: str, seconds: int, stale: bool) -> None:
    """Beyond ten seconds a release in flight is not fine; one that has ended needs no watching."""
    shown = card(summary(phase=phase, observed_at=ago(seconds=seconds)), NOW)  # type: ignore[arg-type] # one of the phases
    assert (shown.look == ladder.STALE) is stale
    assert shown.unwatched_since == (ago(seconds=seconds) if stale else None)


def test_a_release_that_was_never_looked_at_becomes_stale_too() -> None:
    """Counted from its deployment, so that a controller that does not run is noticed."""
    fresh = summary(phase="pending", observed_at=None, created_at=ago(seconds=5))
    assert card(fresh, NOW).unwatched_since is None
    assert card(fresh, NOW + timedelta(seconds=6)).unwatched_since == ago(seconds=5)


def test_a_sentence_is_not_said_twice() -> None:
    """The reason and the forecast stand beside the verdict only when it does not hold them."""
    assert card(summary(phase="held"), NOW).why is None
    assert card(summary(phase="held"), NOW).forecast == "Needs about 1,200 more requests, about 6 min at this rate."
    long = card(in_every_phase()[2], NOW)
    assert (long.why, long.forecast) == (None, None)
    assert card(summary(phase="held", verdict="It waits."), NOW).why == "Too little traffic to judge."


def test_every_phase_has_a_look() -> None:
    """A sign and a word of its own for each phase that is not final, so that none is told by colour alone."""
    looks = [look for phase, look in PHASES.items() if phase not in FINAL]
    assert len({look.label for look in PHASES.values()}) == len(PHASES)
    assert len({look.glyph for look in looks}) == len(looks)


def test_what_needs_a_person_comes_first() -> None:
    """Stale, then rolling back, then held, then what climbs, then what bakes; the same order on both pages."""
    releases = in_every_phase()
    cards = sorted((card(one, NOW) for one in releases), key=ladder.worst_first)
    tones = [one.look.tone for one in cards]
    assert list(dict.fromkeys(tones)) == ["stale", "burning", "held", "canary", "ok"]
    assert [one.id for one in moving.marks(releases, NOW)] == [one.id for one in cards]


def test_a_look_that_sees_the_same_makes_the_same_mark() -> None:
    """Only what the landing page says counts, so that a page is not sent what it shows already."""
    before = moving.mark(summary(observed_at=ago(seconds=3)), NOW)
    assert moving.mark(summary(observed_at=ago(seconds=1)), NOW) == before
    assert moving.mark(summary(verdict="Worse."), NOW) != before
    assert moving.mark(summary(observed_at=ago(seconds=60)), NOW) != before


def test_a_services_state_is_about_its_judged_environment() -> None:
    """Of two releases on their way, production counts."""
    staging, production = moving.marks(
        [summary(number=1, environment="staging"), summary(number=2, environment="production")], NOW
    )
    assert moving.of_service([staging, production], "production") is production
    assert moving.of_service([staging], "production") is staging
    assert moving.of_service([], "production") is None
