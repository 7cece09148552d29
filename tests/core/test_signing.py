from __future__ import annotations

import base64
import hashlib

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.hazmat.primitives.asymmetric.utils import encode_dss_signature
from hypothesis import given
from hypothesis import strategies as st

from companyos.core.errors import InvalidInput
from companyos.core.signing import ALGORITHMS, Algorithm, BadSignature, LocalSigner, PublicKey, Signer

SIGNERS: dict[Algorithm, Signer] = {algorithm: LocalSigner.generate(algorithm) for algorithm in ALGORITHMS}
every_algorithm = pytest.mark.parametrize("algorithm", ALGORITHMS)


@every_algorithm
@given(data=st.binary(max_size=200), flipped=st.integers(0, 10_000))
def test_a_signature_holds_for_its_bytes_and_no_others(algorithm: Algorithm, data: bytes, flipped: int) -> None:
    """The key accepts what its signer signed; one flipped bit in the data or the signature is a bad signature."""
    signer = SIGNERS[algorithm]
    signature = signer.sign(data)
    signer.public_key.verify(signature, data)
    for forged_signature, forged_data in (
        (_flip(signature, flipped), data),
        (signature, _flip(data + b"\0", flipped)),
        (signature[:-1], data),
        (signature + b"\0", data),
        (b"", data),
    ):
        with pytest.raises(BadSignature, match=signer.key_id[:16]):
            signer.public_key.verify(forged_signature, forged_data)


@every_algorithm
def test_another_key_is_a_bad_signature(algorithm: Algorithm) -> None:
    """No other key, of either algorithm, accepts a signature."""
    signature = SIGNERS[algorithm].sign(b"data")
    for other in ALGORITHMS:
        with pytest.raises(BadSignature):
            LocalSigner.generate(other).public_key.verify(signature, b"data")


def test_ed25519_of_rfc_8032() -> None:
    """Test 2 of RFC 8032 section 7.1 gives the signature of the RFC."""
    secret = bytes.fromhex("4ccd089b28ff96da9db6c346ec114e0f5b8a319f35aba624da8cf6ed4fb8a6fb")
    signer = LocalSigner(ed25519.Ed25519PrivateKey.from_private_bytes(secret))
    assert signer.sign(b"\x72").hex() == (
        "92a009a9f0d4cab8720e820b5f642540a2b27b5416503f8fb3762223ebdb69da"
        "085ac1e43e15996e458f3613d0f11d8c387b2eaeb4302aeeb00d291612bb0c00"
    )


def test_p256_of_rfc_6979() -> None:
    """The signature of RFC 6979 section A.2.5 for P-256, SHA-256 and "sample" holds."""
    secret = 0xC9AFA9D845BA75166B5C215767B1D6934E50C3DB36E89B127B8A622B120F6721
    signature = encode_dss_signature(
        0xEFD48B2AACB6A8FD1140DD9CD45E81D69D2C877B56AAF991C34D0EA84EAF3716,
        0xF7CB1C942D657C41D436C7A1B6E29F65F3E900DBB9AFF4064DC4AB2F843ACDA8,
    )
    LocalSigner(ec.derive_private_key(secret, ec.SECP256R1())).public_key.verify(signature, b"sample")


@every_algorithm
def test_the_key_id_is_the_digest_of_the_public_key(algorithm: Algorithm) -> None:
    """The key id is the lower-case SHA-256 of what stands between the lines of the PEM text."""
    signer = SIGNERS[algorithm]
    body = "".join(signer.public_key.pem.splitlines()[1:-1])
    assert hashlib.sha256(base64.b64decode(body)).hexdigest() == signer.key_id == signer.public_key.key_id
    assert signer.algorithm == signer.public_key.algorithm == algorithm


@every_algorithm
def test_a_public_key_survives_its_texts(algorithm: Algorithm) -> None:
    """Reading a key from PEM or DER gives an equal key that verifies."""
    signer = SIGNERS[algorithm]
    key = signer.public_key
    for same in (
        PublicKey.from_pem(key.pem),
        PublicKey.from_pem(key.pem.encode()),
        PublicKey.from_spki_der(key.spki_der),
    ):
        assert same == key
        assert hash(same) == hash(key)
        same.verify(signer.sign(b"data"), b"data")
    assert LocalSigner.generate(algorithm).public_key != key


