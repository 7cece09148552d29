"""Arithmetic as OPA does it: exact on whole numbers, and in decimal for the rest.

OPA keeps a number as its text and calculates with 64 bits of mantissa. A ``float`` has 53, so a value of at most 15
digits, which a person may have written, is calculated with as that decimal (``0.1 + 0.2`` is ``0.3``), and a longer
one, which a calculation made, as exactly what it is (``1 / 3 * 3`` is ``1``). A result that is whole is an ``int``.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from decimal import ROUND_HALF_EVEN, Context, Decimal, Inexact
from fractions import Fraction
from typing import Any, Final

from companyos_sdk.rego.builtins.arguments import MAX_BITS, impossible, number, refuse, too_many_digits
from companyos_sdk.rego.builtins.registry import builtin
from companyos_sdk.rego.errors import BuiltinError
from companyos_sdk.rego.values import Set, is_number

Value = Any
Number = int | float

_SMALL: Final = 2**31
"""Numbers below divide exactly in OPA where they can; larger ones are rounded to 64 bits first."""
_LARGE: Final = 2**62
"""Whole numbers below need no look at their size."""
_MANTISSA: Final = 64
"""Bits that OPA calculates with where it does not calculate exactly."""
_EXACT: Final = 2**53
"""Up to here each whole number is a ``float`` of its own."""


_EXACTLY: Final = Context(prec=60, rounding=ROUND_HALF_EVEN, traps=[Inexact])
"""Decimals of two short numbers, or the knowledge that they need more digits than these."""
_NEARLY: Final = Context(prec=40, rounding=ROUND_HALF_EVEN, traps=[])
"""More digits than 64 bits hold."""


@builtin("plus")
def plus(left: Value, right: Value) -> Number:
    """``left + right``."""
    if type(left) is int and type(right) is int:
        return _bounded("plus", left + right)
    return calculate("plus", left, right, _EXACTLY.add, Fraction.__add__)


@builtin("minus")
def minus(left: Value, right: Value) -> Number | Set:
    """``left - right``, for two numbers, or for two sets what only the first has."""
    if type(left) is int and type(right) is int:
        return _bounded("minus", left - right)
    if type(left) is Set and type(right) is Set:
        made = Set()
        made.index = {name: value for name, value in left.index.items() if name not in right.index}
        return made
    if type(left) is Set:
        refuse("minus", 2, right, "a set, as the first one is")
    return calculate("minus", left, right, _EXACTLY.subtract, Fraction.__sub__)


@builtin("mul")
def mul(left: Value, right: Value) -> Number:
    """``left * right``."""
    if type(left) is int and type(right) is int:
        if left.bit_length() + right.bit_length() > MAX_BITS:
            raise too_many_digits("mul")
        return left * right
    return calculate("mul", left, right, _EXACTLY.multiply, Fraction.__mul__)


@builtin("div")
def div(left: Value, right: Value) -> Number:
    """``left / right``: a whole number where it comes out even."""
    if type(left) is int and type(right) is int and -_SMALL <= left < _SMALL and -_SMALL <= right < _SMALL:
        if not right:
            raise BuiltinError("div: divide by zero.")
        whole, rest = divmod(left, right)
        return left / right if rest else whole
    top, bottom = _short(left), _short(right)
    if top is not None and bottom:
        made = float(_NEARLY.divide(top, bottom))
        if -_EXACT < made < _EXACT:
            return int(made) if made.is_integer() else made
    one, two = rational("div", 1, left), rational("div", 2, right)
    if not two:
        raise BuiltinError("div: divide by zero.")
    return rounded("div", mantissa(one) / mantissa(two))


@builtin("rem")
def rem(left: Value, right: Value) -> int:
    """``left % right`` for whole numbers, with the sign of the first."""
    one, two = whole("rem", 1, left), whole("rem", 2, right)
    if not two:
        raise BuiltinError("rem: modulo by zero.")
    rest = abs(one) % abs(two)
    return -rest if one < 0 else rest


@builtin("abs")
def absolute(value: Value) -> Number:
    """The number without its sign."""
    return abs(number("abs", 1, value))


@builtin("round")
def round_(value: Value) -> int:
    """The nearest whole number; a half goes away from zero."""
    if type(value) is int:
        return value
    exact = rational("round", 1, value)
    nearest = math.floor(abs(exact) + Fraction(1, 2))
    return -nearest if exact < 0 else nearest


@builtin("ceil")
def ceil(value: Value) -> int:
    """The smallest whole number that is not below."""
    return value if type(value) is int else math.ceil(rational("ceil", 1, value))


@builtin("floor")
def floor(value: Value) -> int:
    """The largest whole number that is not above."""
    return value if type(value) is int else math.floor(rational("floor", 1, value))


def whole(name: str, position: int, value: Value) -> int:
    """The argument as a whole number, which may be written with a fraction of zero."""
    if type(value) is int:
        return _operand(name, value)
    exact = rational(name, position, value)
    if exact.denominator != 1:
        refuse(name, position, value, "a whole number")
    return exact.numerator


def calculate(
    name: str,
    left: Value,
    right: Value,
    shortly: Callable[[Decimal, Decimal], Decimal],
    exactly: Callable[[Fraction, Fraction], Any],
) -> Number:
    """The result of two numbers, not both ``int``: exact if both are whole, rounded otherwise."""
    first, second = _short(left), _short(right)
    if first is not None and second is not None:
        try:
            made = float(shortly(first, second))
        except Inexact:
            made = math.inf
        if -_EXACT < made < _EXACT:
            return int(made) if made.is_integer() else made
    one, two = rational(name, 1, left), rational(name, 2, right)
    return finished(name, exactly(one, two), (one, two))


def _short(value: Value) -> Decimal | None:
    """The decimal that a number stands for, if it has so few digits that a person may have written it."""
    if type(value) is int:
        return Decimal(value) if -_EXACT < value < _EXACT else None
    if type(value) is float:
        written = f"{value:.15g}"
        return Decimal(written) if float(written) == value and math.isfinite(value) else None
    return None


def finished(name: str, exact: Fraction, operands: Iterable[Fraction]) -> Number:
    """The number that a calculation gave: kept exactly if all that went into it was whole, else as OPA rounds it."""
    if exact.denominator == 1 and all(operand.denominator == 1 for operand in operands):
        return _bounded(name, exact.numerator)
    return rounded(name, exact)


def rational(name: str, position: int, value: Value) -> Fraction:
    """What a number stands for in a calculation."""
    if type(value) is int:
        return Fraction(_operand(name, value))
    if not is_number(value):
        refuse(name, position, value, "a number")
    if not math.isfinite(value):
        raise impossible(name, f"argument {position} is not a finite number")
    short = f"{value:.15g}"
    return Fraction(short) if float(short) == value else Fraction(value)


def rounded(name: str, exact: Fraction) -> Number:
    """A result as OPA rounds it: whole if it is so in 64 bits, else the nearest ``float``."""
    if exact.denominator == 1 and abs(exact.numerator) <= _EXACT:
        return exact.numerator
    near = mantissa(exact)
    if near.denominator == 1:
        return _bounded(name, shortest(near.numerator))
    try:
        made = float(exact)
    except OverflowError:
        raise impossible(name, "the result is too large for a number with a fraction") from None
    if abs(made) > _EXACT:
        raise impossible(name, "the result has a fraction, and is too large to keep it")
    return int(made) if made.is_integer() else made


def mantissa(exact: Fraction) -> Fraction:
    """The nearest number with 64 significant bits, and of two equally near the even one."""
    size = abs(exact)
    shift = _MANTISSA - (size.numerator.bit_length() - size.denominator.bit_length())
    if _scaled(size, shift) >= 1 << _MANTISSA:
        shift -= 1
    found = _scaled(Fraction(round(_scaled(size, shift))), -shift)
    return -found if exact < 0 else found


def _scaled(value: Fraction, shift: int) -> Fraction:
    return value * (1 << shift) if shift >= 0 else value / (1 << -shift)


def shortest(value: int) -> int:
    """The number with the fewest digits that has the same 64 bits: how OPA writes a whole result."""
    size = abs(value)
    if size < 1 << _MANTISSA:
        return value
    digits = str(size)
    for kept in range(1, len(digits)):
        unit = int(10 ** (len(digits) - kept))
        near = (size + unit // 2) // unit * unit
        if mantissa(Fraction(near)) == size:
            return near if value > 0 else -near
    return value


def _operand(name: str, value: int) -> int:
    if not -_LARGE < value < _LARGE and value.bit_length() > MAX_BITS:
        raise too_many_digits(name)
    return value


def _bounded(name: str, value: int) -> int:
    if not -_LARGE < value < _LARGE and value.bit_length() > MAX_BITS:
        raise too_many_digits(name)
    return value
