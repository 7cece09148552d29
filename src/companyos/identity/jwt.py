"""JSON Web Tokens of other issuers (RFC 7519), verified as RFC 8725 advises.

The text is read strictly and by hand, the signature is checked by joserfc with a key that the configuration has chosen.
Nothing in a token chooses how it is verified: its ``alg`` must be allowed for its issuer and fit the key, its ``kid``
only picks among the issuer's keys, and ``jwk``, ``jku``, ``x5c`` are never looked at.
"""

from __future__ import annotations

import base64
import binascii
import math
import re
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Final

import msgspec

from companyos.core.canonical import loads
from companyos.core.errors import CompanyOSError
from companyos.identity.attribute import Value, write_value
from companyos.identity.errors import CredentialRefused

if TYPE_CHECKING:
    from companyos.identity.issuers import Issuer
    from companyos.identity.key_sets import Keys, PublicKey

MAX_CHARACTERS: Final = 8192
_MAX_DEPTH: Final = 8
_MAX_SUB: Final = 255
_MAX_AUDIENCES: Final = 64
_LATEST: Final = 253_402_300_799
"""The last second of the year 9999."""
_FORM: Final = re.compile(r"[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+")
_FORBIDDEN: Final = frozenset({"crit", "b64", "enc", "zip"})
_JOSERFC: Final = {"EdDSA": "Ed25519"}
"""joserfc's names of algorithms where they differ: ours fixes the curve, as RFC 9864 wants."""


class TokenRefused(CredentialRefused):
    """The token is not taken; ``why`` is for the log and the tests, and whoever sent it never sees it."""

    def __init__(self, why: str) -> None:
        """Take one clause that says why."""
        super().__init__()
        self.why = why


class Unverified(msgspec.Struct, frozen=True):
    """What a text says that has the form of a token; nothing of it is known to be true."""

    header: dict[str, Any]
    claims: dict[str, Any]
    signed: bytes
    signature: bytes

    @property
    def issuer(self) -> str:
        """Who claims to have issued it, empty when it does not say."""
        found = self.claims.get("iss")
        return found if isinstance(found, str) else ""

    @property
    def kid(self) -> str | None:
        """Which key it claims to be signed with."""
        found = self.header.get("kid")
        return found if isinstance(found, str) else None

    @property
    def algorithm(self) -> str:
        """How it claims to be signed, empty when it does not say."""
        found = self.header.get("alg")
        return found if isinstance(found, str) else ""


class Verified(msgspec.Struct, frozen=True):
    """A token that its issuer has signed, for us, and that counts now."""

    sub: str
    issued_at: datetime
    expires_at: datetime
    attributes: dict[str, Value]
    """What the configured claims say, by the name of the attribute, as far as it is an attribute's value."""
    claims: dict[str, Any]


def has_form(text: str) -> bool:
    """Tell whether a credential looks like a JSON Web Token, so that nothing else is read as one."""
    return len(text) <= MAX_CHARACTERS and _FORM.fullmatch(text) is not None


def read_token(text: str) -> Unverified:
    """Return what a token says, or raise TokenRefused when it cannot be read in exactly one way."""
    if not has_form(text):
        raise TokenRefused("it has no form")
    header, payload, signature = text.split(".")
    read = Unverified(
        _object(header, "the header"),
        _object(payload, "the claims"),
        f"{header}.{payload}".encode("ascii"),
        _bytes(signature, "the signature"),
    )
    if "kid" in read.header and read.kid is None:
        raise TokenRefused("kid is no text")
    return read


def verify(token: Unverified, issuer: Issuer, keys: Keys, now: datetime) -> Verified:
    """Return what the token proves, or raise TokenRefused. ``issuer`` is the one that the token names."""
    _check_header(token, issuer)
    key = keys.find(token.kid, token.algorithm)
    if key is None:
        raise TokenRefused("no key fits")
    if not _is_signed(token, key):
        raise TokenRefused("the signature is wrong")
    return _checked_claims(token.claims, issuer, now)


def _check_header(token: Unverified, issuer: Issuer) -> None:
    if token.algorithm not in issuer.algorithms:
        raise TokenRefused("the algorithm is not allowed")
    if found := _FORBIDDEN & set(token.header):
        raise TokenRefused(f"the header has {min(found)}")
    typ = token.header.get("typ", "")
    if not isinstance(typ, str) or _type(typ) not in {_type(one) for one in issuer.types}:
        raise TokenRefused("the type is not allowed")


