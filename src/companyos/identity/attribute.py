"""Attributes: what is said of a subject, an org or a workspace, by whom, and for how long (playbook, prompt 2).

An attribute whose time is over is undefined. It is never replaced by a more general one, because "nobody knows any more
whether she is cleared" must not become "everybody in the org is".
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping
from datetime import datetime, timedelta
from typing import Annotated, Any, Final, Literal, TypeAlias, get_args

import msgspec
from msgspec import Meta

from companyos.core import canonical
from companyos.core.errors import InvalidInput
from companyos.core.fields import END

Scope: TypeAlias = Literal["subject", "org", "workspace"]
Scalar: TypeAlias = str | int | float | bool | None
Value: TypeAlias = str | int | float | bool | list[str | int | float | bool | None] | None

_NAME: Final = r"^[a-z][a-z0-9_.-]{0,63}" + END
AttributeName: TypeAlias = Annotated[
    str,
    Meta(
        pattern=_NAME,
        description="A lower-case letter, then up to 63 lower-case letters, digits, dots, hyphens or underscores.",
    ),
]
MIN_TTL_S: Final = 1
MAX_TTL_S: Final = 10 * 366 * 86_400
Ttl: TypeAlias = Annotated[int, Meta(ge=MIN_TTL_S, le=MAX_TTL_S, description="Seconds from now; null for ever.")]
Source: TypeAlias = Annotated[str, Meta(pattern=r"^[^\s\u0000-\u001f\u007f]{1,200}" + END)]

MAX_VALUE_BYTES: Final = 1024
"""How long the canonical JSON of a value may be."""
MAX_ITEMS: Final = 64
"""How many values a list may hold."""
JWT_SOURCE: Final = "jwt:"
"""What the source of a claim begins with; nobody else may call themselves so."""

SCOPES: Final[tuple[Scope, ...]] = get_args(Scope)
_MOST_SPECIFIC_LAST: Final = {"org": 0, "workspace": 1, "subject": 2}
_SCALARS: Final = (str, int, float, bool, type(None))
_PLACE: Final = re.compile(r"[a-z0-9][a-z0-9._-]{0,35}")


class Attribute(msgspec.Struct, frozen=True, kw_only=True):
    """One thing that somebody said of a subject, an org or a workspace."""

    id: str
    name: str
    value: Value
    scope: Scope
    subject_id: str | None = None
    org_id: str | None = None
    workspace_id: str | None = None
    source: str
    """Who said so: ``user:root``, ``import:hr``, ``jwt:https://issuer.example``."""
    ttl: int | None = None
    """Seconds from ``set_at`` for which it holds; None for ever."""
    set_at: datetime

    @property
    def holder(self) -> str:
        """The id of the subject, the org or the workspace that it is said of."""
        return self.subject_id or self.org_id or self.workspace_id or ""

    @property
    def expires_at(self) -> datetime | None:
        """The first moment at which it holds no more; None for never."""
        return None if self.ttl is None else self.set_at + timedelta(seconds=self.ttl)

    def is_fresh(self, now: datetime) -> bool:
        """Tell whether it still holds."""
        ends = self.expires_at
        return ends is None or now < ends


class Attributes(msgspec.Struct, frozen=True):
    """What is known of a subject at one moment."""

    values: dict[str, Any]
    """Name to value, of those that hold."""
    stale: frozenset[str] = frozenset()
    """The names whose most specific statement has expired; none of them is in ``values``."""


NOTHING: Final = Attributes({})
"""What is known of somebody unknown, and of who is suspended."""


class Place(msgspec.Struct, frozen=True):
    """What attributes are said of."""

    scope: Scope
    id: str

    @property
    def columns(self) -> dict[str, str | None]:
        """The three columns of which exactly one names the holder."""
        return {f"{scope}_id": self.id if scope == self.scope else None for scope in SCOPES}


def resolve(attributes: Iterable[Attribute], now: datetime) -> Attributes:
    """Return what holds of one subject, given everything that is said of it, of its workspace and of its org."""
    most_specific: dict[str, Attribute] = {}
    for attribute in sorted(attributes, key=lambda one: _MOST_SPECIFIC_LAST[one.scope]):
        most_specific[attribute.name] = attribute
    return Attributes(
        {name: one.value for name, one in sorted(most_specific.items()) if one.is_fresh(now)},
        frozenset(name for name, one in most_specific.items() if not one.is_fresh(now)),
    )


