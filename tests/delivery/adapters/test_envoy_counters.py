"""Comparing counters with lines: pure, over made-up time."""

from __future__ import annotations

from companyos.delivery.adapters.envoy.counters import LATE_S, SHOWN_S, Reconciliation, Sample


def looks(
    reconciliation: Reconciliation, *, since: float, seconds: float, lines: int, ended: int, uptime: int = 100
) -> float:
    """Look four times a second with the same numbers and return the time after."""
    now = since
    while now < since + seconds:
        reconciliation.observe(now, lines, Sample(uptime + int(now), ended, {}))
        now += 0.25
    return now


def test_what_was_there_before_is_the_base() -> None:
    """A new process neither misses old lines nor finds them."""
    reconciliation = Reconciliation(0)
    now = looks(reconciliation, since=0, seconds=10, lines=0, ended=5000)
    assert reconciliation.lost(now) is None


def test_lines_that_come_a_little_later_are_not_missing() -> None:
    """Envoy writes them within a flush."""
    reconciliation = Reconciliation(0)
    ended = 0
    for step in range(400):
        now = step * 0.25
        reconciliation.observe(now, max(0, ended - 5), Sample(100, ended, {}))
        ended += 50
        assert reconciliation.lost(now) is None


def test_a_gap_that_stays_is_told_with_its_size_and_once() -> None:
    """It is no loss for ever: later requests are all there."""
    reconciliation = Reconciliation(0)
    now = looks(reconciliation, since=0, seconds=3, lines=100, ended=100)
    now = looks(reconciliation, since=now, seconds=LATE_S + 1, lines=100, ended=107)
    assert "7 requests" in str(reconciliation.lost(now))
    now = looks(reconciliation, since=now, seconds=SHOWN_S + LATE_S, lines=100, ended=107)
    assert reconciliation.lost(now) is None
    now = looks(reconciliation, since=now, seconds=LATE_S + 1, lines=100, ended=109)
    assert "2 requests" in str(reconciliation.lost(now))


def test_a_loss_that_goes_on_is_told_as_long_as_it_does() -> None:
    """No pause in between would let a release go on."""
    reconciliation = Reconciliation(0)
    looks(reconciliation, since=0, seconds=3, lines=0, ended=0)
    for step in range(100):
        now = 3 + step * 0.25
        reconciliation.observe(now, 0, Sample(100, step, {}))
        if step > 10:
            assert reconciliation.lost(now)


def test_one_sample_that_is_ahead_is_no_gap() -> None:
    """The two counters behind the number are not read in one moment."""
    reconciliation = Reconciliation(0)
    now = looks(reconciliation, since=0, seconds=3, lines=100, ended=100)
    reconciliation.observe(now, 100, Sample(200, 101, {}))
    now = looks(reconciliation, since=now + 0.25, seconds=5, lines=100, ended=100, uptime=200)
    assert reconciliation.lost(now) is None


def test_another_envoy_is_told_and_is_a_new_base() -> None:
    """Its counters begin at nothing."""
    reconciliation = Reconciliation(0)
    now = looks(reconciliation, since=0, seconds=3, lines=100, ended=100)
    reconciliation.observe(now, 100, Sample(0, 3, {}, connection=2))
    assert "started again" in str(reconciliation.lost(now))
    for step in range(40):
        now += 0.25
        reconciliation.observe(now, 100, Sample(step // 4, 3, {}, connection=2))
    assert reconciliation.lost(now) is None


def test_an_envoy_that_ended_in_its_first_second_is_noticed() -> None:
    """It tells its age in whole seconds, and its counters may have overtaken the old ones."""
    reconciliation = Reconciliation(0)
    reconciliation.observe(0, 1, Sample(0, 1, {}, connection=1))
    reconciliation.observe(0.5, 5, Sample(0, 20, {}, connection=2))
    assert "started again" in str(reconciliation.lost(0.5))


def test_a_lost_connection_to_the_same_envoy_is_no_restart() -> None:
    """It is as old as it should be."""
    reconciliation = Reconciliation(0)
    now = looks(reconciliation, since=0, seconds=3, lines=100, ended=100)
    reconciliation.observe(now, 100, Sample(103, 100, {}, connection=2))
    assert reconciliation.lost(now) is None


def test_counters_that_cannot_be_read_for_long_are_a_loss() -> None:
    """Nobody could say whether a request is missing."""
    reconciliation = Reconciliation(0)
    now = looks(reconciliation, since=0, seconds=1, lines=0, ended=0)
    reconciliation.missed(now)
    assert reconciliation.lost(now) is None
    reconciliation.missed(now + LATE_S)
    assert "cannot be read" in str(reconciliation.lost(now + LATE_S))
