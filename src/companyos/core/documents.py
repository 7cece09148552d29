"""Documents that people hand in, YAML or JSON, read under limits and turned into typed values.

YAML is read by its events and resolved by the core schema of YAML 1.2 (``no`` is a text, ``2026-01-01`` too), so
nothing is built that JSON does not have. Aliases, tags and repeated keys are refused: they make bombs and surprises.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, Final, TypeVar

import msgspec
import yaml

from companyos.core.canonical import JsonValue, loads
from companyos.core.errors import InvalidInput, TooLarge
from companyos.core.fields import in_words

if TYPE_CHECKING:
    from collections.abc import Iterator

T = TypeVar("T")


class Limits(msgspec.Struct, frozen=True, kw_only=True):
    """How much a document may hold."""

    bytes: int = 1_048_576
    depth: int = 32
    nodes: int = 50_000
    documents: int = 1_000


DEFAULT_LIMITS: Final = Limits()

_Loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
_INTEGER: Final = re.compile(r"[-+]?[0-9]{1,16}|0o[0-7]{1,17}|0x[0-9a-fA-F]{1,13}")
_FLOAT: Final = re.compile(r"[-+]?(?:\.[0-9]+|[0-9]+(?:\.[0-9]*)?)(?:[eE][-+]?[0-9]{1,3})?")
_WORDS: Final = {"": None, "~": None, "null": None, "Null": None, "NULL": None} | {
    text: value
    for value, texts in ((True, ("true", "True", "TRUE")), (False, ("false", "False", "FALSE")))
    for text in texts
}


def parse_yaml_documents(data: bytes, *, where: str, limits: Limits = DEFAULT_LIMITS) -> list[JsonValue]:
    """Return the values of all YAML documents in ``data``; empty ones are left out.

    ``where`` names the source in messages. Raises TooLarge beyond a limit, InvalidInput with the line otherwise.
    """
    text = _decoded(data, where, limits)
    try:
        reader = _Reader(yaml.parse(text, Loader=_Loader), where, limits)
        return [value for value in reader.documents() if value is not None]
    except yaml.MarkedYAMLError as fault:
        mark = fault.problem_mark or fault.context_mark
        raise _invalid(where, mark, f"is not YAML: {fault.problem or fault.context}") from fault
    except yaml.YAMLError as fault:
        raise InvalidInput(f"{where} is not YAML: {fault}".splitlines()[0], next_step="Mend the file.") from fault


def parse_json(data: bytes, *, where: str, limits: Limits = DEFAULT_LIMITS) -> JsonValue:
    """Return the value of one JSON document, under the same limits and errors as for YAML."""
    try:
        value = loads(data, max_depth=limits.depth, max_bytes=limits.bytes)
    except InvalidInput as fault:
        raise InvalidInput(f"{where}: {fault}", next_step=fault.next_step, field=fault.field) from fault
    _check_nodes(value, where, limits)
    return value


def decode(value: Any, kind: type[T], *, where: str) -> T:  # noqa: ANN401 - what a parser returned
    """Return ``value`` as the given type, or raise InvalidInput that names the field."""
    try:
        return msgspec.convert(value, kind)
    except msgspec.ValidationError as fault:
        sentence, _, path = str(fault).partition(" - at `")
        field = path.removesuffix("`").removeprefix("$").removeprefix(".") or None
        place = f"{where}, {field}" if field else where
        raise InvalidInput(f"{place}: {in_words(sentence)}.", next_step="Mend that field.", field=field) from fault


def _check_nodes(value: JsonValue, where: str, limits: Limits) -> None:
    nodes = 0
    level = [value]
    while level:
        nodes += len(level)
        if nodes > limits.nodes:
            raise TooLarge(f"{where} has more than {limits.nodes} values.", next_step="Split it.")
        level = [child for item in level if isinstance(item, list) for child in item] + [
            child for item in level if isinstance(item, dict) for child in item.values()
        ]


def _decoded(data: bytes, where: str, limits: Limits) -> str:
    if len(data) > limits.bytes:
        raise TooLarge(f"{where} has {len(data)} bytes; at most {limits.bytes} are read.", next_step="Split it.")
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as fault:
        raise InvalidInput(f"{where} is not UTF-8 (byte {fault.start}).", next_step="Save it as UTF-8.") from fault


def _invalid(where: str, mark: Any, what: str) -> InvalidInput:  # noqa: ANN401 - yaml has no types for marks
    line = f", line {mark.line + 1}" if mark is not None else ""
    return InvalidInput(f"{where}{line} {what}.", next_step="Mend that line.")


class _Reader:
    """Builds values from parse events; the first event beyond a limit ends it, before anything grows."""

    def __init__(self, events: Iterator[Any], where: str, limits: Limits) -> None:
        self._events = events
        self._where = where
        self._limits = limits
        self._nodes = 0

    def documents(self) -> Iterator[JsonValue]:
        count = 0
        for event in self._events:
            if isinstance(event, yaml.DocumentStartEvent):
                count += 1
                if count > self._limits.documents:
                    raise TooLarge(
                        f"{self._where} has more than {self._limits.documents} documents.", next_step="Split it."
                    )
                yield self._node(next(self._events), 1)

    def _node(self, event: Any, depth: int) -> JsonValue:  # noqa: ANN401 - yaml has no types for events
        self._check(event, depth)
        if isinstance(event, yaml.ScalarEvent):
            return self._scalar(event)
        if isinstance(event, yaml.SequenceStartEvent):
            items: list[JsonValue] = []
            while not isinstance(event := next(self._events), yaml.SequenceEndEvent):
                items.append(self._node(event, depth + 1))
            return items
        mapping: dict[str, JsonValue] = {}
        while not isinstance(event := next(self._events), yaml.MappingEndEvent):
            key = self._node(event, depth + 1)
            if not isinstance(key, str):
                raise _invalid(self._where, event.start_mark, "has a key that is not a text")
            if key in mapping:
                raise _invalid(self._where, event.start_mark, f"repeats the key {key[:60]!r}")
            mapping[key] = self._node(next(self._events), depth + 1)
        return mapping

    def _check(self, event: Any, depth: int) -> None:  # noqa: ANN401 - yaml has no types for events
        self._nodes += 1
        if self._nodes > self._limits.nodes:
            raise TooLarge(f"{self._where} has more than {self._limits.nodes} values.", next_step="Split it.")
        if depth > self._limits.depth:
            raise _invalid(self._where, event.start_mark, f"nests deeper than {self._limits.depth} levels")
        if isinstance(event, yaml.AliasEvent) or event.anchor is not None:
            raise _invalid(self._where, event.start_mark, "uses an anchor or alias, which is not allowed")
        if event.tag not in (None, "!"):
            raise _invalid(self._where, event.start_mark, f"uses the tag {event.tag[:60]!r}, which is not allowed")

    def _scalar(self, event: Any) -> JsonValue:  # noqa: ANN401 - yaml has no types for events
        text: str = event.value
        if event.style or event.tag == "!":  # libyaml names the plain style ""; PyYAML names it None.
            return text
        if text in _WORDS:
            return _WORDS[text]
        if _INTEGER.fullmatch(text):
            return int(text, 0) if text[:2] in ("0o", "0x") else int(text)
        if _FLOAT.fullmatch(text) and not text.strip("+-").isdigit():
            number = float(text)
            if number in (float("inf"), float("-inf")):
                raise _invalid(self._where, event.start_mark, f"has a number that is too large: {text[:40]}")
            return number
        return text
