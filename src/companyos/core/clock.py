"""Time as an argument: decisions take ``now``; only the edges own a clock."""

from __future__ import annotations

import time
from datetime import UTC, datetime, timedelta
from typing import Protocol

from companyos.core.errors import InvalidInput


class Clock(Protocol):
    """What tells the time."""

    def now(self) -> datetime:
        """Return the wall-clock time, aware, in UTC."""
        ...

    def monotonic(self) -> float:
        """Return seconds that never go back, from an arbitrary start."""
        ...


class SystemClock:
    """The machine's own clock."""

    def now(self) -> datetime:
        """Return the present moment in UTC."""
        return datetime.now(UTC)

    def monotonic(self) -> float:
        """Return the machine's monotonic seconds."""
        return time.monotonic()


class ManualClock:
    """A clock that a test moves by hand."""

    def __init__(self, start: datetime = datetime(2026, 1, 1, tzinfo=UTC)) -> None:
        """Start at the given aware moment."""
        self._now = start
        self._elapsed = 0.0

    def now(self) -> datetime:
        """Return the moment that the test has set."""
        return self._now

    def monotonic(self) -> float:
        """Return the seconds that the test has let pass."""
        return self._elapsed

    def advance(self, seconds: float) -> None:
        """Let the given seconds pass; a negative number is refused."""
        if seconds < 0:
            raise ValueError("time only moves forward")
        self._now += timedelta(seconds=seconds)
        self._elapsed += seconds


def rfc3339(moment: datetime) -> str:
    """Return an aware moment as RFC 3339 in UTC with microseconds, for example ``2026-01-01T00:00:00.000000Z``.

    The width is constant, so the texts sort as the moments do. Raises ValueError for a naive moment.
    """
    if moment.tzinfo is None:
        raise ValueError("a moment needs a time zone")
    return moment.astimezone(UTC).replace(tzinfo=None).isoformat(timespec="microseconds") + "Z"


def in_utc(moment: datetime, *, field: str) -> datetime:
    """Return a moment that somebody has sent in UTC, or raise InvalidInput when it is naive or off the calendar."""
    try:
        if moment.tzinfo is None:
            raise ValueError("no time zone")
        return moment.astimezone(UTC)
    except (ValueError, OverflowError) as fault:
        raise InvalidInput(
            f"{field} is no moment in time with a time zone.",
            next_step="Write it like 2026-01-31T12:00:00Z.",
            field=field,
        ) from fault
