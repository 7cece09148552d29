"""Keys for tokens: a PEM certificate, a PEM public key, or a JSON Web Key or set of them; and what each can check.

The algorithm never comes from the token alone: a key checks only algorithms of its own kind, so that a public key can
never pass for the secret of an HMAC, and `none` is no algorithm.
"""

from __future__ import annotations

import base64
import binascii
import hmac
import json
import re
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Final

from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, padding, rsa
from cryptography.hazmat.primitives.asymmetric.utils import encode_dss_signature
from cryptography.x509 import load_der_x509_certificate

from companyos_sdk.rego.errors import BuiltinError, LimitExceeded

MAX_KEYS_TEXT: Final = 200_000
"""Characters of a certificate or a set of keys."""
MAX_KEYS: Final = 200
"""Keys of a set."""
_DIGESTS: Final[dict[str, hashes.HashAlgorithm]] = {
    "256": hashes.SHA256(),
    "384": hashes.SHA384(),
    "512": hashes.SHA512(),
}
_NO_DIGEST: Final = hashes.SHA512()
"""For EdDSA, which has its own; never used."""
ALGORITHMS: Final = frozenset(
    {f"{family}{size}" for family in ("HS", "RS", "PS", "ES") for size in _DIGESTS} | {"EdDSA"},
)
"""The algorithms that OPA knows."""
_OTHER_ALGORITHMS: Final = frozenset(
    [
        "A128GCMKW",
        "A128KW",
        "A192GCMKW",
        "A192KW",
        "A256GCMKW",
        "A256KW",
        "dir",
        "ECDH-ES",
        "ECDH-ES+A128KW",
        "ECDH-ES+A192KW",
        "ECDH-ES+A256KW",
        "PBES2-HS256+A128KW",
        "PBES2-HS384+A192KW",
        "PBES2-HS512+A256KW",
        "RSA-OAEP",
        "RSA-OAEP-256",
        "RSA-OAEP-384",
        "RSA-OAEP-512",
        "RSA1_5",
        "ES256K",
        "Ed25519",
        "none",
    ]
)
"""What else a key may be for; such a key in a set is passed over."""
_CURVES: Final[dict[str, ec.EllipticCurve]] = {
    "P-256": ec.SECP256R1(),
    "P-384": ec.SECP384R1(),
    "P-521": ec.SECP521R1(),
}
_PEM = re.compile(
    r"-----BEGIN (?P<kind>[A-Z0-9 ]+)-----[ \t]*\r?\n(?P<body>[A-Za-z0-9+/=\s]*?)"
    r"-----END (?P=kind)-----[ \t]*(?:\r?\n|\Z)"
)
_URL_SAFE = re.compile("[A-Za-z0-9_-]*={0,2}")

_PublicKey = rsa.RSAPublicKey | ec.EllipticCurvePublicKey | ed25519.Ed25519PublicKey
_PrivateKey = rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey | ed25519.Ed25519PrivateKey


class BadKeyError(ValueError):
    """A text that is no key, or none of a kind that we know."""


@dataclass(frozen=True, slots=True)
class Key:
    """A key, with what a set of keys says about it."""

    made: _PublicKey | bytes | None
    """What checks signatures: a public key or the secret of an HMAC; None for a kind that checks no token."""
    algorithm: str = ""
    name: str = ""
    private: _PrivateKey | None = None


def url_safe(text: str) -> bytes:
    """The bytes of a text in base64 for URLs, with or without padding. Raises BadKeyError."""
    # OPA adds what is missing first; then Go passes over the ends of lines.
    if not text.endswith("="):
        if len(text.encode()) % 4 == 1:
            raise BadKeyError("the base64 has an impossible length")
        text += "=" * (-len(text) % 4)
    text = text.replace("\r", "").replace("\n", "")
    if len(text) % 4 or _URL_SAFE.fullmatch(text) is None:
        raise BadKeyError("there is a character that is no base64 for URLs, or the padding is wrong")
    return base64.urlsafe_b64decode(text)