def _is_signed(token: Unverified, key: PublicKey) -> bool:
    from joserfc.errors import JoseError
    from joserfc.jws import JWSRegistry

    algorithm = JWSRegistry.algorithms[_JOSERFC.get(token.algorithm, token.algorithm)]
    try:
        algorithm.check_key(key.key)
        return bool(algorithm.verify(token.signed, token.signature, key.key))
    except (JoseError, ValueError):
        return False


def _checked_claims(claims: dict[str, Any], issuer: Issuer, now: datetime) -> Verified:
    moment = now.timestamp()
    if claims.get("iss") != issuer.issuer:
        raise TokenRefused("it is of another issuer")
    if not issuer.audiences & _audiences(claims.get("aud")):
        raise TokenRefused("it is for somebody else")
    expires, issued = _moment(claims, "exp"), _moment(claims, "iat")
    if moment >= expires + issuer.leeway_s:
        raise TokenRefused("it has expired")
    if issued > moment + issuer.leeway_s:
        raise TokenRefused("it is from the future")
    if "nbf" in claims and _moment(claims, "nbf") > moment + issuer.leeway_s:
        raise TokenRefused("it does not count yet")
    if not 0 < expires - issued <= issuer.max_lifetime_s:
        raise TokenRefused("it lives too long")
    sub = claims.get("sub")
    if not isinstance(sub, str) or not 0 < len(sub) <= _MAX_SUB or not sub.isprintable():
        raise TokenRefused("it has no sub")
    return Verified(
        sub,
        datetime.fromtimestamp(issued, UTC),
        datetime.fromtimestamp(expires, UTC),
        _attributes(claims, issuer.attributes),
        claims,
    )


def _attributes(claims: dict[str, Any], wanted: Mapping[str, str]) -> dict[str, Value]:
    found: dict[str, Value] = {}
    for claim, name in sorted(wanted.items()):
        value = _at(claims, claim)
        if value is msgspec.UNSET:
            continue
        try:
            write_value(value)
        except CompanyOSError:
            continue  # An attribute that cannot be kept is undefined, and so opens nothing.
        found[name] = value
    return found


def _at(claims: dict[str, Any], claim: str) -> Any:  # noqa: ANN401 - JSON
    """Return a claim by name or by JSON pointer (RFC 6901), UNSET when it is not there."""
    if not claim.startswith("/"):
        return claims.get(claim, msgspec.UNSET)
    value: Any = claims
    for part in claim[1:].split("/"):
        key = part.replace("~1", "/").replace("~0", "~")
        if not isinstance(value, dict) or key not in value:
            return msgspec.UNSET
        value = value[key]
    return value


def _audiences(aud: object) -> frozenset[str]:
    if isinstance(aud, str):
        return frozenset((aud,))
    if isinstance(aud, list) and len(aud) <= _MAX_AUDIENCES and all(isinstance(one, str) for one in aud):
        return frozenset(aud)
    return frozenset()


def _moment(claims: dict[str, Any], name: str) -> float:
    value = claims.get(name)
    if not isinstance(value, int | float) or isinstance(value, bool):
        raise TokenRefused(f"{name} is no moment")
    if not math.isfinite(value) or not 0 <= value <= _LATEST:
        raise TokenRefused(f"{name} is no moment")
    return float(value)


def _type(text: str) -> str:
    return text.lower().removeprefix("application/")


def _object(part: str, what: str) -> dict[str, Any]:
    try:
        value = loads(_bytes(part, what), max_depth=_MAX_DEPTH, max_bytes=MAX_CHARACTERS)
    except (CompanyOSError, RecursionError) as fault:
        raise TokenRefused(f"{what} cannot be read") from fault
    if not isinstance(value, dict):
        raise TokenRefused(f"{what} cannot be read")
    return value


def _bytes(part: str, what: str) -> bytes:
    try:
        data = base64.urlsafe_b64decode(part + "=" * (-len(part) % 4))
    except (binascii.Error, ValueError) as fault:
        raise TokenRefused(f"{what} cannot be read") from fault
    if base64.urlsafe_b64encode(data).rstrip(b"=").decode() != part:
        raise TokenRefused(f"{what} cannot be read")
    return data
