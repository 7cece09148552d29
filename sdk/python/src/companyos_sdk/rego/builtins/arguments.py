"""What a built-in function may assume of its arguments, and the one sentence for each fault."""

from __future__ import annotations

from fractions import Fraction
from typing import Any, Final, NoReturn

from companyos_sdk.rego.errors import BuiltinError, EvaluationError, LimitExceeded
from companyos_sdk.rego.limits import MAX_DIGITS, MAX_ITEMS, MAX_TEXT
from companyos_sdk.rego.values import Set, type_name

MAX_BITS: Final = MAX_DIGITS * 10 // 3
"""Bits of a whole number of about `MAX_DIGITS` digits."""
MACHINE: Final = 2**63
"""What an index or a count must be smaller than, because it is a machine integer in OPA."""


def refuse(name: str, position: int, value: Any, expected: str) -> NoReturn:  # noqa: ANN401 - any value of Rego
    """Raise the error for an argument of a wrong type; positions count from 1."""
    raise BuiltinError(f"{name}: argument {position} must be {expected}, and is a value of type {type_name(value)}.")


def string(name: str, position: int, value: Any) -> str:  # noqa: ANN401 - any value of Rego
    """The argument, a string."""
    if type(value) is not str:
        refuse(name, position, value, "a string")
    return value


def number(name: str, position: int, value: Any) -> int | float:  # noqa: ANN401 - any value of Rego
    """The argument, a number."""
    if type(value) is not int and type(value) is not float:
        refuse(name, position, value, "a number")
    return value


def machine(name: str, position: int, value: Any) -> int:  # noqa: ANN401 - any value of Rego
    """The argument, a whole number that fits 64 bits and is written as one: OPA refuses ``1.0`` as an index."""
    if type(value) is not int:
        refuse(name, position, value, "a whole number, written without a fraction")
    if not -MACHINE <= value < MACHINE:
        raise BuiltinError(f"{name}: argument {position} is too large for an index or a count.")
    return value


def integer(name: str, position: int, value: Any) -> int:  # noqa: ANN401 - any value of Rego
    """The argument, a whole number of any size within `limits`, which may be written as ``1.0``."""
    if type(value) is float and value.is_integer():
        return int(Fraction(repr(value)))
    if type(value) is not int:
        refuse(name, position, value, "a whole number")
    if value.bit_length() > MAX_BITS:
        raise too_many_digits(name)
    return value


def array(name: str, position: int, value: Any) -> list[Any]:  # noqa: ANN401 - any value of Rego
    """The argument, an array."""
    if type(value) is not list:
        refuse(name, position, value, "an array")
    return value


def mapping(name: str, position: int, value: Any) -> dict[Any, Any]:  # noqa: ANN401 - any value of Rego
    """The argument, an object."""
    if type(value) is not dict:
        refuse(name, position, value, "an object")
    return value


def group(name: str, position: int, value: Any) -> Set:  # noqa: ANN401 - any value of Rego
    """The argument, a set."""
    if type(value) is not Set:
        refuse(name, position, value, "a set")
    return value


def listed(name: str, position: int, value: Any) -> list[Any]:  # noqa: ANN401 - any value of Rego
    """The elements of an argument that is an array or a set, those of a set in order."""
    if type(value) is list:
        return value
    if type(value) is Set:
        return list(value)
    refuse(name, position, value, "an array or a set")


def strings(name: str, position: int, value: Any) -> list[str]:  # noqa: ANN401 - any value of Rego
    """The elements of an argument that is an array or a set of strings."""
    found = listed(name, position, value)
    for item in found:
        if type(item) is not str:
            refuse(name, position, item, "an array or a set of strings")
    return found


def impossible(name: str, what: str) -> EvaluationError:
    """The error where OPA gives a value that cannot be had here: no undefined, but the end of the decision."""
    return EvaluationError(f"{name}: {what}.")


def too_many(name: str) -> LimitExceeded:
    """The error for a result with more elements than a function may make."""
    return LimitExceeded(f"{name}: the result would have more than {MAX_ITEMS} elements.")


def too_long(name: str) -> LimitExceeded:
    """The error for a string that is longer than a function may make."""
    return LimitExceeded(f"{name}: the result would be longer than {MAX_TEXT} characters.")


def too_many_digits(name: str) -> LimitExceeded:
    """The error for a number with more digits than arithmetic may make."""
    return LimitExceeded(f"{name}: the number has more than {MAX_DIGITS} digits.")


def no_longer(name: str, text: str) -> str:
    """The text, if a function may make one that long."""
    if len(text) > MAX_TEXT:
        raise too_long(name)
    return text