@every_algorithm
def test_a_private_key_survives_its_text(algorithm: Algorithm) -> None:
    """The PKCS#8 text of a signer gives a signer with the same key."""
    signer = LocalSigner.generate(algorithm)
    assert signer.private_pem().startswith(b"-----BEGIN PRIVATE KEY-----\n")
    assert LocalSigner.from_private_pem(signer.private_pem()).public_key == signer.public_key


def _spki(key: rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey) -> bytes:
    return key.public_key().public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)


@pytest.mark.parametrize(
    "text",
    [
        b"",
        b"-----BEGIN PUBLIC KEY-----\nMCow\n-----END PUBLIC KEY-----\n",
        _spki(rsa.generate_private_key(65537, 2048)),
        _spki(ec.generate_private_key(ec.SECP384R1())),
        LocalSigner.generate("ed25519").private_pem(),
        b"\xff" * 200,
    ],
    ids=["empty", "cut", "rsa", "p384", "private", "bytes"],
)
def test_other_texts_are_no_public_key(text: bytes) -> None:
    """A broken text, a private key, or a key of another kind is refused as input, with what to use instead."""
    with pytest.raises(InvalidInput, match="key") as caught:
        PublicKey.from_pem(text)
    assert "P-256" in caught.value.next_step


def test_the_text_of_a_key_is_bounded() -> None:
    """A text above the limit is refused for its length, before anything parses it."""
    for read in (PublicKey.from_pem, PublicKey.from_spki_der, LocalSigner.from_private_pem):
        with pytest.raises(InvalidInput, match="more than 16384 bytes"):
            read(b"A" * 16385)


def test_der_must_be_the_usual_one() -> None:
    """A key with a compressed point, or broken or trailing bytes, is refused, so that a key has one key id."""
    key = ec.generate_private_key(ec.SECP256R1()).public_key()
    point = key.public_bytes(serialization.Encoding.X962, serialization.PublicFormat.CompressedPoint)
    whole = key.public_bytes(serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo)
    compressed = bytes.fromhex("3039301306072a8648ce3d020106082a8648ce3d030107032200") + point
    assert len(compressed) == 0x39 + 2
    for der in (compressed, whole + b"\0", whole[:-1], b""):
        with pytest.raises(InvalidInput):
            PublicKey.from_spki_der(der)


def test_a_broken_private_key_is_never_quoted() -> None:
    """The message about a broken private key holds nothing of its text, and neither does the signer's repr."""
    secret = LocalSigner.generate("ecdsa-p256").private_pem()
    broken = secret.replace(b"\n", b"\n#", 2)
    with pytest.raises(InvalidInput) as caught:
        LocalSigner.from_private_pem(broken)
    assert caught.value.__cause__ is None
    assert secret.splitlines()[1].decode()[:16] not in repr(caught.value) + caught.value.next_step
    signer = LocalSigner.from_private_pem(secret)
    assert repr(signer) == f"LocalSigner(algorithm='ecdsa-p256', key_id='{signer.key_id}')"


def test_a_private_key_of_another_kind_is_refused() -> None:
    """RSA keys and other curves cannot become signers, nor can an encrypted text."""
    rsa_key, curve = rsa.generate_private_key(65537, 2048), ec.generate_private_key(ec.SECP384R1())
    pem, pkcs8 = serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8
    for text in (
        rsa_key.private_bytes(pem, pkcs8, serialization.NoEncryption()),
        curve.private_bytes(pem, pkcs8, serialization.NoEncryption()),
        curve.private_bytes(pem, pkcs8, serialization.BestAvailableEncryption(b"x")),
    ):
        with pytest.raises(InvalidInput, match=r"private key|The key"):
            LocalSigner.from_private_pem(text)


def _flip(data: bytes, bit: int) -> bytes:
    position = bit % (len(data) * 8)
    changed = bytearray(data)
    changed[position // 8] ^= 1 << position % 8
    return bytes(changed)
