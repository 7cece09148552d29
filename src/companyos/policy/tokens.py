"""Callers by the token that they have shown a moment ago, so that the hot path does not ask the database each time.

A token that was revoked, or whose owner was suspended, stops within a second: behind half of it the token is looked at
again while it still counts, and behind all of it, it has to be shown to the database first.
"""

from __future__ import annotations

import hashlib
from collections import OrderedDict
from collections.abc import Callable
from typing import Final, NamedTuple

from companyos.core.access import Caller

SOFT_S: Final = 0.4
HARD_S: Final = 1.0
KEPT: Final = 10_000


class Shown:
    """A token that was good."""

    __slots__ = ("at", "caller", "claimed")

    def __init__(self, caller: Caller, at: float) -> None:
        """Take whose it is, and when it was looked at."""
        self.caller = caller
        self.at = at
        self.claimed = False


class Known(NamedTuple):
    """A token that still counts."""

    caller: Caller
    aged: bool
    """Whether it is time to look at it again."""


class Tokens:
    """The tokens of the last second; for one event loop."""

    def __init__(self, monotonic: Callable[[], float]) -> None:
        """Take what tells the seconds."""
        self._monotonic = monotonic
        self._shown: OrderedDict[bytes, Shown] = OrderedDict()

    def now(self) -> float:
        """Return the present moment on the scale on which tokens grow old."""
        return self._monotonic()

    def put(self, header: bytes, caller: Caller, at: float) -> None:
        """Note that the database found this header good; ``at`` is a moment before it was asked."""
        key = _key(header)
        self._shown[key] = Shown(caller, at)
        self._shown.move_to_end(key)
        while len(self._shown) > KEPT:
            self._shown.popitem(last=False)

    def drop(self, header: bytes) -> None:
        """Forget a header that is not good any more."""
        self._shown.pop(_key(header), None)

    def claim(self, header: bytes) -> bool:
        """Tell whether nobody looks at this token again already; from then on, the asker does."""
        shown = self._shown.get(_key(header))
        if shown is None or shown.claimed:
            return False
        shown.claimed = True
        return True

    def find(self, header: bytes) -> Known | None:
        """Return whose header this is; None when the database must be asked first."""
        shown = self._shown.get(_key(header))
        if shown is None:
            return None
        age = self._monotonic() - shown.at
        return None if age >= HARD_S else Known(shown.caller, age >= SOFT_S)


def _key(header: bytes) -> bytes:
    """Return what is kept instead of the secret."""
    return hashlib.sha256(header).digest()
