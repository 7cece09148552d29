"""Semantic versions, https://semver.org, as OPA reads them: with a leading ``v`` and leading zeros, if need be."""

from __future__ import annotations

import re
from typing import Any, Final

from companyos_sdk.rego.builtins.arguments import MACHINE, string
from companyos_sdk.rego.builtins.registry import builtin
from companyos_sdk.rego.errors import BuiltinError

Value = Any

_IDENTIFIERS: Final = re.compile(r"[0-9A-Za-z-]+(?:\.[0-9A-Za-z-]+)*")
_NUMBER: Final = re.compile(r"[+-]?[0-9]{1,4000}")


@builtin("semver.compare")
def compare(left: Value, right: Value) -> int:
    """-1, 0 or 1 as the first version is before, at, or after the second."""
    one = _parsed(string("semver.compare", 1, left))
    two = _parsed(string("semver.compare", 2, right))
    if one is None or two is None:
        raise BuiltinError(f"semver.compare: argument {1 if one is None else 2} is no semantic version.")
    if one[0] != two[0]:
        return 1 if one[0] > two[0] else -1
    return _compare_before(one[1], two[1])


@builtin("semver.is_valid")
def is_valid(version: Value) -> bool:
    """Whether the value is a string that is a semantic version."""
    return type(version) is str and _parsed(version) is not None


def _parsed(text: str) -> tuple[list[int], str] | None:
    """The three numbers and the pre-release, or None for something else."""
    rest, _, metadata = text.removeprefix("v").partition("+")
    rest, _, before = rest.partition("-")
    if any(part and not _IDENTIFIERS.fullmatch(part) for part in (metadata, before)):
        return None
    parts = rest.split(".", 3)
    if len(parts) != 3 or not all(_NUMBER.fullmatch(part) for part in parts):  # noqa: PLR2004 - major, minor, patch
        return None
    numbers = [int(part) for part in parts]
    return (numbers, before) if all(-MACHINE <= number < MACHINE for number in numbers) else None


def _compare_before(left: str, right: str) -> int:
    """Compare pre-releases; a version without one comes after those with one."""
    if left == right:
        return 0
    if not left or not right:
        return 1 if right else -1
    one, two = left.split("."), right.split(".")
    for mine, other in zip(one, two, strict=False):
        if mine.isdecimal() != other.isdecimal():
            return -1 if mine.isdecimal() else 1
        first, second = _rank(mine), _rank(other)
        if first != second:
            return 1 if first > second else -1
    return (len(one) > len(two)) - (len(one) < len(two))


def _rank(identifier: str) -> Any:  # noqa: ANN401 - numbers among numbers and strings among strings
    """What identifiers of one kind compare by; a number stops at the largest one of the machine, as in OPA."""
    if not identifier.isdecimal():
        return identifier
    digits = identifier.lstrip("0")
    return min(int(digits[:20] or "0") if len(digits) <= 20 else MACHINE, MACHINE - 1)  # noqa: PLR2004 - digits of 64 bits
