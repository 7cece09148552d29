"""The landing page as a value: a pure function of the board, the query and the hour."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Final

import msgspec

from companyos.tower.board import Board
from companyos.tower.model import LOOKS, NO_OWNER, Card, State
from companyos.tower.moving import ReleaseMark
from companyos.tower.query import NOBODY, PAGE_ROWS, Query, View, ordered

MOVING_CARDS: Final = 4
"""How many releases in flight the overview shows before it points to their page."""

ATTENTION_ROWS: Final = 8
"""How many rows the overview lists before it points to the table."""

NEEDS_ATTENTION: Final = frozenset({State.DOWN, State.BURNING, State.HELD, State.STALE, State.CANARY})


class Stat(msgspec.Struct, frozen=True, kw_only=True):
    """One number of the strip; it links to the services that it counts."""

    key: str
    label: str
    glyph: str
    count: int
    url: str
    current: bool
    meaning: str


class Choice(msgspec.Struct, frozen=True, kw_only=True):
    """One entry of a filter's list."""

    value: str
    label: str
    selected: bool


class Select(msgspec.Struct, frozen=True, kw_only=True):
    """One filter with what it can be set to."""

    name: str
    label: str
    everything: str
    choices: tuple[Choice, ...]


class Chip(msgspec.Struct, frozen=True, kw_only=True):
    """A filter that is set, with the address of the page without it."""

    label: str
    url: str


class Domain(msgspec.Struct, frozen=True, kw_only=True):
    """One domain of the fleet map, its services worst first."""

    name: str
    cards: tuple[Card, ...]
    attention: int
    """How many of them are not ok."""


class Column(msgspec.Struct, frozen=True, kw_only=True):
    """The head of one column; ``url`` sorts by it and is None where sorting makes no sense."""

    label: str
    url: str | None = None
    sorted: str | None = None
    """``ascending`` or ``descending`` when the table stands in this order."""
    number: bool = False


class Moving(msgspec.Struct, frozen=True):
    """The releases in flight that the page shows, and how many there are."""

    shown: tuple[ReleaseMark, ...] = ()
    of: int = 0


class LandingPage(msgspec.Struct, frozen=True, kw_only=True):
    """Everything that the landing page shows."""

    query: Query
    now: datetime
    revision: int
    fleet: int
    """How many services there are in all."""
    found: int
    """How many of them match."""
    domains: int
    unseen: int
    """How many were never seen running."""
    oldest: Card | None
    """The service with the oldest observation."""
    strip: tuple[Stat, ...]
    selects: tuple[Select, ...]
    chips: tuple[Chip, ...]
    columns: tuple[Column, ...]
    rows: tuple[Card, ...]
    rows_of: int
    """How many rows the table would have without its limit."""
    map: tuple[Domain, ...]
    moving: Moving
    page: int
    pages: int


