"""`.signatures.json`: OPA's signature over the files of a bundle, with ES256 and no other algorithm.

The form is OPA's (openpolicyagent.org/docs/management-bundles, section Signature Format): one JWS in compact form
(RFC 7515) whose payload lists every file with its SHA-256. ``scope`` is the stage. ``iat`` and ``rollback_from`` are
ours; OPA passes over claims that it does not know.
"""

from __future__ import annotations

import base64
import hashlib
import re
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any, Final, Protocol, TypeVar

import msgspec
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature, encode_dss_signature

from companyos_sdk.bundle import strict_json
from companyos_sdk.bundle.errors import BundleError
from companyos_sdk.bundle.limits import MAX_SMALL_FILE
from companyos_sdk.bundle.metadata import SIGNATURES, STAGES, UNSIGNED_FILES, VERSION, Stage
from companyos_sdk.bundle.trust import TrustRoots

ALGORITHM: Final = "ES256"
"""RFC 7518 §3.4: ECDSA on P-256 with SHA-256."""
CLOCK_SKEW: Final = timedelta(minutes=5)
"""How far ahead of ours the clock of who signs may be."""

_Kind = TypeVar("_Kind")
_HASH: Final = "SHA-256"
_COORDINATE: Final = 32
"""Bytes of each half of an ES256 signature."""
_HEX: Final = re.compile(r"[0-9a-f]{64}")
_TOKEN: Final = re.compile(r"[A-Za-z0-9_-]{1,4000}\.[A-Za-z0-9_-]+\.[A-Za-z0-9_-]{86}")
_SIGN: Final = "Have it signed again: `companyos policy sign`."


class Signer(Protocol):
    """What signs for one stage, wherever its private key is kept."""

    @property
    def key_id(self) -> str:
        """What whoever trusts the key calls it."""
        ...

    def sign(self, data: bytes, /) -> bytes:
        """The ECDSA signature over SHA-256 of the data, in DER."""
        ...


class Signed(msgspec.Struct, frozen=True, kw_only=True):
    """What a signature that holds says."""

    files: dict[str, str]
    """SHA-256 in lower-case hexadecimal, by path."""
    key_id: str
    signed_at: datetime
    rollback_from: str | None
    """The version that this signature allows to go back from; None for every bundle that goes forward."""


