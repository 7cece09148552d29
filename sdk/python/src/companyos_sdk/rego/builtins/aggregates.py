"""Functions of a whole collection: count, sum, product, max, min, sort, all, any."""

from __future__ import annotations

from fractions import Fraction
from typing import Any

from companyos_sdk.rego.builtins import arithmetic
from companyos_sdk.rego.builtins.arguments import listed, refuse
from companyos_sdk.rego.builtins.registry import builtin
from companyos_sdk.rego.values import UNDEFINED, Set, compare, in_order, key

Value = Any
_COUNTED = frozenset({list, dict, Set, str})
_TRUE = key(True)  # noqa: FBT003 - the value true of Rego


@builtin("count")
def count(collection: Value) -> int:
    """The number of elements, of entries, or of characters of a string."""
    if type(collection) not in _COUNTED:
        refuse("count", 1, collection, "an array, an object, a set or a string")
    return len(collection)


@builtin("sum")
def sum_(collection: Value) -> int | float:
    """The sum of the numbers of an array or a set; of none, 0."""
    values = listed("sum", 1, collection)
    if all(type(value) is int for value in values):
        total: int | float = 0
        for value in values:
            total = arithmetic.plus(total, value)
        return total
    exact = [arithmetic.rational("sum", 1, value) for value in values]
    return arithmetic.finished("sum", sum(exact, Fraction(0)), exact)


@builtin("product")
def product(collection: Value) -> int | float:
    """The product of the numbers of an array or a set; of none, 1."""
    values = listed("product", 1, collection)
    total: int | float = 1
    if all(type(value) is int for value in values):
        for value in values:
            total = arithmetic.mul(total, value)
        return total
    exact = [arithmetic.rational("product", 1, value) for value in values]
    made = Fraction(1)
    for value in exact:
        made = arithmetic.mantissa(made * value) if made * value else Fraction(0)
    return arithmetic.finished("product", made, exact)


@builtin("max")
def max_(collection: Value) -> Value:
    """The largest element of an array or a set; of none, undefined."""
    values = listed("max", 1, collection)
    if not values:
        return UNDEFINED
    largest = values[0]
    for value in values[1:]:
        if compare(largest, value) <= 0:
            largest = value
    return largest


@builtin("min")
def min_(collection: Value) -> Value:
    """The smallest element of an array or a set; of none, undefined."""
    values = listed("min", 1, collection)
    if not values:
        return UNDEFINED
    smallest = values[0]
    for value in values[1:]:
        if compare(smallest, value) >= 0:
            smallest = value
    return smallest


@builtin("sort")
def sort(collection: Value) -> list[Value]:
    """An array of the elements of an array or a set, from the smallest to the largest."""
    return in_order(listed("sort", 1, collection))


@builtin("all")
def all_(collection: Value) -> bool:
    """Whether every element of an array or a set is true."""
    if type(collection) is Set:
        return not collection.index or list(collection.index) == [_TRUE]
    return all(value is True for value in listed("all", 1, collection))


@builtin("any")
def any_(collection: Value) -> bool:
    """Whether an element of an array or a set is true."""
    return any(value is True for value in listed("any", 1, collection))
