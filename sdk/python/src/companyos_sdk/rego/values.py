"""The values of Rego in Python, and what equal and smaller mean for them.

=========  ==============================================  =====================================================
Rego       Python                                          note
=========  ==============================================  =====================================================
null       ``None``
boolean    ``bool``                                        never equal to a number, although Python says so
number     ``int``, ``float``                              ``1`` equals ``1.0``; no NaN, no infinity
string     ``str``
array      ``list``                                        never changed once it is made
object     ``dict`` of ``key(k)`` to value                 a string is its own key, so decoded JSON is an object as is
set        ``Set``                                         exact equality
undefined  ``UNDEFINED``                                   no value at all; never inside another value
=========  ==============================================  =====================================================

Values share parts freely, so nobody changes a value after it has been handed on. What leaves a program has been copied
by ``to_json``. Order and equality are those of OPA (policy reference, "Built-in comparison").
"""

from __future__ import annotations

import json
import math
import threading
from collections.abc import Hashable, Iterable, Iterator
from functools import cmp_to_key
from typing import Any, Final, TypeAlias, final

from companyos_sdk.rego.errors import EvaluationError, LimitExceeded
from companyos_sdk.rego.limits import MAX_STEPS

Value: TypeAlias = Any
"""One of the above; Python's types cannot say it shorter."""


@final
class Undefined:
    """The type of ``UNDEFINED``: the answer of a rule that says nothing."""

    __slots__ = ()

    def __repr__(self) -> str:
        return "UNDEFINED"

    def __bool__(self) -> bool:
        raise TypeError("UNDEFINED is neither true nor false; compare with `is UNDEFINED`.")

    def __reduce__(self) -> str:
        return "UNDEFINED"


UNDEFINED: Final = Undefined()


@final
class _Boolean:
    """What stands for true and false among keys, where Python would take them for 1 and 0."""

    __slots__ = ("value",)

    def __init__(self, *, value: bool) -> None:
        self.value = value


_TRUE, _FALSE = _Boolean(value=True), _Boolean(value=False)


def key(value: Value) -> Hashable:
    """Something hashable that is equal for two values exactly when they are equal in Rego; a string is its own key."""
    kind = type(value)
    if kind is str or value is None or kind is int or kind is float:
        return value  # type: ignore[no-any-return] # the types above are all hashable
    if kind is bool:
        return _TRUE if value else _FALSE
    if kind is list:
        work(len(value))
        return ("a", *map(key, value))
    if kind is dict:
        work(len(value))
        return ("o", frozenset([(name, key(item)) for name, item in value.items()]))
    if kind is Set:
        work(len(value.index))
        return ("s", frozenset(value.index))
    raise foreign(value)


class Work(threading.local):
    """What the evaluation that this thread is in may still do, if it is in one."""

    purse: list[int] | None = None
    """The steps that are left: a list, because generated code counts in it too. Behind the end they are UNLIMITED."""


WORK: Final = Work()
UNLIMITED: Final = 1 << 60


def work(steps: int) -> None:
    """Count elements that are looked at; raises LimitExceeded when an evaluation has looked at too many.

    Values share parts, so one that was made in forty steps can have more elements than anybody can visit.
    """
    purse = WORK.purse
    if purse is not None:
        purse[0] -= steps
        if purse[0] < 0:
            raise too_much()


def too_much() -> LimitExceeded:
    """The error for an evaluation that has spent all of its steps."""
    return LimitExceeded(f"A decision may take {MAX_STEPS:,} steps, and this one needs more.")


def unkey(made: Hashable) -> Value:
    """The value that ``key`` was made from, or one equal to it."""
    if type(made) is _Boolean:
        return made.value
    if type(made) is not tuple:
        return made
    if made[0] == "a":
        return [unkey(item) for item in made[1:]]
    if made[0] == "o":
        return {name: unkey(item) for name, item in made[1]}
    return Set(unkey(item) for item in made[1])


@final
class Set:
    """A set of Rego. Grows while it is made and never after; iterating gives its elements in Rego's order."""

    __slots__ = ("index",)

    def __init__(self, values: Iterable[Value] = ()) -> None:
        self.index: dict[Hashable, Value] = {key(value): value for value in values} if values else {}
        """Each element under its key."""

    def add(self, value: Value) -> None:
        """Put a value in, unless an equal one is there."""
        self.index.setdefault(key(value), value)

    def __contains__(self, value: Value) -> bool:
        return key(value) in self.index

    def __len__(self) -> int:
        return len(self.index)

    def __iter__(self) -> Iterator[Value]:
        return iter(in_order(self.index.values()))

    def __eq__(self, other: object) -> bool:
        return type(other) is Set and equal(self, other)

    def __hash__(self) -> int:
        return hash(key(self))

    def __repr__(self) -> str:
        return f"Set({list(self)!r})"


