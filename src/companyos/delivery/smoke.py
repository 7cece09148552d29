"""The smoke file of an artifact: which checks it holds, what each asks, and whether an answer is what it expects. Pure.

The same file is run by the service's own ``make smoke``. Here only checks marked ``readOnly`` are taken, because they
run against versions that serve users.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Annotated, Any, Final, Literal, NamedTuple, TypeAlias

import msgspec
from msgspec import Meta

from companyos.core import documents
from companyos.core.canonical import JsonValue
from companyos.core.errors import CompanyOSError, InvalidInput
from companyos.core.fields import Line

FILE_NAME: Final = "smoke.yaml"
LIMITS: Final = documents.Limits(bytes=262_144, documents=1, nodes=20_000)
BODY_LIMIT_BYTES: Final = 1_048_576
"""So much of an answer is read."""
_SHOWN: Final = 120
_PLACEHOLDER: Final = re.compile(r"\{([A-Za-z_][A-Za-z0-9_]{0,63})\}")
_PLAIN_PATH: Final = re.compile(r"/[!-~]{0,1999}")
_PLAIN_VALUE: Final = re.compile(r"[ -~]{0,2000}")
_VALUE_LIMIT: Final = 1_000

Method: TypeAlias = Literal["GET", "HEAD", "OPTIONS", "POST", "PUT", "PATCH", "DELETE"]
HeaderName: TypeAlias = Annotated[str, Meta(pattern=r"^[A-Za-z0-9!#$%&'*+.^_`|~-]{1,100}$(?!\n)")]
Pointer: TypeAlias = Annotated[str, Meta(max_length=500, pattern=r"^(?:/[^/]*)*$(?!\n)")]
Name: TypeAlias = Annotated[str, Meta(pattern=r"^[A-Za-z_][A-Za-z0-9_]{0,63}$(?!\n)")]


class Asked(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A request; ``{name}`` in its texts stands for what an earlier check captured."""

    method: Method
    path: Annotated[str, Meta(max_length=1000, pattern=r"^/")]
    headers: dict[HeaderName, Annotated[str, Meta(max_length=1000)]] = {}
    json: Any = msgspec.UNSET


