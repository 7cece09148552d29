"""YAML as text, of which only what JSON can say is read. It needs PyYAML (`companyos-sdk[yaml]`).

OPA reads YAML 1.1: `yes` and `on` are true, ``010`` is eight, dates are strings. What it writes depends on many rules
for where a string needs quotes; a string for which they are not simple is refused rather than written differently.
"""

from __future__ import annotations

import importlib.util
import re
from typing import Any, Final

from companyos_sdk.rego.builtins.arguments import MAX_BITS, impossible, string, too_long, too_many, too_many_digits
from companyos_sdk.rego.builtins.registry import builtin
from companyos_sdk.rego.builtins.texts import Writer, json_string, number_text, plain
from companyos_sdk.rego.errors import BuiltinError, LimitExceeded
from companyos_sdk.rego.limits import MAX_DEPTH, MAX_ITEMS, MAX_TEXT
from companyos_sdk.rego.values import Set

Value = Any

NAMES: Final = frozenset({"yaml.unmarshal", "yaml.is_valid"})
"""The functions that need the package."""
MISSING: Final = 'it needs the package PyYAML; install "companyos-sdk[yaml]"'
"""Why they are refused without it."""

_WORDS: Final = {
    **dict.fromkeys(("", "~", "null", "Null", "NULL"), None),
    **dict.fromkeys(("y", "Y", "yes", "Yes", "YES", "true", "True", "TRUE", "on", "On", "ON"), True),
    **dict.fromkeys(("n", "N", "no", "No", "NO", "false", "False", "FALSE", "off", "Off", "OFF"), False),
}
_INTEGER: Final = re.compile(r"[+-]?(?:0b[01]+|0o[0-7]+|0x[0-9a-fA-F]+|[0-9]+)")
_FLOAT: Final = re.compile(r"[+-]?(?:\.[0-9]+|[0-9]+(?:\.[0-9]*)?)(?:[eE][+-]?[0-9]+)?")
_ENDLESS: Final = re.compile(r"[+-]?\.(?:inf|Inf|INF)|\.(?:nan|NaN|NAN)")
_UNQUOTED: Final = re.compile(r"[A-Za-z_/][A-Za-z0-9_/.@-]{0,60}(?: [A-Za-z0-9_/.@-]+)*")
"""Strings that surely stand without quotes, unless they read as something else."""
_MAX_PLAIN: Final = 70
_BASES: Final = {"0b": 2, "0o": 8, "0x": 16}


def available() -> bool:
    """Whether the package is there, so that `NAMES` can be called."""
    return importlib.util.find_spec("yaml") is not None


@builtin("yaml.unmarshal")
def unmarshal(text: Value) -> Value:
    """The value that the first document of a YAML text stands for."""
    return _read("yaml.unmarshal", string("yaml.unmarshal", 1, text))


@builtin("yaml.is_valid")
def is_valid(text: Value) -> bool:
    """Whether the value is a string that is YAML."""
    if type(text) is not str:
        return False
    try:
        _read("yaml.is_valid", text)
    except BuiltinError:
        return False
    return True


@builtin("yaml.marshal")
def marshal(value: Value) -> str:
    """The value in YAML, keys in order."""
    writer = Writer("yaml.marshal")
    _write(writer, value, 0, in_array=False)
    return writer.text().removeprefix("\n") + "\n"


def _read(name: str, text: str) -> Value:
    try:
        import yaml
    except ImportError:
        raise LimitExceeded(f"{name} cannot be used: {MISSING}.") from None
    if len(text) > MAX_TEXT // 10:
        raise too_long(name)
    try:
        node = yaml.compose(text, Loader=yaml.SafeLoader)
        return None if node is None else _Reader(name, yaml).value(node, 0)
    except yaml.YAMLError as fault:
        raise BuiltinError(f"{name}: the string is no YAML: {' '.join(str(fault).split())}.") from None
    except RecursionError:
        raise LimitExceeded(f"{name}: the text is nested too deeply.") from None


class _Reader:
    """Makes values of the nodes of one document, and counts them, so that aliases cannot multiply without end."""

    def __init__(self, name: str, yaml: Any) -> None:  # noqa: ANN401 - the module
        self.name = name
        self.yaml = yaml
        self.made = 0

    def value(self, node: Any, depth: int) -> Value:  # noqa: ANN401 - a node of the package
        """The value of a node and of all nodes in it."""
        self.made += 1
        if self.made > MAX_ITEMS:
            raise too_many(self.name)
        if depth > MAX_DEPTH:
            raise LimitExceeded(f"{self.name}: the text is nested more than {MAX_DEPTH} levels deep.")
        kind = node.tag.removeprefix("tag:yaml.org,2002:")
        if isinstance(node, self.yaml.ScalarNode):
            return self._scalar(node, kind)
        if isinstance(node, self.yaml.SequenceNode) and kind == "seq":
            return [self.value(item, depth + 1) for item in node.value]
        if isinstance(node, self.yaml.MappingNode) and kind == "map":
            return self._mapping(node, depth)
        raise impossible(self.name, f"the tag {node.tag} means nothing in JSON")

    def _scalar(self, node: Any, kind: str) -> Value:  # noqa: ANN401 - a node of the package
        if node.style is None and node.tag in _RESOLVED:
            return _resolved(self.name, node.value)
        if kind == "str":
            return node.value
        raise impossible(self.name, f"the tag {node.tag} is not supported")

    def _mapping(self, node: Any, depth: int) -> dict[Any, Value]:  # noqa: ANN401 - a node of the package
        made: dict[Any, Value] = {}
        inherited: dict[Any, Value] = {}
        for left, right in node.value:
            if left.tag == "tag:yaml.org,2002:merge" and left.style is None:
                sources = right.value if isinstance(right, self.yaml.SequenceNode) else [right]
                for source in sources:
                    if not isinstance(source, self.yaml.MappingNode):
                        raise BuiltinError(f"{self.name}: only mappings can be merged.")
                    inherited = {**self.value(source, depth + 1), **inherited}
            else:
                made[_key(self.name, self.value(left, depth + 1))] = self.value(right, depth + 1)
        return {**inherited, **made}


