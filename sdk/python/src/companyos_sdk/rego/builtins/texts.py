"""How a value is written: as JSON, and as Rego shows it in `sprintf` and in template strings."""

from __future__ import annotations

import math
import re
from collections.abc import Hashable, Iterator
from typing import Any, Final

from companyos_sdk.rego.builtins.arguments import impossible, too_long
from companyos_sdk.rego.errors import LimitExceeded
from companyos_sdk.rego.limits import MAX_DEPTH, MAX_DIGITS, MAX_TEXT
from companyos_sdk.rego.values import Set, foreign, keys_in_order, unkey

Value = Any

_JSON_SPECIAL: Final = re.compile(r'[\x00-\x1f"\\<>&\u2028\u2029\ud800-\udfff]')
_JSON_SHORT: Final = {'"': '\\"', "\\": "\\\\", "\n": "\\n", "\r": "\\r", "\t": "\\t", "\b": "\\b", "\f": "\\f"}
_QUOTED_SHORT: Final = {**_JSON_SHORT, "\a": "\\a", "\v": "\\v"}
_QUOTED_PLAIN: Final = re.compile(r"[ !#-\[\]-~]*")


class Writer:
    """Collects the pieces of one text, and counts their characters."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.parts: list[str] = []
        self.size = 0

    def add(self, part: str) -> None:
        """Write a piece; LimitExceeded when the text gets too long."""
        self.size += len(part) + 1
        if self.size > MAX_TEXT:
            raise too_long(self.name)
        self.parts.append(part)

    def text(self) -> str:
        """All pieces together."""
        return "".join(self.parts)


def json_text(name: str, value: Value, *, indent: str | None = None, prefix: str = "") -> str:
    """The value in JSON as Go writes it: keys in order, ``<``, ``>`` and ``&`` escaped; indented, if asked to be."""
    writer = Writer(name)
    _json(writer, value, None if indent is None else ("\n" + prefix, indent), 0)
    return writer.text()


def shown(name: str, value: Value) -> str:
    """The value as Rego writes it: ``[1, "a"]``, ``{"k": null}``, ``{1, 2}``, ``set()``."""
    writer = Writer(name)
    _show(writer, value, 0)
    return writer.text()


def number_text(name: str, value: float) -> str:
    """A number in JSON."""
    if type(value) is int:
        if value.bit_length() > MAX_DIGITS * 10 // 3:
            raise LimitExceeded(f"{name}: a number has more than {MAX_DIGITS} digits.")
        return str(value)
    if not math.isfinite(value):
        raise impossible(name, "a number is not finite")
    return repr(value)


def quoted(text: str) -> str:
    """The string in the quotes of Go, with escapes for what cannot be printed."""
    if _QUOTED_PLAIN.fullmatch(text):
        return f'"{text}"'
    return '"' + "".join(_quoted_character(character) for character in text) + '"'


def json_string(text: str) -> str:
    """The string in JSON; half of a surrogate pair becomes the replacement character."""
    return '"' + _JSON_SPECIAL.sub(_json_escape, text) + '"'


def plain(name: str, value: dict[Hashable, Value]) -> dict[str, Value]:
    """The entries with their keys as JSON writes them: a string as it is, everything else as its JSON."""
    if all(type(made) is str for made in value):
        return value  # type: ignore[return-value] # checked above
    return {made if type(made) is str else json_text(name, unkey(made)): value[made] for made in keys_in_order(value)}


def octets(name: str, text: str) -> bytes:
    """The text in UTF-8; EvaluationError where it has half of a surrogate pair."""
    if len(text) > MAX_TEXT:
        raise too_long(name)
    try:
        return text.encode()
    except UnicodeEncodeError:
        raise impossible(name, "the string holds half of a surrogate pair, which is no character") from None


def _scalar(writer: Writer, value: Value) -> str | None:
    """What JSON and Rego write alike; None for a string and for what has parts."""
    kind = type(value)
    if value is None:
        return "null"
    if kind is bool:
        return "true" if value else "false"
    if kind is int or kind is float:
        return number_text(writer.name, value)
    return None


def _json(writer: Writer, value: Value, layout: tuple[str, str] | None, depth: int) -> None:
    if (found := _scalar(writer, value)) is not None:
        writer.add(found)
    elif type(value) is str:
        writer.add(json_string(value))
    elif type(value) is dict:
        entries = plain(writer.name, value)
        colon = ":" if layout is None else ": "
        for key in _lines(writer, "{}", sorted(entries), layout, depth):
            writer.add(json_string(key) + colon)
            _json(writer, entries[key], layout, depth + 1)
    elif type(value) is list or type(value) is Set:
        for item in _lines(writer, "[]", list(value), layout, depth):
            _json(writer, item, layout, depth + 1)
    else:
        raise foreign(value)


def _lines(
    writer: Writer, brackets: str, items: list[Any], layout: tuple[str, str] | None, depth: int
) -> Iterator[Any]:
    """The items, with brackets, commas and line breaks written around them."""
    if depth > MAX_DEPTH:
        raise LimitExceeded(f"{writer.name}: the value is nested more than {MAX_DEPTH} levels deep.")
    writer.add(brackets[0])
    for place, item in enumerate(items):
        if place:
            writer.add(",")
        if layout is not None:
            writer.add(layout[0] + layout[1] * (depth + 1))
        yield item
    if layout is not None and items:
        writer.add(layout[0] + layout[1] * depth)
    writer.add(brackets[1])


def _show(writer: Writer, value: Value, depth: int) -> None:
    if depth > MAX_DEPTH:
        raise LimitExceeded(f"{writer.name}: the value is nested more than {MAX_DEPTH} levels deep.")
    if (found := _scalar(writer, value)) is not None:
        writer.add(found)
    elif type(value) is str:
        writer.add(quoted(value))
    elif type(value) is dict:
        writer.add("{")
        for place, made in enumerate(keys_in_order(value)):
            writer.add(", " if place else "")
            _show(writer, unkey(made), depth + 1)
            writer.add(": ")
            _show(writer, value[made], depth + 1)
        writer.add("}")
    elif type(value) is list or type(value) is Set:
        opening, closing = ("[", "]") if type(value) is list else ("{", "}") if len(value) else ("set(", ")")
        writer.add(opening)
        for place, item in enumerate(value):
            writer.add(", " if place else "")
            _show(writer, item, depth + 1)
        writer.add(closing)
    else:
        raise foreign(value)


def _json_escape(found: re.Match[str]) -> str:
    character = found.group()
    if "\ud800" <= character <= "\udfff":
        return "\ufffd"
    return _JSON_SHORT.get(character) or f"\\u{ord(character):04x}"


def _quoted_character(character: str) -> str:
    code = ord(character)
    if short := _QUOTED_SHORT.get(character):
        return short
    if character.isprintable():
        return character
    if code < 0x20 or code == 0x7F:  # noqa: PLR2004 - the control characters of ASCII
        return f"\\x{code:02x}"
    if 0xD800 <= code <= 0xDFFF:  # noqa: PLR2004 - halves of surrogate pairs
        return "\ufffd"
    return f"\\u{code:04x}" if code < 0x10000 else f"\\U{code:08x}"  # noqa: PLR2004 - what four digits hold
