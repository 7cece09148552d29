"""What the compiler calls for operators: comparisons, `in`, and the set operations; arithmetic is in `arithmetic`."""

from __future__ import annotations

from typing import Any

from companyos_sdk.rego.builtins.arguments import group
from companyos_sdk.rego.builtins.registry import builtin
from companyos_sdk.rego.values import Set, compare, equal, key

Value = Any
_ORDERED = frozenset({int, float, str})
"""Types that Python orders as Rego does, within each type, and numbers among each other."""


@builtin("equal")
def equal_(left: Value, right: Value) -> bool:
    """``left == right``."""
    return equal(left, right)


@builtin("neq")
def neq(left: Value, right: Value) -> bool:
    """``left != right``."""
    return not equal(left, right)


@builtin("lt")
def lt(left: Value, right: Value) -> bool:
    """``left < right``, for values of any types."""
    if type(left) is type(right) and type(left) in _ORDERED:
        return left < right  # type: ignore[no-any-return] # numbers or strings
    return compare(left, right) < 0


@builtin("lte")
def lte(left: Value, right: Value) -> bool:
    """``left <= right``, for values of any types."""
    if type(left) is type(right) and type(left) in _ORDERED:
        return left <= right  # type: ignore[no-any-return] # numbers or strings
    return compare(left, right) <= 0


@builtin("gt")
def gt(left: Value, right: Value) -> bool:
    """``left > right``, for values of any types."""
    if type(left) is type(right) and type(left) in _ORDERED:
        return left > right  # type: ignore[no-any-return] # numbers or strings
    return compare(left, right) > 0


@builtin("gte")
def gte(left: Value, right: Value) -> bool:
    """``left >= right``, for values of any types."""
    if type(left) is type(right) and type(left) in _ORDERED:
        return left >= right  # type: ignore[no-any-return] # numbers or strings
    return compare(left, right) >= 0


@builtin("internal.member_2")
def member(value: Value, collection: Value) -> bool:
    """``value in collection``: among the elements, or the values of an object; never in anything else."""
    kind = type(collection)
    if kind is Set:
        return key(value) in collection.index
    if kind is list:
        return _among(value, collection)
    return kind is dict and _among(value, collection.values())


@builtin("internal.member_3")
def member_with_key(name: Value, value: Value, collection: Value) -> bool:
    """``name, value in collection``: an entry of an object, an index with its element, a set with both the same."""
    kind = type(collection)
    if kind is dict:
        place = key(name)
        return place in collection and equal(collection[place], value)
    if kind is list:
        return type(name) is int and 0 <= name < len(collection) and equal(collection[name], value)
    return kind is Set and equal(name, value) and key(name) in collection.index


@builtin("and")
def intersect(left: Value, right: Value) -> Set:
    """``left & right``, for two sets."""
    one, two = group("and", 1, left), group("and", 2, right)
    made = Set()
    made.index = {name: value for name, value in one.index.items() if name in two.index}
    return made


@builtin("or")
def unite(left: Value, right: Value) -> Set:
    """``left | right``, for two sets."""
    one, two = group("or", 1, left), group("or", 2, right)
    made = Set()
    made.index = {**two.index, **one.index}
    return made


def _among(value: Value, values: Any) -> bool:  # noqa: ANN401 - a list or the values of a dictionary
    if type(value) is str or value is None:
        return value in values
    return any(equal(value, item) for item in values)
