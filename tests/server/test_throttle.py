from __future__ import annotations

from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from companyos.core.clock import ManualClock
from companyos.core.errors import TooManyRequests
from companyos.server.throttle import WINDOW_S, Throttle, wait_s

moments = st.lists(st.floats(0, 300), max_size=30).map(lambda values: tuple(sorted(values)))


@given(moments, st.floats(300, 400), st.integers(1, 12))
def test_the_wait_ends_exactly_when_the_window_has_room(failures: tuple[float, ...], now: float, limit: int) -> None:
    """After the wait there is room, and a moment before it there is none; without a wait there is room now."""
    wait = wait_s(failures, now, limit)

    def recent(at: float) -> int:
        return sum(moment > at - WINDOW_S for moment in failures)

    assert wait >= 0
    if wait == 0:
        assert recent(now) < limit
    else:
        assert recent(now) >= limit
        assert recent(now + wait + 1e-6) < limit


@given(st.lists(st.floats(0, 20), min_size=1, max_size=60), st.integers(1, 5))
def test_no_window_ever_answers_more_failures_than_the_limit(pauses: list[float], limit: int) -> None:
    """However failures come, no sixty seconds contain more answered ones than the limit."""
    clock = ManualClock()
    throttle = Throttle(clock, limit)
    answered: list[float] = []
    for pause in pauses:
        clock.advance(pause)
        with suppress(TooManyRequests):
            throttle.failed("address")
            answered.append(clock.monotonic())
    for start in answered:
        assert sum(start <= moment < start + WINDOW_S for moment in answered) <= limit


def test_one_of_several_keys_is_enough_to_wait() -> None:
    """A token id that failed too often waits at every address, and other tokens there do not."""
    throttle = Throttle(ManualClock(), 2)
    throttle.failed("address a", "token 1")
    throttle.failed("address b", "token 1")
    with pytest.raises(TooManyRequests):
        throttle.failed("address c", "token 1")
    throttle.failed("address c", "token 2")


def test_the_table_is_bounded() -> None:
    """However many addresses fail, the table keeps the newest and no more."""
    throttle = Throttle(ManualClock(), 2, table_limit=10)
    for number in range(1000):
        throttle.failed(f"address {number}")
    assert len(throttle) == 10