def equal(left: Value, right: Value) -> bool:
    """Whether two values are the same in Rego: true is never 1, and 1 is 1.0."""
    kind = type(left)
    if kind is str or left is None:
        return bool(left == right)
    if kind is bool:
        return left is right
    if kind is int or kind is float:
        other = type(right)
        if (kind is float and not math.isfinite(left)) or (other is float and not math.isfinite(right)):
            raise foreign(left)
        return (other is int or other is float) and bool(left == right)
    if kind is list:
        if type(right) is list:
            work(len(left))
        return (
            type(right) is list
            and len(left) == len(right)
            and all(equal(one, two) for one, two in zip(left, right, strict=True))
        )
    if kind is dict:
        if type(right) is dict:
            work(len(left))
        return (
            type(right) is dict
            and len(left) == len(right)
            and all(name in right and equal(item, right[name]) for name, item in left.items())
        )
    if kind is Set:
        return type(right) is Set and left.index.keys() == right.index.keys()
    raise foreign(left)


def compare(left: Value, right: Value) -> int:
    """-1, 0 or 1: null < false < true < numbers < strings < arrays < objects < sets."""
    one, two = _rank(left), _rank(right)
    if one != two:
        return -1 if one < two else 1
    if one == _NULL:
        return 0
    if (type(left) is float and not math.isfinite(left)) or (type(right) is float and not math.isfinite(right)):
        raise foreign(left)
    if one in _SCALARS:
        return int(left > right) - int(left < right)
    work(len(left))
    if one == _ARRAY:
        return _compare_all(left, right)
    if one == _SET:
        return _compare_all(list(left), list(right))
    return _compare_all(_flat(left), _flat(right), of=2)


def in_order(values: Iterable[Value]) -> list[Value]:
    """The values from the smallest to the largest."""
    found = list(values)
    if len(found) > 1:
        if all(type(value) is str for value in found):
            found.sort()
        else:
            found.sort(key=_by_order)
    return found


def keys_in_order(value: dict[Hashable, Value]) -> list[Hashable]:
    """The keys of an object, as they are stored, in the order of the values that they stand for."""
    return [made for _, made in sorted(((_by_order(unkey(made)), made) for made in value), key=lambda pair: pair[0])]


def type_name(value: Value) -> str:
    """What Rego calls the type of this value (``type_name``)."""
    return _NAMES[_rank(value)]


def is_number(value: Value) -> bool:
    """Whether this is a number of Rego, which a boolean is not."""
    kind = type(value)
    return kind is int or kind is float


def to_json(value: Value) -> Value:
    """A copy in plain JSON that shares nothing: a set becomes an array in order, a key its JSON text."""
    return json_within(value, WORK.purse or [UNLIMITED])


def json_within(value: Value, purse: list[int]) -> Value:
    """What ``to_json`` gives, counted in a purse; raises LimitExceeded."""
    kind = type(value)
    if kind is dict:
        purse[0] -= len(value)
        if purse[0] < 0:
            raise too_much()
        made: dict[str, Value] = {}
        for name, item in value.items():
            made[name if type(name) is str else key_text(name)] = (
                item if type(item) in _PLAIN else json_within(item, purse)
            )
        return made
    if kind is list or kind is Set:
        if not value:
            return []
        purse[0] -= len(value)
        if purse[0] < 0:
            raise too_much()
        listed: list[Value] = []
        for item in value:
            listed.append(item if type(item) in _PLAIN else json_within(item, purse))  # noqa: PERF401 - it is faster
        return listed
    if kind in _PLAIN or (kind is float and math.isfinite(value)):
        return value
    raise foreign(value)


def copied(value: Value) -> Value:
    """A copy of decoded JSON that shares nothing; raises EvaluationError where it is something else."""
    kind = type(value)
    if kind in _PLAIN or (kind is float and math.isfinite(value)):
        return value
    if kind is list:
        return [copied(item) for item in value]
    if kind is dict and all(type(name) is str for name in value):
        return {name: copied(item) for name, item in value.items()}
    raise foreign(value)


def key_text(made: Hashable) -> str:
    """How a key of an object is written in JSON, where only strings can be keys."""
    return made if type(made) is str else json.dumps(to_json(unkey(made)), ensure_ascii=False, separators=(",", ":"))


def foreign(value: object) -> EvaluationError:
    """The error for something that is no value of Rego, such as a date, a tuple or an object of a class."""
    return EvaluationError(
        f"{type(value).__name__} is no JSON value. Pass None, bool, int, float, str, list or dict to a policy."
    )


_PLAIN = frozenset({type(None), bool, int, str})
_NULL, _BOOLEAN, _NUMBER, _STRING, _ARRAY, _OBJECT, _SET = range(7)
_SCALARS = frozenset({_BOOLEAN, _NUMBER, _STRING})
_NAMES = ("null", "boolean", "number", "string", "array", "object", "set")
_RANKS = {
    type(None): _NULL,
    bool: _BOOLEAN,
    int: _NUMBER,
    float: _NUMBER,
    str: _STRING,
    list: _ARRAY,
    dict: _OBJECT,
    Set: _SET,
}


def _rank(value: Value) -> int:
    rank = _RANKS.get(type(value))
    if rank is None:
        raise foreign(value)
    return rank


def _compare_all(left: list[Value], right: list[Value], of: int = 1) -> int:
    for one, two in zip(left, right, strict=False):
        if found := compare(one, two):
            return found
    return (len(left) // of > len(right) // of) - (len(left) // of < len(right) // of)


def _flat(value: dict[Hashable, Value]) -> list[Value]:
    return [part for made in keys_in_order(value) for part in (unkey(made), value[made])]


_by_order = cmp_to_key(compare)
