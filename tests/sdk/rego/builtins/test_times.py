"""`time.*`: every expected value is OPA's own."""

from __future__ import annotations

import os
import subprocess
import sys
from datetime import UTC, datetime
from typing import Any, Final

import pytest
from hypothesis import given
from hypothesis import strategies as st

from companyos_sdk.rego.builtins import TABLE
from companyos_sdk.rego.errors import BuiltinError, EvaluationError, LimitExceeded

NOON: Final = 1_517_832_000_000_000_000
"""Monday, 5 February 2018, 12:00 UTC."""
LATE: Final = 1_670_006_453_141_828_752
FIRST, LAST = -(2**63), 2**63 - 1


def call(name: str, *arguments: Any) -> Any:
    """What the function gives for these values."""
    return TABLE[name].function(*arguments)


VALUES: Final[list[tuple[str, tuple[Any, ...], Any]]] = [
    ("time.parse_rfc3339_ns", ("2017-06-02T19:00:00-07:00",), 1_496_455_200_000_000_000),
    ("time.parse_rfc3339_ns", ("2017-06-02T19:00:00.5Z",), 1_496_430_000_500_000_000),
    ("time.parse_rfc3339_ns", ("2017-06-02T19:00:00,123456789123Z",), 1_496_430_000_123_456_789),
    ("time.parse_rfc3339_ns", ("1677-09-21T00:12:43.145224192-00:00",), FIRST),
    ("time.parse_rfc3339_ns", ("2262-04-11T23:47:16.854775807-00:00",), LAST),
    ("time.parse_ns", ("2006-01-02", "2020-02-29"), 1_582_934_400_000_000_000),
    ("time.parse_ns", ("01/02 03:04:05PM '06 -0700", "06/02 07:00:00PM '17 -0700"), 1_496_455_200_000_000_000),
    ("time.parse_ns", ("RFC822Z", "02 Jun 17 19:00 -0700"), 1_496_455_200_000_000_000),
    ("time.parse_ns", ("RFC1123", "Fri, 02 Jun 2017 19:00:00 MST"), 1_496_430_000_000_000_000),
    ("time.parse_ns", ("Monday, January _2 2006", "FRIDAY, jUNE  2 2017"), 1_496_361_600_000_000_000),
    ("time.parse_ns", ("2006 002", "2020 366"), 1_609_372_800_000_000_000),
    ("time.parse_ns", ("3:04PM 2006", "12:30AM 1970"), 1_800_000_000_000),
    ("time.parse_ns", ("06", "69"), -31_536_000_000_000_000),
    ("time.parse_ns", ("06", "68"), 3_092_601_600_000_000_000),
    ("time.parse_duration_ns", ("100ms",), 100_000_000),
    ("time.parse_duration_ns", ("-1h2m3.5s",), -3_723_500_000_000),
    ("time.parse_duration_ns", ("1.5µs",), 1_500),
    ("time.parse_duration_ns", ("0",), 0),
    ("time.parse_duration_ns", ("-0",), 0),
    ("time.parse_duration_ns", ("1w2d3h",), 788_400_000_000_000),
    ("time.parse_duration_ns", ("0.5y",), 15_768_000_000_000_000),
    ("time.parse_duration_ns", ("0.3333333333333333333h",), 1_200_000_000_000),
    ("time.parse_duration_ns", ("9223372036854775807ns",), LAST),
    ("time.parse_duration_ns", ("-9223372036854775808ns",), FIRST),
    ("time.format", (LATE,), "2022-12-02T18:40:53.141828752Z"),
    ("time.format", ([LATE],), "2022-12-02T18:40:53.141828752Z"),
    ("time.format", ([LATE, "Asia/Kolkata"],), "2022-12-03T00:10:53.141828752+05:30"),
    ("time.format", ([LATE, "Asia/Kolkata", "RFC1123Z"],), "Sat, 03 Dec 2022 00:10:53 +0530"),
    ("time.format", ([LATE, "", "Mon Jan _2 3:4:5pm 06"],), "Fri Dec  2 6:40:53pm 22"),
    ("time.format", ([LATE, "", ".000 .999999999 ,9 002 __2"],), ".141 .141828752 ,1 336 336"),
    ("time.format", ([LATE, "America/St_Johns", "MST -07 Z07:00:00 -070000"],), "NST -03 -03:30:00 -033000"),
    ("time.format", ([0, "", "Janus _2006 0 7 ."],), "Janus _1970 0 7 ."),
    ("time.format", ([-1, "Africa/Monrovia", "15:04:05 -07:00:00"],), "23:15:29 -00:44:30"),
    ("time.format", ([1_500_000_000, "", "5.999 5,000000"],), "1.5 1,500000"),
    ("time.format", ([0, "", "5.999"],), "0"),
    ("time.date", (NOON,), [2018, 2, 5]),
    ("time.date", ([NOON - 9 * 3_600 * 10**9, "America/Los_Angeles"],), [2018, 2, 4]),
    ("time.date", ([NOON, ""],), [2018, 2, 5]),
    ("time.clock", ([NOON, "America/New_York"],), [7, 0, 0]),
    ("time.clock", ([-1],), [23, 59, 59]),
    ("time.weekday", (NOON,), "Monday"),
    ("time.weekday", ([NOON - 10**18, "Asia/Tokyo"],), "Friday"),
    ("time.add_date", (1_585_852_421_593_912_000, 3, 9, 12), 1_705_257_221_593_912_000),
    ("time.add_date", (1_585_852_421_593_912_000, -1, -1, -1), 1_551_465_221_593_912_000),
    ("time.add_date", (1_582_934_400_000_000_000, 1, 0, 0), 1_614_556_800_000_000_000),
    ("time.add_date", (0, 1.0, 0, 0), 31_536_000_000_000_000),
    ("time.add_date", (0, 1_000, 0, -365_243), 0),
    # 02:30 does not exist on that day in New York, and 01:30 exists twice on the other one.
    ("time.add_date", ([1_583_566_200_000_000_000, "America/New_York"], 0, 0, 1), 1_583_649_000_000_000_000),
    ("time.add_date", ([1_604_122_200_000_000_000, "America/New_York"], 0, 0, 1), 1_604_208_600_000_000_000),
    ("time.add_date", ([1_711_762_200_000_000_000, "Europe/Berlin"], 0, 0, 1), 1_711_848_600_000_000_000),
    ("time.diff", (LATE, LATE - 61 * 10**9), [0, 0, 0, 0, 1, 1]),
    ("time.diff", (1_580_601_600_000_000_000, 1_583_020_800_000_000_000), [0, 0, 28, 0, 0, 0]),
    ("time.diff", ([FIRST, "America/New_York"], LAST), [584, 6, 21, 0, 30, 35]),
]
ERRORS: Final[list[tuple[str, tuple[Any, ...]]]] = [
    ("time.parse_rfc3339_ns", ("2017-06-02 19:00:00Z",)),
    ("time.parse_rfc3339_ns", ("2017-06-02T19:00:00",)),
    ("time.parse_rfc3339_ns", ("2017-02-29T19:00:00Z",)),
    ("time.parse_rfc3339_ns", ("2017-13-01T19:00:00Z",)),
    ("time.parse_rfc3339_ns", ("2017-06-02T24:00:00Z",)),
    ("time.parse_rfc3339_ns", ("2017-06-02T19:00:60Z",)),
    ("time.parse_rfc3339_ns", ("2017-06-02T19:00:00+25:00",)),
    ("time.parse_rfc3339_ns", ("2017-06-02T19:00:00ZZ",)),
    ("time.parse_rfc3339_ns", ("２017-06-02T19:00:00Z",)),
    ("time.parse_rfc3339_ns", ("1677-09-21T00:12:43.145224191-00:00",)),
    ("time.parse_rfc3339_ns", ("2262-04-11T23:47:16.854775808-00:00",)),
    ("time.parse_rfc3339_ns", (1,)),
    ("time.parse_ns", ("2006", "17")),
    ("time.parse_ns", ("2006-01-02", "1900-02-29")),
    ("time.parse_ns", ("2006 002", "2021 366")),
    ("time.parse_ns", ("Mon", "Mun")),
    ("time.parse_ns", (".000", ".12")),
    ("time.parse_ns", ("MST", "abc")),
    ("time.parse_duration_ns", ("",)),
    ("time.parse_duration_ns", ("-",)),
    ("time.parse_duration_ns", ("1",)),
    ("time.parse_duration_ns", ("1x",)),
    ("time.parse_duration_ns", (".h",)),
    ("time.parse_duration_ns", ("9223372036854775808ns",)),
    ("time.parse_duration_ns", ("1d 2h",)),
    ("time.parse_duration_ns", ("300y",)),
    ("time.format", ([0, "Nowhere/Land"],)),
    ("time.format", ([0, "../../etc/passwd"],)),
    ("time.format", ([],)),
    ("time.format", ([0, "", 1],)),
    ("time.date", (1.5,)),
    ("time.date", (2**63,)),
    ("time.date", ("1",)),
    ("time.date", (True,)),
    ("time.clock", ({},)),
    ("time.add_date", (0, 1.5, 0, 0)),
    ("time.add_date", (0, 2_262, 1, 1)),
    ("time.add_date", (FIRST, 0, 0, -1)),
]


