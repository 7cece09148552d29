"""Functions of digests and of authentication codes, each a text in hexadecimal digits."""

from __future__ import annotations

import hashlib
import hmac
from typing import Any

from companyos_sdk.rego.builtins.arguments import string
from companyos_sdk.rego.builtins.registry import builtin
from companyos_sdk.rego.errors import BuiltinError

Value = Any


@builtin("crypto.md5")
def md5(text: Value) -> str:
    """The MD5 of a text; it protects nothing."""
    return hashlib.md5(utf8("crypto.md5", 1, text), usedforsecurity=False).hexdigest()


@builtin("crypto.sha1")
def sha1(text: Value) -> str:
    """The SHA-1 of a text; it protects nothing."""
    return hashlib.sha1(utf8("crypto.sha1", 1, text), usedforsecurity=False).hexdigest()


@builtin("crypto.sha256")
def sha256(text: Value) -> str:
    """The SHA-256 of a text."""
    return hashlib.sha256(utf8("crypto.sha256", 1, text)).hexdigest()


@builtin("crypto.hmac.md5")
def hmac_md5(text: Value, secret: Value) -> str:
    """The HMAC of a text with MD5."""
    return _hmac("crypto.hmac.md5", "md5", text, secret)


@builtin("crypto.hmac.sha1")
def hmac_sha1(text: Value, secret: Value) -> str:
    """The HMAC of a text with SHA-1."""
    return _hmac("crypto.hmac.sha1", "sha1", text, secret)


@builtin("crypto.hmac.sha256")
def hmac_sha256(text: Value, secret: Value) -> str:
    """The HMAC of a text with SHA-256."""
    return _hmac("crypto.hmac.sha256", "sha256", text, secret)


@builtin("crypto.hmac.sha512")
def hmac_sha512(text: Value, secret: Value) -> str:
    """The HMAC of a text with SHA-512."""
    return _hmac("crypto.hmac.sha512", "sha512", text, secret)


@builtin("crypto.hmac.equal")
def hmac_equal(left: Value, right: Value) -> bool:
    """Whether two codes are the same, compared in a time that says nothing about where they differ."""
    return hmac.compare_digest(utf8("crypto.hmac.equal", 1, left), utf8("crypto.hmac.equal", 2, right))


def utf8(name: str, position: int, value: Value) -> bytes:
    """The bytes of an argument that is a string."""
    try:
        return string(name, position, value).encode()
    except UnicodeEncodeError:
        raise BuiltinError(f"{name}: argument {position} holds half a character, which has no bytes.") from None


def _hmac(name: str, digest: str, text: Value, secret: Value) -> str:
    return hmac.digest(utf8(name, 2, secret), utf8(name, 1, text), digest).hex()
