"""The clocks of a decider, and how long a bundle counts as confirmed by them."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Final

_NS: Final = 1_000_000_000


class Clock:
    """The machine's clocks in nanoseconds: since 1970, and one that never goes back."""

    def __init__(
        self, wall_ns: Callable[[], int] = time.time_ns, monotonic_ns: Callable[[], int] = time.perf_counter_ns
    ) -> None:
        self.wall_ns = wall_ns
        self.monotonic_ns = monotonic_ns


class Freshness:
    """Until when the bundle counts as confirmed. The one that refreshes moves it on; deciders only look."""

    def __init__(self, max_stale_s: float | None, clock: Clock) -> None:
        """Count from now; with None a bundle never becomes stale."""
        self.max_stale_s = max_stale_s
        self.until: tuple[int, int] | None = None
        """By the wall clock and by the monotonic one; whichever passes first makes the bundle stale, because the first
        may be set back and the second stands still while the machine sleeps."""
        self._clock = clock
        self.confirm()

    def confirm(self, age_s: float = 0.0) -> None:
        """The bundle is the one that should be active, as of ``age_s`` seconds ago."""
        if self.max_stale_s is not None:
            room = int((self.max_stale_s - age_s) * _NS)
            self.until = (self._clock.wall_ns() + room, self._clock.monotonic_ns() + room)