@pytest.mark.parametrize(("name", "arguments", "expected"), VALUES)
def test_the_value_is_that_of_opa(name: str, arguments: tuple[Any, ...], expected: Any) -> None:
    """The function gives what OPA 1.21.3 gives for the same arguments."""
    assert call(name, *arguments) == expected


@pytest.mark.parametrize(("name", "arguments"), ERRORS)
def test_what_opa_refuses_is_an_error(name: str, arguments: tuple[Any, ...]) -> None:
    """Arguments that OPA refuses are an error that names the function."""
    with pytest.raises(BuiltinError, match=name):
        call(name, *arguments)


def test_the_zone_of_the_machine_is_refused_because_it_is_another_one_elsewhere() -> None:
    """`Local` would make a decision depend on where it is made."""
    with pytest.raises(BuiltinError, match="Local"):
        call("time.date", [0, "Local"])


def test_what_time_it_is_no_function_says() -> None:
    """`time.now_ns` is not in the table."""
    assert "time.now_ns" not in TABLE


@pytest.mark.parametrize("name", ["time.parse_ns", "time.parse_rfc3339_ns", "time.parse_duration_ns", "time.format"])
def test_a_text_without_end_is_refused(name: str) -> None:
    """Texts and layouts have a bound."""
    endless = "1" * 100_000
    arguments = [[0, "", endless]] if name == "time.format" else [endless] * TABLE[name].arity
    with pytest.raises(LimitExceeded, match="letters"):
        call(name, *arguments)


