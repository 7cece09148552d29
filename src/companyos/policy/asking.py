"""Requests for decisions as they come in: strict JSON within limits, and the input document that they stand for.

A compact text that its own value encodes to again has no key twice, so most bodies are read at the speed of C. The
others go through the strict reader, which names what is wrong.
"""

from __future__ import annotations

from typing import Any, Final, NoReturn

import msgspec

from companyos.core import canonical
from companyos.core.errors import InvalidInput

MAX_DEPTH: Final = 32
"""How deep a request may nest."""
MAX_ID_CHARACTERS: Final = 1024
MAX_NAME_CHARACTERS: Final = 512

_DECODER: Final = msgspec.json.Decoder()
_ENCODER: Final = msgspec.json.Encoder()
_EMPTY: Final[dict[str, Any]] = {}


def read(body: bytes) -> dict[str, Any]:
    """Return the JSON object of a body, with nothing in it that two readers could take differently.

    Raises InvalidInput with one sentence.
    """
    value = _quickly(body)
    if value is None:
        if not body.strip():
            raise InvalidInput("The body is empty.", next_step="Send a JSON object.")
        value = canonical.loads(body, max_depth=MAX_DEPTH)
    if type(value) is not dict:
        raise InvalidInput("The body is no JSON object.", next_step="Send a JSON object.")
    return value


def _quickly(body: bytes) -> object:
    """Return the value of a body that is written as we would write it, None for any other."""
    try:
        value = _DECODER.decode(body)
        if _ENCODER.encode(value) != body:
            return None
    except (ValueError, RecursionError):
        return None
    if body.count(b"[") + body.count(b"{") > MAX_DEPTH and _is_deeper(value, MAX_DEPTH):
        return None
    return value


def _is_deeper(value: object, room: int) -> bool:
    level = [value]
    while level:
        level = [
            inner
            for outer in level
            for inner in (outer.values() if isinstance(outer, dict) else outer)  # type: ignore[attr-defined] # a list
            if isinstance(inner, dict | list)
        ]
        room -= 1
        if room <= 0 and level:
            return True
    return False


def document(asked: dict[str, Any]) -> dict[str, Any]:
    """Return the input document of a request to ``/v1/authorize``; unknown fields are left out.

    Raises InvalidInput that names the field which is missing or of another type.
    """
    subject, resource, action = asked.get("subject"), asked.get("resource"), asked.get("action")
    environment, context = asked.get("environment", _EMPTY), asked.get("context", _EMPTY)
    if type(subject) is not dict:
        _refuse("subject", "is not an object", "Send its id, type and attributes.")
    if type(resource) is not dict:
        _refuse("resource", "is not an object", "Send its type, id and what the policy reads.")
    if type(environment) is not dict:
        _refuse("environment", "is not an object", "Send an object, or leave it out.")
    if type(context) is not dict:
        _refuse("context", "is not an object", "Send an object, or leave it out.")
    check_id(subject.get("id"), "subject.id")
    check_name(subject.get("type"), "subject.type")
    check_name(action, "action")
    check_name(resource.get("type"), "resource.type")
    if "id" in resource:
        check_id(resource["id"], "resource.id")
    if type(subject.get("attributes", _EMPTY)) is not dict:
        _refuse("subject.attributes", "is not an object", "Send an object, or leave it out.")
    return {
        "subject": subject,
        "action": action,
        "resource": resource,
        "environment": environment,
        "context": context,
    }


def check_id(value: object, field: str) -> None:
    """Return when the value can be an id; raise InvalidInput otherwise."""
    if type(value) is not str or not 0 < len(value) <= MAX_ID_CHARACTERS:
        _refuse(field, f"is not a text of 1 to {MAX_ID_CHARACTERS} characters", f"Send {field}.")


def check_name(value: object, field: str) -> None:
    """Return when the value can be a type or an action; raise InvalidInput otherwise."""
    if type(value) is not str or not 0 < len(value) <= MAX_NAME_CHARACTERS or not value.isprintable():
        _refuse(field, f"is not a text of 1 to {MAX_NAME_CHARACTERS} printable characters", f"Send {field}.")


def _refuse(field: str, fault: str, next_step: str) -> NoReturn:
    raise InvalidInput(f"{field} {fault}.", next_step=next_step, field=field)
