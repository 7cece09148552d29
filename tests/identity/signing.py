"""An issuer of tokens for tests: its keys, and tokens of every kind, good and bad."""

from __future__ import annotations

import base64
import json
from functools import cache
from typing import Any

from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, padding, rsa
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature

ISSUER = "https://id.example"
AUDIENCE = "companyos"


@cache
def rsa_key(name: str = "rsa", bits: int = 2048) -> rsa.RSAPrivateKey:
    """The RSA key of this name."""
    del name
    return rsa.generate_private_key(65537, bits)


@cache
def ec_key(name: str = "ec") -> ec.EllipticCurvePrivateKey:
    """The P-256 key of this name."""
    del name
    return ec.generate_private_key(ec.SECP256R1())


@cache
def ed_key(name: str = "ed") -> ed25519.Ed25519PrivateKey:
    """The Ed25519 key of this name."""
    del name
    return ed25519.Ed25519PrivateKey.generate()


def b64(data: bytes) -> str:
    """Base64url without padding."""
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def number(value: int) -> str:
    """An integer as a JWK writes it."""
    return b64(value.to_bytes((value.bit_length() + 7) // 8))


def jwk(key: Any, kid: str | None, **more: Any) -> dict[str, Any]:
    """The public part of a key as a JWK."""
    found: dict[str, Any]
    if isinstance(key, rsa.RSAPrivateKey):
        numbers = key.public_key().public_numbers()
        found = {"kty": "RSA", "n": number(numbers.n), "e": number(numbers.e)}
    elif isinstance(key, ec.EllipticCurvePrivateKey):
        point = key.public_key().public_numbers()
        found = {"kty": "EC", "crv": "P-256", "x": b64(point.x.to_bytes(32)), "y": b64(point.y.to_bytes(32))}
    else:
        raw = key.public_key().public_bytes(serialization.Encoding.Raw, serialization.PublicFormat.Raw)
        found = {"kty": "OKP", "crv": "Ed25519", "x": b64(raw)}
    return found | ({"kid": kid} if kid else {}) | more


def jwks(*keys: dict[str, Any]) -> bytes:
    """A JWK Set; without arguments that of the issuer."""
    listed = keys or (jwk(rsa_key(), "rsa"), jwk(ec_key(), "ec"), jwk(ed_key(), "ed"))
    return json.dumps({"keys": list(listed)}).encode()


def signature(algorithm: str, signed: bytes) -> bytes:
    """What the issuer signs with this algorithm."""
    if algorithm == "RS256":
        return rsa_key().sign(signed, padding.PKCS1v15(), hashes.SHA256())
    if algorithm == "PS256":
        return rsa_key().sign(signed, padding.PSS(padding.MGF1(hashes.SHA256()), 32), hashes.SHA256())
    if algorithm == "ES256":
        r, s = decode_dss_signature(ec_key().sign(signed, ec.ECDSA(hashes.SHA256())))
        return r.to_bytes(32) + s.to_bytes(32)
    return ed_key().sign(signed)


KIDS = {"RS256": "rsa", "PS256": "rsa", "ES256": "ec", "EdDSA": "ed"}


def token(
    now: float,
    *,
    algorithm: str = "ES256",
    header: dict[str, Any] | None = None,
    raw_header: bytes | None = None,
    raw_claims: bytes | None = None,
    **claims: Any,
) -> str:
    """A token that the issuer has signed a minute ago, for an hour; what is given replaces what it would say.

    A claim or a header that is None is left out.
    """
    head = {"alg": algorithm, "typ": "JWT", "kid": KIDS[algorithm]} | (header or {})
    said = {"iss": ISSUER, "aud": AUDIENCE, "sub": "pat", "iat": now - 60, "exp": now + 3540} | claims
    parts = (
        json.dumps({key: value for key, value in head.items() if value is not None}).encode(),
        json.dumps({key: value for key, value in said.items() if value is not None}).encode(),
    )
    signed = f"{b64(raw_header or parts[0])}.{b64(raw_claims or parts[1])}"
    return f"{signed}.{b64(signature(algorithm, signed.encode()))}"
