"""Signatures that are not from who may sign, or not over what is in the bundle."""

from __future__ import annotations

import hashlib
import hmac
import json
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric import ec, ed25519
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from companyos_sdk.bundle import MANIFEST, SIGNATURES, BundleError, TrustedKey, TrustRoots, open_bundle, pack
from tests.sdk.bundle.forging import (
    DEV,
    NOW,
    PROD,
    STRANGER,
    Key,
    claims,
    compact,
    encoded,
    files,
    good,
    refusal,
    signed,
    token,
    with_token,
)

REGO = "companyos/documents/policy.rego"
FILES = files()
LISTED = signed(FILES)[SIGNATURES]
TOKEN: str = json.loads(LISTED)["signatures"][0]


def beside(data: bytes) -> Callable[[], bytes]:
    """The files with this as their `.signatures.json`."""
    return lambda: pack({**FILES, SIGNATURES: data})


def under(
    header: dict[str, Any] | None = None, *, key: Key = PROD, drop: tuple[str, ...] = (), **payload: Any
) -> Callable[[], bytes]:
    """A bundle under a signature whose header and payload were changed before they were signed."""

    def made() -> bytes:
        head, body = claims(FILES, **payload)
        kept = {name: value for name, value in head.items() if name not in drop}
        return with_token(FILES, token(kept | (header or {}), body, key))

    return made


def listing(**changes: str) -> Callable[[], bytes]:
    """A signature whose every file is listed with these changes."""
    _, body = claims(FILES)
    return under(files=[{**one, **changes} for one in body["files"]])


def listing_twice() -> bytes:
    """A signature that lists a file a second time, with another hash."""
    _, body = claims(FILES)
    return under(files=[*body["files"], {**body["files"][0], "hash": "0" * 64}])()


def listing_itself() -> bytes:
    """A signature that lists the file it stands in."""
    _, body = claims(FILES)
    return under(files=[*body["files"], {"name": SIGNATURES, "hash": "0" * 64, "algorithm": "SHA-256"}])()


def without_algorithm() -> bytes:
    """The algorithm `none`, which once needed no signature."""
    head, body = claims(FILES)
    text = b".".join(encoded(compact(part)) for part in (head | {"alg": "none"}, body)).decode()
    return with_token(FILES, f"{text}.{'A' * 86}")


def confused() -> bytes:
    """HS256 with the public key as the secret, which everybody knows."""
    head, body = claims(FILES)
    text = b".".join(encoded(compact(part)) for part in (head | {"alg": "HS256"}, body))
    mac = hmac.new(PROD.pem.encode(), text, hashlib.sha256).digest()
    return with_token(FILES, (text + b"." + encoded(mac + bytes(32))).decode())


def changed(path: str, data: bytes) -> Callable[[], bytes]:
    """A bundle of which one file was changed, or put in, after it was signed."""
    return lambda: pack({**signed(FILES), path: data})


def without(path: str) -> Callable[[], bytes]:
    """A bundle of which one file was taken away after it was signed."""
    return lambda: pack({name: data for name, data in signed(FILES).items() if name != path})


CASES: dict[str, tuple[str, Callable[[], bytes]]] = {
    "no signature": ("unsigned", lambda: pack(FILES)),
    "an empty list": ("unsigned", beside(compact({"signatures": []}))),
    "no JSON": ("bad-signature", beside(b"{")),
    "no list": ("bad-signature", beside(compact({"signatures": TOKEN}))),
    "no object": ("bad-signature", beside(compact([TOKEN]))),
    "a plugin": ("bad-signature", beside(compact({"plugin": "own", "signatures": [TOKEN]}))),
    "two signatures": ("bad-signature", beside(compact({"signatures": [TOKEN, TOKEN]}))),
    "a key twice": ("bad-signature", beside(b'{"signatures":[],' + LISTED[1:])),
    "white space": ("bad-signature", beside(LISTED + b"\n")),
    "two parts": ("bad-signature", lambda: with_token(FILES, TOKEN.rsplit(".", 1)[0])),
    "four parts": ("bad-signature", lambda: with_token(FILES, TOKEN + ".AAAA")),
    "no base64url": ("bad-signature", lambda: with_token(FILES, "+" + TOKEN)),
    "another text for the same bytes": ("bad-signature", lambda: with_token(FILES, TOKEN[:-1] + _sibling(TOKEN[-1]))),
    "all zeros": ("bad-signature", lambda: with_token(FILES, TOKEN[:-86] + "A" * 86)),
    "a file beyond the limit": ("too-large", beside(b" " * 1_100_000)),
    "a stranger under our name": ("bad-signature", under(key=STRANGER)),
    "a stranger": ("unknown-key", lambda: pack(signed(FILES, key=STRANGER))),
    "the key of another stage": ("unknown-key", lambda: pack(signed(FILES, key=DEV))),
    "the key of another stage under our name": ("bad-signature", under(key=DEV)),
    "no key id": ("bad-signature", under(drop=("kid",))),
    "a key id that is no text": ("bad-signature", under({"kid": 1})),
    "a key in the header": ("bad-signature", under({"jwk": {"kty": "EC"}})),
    "an address of a key in the header": ("bad-signature", under({"jku": "https://example.org"})),
    "something critical in the header": ("bad-signature", under({"crit": ["exp"], "exp": 1})),
    "no algorithm": ("bad-signature", under(drop=("alg",))),
    "the algorithm none": ("bad-signature", without_algorithm),
    "the public key as a secret": ("bad-signature", confused),
    "another algorithm": ("bad-signature", under({"alg": "ES384"})),
    "another stage": ("other-stage", under(scope="dev")),
    "no stage": ("other-stage", under(scope="")),
    "a stage that is no text": ("bad-signature", under(scope=None)),
    "two key ids": ("bad-signature", under(keyid="dev-1")),
    "tomorrow": ("bad-signature", under(iat=int((NOW + timedelta(days=1)).timestamp()))),
    "a time beyond all": ("bad-signature", under(iat=10**17)),
    "a time that is no number": ("bad-signature", under(iat="now")),
    "a claim of its own": ("bad-signature", under(trusted=True)),
    "a rollback from what is no version": ("bad-signature", under(rollback_from="all")),
    "a weak hash": ("bad-signature", listing(algorithm="MD5")),
    "a short hash": ("bad-signature", listing(hash="00")),
    "a hash in capitals": ("bad-signature", listing(hash="A" * 64)),
    "a file listed twice": ("duplicate-file", listing_twice),
    "itself listed": ("bad-signature", listing_itself),
    "a changed policy": ("changed-file", changed(REGO, b"package companyos.documents\nallow := true\n")),
    "a changed plan": ("changed-file", changed("plan.json", FILES["plan.json"].replace(b"rules", b"ruled"))),
    "changed data": ("changed-file", changed("data.json", b"{}")),
    "a changed manifest": ("changed-file", changed(MANIFEST, files("9.9.9")[MANIFEST])),
    "one more policy": ("extra-file", changed("companyos/documents/more.rego", b"package companyos.documents\n")),
    "one more file": ("extra-file", changed("data.yaml", b"{}")),
    "one more list of signatures": ("extra-file", changed("companyos/signatures.json", LISTED)),
    "no policy": ("missing-file", without(REGO)),
    "no plan": ("missing-file", without("plan.json")),
    "no data": ("missing-file", without("data.json")),
    "no manifest": ("missing-file", without(MANIFEST)),
}


