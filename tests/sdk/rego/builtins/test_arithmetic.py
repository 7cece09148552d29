from __future__ import annotations

from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from companyos_sdk.rego.builtins import arithmetic
from companyos_sdk.rego.errors import EvaluationError, LimitExceeded
from companyos_sdk.rego.values import Set
from tests.sdk.rego.builtins.calling import DENIED, REFUSED, Case, call, check, named

CASES: list[Case] = [
    ("plus", 1, 2, 3),
    ("plus", 0.1, 0.2, 0.3),
    ("plus", 0.5, 0.5, 1),
    ("plus", 2**64, 1, 2**64 + 1),
    ("plus", 28857836529306024611913, 1, 28857836529306024611914),
    ("plus", True, 1, REFUSED),
    ("plus", "a", "b", REFUSED),
    ("plus", 1e20, 0.5, 100000000000000000000),
    ("plus", 2**60 + 1, 0.5, DENIED),
    ("plus", float("nan"), 1, DENIED),
    ("minus", 1, 1.5, -0.5),
    ("minus", Set([1, 2, "a"]), Set([2]), Set([1, "a"])),
    ("minus", Set([1]), 1, REFUSED),
    ("minus", 1, Set([1]), REFUSED),
    ("minus", Set([True]), Set([1]), Set([True])),
    ("mul", 6, 7, 42),
    ("mul", 0.28, 100, 28),
    ("mul", 1.1, 1.1, 1.21),
    ("mul", 1 / 3, 3, 1),
    ("mul", None, 1, REFUSED),
    ("div", 10, 5, 2),
    ("div", 10, 4, 2.5),
    ("div", 1, 3, 1 / 3),
    ("div", 0, -5, 0),
    ("div", -7, 2, -3.5),
    ("div", 1, 0, REFUSED),
    ("div", 1, 0.0, REFUSED),
    ("div", 12345678901234567890123, 3, 4115226300411522630000),
    ("rem", 5, 3, 2),
    ("rem", -5, 3, -2),
    ("rem", 5, -3, 2),
    ("rem", 5.0, 3, 2),
    ("rem", 5.5, 3, REFUSED),
    ("rem", 5, 0, REFUSED),
    ("rem", 10, 2**64, 10),
    ("abs", -3, 3),
    ("abs", -3.5, 3.5),
    ("abs", "3", REFUSED),
    ("round", 2.5, 3),
    ("round", -2.5, -3),
    ("round", 2.4, 2),
    ("round", 7, 7),
    ("round", True, REFUSED),
    ("ceil", 1.01, 2),
    ("ceil", -1.99999, -1),
    ("ceil", 2222.2222222222, 2223),
    ("floor", 1.99, 1),
    ("floor", -1.001, -2),
    ("floor", 5, 5),
]


@named(CASES)
def test_numbers_are_calculated_as_opa_does(case: Case) -> None:
    """Numbers are calculated as opa does."""
    check(case)


def test_a_whole_result_is_an_int() -> None:
    """A whole result is an int."""
    assert type(call("plus", 0.5, 0.5)) is int
    assert type(call("div", 9, 3)) is int


@given(st.integers(), st.integers())
def test_whole_numbers_are_exact(one: int, two: int) -> None:
    """Whole numbers are exact."""
    assert call("plus", one, two) == one + two
    assert call("minus", one, two) == one - two
    assert call("mul", one, two) == one * two


@given(st.decimals(-9999, 9999, places=4), st.decimals(-9999, 9999, places=3))
def test_decimals_are_exact(one: object, two: object) -> None:
    """What a person writes comes out as on paper, where floats would be off by a little."""
    left, right = Fraction(str(one)), Fraction(str(two))
    assert call("plus", float(left), float(right)) == float(left + right)
    assert call("minus", float(left), float(right)) == float(left - right)
    assert call("mul", float(left), float(right)) == float(left * right)


@given(st.integers(-(2**40), 2**40), st.integers(-(2**31), 2**31 - 1).filter(bool))
def test_the_remainder_belongs_to_the_quotient(one: int, two: int) -> None:
    """The remainder belongs to the quotient."""
    rest = call("rem", one, two)
    assert abs(rest) < abs(two)
    assert (one - rest) % two == 0
    assert rest == 0 or (rest < 0) == (one < 0)


@given(st.fractions(min_value=Fraction(1, 10**30), max_value=10**30))
def test_the_mantissa_has_64_bits_and_is_the_nearest(value: Fraction) -> None:
    """The mantissa has 64 bits and is the nearest."""
    found = arithmetic.mantissa(value)
    assert abs(found - value) <= value * Fraction(1, 2**64)
    odd = found.numerator
    while odd and odd % 2 == 0:
        odd //= 2
    assert odd.bit_length() <= 64


@pytest.mark.parametrize("name", ["plus", "minus", "mul"])
def test_numbers_do_not_grow_without_end(name: str) -> None:
    """Numbers do not grow without end."""
    huge = 10**3999
    with pytest.raises(LimitExceeded):
        call(name, huge * huge, 2)


@given(
    st.sampled_from(["plus", "minus", "mul", "div"]),
    st.integers() | st.floats(allow_nan=False, allow_infinity=False),
    st.integers() | st.floats(allow_nan=False, allow_infinity=False),
)
def test_the_short_way_and_the_long_way_come_to_the_same(name: str, one: float, two: float) -> None:
    """Calculating with decimals gives what calculating with 64 bits gives."""
    if not two:
        return
    exactly = {"plus": Fraction.__add__, "minus": Fraction.__sub__, "mul": Fraction.__mul__}
    left, right = arithmetic.rational(name, 1, one), arithmetic.rational(name, 2, two)
    try:
        if name == "div":
            expected = arithmetic.rounded(name, arithmetic.mantissa(left) / arithmetic.mantissa(right))
        else:
            expected = arithmetic.finished(name, exactly[name](left, right), (left, right))
    except EvaluationError:
        with pytest.raises(EvaluationError):
            call(name, one, two)
        return
    assert call(name, one, two) == expected