class Expected(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What the answer has to be; of a document only what its pointers (RFC 6901) lead to."""

    status: Annotated[int, Meta(ge=100, le=599)]
    headers: dict[HeaderName, Annotated[str, Meta(max_length=1000)]] = {}
    json: dict[Pointer, Any] = {}


class Check(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, rename={"read_only": "readOnly"}):
    """One thing that has to work."""

    name: Line
    request: Asked
    expect: Expected
    capture: dict[Name, Pointer] = {}
    """What later checks may use, by name."""
    read_only: bool = False
    tags: tuple[Line, ...] = ()


class _File(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    apiVersion: Literal["companyos.dev/v1"]  # noqa: N815 - the field's word in the file
    kind: Literal["Smoke"]
    checks: Annotated[tuple[Check, ...], Meta(max_length=200)]


class Answer(NamedTuple):
    """What a version answered."""

    status: int
    headers: Mapping[str, str]
    """With names in lower case."""
    body: bytes
    """Cut after ``BODY_LIMIT_BYTES``."""


class Judged(NamedTuple):
    """What one answer was worth."""

    failure: str
    """Empty when the check passed, else one sentence that names it, what was expected and what came."""
    captured: Mapping[str, str] = {}


def read_checks(data: bytes, *, where: str = FILE_NAME) -> tuple[Check, ...]:
    """Return all checks of a smoke file in their order. Raises InvalidInput that names the field, and TooLarge."""
    found = documents.parse_yaml_documents(data, where=where, limits=LIMITS)
    if len(found) != 1:
        raise InvalidInput(f"{where} is empty.", next_step="Write kind: Smoke and checks, or remove the file.")
    return documents.decode(found[0], _File, where=where).checks


def read_only(checks: Sequence[Check]) -> tuple[Check, ...]:
    """Return the checks that may run beside users: read-only, and with all that they use captured by earlier ones."""
    known: set[str] = set()
    anywhere = {name for check in checks for name in check.capture}
    taken = []
    for check in checks:
        if check.read_only and not (_names(msgspec.to_builtins((check.request, check.expect))) & anywhere) - known:
            taken.append(check)
            known |= set(check.capture)
    return tuple(taken)


def request_of(check: Check, values: Mapping[str, str]) -> Asked | Judged:
    """Return the request of a check with what was captured filled in, or the failure when that is no request."""
    asked = msgspec.structs.replace(
        check.request,
        path=_filled(check.request.path, values),
        headers=_filled(check.request.headers, values),
        json=_filled(check.request.json, values),
    )
    plain = _PLAIN_PATH.fullmatch(asked.path) and all(_PLAIN_VALUE.fullmatch(text) for text in asked.headers.values())
    return asked if plain else _failed(check, "a plain path and plain headers", f"{asked.path!r}")


def judge(check: Check, answer: Answer, values: Mapping[str, str]) -> Judged:
    """Return whether this answer is what the check expects, and what it captures for later ones."""
    expect = check.expect
    if answer.status != expect.status:
        return _failed(check, f"status {expect.status}", f"{answer.status}")
    for name, text in expect.headers.items():
        wanted, found = _filled(text, values), answer.headers.get(name.lower())
        if found != wanted:
            return _failed(check, f"{name}: {wanted}", "none" if found is None else found)
    return _judge_document(check, answer.body, values) if expect.json or check.capture else Judged("")


def _judge_document(check: Check, body: bytes, values: Mapping[str, str]) -> Judged:
    try:
        document = documents.parse_json(body, where="the answer")
    except CompanyOSError as fault:
        return _failed(check, "a JSON document", str(fault).rstrip("."))
    for pointer, template in check.expect.json.items():
        wanted, found = _filled(template, values), _at(document, pointer)
        if not _same(found, wanted):
            return _failed(check, f"{_text(wanted)} at {pointer or '/'}", _text(found))
    captured = {name: _at(document, pointer) for name, pointer in check.capture.items()}
    for name, value in captured.items():
        if value is msgspec.UNSET:
            return _failed(check, f"something at {check.capture[name] or '/'}", "nothing")
    return Judged("", {name: str(value)[:_VALUE_LIMIT] for name, value in captured.items()})


def unreachable(check: Check, fault: str) -> Judged:
    """Return the failure of a check that got no answer, for this reason without a full stop."""
    return _failed(check, f"status {check.expect.status}", fault)


def _failed(check: Check, expected: str, got: str) -> Judged:
    expected, got = (_printable(text)[:_SHOWN] for text in (expected, got))
    return Judged(f"Smoke check {check.name[:_SHOWN]!r}: expected {expected}, got {got}.")


def _at(document: JsonValue, pointer: str) -> Any:  # noqa: ANN401 - any JSON value, or UNSET when it leads nowhere
    for part in pointer.split("/")[1:]:
        key = part.replace("~1", "/").replace("~0", "~")
        if isinstance(document, dict) and key in document:
            document = document[key]
        elif isinstance(document, list) and key.isascii() and key.isdigit() and int(key[:9]) < len(document):
            document = document[int(key[:9])]
        else:
            return msgspec.UNSET
    return document


def _same(found: object, wanted: object) -> bool:
    """Tell whether two JSON values are equal; true is not 1."""
    if isinstance(found, bool) or isinstance(wanted, bool):
        return found is wanted
    if isinstance(found, dict) and isinstance(wanted, dict):
        return found.keys() == wanted.keys() and all(_same(found[key], wanted[key]) for key in wanted)
    if isinstance(found, list) and isinstance(wanted, list):
        return len(found) == len(wanted) and all(map(_same, found, wanted))
    return found == wanted


def _filled(value: Any, values: Mapping[str, str]) -> Any:  # noqa: ANN401 - any JSON value
    """Return a value in which each known ``{name}`` is replaced once; what is put in is not looked at again."""
    if isinstance(value, str):
        return _PLACEHOLDER.sub(lambda found: values.get(found[1], found[0]), value)
    if isinstance(value, list):
        return [_filled(each, values) for each in value]
    return {key: _filled(each, values) for key, each in value.items()} if isinstance(value, dict) else value


def _names(value: object) -> set[str]:
    if isinstance(value, str):
        return set(_PLACEHOLDER.findall(value))
    parts = value.values() if isinstance(value, dict) else value if isinstance(value, list | tuple) else ()
    return {name for part in parts for name in _names(part)}


def _text(value: object) -> str:
    return "nothing" if value is msgspec.UNSET else msgspec.json.encode(value).decode()


def _printable(text: str) -> str:
    return "".join(character if character.isprintable() else "\ufffd" for character in text)
