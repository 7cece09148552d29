"""Functions of time, each of a time that it is given; what time it is comes with the input.

Times are nanoseconds since 1 January 1970 UTC, whole numbers of 64 bits, which is about the years 1678 to 2261. Time
zones are those of the IANA database of the machine, or of the package `tzdata`; one that is not there is an error.
"""

from __future__ import annotations

import re
from datetime import datetime, timedelta
from decimal import Decimal
from functools import lru_cache
from typing import Any, Final
from zoneinfo import ZoneInfo

from companyos_sdk.rego.builtins.arguments import MACHINE, integer, refuse, string
from companyos_sdk.rego.builtins.dates import DAY, BadTimeError, days_before, days_in, read
from companyos_sdk.rego.builtins.layouts import BILLION, NAMED, Moment, weekday, written
from companyos_sdk.rego.builtins.registry import builtin
from companyos_sdk.rego.errors import BuiltinError, LimitExceeded

Value = Any

MAX_LETTERS: Final = 1_000
"""Letters of a time, a layout or a duration."""
_EPOCH = datetime(1970, 1, 1)  # noqa: DTZ001 - the calendar is computed without zones, which are added as seconds
_FARTHEST: Final = 10**9
"""Years, months or days that `time.add_date` counts; with more, OPA's own arithmetic runs over."""
_NAME = re.compile("[A-Za-z0-9_+-]{1,40}(/[A-Za-z0-9_+-]{1,40}){0,3}")
_DURATION = re.compile(r"([0-9]*)(?:\.([0-9]*))?([^0-9.]*)")
_EXTENDED = re.compile("([0-9.]+)(ms|us|µs|ns|[a-z])")
_UNITS: Final = {
    "ns": 1,
    "us": 1_000,
    "µs": 1_000,  # the micro sign
    "μs": 1_000,  # the Greek letter, which Go takes as well
    "ms": 1_000_000,
    "s": BILLION,
    "m": 60 * BILLION,
    "h": 3_600 * BILLION,
}
_LONG_UNITS: Final = {"d": 24, "w": 7 * 24, "y": 365 * 24}


@builtin("time.parse_ns")
def parse_ns(layout: Value, text: Value) -> int:
    """The time in this text, which has the layout given by an example as in Go, or by its name (`RFC822`)."""
    wanted = _short("time.parse_ns", string("time.parse_ns", 1, layout))
    return _parsed("time.parse_ns", NAMED.get(wanted, wanted), string("time.parse_ns", 2, text))


@builtin("time.parse_rfc3339_ns")
def parse_rfc3339_ns(text: Value) -> int:
    """The time in this text, written like 2006-01-02T15:04:05Z."""
    return _parsed("time.parse_rfc3339_ns", NAMED["RFC3339"], string("time.parse_rfc3339_ns", 1, text))


@builtin("time.parse_duration_ns")
def parse_duration_ns(text: Value) -> int:
    """The nanoseconds of a duration such as ``1h45m``, ``-1.5h``, ``300ms`` or ``2w3d``."""
    written_as = _short("time.parse_duration_ns", string("time.parse_duration_ns", 1, text))
    if any(unit in written_as for unit in _LONG_UNITS):
        return _duration(_in_hours(written_as))
    return _duration(written_as)


@builtin("time.format")
def format_(when: Value) -> str:
    """The time as a text: ``ns``, ``[ns, zone]`` or ``[ns, zone, layout]``, without a layout like RFC 3339."""
    ns, zone, layout = _when("time.format", when)
    return written(_moment(ns, zone), NAMED.get(layout, layout) or NAMED["RFC3339Nano"])


@builtin("time.date")
def date(when: Value) -> list[int]:
    """The ``[year, month, day]`` of a time, or of ``[time, zone]``."""
    local = _local("time.date", when)
    return [local.year, local.month, local.day]


@builtin("time.clock")
def clock(when: Value) -> list[int]:
    """The ``[hour, minute, second]`` of a time, or of ``[time, zone]``."""
    local = _local("time.clock", when)
    return [local.hour, local.minute, local.second]


@builtin("time.weekday")
def weekday_(when: Value) -> str:
    """The English name of the day of the week of a time, or of ``[time, zone]``."""
    return weekday(_local("time.weekday", when))


@builtin("time.add_date")
def add_date(when: Value, years: Value, months: Value, days: Value) -> int:
    """The time so many years, months and days later; a day that the month lacks is one of the next month."""
    ns, zone, _ = _when("time.add_date", when)
    moment = _moment(ns, zone)
    more = [integer("time.add_date", position, value) for position, value in enumerate((years, months, days), 2)]
    if any(abs(number) > _FARTHEST for number in more):
        raise _outside("time.add_date")
    local = moment.local
    year, month = divmod(local.year * 12 + local.month - 1 + more[0] * 12 + more[1], 12)
    clock_of_day = local.hour * 3600 + local.minute * 60 + local.second
    seconds = days_before(year, month + 1, local.day + more[2]) * DAY + clock_of_day
    return _within("time.add_date", _to_utc(seconds, zone) * BILLION + moment.nanosecond)


@builtin("time.diff")
def diff(one: Value, two: Value) -> list[int]:
    """The ``[years, months, days, hours, minutes, seconds]`` between two times, in the zone of the first."""
    first, zone, _ = _when("time.diff", one)
    second, _, _ = _when("time.diff", two)
    early, late = _moment(min(first, second), zone).local, _moment(max(first, second), zone).local
    year, month, day = late.year - early.year, late.month - early.month, late.day - early.day
    hour, minute, rest = late.hour - early.hour, late.minute - early.minute, late.second - early.second
    if rest < 0:
        rest, minute = rest + 60, minute - 1
    if minute < 0:
        minute, hour = minute + 60, hour - 1
    if hour < 0:
        hour, day = hour + 24, day - 1
    if day < 0:
        day, month = day + days_in(early.year, early.month), month - 1
    if month < 0:
        month, year = month + 12, year - 1
    return [year, month, day, hour, minute, rest]


