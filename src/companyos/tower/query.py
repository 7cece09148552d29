"""What a landing page was asked for: filters, order and page, read from the URL and written back into links."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from enum import StrEnum
from typing import Any, Final
from urllib.parse import urlencode

import msgspec

from companyos.core.errors import InvalidInput
from companyos.tower.board import worst_first
from companyos.tower.model import Card, State

PAGE_ROWS: Final = 100
TEXT_LIMIT: Final = 100
PAGE_LIMIT: Final = 100_000
NOBODY: Final = "-"
"""The value of ``owner`` and other filters that asks for services without one; no name of ours starts with a dash."""


class View(StrEnum):
    """The two shapes of the landing page."""

    OVERVIEW = "overview"
    """What needs attention, then one tile a service."""
    TABLE = "table"
    """Every service that matches, one row each, in pages."""


class Query(msgspec.Struct, frozen=True, kw_only=True):
    """One asked-for view of the fleet; a field that is None filters nothing."""

    view: View = View.OVERVIEW
    state: State | None = None
    domain: str | None = None
    region: str | None = None
    tier: str | None = None
    owner: str | None = None
    q: str | None = None
    """Words that must all occur in the name, owner, on-call or domain."""
    sort: str = "state"
    """A key of ``ORDERS``; a leading dash turns it round."""
    page: int = 1

    def url(self, **changes: Any) -> str:  # noqa: ANN401 - the fields of this struct
        """Return the address of this view with some fields changed; without ``page`` it starts at page 1."""
        if "page" not in changes:
            changes["page"] = 1
        wanted = msgspec.structs.replace(self, **changes)
        pairs = [
            (field, value)
            for field in self.__struct_fields__
            if (value := getattr(wanted, field)) != getattr(_PLAIN, field) and value is not None
        ]
        return f"/?{urlencode(pairs)}" if pairs else "/"

    def matches(self, card: Card) -> bool:
        """Whether a service passes all filters."""
        return (self.state is None or card.state is self.state) and self.matches_apart_from_state(card)

    def matches_apart_from_state(self, card: Card) -> bool:
        """Whether a service passes the filters other than the state; the strip counts these."""
        row = card.row
        return (
            _same(self.domain, row.domain)
            and _same(self.tier, row.tier)
            and _same(self.owner, row.owner)
            and (self.region is None or self.region in (row.regions or (NOBODY,)))
            and (self.q is None or _has_words(self.q, row.name, row.owner, row.oncall, row.domain))
        )

    @property
    def filters(self) -> bool:
        """Whether any filter is set."""
        return any(getattr(self, field) is not None for field in ("state", "domain", "region", "tier", "owner", "q"))


_PLAIN: Final = Query()

ORDERS: Final[Mapping[str, Callable[[Card], Any]]] = {
    "state": lambda card: card.state.rank,
    "name": lambda card: card.name,
    "domain": lambda card: _last_if_none(card.row.domain),
    "owner": lambda card: _last_if_none(card.row.owner),
    "tier": lambda card: _last_if_none(card.row.tier),
    "release": lambda card: _last_if_none(card.row.arms[0].version if card.row.arms else None),
    "since": lambda card: _timestamp(card.condition.since),
    "holds": lambda card: -card.condition.holds,
    "incidents": lambda card: -card.condition.incidents,
    "seen": lambda card: _timestamp(card.row.observed_at),
}
"""What a table may be sorted by; equal ones stand worst first, then by name, so that pages never overlap."""


def ordered(cards: Iterable[Card], sort: str) -> list[Card]:
    """Return the cards in the order that ``sort`` names; the order is total."""
    key = ORDERS[sort.removeprefix("-")]
    result = sorted(cards, key=worst_first)
    result.sort(key=key, reverse=sort.startswith("-"))
    return result


def parse(parameters: Iterable[tuple[str, str]]) -> Query:
    """Return the query of a URL's parameters; empty ones count as absent, as an HTML form sends them.

    Raises InvalidInput that names the parameter when it is unknown, given twice or has a value that cannot be.
    """
    values: dict[str, Any] = {}
    for name, value in parameters:
        if name not in _READERS:
            known = ", ".join(_READERS)
            raise InvalidInput(f"There is no filter called {name[:40]!r}.", next_step=f"Use {known}.", field=name[:40])
        if not value.strip():
            continue
        if name in values:
            raise InvalidInput(f"The filter {name} was given twice.", next_step="Give it once.", field=name)
        values[name] = _READERS[name](name, value.strip())
    return Query(**values)


def _word(name: str, value: str) -> str:
    if len(value) > TEXT_LIMIT or not value.isprintable():
        raise InvalidInput(
            f"The filter {name} takes at most {TEXT_LIMIT} printable characters.", next_step="Shorten it.", field=name
        )
    return value


def _choice(kind: type[StrEnum]) -> Callable[[str, str], StrEnum]:
    def read(name: str, value: str) -> StrEnum:
        try:
            return kind(value)
        except ValueError as fault:
            raise InvalidInput(
                f"The filter {name} cannot be {value[:40]!r}.", next_step=f"Use {', '.join(kind)}.", field=name
            ) from fault

    return read


def _order(name: str, value: str) -> str:
    if value.removeprefix("-") not in ORDERS:
        raise InvalidInput(
            f"The table cannot be sorted by {value[:40]!r}.", next_step=f"Use {', '.join(ORDERS)}.", field=name
        )
    return value


def _number(name: str, value: str) -> int:
    if not (
        value.isascii() and value.isdigit() and len(value) <= len(str(PAGE_LIMIT)) and 1 <= int(value) <= PAGE_LIMIT
    ):
        raise InvalidInput(f"The page is a number from 1 to {PAGE_LIMIT}.", next_step="Start at page 1.", field=name)
    return int(value)


_READERS: Final[Mapping[str, Callable[[str, str], Any]]] = {
    "view": _choice(View),
    "state": _choice(State),
    "domain": _word,
    "region": _word,
    "tier": _word,
    "owner": _word,
    "q": _word,
    "sort": _order,
    "page": _number,
}


def _same(wanted: str | None, value: str | None) -> bool:
    return wanted is None or (value or NOBODY) == wanted


def _has_words(text: str, *fields: str | None) -> bool:
    haystack = " ".join(field for field in fields if field).casefold()
    return all(word in haystack for word in text.casefold().split())


def _last_if_none(value: str | None) -> tuple[bool, str]:
    return (value is None, value or "")


def _timestamp(moment: Any) -> float:  # noqa: ANN401 - a datetime or None
    return moment.timestamp() if moment is not None else float("inf")
