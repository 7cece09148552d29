"""From an entry to the bytes that the tree hashes: limits, commitments to personal values, canonical JSON.

Everything is refused here, before anything is written, that a reader, a terminal or a database would stumble over.
"""

from __future__ import annotations

import re
import secrets
from collections.abc import Iterator
from hashlib import sha256
from typing import Any, Final

import msgspec

from companyos.core import canonical
from companyos.core.clock import rfc3339
from companyos.core.errors import IntegrityFault, InvalidInput, TooLarge
from companyos.ledger.model import Body, Commitment, Entry, PersonalValue

MAX_BODY_BYTES: Final = 64 * 1024
"""How long the canonical record may be."""

MAX_DEPTH: Final = 12
"""How deep the record may nest, its own object included."""

MAX_CHARACTERS: Final = {
    "actor": 200,
    "device": 512,
    "ip": 64,
    "policy": 200,
    "release": 200,
    "request_id": 128,
    "service": 64,
    "target": 512,
    "verb": 64,
}
"""How long each text field may be."""

MAX_OBLIGATIONS: Final = 32
MAX_PERSONAL: Final = 16
MAX_VALUE_CHARACTERS: Final = 4096
SALT_BYTES: Final = 32

RESERVED: Final = frozenset({"ip", "device"})
"""Personal values that have a field of their own."""

_PERSONAL_NAME: Final = re.compile(r"[a-z][a-z0-9_.]{0,62}")
_VERB: Final = re.compile(r"[a-z][a-z0-9_-]*(\.[a-z][a-z0-9_-]*)+")
_DOMAIN: Final = b"companyos.dev/ledger/personal/v1\n"
_UUID: Final = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}")
_DECODER: Final = msgspec.json.Decoder(Body)
_ENCODER: Final = msgspec.json.Encoder()


class _Written(msgspec.Struct, frozen=True):
    """The record on its way out, with its fields in canonical order; ``details`` is canonical JSON already.

    Everything else is text without control characters, so the encoder's bytes are those of RFC 8785.
    """

    actor: str
    decision: str
    details: msgspec.Raw
    device: Commitment | None
    id: str
    ip: Commitment | None
    obligations: tuple[str, ...]
    personal: dict[str, Commitment]
    policy: str | None
    release: str | None
    request_id: str | None
    service: str | None
    target: str
    time: str
    verb: str


class Sealed(msgspec.Struct, frozen=True):
    """An entry in the form in which it is stored."""

    body: bytes
    """The canonical record (RFC 8785)."""
    personal: tuple[PersonalValue, ...]


def seal(entry: Entry) -> Sealed:
    """Return the canonical record with fresh salts for its personal values.

    Raises InvalidInput or TooLarge that names the field.
    """
    _check(entry)
    values = _personal(entry)
    commitments = {one.field: _commitment(one) for one in values}
    try:
        written = _Written(
            entry.actor,
            entry.decision,
            msgspec.Raw(canonical.dumps(dict(entry.details), max_depth=MAX_DEPTH)),
            commitments.pop("device", None),
            entry.id,
            commitments.pop("ip", None),
            entry.obligations,
            commitments,
            entry.policy,
            entry.release,
            entry.request_id,
            entry.service,
            entry.target,
            rfc3339(entry.time),
            entry.verb,
        )
        body = _ENCODER.encode(written)
    except InvalidInput as fault:
        raise InvalidInput(
            f"The details cannot be recorded: {fault}", next_step=fault.next_step, field="details"
        ) from fault
    except UnicodeEncodeError as fault:  # pragma: no cover - a lone surrogate is not printable
        raise InvalidInput(
            "This cannot be recorded: it holds half of a surrogate pair.", next_step="Mend it."
        ) from fault
    if len(body) > MAX_BODY_BYTES:
        raise TooLarge(
            f"A ledger record may have {MAX_BODY_BYTES} bytes; this one has {len(body)}.",
            next_step="Record a digest, and keep the content as an artifact.",
        )
    if b"\\u0000" in body and any("\0" in text for text in _texts(entry.details)):
        raise InvalidInput("The details hold a NUL character.", next_step="Remove it.", field="details")
    return Sealed(body, values)