def test_without_a_database_of_time_zones_utc_works_and_a_zone_is_an_error() -> None:
    """A machine without time zones gives no wrong time: a named zone is an error, UTC is not."""
    script = (
        "import zoneinfo; zoneinfo.reset_tzpath([])\n"
        "import sys; sys.modules['tzdata'] = None\n"
        "from companyos_sdk.rego.builtins import TABLE\n"
        "from companyos_sdk.rego.errors import BuiltinError\n"
        "assert TABLE['time.date'].function([0, 'UTC']) == [1970, 1, 1]\n"
        "try: TABLE['time.date'].function([0, 'Europe/Berlin'])\n"
        "except BuiltinError as fault: print(fault)\n"
    )
    ran = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, env={**os.environ}, check=True)
    assert "no time zone 'Europe/Berlin'" in ran.stdout


@given(st.integers(FIRST, LAST), st.sampled_from(["UTC", "Asia/Kolkata", "America/New_York", "Australia/Lord_Howe"]))
def test_a_time_written_with_its_distance_from_utc_is_read_back(ns: int, zone: str) -> None:
    """Writing and reading are inverse, in every zone and year."""
    layout = "2006-01-02T15:04:05.999999999Z07:00:00"
    assert call("time.parse_ns", layout, call("time.format", [ns, zone, layout])) == ns


@given(st.integers(FIRST, LAST))
def test_the_calendar_is_that_of_python(ns: int) -> None:
    """Dates, clocks and weekdays agree with Python's own calendar."""
    there = datetime.fromtimestamp(ns // 10**9, tz=UTC)
    assert call("time.date", ns) == [there.year, there.month, there.day]
    assert call("time.clock", ns) == [there.hour, there.minute, there.second]
    assert call("time.weekday", ns) == there.strftime("%A")


@given(st.text(max_size=30), st.text(max_size=30))
def test_any_text_gives_a_time_or_an_error(layout: str, text: str) -> None:
    """Hostile layouts and texts end in a value or one of our errors."""
    for name, arguments in (
        ("time.parse_ns", (layout, text)),
        ("time.parse_ns", (layout, layout)),
        ("time.parse_duration_ns", (text,)),
        ("time.format", ([0, layout, text],)),
    ):
        try:
            made = call(name, *arguments)
        except EvaluationError:
            continue
        assert type(made) in {int, str}
