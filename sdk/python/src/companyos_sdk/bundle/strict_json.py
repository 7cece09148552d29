"""JSON in one form only, which is the form that OPA hashes.

OPA hashes `data.json` and `.manifest` not as bytes but as what they say: objects with sorted keys, no white space,
strings as Go's `encoding/json` writes them without escaping HTML, numbers as they stand in the file
(openpolicyagent.org/docs/management-bundles, section Signature Format). Written in exactly that form, the hash of the
bytes is OPA's hash, so a file can be verified before it is parsed.
"""

from __future__ import annotations

import json
import math
import re
from typing import Any, Final, NoReturn

from companyos_sdk.bundle.errors import BundleError
from companyos_sdk.bundle.limits import MAX_DEPTH

_ESCAPED: Final = re.compile('[\x00-\x1f"\\\\\u2028\u2029]')
_SHORT: Final = {"\b": "\\b", "\f": "\\f", "\n": "\\n", "\r": "\\r", "\t": "\\t", '"': '\\"', "\\": "\\\\"}
_WRITE: Final = "Write the file with `companyos policy build`."


def dumps(value: object) -> bytes:
    """The one text of this JSON value. Raises BundleError(bad-json) for whatever JSON, or OPA, has no text for."""
    parts: list[str] = []
    _write(value, parts, MAX_DEPTH)
    try:
        return "".join(parts).encode()
    except UnicodeEncodeError:
        raise BundleError(
            "bad-json", "A text holds half of a surrogate pair, which is no character.", "Correct it."
        ) from None


def loads(data: bytes, name: str) -> Any:  # noqa: ANN401 - a JSON value
    """The value in a file of that name; raises BundleError(bad-json) unless ``dumps`` would write the same bytes.

    So there are no duplicate keys, no NaN or infinity, no numbers that two readers read differently, and at most
    ``MAX_DEPTH`` levels.
    """
    value = read(data, name)
    if dumps(value) != data:
        raise BundleError("bad-json", f"{name} is JSON, but not in the one form that a bundle has.", _WRITE)
    return value


def read(data: bytes, name: str) -> Any:  # noqa: ANN401 - a JSON value
    """The value in a JSON file that people may have written: white space and order of keys are free."""

    def pairs(found: list[tuple[str, Any]]) -> dict[str, Any]:
        made: dict[str, Any] = {}
        for key, value in found:
            if key in made:
                raise BundleError("bad-json", f"{name} has {key[:80]!r} twice in one object.", "Keep one of them.")
            made[key] = value
        return made

    def constant(found: str) -> NoReturn:
        raise BundleError("bad-json", f"{name} holds {found}, which is not a JSON number.", "Write a number.")

    def number(found: str) -> float:
        value = float(found)
        if not math.isfinite(value):
            raise BundleError(
                "bad-json", f"{name} holds the number {found[:40]}, which is too large.", "Write a smaller one."
            )
        return value

    try:
        text = data.decode()
        value = json.loads(text, object_pairs_hook=pairs, parse_constant=constant, parse_float=number)
        _check_depth(value, MAX_DEPTH, name)
    except UnicodeDecodeError:
        raise BundleError("bad-json", f"{name} is not UTF-8.", "Save it as UTF-8.") from None
    except RecursionError:
        raise _too_deep(name) from None
    except ValueError as fault:  # also a whole number with more digits than Python reads
        raise BundleError("bad-json", f"{name} is not JSON: {str(fault)[:120]}.", "Correct it.") from None
    return value


def _too_deep(name: str) -> BundleError:
    return BundleError("bad-json", f"{name} nests more than {MAX_DEPTH} levels.", "Make it flatter.")


def _check_depth(value: object, left: int, name: str) -> None:
    inner = value.values() if isinstance(value, dict) else value if isinstance(value, list) else None
    if inner is None:
        return
    if left == 0:
        raise _too_deep(name)
    for one in inner:
        _check_depth(one, left - 1, name)


def _write(value: object, parts: list[str], left: int) -> None:
    kind = type(value)
    if value is None or kind is bool:
        parts.append("null" if value is None else "true" if value else "false")
    elif isinstance(value, str):
        parts.append(_text(value))
    elif kind is int or kind is float:
        if isinstance(value, float) and not math.isfinite(value):
            raise BundleError("bad-json", f"{value} is not a JSON number.", "Write a number.")
        parts.append(repr(value))
    elif isinstance(value, (dict, list, tuple)):
        if left == 0:
            raise _too_deep("A value")
        _write_inner(value, parts, left - 1)
    else:
        raise BundleError("bad-json", f"A {kind.__name__} is no JSON value.", "Use texts, numbers, lists and objects.")


def _write_inner(value: dict[Any, Any] | list[Any] | tuple[Any, ...], parts: list[str], left: int) -> None:
    if isinstance(value, dict):
        if not all(isinstance(key, str) for key in value):
            raise BundleError("bad-json", "A key of an object is not a text.", "Put quotation marks around it.")
        parts.append("{")
        for place, key in enumerate(sorted(value)):  # by code point, which is Go's order of bytes in UTF-8
            parts.append(f"{',' if place else ''}{_text(key)}:")
            _write(value[key], parts, left)
        parts.append("}")
    else:
        parts.append("[")
        for place, one in enumerate(value):
            if place:
                parts.append(",")
            _write(one, parts, left)
        parts.append("]")


def _text(value: str) -> str:
    return '"' + _ESCAPED.sub(_escape, value) + '"'


def _escape(found: re.Match[str]) -> str:
    return _SHORT.get(found[0]) or f"\\u{ord(found[0]):04x}"
