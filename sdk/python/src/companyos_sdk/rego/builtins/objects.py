"""Functions of objects."""

from __future__ import annotations

from collections.abc import Hashable, Iterator
from typing import Any

from companyos_sdk.rego.builtins.arguments import array, mapping, refuse, too_many
from companyos_sdk.rego.builtins.registry import builtin
from companyos_sdk.rego.errors import BuiltinError
from companyos_sdk.rego.limits import MAX_ITEMS
from companyos_sdk.rego.values import UNDEFINED, Set, equal, key, unkey

Value = Any
Object = dict[Hashable, Any]


@builtin("object.get")
def get(value: Value, place: Value, default: Value) -> Value:
    """What is at a key, or at a path if `place` is an array; the default where nothing is."""
    if type(value) is not dict:
        refuse("object.get", 1, value, "an object")
    if type(place) is str:
        return value.get(place, default)
    if type(place) is not list:
        return value.get(key(place), default)
    for step in place:
        value = below(value, step)
        if value is UNDEFINED:
            return default
    return value


@builtin("object.keys")
def keys(value: Value) -> Set:
    """The set of the keys."""
    made = Set()
    made.index = {name: unkey(name) for name in mapping("object.keys", 1, value)}
    return made


@builtin("object.remove")
def remove(value: Value, names: Value) -> Object:
    """The object without the keys that an array, a set or an object names."""
    gone = _names("object.remove", names)
    return {name: item for name, item in mapping("object.remove", 1, value).items() if name not in gone}


@builtin("object.filter")
def filter_(value: Value, names: Value) -> Object:
    """The object with only the keys that an array, a set or an object names."""
    kept = _names("object.filter", names)
    return {name: item for name, item in mapping("object.filter", 1, value).items() if name in kept}


@builtin("object.union")
def union(left: Value, right: Value) -> Object:
    """Both objects in one: where both have a key, objects are united and otherwise the second one counts."""
    return _united("object.union", mapping("object.union", 1, left), mapping("object.union", 2, right))


@builtin("object.union_n")
def union_n(objects: Value) -> Object:
    """All objects of an array in one, as `object.union` does it from the first to the last."""
    made: Object = {}
    for item in array("object.union_n", 1, objects):
        made = _united("object.union_n", made, mapping("object.union_n", 1, item))
    return made


@builtin("object.subset")
def subset(whole: Value, part: Value) -> bool:
    """Whether the first holds all of the second: two objects, two sets, two arrays, or an array and a set."""
    if type(whole) is list and type(part) is Set:
        present = {key(item) for item in whole}
        return bool(whole) and all(name in present for name in part.index)
    if type(whole) is not type(part) or type(whole) not in (dict, Set, list):
        raise BuiltinError("object.subset: both arguments must be objects, sets or arrays, or an array and a set.")
    return _holds(whole, part)


def below(value: Value, step: Value) -> Value:
    """What a reference of one step finds in a value, or ``UNDEFINED``."""
    if type(value) is dict:
        return value.get(step if type(step) is str else key(step), UNDEFINED)
    if type(value) is list:
        inside = type(step) is int and 0 <= step < len(value)
        return value[step] if inside else UNDEFINED
    if type(value) is Set:
        return value.index.get(key(step), UNDEFINED)
    return UNDEFINED


def _names(name: str, value: Value) -> frozenset[Hashable] | Object:
    if type(value) is dict:
        return value
    if type(value) is Set:
        return value.index
    if type(value) is list:
        return frozenset(map(key, value))
    return refuse(name, 2, value, "an object, a set or an array")


def _united(name: str, left: Object, right: Object) -> Object:
    made = dict(left)
    for place, item in right.items():
        old = made.get(place)
        made[place] = _united(name, old, item) if type(old) is dict and type(item) is dict else item
    if len(made) > MAX_ITEMS:
        raise too_many(name)
    return made


def _holds(whole: Value, part: Value) -> bool:
    if type(whole) is not type(part):
        return False
    if type(whole) is dict:
        return all(
            name in whole and (_holds(whole[name], item) or equal(whole[name], item)) for name, item in part.items()
        )
    if type(whole) is Set:
        return bool(whole.index.keys() >= part.index.keys())
    return type(whole) is list and _runs(whole, part)


def _runs(whole: list[Value], part: list[Value]) -> bool:
    """Whether the second array stands in the first, one element after the other; found in linear time."""
    sought = [key(item) for item in part]
    back = list(_fallbacks(sought))
    done = 0
    if not sought:
        return True
    for item in whole:
        made = key(item)
        while done and made != sought[done]:
            done = back[done - 1]
        if made == sought[done]:
            done += 1
        if done == len(sought):
            return True
    return False


def _fallbacks(sought: list[Hashable]) -> Iterator[int]:
    """For each beginning of what is sought, the length of the longest shorter one that it ends with."""
    lengths: list[int] = []
    done = 0
    for position, item in enumerate(sought):
        while position and done and item != sought[done]:
            done = lengths[done - 1]
        if position and item == sought[done]:
            done += 1
        lengths.append(done)
        yield done
