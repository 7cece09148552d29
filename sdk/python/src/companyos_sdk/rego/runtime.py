"""What compiled policies call while they run.

``S`` is the purse of an evaluation: a list whose only entry counts the steps that are left.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterable
from math import isfinite
from typing import Any, Final, TypeAlias

from companyos_sdk.rego.errors import ConflictError
from companyos_sdk.rego.values import (
    UNDEFINED,
    Set,
    Undefined,
    Value,
    equal,
    foreign,
    in_order,
    is_number,
    key,
    keys_in_order,
    too_much,
    unkey,
)

UNSET: Final = object()
"""Stands for a rule that has not been computed in this evaluation."""
KNOWN: Final = frozenset({type(None), bool, int, float, str, list, dict, Set})
PLAIN: Final = frozenset({type(None), bool, int, str, list, dict, Set, Undefined})
"""Types whose values need no look: a float may be none of Rego's."""
SIZED: Final = frozenset({list, dict, Set, str})


def known(value: Value) -> Value:
    """The value, if its type is one of Rego's and it is a number that is one; raises EvaluationError."""
    kind = type(value)
    if kind not in KNOWN or (kind is float and not isfinite(value)):
        raise foreign(value)
    return value


def examine(values: tuple[Value, ...]) -> None:
    """Raise EvaluationError if one of these is no value of Rego."""
    for value in values:
        if value is not UNDEFINED:
            known(value)


def step(source: Value, name: str) -> Value:
    """What is at a key of something that may be nothing."""
    return UNDEFINED if source is UNDEFINED else dot(source, name)


def items(purse: list[int], source: Value) -> Iterable[Value] | None:
    """The values of a collection in Rego's order, or None for what is no collection."""
    kind = type(source)
    if kind is list:
        spend(purse, len(source))
        if not PLAIN.issuperset(map(type, source)):
            examine(tuple(source))
        return source  # type: ignore[no-any-return] # a list
    if kind is Set:
        spend(purse, len(source.index))
        members = source.index.values()
        return in_order(members) if len(members) > 1 else members
    found = pairs(purse, source)
    return None if found is None else [value for _, value in found]


def dot(source: Value, name: Value) -> Value:
    """What is at a key of a collection, or UNDEFINED."""
    kind = type(source)
    if kind is dict:
        found = source.get(name if type(name) is str else key(name), UNDEFINED)
    elif kind is list:
        found = source[int(name)] if _is_index(name) and 0 <= name < len(source) else UNDEFINED
    elif kind is Set:
        found = source.index.get(key(name), UNDEFINED)
    elif kind in KNOWN:
        return UNDEFINED
    else:
        raise foreign(source)
    return found if found is UNDEFINED else known(found)


def _is_index(name: Value) -> bool:
    return type(name) is int or (type(name) is float and name.is_integer())


def spend(purse: list[int], steps: int) -> None:
    """Take steps from the purse; raises LimitExceeded when it is empty."""
    purse[0] -= steps
    if purse[0] < 0:
        raise too_much()


def pairs(purse: list[int], source: Value) -> Iterable[tuple[Value, Value]] | None:
    """Keys and values of a collection in Rego's order, or None for what is no collection."""
    kind = type(source)
    if kind is list:
        spend(purse, len(source))
        return enumerate(map(known, source))
    if kind is dict:
        spend(purse, len(source))
        if all(type(name) is str for name in source):
            return [(name, known(source[name])) for name in sorted(source)]
        return [(unkey(name), known(source[name])) for name in keys_in_order(source)]
    if kind is Set:
        spend(purse, len(source.index))
        found = in_order(source.index.values())
        return zip(found, found, strict=True)
    known(source)
    return None


def insert_once(made: dict[Hashable, Value], name: Value, value: Value) -> None:
    """Put an entry into an object; raises ConflictError when another value is there."""
    if type(made) is not dict:
        raise ConflictError("a rule gives a part of an object and something that is none for one key")
    at = key(name)
    if not equal(made.setdefault(at, value), value):
        raise ConflictError("object keys must be unique")


def united(left: Set, right: Set) -> Set:
    """The union of two sets, which is one of them where the other one is empty."""
    if not right.index:
        return left
    if not left.index:
        return right
    made = Set()
    made.index = {**right.index, **left.index}
    return made


def conflict(function: str, arguments: bool) -> ConflictError:  # noqa: FBT001 - generated code is short
    """The error for two values of one rule, or of one function with the same arguments."""
    if arguments:
        return ConflictError(f"{function}: functions must not produce multiple outputs for same inputs")
    return ConflictError(f"{function}: complete rules must not produce multiple outputs")


def put(document: Value, path: tuple[str, ...], value: Value) -> Value:
    """A copy of the document with another value at the path; what is no object on the way becomes one."""
    if not path:
        return value
    copy: dict[Any, Any] = dict(document) if type(document) is dict else {}
    copy[path[0]] = put(copy.get(path[0], UNDEFINED), path[1:], value)
    return copy


def merge(first: Value, second: Value) -> Value:
    """An object with the entries of both, or the first value where there is nothing to merge."""
    if first is UNDEFINED:
        return second
    if second is UNDEFINED:
        return first
    if type(first) is dict and type(second) is dict:
        made = dict(second)
        for name, value in first.items():
            made[name] = merge(value, made[name]) if name in made else value
        return made
    if type(first) is Set and type(second) is Set:
        return Set([*first.index.values(), *second.index.values()])
    if type(first) in {dict, Set} or type(second) in {dict, Set}:
        raise ConflictError("conflicting values for rule: a rule and the data say different things")
    return first


def dot_document(source: Value, name: Value) -> Value:
    """What ``dot`` gives in the data: its objects have no keys but strings, so OPA takes 2 for "2" there."""
    if type(source) is dict and type(name) is not str and is_number(name):
        return source.get(str(name), UNDEFINED)
    return dot(source, name)


Rule: TypeAlias = tuple[int, Callable[..., Value]]
"""A rule's place in the memory of an evaluation, and its code."""
Tree: TypeAlias = "dict[str, Tree | Rule]"
"""The rules of a plan by their place in the document."""


def look_up(
    tree: Tree, path: tuple[Value, ...], input: Value, data: Value, memory: list[Value], purse: list[int]
) -> Value:
    """What is at a path of the whole document, which is what the rules say and, where none is, the data."""

    def ask(rule: Rule) -> Value:
        number, code = rule
        if memory[number] is UNSET:
            memory[number] = code(input, data, memory, purse)
        return memory[number]

    node: Tree | Rule | None = tree
    found = data
    for at, name in enumerate(path):
        if isinstance(node, tuple):
            return _follow(ask(node), path[at:])
        node = node.get(name) if node is not None and type(name) is str else None
        found = UNDEFINED if found is UNDEFINED else dot_document(found, name)
        if node is None and found is UNDEFINED:
            return UNDEFINED
    if isinstance(node, tuple):
        return ask(node)
    return found if node is None else merge(found, _whole(node, ask))


def _follow(value: Value, path: tuple[Value, ...]) -> Value:
    for name in path:
        if value is UNDEFINED:
            return UNDEFINED
        value = dot(value, name)
    return value


def _whole(tree: Tree, ask: Callable[[Rule], Value]) -> Value:
    found = {name: ask(node) if isinstance(node, tuple) else _whole(node, ask) for name, node in tree.items()}
    return {name: value for name, value in found.items() if value is not UNDEFINED}