def keys_of(name: str, text: str) -> tuple[Key, ...]:
    """The keys in a PEM certificate, a PEM public key, a JSON Web Key or a set of these.

    Raises BuiltinError, LimitExceeded.
    """
    if len(text) > MAX_KEYS_TEXT:
        raise LimitExceeded(f"{name}: the key has more than {MAX_KEYS_TEXT} characters.")
    try:
        return _keys_of(text)
    except BadKeyError as fault:
        raise BuiltinError(f"{name}: {fault}.") from None


def checks(key: Key, algorithm: str, message: bytes, signature: bytes, *, exact: bool = False) -> bool:
    """Whether this key confirms the signature of the message with this algorithm; a key of another kind never does.

    With `exact` a signature must have the length that RFC 7518 gives it, as `io.jwt.decode_verify` has it in OPA.
    """
    made = key.made
    if algorithm not in ALGORITHMS:
        return False
    family, digest = algorithm[:2], _DIGESTS.get(algorithm[2:], _NO_DIGEST)
    try:
        if family == "HS":
            return isinstance(made, bytes) and hmac.compare_digest(
                hmac.digest(made, message, f"sha{algorithm[2:]}"), signature
            )
        if family in {"RS", "PS"} and isinstance(made, rsa.RSAPublicKey):
            made.verify(signature, message, _padding(family, digest, exact=exact), digest)
        elif family == "ES" and isinstance(made, ec.EllipticCurvePublicKey):
            half = len(signature) // 2
            if exact and len(signature) != 2 * ((made.curve.key_size + 7) // 8):
                return False
            numbers = int.from_bytes(signature[:half], "big"), int.from_bytes(signature[half:], "big")
            made.verify(encode_dss_signature(*numbers), message, ec.ECDSA(digest))
        elif family == "Ed" and isinstance(made, ed25519.Ed25519PublicKey):
            made.verify(signature, message)
        else:
            return False
    except (InvalidSignature, ValueError):
        return False
    return True


def signature_of(key: Key, algorithm: str, message: bytes) -> bytes | None:
    """The signature of the message, or None when the key is of another kind or the signature would depend on chance."""
    family, digest = algorithm[:2], _DIGESTS.get(algorithm[2:], _NO_DIGEST)
    if family == "HS" and isinstance(key.made, bytes):
        return hmac.digest(key.made, message, f"sha{algorithm[2:]}")
    if family == "RS" and isinstance(key.private, rsa.RSAPrivateKey):
        return key.private.sign(message, padding.PKCS1v15(), digest)
    if family == "Ed" and isinstance(key.private, ed25519.Ed25519PrivateKey):
        return key.private.sign(message)
    return None


def _padding(family: str, digest: hashes.HashAlgorithm, *, exact: bool) -> padding.AsymmetricPadding:
    if family == "RS":
        return padding.PKCS1v15()
    salt = digest.digest_size if exact else padding.PSS.AUTO
    return padding.PSS(padding.MGF1(digest), salt)


@lru_cache(maxsize=64)
def _keys_of(text: str) -> tuple[Key, ...]:
    block = _PEM.search(text)
    if block is not None:
        if block.end() != len(text):
            raise BadKeyError("something follows the PEM block of the key")
        return (Key(_of_pem(block["kind"], block["body"])),)
    try:
        found = json.loads(text)
    except (ValueError, RecursionError):
        raise BadKeyError("the key is neither PEM nor JSON") from None
    if not isinstance(found, dict):
        raise BadKeyError("the key is JSON, but no object")
    entries = found.get("keys", [found])
    if (
        not isinstance(entries, list)
        or len(entries) > MAX_KEYS
        or not all(isinstance(entry, dict) for entry in entries)
    ):
        raise BadKeyError(f"keys is no list of at most {MAX_KEYS} keys")
    made = [_of_jwk(entry) for entry in entries]
    return tuple(key for key in made if not key.algorithm or key.algorithm in ALGORITHMS)


def _of_pem(kind: str, body: str) -> _PublicKey | None:
    try:
        der = base64.b64decode("".join(body.split()), validate=True)
        if kind == "CERTIFICATE":
            made: object = load_der_x509_certificate(der).public_key()
        elif kind == "PUBLIC KEY":
            made = serialization.load_der_public_key(der)
        else:
            raise BadKeyError(f"a PEM block {kind} holds no key for tokens; give a certificate or a public key")
    except (ValueError, UnsupportedAlgorithm, binascii.Error) as fault:
        raise (
            fault if isinstance(fault, BadKeyError) else BadKeyError("the PEM block holds no key that we know")
        ) from None
    return made if isinstance(made, _PublicKey) else None


def _of_jwk(entry: dict[str, Any]) -> Key:
    kind = _text(entry, "kty")
    algorithm, name = _text(entry, "alg", needed=False), _text(entry, "kid", needed=False)
    if algorithm and algorithm not in ALGORITHMS | _OTHER_ALGORITHMS:
        raise BadKeyError(f"the key is for an unknown algorithm, {algorithm[:40]!r}")
    try:
        if kind == "oct":
            return Key(_bytes(entry, "k"), algorithm, name)
        if kind == "RSA":
            return _rsa(entry, algorithm, name)
        if kind == "EC":
            return _curve(entry, algorithm, name)
        if kind == "OKP" and _text(entry, "crv") == "Ed25519":
            return _edwards(entry, algorithm, name)
    except (ValueError, UnsupportedAlgorithm) as fault:
        raise fault if isinstance(fault, BadKeyError) else BadKeyError(f"the {kind} key is not valid") from None
    raise BadKeyError("the key has an unknown kind; give kty RSA, EC, oct, or OKP with Ed25519")


def _rsa(entry: dict[str, Any], algorithm: str, name: str) -> Key:
    numbers = rsa.RSAPublicNumbers(_integer(entry, "e"), _integer(entry, "n"))
    if "d" not in entry:
        return Key(numbers.public_key(), algorithm, name)
    secret = _integer(entry, "d")
    if all(part in entry for part in ("p", "q")):
        one, two = _integer(entry, "p"), _integer(entry, "q")
    else:
        one, two = rsa.rsa_recover_prime_factors(numbers.n, numbers.e, secret)
    private = rsa.RSAPrivateNumbers(
        one,
        two,
        secret,
        rsa.rsa_crt_dmp1(secret, one),
        rsa.rsa_crt_dmq1(secret, two),
        rsa.rsa_crt_iqmp(one, two),
        numbers,
    ).private_key()
    return Key(private.public_key(), algorithm, name, private)


def _curve(entry: dict[str, Any], algorithm: str, name: str) -> Key:
    curve = _CURVES.get(_text(entry, "crv"))
    if curve is None:
        raise BadKeyError(f"the curve of an EC key is one of {', '.join(_CURVES)}")
    public = ec.EllipticCurvePublicNumbers(_integer(entry, "x"), _integer(entry, "y"), curve)
    if "d" not in entry:
        return Key(public.public_key(), algorithm, name)
    private = ec.EllipticCurvePrivateNumbers(_integer(entry, "d"), public).private_key()
    return Key(private.public_key(), algorithm, name, private)


def _edwards(entry: dict[str, Any], algorithm: str, name: str) -> Key:
    public = ed25519.Ed25519PublicKey.from_public_bytes(_bytes(entry, "x"))
    if "d" not in entry:
        return Key(public, algorithm, name)
    private = ed25519.Ed25519PrivateKey.from_private_bytes(_bytes(entry, "d"))
    if private.public_key() != public:
        raise BadKeyError("the two halves of the OKP key do not belong together")
    return Key(public, algorithm, name, private)


def _text(entry: dict[str, Any], field: str, *, needed: bool = True) -> str:
    value = entry.get(field, None if needed else "")
    if not isinstance(value, str):
        raise BadKeyError(f"{field} of the key is missing or no string")
    return value


def _bytes(entry: dict[str, Any], field: str) -> bytes:
    return url_safe(_text(entry, field))


def _integer(entry: dict[str, Any], field: str) -> int:
    return int.from_bytes(_bytes(entry, field), "big")
