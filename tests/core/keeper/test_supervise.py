from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from companyos.core.keeper.supervise import Backoff, Rest, RestartAt, after_exit

RULE = Backoff(first_s=1.0, factor=2.0, limit_s=8.0, healthy_s=20.0)


@pytest.mark.parametrize(("failures", "delay_s"), [(0, 1.0), (1, 2.0), (2, 4.0), (3, 8.0), (4, 8.0), (100_000, 8.0)])
def test_delay_doubles_up_to_the_limit(failures: int, delay_s: float) -> None:
    """Each failure in a row doubles the wait before the restart, up to the limit, however many there were."""
    decision = after_exit("always", failures=failures, ran_s=0.1, now=100.0, backoff=RULE)
    assert decision == RestartAt(100.0 + delay_s, failures + 1)


def test_healthy_run_forgets_the_failures_before_it() -> None:
    """A child that ran long enough is restarted after the first delay again."""
    assert after_exit("always", failures=7, ran_s=20.0, now=5.0, backoff=RULE) == RestartAt(6.0, 1)
    assert after_exit("always", failures=7, ran_s=19.9, now=5.0, backoff=RULE) == RestartAt(13.0, 8)


def test_child_that_is_started_once_rests() -> None:
    """`restart="never"` leaves the child ended, also after a long run."""
    assert isinstance(after_exit("never", failures=0, ran_s=1e6, now=0.0), Rest)


def test_child_without_a_known_environment_rests() -> None:
    """Nothing is restarted with a guessed environment."""
    decision = after_exit("always", failures=0, ran_s=1.0, now=0.0, startable=False)
    assert isinstance(decision, Rest)
    assert "environment" in decision.reason


@given(
    failures=st.integers(0, 10**6),
    ran_s=st.floats(0, 1e9),
    now=st.floats(0, 1e9),
    factor=st.floats(1, 10),
    first_s=st.floats(0.01, 10),
)
def test_restart_is_never_in_the_past_nor_beyond_the_limit(
    failures: int, ran_s: float, now: float, factor: float, first_s: float
) -> None:
    """Whatever the history, the restart lies between now and now plus the limit, and failures count from one."""
    rule = Backoff(first_s=first_s, factor=factor, limit_s=30.0, healthy_s=20.0)
    decision = after_exit("always", failures=failures, ran_s=ran_s, now=now, backoff=rule)
    assert isinstance(decision, RestartAt)
    assert now <= decision.at <= now + 30.0
    assert decision.failures >= 1
    assert math.isfinite(decision.at)
