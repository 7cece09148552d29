from datetime import datetime, timedelta

import pytest
from hypothesis import given

from companyos.tower.condition import CLOCK_SKEW, judge
from companyos.tower.model import IncidentMark, State, TowerRow
from tests.tower.rows import DAY, NOW, ago, any_row, arm, fine, held, incident, moments


def test_a_service_that_nothing_was_reported_of_is_not_green() -> None:
    """Without one observation the answer is "No data", whatever the catalog says of it."""
    told = judge(TowerRow(name="new", owner="team", domain="d", recorded_at=ago(days=1)), NOW, DAY)
    assert (told.state, told.label, told.since) == (State.STALE, "No data", ago(days=1))
    assert told.why == "Nothing has reported a deployment yet."


def test_a_recent_observation_with_nothing_against_it_is_ok() -> None:
    """Ok names what was seen running and where, and when time alone will end it."""
    told = judge(fine(), NOW, DAY)
    assert (told.state, told.why) == (State.OK, "1.4.2 runs in production; no incident and no hold.")
    assert told.until == ago(minutes=1) + DAY
    assert told.lapses_to_stale


@pytest.mark.parametrize(
    ("observed_at", "state"),
    [
        pytest.param(NOW - DAY + timedelta(seconds=1), State.OK, id="a second before the threshold"),
        pytest.param(NOW - DAY, State.STALE, id="at the threshold"),
        pytest.param(NOW - 9 * DAY, State.STALE, id="long ago"),
        pytest.param(NOW + CLOCK_SKEW, State.OK, id="a clock that is a little ahead"),
        pytest.param(NOW + CLOCK_SKEW + timedelta(seconds=1), State.STALE, id="from the future"),
    ],
)
def test_an_observation_counts_only_while_it_is_recent(observed_at: datetime, state: State) -> None:
    """Too old and from the future are both no proof that something runs."""
    row = fine(observed_at=observed_at, arms=(arm(seen=observed_at),))
    assert judge(row, NOW, DAY).state is state


def test_a_canary_is_named_beside_the_stable_version() -> None:
    """A second arm means that a release is moving."""
    row = fine(arms=(arm(), arm("canary", version="1.5.0", since=ago(minutes=4))))
    told = judge(row, NOW, DAY)
    assert (told.state, told.since) == (State.CANARY, ago(minutes=4))
    assert told.why == "1.5.0 runs as canary beside 1.4.2 in production."


def test_a_hold_counts_until_it_ends_by_itself() -> None:
    """The verdict says when it lapses, and is another one from that moment on."""
    row = fine(holds=(held(until=NOW + timedelta(hours=1)),))
    told = judge(row, NOW, DAY)
    assert (told.state, told.holds, told.until) == (State.HELD, 1, NOW + timedelta(hours=1))
    assert told.why == "Releases held: CVE over budget."
    assert told.until is not None
    assert judge(row, told.until, DAY).state is State.OK


def test_the_worst_finding_wins() -> None:
    """A critical incident stands before a hold, a canary and an old observation."""
    row = fine(
        observed_at=NOW - 9 * DAY,
        holds=(held(), held()),
        incidents=(incident(), incident("sev1", title="Payments are down")),
    )
    told = judge(row, NOW, DAY)
    assert (told.state, told.holds, told.incidents) == (State.DOWN, 2, 2)
    assert told.why == "Sev1 incident: Payments are down and 1 more."


@pytest.mark.parametrize(
    ("open_incident", "why"),
    [
        pytest.param(incident("sev2"), "Sev2 incident: Checkout answers 502.", id="not the worst severity"),
        pytest.param(
            incident("sev1", mitigated=True), "Sev1 incident, mitigated: Checkout answers 502.", id="mitigated"
        ),
    ],
)
def test_an_incident_that_is_not_critical_burns(open_incident: IncidentMark, why: str) -> None:
    """Down is kept for what is down."""
    told = judge(fine(incidents=(open_incident,)), NOW, DAY)
    assert (told.state, told.why) == (State.BURNING, why)


@given(any_row(), moments)
def test_a_verdict_stands_until_the_moment_it_names(row: TowerRow, now: datetime) -> None:
    """Between now and ``until`` nothing changes by time, so a page may keep the verdict that long."""
    told = judge(row, now, DAY)
    if told.until is None:
        later = now + 1000 * DAY
    else:
        assert told.until > now
        later = told.until - timedelta(microseconds=1)
    again = judge(row, later, DAY)
    assert (again.state, again.why, again.holds, again.until) == (told.state, told.why, told.holds, told.until)


@given(any_row(), moments)
def test_ok_always_rests_on_a_recent_observation(row: TowerRow, now: datetime) -> None:
    """No combination of facts makes a service green that was not seen lately or has something against it."""
    told = judge(row, now, DAY)
    if told.state is State.OK:
        assert row.observed_at is not None
        assert now - DAY < row.observed_at <= now + CLOCK_SKEW
        assert not row.incidents
        assert not told.holds
