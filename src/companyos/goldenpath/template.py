"""A template as a value: its questions, its files, and answers that were checked. Pure, no I/O."""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import date, timedelta
from typing import Annotated, Final, Literal, TypeAlias

import msgspec
from msgspec import Meta

from companyos.core import documents
from companyos.core.errors import CompanyOSError, InvalidInput
from companyos.core.fields import END, Line

API_VERSION: Final = "companyos.dev/v1"
DEFINITION: Final = "template.yaml"
FILES: Final = "files/"
MARKED: Final = ".jinja"
"""How the name of a file ends that the renderer reads; the ending is left out of what it makes."""
NAME: Final = "name"
"""The answer that every template has: what the service is called."""
LONGEST_ANSWER: Final = 500

Answer: TypeAlias = str | int | bool
Version: TypeAlias = Annotated[str, Meta(pattern=r"^[0-9]{1,5}\.[0-9]{1,5}\.[0-9]{1,5}" + END)]
_Key: TypeAlias = Annotated[str, Meta(pattern=r"^[a-z][a-z0-9_]{0,39}" + END)]

_SERVICE: Final = re.compile(r"[a-z][a-z0-9-]{1,38}")
_BOOLEANS: Final = {"true": True, "yes": True, "false": False, "no": False}
_WHOLE: Final = re.compile(r"-?[0-9]{1,15}")
_DAYS_FROM_NOW: Final = re.compile(r"\+([0-9]{1,4})d")


class Question(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One thing that a template asks. Making one raises ValueError when its default does not answer it."""

    type: Literal["text", "integer", "boolean", "date"]
    default: Answer
    """Of a date also ``+90d``: so many days after the day on which the service is created."""
    help: Annotated[str, Meta(min_length=1, max_length=300)]
    pattern: Annotated[str, Meta(max_length=300)] | None = None
    """A regular expression that the whole of a text matches."""
    expected: Line | None = None
    """The pattern in words, for whoever does not match it."""
    choices: Annotated[tuple[str, ...], Meta(max_length=20)] = ()
    minimum: int | None = None
    maximum: int | None = None

    def __post_init__(self) -> None:
        if self.type == "text" and self.pattern is None and not self.choices:
            raise ValueError("a text needs a pattern or choices")
        try:
            relative = self.type == "date" and _DAYS_FROM_NOW.fullmatch(str(self.default))
            if check_answer("default", self, self.default, today=date.min) != self.default and not relative:
                raise ValueError("the default has another type than the question")
        except CompanyOSError as fault:
            raise ValueError(str(fault)) from fault


class Definition(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """``template.yaml``."""

    apiVersion: Literal["companyos.dev/v1"]  # noqa: N815 - written in the style of Kubernetes, like the manifest
    kind: Literal["Template"]
    name: Annotated[str, Meta(pattern=r"^[a-z][a-z0-9-]{1,38}" + END)]
    version: Version
    description: Annotated[str, Meta(min_length=1, max_length=300)]
    answers: Annotated[dict[_Key, Question], Meta(max_length=50)]
    executable: Annotated[tuple[str, ...], Meta(max_length=100)] = ()
    """Paths, as they are in the new service, of files that can be run."""


class Template(msgspec.Struct, frozen=True, kw_only=True):
    """One version of a template."""

    definition: Definition
    digest: str
    """Of its archive: ``sha256:`` and 64 hexadecimal digits."""
    files: Mapping[str, bytes]
    """The files below ``files/`` by their path from there, as the template has them."""


def read_definition(data: bytes, *, where: str = DEFINITION) -> Definition:
    """Return what a ``template.yaml`` says, or raise InvalidInput that names the field."""
    found = documents.parse_yaml_documents(data, where=where)
    if len(found) != 1:
        raise InvalidInput(f"{where} holds {len(found)} documents instead of one.", next_step="Mend the file.")
    definition = documents.decode(found[0], Definition, where=where)
    if NAME in definition.answers:
        raise InvalidInput(f"{where} asks for {NAME}, which every template has anyway.", next_step="Leave it out.")
    return definition


def check_name(name: str) -> str:
    """Return a name that a service may have, or raise InvalidInput."""
    if not _SERVICE.fullmatch(name):
        raise InvalidInput(
            f"A service cannot be called {name[:60]!r}.",
            next_step="Take 2 to 39 characters: a lower-case letter, then lower-case letters, digits or hyphens.",
            field=NAME,
        )
    return name


def check_answer(key: str, question: Question, value: Answer, *, today: date) -> Answer:
    """Return the answer in the type of its question (a date as ISO 8601), or raise InvalidInput that says why."""
    match question.type:
        case "boolean":
            answer = value if isinstance(value, bool) else _BOOLEANS.get(str(value).strip().lower())
            if answer is None:
                raise _wrong(key, value, "true or false")
            return answer
        case "integer":
            return _integer(key, question, value)
        case "date":
            return _date(key, value, today)
        case "text":
            return _text(key, question, value)


def complete(definition: Definition, name: str, given: Mapping[str, Answer], *, today: date) -> dict[str, Answer]:
    """Return every answer in the order of the questions, the name first and defaults where nothing was given.

    Raises InvalidInput for a name, a key or a value that is not allowed.
    """
    unknown = sorted(set(given) - set(definition.answers))
    if unknown:
        raise InvalidInput(
            f"The template {definition.name} does not ask for {unknown[0][:60]!r}.",
            next_step=f"It asks for {', '.join(definition.answers)}.",
            field=unknown[0][:60],
        )
    answers: dict[str, Answer] = {NAME: check_name(name)}
    for key, question in definition.answers.items():
        answers[key] = check_answer(key, question, given.get(key, question.default), today=today)
    return answers


def _integer(key: str, question: Question, value: Answer) -> int:
    text = str(value).strip()
    low, high = question.minimum, question.maximum
    number = int(text) if _WHOLE.fullmatch(text) else None
    if number is None or (low is not None and number < low) or (high is not None and number > high):
        limits = [f"at least {low}"] * (low is not None) + [f"at most {high}"] * (high is not None)
        raise _wrong(key, value, " and ".join(["a whole number", *limits]))
    return number


def _date(key: str, value: Answer, today: date) -> str:
    text = str(value).strip()
    if ahead := _DAYS_FROM_NOW.fullmatch(text):
        return (today + timedelta(days=int(ahead[1]))).isoformat()
    try:
        return date.fromisoformat(text).isoformat()
    except ValueError as fault:
        raise _wrong(key, value, "a date like 2027-01-31, or +90d for days from today") from fault


def _text(key: str, question: Question, value: Answer) -> str:
    text = str(value)
    if question.choices and text not in question.choices:
        raise _wrong(key, value, f"one of {', '.join(question.choices)}")
    if not text.isprintable() or len(text) > LONGEST_ANSWER:
        raise _wrong(key, value, f"one line of at most {LONGEST_ANSWER} characters")
    if question.pattern is not None and not re.fullmatch(question.pattern, text):
        raise _wrong(key, value, question.expected or f"a text that matches {question.pattern}")
    return text


def _wrong(key: str, value: Answer, expected: str) -> InvalidInput:
    return InvalidInput(f"{key} cannot be {str(value)[:60]!r}.", next_step=f"Give {expected}.", field=key)
