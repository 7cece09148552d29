"""How an age is said: one short word, the same on the server and in ``tower.js``."""

from __future__ import annotations

from datetime import datetime
from typing import Final

_STEPS: Final = ((60, 1, "s"), (3600, 60, "min"), (172_800, 3600, "h"), (None, 86_400, "d"))


def age(moment: datetime, now: datetime) -> str:
    """Return the time since a moment in its largest unit, as ``4 min``; a moment ahead of now gives ``0 s``."""
    seconds = max(0, int((now - moment).total_seconds()))
    divisor, unit = next((divisor, unit) for limit, divisor, unit in _STEPS if limit is None or seconds < limit)
    return f"{seconds // divisor} {unit}"


def stamp(moment: datetime) -> str:
    """Return a moment in UTC to the second, as ``<time datetime>`` takes it."""
    return moment.strftime("%Y-%m-%dT%H:%M:%SZ")


def spoken(moment: datetime) -> str:
    """Return a moment in UTC for a person, for example ``22 Nov 2026, 14:02 UTC``."""
    return f"{moment.day} {moment.strftime('%b %Y, %H:%M UTC')}"
