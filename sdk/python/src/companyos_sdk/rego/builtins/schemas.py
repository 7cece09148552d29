"""Checking documents against JSON schemas of the drafts 4, 6 and 7, as OPA does.

They need the package jsonschema-rs (`companyos-sdk[schema]`). Nothing that a schema refers to is ever fetched. Whether
a document fits is what OPA says; the words for a fault are OPA's where a table below has them.
"""

from __future__ import annotations

import importlib.util
import json
from collections.abc import Callable
from functools import lru_cache
from typing import Any, Final

from companyos_sdk.rego.builtins.jsons import read
from companyos_sdk.rego.builtins.registry import builtin
from companyos_sdk.rego.builtins.texts import json_text
from companyos_sdk.rego.errors import BuiltinError, LimitExceeded
from companyos_sdk.rego.limits import MAX_ITEMS

Value = Any

NAMES: Final = frozenset({"json.match_schema", "json.verify_schema"})
"""The functions that need the package."""
MISSING: Final = 'it needs the package jsonschema-rs; install "companyos-sdk[schema]"'
"""Why they are refused without it."""

_DRAFTS: Final = {"draft-04": "Draft4Validator", "draft-06": "Draft6Validator", "draft-07": "Draft7Validator"}
_TYPES: Final = ("array", "boolean", "integer", "number", "null", "object", "string")
_MAX_SCHEMA: Final = 200_000
"""Characters of a schema, which are also what the cache of schemas keeps each."""

_WORDS: Final[dict[str, tuple[str, Callable[[Any], str]]]] = {
    "anyOf": ("number_any_of", lambda _: "Must validate at least one schema (anyOf)"),
    "contains": ("contains", lambda _: "At least one of the items must match"),
    "exclusiveMaximum": ("number_lt", lambda kind: f"Must be less than {kind.limit}"),
    "exclusiveMinimum": ("number_gt", lambda kind: f"Must be greater than {kind.limit}"),
    "maxItems": ("array_max_items", lambda kind: f"Array must have at most {kind.limit} items"),
    "maxLength": ("string_lte", lambda kind: f"String length must be less than or equal to {kind.limit}"),
    "maxProperties": ("array_max_properties", lambda kind: f"Must have at most {kind.limit} properties"),
    "maximum": ("number_lte", lambda kind: f"Must be less than or equal to {kind.limit}"),
    "minItems": ("array_min_items", lambda kind: f"Array must have at least {kind.limit} items"),
    "minLength": ("string_gte", lambda kind: f"String length must be greater than or equal to {kind.limit}"),
    "minProperties": ("array_min_properties", lambda kind: f"Must have at least {kind.limit} properties"),
    "minimum": ("number_gte", lambda kind: f"Must be greater than or equal to {kind.limit}"),
    "not": ("number_not", lambda _: "Must not validate the schema (not)"),
    "oneOf": ("number_one_of", lambda _: "Must validate one and only one schema (oneOf)"),
    "pattern": ("pattern", lambda kind: f"Does not match pattern '{kind.pattern}'"),
    "required": ("required", lambda kind: f"{kind.property} is required"),
}
"""For each keyword of a schema OPA's name for a fault, and its words."""


def available() -> bool:
    """Whether the package is there, so that `NAMES` can be called."""
    return importlib.util.find_spec("jsonschema_rs") is not None


@builtin("json.verify_schema")
def verify_schema(schema: Value) -> list[Value]:
    """``[true, null]`` for a JSON schema, given as an object or as text, else ``[false, why]``."""
    try:
        _validator("json.verify_schema", schema)
    except BuiltinError as fault:
        return [False, f"jsonschema: {fault}"]
    return [True, None]


@builtin("json.match_schema")
def match_schema(document: Value, schema: Value) -> list[Value]:
    """Whether a document fits a schema, and an array of what does not, each with `error`, `type`, `field`, `desc`."""
    checked = _document("json.match_schema", document)
    faults: list[Value] = []
    for fault in _validator("json.match_schema", schema).iter_errors(checked):
        if len(faults) >= MAX_ITEMS:
            raise LimitExceeded(f"json.match_schema: the document has more than {MAX_ITEMS} faults.")
        faults += _described(fault)
    return [not faults, faults]