class _File(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    name: str
    hash: str
    algorithm: str


class _Payload(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    files: tuple[_File, ...]
    scope: str
    keyid: str
    iat: int
    rollback_from: str | None = None


class _Header(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    alg: str
    kid: str


def sign(
    files: Mapping[str, bytes], signer: Signer, stage: Stage, *, now: datetime, rollback_from: str | None = None
) -> bytes:
    """The `.signatures.json` for these files, for one stage.

    ``rollback_from`` is for the one way back: whoever has exactly that version active may take this older one.
    """
    if stage not in STAGES:
        raise BundleError("bad-source", f"{stage!r} is no stage.", f"Use one of {', '.join(STAGES)}.")
    listed = [
        {"name": path, "hash": hashlib.sha256(files[path]).hexdigest(), "algorithm": _HASH}
        for path in sorted(files)
        if path not in UNSIGNED_FILES
    ]
    payload = {"files": listed, "scope": stage, "keyid": signer.key_id, "iat": int(now.timestamp())}
    if rollback_from is not None:
        payload["rollback_from"] = rollback_from
    header = {"alg": ALGORITHM, "kid": signer.key_id}
    text = _encode(strict_json.dumps(header)) + b"." + _encode(strict_json.dumps(payload))
    r, s = decode_dss_signature(signer.sign(text))
    token = text + b"." + _encode(r.to_bytes(_COORDINATE, "big") + s.to_bytes(_COORDINATE, "big"))
    return strict_json.dumps({"signatures": [token.decode()]})


def verify(found: bytes | None, trust: TrustRoots, stage: Stage, now: datetime) -> Signed:
    """What the signature in a `.signatures.json` says, once it holds for the stage.

    Raises BundleError(unsigned, bad-signature, unknown-key, expired-key, other-stage). The header of the signature
    selects among the configured keys of the stage and decides nothing else.
    """
    token = _token(found)
    text, _, raw = token.rpartition(".")
    head, _, body = text.partition(".")
    header = _convert(_decode(head), _Header, "header")
    if header.alg != ALGORITHM:
        raise _bad(f"it is made with {header.alg[:20]!r} instead of {ALGORITHM}")
    key = trust.key(stage, header.kid, now)
    signature = _decode(raw)
    r, s = (int.from_bytes(half, "big") for half in (signature[:_COORDINATE], signature[_COORDINATE:]))
    try:
        key.verify(encode_dss_signature(r, s), text.encode(), ec.ECDSA(hashes.SHA256()))
    except InvalidSignature:
        raise _bad(f"it was not made with the key {header.kid[:80]!r} over this list of files") from None
    payload = _convert(_decode(body), _Payload, "payload")
    return _signed(payload, header.kid, stage, now)


def check_files(files: Mapping[str, bytes], signed: Signed) -> None:
    """Raise BundleError where the files are not exactly those that were signed."""
    here = set(files) - UNSIGNED_FILES
    for path in sorted(set(signed.files) - here):
        raise BundleError("missing-file", f"{path} was signed and is not in the bundle.", "Fetch the bundle again.")
    for path in sorted(here - set(signed.files)):
        raise BundleError("extra-file", f"{path} is in the bundle and was not signed.", "Fetch the bundle again.")
    for path in sorted(here):
        if hashlib.sha256(files[path]).hexdigest() != signed.files[path]:
            raise BundleError("changed-file", f"{path} is not what was signed.", "Fetch the bundle again.")


def _signed(payload: _Payload, key_id: str, stage: Stage, now: datetime) -> Signed:
    if payload.scope != stage:
        raise BundleError(
            "other-stage",
            f"The bundle is signed for {payload.scope[:20]!r} and would decide in {stage}.",
            f"Promote it to {stage}.",
        )
    if payload.keyid != key_id:
        raise _bad("its header and its payload name different keys")
    if payload.rollback_from is not None and VERSION.fullmatch(payload.rollback_from) is None:
        raise _bad("what it takes back is no version")
    listed = {one.name: one.hash for one in payload.files}
    if len(listed) != len(payload.files):
        raise BundleError("duplicate-file", "The signature lists a file twice.", _SIGN)
    if not all(one.algorithm == _HASH and _HEX.fullmatch(one.hash) for one in payload.files):
        raise _bad(f"a hash in it is not one of {_HASH}")
    if listed.keys() & UNSIGNED_FILES:
        raise _bad("it lists itself")
    try:
        signed_at = datetime.fromtimestamp(payload.iat, UTC)
    except (ValueError, OverflowError, OSError):
        raise _bad("its time is none") from None
    if signed_at > now + CLOCK_SKEW:
        raise _bad(f"it is of {signed_at.isoformat()}, which is still to come")
    return Signed(files=listed, key_id=key_id, signed_at=signed_at, rollback_from=payload.rollback_from)


def _token(found: bytes | None) -> str:
    if found is None:
        raise BundleError("unsigned", f"The bundle has no {SIGNATURES}.", "Have it signed: `companyos policy sign`.")
    if len(found) > MAX_SMALL_FILE:
        raise BundleError("too-large", f"{SIGNATURES} has more than {MAX_SMALL_FILE} bytes.", _SIGN)
    document = _json(found, "file")
    tokens = document.get("signatures") if isinstance(document, dict) else None
    if not isinstance(tokens, list):
        raise _bad("the file has no list of signatures")
    if not tokens:
        raise BundleError("unsigned", f"{SIGNATURES} holds no signature.", "Have it signed: `companyos policy sign`.")
    token = tokens[0]
    if len(tokens) > 1 or len(document) > 1 or not isinstance(token, str) or _TOKEN.fullmatch(token) is None:
        raise _bad("the file holds something else than exactly one signature in compact form")
    return token


def _convert(data: bytes, kind: type[_Kind], what: str) -> _Kind:
    try:
        return msgspec.convert(_json(data, what), kind)
    except msgspec.ValidationError as fault:
        raise _bad(f"its {what} is not one of ours: {str(fault)[:160]}") from None


def _json(data: bytes, what: str) -> Any:  # noqa: ANN401 - a JSON value
    try:
        return strict_json.loads(data, what)
    except BundleError as fault:
        raise _bad(f"its {what} is not what we write: {fault.sentence}") from None


def _encode(data: bytes) -> bytes:
    return base64.urlsafe_b64encode(data).rstrip(b"=")


def _decode(text: str) -> bytes:
    """The bytes in base64url; refused where another text stands for the same bytes (RFC 4648 §3.5)."""
    try:
        data = base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))
    except ValueError:
        raise _bad("a part of it is no base64url") from None
    if _encode(data).decode() != text:
        raise _bad("a part of it is no base64url as it is written")
    return data


def _bad(what: str) -> BundleError:
    return BundleError("bad-signature", f"The signature of the bundle does not hold: {what}.", _SIGN)
