"""`crypto.*`: digests and authentication codes."""

from __future__ import annotations

import hashlib
import hmac
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from companyos_sdk.rego.builtins import TABLE
from companyos_sdk.rego.errors import BuiltinError

TEXTS = st.text(st.characters(exclude_categories=["Cs"]), max_size=40)


def call(name: str, *arguments: Any) -> Any:
    """What the function gives for these values."""
    return TABLE[name].function(*arguments)


@pytest.mark.parametrize(
    ("name", "arguments", "expected"),
    [
        ("crypto.md5", ("lorem ipsum",), "80a751fde577028640c419000e33eba6"),
        ("crypto.sha1", ("",), "da39a3ee5e6b4b0d3255bfef95601890afd80709"),
        ("crypto.sha256", ("",), "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"),
        ("crypto.hmac.md5", ("foo", "bar"), "31b6db9e5eb4addb42f1a6ca07367adc"),
        ("crypto.hmac.sha1", ("foo", "bar"), "85d155c55ed286a300bd1cf124de08d87e914f3a"),
        ("crypto.hmac.sha256", ("foo", "bar"), "147933218aaabc0b8b10a2b3a5c34684c8d94341bcf10a4736dc7270f7741851"),
        ("crypto.hmac.md5", ("åäöçß🥲♙Ω", "秘密の"), "20a8743c2157ac60b7e8b79c83651b8d"),
        ("crypto.hmac.equal", ("a", "a"), True),
        ("crypto.hmac.equal", ("a", "aa"), False),
        ("crypto.hmac.equal", ("ä", "a"), False),
    ],
)
def test_the_value_is_that_of_opa(name: str, arguments: tuple[str, ...], expected: Any) -> None:
    """The function gives what OPA 1.21.3 gives for the same arguments."""
    assert call(name, *arguments) == expected


@given(TEXTS, TEXTS)
def test_digests_are_of_the_bytes_in_utf_8(text: str, secret: str) -> None:
    """Any text has the digest of its bytes."""
    for digest in ("md5", "sha1", "sha256"):
        assert call(f"crypto.{digest}", text) == hashlib.new(digest, text.encode()).hexdigest()
    for digest in ("md5", "sha1", "sha256", "sha512"):
        assert call(f"crypto.hmac.{digest}", text, secret) == hmac.digest(secret.encode(), text.encode(), digest).hex()


@pytest.mark.parametrize("name", [name for name in TABLE if name.startswith("crypto.")])
@pytest.mark.parametrize("value", [None, True, 1, ["a"], {"a": 1}, "half a \ud83e character"])
def test_what_has_no_bytes_is_an_error(name: str, value: Any) -> None:
    """Other types and half characters are an error that names the function."""
    arguments = [value] * TABLE[name].arity
    with pytest.raises(BuiltinError, match=name):
        call(name, *arguments)
