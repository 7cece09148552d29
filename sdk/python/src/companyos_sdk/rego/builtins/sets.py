"""Functions of a set of sets; `&`, `|` and `-` of two are among the operators."""

from __future__ import annotations

from typing import Any

from companyos_sdk.rego.builtins.arguments import group, too_many
from companyos_sdk.rego.builtins.registry import builtin
from companyos_sdk.rego.limits import MAX_ITEMS
from companyos_sdk.rego.values import Set

Value = Any


@builtin("intersection")
def intersection(sets: Value) -> Set:
    """What all sets of a set have; of none, nothing."""
    members = [group("intersection", 1, member) for member in group("intersection", 1, sets).index.values()]
    made = Set()
    if members:
        first, *others = sorted(members, key=len)
        made.index = {
            name: value for name, value in first.index.items() if all(name in other.index for other in others)
        }
    return made


@builtin("union")
def union(sets: Value) -> Set:
    """What any set of a set has."""
    made = Set()
    for member in group("union", 1, sets).index.values():
        made.index.update(group("union", 1, member).index)
        if len(made.index) > MAX_ITEMS:
            raise too_many("union")
    return made


@builtin("set_diff")
def difference(left: Value, right: Value) -> Set:
    """What only the first of two sets has; the old name of ``-``."""
    one, two = group("set_diff", 1, left), group("set_diff", 2, right)
    made = Set()
    made.index = {name: value for name, value in one.index.items() if name not in two.index}
    return made
