"""Functions of JSON Web Tokens in compact form: reading, checking, and signing where chance has no part in it.

A checking function takes its algorithm from its own name, and `io.jwt.decode_verify` only one that is of the kind of
the given key. What time it is, a policy must say itself.
"""

from __future__ import annotations

import base64
import json
import math
import re
from typing import Any, Final, NamedTuple

from companyos_sdk.rego.builtins.arguments import impossible, mapping, string
from companyos_sdk.rego.builtins.hashes import utf8
from companyos_sdk.rego.builtins.keys import ALGORITHMS, BadKeyError, Key, checks, keys_of, signature_of, url_safe
from companyos_sdk.rego.builtins.registry import builtin
from companyos_sdk.rego.errors import BuiltinError, LimitExceeded
from companyos_sdk.rego.limits import MAX_DIGITS
from companyos_sdk.rego.values import equal, to_json

Value = Any

MAX_TOKEN: Final = 100_000
"""Characters of a token."""
_SECTIONS: Final = 3
_NS: Final = 1_000_000_000
_CONSTRAINTS: Final = frozenset({"cert", "secret", "alg", "iss", "aud", "time"})
_HALF = re.compile(r"\\u[dD][89a-fA-F]")
_HTML: Final = {"<": "\\u003c", ">": "\\u003e", "&": "\\u0026", "\u2028": "\\u2028", "\u2029": "\\u2029"}


class _Token(NamedTuple):
    header: str
    payload: str
    signature: str

    @property
    def signed(self) -> bytes:
        return f"{self.header}.{self.payload}".encode()


class _Header(NamedTuple):
    fields: dict[Value, Value]
    algorithm: str
    key: str
    content: str
    understood: bool
    """Whether every part that the token calls critical is one that we know."""


@builtin("io.jwt.decode")
def decode(token: Value) -> list[Value]:
    """The ``[header, payload, signature in hexadecimal]`` of a token, unchecked; of the innermost one when nested."""
    name = "io.jwt.decode"
    text = string(name, 1, token)
    while True:
        parts = _split(name, text)
        header = _header(name, parts)
        payload = _bytes(name, "payload", parts.payload)
        content = header.get("cty", "")
        if type(content) is not str:
            raise BuiltinError(f"{name}: cty of the header must be a string.")
        if content != "JWT":
            return [header, _object(name, "payload", payload), _bytes(name, "signature", parts.signature).hex()]
        text = payload.decode("utf-8", "replace").strip("\"'")


@builtin("io.jwt.decode_verify")
def decode_verify(token: Value, constraints: Value) -> list[Value]:
    """The ``[true, header, payload]`` of a token that meets the constraints, or ``[false, {}, {}]``.

    Constraints: ``cert`` or ``secret``; ``alg``, ``iss`` and ``aud`` if they matter; ``time`` (nanoseconds). Without it
    a token that has a time of its own ends the decision, since a policy has no clock and undefined would be wrong.
    """
    name = "io.jwt.decode_verify"
    wanted = mapping(name, 2, constraints)
    keys, now = _wanted(name, wanted)
    refused: list[Value] = [False, {}, {}]
    text = string(name, 1, token)
    while True:
        parts = _split(name, text)
        header = _parsed_header(name, parts)
        if not header.algorithm or not header.understood or wanted.get("alg", "") not in {"", header.algorithm}:
            return refused
        signature = _bytes(name, "signature", parts.signature)
        if not _confirmed(keys, header, header.algorithm, parts.signed, signature, exact=True):
            return refused
        payload = _bytes(name, "payload", parts.payload)
        if header.content.upper() != "JWT":
            break
        text = payload.decode("utf-8", "replace")
    claims = _object(name, "payload", payload)
    if not _claims_hold(name, claims, wanted, now):
        return refused
    return [True, header.fields, claims]


@builtin("io.jwt.encode_sign")
def encode_sign(header: Value, payload: Value, key: Value) -> str:
    """The token of these objects, signed with this JSON Web Key: HS, RS or EdDSA, which chance has no part in."""
    name = "io.jwt.encode_sign"
    texts = [_json_text(mapping(name, 1, header)), _json_text(payload), _json_text(mapping(name, 3, key))]
    return _signed(name, *texts)