def check_attribute_name(name: str) -> str:
    """Return the name, or raise InvalidInput."""
    if not re.match(_NAME, name):
        raise InvalidInput(
            f"The attribute name {name[:80]!r} is not allowed.",
            next_step="Use a lower-case letter, then up to 63 lower-case letters, digits, dots, hyphens, underscores.",
            field="name",
        )
    return name


def check_ttl(ttl: int | None) -> int | None:
    """Return the seconds, or raise InvalidInput."""
    if ttl is not None and not MIN_TTL_S <= ttl <= MAX_TTL_S:
        raise InvalidInput(
            f"An attribute holds {MIN_TTL_S} to {MAX_TTL_S} seconds, or for ever; not {ttl}.",
            next_step="Change ttl, or leave it out.",
            field="ttl",
        )
    return ttl


def check_source(source: str) -> str:
    """Return the source that somebody names, or raise InvalidInput; ``jwt:…`` is for verified tokens."""
    if not re.match(r"^[!-~]{1,200}" + END, source) or source.startswith(JWT_SOURCE):
        raise InvalidInput(
            f"An attribute cannot have the source {source[:60]!r}.",
            next_step=f"Use up to 200 visible ASCII characters that do not begin with {JWT_SOURCE}.",
            field="source",
        )
    return source


def check_place_id(id: str, *, field: str) -> str:
    """Return the id of an org or a workspace, or raise InvalidInput."""
    if not _PLACE.fullmatch(id):
        raise InvalidInput(
            f"{id[:60]!r} is no id of an org or a workspace.",
            next_step="Use up to 36 lower-case letters, digits, dots, underscores or hyphens.",
            field=field,
        )
    return id


def write_value(value: object, *, field: str = "value") -> str:
    """Return a value as canonical JSON, or raise InvalidInput for what is no scalar and no short list of scalars."""
    if isinstance(value, list | tuple):
        items = [*value]
        if len(items) > MAX_ITEMS:
            raise _refused(f"A list has at most {MAX_ITEMS} values, not {len(items)}", field)
        if not all(type(item) in _SCALARS for item in items):
            raise _refused("A list holds texts, numbers, booleans and null only", field)
        value = items
    elif type(value) not in _SCALARS:
        raise _refused("A value is a text, a number, a boolean, null, or a list of these", field)
    try:
        data = canonical.dumps(value, max_depth=1)
    except InvalidInput as fault:
        raise _refused(str(fault).rstrip("."), field) from fault
    if len(data) > MAX_VALUE_BYTES:
        raise _refused(f"A value has at most {MAX_VALUE_BYTES} bytes as JSON, not {len(data)}", field)
    text = data.decode()
    if "\\u0000" in text and any("\0" in item for item in _texts(value)):
        raise _refused("A value holds no NUL character", field)
    return text


def read_value(text: str) -> Value:
    """Return a value that ``write_value`` has written."""
    value = msgspec.json.decode(text)
    return [_number(item) for item in value] if isinstance(value, list) else _number(value)


def printable(attribute: Attribute) -> str:
    """Return the value as JSON in ASCII, the form in which the ledger keeps it beside the tree."""
    return json.dumps(attribute.value, ensure_ascii=True, separators=(",", ":"))


def same(one: Attribute, other: Attribute) -> bool:
    """Tell whether two say the same in the name of the same source, for as long."""
    return (one.source, one.ttl, write_value(one.value)) == (other.source, other.ttl, write_value(other.value))


def from_row(row: Mapping[Any, Any]) -> Attribute:
    """Return the attribute in a row of the table."""
    return Attribute(**{**row, "value": read_value(row["value"])})


def _number(value: Any) -> Any:  # noqa: ANN401 - a scalar
    """Return a scalar; an integer that is larger than ours are is the short form of a fraction (RFC 8785)."""
    return float(value) if type(value) is int and abs(value) > canonical.MAX_INTEGER else value


def _texts(value: object) -> list[str]:
    items = value if isinstance(value, list) else [value]
    return [item for item in items if isinstance(item, str)]


def _refused(what: str, field: str) -> InvalidInput:
    return InvalidInput(f"{what}.", next_step="Change the value.", field=field)
