"""Reading a time by a layout of Go, and the calendar that this needs."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from companyos_sdk.rego.builtins.layouts import BILLION, MONTHS, WEEKDAYS, is_fraction, is_offset, parts

DAY: Final = 86_400
"""Seconds of a day."""
_PIVOT: Final = 69
"""Two digits of a year from here on are of the last century."""
_MIXED_CASE: Final = ("ChST", "MeST")
"""The zones with a lower-case letter."""
_DAYS: Final = (31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31)
_NUMBER = re.compile("[0-9]{1,2}")
_TWO = re.compile("[0-9]{2}")
_YEARDAY = re.compile("[0-9]{1,3}")
_FRACTION = re.compile("[.,][0-9]+")
_ZONE = re.compile("[A-Z]{0,6}")
_SIGNED = re.compile("[+-]([0-9]+)")
_OFFSETS: Final = {
    3: re.compile("([+-])([0-9]{2})"),
    5: re.compile("([+-])([0-9]{2})([0-9]{2})"),
    6: re.compile("([+-])([0-9]{2}):([0-9]{2})"),
    7: re.compile("([+-])([0-9]{2})([0-9]{2})([0-9]{2})"),
    9: re.compile("([+-])([0-9]{2}):([0-9]{2}):([0-9]{2})"),
}


class BadTimeError(ValueError):
    """A text that does not fit its layout, or names no time of the calendar."""


@dataclass(slots=True)
class _Found:
    year: int = 0
    month: int = -1
    day: int = -1
    yearday: int = -1
    hour: int = 0
    minute: int = 0
    second: int = 0
    nanosecond: int = 0
    afternoon: bool | None = None
    utc: bool = False
    """The text says UTC, which counts more than any distance from it."""
    offset: int = 0


def read(layout: str, text: str) -> int:
    """Nanoseconds since 1970 of the time in this text, which is UTC unless it says otherwise.

    A name of a zone that is not UTC counts as UTC, as in a Go process whose own zone is UTC. Raises BadTimeError.
    """
    found = _Found()
    place = 0
    steps = parts(layout)
    for step, (literal, part) in enumerate(steps):
        place = _skip(text, place, literal)
        if part:
            place = _take(found, part, text, place)
            if part in {"5", "05"} and not is_fraction(steps[step + 1][1]) and (more := _FRACTION.match(text, place)):
                found.nanosecond, place = _nanoseconds(more.group()), more.end()
    if place != len(text):
        raise BadTimeError(f"something follows the time: {text[place : place + 20]!r}")
    return _nanoseconds_since_1970(found)


def days_before(year: int, month: int, day: int) -> int:
    """Days from 1 January 1970 to this day of the Gregorian calendar, for any year and any day."""
    year -= month <= 2  # noqa: PLR2004 - counted from March, so that the leap day comes last
    since_march = (month + 9) % 12
    return 365 * year + year // 4 - year // 100 + year // 400 + (153 * since_march + 2) // 5 + day - 719_469


def days_in(year: int, month: int) -> int:
    """Days of a month."""
    return _DAYS[month - 1] + (month == 2 and _leap(year))  # noqa: PLR2004 - February


def _leap(year: int) -> bool:
    return year % 4 == 0 and (year % 100 != 0 or year % 400 == 0)


def _skip(text: str, place: int, literal: str) -> int:
    index = 0
    while index < len(literal):
        if literal[index] == " ":
            if place < len(text) and text[place] != " ":
                raise BadTimeError(f"a blank is missing before {text[place : place + 20]!r}")
            while index < len(literal) and literal[index] == " ":
                index += 1
            while place < len(text) and text[place] == " ":
                place += 1
        elif text[place : place + 1] == literal[index]:
            index, place = index + 1, place + 1
        else:
            raise BadTimeError(f"{literal!r} is expected before {text[place : place + 20]!r}")
    return place


def _take(found: _Found, part: str, text: str, place: int) -> int:
    taker = _TAKERS.get(part)
    if taker is not None:
        return taker(found, text, place)
    if is_fraction(part):
        return _take_fraction(found, part, text, place)
    if is_offset(part):
        return _take_offset(found, part, text, place)
    raise AssertionError(part)


def _take_fraction(found: _Found, part: str, text: str, place: int) -> int:
    if part[1] == "0":
        taken = text[place : place + len(part)]
        if len(taken) < len(part) or taken[0] not in ".,":
            raise BadTimeError("the fraction of the second is missing or too short")
        found.nanosecond = _nanoseconds(taken)
        return place + len(part)
    more = _FRACTION.match(text, place)
    if more is None:
        return place
    found.nanosecond = _nanoseconds(more.group())
    return more.end()


def _take_offset(found: _Found, part: str, text: str, place: int) -> int:
    if part[0] == "Z" and text[place : place + 1] == "Z":
        found.utc = True
        return place + 1
    matched = _OFFSETS[len(part)].match(text, place)
    if matched is None:
        raise BadTimeError("the distance from UTC is missing or badly written")
    sign, *numbers = matched.groups()
    hours, minutes, seconds = (*map(int, numbers), 0, 0)[:3]
    if hours > 24 or minutes > 60 or seconds > 60:  # noqa: PLR2004 - Go lets 24:60:60 through
        raise BadTimeError("the distance from UTC is out of range")
    found.offset = (hours * 60 + minutes) * 60 + seconds
    if sign == "-":
        found.offset = -found.offset
    return place + len(part)


def _take_zone(found: _Found, text: str, place: int) -> int:
    if text.startswith(_MIXED_CASE, place):
        return place + 4
    if text.startswith("UTC", place):
        found.utc = True
        return place + 3
    if text.startswith("GMT", place):
        return _after_sign(text, place + 3) or place + 3
    if text[place : place + 1] in {"+", "-"} and len(text) - place >= 3:  # noqa: PLR2004 - no zone is shorter
        end = _after_sign(text, place)
    else:
        end = _after_letters(text, place)
    if not end:
        raise BadTimeError("the name of the time zone is missing or unknown")
    return end


def _after_sign(text: str, place: int) -> int:
    signed = _SIGNED.match(text, place)
    return signed.end() if signed and len(signed[1].lstrip("0")) <= 2 and int(signed[1]) <= 23 else 0  # noqa: PLR2004 - hours


def _after_letters(text: str, place: int) -> int:
    matched = _ZONE.match(text, place)
    letters = matched.group() if matched else ""
    if len(letters) == 3 or letters == "WITA" or (len(letters) in {4, 5} and letters[-1] == "T"):  # noqa: PLR2004 - letters of a zone
        return place + len(letters)
    return 0


def _nanoseconds(fraction: str) -> int:
    digits = fraction[1:10]
    if not (digits.isascii() and digits.isdigit()):
        raise BadTimeError(f"{fraction[:20]!r} is no fraction of a second")
    return int(digits.ljust(9, "0"))


def _nanoseconds_since_1970(found: _Found) -> int:
    hour = found.hour
    if found.afternoon is True and hour < 12:  # noqa: PLR2004 - noon
        hour += 12
    elif found.afternoon is False and hour == 12:  # noqa: PLR2004 - midnight is 12 AM
        hour = 0
    month, day = _month_and_day(found)
    seconds = days_before(found.year, month, day) * DAY + hour * 3600 + found.minute * 60 + found.second
    # A distance of exactly -1 second is what "none" looks like to Go.
    offset = 0 if found.utc or found.offset == -1 else found.offset
    return (seconds - offset) * BILLION + found.nanosecond


def _month_and_day(found: _Found) -> tuple[int, int]:
    month, day = found.month, found.day
    if found.yearday >= 0:
        if not 1 <= found.yearday <= 365 + _leap(found.year):
            raise BadTimeError("the day of the year is out of range")
        rest, counted = found.yearday, 1
        while rest > days_in(found.year, counted):
            rest -= days_in(found.year, counted)
            counted += 1
        if month not in {-1, counted} or day not in {-1, rest}:
            raise BadTimeError("the day of the year is of another month or day")
        return counted, rest
    month, day = max(month, 1), 1 if day < 0 else day
    if not 1 <= day <= days_in(found.year, month):
        raise BadTimeError("the day is out of range")
    return month, day


def _number(
    name: str, least: int, most: int, pattern: re.Pattern[str], pad: int = 0
) -> Callable[[_Found, str, int], int]:
    def take(found: _Found, text: str, place: int) -> int:
        for _ in range(pad):
            place += text[place : place + 1] == " "
        matched = pattern.match(text, place)
        if matched is None or not least <= int(matched.group()) <= most:
            raise BadTimeError(f"the {name} is missing or out of range")
        setattr(found, name, int(matched.group()))
        return matched.end()

    return take


def _name(names: tuple[str, ...], letters: int | None, field: str | None) -> Callable[[_Found, str, int], int]:
    short = [name[:letters].lower() for name in names]

    def take(found: _Found, text: str, place: int) -> int:
        ahead = text[place : place + 10]
        for number, name in enumerate(short, 1):
            if ahead[: len(name)].isascii() and ahead[: len(name)].lower() == name:
                if field:
                    setattr(found, field, number)
                return place + len(name)
        raise BadTimeError(f"{ahead!r} is no name of a {field or 'weekday'}")

    return take


def _half(morning: str, afternoon: str) -> Callable[[_Found, str, int], int]:
    def take(found: _Found, text: str, place: int) -> int:
        word = text[place : place + 2]
        if word not in {morning, afternoon}:
            raise BadTimeError(f"{morning} or {afternoon} is missing")
        if word == afternoon or found.afternoon is None:
            found.afternoon = word == afternoon
        return place + 2

    return take


def _take_year(found: _Found, text: str, place: int) -> int:
    digits = text[place : place + 4]
    if len(digits) < 4 or not (digits.isascii() and digits.isdigit()):  # noqa: PLR2004 - digits of a year
        raise BadTimeError("the year is missing or has fewer than four digits")
    found.year = int(digits)
    return place + 4


def _take_short_year(found: _Found, text: str, place: int) -> int:
    matched = _TWO.match(text, place)
    if matched is None:
        raise BadTimeError("the year is missing or has fewer than two digits")
    year = int(matched.group())
    found.year = year + (1900 if year >= _PIVOT else 2000)
    return place + 2


_TAKERS: Final[dict[str, Callable[[_Found, str, int], int]]] = {
    "2006": _take_year,
    "06": _take_short_year,
    "January": _name(MONTHS, None, "month"),
    "Jan": _name(MONTHS, 3, "month"),
    "1": _number("month", 1, 12, _NUMBER),
    "01": _number("month", 1, 12, _TWO),
    "Monday": _name(WEEKDAYS, None, None),
    "Mon": _name(WEEKDAYS, 3, None),
    "2": _number("day", 0, 99, _NUMBER),
    "_2": _number("day", 0, 99, _NUMBER, pad=1),
    "02": _number("day", 0, 99, _TWO),
    "__2": _number("yearday", 0, 999, _YEARDAY, pad=2),
    "002": _number("yearday", 0, 999, re.compile("[0-9]{3}")),
    "15": _number("hour", 0, 23, _NUMBER),
    "3": _number("hour", 0, 12, _NUMBER),
    "03": _number("hour", 0, 12, _TWO),
    "4": _number("minute", 0, 59, _NUMBER),
    "04": _number("minute", 0, 59, _TWO),
    "5": _number("second", 0, 59, _NUMBER),
    "05": _number("second", 0, 59, _TWO),
    "PM": _half("AM", "PM"),
    "pm": _half("am", "pm"),
    "MST": _take_zone,
}