@builtin("io.jwt.encode_sign_raw")
def encode_sign_raw(header: Value, payload: Value, key: Value) -> str:
    """The token of these texts, signed with a JSON Web Key in a text: HS, RS or EdDSA."""
    name = "io.jwt.encode_sign_raw"
    return _signed(name, string(name, 1, header), string(name, 2, payload), string(name, 3, key))


def _enter(algorithm: str) -> None:
    name = f"io.jwt.verify_{algorithm.lower()}"

    def verify(token: Value, key: Value) -> bool:
        parts = _split(name, string(name, 1, token))
        if algorithm.startswith("HS"):
            secret = Key(utf8(name, 2, key))
            return checks(secret, algorithm, parts.signed, _bytes(name, "signature", parts.signature))
        keys = keys_of(name, string(name, 2, key))
        signature = _bytes(name, "signature", parts.signature)
        header = _parsed_header(name, parts)
        # OPA lets only public keys check here.
        public = tuple(Key(None, one.algorithm, one.name) if one.private else one for one in keys)
        return _confirmed(public, header, algorithm, parts.signed, signature)

    builtin(name)(verify)


for _algorithm in sorted(ALGORITHMS):
    _enter(_algorithm)


def _split(name: str, text: str) -> _Token:
    if len(text) > MAX_TOKEN:
        raise LimitExceeded(f"{name}: the token has more than {MAX_TOKEN} characters.")
    parts = text.split(".")
    if len(parts) != _SECTIONS:
        raise BuiltinError(f"{name}: a token has {_SECTIONS} sections with points between them, not {len(parts)}.")
    utf8(name, 1, text)
    return _Token(*parts)


def _bytes(name: str, part: str, text: str) -> bytes:
    try:
        return url_safe(text)
    except BadKeyError as fault:
        raise BuiltinError(f"{name}: the {part} of the token cannot be decoded: {fault}.") from None


def _header(name: str, token: _Token) -> dict[Value, Value]:
    header = _object(name, "header", _bytes(name, "header", token.header))
    if "enc" in header:
        raise BuiltinError(f"{name}: the token is encrypted; only signed ones can be read.")
    return header


def _parsed_header(name: str, token: _Token) -> _Header:
    fields = _header(name, token)
    known = {}
    for field in ("alg", "kid", "typ", "cty"):
        known[field] = fields.get(field, "")
        if type(known[field]) is not str:
            raise BuiltinError(f"{name}: {field} of the header must be a string.")
    critical = fields.get("crit", ["alg"])
    if type(critical) is not list or not critical or type(critical[0]) is not str:
        raise BuiltinError(f"{name}: crit of the header must be a list of names, and not empty.")
    unknown = fields.keys() - {"alg", "kid", "typ", "cty", "crit"}
    understood = not any(type(item) is str and item in unknown for item in critical)
    return _Header(fields, known["alg"], known["kid"], known["cty"], understood)


def _confirmed(
    keys: tuple[Key, ...], header: _Header, algorithm: str, message: bytes, signature: bytes, *, exact: bool = False
) -> bool:
    """Whether the key with the name in the header confirms the token, or, when none has it, any key that may."""
    if header.key:
        for key in keys:
            if key.name == header.key:
                return checks(key, algorithm, message, signature, exact=exact)
    return any(
        checks(key, algorithm, message, signature, exact=exact)
        for key in keys
        if key.algorithm in {"", header.algorithm}
    )


def _wanted(name: str, wanted: dict[Value, Value]) -> tuple[tuple[Key, ...], float | None]:
    """The keys and the time of the constraints."""
    for field, value in wanted.items():
        if field not in _CONSTRAINTS:
            raise BuiltinError(f"{name}: there is no constraint {field!r}; they are {', '.join(sorted(_CONSTRAINTS))}.")
        if field != "time" and type(value) is not str:
            raise BuiltinError(f"{name}: the constraint {field} must be a string.")
    secret = wanted.get("secret", "")
    if ("cert" in wanted) == bool(secret):
        raise BuiltinError(f"{name}: give either the constraint cert or the constraint secret.")
    keys = (Key(utf8(name, 2, secret)),) if secret else keys_of(name, wanted["cert"])
    return keys, _time(name, wanted["time"]) if "time" in wanted else None


def _time(name: str, now: Value) -> float:
    if (type(now) is not int and type(now) is not float) or now < 0:
        raise BuiltinError(f"{name}: the constraint time must be a number of nanoseconds since 1970.")
    try:
        return float(now) / _NS
    except OverflowError:
        raise BuiltinError(f"{name}: the constraint time is too large.") from None


