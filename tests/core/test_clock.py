from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from companyos.core.clock import ManualClock, SystemClock, rfc3339


def test_the_system_clock_is_aware_and_moves() -> None:
    """The machine's clock gives aware UTC moments and monotonic seconds that do not go back."""
    clock = SystemClock()
    first, start = clock.now(), clock.monotonic()
    assert first.utcoffset() == timedelta(0)
    assert clock.monotonic() >= start


def test_a_manual_clock_moves_only_forward() -> None:
    """A test's clock stands still until it is told to move, and cannot be turned back."""
    clock = ManualClock(datetime(2026, 3, 1, tzinfo=UTC))
    clock.advance(90)
    assert clock.now() == datetime(2026, 3, 1, 0, 1, 30, tzinfo=UTC)
    assert clock.monotonic() == 90
    with pytest.raises(ValueError, match="forward"):
        clock.advance(-1)


@given(
    st.lists(
        st.datetimes(
            datetime(1, 1, 3),  # noqa: DTZ001 - hypothesis adds the zone
            datetime(9999, 12, 29),  # noqa: DTZ001 - hypothesis adds the zone
            timezones=st.sampled_from([UTC, timezone(timedelta(hours=5, minutes=30))]),
        ),
        min_size=2,
        max_size=2,
    )
)
def test_texts_of_moments_sort_as_the_moments_do(moments: list[datetime]) -> None:
    """RFC 3339 texts have one width and keep the order of the moments, whatever zone they came in."""
    assert sorted(moments) == sorted(moments, key=rfc3339)
    assert datetime.fromisoformat(rfc3339(moments[0])) == moments[0]


def test_a_naive_moment_has_no_text() -> None:
    """A moment without a zone is refused instead of guessed."""
    with pytest.raises(ValueError, match="time zone"):
        rfc3339(datetime(2026, 1, 1))  # noqa: DTZ001 - the naive moment is the point
