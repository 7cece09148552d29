"""Numbers as text, ranges, bits, units and versions."""

from __future__ import annotations

from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from companyos_sdk.rego.errors import LimitExceeded
from tests.sdk.rego.builtins.calling import DENIED, REFUSED, Case, call, check, named

CASES: list[Case] = [
    ("format_int", 255, 16, "ff"),
    ("format_int", -255, 16, "-ff"),
    ("format_int", 10, 2, "1010"),
    ("format_int", 8, 8, "10"),
    ("format_int", 15.9, 10, "15"),
    ("format_int", -15.9, 10, "-15"),
    ("format_int", 2**70, 10, str(2**70)),
    ("format_int", 1, 3, REFUSED),
    ("format_int", 1, 10.0, REFUSED),
    ("format_int", "1", 10, REFUSED),
    ("to_number", None, 0),
    ("to_number", False, 0),
    ("to_number", True, 1),
    ("to_number", "12", 12),
    ("to_number", "-1.5e3", -1500.0),
    ("to_number", "007", 7),
    ("to_number", ".5", 0.5),
    ("to_number", "123456789012345678901234567890", 123456789012345678901234567890),
    ("to_number", " 1", REFUSED),
    ("to_number", "1_000", DENIED),
    ("to_number", "0x10", REFUSED),
    ("to_number", "١", REFUSED),
    ("to_number", "NaN", REFUSED),
    ("to_number", "-Infinity", REFUSED),
    ("to_number", "1e400", REFUSED),
    ("to_number", "", REFUSED),
    ("to_number", [1], REFUSED),
    ("numbers.range", 1, 3, [1, 2, 3]),
    ("numbers.range", 3, 1, [3, 2, 1]),
    ("numbers.range", 2, 2, [2]),
    ("numbers.range", 1.0, 3, [1, 2, 3]),
    ("numbers.range", 1.5, 3, REFUSED),
    ("numbers.range", True, 3, REFUSED),
    ("numbers.range_step", 1, 10, 3, [1, 4, 7, 10]),
    ("numbers.range_step", 10, 1, 4, [10, 6, 2]),
    ("numbers.range_step", 1, 2, 0, REFUSED),
    ("numbers.range_step", 1, 2, -1, REFUSED),
    ("bits.and", 12, 10, 8),
    ("bits.and", -1, 2**70, 2**70),
    ("bits.or", 12, 10, 14),
    ("bits.xor", 12, 10, 6),
    ("bits.negate", 0, -1),
    ("bits.lsh", 1, 70, 2**70),
    ("bits.lsh", -1, 3, -8),
    ("bits.lsh", 1, -1, REFUSED),
    ("bits.rsh", 10, 1, 5),
    ("bits.rsh", -1, 10**30, -1),
    ("bits.rsh", 1, -1, REFUSED),
    ("bits.and", 1.5, 1, REFUSED),
    ("bits.and", True, 1, REFUSED),
    ("units.parse", "10K", 10_000),
    ("units.parse", "1.5Gi", 1610612736),
    ("units.parse", "200m", 0.2),
    ("units.parse", "100M", 100_000_000),
    ("units.parse", '"10ki"', 10_240),
    ("units.parse", "1E", 10**18),
    ("units.parse", "1e3", 1000),
    ("units.parse", "1e3M", 10**9),
    ("units.parse", "-1.5k", -1500),
    ("units.parse", "1.1Ki", 1126.4),
    ("units.parse", "10 K", REFUSED),
    ("units.parse", "K", REFUSED),
    ("units.parse", "", REFUSED),
    ("units.parse", "1.2.3K", REFUSED),
    ("units.parse", "10KB", REFUSED),
    ("units.parse", "1MM", REFUSED),
    ("units.parse", 10, REFUSED),
    ("units.parse_bytes", "10KB", 10_000),
    ("units.parse_bytes", "10KiB", 10_240),
    ("units.parse_bytes", "1.5gi", 1610612736),
    ("units.parse_bytes", "0.1kib", 102),
    ("units.parse_bytes", "100m", 100_000_000),
    ("units.parse_bytes", "7", 7),
    ("units.parse_bytes", "1e3", 1000),
    ("units.parse_bytes", "7 MB", REFUSED),
    ("units.parse_bytes", "7b", REFUSED),
    ("units.parse_bytes", "mb", REFUSED),
    ("units.parse_bytes", "1.2.3mb", REFUSED),
    ("semver.compare", "1.2.3", "1.2.4", -1),
    ("semver.compare", "1.10.0", "1.9.9", 1),
    ("semver.compare", "1.0.0+a", "1.0.0+b", 0),
    ("semver.compare", "1.0.0-alpha", "1.0.0", -1),
    ("semver.compare", "1.0.0-alpha.1", "1.0.0-alpha.beta", -1),
    ("semver.compare", "1.0.0-alpha", "1.0.0-alpha.1", -1),
    ("semver.compare", "1.0.0-rc.10", "1.0.0-rc.9", 1),
    ("semver.compare", "v1.0.0", "1.0.0", 0),
    ("semver.compare", "1.0", "1.0.0", REFUSED),
    ("semver.compare", "1.0.0", 1, REFUSED),
    ("semver.is_valid", "1.0.0-a.b+c", True),
    ("semver.is_valid", "1.0.0-a..b", False),
    ("semver.is_valid", "1.0.0.0", False),
    ("semver.is_valid", "1.0.-1", False),
    ("semver.is_valid", "1.0.99999999999999999999", False),
    ("semver.is_valid", 1, False),
]


@named(CASES)
def test_numbers_and_their_texts_are_what_opa_makes_of_them(case: Case) -> None:
    """Numbers and their texts are what opa makes of them."""
    check(case)


@given(st.integers(-(10**20), 10**20))
def test_a_number_written_and_read_again_is_the_same(value: int) -> None:
    """A number written and read again is the same."""
    assert call("to_number", call("format_int", value, 10)) == value
    assert int(call("format_int", value, 16), 16) == value


@given(st.integers(-50, 50), st.integers(-50, 50), st.integers(1, 9))
def test_a_range_goes_from_its_first_to_at_most_its_last_number(first: int, last: int, step: int) -> None:
    """A range goes from its first to at most its last number."""
    found = call("numbers.range_step", first, last, step)
    assert found[0] == first
    assert len(found) == abs(last - first) // step + 1
    assert min(first, last) <= min(found) <= max(found) <= max(first, last)


@given(st.decimals(0, 9999, places=3), st.sampled_from(["", "k", "Ki", "M", "gi"]))
def test_an_amount_is_its_number_times_its_unit(amount: object, unit: str) -> None:
    """An amount is its number times its unit."""
    factor = {"": 1, "k": 10**3, "Ki": 2**10, "M": 10**6, "gi": 2**30}[unit]
    exact = Fraction(str(amount)) * factor
    assert call("units.parse", f"{amount}{unit}") == float(exact)
    assert call("units.parse_bytes", f"{amount}{unit}") in (int(exact), int(exact) - 1)


@pytest.mark.parametrize(
    ("name", "arguments"),
    [
        ("numbers.range", [1, 10**12]),
        ("numbers.range_step", [1, 10**30, 2]),
        ("bits.lsh", [1, 10**9]),
        ("units.parse", ["1e999999"]),
        ("units.parse_bytes", ["1e999999"]),
        ("to_number", ["1" * 5000]),
        ("bits.and", [1 << 100_000, 1]),
    ],
)
def test_a_number_or_range_that_is_too_large_is_refused(name: str, arguments: list[object]) -> None:
    """A number or range that is too large is refused."""
    with pytest.raises(LimitExceeded):
        call(name, *arguments)
