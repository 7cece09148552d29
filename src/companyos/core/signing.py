"""Signatures: Ed25519 (RFC 8032) and ECDSA on P-256 with SHA-256 (FIPS 186-5, signatures in DER).

A key is named by its *key id*: the lower-case hexadecimal SHA-256 of its SubjectPublicKeyInfo in DER. What signs is a
``Signer``; ``LocalSigner`` holds the private key in this process, and a key management service would be another one.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field
from typing import Final, Literal, Protocol, TypeAlias, get_args

from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, ed25519
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
    load_der_public_key,
    load_pem_private_key,
    load_pem_public_key,
)

from companyos.core.errors import IntegrityFault, InvalidInput

Algorithm: TypeAlias = Literal["ed25519", "ecdsa-p256"]
"""How a key signs."""

ALGORITHMS: Final[tuple[Algorithm, ...]] = get_args(Algorithm)

MAX_KEY_BYTES: Final = 16 * 1024
"""How long the text of a key may be; a real one has less than 300 bytes."""

_PrivateKey: TypeAlias = ed25519.Ed25519PrivateKey | ec.EllipticCurvePrivateKey
_VerifyingKey: TypeAlias = ed25519.Ed25519PublicKey | ec.EllipticCurvePublicKey

_ECDSA: Final = ec.ECDSA(hashes.SHA256())
_SUPPORTED: Final = "Use an Ed25519 key or an ECDSA key on P-256."


class BadSignature(IntegrityFault):
    """The signature was not made by this key over these bytes. Who reads an upload turns it into InvalidInput."""


@dataclass(frozen=True, slots=True)
class PublicKey:
    """What checks signatures; equal when the key is equal. Made by ``from_pem`` or ``from_spki_der``."""

    algorithm: Algorithm
    key_id: str
    """Lower-case hexadecimal SHA-256 of ``spki_der``."""
    spki_der: bytes = field(repr=False)
    """The SubjectPublicKeyInfo (RFC 5280 §4.1.2.7), P-256 points uncompressed."""
    _key: _VerifyingKey = field(repr=False, compare=False)

    @classmethod
    def from_pem(cls, pem: str | bytes) -> PublicKey:
        """Return the key in a PEM text ``PUBLIC KEY``. Raises InvalidInput for anything else, private keys included."""
        data = pem.encode() if isinstance(pem, str) else pem
        if len(data) > MAX_KEY_BYTES:
            raise InvalidInput(f"The public key has more than {MAX_KEY_BYTES} bytes.", next_step=_SUPPORTED)
        try:
            return _public_key(load_pem_public_key(data))
        except (ValueError, UnsupportedAlgorithm) as fault:
            raise InvalidInput("The text is not a public key in PEM form.", next_step=_SUPPORTED) from fault

    @classmethod
    def from_spki_der(cls, der: bytes) -> PublicKey:
        """Return the key in a DER SubjectPublicKeyInfo. Raises InvalidInput unless ``spki_der`` is the same."""
        if len(der) > MAX_KEY_BYTES:
            raise InvalidInput(f"The public key has more than {MAX_KEY_BYTES} bytes.", next_step=_SUPPORTED)
        try:
            key = _public_key(load_der_public_key(der))
        except (ValueError, UnsupportedAlgorithm) as fault:
            raise InvalidInput("The bytes are not a public key in DER form.", next_step=_SUPPORTED) from fault
        if key.spki_der != der:
            raise InvalidInput("The public key is not in the usual DER form.", next_step="Export it uncompressed.")
        return key

    @property
    def pem(self) -> str:
        """The key as a PEM text ``PUBLIC KEY`` (RFC 7468), which openssl and cosign read."""
        return self._key.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo).decode("ascii")

    def verify(self, signature: bytes, data: bytes) -> None:
        """Return when this key signed exactly these bytes; raise BadSignature otherwise."""
        try:
            if isinstance(self._key, ed25519.Ed25519PublicKey):
                self._key.verify(signature, data)
            else:
                self._key.verify(signature, data, _ECDSA)
        except InvalidSignature as fault:
            raise BadSignature(f"The signature does not hold for the key {self.key_id[:16]}….") from fault


class Signer(Protocol):
    """What signs with one private key, wherever that key is kept."""

    @property
    def public_key(self) -> PublicKey:
        """The public half."""
        ...

    @property
    def key_id(self) -> str:
        """The key id of the public half."""
        ...

    @property
    def algorithm(self) -> Algorithm:
        """How the key signs."""
        ...

    def sign(self, data: bytes) -> bytes:
        """Return the signature over the data: 64 bytes for Ed25519, DER for ECDSA. Raises Unavailable if it cannot."""
        ...


class LocalSigner:
    """A signer whose private key is in the memory of this process."""

    __slots__ = ("_key", "public_key")

    def __init__(self, key: _PrivateKey) -> None:
        """Take a private key of one of the supported algorithms; raises InvalidInput for another curve."""
        self._key = key
        self.public_key = _public_key(key.public_key())

    @classmethod
    def generate(cls, algorithm: Algorithm) -> LocalSigner:
        """Return a signer with a new random key."""
        if algorithm == "ed25519":
            return cls(ed25519.Ed25519PrivateKey.generate())
        return cls(ec.generate_private_key(ec.SECP256R1()))

    @classmethod
    def from_private_pem(cls, pem: bytes) -> LocalSigner:
        """Return the signer for an unencrypted PKCS#8 PEM text. Raises InvalidInput, which never quotes the text."""
        if len(pem) > MAX_KEY_BYTES:
            raise InvalidInput(f"The private key has more than {MAX_KEY_BYTES} bytes.", next_step=_SUPPORTED)
        try:
            key = load_pem_private_key(pem, password=None)
        except (ValueError, TypeError, UnsupportedAlgorithm):
            # The cause is cut off: an error of the parser may quote what it read.
            raise InvalidInput(
                "The text is not an unencrypted private key in PEM form.", next_step=_SUPPORTED
            ) from None
        if not isinstance(key, ed25519.Ed25519PrivateKey | ec.EllipticCurvePrivateKey):
            raise InvalidInput("The private key is of a kind that is not used here.", next_step=_SUPPORTED)
        return cls(key)

    @property
    def key_id(self) -> str:
        """The key id of the public half."""
        return self.public_key.key_id

    @property
    def algorithm(self) -> Algorithm:
        """How the key signs."""
        return self.public_key.algorithm

    def sign(self, data: bytes) -> bytes:
        """Return the signature over the data: 64 bytes for Ed25519, DER for ECDSA."""
        if isinstance(self._key, ed25519.Ed25519PrivateKey):
            return self._key.sign(data)
        return self._key.sign(data, _ECDSA)

    def private_pem(self) -> bytes:
        """Return the private key as unencrypted PKCS#8 PEM: a secret, for a file that only its owner can read."""
        return self._key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())

    def __repr__(self) -> str:
        return f"LocalSigner(algorithm={self.algorithm!r}, key_id={self.key_id!r})"


def _public_key(key: object) -> PublicKey:
    """Return our view of a key of the cryptography package, or raise InvalidInput for a kind that is not used here."""
    algorithm: Algorithm
    if isinstance(key, ed25519.Ed25519PublicKey):
        algorithm = "ed25519"
    elif isinstance(key, ec.EllipticCurvePublicKey) and isinstance(key.curve, ec.SECP256R1):
        algorithm = "ecdsa-p256"
    else:
        raise InvalidInput("The key is of a kind that is not used here.", next_step=_SUPPORTED)
    der = key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    return PublicKey(algorithm=algorithm, key_id=hashlib.sha256(der).hexdigest(), spki_der=der, _key=key)
