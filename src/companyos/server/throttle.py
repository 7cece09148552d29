"""How many failed sign-ins are answered before a caller must wait: a sliding window, in a table that cannot grow."""

from __future__ import annotations

import math
from collections import OrderedDict
from typing import TYPE_CHECKING, Final

from companyos.core.errors import TooManyRequests

if TYPE_CHECKING:
    from companyos.core.clock import Clock

WINDOW_S: Final = 60.0
TABLE_LIMIT: Final = 4096


def wait_s(failures: tuple[float, ...], now: float, limit: int) -> float:
    """Return the seconds until another failure would be answered, 0 when it is at once.

    ``failures`` are moments in seconds, oldest first. At most ``limit`` of them fit into any window of ``WINDOW_S``.
    """
    recent = within(failures, now)
    return 0.0 if len(recent) < limit else recent[-limit] + WINDOW_S - now


def within(failures: tuple[float, ...], now: float) -> tuple[float, ...]:
    """Return the failures that are still inside the window."""
    return tuple(moment for moment in failures if moment > now - WINDOW_S)


class Throttle:
    """The failures of this process, by key (an address, a token id); used from the event loop only.

    It bounds noise and work. A secret has 256 bits, so there is nothing to protect from guessing, and a caller with a
    good credential is never made to wait for the failures of another one at the same address.
    """

    def __init__(self, clock: Clock, limit: int, *, table_limit: int = TABLE_LIMIT) -> None:
        """Take how many failures a minute are answered for one key."""
        self._clock = clock
        self._limit = limit
        self._table_limit = table_limit
        self._failures: OrderedDict[str, tuple[float, ...]] = OrderedDict()

    def __len__(self) -> int:
        return len(self._failures)

    def failed(self, *keys: str) -> None:
        """Count one failure for each key, or raise TooManyRequests when one of them has to wait."""
        now = self._clock.monotonic()
        longest = max(wait_s(self._failures.get(key, ()), now, self._limit) for key in keys)
        if longest > 0:
            raise TooManyRequests("Too many failed sign-ins.", retry_after_s=math.ceil(longest))
        for key in keys:
            self._failures[key] = (*within(self._failures.get(key, ()), now), now)
            self._failures.move_to_end(key)
        while len(self._failures) > self._table_limit:
            self._failures.popitem(last=False)
