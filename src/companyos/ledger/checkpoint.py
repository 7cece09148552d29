"""Checkpoints: the size and the root of the tree in one signed text (C2SP tlog-checkpoint in a C2SP signed-note).

    companyos.local/ledger
    20852163
    CsUYapGGPo4dkMgIAUqom/Xajj7h2fB2MPA3j2jxq2I=

    — companyos.local/ledger Az3grlgtzPICa5OS…

Ed25519 signs the text up to and including the newline before the empty line. The name of the key is the origin.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import re
from collections.abc import Iterable
from functools import lru_cache
from typing import Final

import msgspec

from companyos.core.errors import IntegrityFault, InvalidInput
from companyos.core.signing import BadSignature, PublicKey, Signer
from companyos.ledger.merkle import HASH_BYTES

MAX_CHARACTERS: Final = 16 * 1024
"""How long a checkpoint may be; room for the 16 signatures that a reader must accept, with names of 200 characters."""

MAX_SIGNATURES: Final = 32
MAX_SIZE: Final = 2**63 - 1

_ED25519: Final = b"\x01"
_KEY_ID_BYTES: Final = 4
_SPKI_PREFIX: Final = bytes.fromhex("302a300506032b6570032100")
"""What stands before the 32 bytes of an Ed25519 key in its SubjectPublicKeyInfo (RFC 8410 §4)."""
_NAME: Final = re.compile(r"[^\s+]{1,200}")
_SIZE: Final = re.compile(r"0|[1-9][0-9]{0,18}")
_NEXT_STEP: Final = "Use a checkpoint as `companyos ledger prove` and GET /api/ledger/checkpoint print it."


class Checkpoint(msgspec.Struct, frozen=True):
    """What a checkpoint says."""

    origin: str
    size: int
    """How many records the tree covers."""
    root: bytes
    """The root hash over them, 32 bytes."""

    def text(self) -> str:
        """Return the text that is signed."""
        return f"{self.origin}\n{self.size}\n{base64.b64encode(self.root).decode()}\n"


class NoteSignature(msgspec.Struct, frozen=True):
    """One signature line of a note."""

    name: str
    key_id: bytes
    signature: bytes


class SignedCheckpoint(msgspec.Struct, frozen=True):
    """A checkpoint that was parsed; nothing about its signatures is known yet."""

    checkpoint: Checkpoint
    text: str
    """The signed text as it came, extension lines included."""
    signatures: tuple[NoteSignature, ...]


def sign(checkpoint: Checkpoint, signer: Signer) -> str:
    """Return the checkpoint as a note that is signed under the name of its origin."""
    text = checkpoint.text()
    line = base64.b64encode(note_key_id(checkpoint.origin, signer.public_key) + signer.sign(text.encode())).decode()
    return f"{text}\n— {checkpoint.origin} {line}\n"


def parse(note: str) -> SignedCheckpoint:
    """Return what a note says, unverified. Raises InvalidInput unless it is a checkpoint to the letter."""
    if len(note) > MAX_CHARACTERS:
        raise _refused(f"has more than {MAX_CHARACTERS} characters")
    if any(character < " " and character != "\n" for character in note):
        raise _refused("has a control character")
    text, separator, lines = note.rpartition("\n\n")
    if not separator or not lines.endswith("\n"):
        raise _refused("does not end in signature lines behind an empty line")
    body = text.split("\n")
    if len(body) < 3 or not all(body):  # noqa: PLR2004 - origin, size and root
        raise _refused("lacks its origin, size or root")
    origin, size, root = body[:3]
    if not _NAME.fullmatch(origin):
        raise _refused("has an origin of more than 200 characters, or one with a space or a plus sign")
    if not _SIZE.fullmatch(size) or int(size) > MAX_SIZE:
        raise _refused("has a size that is not a plain decimal number")
    signatures = tuple(_signature(line) for line in lines[:-1].split("\n")[: MAX_SIGNATURES + 1])
    if len(signatures) > MAX_SIGNATURES:
        raise _refused(f"has more than {MAX_SIGNATURES} signatures")
    hash_ = _base64(root, "a root")
    if len(hash_) != HASH_BYTES:
        raise _refused(f"has a root of {len(hash_)} bytes instead of {HASH_BYTES}")
    return SignedCheckpoint(Checkpoint(origin, int(size), hash_), text + "\n", signatures)


def verify(note: str, origin: str, keys: Iterable[PublicKey]) -> tuple[Checkpoint, PublicKey]:
    """Return what a note says and which key signed it, when one of the keys did, under the name ``origin``.

    Lines of other keys are ignored, a wrong signature of one of ours is not (C2SP signed-note). Raises InvalidInput
    for a text that is no checkpoint, IntegrityFault for another origin, and BadSignature.
    """
    signed = parse(note)
    if signed.checkpoint.origin != origin:
        raise IntegrityFault(
            f"The checkpoint is of the ledger {signed.checkpoint.origin!r}, not of {origin!r}.",
            next_step="Compare it with the setting ledger_origin.",
        )
    by_id = {note_key_id(origin, key): key for key in keys}
    signer: PublicKey | None = None
    for line in signed.signatures:
        key = by_id.get(line.key_id) if line.name == origin else None
        if key is not None:
            key.verify(line.signature, signed.text.encode())
            signer = signer or key
    if signer is None:
        raise BadSignature("The checkpoint is not signed by a key of this ledger.")
    return signed.checkpoint, signer


@lru_cache(maxsize=64)
def note_key_id(name: str, key: PublicKey) -> bytes:
    """Return the four bytes that name an Ed25519 key in a note: SHA-256(name, newline, 0x01, key)[:4]."""
    return hashlib.sha256(name.encode() + b"\n" + _ED25519 + _raw(key)).digest()[:_KEY_ID_BYTES]


def verifier_key(name: str, key: PublicKey) -> str:
    """Return the key in the form ``name+id+base64`` that note verifiers take (Go's sumdb/note among them)."""
    return f"{name}+{note_key_id(name, key).hex()}+{base64.b64encode(_ED25519 + _raw(key)).decode()}"


def parse_verifier_key(text: str) -> tuple[str, PublicKey]:
    """Return the name and the key that ``verifier_key`` wrote. Raises InvalidInput for anything else."""
    name, _, rest = text.strip().partition("+")
    _, _, encoded = rest.partition("+")
    try:
        data = base64.b64decode(encoded, validate=True)
    except binascii.Error:
        data = b""
    if data[:1] == _ED25519 and _NAME.fullmatch(name):
        key = PublicKey.from_spki_der(_SPKI_PREFIX + data[1:])
        if verifier_key(name, key) == text.strip():
            return name, key
    raise InvalidInput(
        "The text is not an Ed25519 verifier key.", next_step="It looks like name+1a2b3c4d+base64, all in one line."
    )


def _raw(key: PublicKey) -> bytes:
    if not key.spki_der.startswith(_SPKI_PREFIX):
        raise InvalidInput(f"The key {key.key_id[:16]}… is not an Ed25519 key.", next_step="Use one for the ledger.")
    return key.spki_der[len(_SPKI_PREFIX) :]


def _signature(line: str) -> NoteSignature:
    dash, _, rest = line.partition(" ")
    name, _, encoded = rest.partition(" ")
    if dash != "—" or not _NAME.fullmatch(name):
        raise _refused("has a line behind the empty one that is no signature")
    data = _base64(encoded, "a signature")
    if len(data) <= _KEY_ID_BYTES:
        raise _refused("has a signature that is too short")
    return NoteSignature(name, data[:_KEY_ID_BYTES], data[_KEY_ID_BYTES:])


def _base64(text: str, what: str) -> bytes:
    """Return the bytes of standard base64, if writing them again gives the same text."""
    try:
        data = base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        data = b""
    if not data or base64.b64encode(data).decode() != text:
        raise _refused(f"has {what} that is not base64")
    return data


def _refused(fault: str) -> InvalidInput:
    return InvalidInput(f"The checkpoint {fault}.", next_step=_NEXT_STEP, field="checkpoint")
