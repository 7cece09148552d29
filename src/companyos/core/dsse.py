"""DSSE v1, the Dead Simple Signing Envelope: bytes, what they are, and who signed both.

Rules: https://github.com/secure-systems-lab/dsse (``protocol.md``, ``envelope.md``). What is signed is the
pre-authentication encoding ``PAE``, so a signature over one type of payload can never pass for another.
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Iterable, Iterator
from typing import Final

import msgspec

from companyos.core import canonical, documents
from companyos.core.errors import InvalidInput
from companyos.core.signing import BadSignature, PublicKey, Signer

MAX_ENVELOPE_BYTES: Final = 32 * 1024 * 1024
"""How long the JSON of an envelope may be unless the caller says otherwise."""

MAX_SIGNATURES: Final = 16
"""How many signatures an envelope may carry; each may cost one check per accepted key."""

MAX_PAYLOAD_TYPE_BYTES: Final = 256
"""How long a payload type may be."""

_MAX_DEPTH: Final = 8


class Signature(msgspec.Struct, frozen=True, kw_only=True):
    """One signature over the PAE of an envelope."""

    sig: bytes
    keyid: str = ""
    """A hint on which key to try first; it proves nothing, and may be empty."""


class Envelope(msgspec.Struct, frozen=True, kw_only=True):
    """A payload with its type and the signatures over both; nothing is verified until ``verify`` says so."""

    payload: bytes
    payload_type: str
    signatures: tuple[Signature, ...]


class _WireSignature(msgspec.Struct, frozen=True):
    sig: str
    keyid: str | None = None


class _WireEnvelope(msgspec.Struct, frozen=True, rename="camel"):
    payload: str
    payload_type: str
    signatures: list[_WireSignature]


def pae(payload: bytes, payload_type: str) -> bytes:
    """Return the bytes that are signed: ``DSSEv1 <length> <type> <length> <payload>``, lengths in bytes, in decimal."""
    kind = payload_type.encode("utf-8")
    return b"DSSEv1 %d %b %d %b" % (len(kind), kind, len(payload), payload)


def sign(payload: bytes, payload_type: str, signer: Signer) -> Envelope:
    """Return the payload in an envelope with one signature. Raises InvalidInput for an unusable type."""
    _check_payload_type(payload_type)
    signature = Signature(sig=signer.sign(pae(payload, payload_type)), keyid=signer.key_id)
    return Envelope(payload=payload, payload_type=payload_type, signatures=(signature,))


def verify(envelope: Envelope, keys: Iterable[PublicKey], payload_type: str) -> bytes:
    """Return the payload if it is of this type and at least one of these keys signed it; raise BadSignature otherwise.

    Which keys count is for the caller to say (purpose, window); key ids in the envelope only say what to try first.
    Raises InvalidInput, before any check, for an envelope with no signature or more than ``MAX_SIGNATURES``.
    """
    if envelope.payload_type != payload_type:
        raise BadSignature(
            f"The envelope holds {envelope.payload_type[:100]!r} where {payload_type!r} is expected.",
            next_step="Give the envelope that was made for this.",
        )
    if next(signers(envelope, keys), None) is None:
        named = ", ".join(sorted({signature.keyid[:16] for signature in envelope.signatures if signature.keyid}))
        raise BadSignature(
            f"No accepted key signed the envelope; its signatures name {named or 'no key'}.",
            next_step="Check that it was not changed, and that the signer's key is published and was valid.",
        )
    return envelope.payload


def signers(envelope: Envelope, keys: Iterable[PublicKey]) -> Iterator[PublicKey]:
    """Yield those of the keys that signed the envelope, each once. Raises InvalidInput above ``MAX_SIGNATURES``."""
    _check_count(len(envelope.signatures))
    signed = pae(envelope.payload, envelope.payload_type)
    waiting = list(dict.fromkeys(keys))
    for signature in envelope.signatures:
        for key in sorted(waiting, key=lambda key: key.key_id != signature.keyid):
            if _holds(key, signature.sig, signed):
                waiting.remove(key)
                yield key
                break


def encode(envelope: Envelope) -> bytes:
    """Return the envelope as canonical JSON with standard base64."""
    return canonical.dumps(
        {
            "payload": base64.b64encode(envelope.payload).decode("ascii"),
            "payloadType": envelope.payload_type,
            "signatures": [
                {"keyid": signature.keyid, "sig": base64.b64encode(signature.sig).decode("ascii")}
                for signature in envelope.signatures
            ],
        }
    )


def decode(data: bytes, *, max_bytes: int = MAX_ENVELOPE_BYTES) -> Envelope:
    """Return the envelope in a JSON text; unknown fields are ignored and both base64 alphabets read, as the rules say.

    Raises InvalidInput that names the field, or TooLarge above ``max_bytes``. Nothing is verified yet.
    """
    value = canonical.loads(data, max_bytes=max_bytes, max_depth=_MAX_DEPTH)
    wire = documents.decode(value, _WireEnvelope, where="The DSSE envelope")
    _check_payload_type(wire.payload_type)
    _check_count(len(wire.signatures))
    return Envelope(
        payload=_base64(wire.payload, "payload"),
        payload_type=wire.payload_type,
        signatures=tuple(
            Signature(sig=_base64(signature.sig, f"signatures[{index}].sig"), keyid=signature.keyid or "")
            for index, signature in enumerate(wire.signatures)
        ),
    )


def _holds(key: PublicKey, signature: bytes, signed: bytes) -> bool:
    try:
        key.verify(signature, signed)
    except BadSignature:
        return False
    return True


def _base64(text: str, field: str) -> bytes:
    """Return what a text in standard or URL-safe base64 stands for; padding and unused bits must be as they should."""
    alphabet = text.replace("-", "+").replace("_", "/") if "-" in text or "_" in text else text
    try:
        data = binascii.a2b_base64(alphabet, strict_mode=True)
    except (binascii.Error, ValueError):
        data = b""
    if base64.b64encode(data).decode("ascii") != alphabet:
        raise InvalidInput(
            f"The field {field} of the envelope is not base64.", next_step="Encode it with padding.", field=field
        )
    return data


def _check_payload_type(payload_type: str) -> None:
    if not payload_type or len(payload_type.encode("utf-8", "replace")) > MAX_PAYLOAD_TYPE_BYTES:
        raise InvalidInput(
            f"A payload type has 1 to {MAX_PAYLOAD_TYPE_BYTES} bytes.",
            next_step="Use a media type, such as application/vnd.in-toto+json.",
            field="payloadType",
        )


def _check_count(count: int) -> None:
    if not 1 <= count <= MAX_SIGNATURES:
        raise InvalidInput(
            f"The envelope has {count} signatures; it may have 1 to {MAX_SIGNATURES}.",
            next_step="Sign it, or remove signatures that nobody checks.",
            field="signatures",
        )
