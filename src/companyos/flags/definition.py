"""``feature-flags/flags.yaml``: which flags a service has, who owns each, and when it goes away."""

from __future__ import annotations

from datetime import date
from typing import Annotated, Any, Final

import msgspec
from msgspec import Meta

from companyos.core.documents import Limits, decode, parse_yaml_documents
from companyos.core.errors import InvalidInput
from companyos.core.fields import END, Name, Text

FILE_NAME: Final = "feature-flags/flags.yaml"
MAX_FLAGS: Final = 200
_LIMITS: Final = Limits(bytes=256 * 1024, depth=6, nodes=10_000, documents=1)

Key = Annotated[
    str, Meta(pattern=r"^[a-z0-9][a-z0-9._-]{0,62}" + END, description="Lower-case letters, digits, dots, hyphens.")
]


class Definition(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One flag, as the repository of its service says it."""

    key: Key
    description: Text
    owner: Name
    default: bool
    expires: date
    """The day by which the flag has gone from the code."""
    cleanup: Text | Annotated[list[Text], Meta(max_length=50)]
    """What is to be done then, in one text or in steps."""


class _File(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    flags: Annotated[list[Definition], Meta(max_length=MAX_FLAGS)]


def read_definitions(data: bytes, *, where: str = FILE_NAME) -> tuple[Definition, ...]:
    """Return the flags in a definition file: a list, or one below ``flags``; an empty file has none.

    Raises InvalidInput that names the field, also for a key that stands there twice, and TooLarge beyond a limit.
    """
    documents: list[Any] = parse_yaml_documents(data, where=where, limits=_LIMITS)
    if not documents:
        return ()
    said = {"flags": documents[0]} if isinstance(documents[0], list) else documents[0]
    found = decode(said, _File, where=where).flags
    seen: set[str] = set()
    for one in found:
        if one.key in seen:
            raise InvalidInput(f"{where} defines the flag {one.key!r} twice.", next_step="Leave one out.", field="key")
        seen.add(one.key)
    return tuple(found)