def _short(name: str, text: str) -> str:
    if len(text) > MAX_LETTERS:
        raise LimitExceeded(f"{name}: the text has more than {MAX_LETTERS} letters.")
    return text


def _parsed(name: str, layout: str, text: str) -> int:
    try:
        return _within(name, read(layout, _short(name, text)))
    except BadTimeError as fault:
        raise BuiltinError(f"{name}: {fault}.") from None


def _outside(name: str) -> BuiltinError:
    return BuiltinError(f"{name}: the time is outside of what 64 bits of nanoseconds can say.")


def _within(name: str, ns: int) -> int:
    if not -MACHINE <= ns < MACHINE:
        raise _outside(name)
    return ns


def _when(name: str, when: Value) -> tuple[int, ZoneInfo | None, str]:
    """The nanoseconds, the zone (None for UTC) and the layout of an argument in one of its three forms."""
    if type(when) is not list:
        return _ns(name, when), None, ""
    if not when:
        refuse(name, 1, when, "a number, or an array that begins with one")
    ns = _ns(name, when[0])
    zone = _zone(name, string(name, 1, when[1])) if len(when) > 1 else None
    return ns, zone, _short(name, string(name, 1, when[2])) if len(when) > 2 else ""  # noqa: PLR2004 - the third part


def _ns(name: str, value: Value) -> int:
    if type(value) is float and value.is_integer():
        value = int(value)
    if type(value) is not int:
        refuse(name, 1, value, "whole nanoseconds, alone or first in an array")
    return _within(name, value)


def _zone(name: str, text: str) -> ZoneInfo | None:
    if text in {"", "UTC"}:
        return None
    if text == "Local":
        raise BuiltinError(f"{name}: Local is another zone on every machine; name the one that you mean.")
    found = _loaded(text) if _NAME.fullmatch(text) else None
    if found is None:
        raise BuiltinError(f"{name}: there is no time zone {text[:40]!r} on this machine.")
    return found


@lru_cache(maxsize=256)
def _loaded(text: str) -> ZoneInfo | None:
    try:
        return ZoneInfo(text)
    except (KeyError, ValueError, OSError):
        return None


def _moment(ns: int, zone: ZoneInfo | None) -> Moment:
    seconds, nanosecond = divmod(ns, BILLION)
    if zone is None:
        return Moment(_EPOCH + timedelta(seconds=seconds), nanosecond, 0, "UTC")
    there = zone.fromutc((_EPOCH + timedelta(seconds=seconds)).replace(tzinfo=zone))
    return Moment(there.replace(tzinfo=None, fold=0), nanosecond, _seconds(there), there.tzname() or "")


def _local(name: str, when: Value) -> datetime:
    ns, zone, _ = _when(name, when)
    return _moment(ns, zone).local


def _seconds(there: datetime) -> int:
    offset = there.utcoffset()
    return 0 if offset is None else offset.days * DAY + offset.seconds


def _to_utc(local_s: int, zone: ZoneInfo | None) -> int:
    """The moment at which the clocks of the zone show this; as Go decides where they show it twice or never."""
    if zone is None or abs(local_s) > 2 * MACHINE // BILLION:
        return local_s
    offset = _moment(local_s * BILLION, zone).offset
    if offset:
        offset = _moment((local_s - offset) * BILLION, zone).offset
    return local_s - offset


def _in_hours(text: str) -> str:
    """The duration with its days, weeks and years as hours."""
    sign = text[:1] if text[:1] in {"+", "-"} else ""
    made, place = [sign], len(sign)
    while place < len(text) or place == len(sign):
        part = _EXTENDED.match(text, place)
        if part is None:
            raise _no_duration(text)
        digits, unit = part.groups()
        if unit in _LONG_UNITS:
            try:
                hours = float(digits) * _LONG_UNITS[unit]
            except ValueError:
                raise _no_duration(text) from None
            if hours > _FARTHEST:
                raise _no_duration(text)
            made.append(f"{Decimal(repr(hours)):f}h".replace(".0h", "h"))
        else:
            made.append(part.group())
        place = part.end()
    return "".join(made)


def _duration(text: str) -> int:
    sign = text[:1] if text[:1] in {"+", "-"} else ""
    if text[len(sign) :] == "0":
        return 0
    total, place = 0, len(sign)
    while place < len(text) or place == len(sign):
        part = _DURATION.match(text, place)
        if part is None or not (part[1] or part[2]) or part[3] not in _UNITS:
            raise _no_duration(text)
        unit = _UNITS[part[3]]
        total += int(part[1] or 0) * unit + _fraction(part[2] or "", unit)
        if total > MACHINE:
            raise _no_duration(text)
        place = part.end()
    if total == MACHINE and sign != "-":
        raise _no_duration(text)
    return -total if sign == "-" else total


def _fraction(digits: str, unit: int) -> int:
    """The part of a unit after the point, rounded as Go does: with the digits that fit 63 bits, in floating point."""
    number, scale = 0, 1.0
    for digit in digits:
        if number > (MACHINE - 1) // 10 or number * 10 + int(digit) > MACHINE:
            break
        number, scale = number * 10 + int(digit), scale * 10
    return int(float(number) * (float(unit) / scale))


def _no_duration(text: str) -> BuiltinError:
    return BuiltinError(f"time.parse_duration_ns: {text[:40]!r} is no duration of 64 bits of nanoseconds, like 1h30m.")