def landing(board: Board, query: Query, now: datetime) -> LandingPage:
    """Return the page; a page number beyond the last one gives the last one, because a live list may have shrunk."""
    matching = [card for card in board.cards.values() if query.matches_apart_from_state(card)]
    found = matching if query.state is None else [card for card in matching if card.state is query.state]
    rows = listed(found, query)
    pages = max(1, -(-len(rows) // PAGE_ROWS)) if query.view is View.TABLE else 1
    page = min(query.page, pages)
    query = msgspec.structs.replace(query, page=page)
    domains = by_domain(found) if query.view is View.OVERVIEW else ()
    seen = [card for card in found if card.row.observed_at is not None]
    return LandingPage(
        query=query,
        now=now,
        revision=board.revision,
        fleet=len(board.cards),
        found=len(found),
        domains=len({card.row.domain for card in found}),
        unseen=len(found) - len(seen),
        oldest=min(seen, key=lambda card: (card.row.observed_at, card.name), default=None),
        strip=strip(matching, query),
        selects=_selects(board.cards.values(), query),
        chips=_chips(query),
        columns=_columns(query),
        rows=cut(rows, query),
        rows_of=len(rows),
        map=domains,
        moving=moving(board, query),
        page=page,
        pages=pages,
    )


def moving(board: Board, query: Query) -> Moving:
    """Return the releases in flight of the services that match, on the overview only."""
    if query.view is View.TABLE:
        return Moving()
    found = board.moving
    if query.filters:
        found = tuple(one for one in found if (card := board.cards.get(one.service)) and query.matches(card))
    return Moving(found[:MOVING_CARDS], len(found))


def shown(board: Board, query: Query) -> tuple[Card, ...]:
    """Return the rows of the table of a page, in order: what a live update must keep true."""
    found = [card for card in board.cards.values() if query.matches(card)]
    rows = listed(found, query)
    pages = max(1, -(-len(rows) // PAGE_ROWS))
    return cut(rows, msgspec.structs.replace(query, page=min(query.page, pages)))


def listed(found: Sequence[Card], query: Query) -> list[Card]:
    """Return the rows of a query before they are cut into pages: on the overview only what needs attention."""
    if query.view is View.TABLE:
        return ordered(found, query.sort)
    return [card for card in found if card.state in NEEDS_ATTENTION]


def cut(rows: Sequence[Card], query: Query) -> tuple[Card, ...]:
    """Return the rows that are shown: the first few on the overview, one page of the table."""
    if query.view is View.OVERVIEW:
        return tuple(rows[:ATTENTION_ROWS])
    start = (query.page - 1) * PAGE_ROWS
    return tuple(rows[start : start + PAGE_ROWS])


def counts(cards: Iterable[Card]) -> dict[str, int]:
    """Return how many services are in each state, which sum to all of them, and how many have no owner."""
    states: Counter[State] = Counter()
    unowned = 0
    for card in cards:
        states[card.condition.state] += 1
        unowned += card.row.owner is None
    return {**{str(state): states[state] for state in State}, "unowned": unowned}


def strip(matching: Sequence[Card], query: Query) -> tuple[Stat, ...]:
    """Return the numbers above the page, worst first; each counts what its link shows."""
    numbers = counts(matching)
    stats = [
        Stat(
            key=str(state),
            label=look.label,
            glyph=look.glyph,
            count=numbers[state],
            url=query.url(state=None if query.state is state else state, view=View.TABLE),
            current=query.state is state,
            meaning=look.meaning,
        )
        for state, look in LOOKS.items()
    ]
    nobody = query.owner == NOBODY
    unowned = Stat(
        key="unowned",
        label=NO_OWNER,
        glyph="○",
        count=numbers["unowned"],
        url=query.url(owner=None if nobody else NOBODY, state=None, view=View.TABLE),
        current=nobody,
        meaning="nobody is named as responsible",
    )
    return (*stats[:-1], unowned, stats[-1])


def by_domain(cards: Iterable[Card]) -> tuple[Domain, ...]:
    """Return the cards by domain, the domain with the worst findings first; cards keep their order."""
    groups: dict[str | None, list[Card]] = {}
    for card in cards:
        groups.setdefault(card.row.domain, []).append(card)

    def worst(item: tuple[str | None, list[Card]]) -> tuple[object, ...]:
        name, members = item
        numbers = Counter(card.condition.state for card in members)
        return (*(-numbers[state] for state in State if state is not State.OK), name is None, name or "")

    return tuple(
        Domain(
            name=name or "No domain",
            cards=tuple(members),
            attention=sum(card.condition.state is not State.OK for card in members),
        )
        for name, members in sorted(groups.items(), key=worst)
    )


def _selects(cards: Iterable[Card], query: Query) -> tuple[Select, ...]:
    values: dict[str, set[str | None]] = {"domain": set(), "region": set(), "tier": set(), "owner": set()}
    for card in cards:
        row = card.row
        values["domain"].add(row.domain)
        values["tier"].add(row.tier)
        values["owner"].add(row.owner)
        values["region"].update(row.regions or (None,))
    labels = {
        "domain": ("Domain", "All"),
        "region": ("Region", "All"),
        "tier": ("Tier", "All"),
        "owner": ("Owner", "Anyone"),
    }
    return tuple(
        Select(
            name=name, label=labels[name][0], everything=labels[name][1], choices=_choices(found, getattr(query, name))
        )
        for name, found in values.items()
    )


def _choices(found: set[str | None], selected: str | None) -> tuple[Choice, ...]:
    names = sorted({name for name in (*found, selected) if name is not None and name != NOBODY})
    choices = [Choice(value=name, label=name, selected=name == selected) for name in names]
    if None in found or selected == NOBODY:
        choices.append(Choice(value=NOBODY, label="None", selected=selected == NOBODY))
    return tuple(choices)


def _chips(query: Query) -> tuple[Chip, ...]:
    labels = (
        ("state", "State", LOOKS[query.state].label if query.state else None),
        ("domain", "Domain", query.domain),
        ("region", "Region", query.region),
        ("tier", "Tier", query.tier),
        ("owner", "Owner", query.owner),
        ("q", "Text", query.q),
    )
    return tuple(
        Chip(label=f"{label}: {'none' if value == NOBODY else value}", url=query.url(**{field: None}))
        for field, label, value in labels
        if value is not None
    )


_COLUMNS: Final = (
    ("State", "state", False),
    ("Service", "name", False),
    ("Why", None, False),
    ("Since", "since", True),
    ("Domain, tier", "domain", False),
    ("Region", None, False),
    ("Release", "release", False),
    ("Holds", "holds", True),
    ("Incidents", "incidents", True),
    ("Last seen", "seen", True),
)


def _columns(query: Query) -> tuple[Column, ...]:
    columns = []
    for label, key, number in _COLUMNS:
        if key is None or query.view is View.OVERVIEW:
            columns.append(Column(label=label, number=number))
            continue
        current = query.sort.removeprefix("-") == key
        turned = f"-{key}" if query.sort == key else key
        direction = ("descending" if query.sort.startswith("-") else "ascending") if current else None
        columns.append(Column(label=label, url=query.url(sort=turned), sorted=direction, number=number))
    return tuple(columns)
