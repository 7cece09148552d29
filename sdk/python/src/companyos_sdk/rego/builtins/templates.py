"""`strings.render_template`: the part of Go's templates that only writes values, chooses and repeats.

Supported are ``{{.a.b}}``, ``{{$x.a}}``, ``{{.}}``, ``{{range}}`` (with variables), ``{{if}}``, ``{{with}}``,
``{{else}}``, ``{{else if}}``, ``{{end}}``, comments, and the marks ``{{-`` and ``-}}``. A template with anything else
is refused.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any, Final, NamedTuple

from companyos_sdk.rego.builtins.arguments import impossible, mapping, string
from companyos_sdk.rego.builtins.registry import builtin
from companyos_sdk.rego.builtins.texts import Writer, number_text
from companyos_sdk.rego.errors import BuiltinError, LimitExceeded
from companyos_sdk.rego.limits import MAX_ITEMS, MAX_TEXT
from companyos_sdk.rego.values import UNDEFINED

Value = Any

_MAX_TEMPLATE: Final = MAX_TEXT // 20
_MAX_DEPTH: Final = 50
_NO_VALUE: Final = "<undefined>"
"""What OPA writes for a key that is not there."""

_ACTION: Final = re.compile(r"\{\{(-[ \t\r\n])?(.*?)([ \t\r\n]-)?\}\}", re.DOTALL)
_COMMENT: Final = re.compile(r"\s*/\*.*\*/\s*", re.DOTALL)
_OPERAND: Final = re.compile(r"(\$\w*)?((?:\.\w+)+|\.)?")
_RANGE: Final = re.compile(r"(?:(\$\w+)\s*(?:,\s*(\$\w+)\s*)?:=\s*)?(\S+)")
_WORD: Final = re.compile(r"\s*(range|if|with|else|end)\b\s*(.*?)\s*", re.DOTALL)


class _Action(NamedTuple):
    """A piece of a template: a text, a value to write, or a branch with what it repeats or chooses."""

    kind: str
    """`text`, `value`, `if`, `with` or `range`."""
    text: str
    names: tuple[str | None, str | None] = (None, None)
    then: tuple[_Action, ...] = ()
    other: tuple[_Action, ...] = ()


@builtin("strings.render_template")
def render_template(template: Value, variables: Value) -> str:
    """The template of Go with the values of an object in it."""
    name = "strings.render_template"
    text, values = string(name, 1, template), mapping(name, 2, variables)
    if len(text) > _MAX_TEMPLATE:
        raise LimitExceeded(f"{name}: the template is longer than {_MAX_TEMPLATE} characters.")
    tokens = _tokens(text)
    pieces, end = _sequence(tokens, 0)
    if end is not None:
        raise _refused(f"{{{{{end}}}}} without what it belongs to")
    rendering = _Rendering(name)
    rendering.run(pieces, values, {"$": values})
    return rendering.writer.text()


def _refused(what: str) -> BuiltinError:
    return BuiltinError(f"strings.render_template: the template has {what}.")


def _tokens(text: str) -> Iterator[tuple[str, str]]:
    """Texts and actions in turn, the texts trimmed as the marks of the actions say."""
    place, trim = 0, False
    for found in _ACTION.finditer(text):
        before = text[place : found.start()]
        before = before.lstrip(" \t\r\n") if trim else before
        yield "text", before.rstrip(" \t\r\n") if found.group(1) else before
        if not _COMMENT.fullmatch(found.group(2)):
            yield "action", found.group(2)
        place, trim = found.end(), bool(found.group(3))
    rest = text[place:]
    if "{{" in rest:
        raise _refused("an action that does not end")
    yield "text", rest.lstrip(" \t\r\n") if trim else rest


def _sequence(tokens: Iterator[tuple[str, str]], depth: int) -> tuple[tuple[_Action, ...], str | None]:
    """The pieces up to an `end` or `else` of the branch around them, and that action without its braces."""
    if depth > _MAX_DEPTH:
        raise LimitExceeded("strings.render_template: the template is nested too deeply.")
    made: list[_Action] = []
    for kind, text in tokens:
        if kind == "text":
            made.append(_Action("text", text))
            continue
        found = _WORD.fullmatch(text)
        if found is None:
            made.append(_Action("value", _operand(text)))
        elif found.group(1) in ("end", "else"):
            return tuple(made), f"{found.group(1)} {found.group(2)}".strip()
        else:
            made.append(_branch(tokens, found.group(1), found.group(2), depth))
    return tuple(made), None


def _branch(tokens: Iterator[tuple[str, str]], kind: str, text: str, depth: int) -> _Action:
    names: tuple[str | None, str | None] = (None, None)
    if kind == "range":
        found = _RANGE.fullmatch(text)
        if found is None:
            raise impossible("strings.render_template", f"{{{{range {text}}}}} is not supported")
        names, text = (found.group(1), found.group(2)), found.group(3)
    operand = _operand(text)
    then, end = _sequence(tokens, depth + 1)
    other: tuple[_Action, ...] = ()
    if end == "else":
        other, end = _sequence(tokens, depth + 1)
    elif end is not None and end.startswith("else if ") and kind == "if":
        return _Action(kind, operand, names, then, (_branch(tokens, "if", end.removeprefix("else if "), depth + 1),))
    if end != "end":
        raise _refused(f"{{{{{kind}}}}} without {{{{end}}}}")
    return _Action(kind, operand, names, then, other)


def _operand(text: str) -> str:
    found = text.strip()
    if not found or not _OPERAND.fullmatch(found):
        raise impossible("strings.render_template", f"{{{{{found}}}}} is not supported")
    return found


class _Rendering:
    """One template on its way into a text."""

    def __init__(self, name: str) -> None:
        self.writer = Writer(name)
        self.steps = 0

    def run(self, pieces: tuple[_Action, ...], dot: Value, names: dict[str, Value]) -> None:
        """Write all pieces."""
        for piece in pieces:
            self.steps += 1
            if self.steps > MAX_ITEMS:
                raise LimitExceeded("strings.render_template: the template repeats too much.")
            if piece.kind == "text":
                self.writer.add(piece.text)
                continue
            value = _value(piece.text, dot, names)
            if piece.kind == "value":
                self.writer.add(_written(self.writer.name, value))
            elif piece.kind == "range":
                self._repeat(piece, value, dot, names)
            elif _true(value):
                self.run(piece.then, value if piece.kind == "with" else dot, names)
            else:
                self.run(piece.other, dot, names)

    def _repeat(self, piece: _Action, value: Value, dot: Value, names: dict[str, Value]) -> None:
        if value is UNDEFINED or value is None:
            entries: list[tuple[Value, Value]] = []
        elif type(value) is list:
            entries = [(_Index(place), item) for place, item in enumerate(value)]
        elif type(value) is dict:
            entries = sorted(value.items())
        else:
            raise _refused("a range over something that is no array and no object")
        first, second = piece.names
        for key, item in entries:
            inside = dict(names)
            if first is not None:
                inside |= {first: item} if second is None else {first: key, second: item}
            self.run(piece.then, item, inside)
        if not entries:
            self.run(piece.other, dot, names)


class _Index(int):
    """The place of an element: a number of Go, where all others are numbers as JSON writes them, and never false."""


def _value(operand: str, dot: Value, names: dict[str, Value]) -> Value:
    found = _OPERAND.fullmatch(operand)
    variable, path = found.groups() if found else (None, None)
    if variable is not None and variable not in names:
        raise _refused(f"{variable}, which has no value")
    value = dot if variable is None else names[variable]
    for step in (path or "").strip(".").split("."):
        if not step:
            continue
        if type(value) is not dict or any(type(name) is not str for name in value):
            raise _refused(f"{operand}, which goes into something that is no object")
        value = value.get(step, UNDEFINED)
    return value


def _true(value: Value) -> bool:
    if value is UNDEFINED or value is None:
        return False
    if type(value) is int or type(value) is float:
        return True
    return bool(value)


def _written(name: str, value: Value) -> str:
    if value is UNDEFINED or value is None:
        return _NO_VALUE
    if type(value) is str:
        return value
    if type(value) is bool:
        return "true" if value else "false"
    if type(value) is int or type(value) is float:
        return number_text(name, value)
    if type(value) is _Index:
        return str(int(value))
    raise impossible("strings.render_template", "an array, an object or a set cannot be written")
