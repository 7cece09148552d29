"""Masking: a copy of a value with the named fields replaced, or an error. Never half of it.

A path is names joined by dots. ``items[].iban`` is the ``iban`` of each element of the list ``items``; a name that
meets a list where an object was expected means each element too, so that one path fits a document and a list of them.
"""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Callable, Sequence
from typing import Any, Final

import msgspec

from companyos_sdk.rego.values import Value

MAX_FIELDS: Final = 256
MAX_PATH: Final = 256
"""Characters of one path."""
MAX_DEPTH: Final = 64
"""Levels of lists and objects that masking goes down."""

EACH: Final = None
"""The part of a path that means each element of a list."""
_NAME: Final = re.compile(r"[^.\[\]]+(\[\])*")


class CannotMask(Exception):
    """The value has a shape in which the field cannot be replaced, so it must not be handed out."""


def parsed(path: str) -> tuple[str | None, ...]:
    """The parts of a path: names, and None for each ``[]``. Raises ValueError for a text that is no path."""
    text = path.removeprefix("[]")
    parts: list[str | None] = [EACH] if text != path else []
    while text.startswith("[]"):
        text, parts = text[2:], [*parts, EACH]
    if parts:
        if not text.startswith("."):
            raise ValueError(f"{path[:80]!r} is no path of a field: name what to mask in each element, like [].iban.")
        text = text[1:]
    if len(path) > MAX_PATH:
        raise ValueError(f"A path of a field is longer than {MAX_PATH} characters.")
    for piece in text.split("."):
        if not _NAME.fullmatch(piece):
            raise ValueError(f"{path[:80]!r} is no path of a field. Write it like customer.iban or items[].iban.")
        name, *each = piece.split("[]")
        parts += [name, *(EACH for _ in each)]
    return tuple(parts)


def masked(value: Value, fields: Sequence[str], replacement: Value = "***") -> Value:
    """A copy of the value in which each field that exists is the replacement; the value itself stays as it is.

    Objects are dicts, msgspec structs, dataclasses and named tuples; lists are lists and tuples. What is not on the way
    to a field is shared with the original. Raises CannotMask when another kind of value stands where a field should be,
    and ValueError for a path that is none.
    """
    for field in fields:
        value = _replaced(value, parsed(field), replacement, field, 0)
    return value


def _replaced(value: Value, path: tuple[str | None, ...], replacement: Value, field: str, depth: int) -> Value:
    if not path:
        return replacement
    if value is None:
        return None
    if depth > MAX_DEPTH:
        raise CannotMask(f"{field} is nested deeper than {MAX_DEPTH} levels.")
    part, rest = path[0], path[1:]
    kind = type(value)
    if kind is list or kind is tuple:
        # A name that meets a list is for each of its elements; the path goes on unchanged below.
        below = rest if part is EACH else path
        return kind([_replaced(item, below, replacement, field, depth + 1) for item in value])
    if part is EACH:
        raise _shape(field, value)
    found = _field(value, part, field)
    if found is None:
        return value
    inner, put = found
    return put(_replaced(inner, rest, replacement, field, depth + 1))


def _field(value: Value, name: str, field: str) -> tuple[Any, Callable[[Any], Any]] | None:
    """What the field holds and how to make a copy with something else in it; None when there is no such field."""
    if isinstance(value, dict):
        if name in value:
            return value[name], lambda new: {**value, name: new}
        if any(not isinstance(key, str) and str(key) == name for key in value):
            raise CannotMask(f"{field} names a key that is no text.")
        return None
    if isinstance(value, msgspec.Struct):
        # Policies know the names on the wire, which a struct may have renamed.
        named = dict(zip(value.__struct_encode_fields__, value.__struct_fields__, strict=True))
        return _attribute(value, named.get(name, name), value.__struct_fields__, msgspec.structs.replace)
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        known = dataclasses.fields(value)
        if not all(part.init for part in known):
            raise _shape(field, value)
        return _attribute(value, name, [part.name for part in known], dataclasses.replace)
    if isinstance(value, tuple) and isinstance(getattr(value, "_fields", None), tuple):
        return _attribute(value, name, getattr(value, "_fields", ()), lambda old, **new: old._replace(**new))
    raise _shape(field, value)


def _attribute(
    value: Value, name: str, known: Sequence[str], replace: Callable[..., Any]
) -> tuple[Any, Callable[[Any], Any]] | None:
    return (getattr(value, name), lambda new: replace(value, **{name: new})) if name in known else None


def _shape(field: str, value: Value) -> CannotMask:
    return CannotMask(f"{field} cannot be masked in a value of the type {type(value).__name__}.")