def commitment(name: bytes, salt: bytes, value: bytes) -> str:
    """Return ``sha256:<hex>`` over name, salt and value, each behind its length so that none runs into the next."""
    framed = b"%b%d:%b%d:%b%d:%b" % (_DOMAIN, len(name), name, len(salt), salt, len(value), value)
    return "sha256:" + sha256(framed).hexdigest()


def _commitment(value: PersonalValue) -> Commitment:
    return Commitment(commitment(value.field.encode(), value.salt, value.value.encode()))


def read(index: int, body: bytes) -> Body:
    """Return the fields of a stored record; raises IntegrityFault when it is not one that ``seal`` could have made."""
    try:
        return _DECODER.decode(body)
    except (msgspec.MsgspecError, UnicodeDecodeError) as fault:
        raise IntegrityFault(
            f"Record {index} of the ledger cannot be read: {fault}.",
            next_step="Run `companyos ledger verify`, and restore the database from a backup.",
        ) from fault


def commitments(body: Body) -> dict[str, Commitment]:
    """Return what a record commits to, by the name of the personal value."""
    found = dict(body.personal)
    if body.ip is not None:
        found["ip"] = body.ip
    if body.device is not None:
        found["device"] = body.device
    return found


def _personal(entry: Entry) -> tuple[PersonalValue, ...]:
    """Return the personal values by name, each with a salt of its own."""
    named = dict(entry.personal)
    if entry.ip is not None:
        named["ip"] = entry.ip
    if entry.device is not None:
        named["device"] = entry.device
    salts = secrets.token_bytes(SALT_BYTES * len(named))
    return tuple(
        PersonalValue(name, salts[place * SALT_BYTES : (place + 1) * SALT_BYTES], named[name])
        for place, name in enumerate(sorted(named))
    )


def _check(entry: Entry) -> None:
    texts = (
        entry.actor,
        entry.device,
        entry.ip,
        entry.policy,
        entry.release,
        entry.request_id,
        entry.service,
        entry.target,
        entry.verb,
    )
    for (name, limit), text in zip(MAX_CHARACTERS.items(), texts, strict=True):
        if text is not None and not _is_printable(text, limit):
            raise _refused(name, f"must be 1 to {limit} printable characters")
    if not _VERB.fullmatch(entry.verb):
        raise _refused("verb", "must look like service.create")
    if entry.decision not in ("allow", "deny"):
        raise _refused("decision", "must be allow or deny")
    if entry.time.tzinfo is None:
        raise _refused("time", "needs a time zone")
    if not _UUID.fullmatch(entry.id):
        raise _refused("id", "must be a UUID in lower case")
    limit = MAX_CHARACTERS["policy"]
    if len(entry.obligations) > MAX_OBLIGATIONS or not all(_is_printable(text, limit) for text in entry.obligations):
        raise _refused("obligations", f"must be at most {MAX_OBLIGATIONS} texts of 1 to {limit} printable characters")
    _check_personal(entry)


def _check_personal(entry: Entry) -> None:
    if len(entry.personal) > MAX_PERSONAL:
        raise _refused("personal", f"may hold at most {MAX_PERSONAL} values")
    for name, value in entry.personal.items():
        if name in RESERVED or not _PERSONAL_NAME.fullmatch(name):
            raise _refused(
                "personal", "needs names of lower-case letters, digits, dots and underscores; not ip, device"
            )
        if not _is_printable(value, MAX_VALUE_CHARACTERS):
            raise _refused(f"personal.{name}", f"must be 1 to {MAX_VALUE_CHARACTERS} printable characters")


def _is_printable(text: str, limit: int) -> bool:
    return 0 < len(text) <= limit and text.isprintable()


def _refused(field: str, rule: str) -> InvalidInput:
    return InvalidInput(f"This cannot be recorded: {field} {rule}.", next_step=f"Mend {field}.", field=field)


def _texts(value: Any) -> Iterator[str]:  # noqa: ANN401 - any JSON value
    """Yield every text in a JSON value, names of members included; its depth was checked before."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict) or hasattr(value, "items"):
        for name, item in value.items():
            yield name
            yield from _texts(item)
    elif isinstance(value, list | tuple):
        for item in value:
            yield from _texts(item)
