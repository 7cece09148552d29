"""Functions of arrays."""

from __future__ import annotations

from typing import Any

from companyos_sdk.rego.builtins.arguments import array, machine, too_many
from companyos_sdk.rego.builtins.registry import builtin
from companyos_sdk.rego.limits import MAX_ITEMS

Value = Any


@builtin("array.concat")
def concat(left: Value, right: Value) -> list[Value]:
    """The elements of the first array and then those of the second."""
    one, two = array("array.concat", 1, left), array("array.concat", 2, right)
    if len(one) + len(two) > MAX_ITEMS:
        raise too_many("array.concat")
    return one + two


@builtin("array.slice")
def slice_(values: Value, start: Value, stop: Value) -> list[Value]:
    """The elements from `start` to before `stop`, each moved to the nearest place that exists."""
    found = array("array.slice", 1, values)
    last = min(max(machine("array.slice", 3, stop), 0), len(found))
    first = min(max(machine("array.slice", 2, start), 0), last)
    return found[first:last]


@builtin("array.reverse")
def reverse(values: Value) -> list[Value]:
    """The elements from the last to the first."""
    return array("array.reverse", 1, values)[::-1]


@builtin("array.flatten")
def flatten(values: Value) -> list[Value]:
    """The elements, where those of an array among them stand in its place; arrays within those stay."""
    made: list[Value] = []
    for item in array("array.flatten", 1, values):
        made += item if type(item) is list else [item]
        if len(made) > MAX_ITEMS:
            raise too_many("array.flatten")
    return made