_RESOLVED: Final = frozenset(
    f"tag:yaml.org,2002:{kind}" for kind in ("str", "int", "float", "bool", "null", "timestamp", "value", "merge")
)
"""Tags that a scalar without quotes can get without having asked for them."""


def _resolved(name: str, text: str) -> Value:
    """What a scalar without quotes stands for."""
    if text in _WORDS:
        return _WORDS[text]
    if _ENDLESS.fullmatch(text):
        raise BuiltinError(f"{name}: {text} is no number of JSON.")
    digits = text.replace("_", "")
    if text[:1] in "0123456789+-." and _INTEGER.fullmatch(digits):
        return _integer(name, digits)
    if text[:1] in "0123456789+-." and _FLOAT.fullmatch(digits):
        value = float(digits)
        if value in (float("inf"), float("-inf")):
            raise BuiltinError(f"{name}: {text[:50]} is too large.")
        return value
    return text


def _integer(name: str, digits: str) -> Value:
    sign = -1 if digits.startswith("-") else 1
    size = digits.lstrip("+-")
    if len(size) > MAX_BITS // 4:
        raise too_many_digits(name)
    if base := _BASES.get(size[:2]):
        return sign * int(size[2:], base)
    if len(size) > 1 and size.startswith("0"):
        if any(digit in "89" for digit in size):
            return sign * float(size)
        return sign * int(size, 8)
    value = sign * int(size)
    return value if -(2**63) <= value < 2**64 else float(value)


def _key(name: str, value: Value) -> str:
    """A key as JSON has it: numbers and booleans become their text."""
    if type(value) is str:
        return value
    if type(value) is bool:
        return "true" if value else "false"
    if type(value) is int:
        return str(value)
    raise impossible(name, "a key is no string, no whole number and no boolean")


def _write(writer: Writer, value: Value, depth: int, *, in_array: bool) -> None:
    """Write a value after what stands before it: an entry begins a line of its own, except first in an element."""
    if depth > MAX_DEPTH:
        raise LimitExceeded(f"yaml.marshal: the value is nested more than {MAX_DEPTH} levels deep.")
    if type(value) is dict and value:
        entries = plain("yaml.marshal", value)
        for place, key in enumerate(sorted(entries, key=_place)):
            if any(digit.isdigit() for digit in key):
                raise impossible("yaml.marshal", "a key with digits is not supported, because OPA orders it by number")
            writer.add("" if in_array and not place else "\n" + "  " * depth)
            writer.add(_scalar(key) + ":")
            _entry(writer, entries[key], depth)
    elif (type(value) is list or type(value) is Set) and len(value):
        for place, item in enumerate(value):
            writer.add("" if in_array and not place else "\n" + "  " * depth)
            writer.add("- ")
            _write(writer, item, depth + 1, in_array=True)
    else:
        writer.add(_scalar(value))


def _place(key: str) -> list[tuple[bool, str]]:
    """What keys are ordered by: as their characters are, but letters after everything else."""
    return [(character.isalpha(), character) for character in key]


def _entry(writer: Writer, value: Value, depth: int) -> None:
    """The value of a key: what has parts on the lines after it, and an array no further in than its key."""
    if type(value) in (list, Set) and len(value):
        _write(writer, value, depth, in_array=False)
    elif type(value) is dict and value:
        _write(writer, value, depth + 1, in_array=False)
    else:
        writer.add(" " + _scalar(value))


def _scalar(value: Value) -> str:
    if value is None:
        return "null"
    if type(value) is bool:
        return "true" if value else "false"
    if type(value) is int:
        if not -(2**63) <= value < 2**64:
            raise impossible("yaml.marshal", "a number of more than 64 bits is not supported")
        return number_text("yaml.marshal", value)
    if type(value) is float:
        raise impossible("yaml.marshal", "a number with a fraction is not supported")
    if type(value) is str:
        return _string(value)
    return "{}" if type(value) is dict else "[]"


def _string(text: str) -> str:
    if len(text) <= _MAX_PLAIN and _UNQUOTED.fullmatch(text) and text not in _WORDS:
        return text
    if len(text) <= _MAX_PLAIN and (text in _WORDS or _INTEGER.fullmatch(text) or _FLOAT.fullmatch(text)):
        return json_string(text)
    raise impossible("yaml.marshal", "a string that may need quotes is not supported")
