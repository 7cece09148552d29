"""A compiled policy as data: OPA's `plan.json`, checked once, so that a program can be made of it at any time."""

from __future__ import annotations

import json
from typing import Any, Final

import msgspec
from msgspec import Struct

from companyos_sdk.rego import ir
from companyos_sdk.rego.errors import PlanError
from companyos_sdk.rego.reading import Reader, listed

MAX_BYTES: Final = 64 * 1024 * 1024
MAX_STRINGS: Final = 1_000_000


class Plan(Struct, frozen=True):
    """Entry points and the functions behind them."""

    document: bytes
    """OPA's `plan.json`, without white space."""
    entries: dict[str, tuple[ir.Block, ...]]
    """The statements of each entry point, by name: ``a/b/allow``."""
    functions: dict[str, ir.Function]
    files: tuple[str, ...]

    def to_bytes(self) -> bytes:
        """The plan as a file."""
        return self.document

    def has(self, entrypoint: str) -> bool:
        """Whether ``data.a.b`` is a rule, a package, or a part of what a rule gives."""
        path = tuple(entrypoint.split(".")[1:])
        rules = [one.path[1:] for one in self.functions.values()]
        return any(rule[: len(path)] == path[: len(rule)] for rule in rules)

    @staticmethod
    def from_bytes(document: bytes) -> Plan:
        """The plan that a file holds; raises PlanError for whatever is none."""
        return _plan(_decoded(document), document)


def from_document(found: object) -> Plan:
    """The plan of a decoded document."""
    return _plan(found, msgspec.json.encode(found))


def _decoded(document: bytes) -> object:
    if len(document) > MAX_BYTES:
        raise PlanError(f"The plan has more than {MAX_BYTES} bytes.")
    try:
        return msgspec.json.decode(document)
    except (msgspec.DecodeError, RecursionError, UnicodeDecodeError) as fault:
        raise PlanError(f"The plan is not JSON: {fault}.") from None


def _plan(found: object, document: bytes) -> Plan:
    static = _member(found, "static")
    strings = [_text(one, "value") for one in _rows(static, "strings")]
    if len(strings) > MAX_STRINGS:
        raise PlanError(f"The plan has more than {MAX_STRINGS} strings.")
    files = [_text(one, "value") for one in _rows(static, "files")]
    reader = Reader(strings, files)
    try:
        entries = {
            _text(one, "name"): reader.blocks(one.get("blocks") or [])
            for one in _rows(_member(found, "plans"), "plans")
        }
        functions = {}
        for one in _rows(_member(found, "funcs"), "funcs"):
            made = _function(reader, one)
            if made.name in functions:
                raise PlanError(f"The plan has two functions {made.name!r}.")
            functions[made.name] = made
    except RecursionError:
        raise PlanError("The plan is nested too deeply.") from None
    return Plan(document, entries, functions, tuple(files))


def _function(reader: Reader, found: dict[str, Any]) -> ir.Function:
    name = _text(found, "name")
    parameters = tuple([reader.local(one) for one in listed(found.get("params"))])
    if len(set(parameters)) != len(parameters) or parameters[:2] != (ir.INPUT, ir.DATA):
        raise PlanError(f"{name!r} has no parameters that a function of a plan has.")
    path = tuple([part for part in listed(found.get("path") or name.split(".")) if isinstance(part, str)])
    return ir.Function(name, path, parameters, reader.local(found.get("return")), reader.blocks(found.get("blocks")))


def _member(found: object, name: str) -> dict[str, Any]:
    inner = found.get(name) if type(found) is dict else None
    if inner is None and name == "funcs":
        return {}
    if type(inner) is not dict:
        raise PlanError(f"The plan has no {name!r}.")
    return inner


def _rows(found: dict[str, Any], name: str) -> list[dict[str, Any]]:
    rows = found.get(name) or []
    if type(rows) is not list or not all(type(row) is dict for row in rows):
        raise PlanError(f"{name!r} of the plan is no list of objects.")
    return rows


def _text(found: dict[str, Any], name: str) -> str:
    text = found.get(name)
    if type(text) is not str:
        raise PlanError(f"The plan has something else where the text {name!r} belongs.")
    return text


def unquoted(text: str) -> str:
    """A string of a plan that regopy wrote: JSON text, with its quotation marks or without them."""
    if text.startswith('"') or "\\" in text:
        whole = text if text.startswith('"') else f'"{text}"'
        try:
            value = json.loads(whole, strict=False)
        except ValueError:
            raise PlanError(f"{text!r} is no string of a plan.") from None
        if type(value) is str:
            return value
        raise PlanError(f"{text!r} is no string of a plan.")
    return text
