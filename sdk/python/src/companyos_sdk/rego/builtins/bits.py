"""Functions of the bits of whole numbers, which may have any size."""

from __future__ import annotations

from typing import Any

from companyos_sdk.rego.builtins.arguments import MAX_BITS, integer, refuse, too_many_digits
from companyos_sdk.rego.builtins.registry import builtin

Value = Any


@builtin("bits.and")
def and_(left: Value, right: Value) -> int:
    """The bits that both have."""
    return integer("bits.and", 1, left) & integer("bits.and", 2, right)


@builtin("bits.or")
def or_(left: Value, right: Value) -> int:
    """The bits that either has."""
    return integer("bits.or", 1, left) | integer("bits.or", 2, right)


@builtin("bits.xor")
def xor(left: Value, right: Value) -> int:
    """The bits that one of them has."""
    return integer("bits.xor", 1, left) ^ integer("bits.xor", 2, right)


@builtin("bits.negate")
def negate(value: Value) -> int:
    """All bits the other way round."""
    return ~integer("bits.negate", 1, value)


@builtin("bits.lsh")
def lsh(value: Value, places: Value) -> int:
    """The number with its bits moved to the left."""
    moved, far = integer("bits.lsh", 1, value), _places("bits.lsh", places)
    if far + moved.bit_length() > MAX_BITS and moved:
        raise too_many_digits("bits.lsh")
    return moved << far if moved else 0


@builtin("bits.rsh")
def rsh(value: Value, places: Value) -> int:
    """The number with its bits moved to the right."""
    return integer("bits.rsh", 1, value) >> min(_places("bits.rsh", places), MAX_BITS + 1)


def _places(name: str, value: Value) -> int:
    far = integer(name, 2, value)
    if far < 0:
        refuse(name, 2, value, "a number of places that is not negative")
    return far