def _document(name: str, value: Value) -> Value:
    """A document of JSON, which is given as text or as an object or an array."""
    if type(value) is str:
        return read(name, value)
    if type(value) not in (dict, list):
        raise BuiltinError("wrong type, expected string or object")
    return json.loads(json_text(name, value))


def _validator(name: str, schema: Value) -> Any:  # noqa: ANN401 - the package gives one class for each draft
    text = schema if type(schema) is str else json_text(name, _document(name, schema))
    if len(text) > _MAX_SCHEMA:
        raise LimitExceeded(f"{name}: the schema is longer than {_MAX_SCHEMA} characters.")
    return _compiled(text)


@lru_cache(maxsize=32)
def _compiled(text: str) -> Any:  # noqa: ANN401 - the package gives one class for each draft
    try:
        import jsonschema_rs
    except ImportError:
        raise LimitExceeded(f"A JSON schema cannot be used: {MISSING}.") from None
    schema = read("json schema", text)
    if type(schema) not in (dict, bool):
        raise BuiltinError("the schema is no object")
    try:
        return getattr(jsonschema_rs, _draft(schema))(
            schema, offline=True, validate_formats=True, pattern_options=jsonschema_rs.RegexOptions()
        )
    except jsonschema_rs.ValidationError as fault:
        raise BuiltinError(_why(fault)) from None
    except (jsonschema_rs.ReferencingError, ValueError, TypeError) as fault:
        raise BuiltinError(str(fault).partition("\n")[0]) from None


def _draft(schema: dict[str, Any] | bool) -> str:  # noqa: FBT001 - true and false are schemas
    """The class that knows the draft which the schema names; without a name, draft 7."""
    named = schema.get("$schema") if isinstance(schema, dict) else None
    if named is None:
        return _DRAFTS["draft-07"]
    for draft, found in _DRAFTS.items():
        if type(named) is str and named.rstrip("#").endswith(f"json-schema.org/{draft}/schema"):
            return found
    raise BuiltinError("the schema names a draft other than 4, 6 and 7")


def _why(fault: Any) -> str:  # noqa: ANN401 - an error of the package
    if fault.instance_path and fault.instance_path[-1] == "type" and type(fault.instance) is str:
        known = f"Expected valid values are:[{' '.join(_TYPES)}]"
        return f"has a primitive type that is NOT VALID -- given: /{fault.instance}/ {known}"
    return str(fault.message)


def _described(fault: Any) -> list[Value]:  # noqa: ANN401 - an error of the package
    """What OPA says of a fault; of properties that must not be there each one is a fault."""
    field = ".".join(map(str, fault.instance_path)) or "(root)"
    keyword = str(fault.kind.name)
    if keyword == "additionalProperties":
        said = [f"Additional property {name} is not allowed" for name in fault.kind.unexpected]
        kind = "additional_property_not_allowed"
    elif keyword == "type":
        said = [f"Invalid type. Expected: {_expected(fault.kind.types)}, given: {_given(fault.instance)}"]
        kind = "invalid_type"
    elif keyword in _WORDS:
        kind, say = _WORDS[keyword]
        said = [say(fault.kind)]
    else:
        kind, said = keyword, [str(fault.message)]
    return [{"error": f"{field}: {words}", "type": kind, "field": field, "desc": words} for words in said]


def _expected(types: Any) -> str:  # noqa: ANN401 - a name, or a list of names
    return ",".join(map(str, types)) if isinstance(types, list) else str(types)


def _given(value: Value) -> str:
    if type(value) is bool:
        return "boolean"
    if type(value) is int or (type(value) is float and value.is_integer()):
        return "integer"
    return {float: "number", str: "string", list: "array", dict: "object"}.get(type(value), "null")
