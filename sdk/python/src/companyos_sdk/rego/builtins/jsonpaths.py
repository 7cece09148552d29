"""Parts of documents by path: `json.filter`, `json.remove`, `json.patch`."""

from __future__ import annotations

import re
from collections.abc import Hashable, Iterable
from typing import Any, Final

from companyos_sdk.rego.builtins.arguments import array, mapping, refuse, too_many
from companyos_sdk.rego.builtins.objects import below
from companyos_sdk.rego.builtins.registry import builtin
from companyos_sdk.rego.errors import BuiltinError, LimitExceeded
from companyos_sdk.rego.limits import MAX_DEPTH, MAX_ITEMS, MAX_STEPS
from companyos_sdk.rego.values import UNDEFINED, Set, equal, key

Value = Any
Tree = dict[Hashable, Any]
"""What paths name: under each step a tree, or None where a path ends."""

_INDEX: Final = re.compile(r"[+-]?[0-9]{1,18}")
_OPERATIONS: Final = {
    "add": ("value",),
    "remove": (),
    "replace": ("value",),
    "move": ("from",),
    "copy": ("from",),
    "test": ("value",),
}
"""What each operation of a patch must have besides `path`."""


class _Impossible(Exception):
    """A patch that cannot be applied, which makes the call undefined and is no error."""


@builtin("json.filter")
def filter_(value: Value, paths: Value) -> Value:
    """The object with only what an array or a set of paths names."""
    return _only(mapping("json.filter", 1, value), _tree("json.filter", paths), 0)


@builtin("json.remove")
def remove(value: Value, paths: Value) -> Value:
    """The object without what an array or a set of paths names."""
    return _without(mapping("json.remove", 1, value), _tree("json.remove", paths), 0)


@builtin("json.patch")
def patch(value: Value, operations: Value) -> Value:
    """The value after the operations of a JSON patch (RFC 6902), which may go into sets too; undefined if one fails."""
    work = 0
    document = value
    try:
        for operation in array("json.patch", 2, operations):
            document = _applied(document, operation)
            work += _size(document)
            if work > MAX_STEPS:
                raise LimitExceeded("json.patch: too many operations for a document of this size.")
    except _Impossible:
        return UNDEFINED
    return document


def _tree(name: str, paths: Value) -> Tree:
    if type(paths) is not list and type(paths) is not Set:
        refuse(name, 2, paths, "an array or a set of paths")
    root: Tree = {}
    for text in paths:
        path = _path(text)
        if path is None:
            raise BuiltinError(f"{name}: argument 2 must have strings or arrays as paths.")
        if len(path) > MAX_DEPTH:
            raise LimitExceeded(f"{name}: a path has more than {MAX_DEPTH} steps.")
        node: Tree | None = root
        for step in path[:-1]:
            node = node.setdefault(key(step), {}) if node is not None else None
        if path and node is not None:
            node[key(path[-1])] = None
    return root


def _path(text: Value) -> list[Value] | None:
    """The steps of a path, which is an array of them or a string in which ``/`` stands between them."""
    if type(text) is list:
        return text
    if type(text) is not str:
        return None
    if not text:
        return []
    parts = text.lstrip("/").split("/", MAX_ITEMS)
    if len(parts) > MAX_ITEMS:
        raise too_many("json.patch")
    return [part.replace("~1", "/").replace("~0", "~") for part in parts]


def _only(value: Value, tree: Tree | None, depth: int) -> Value:
    if tree is None or type(value) not in (dict, list, Set):
        return value
    if depth > MAX_DEPTH:
        raise LimitExceeded(f"json.filter: a path has more than {MAX_DEPTH} steps.")
    if type(value) is dict:
        return {name: _only(item, tree[name], depth + 1) for name, item in value.items() if name in tree}
    if type(value) is list:
        places = ((str(place), item) for place, item in enumerate(value))
        return [_only(item, tree[place], depth + 1) for place, item in places if place in tree]
    return Set(_only(item, tree[name], depth + 1) for name, item in value.index.items() if name in tree)


