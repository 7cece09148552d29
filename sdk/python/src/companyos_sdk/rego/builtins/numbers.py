"""Numbers as text, and ranges of them."""

from __future__ import annotations

import re
from typing import Any, Final

from companyos_sdk.rego.builtins import arithmetic
from companyos_sdk.rego.builtins.arguments import impossible, integer, refuse, too_many, too_many_digits
from companyos_sdk.rego.builtins.registry import builtin
from companyos_sdk.rego.errors import BuiltinError
from companyos_sdk.rego.limits import MAX_DIGITS, MAX_ITEMS

Value = Any

_FORMATS: Final = {2: "b", 8: "o", 10: "d", 16: "x"}
_NUMBER: Final = re.compile(r"[+-]?(?:[0-9]+(\.[0-9]*)?|(\.[0-9]+))([eE][+-]?[0-9]+)?")

_OTHER: Final = re.compile(r"[+-]?0[xX][0-9a-fA-F_.]+[pP][+-]?[0-9]+|[+-]?[0-9_.]*_[0-9_.]*(?:[eE][+-]?[0-9_]+)?")
"""What Go may read as a number besides."""


@builtin("format_int")
def format_int(value: Value, base: Value) -> str:
    """The number, without its fraction, written in base 2, 8, 10 or 16."""
    exact = arithmetic.rational("format_int", 1, value)
    if type(base) is not int or base not in _FORMATS:
        raise BuiltinError("format_int: argument 2 must be 2, 8, 10 or 16.")
    whole = abs(exact.numerator) // exact.denominator
    return format(-whole if exact < 0 else whole, _FORMATS[base])


@builtin("to_number")
def to_number(value: Value) -> int | float:
    """The number that a value means: null is 0, false 0, true 1, a string what it says."""
    if value is None:
        return 0
    if type(value) is bool:
        return int(value)
    if type(value) is int or type(value) is float:
        return value
    if type(value) is not str:
        refuse("to_number", 1, value, "null, a boolean, a number or a string")
    return parsed("to_number", value)


@builtin("numbers.range")
def range_(first: Value, last: Value) -> list[int]:
    """The whole numbers from the first to the last one, both included; backwards if the last is smaller."""
    return _counted("numbers.range", integer("numbers.range", 1, first), integer("numbers.range", 2, last), 1)


@builtin("numbers.range_step")
def range_step(first: Value, last: Value, step: Value) -> list[int]:
    """Every so-many-th whole number from the first on, none beyond the last."""
    start, stop = integer("numbers.range_step", 1, first), integer("numbers.range_step", 2, last)
    distance = integer("numbers.range_step", 3, step)
    if distance <= 0:
        raise BuiltinError("numbers.range_step: argument 3, the step, must be positive.")
    return _counted("numbers.range_step", start, stop, distance)


def parsed(name: str, text: str) -> int | float:
    """The number that a text says in decimal, such as ``-1.5e3``; BuiltinError for any other text."""
    if len(text) > MAX_DIGITS:
        raise too_many_digits(name)
    found = _NUMBER.fullmatch(text)
    if found is None and _OTHER.fullmatch(text):
        raise impossible(name, "the string is a number in hexadecimal or with underscores")
    if found is None:
        raise BuiltinError(f"{name}: the string is no decimal number.")
    if not any(found.groups()):
        return int(text)
    value = float(text)
    if value in (float("inf"), float("-inf")):
        raise BuiltinError(f"{name}: the number is too large.")
    return value


def _counted(name: str, start: int, stop: int, step: int) -> list[int]:
    made = range(start, stop + 1, step) if start <= stop else range(start, stop - 1, -step)
    if (abs(stop - start) // step) >= MAX_ITEMS:
        raise too_many(name)
    return list(made)