def _sibling(last: str) -> str:
    """The other last letter that a decoder which is not strict takes for the same bytes."""
    letters = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
    return letters[letters.index(last) ^ 1]


@pytest.mark.parametrize("name", CASES)
def test_a_bundle_without_the_right_signature_never_opens(name: str) -> None:
    """It is refused with the word for its fault, so that whoever reads the log knows what happened."""
    code, data = CASES[name]
    assert refusal(data()).code == code


def test_a_key_whose_time_is_over_signs_nothing() -> None:
    """Its window is held against the present, because a stolen key can date its signatures back."""
    trust = TrustRoots({"prod": (PROD.trusted(not_after=NOW),)})
    assert open_bundle(good(), trust, "prod", now=NOW - timedelta(seconds=1)).key_id == "prod-1"
    with pytest.raises(BundleError) as caught:
        open_bundle(good(), trust, "prod", now=NOW)
    assert caught.value.code == "expired-key"


def test_a_key_whose_time_has_not_come_signs_nothing() -> None:
    """A new key is configured before it signs."""
    trust = TrustRoots({"prod": (PROD.trusted(not_before=NOW + timedelta(hours=1)),)})
    with pytest.raises(BundleError) as caught:
        open_bundle(good(), trust, "prod", now=NOW)
    assert caught.value.code == "expired-key"


def test_a_stage_without_keys_opens_nothing() -> None:
    """Having no keys is not the same as needing none."""
    with pytest.raises(BundleError) as caught:
        open_bundle(good(), TrustRoots({"dev": (DEV.trusted(),)}), "prod", now=NOW)
    assert caught.value.code == "unknown-key"


def test_two_keys_overlap_while_one_takes_the_place_of_the_other() -> None:
    """Bundles of both open until the window of the old one ends."""
    new = Key("prod-2")
    trust = TrustRoots({"prod": (PROD.trusted(not_after=NOW + timedelta(days=1)), new.trusted(NOW))})
    assert open_bundle(good(), trust, "prod", now=NOW).key_id == "prod-1"
    assert open_bundle(good(key=new), trust, "prod", now=NOW).key_id == "prod-2"
    with pytest.raises(BundleError) as caught:
        open_bundle(good(), trust, "prod", now=NOW + timedelta(days=1))
    assert caught.value.code == "expired-key"


def _key(pem: str, key_id: str = "k", not_before: datetime = NOW) -> TrustedKey:
    return TrustedKey(pem, key_id, not_before)


EDWARDS = ed25519.Ed25519PrivateKey.generate().public_key()
BAD_TRUST: dict[str, Callable[[], TrustRoots]] = {
    "no PEM": lambda: TrustRoots({"prod": (_key("prod"),)}),
    "another curve": lambda: TrustRoots({"prod": (Key("k", ec.SECP384R1()).trusted(),)}),
    "another kind of key": lambda: TrustRoots(
        {"prod": (_key(EDWARDS.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo).decode()),)}
    ),
    "one key for two stages": lambda: TrustRoots({"dev": (PROD.trusted(),), "prod": (PROD.trusted(),)}),
    "two keys of one name": lambda: TrustRoots({"prod": (_key(PROD.pem), _key(STRANGER.pem))}),
    "a key without name": lambda: TrustRoots({"prod": (_key(PROD.pem, ""),)}),
    "a moment without time zone": lambda: TrustRoots({"prod": (_key(PROD.pem, not_before=NOW.replace(tzinfo=None)),)}),
    "a stage that is none": lambda: TrustRoots({"test": (PROD.trusted(),)}),  # type: ignore[dict-item] # that is the test
}


@pytest.mark.parametrize("name", BAD_TRUST)
def test_keys_that_cannot_be_trusted_are_refused_when_they_are_configured(name: str) -> None:
    """Not first when a bundle comes."""
    with pytest.raises(BundleError) as caught:
        BAD_TRUST[name]()
    assert caught.value.code == "bad-trust"