def _without(value: Value, tree: Tree, depth: int) -> Value:
    if depth > MAX_DEPTH:
        raise LimitExceeded(f"json.remove: a path has more than {MAX_DEPTH} steps.")
    entries: Iterable[tuple[Hashable, Value]]
    if type(value) is dict:
        entries = value.items()
    elif type(value) is list:
        entries = ((str(place), item) for place, item in enumerate(value))
    elif type(value) is Set:
        entries = value.index.items()
    else:
        return value
    kept = [
        (name, item if name not in tree else _without(item, tree[name], depth + 1))
        for name, item in entries
        if name not in tree or tree[name] is not None
    ]
    if type(value) is dict:
        return dict(kept)
    return [item for _, item in kept] if type(value) is list else Set(item for _, item in kept)


def _applied(document: Value, operation: Value) -> Value:
    """The document after one operation."""
    if type(operation) is not dict:
        raise _Impossible
    kind = operation.get("op")
    if type(kind) is not str or kind not in _OPERATIONS or any(name not in operation for name in _OPERATIONS[kind]):
        raise _Impossible
    path = _steps(operation.get("path"))
    if kind == "add":
        return _inserted(document, path, operation["value"])
    if kind == "remove":
        return _deleted(document, path)
    if kind == "replace":
        return _inserted(_deleted(document, path), path, operation["value"])
    if kind == "test":
        if not equal(_at(document, path), operation["value"]):
            raise _Impossible
        return document
    source = _steps(operation["from"])
    moved = _at(document, source)
    return _inserted(_deleted(document, source) if kind == "move" else document, path, moved)


def _steps(text: Value) -> list[Value]:
    path = _path(text)
    if path is None or len(path) > MAX_DEPTH:
        raise _Impossible
    return path


def _at(document: Value, path: list[Value]) -> Value:
    for step in path:
        document = _child(document, step)
    if document is UNDEFINED:
        raise _Impossible
    return document


def _child(document: Value, step: Value) -> Value:
    found = below(document, _index(document, step) if type(document) is list else step)
    if found is UNDEFINED:
        raise _Impossible
    return found


def _index(values: list[Value], step: Value) -> int:
    """The place in an array that a step names: a number, its digits, or ``-`` for the end."""
    if type(step) is int:
        return step
    if step == "-":
        return len(values)
    if type(step) is not str or not _INDEX.fullmatch(step) or (step.startswith("0") and step != "0"):
        raise _Impossible
    return int(step)


def _inserted(document: Value, path: list[Value], value: Value) -> Value:
    if not path:
        return value
    step, *rest = path
    if rest:
        return _changed(document, step, _inserted(_child(document, step), rest, value))
    if type(document) is dict:
        return {**document, key(step): value}
    if type(document) is list:
        place = _index(document, step)
        if not 0 <= place <= len(document):
            raise _Impossible
        return [*document[:place], value, *document[place:]]
    if type(document) is Set and equal(step, value):
        return Set([*document.index.values(), value])
    raise _Impossible


def _deleted(document: Value, path: list[Value]) -> Value:
    if not path:
        return UNDEFINED
    step, *rest = path
    found = _child(document, step)
    if rest:
        return _changed(document, step, _deleted(found, rest))
    if type(document) is list:
        place = _index(document, step)
        return [*document[:place], *document[place + 1 :]]
    gone = key(step)
    if type(document) is dict:
        return {name: item for name, item in document.items() if name != gone}
    return Set(item for name, item in document.index.items() if name != gone)


def _changed(document: Value, step: Value, value: Value) -> Value:
    """The document with another value at a step that exists."""
    if type(document) is dict:
        return {**document, key(step): value}
    if type(document) is list:
        place = _index(document, step)
        return [*document[:place], value, *document[place + 1 :]]
    gone = key(step)
    return Set([*(item for name, item in document.index.items() if name != gone), value])


def _size(document: Value) -> int:
    return 1 + len(document) if type(document) in (dict, list, Set) else 1
