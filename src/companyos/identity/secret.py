"""The secrets of identity: how they are made, written down, hashed and compared.

A secret is 32 random bytes, so a plain SHA-256 is enough to keep it: there is nothing to guess that a slow hash would
protect. Hashes are compared in constant time, also against a stand-in when the id is unknown.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import re
import secrets
from typing import Final

import msgspec

PREFIX: Final = "cos"
_SECRET: Final = re.compile(r"[A-Za-z0-9_-]{43}")
_TOKEN: Final = re.compile(rf"{PREFIX}_([0-9a-f]{{8}}(?:-[0-9a-f]{{4}}){{3}}-[0-9a-f]{{12}})_([A-Za-z0-9_-]{{43}})")
_NOBODYS_HASH: Final = "0" * 64


class Credential(msgspec.Struct, frozen=True):
    """The two parts of a token: which row to look up, and what to prove."""

    id: str
    secret: str


def new_secret() -> str:
    """Return 32 random bytes as 43 characters of base64url."""
    return secrets.token_urlsafe(32)


def is_secret(text: str) -> bool:
    """Tell whether the text has the form of a secret, so that nothing else is hashed or looked up."""
    return _SECRET.fullmatch(text) is not None


def hash_secret(secret: str) -> str:
    """Return the SHA-256 of a secret in hexadecimal, the only form that is stored."""
    return hashlib.sha256(secret.encode()).hexdigest()


def matches(secret: str, stored_hash: str | None) -> bool:
    """Tell in constant time whether this is the secret; with None (an unknown id) it takes as long and is False."""
    same = hmac.compare_digest(hash_secret(secret), stored_hash or _NOBODYS_HASH)
    return same and stored_hash is not None


def write_token(id: str, secret: str) -> str:
    """Return the credential as its owner keeps it: ``cos_<id>_<secret>``."""
    return f"{PREFIX}_{id}_{secret}"


def read_token(text: str) -> Credential | None:
    """Return the parts of a token, or None when the text does not have the form of one."""
    found = _TOKEN.fullmatch(text)
    return Credential(found[1], found[2]) if found else None


def csrf_token(session_secret: str) -> str:
    """Return the token that forms of this session must carry; it follows from the secret and does not reveal it."""
    digest = hmac.digest(session_secret.encode(), b"companyos csrf", "sha256")
    return base64.urlsafe_b64encode(digest).rstrip(b"=").decode()
