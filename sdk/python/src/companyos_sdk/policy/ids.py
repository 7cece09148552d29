"""Audit ids and the time of a decision, cheap enough to make one for each.

Both hold the millisecond, so what is the same within one is made once. The random digits come from a pool that is
filled from the system's source and emptied in a child after a fork, so that two processes never share an id.
"""

from __future__ import annotations

import os
import time
from collections import deque
from typing import Final

_FILL: Final = 512
_MILLION: Final = 1_000_000
_VARIANT: Final = str.maketrans("0123456789abcdef", "89ab89ab89ab89ab")

_tails: deque[str] = deque()
_moment: tuple[int, str, str] = (-1, "", "")


def stamp(wall_ns: int) -> tuple[str, str]:
    """A fresh UUIDv7 (RFC 9562 §5.7) and the same moment as RFC 3339 in UTC with milliseconds.

    Takes nanoseconds since 1970. Safe between threads: the pool gives each entry once.
    """
    global _moment  # noqa: PLW0603 - the texts of the present millisecond, put in place as one tuple
    millisecond, head, moment = _moment
    now = wall_ns // _MILLION
    if now != millisecond:
        digits = f"{now & 0xFFFF_FFFF_FFFF:012x}"
        head, moment = f"{digits[:8]}-{digits[8:]}-7", rfc3339(now)
        _moment = (now, head, moment)
    try:
        return head + _tails.pop(), moment
    except IndexError:
        return head + _filled(), moment


def rfc3339(millisecond: int) -> str:
    """Milliseconds since 1970 as RFC 3339 in UTC, for example ``2026-01-01T00:00:00.000Z``."""
    seconds, rest = divmod(millisecond, 1000)
    year, month, day, hour, minute, second, *_ = time.gmtime(seconds)
    return f"{year:04d}-{month:02d}-{day:02d}T{hour:02d}:{minute:02d}:{second:02d}.{rest:03d}Z"


def _filled() -> str:
    """One tail of an id for the caller; the others go into the pool."""
    digits = os.urandom(10 * _FILL).hex()
    made = []
    for start in range(0, 20 * _FILL, 20):
        part = digits[start : start + 20]
        made.append(f"{part[:3]}-{part[3].translate(_VARIANT)}{part[4:7]}-{part[7:19]}")
    last = made.pop()
    _tails.extend(made)
    return last


os.register_at_fork(after_in_child=_tails.clear)
