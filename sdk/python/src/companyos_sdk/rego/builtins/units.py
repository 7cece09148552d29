"""Amounts with a unit, such as ``10Gi`` or ``200m``."""

from __future__ import annotations

import re
from fractions import Fraction
from typing import Any, Final

from companyos_sdk.rego.builtins.arguments import MAX_BITS, string, too_many_digits
from companyos_sdk.rego.builtins.arithmetic import mantissa
from companyos_sdk.rego.builtins.registry import builtin
from companyos_sdk.rego.errors import BuiltinError
from companyos_sdk.rego.limits import MAX_DIGITS

Value = Any

_STEPS: Final = "kmgtpe"
_POWERS: Final = {"": 1} | {
    letter + suffix: base**power
    for power, letter in enumerate(_STEPS, start=1)
    for suffix, base in (("", 1000), ("i", 1024))
}
_AMOUNT: Final = re.compile(r"(?:[0-9.+-]|[eE][+-]|[eE](?=[0-9]))*")
"""What belongs to the number; an ``e`` only before a digit or a sign, otherwise it is the unit exa."""
_NUMBER: Final = re.compile(r"[+-]?(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE]([+-]?[0-9]+))?")
_MAX_EXPONENT: Final = MAX_DIGITS


@builtin("units.parse")
def parse(text: Value) -> int | float:
    """The amount of a string such as ``10K``, ``1.5Gi`` or ``200m`` (thousandths), exact up to ten decimals."""
    amount, unit = _split("units.parse", string("units.parse", 1, text).replace('"', ""))
    written = unit[:1] + unit[1:].lower()
    if written == "m":
        factor = Fraction(0.001)
    else:
        found = None if written == "m" else _POWERS.get(written[:1].lower() + written[1:])
        if found is None:
            raise BuiltinError(f"units.parse: {unit!r} is no unit.")
        factor = Fraction(found)
    exact = _number("units.parse", amount) * factor
    if exact.denominator == 1:
        if exact.numerator.bit_length() > MAX_BITS:
            raise too_many_digits("units.parse")
        return exact.numerator
    size = abs(exact) * 10**10
    rounded = Fraction((2 * size.numerator + size.denominator) // (2 * size.denominator), 10**10)
    return float(-rounded if exact < 0 else rounded)


@builtin("units.parse_bytes")
def parse_bytes(text: Value) -> int:
    """The number of bytes of a string such as ``10KB``, ``1.5GiB`` or ``7``, without a fraction."""
    amount, unit = _split("units.parse_bytes", string("units.parse_bytes", 1, text).lower().replace('"', ""))
    found = _POWERS.get(unit.removesuffix("b") if unit != "b" else unit)
    if found is None:
        raise BuiltinError(f"units.parse_bytes: {unit!r} is no unit of bytes.")
    exact = mantissa(_number("units.parse_bytes", amount))
    exact = mantissa(exact * found)
    whole = abs(exact.numerator) // exact.denominator
    if whole.bit_length() > MAX_BITS:
        raise too_many_digits("units.parse_bytes")
    return -whole if exact < 0 else whole


def _split(name: str, text: str) -> tuple[str, str]:
    if " " in text:
        raise BuiltinError(f"{name}: an amount has no spaces.")
    found = _AMOUNT.match(text)
    amount = found.group() if found else ""
    if not amount:
        raise BuiltinError(f"{name}: the string has no amount.")
    return amount, text[len(amount) :]


def _number(name: str, text: str) -> Fraction:
    found = _NUMBER.fullmatch(text)
    if found is None:
        raise BuiltinError(f"{name}: the amount is no number.")
    if len(text) > MAX_DIGITS or abs(int(found.group(1) or "0")) > _MAX_EXPONENT:
        raise too_many_digits(name)
    return Fraction(text)
