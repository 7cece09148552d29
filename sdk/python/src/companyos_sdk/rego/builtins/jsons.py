"""JSON as text: writing and reading it."""

from __future__ import annotations

import json
import re
from typing import Any, Final

from companyos_sdk.rego.builtins.arguments import impossible, mapping, no_longer, string, too_long, too_many_digits
from companyos_sdk.rego.builtins.numbers import parsed
from companyos_sdk.rego.builtins.registry import builtin
from companyos_sdk.rego.builtins.texts import json_text
from companyos_sdk.rego.errors import BuiltinError, LimitExceeded
from companyos_sdk.rego.limits import MAX_DEPTH, MAX_DIGITS, MAX_TEXT

Value = Any

_HALF: Final = re.compile(r"\\u[dD][89a-fA-F]")
_OPTIONS: Final = {"pretty": bool, "indent": str, "prefix": str}


@builtin("json.marshal")
def marshal(value: Value) -> str:
    """The value in JSON."""
    return json_text("json.marshal", value)


@builtin("json.marshal_with_options")
def marshal_with_options(value: Value, options: Value) -> str:
    """The value in JSON, on several lines if `pretty` is true or, without it, if `indent` or `prefix` is given."""
    name = "json.marshal_with_options"
    chosen = mapping(name, 2, options)
    for option, setting in chosen.items():
        if type(option) is not str or option not in _OPTIONS or type(setting) is not _OPTIONS[option]:
            raise BuiltinError(f"{name}: the options are `pretty`, true or false, and the strings `indent`, `prefix`.")
    if not chosen.get("pretty", bool(chosen)):
        return json_text(name, value)
    prefix = chosen.get("prefix", "")
    return no_longer(name, prefix + json_text(name, value, indent=chosen.get("indent", "\t"), prefix=prefix))


@builtin("json.unmarshal")
def unmarshal(text: Value) -> Value:
    """The value that a JSON text stands for; of equal keys the last counts."""
    return read("json.unmarshal", string("json.unmarshal", 1, text))


@builtin("json.is_valid")
def is_valid(text: Value) -> bool:
    """Whether the value is a string that is a JSON text."""
    if type(text) is not str:
        return False
    try:
        _load("json.is_valid", text, lambda _: 0, lambda _: 0)
    except BuiltinError:
        return False
    return True


def read(name: str, text: str) -> Value:
    """The value of a JSON text; BuiltinError if it is none, LimitExceeded if it is too deep or a number too long."""
    value = _load(name, text, lambda digits: _whole(name, digits), lambda digits: _fraction(name, digits))
    return _mended(value) if _HALF.search(text) else value


def _load(name: str, text: str, whole: Any, fraction: Any) -> Value:  # noqa: ANN401 - functions of the decoder
    if len(text) > MAX_TEXT:
        raise too_long(name)
    try:
        value = json.loads(text, parse_int=whole, parse_float=fraction, parse_constant=_constant)
    except RecursionError:
        raise LimitExceeded(f"{name}: the text is nested too deeply.") from None
    except ValueError as fault:
        raise BuiltinError(f"{name}: the string is no JSON: {fault}.") from None
    if text.count("[") + text.count("{") > MAX_DEPTH:
        _shallow(name, value)
    return value


def _whole(name: str, digits: str) -> int:
    if len(digits) > MAX_DIGITS:
        raise too_many_digits(name)
    return int(digits)


def _fraction(name: str, digits: str) -> int | float:
    try:
        return parsed(name, digits)
    except BuiltinError:
        raise impossible(name, "a number of the text is too large") from None


def _constant(word: str) -> Value:
    raise ValueError(f"{word} is not a number")


def _shallow(name: str, value: Value) -> None:
    """Raise if a value is nested too deeply."""
    level = [value]
    for _ in range(MAX_DEPTH + 1):
        level = [
            inner
            for item in level
            if type(item) in (list, dict)
            for inner in (item if type(item) is list else item.values())
        ]
        if not level:
            return
    raise LimitExceeded(f"{name}: the text is nested more than {MAX_DEPTH} levels deep.")


def _mended(value: Value) -> Value:
    """The value with the replacement character for each half of a surrogate pair, as Go reads it."""
    if type(value) is str:
        return value.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
    if type(value) is list:
        return [_mended(item) for item in value]
    if type(value) is dict:
        return {_mended(name): _mended(item) for name, item in value.items()}
    return value
