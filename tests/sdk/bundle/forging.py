"""What forgers have: keys of their own, any archive, and any text where a signature should be."""

from __future__ import annotations

import base64
import gzip
import json
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime, timedelta
from types import MappingProxyType
from typing import Any

import msgspec
import pytest
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from companyos_sdk.bundle import (
    CODES,
    MANIFEST,
    SIGNATURES,
    Bundle,
    BundleError,
    Stage,
    TrustedKey,
    TrustRoots,
    open_bundle,
    pack,
    restage,
    sign,
)
from companyos_sdk.bundle import tarball as writer
from companyos_sdk.bundle.metadata import checksum, manifest, read_manifest
from tests.policy import bundles

NOW = datetime(2026, 11, 28, 12, 0, tzinfo=UTC)
RULES = {"read": bundles.ALLOW}


class Key:
    """A P-256 key that signs."""

    def __init__(self, key_id: str, curve: ec.EllipticCurve | None = None) -> None:
        self.private = ec.generate_private_key(curve or ec.SECP256R1())
        self.key_id = key_id

    def sign(self, data: bytes, /) -> bytes:
        """The signature in DER."""
        return self.private.sign(data, ec.ECDSA(hashes.SHA256()))

    @property
    def pem(self) -> str:
        """The public half."""
        return self.private.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo).decode()

    def trusted(self, not_before: datetime = NOW - timedelta(days=30), not_after: datetime | None = None) -> TrustedKey:
        """The public half as it is configured."""
        return TrustedKey(self.pem, self.key_id, not_before, not_after)


DEV, STAGING, PROD, STRANGER = Key("dev-1"), Key("staging-1"), Key("prod-1"), Key("stranger")
TRUST = TrustRoots({"dev": (DEV.trusted(),), "staging": (STAGING.trusted(),), "prod": (PROD.trusted(),)})


def files(version: str = "1.0.0", stage: Stage = "prod", **more: Any) -> dict[str, bytes]:
    """The files of a good bundle, without signature."""
    return restage(bundles.files(RULES, version, **more), stage)


def signed(
    found: Mapping[str, bytes], *, key: Key = PROD, stage: Stage = "prod", now: datetime = NOW
) -> dict[str, bytes]:
    """These files with a signature over them, whatever they are."""
    return {**found, SIGNATURES: sign(found, key, stage, now=now)}


def good(version: str = "1.0.0", **more: Any) -> bytes:
    """A bundle that every check lets through."""
    return pack(signed(files(version), **more))


def opened(data: bytes, **more: Any) -> Bundle:
    """What a decider of prod does with bytes that it fetched."""
    return open_bundle(data, TRUST, "prod", **{"now": NOW, **more})


def token(header: Any, payload: Any, key: Key = PROD) -> str:
    """A JWS over any header and payload."""
    text = b".".join(encoded(part if isinstance(part, bytes) else compact(part)) for part in (header, payload))
    der = key.sign(text)
    r, s = decode_dss_signature(der)
    return (text + b"." + encoded(r.to_bytes(32, "big") + s.to_bytes(32, "big"))).decode()


def claims(found: Mapping[str, bytes], **more: Any) -> tuple[dict[str, Any], dict[str, Any]]:
    """The header and the payload that a good signature over these files has, with changes."""
    text = json.loads(sign(found, PROD, "prod", now=NOW))["signatures"][0]
    header, payload = (json.loads(decoded(part)) for part in text.split(".")[:2])
    return header, {**payload, **more}


def with_token(found: Mapping[str, bytes], text: str) -> bytes:
    """The files with this as their signature."""
    return pack({**found, SIGNATURES: compact({"signatures": [text]})})


def compact(value: Any) -> bytes:
    """JSON as a bundle has it."""
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode()


def encoded(data: bytes) -> bytes:
    """Base64url without padding."""
    return base64.urlsafe_b64encode(data).rstrip(b"=")


def decoded(text: str) -> bytes:
    """The other way."""
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))


def header(path: str, size: int = 0, changes: Mapping[str, bytes] = MappingProxyType({})) -> bytes:
    """A header as bundles have it; ``kind`` and ``name`` replace a field of it, with the checksum made anew."""
    made = bytearray(writer._header(path, size))  # noqa: SLF001 - the forger knows how it is done
    if "kind" in changes:
        made[156:157] = changes["kind"]
    if "name" in changes:
        made[:100] = changes["name"].ljust(100, b"\0")
    if "uid" in changes:
        made[108:116] = changes["uid"]
    made[148:156] = b" " * 8
    made[148:156] = f"{sum(made):06o}".encode() + b"\0 "
    return bytes(made)


def blocks(entries: Iterable[tuple[str, bytes]]) -> bytes:
    """Files as they stand in an archive, in this order."""
    return b"".join(header(path, len(data)) + data + bytes(-len(data) % 512) for path, data in entries)


END = bytes(1024)


def gzipped(archive: bytes) -> bytes:
    """The archive packed, with the header that bundles have."""
    return b"\x1f\x8b\x08\0\0\0\0\0\x02\xff" + gzip.compress(archive, 9, mtime=0)[10:]


def resealed(changes: Mapping[str, bytes]) -> bytes:
    """A bundle whose files were changed before its checksum was made and it was signed."""
    found = {**files(), **changes}
    about, roots = read_manifest(found[MANIFEST])
    found[MANIFEST] = manifest(msgspec.structs.replace(about, checksum=checksum(about, found)), roots)
    return pack(signed(found))


def refusal(data: bytes, **more: Any) -> BundleError:
    """Why the bytes are refused; the sentence and the next step are there for people."""
    with pytest.raises(BundleError) as caught:
        opened(data, **more)
    assert caught.value.code in CODES
    assert caught.value.sentence.endswith(".")
    assert caught.value.next_step.endswith((".", "`", "._-"))
    return caught.value
