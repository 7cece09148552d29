"""Times written and read by an example of a time: the layouts of Go, which `time.format` and `time.parse_ns` take.

A layout shows how the moment ``Mon Jan 2 15:04:05.000000000 -0700 MST 2006`` would be written. Everything in it that is
no part of that moment stands for itself. (Go: package time, "Layout".)
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from functools import lru_cache
from typing import Final

NAMED: Final = {
    "ANSIC": "Mon Jan _2 15:04:05 2006",
    "UnixDate": "Mon Jan _2 15:04:05 MST 2006",
    "RubyDate": "Mon Jan 02 15:04:05 -0700 2006",
    "RFC822": "02 Jan 06 15:04 MST",
    "RFC822Z": "02 Jan 06 15:04 -0700",
    "RFC850": "Monday, 02-Jan-06 15:04:05 MST",
    "RFC1123": "Mon, 02 Jan 2006 15:04:05 MST",
    "RFC1123Z": "Mon, 02 Jan 2006 15:04:05 -0700",
    "RFC3339": "2006-01-02T15:04:05Z07:00",
    "RFC3339Nano": "2006-01-02T15:04:05.999999999Z07:00",
}
"""The layouts that have a name."""
WEEKDAYS: Final = ("Sunday", "Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday")
MONTHS: Final = (
    "January",
    "February",
    "March",
    "April",
    "May",
    "June",
    "July",
    "August",
    "September",
    "October",
    "November",
    "December",
)
BILLION: Final = 1_000_000_000

# In the order in which Go looks at each place. The lookaheads are its rules too: "Jan" is no month inside "Janus", and
# a fraction ends where the digits end.
_PART = re.compile(
    "January|Jan(?![a-z])|Monday|Mon(?![a-z])|MST|0[1-6]|002|15|1|2006|2|_2(?!006)|__2|3|4|5|PM|pm"
    "|-070000|-07:00:00|-0700|-07:00|-07|Z070000|Z07:00:00|Z0700|Z07:00|Z07|[.,](?:0+|9+)(?![0-9])"
)


@dataclass(frozen=True, slots=True)
class Moment:
    """A moment as the clock and the calendar of a place show it."""

    local: datetime
    """Without a time zone, to the second."""
    nanosecond: int
    offset: int
    """Seconds east of UTC."""
    zone: str
    """How the place calls its time then, like CEST."""


@lru_cache(maxsize=256)
def parts(layout: str) -> tuple[tuple[str, str], ...]:
    """The layout as pairs of text that stands for itself and the part after it; the last part is empty."""
    made: list[tuple[str, str]] = []
    end = 0
    for found in _PART.finditer(layout):
        made.append((layout[end : found.start()], found.group()))
        end = found.end()
    made.append((layout[end:], ""))
    return tuple(made)


def written(moment: Moment, layout: str) -> str:
    """The moment in this layout."""
    return "".join(text + (_written(moment, part) if part else "") for text, part in parts(layout))


def is_fraction(part: str) -> bool:
    """Whether this part of a layout is a fraction of a second."""
    return part[:1] in {".", ","}


def is_offset(part: str) -> bool:
    """Whether this part of a layout is a distance from UTC in digits."""
    return part[:1] in {"-", "Z"}


def _written(moment: Moment, part: str) -> str:
    simple = _SIMPLE.get(part)
    if simple is not None:
        return simple(moment.local)
    if is_fraction(part):
        return _fraction(moment.nanosecond, part)
    if part == "MST":
        return moment.zone or _offset(moment.offset, "-0700")
    return _offset(moment.offset, part)


def _fraction(nanosecond: int, part: str) -> str:
    digits = f"{nanosecond:09d}"[: len(part) - 1]
    if part[1] == "0":
        return part[0] + digits
    digits = digits.rstrip("0")
    return part[0] + digits if digits else ""


def _offset(offset: int, part: str) -> str:
    if part[0] == "Z" and offset == 0:
        return "Z"
    minutes, seconds = divmod(abs(offset), 60)
    sign = "-" if offset < 0 and minutes else "+"
    between = ":" if ":" in part else ""
    text = f"{sign}{minutes // 60:02d}"
    if len(part) > len("-07"):
        text += f"{between}{minutes % 60:02d}"
    if len(part) > len("-07:00"):
        text += f"{between}{seconds:02d}"
    return text


def weekday(local: datetime) -> str:
    """The English name of the day of the week."""
    return WEEKDAYS[local.isoweekday() % 7]


def _yearday(local: datetime) -> int:
    return local.timetuple().tm_yday


_SIMPLE: Final[dict[str, Callable[[datetime], str]]] = {
    "January": lambda local: MONTHS[local.month - 1],
    "Jan": lambda local: MONTHS[local.month - 1][:3],
    "1": lambda local: str(local.month),
    "01": lambda local: f"{local.month:02d}",
    "Monday": weekday,
    "Mon": lambda local: weekday(local)[:3],
    "2": lambda local: str(local.day),
    "_2": lambda local: f"{local.day:2d}",
    "02": lambda local: f"{local.day:02d}",
    "__2": lambda local: f"{_yearday(local):3d}",
    "002": lambda local: f"{_yearday(local):03d}",
    "15": lambda local: f"{local.hour:02d}",
    "3": lambda local: str(local.hour % 12 or 12),
    "03": lambda local: f"{local.hour % 12 or 12:02d}",
    "4": lambda local: str(local.minute),
    "04": lambda local: f"{local.minute:02d}",
    "5": lambda local: str(local.second),
    "05": lambda local: f"{local.second:02d}",
    "2006": lambda local: f"{local.year:04d}",
    "06": lambda local: f"{local.year % 100:02d}",
    "PM": lambda local: "PM" if local.hour >= 12 else "AM",  # noqa: PLR2004 - noon
    "pm": lambda local: "pm" if local.hour >= 12 else "am",  # noqa: PLR2004 - noon
}
