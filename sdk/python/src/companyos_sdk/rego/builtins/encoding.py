"""base64, hexadecimal, and the query of a URL. A string that is no UTF-8 when decoded cannot be had here."""

from __future__ import annotations

import base64 as codec
import re
from typing import Any, Final
from urllib.parse import quote_plus, unquote_to_bytes

from companyos_sdk.rego.builtins.arguments import impossible, mapping, no_longer, refuse, string, too_many
from companyos_sdk.rego.builtins.registry import builtin
from companyos_sdk.rego.builtins.texts import octets, plain
from companyos_sdk.rego.errors import BuiltinError
from companyos_sdk.rego.limits import MAX_ITEMS
from companyos_sdk.rego.values import Set

Value = Any

_BASE64: Final = re.compile(r"(?:[A-Za-z0-9+/]{4})*(?:[A-Za-z0-9+/]{2}==|[A-Za-z0-9+/]{3}=)?")
_HEX: Final = re.compile(r"(?:[0-9a-fA-F]{2})*")
_ESCAPE: Final = re.compile(r"%(?![0-9a-fA-F]{2})")


@builtin("base64.encode")
def base64_encode(text: Value) -> str:
    """The string in base64."""
    return codec.b64encode(octets("base64.encode", string("base64.encode", 1, text))).decode()


@builtin("base64.decode")
def base64_decode(text: Value) -> str:
    """The string that this base64 stands for."""
    return _text("base64.decode", _base64("base64.decode", string("base64.decode", 1, text)))


@builtin("base64.is_valid")
def base64_is_valid(text: Value) -> bool:
    """Whether the value is a string in base64."""
    return type(text) is str and _BASE64.fullmatch(text.translate(_NO_BREAKS)) is not None


@builtin("base64url.encode")
def base64url_encode(text: Value) -> str:
    """The string in the base64 of URLs, filled up with ``=``."""
    return codec.urlsafe_b64encode(octets("base64url.encode", string("base64url.encode", 1, text))).decode()


@builtin("base64url.encode_no_pad")
def base64url_encode_no_pad(text: Value) -> str:
    """The string in the base64 of URLs without ``=``."""
    return base64url_encode(text).rstrip("=")


@builtin("base64url.decode")
def base64url_decode(text: Value) -> str:
    """The string that this base64 of URLs stands for, filled up or not."""
    name = "base64url.decode"
    found = string(name, 1, text)
    if "+" in found or "/" in found:
        raise BuiltinError(f"{name}: the string is no base64 for URLs.")
    if not found.endswith("="):
        found += "=" * (-len(octets(name, found)) % 4)
    return _text(name, _base64(name, found.replace("-", "+").replace("_", "/")))


@builtin("hex.encode")
def hex_encode(text: Value) -> str:
    """The octets of the string in hexadecimal."""
    return octets("hex.encode", string("hex.encode", 1, text)).hex()


@builtin("hex.decode")
def hex_decode(text: Value) -> str:
    """The string whose octets these are."""
    found = string("hex.decode", 1, text)
    if not _HEX.fullmatch(found):
        raise BuiltinError("hex.decode: the string is no hexadecimal, two digits for each octet.")
    return _text("hex.decode", bytes.fromhex(found))


@builtin("urlquery.encode")
def urlquery_encode(text: Value) -> str:
    """The string as it may stand in the query of a URL."""
    found = string("urlquery.encode", 1, text)
    return no_longer("urlquery.encode", quote_plus(octets("urlquery.encode", found)))


@builtin("urlquery.decode")
def urlquery_decode(text: Value) -> str:
    """The string that stands in the query of a URL."""
    return _unescaped("urlquery.decode", string("urlquery.decode", 1, text))


@builtin("urlquery.encode_object")
def urlquery_encode_object(value: Value) -> str:
    """The query of a URL for an object of strings, or of arrays or sets of strings; keys in order."""
    name = "urlquery.encode_object"
    pairs: list[tuple[str, str]] = []
    for key, item in sorted(plain(name, mapping(name, 1, value)).items()):
        for text in [item] if type(item) is str else list(item) if type(item) in (list, Set) else [None]:
            if type(text) is not str:
                refuse(name, 1, text, "an object of strings, or of arrays or sets of strings")
            pairs.append((key, text))
    return no_longer(
        name, "&".join(f"{quote_plus(octets(name, key))}={quote_plus(octets(name, item))}" for key, item in pairs)
    )


@builtin("urlquery.decode_object")
def urlquery_decode_object(text: Value) -> dict[Any, Value]:
    """The object of arrays of strings that a query of a URL stands for."""
    name = "urlquery.decode_object"
    made: dict[Any, Value] = {}
    parts = string(name, 1, text).split("&", MAX_ITEMS)
    if len(parts) > MAX_ITEMS:
        raise too_many(name)
    for part in parts:
        if ";" in part:
            raise BuiltinError(f"{name}: the query holds a semicolon.")
        if part:
            key, _, item = part.partition("=")
            made.setdefault(_unescaped(name, key), []).append(_unescaped(name, item))
    return made


_NO_BREAKS: Final = str.maketrans("", "", "\r\n")


def _base64(name: str, text: str) -> bytes:
    found = text.translate(_NO_BREAKS)
    if not _BASE64.fullmatch(found):
        raise BuiltinError(f"{name}: the string is no base64.")
    return codec.b64decode(found)


def _unescaped(name: str, text: str) -> str:
    if _ESCAPE.search(text):
        raise BuiltinError(f"{name}: a % is not followed by two hexadecimal digits.")
    return _text(name, unquote_to_bytes(octets(name, text.replace("+", " "))))


def _text(name: str, found: bytes) -> str:
    try:
        return found.decode()
    except UnicodeDecodeError:
        raise impossible(name, "the decoded octets are no UTF-8, and a string can be nothing else here") from None