def _claims_hold(name: str, claims: dict[Value, Value], wanted: dict[Value, Value], now_s: float | None) -> bool:
    issuer, audience = wanted.get("iss", ""), wanted.get("aud", "")
    if issuer and type(claims.get("iss", "")) is not str:
        raise BuiltinError(f"{name}: iss of the token must be a string.")
    if issuer and claims.get("iss") != issuer:
        return False
    if "aud" not in claims:
        return not audience and _in_time(name, claims, now_s)
    named = claims["aud"] if type(claims["aud"]) is list else [claims["aud"]]
    return any(equal(one, audience) for one in named) and _in_time(name, claims, now_s)


def _in_time(name: str, claims: dict[Value, Value], now_s: float | None) -> bool:
    for field in ("exp", "nbf"):
        if field not in claims:
            continue
        limit = claims[field]
        if type(limit) is not int and type(limit) is not float:
            raise BuiltinError(f"{name}: {field} of the token must be a number.")
        if now_s is None:
            raise impossible(name, "the token has a time of its own; give the constraint time, from the input")
        if (now_s >= limit) if field == "exp" else (now_s < limit):
            return False
    return True


def _signed(name: str, header: str, payload: str, key: str) -> str:
    if len(header) + len(payload) > MAX_TOKEN:
        raise LimitExceeded(f"{name}: the token would have more than {MAX_TOKEN} characters.")
    keys = keys_of(name, key)
    fields = _object(name, "header", utf8(name, 1, header))
    algorithm = fields.get("alg")
    if type(algorithm) is not str or algorithm not in ALGORITHMS:
        raise BuiltinError(f"{name}: alg of the header must be one of {', '.join(sorted(ALGORITHMS))}.")
    if fields.get("typ", "JWT") == "JWT":
        _json(name, "payload", utf8(name, 2, payload))
    message = f"{_base64(utf8(name, 1, header))}.{_base64(utf8(name, 2, payload))}"
    signature = signature_of(keys[0], algorithm, message.encode()) if keys else None
    if signature is None:
        raise BuiltinError(
            f"{name}: {algorithm} cannot sign with this key here; ES and PS signatures differ every time they are made."
        )
    return f"{message}.{_base64(signature)}"


def _base64(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def _json_text(value: Value) -> str:
    """The value as Go writes it, to the letter, since it is signed."""
    text = json.dumps(_sorted(to_json(value)), ensure_ascii=False, separators=(",", ":"), allow_nan=False)
    for letter, escaped in _HTML.items():
        text = text.replace(letter, escaped)
    return text


def _sorted(value: Value) -> Value:
    if type(value) is dict:
        return {field: _sorted(value[field]) for field in sorted(value)}
    if type(value) is list:
        return [_sorted(item) for item in value]
    return int(value) if type(value) is float and value.is_integer() else value


def _object(name: str, part: str, data: bytes) -> dict[Value, Value]:
    found = _json(name, part, data)
    if type(found) is not dict:
        raise BuiltinError(f"{name}: the {part} of the token must be a JSON object.")
    return found


def _json(name: str, part: str, data: bytes) -> Value:
    """The JSON in these bytes; of two equal keys the last counts."""
    try:
        text = data.decode()
        found = json.loads(text, parse_constant=_no_constant, parse_int=_whole, parse_float=_finite)
    except RecursionError:
        raise LimitExceeded(f"{name}: the {part} of the token is nested too deeply.") from None
    except ValueError:
        raise BuiltinError(f"{name}: the {part} of the token is no JSON in UTF-8.") from None
    if _HALF.search(text) and not _whole_characters(found):
        raise BuiltinError(f"{name}: the {part} of the token holds half a character.")
    return found


def _no_constant(text: str) -> float:
    raise ValueError(text)


def _whole(digits: str) -> int:
    if len(digits) > MAX_DIGITS:
        raise ValueError(digits[:20])
    return int(digits)


def _finite(text: str) -> float:
    number = float(text)
    if not math.isfinite(number):
        raise ValueError(text[:20])
    return number


def _whole_characters(value: Value) -> bool:
    try:
        json.dumps(value, ensure_ascii=False).encode()
    except UnicodeEncodeError:
        return False
    return True
