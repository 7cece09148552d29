"""The whole fleet judged at one moment."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping
from datetime import datetime, timedelta

import msgspec

from companyos.tower import moving
from companyos.tower.condition import judge
from companyos.tower.model import Card, TowerRow
from companyos.tower.moving import ReleaseMark


class Fleet(msgspec.Struct, frozen=True):
    """Every projected service by name, as of a revision."""

    rows: Mapping[str, TowerRow]
    revision: int
    moving: tuple[ReleaseMark, ...] = ()
    """The releases in flight, those that need a person first; they change more often than the revision does."""


class Board(msgspec.Struct, frozen=True, kw_only=True):
    """Every service with its verdict: worst state first, in a state the newest finding first, then by name."""

    cards: Mapping[str, Card]
    revision: int
    judged_at: datetime
    valid_until: datetime | None
    """When time alone changes a verdict; None when only a change of the fleet can."""
    moving: tuple[ReleaseMark, ...] = ()
    moved_at: datetime | None = None
    """When this process last saw other releases in flight, or one that stands otherwise; None before the first."""

    def holds_at(self, revision: int, now: datetime, moving: tuple[ReleaseMark, ...] = ()) -> bool:
        """Whether this board still says the truth for a revision, and what is moving, at a moment."""
        return (
            self.revision == revision
            and self.moving == moving
            and self.judged_at <= now
            and not _passed(self.valid_until, now)
        )


def judged(fleet: Fleet, now: datetime, stale_after: timedelta, before: Board | None = None) -> Board:
    """Return the board of a fleet at a moment.

    A card of the board ``before`` that neither time nor a new row has changed is kept as the same object, so that what
    changed is found by identity and what was rendered for a card can be used again.
    """
    known = before.cards if before is not None and before.judged_at <= now else {}
    releases = defaultdict(list)
    for mark in fleet.moving:
        releases[mark.service].append(mark)
    cards = []
    for row in fleet.rows.values():
        card = known.get(row.name)
        release = moving.of_service(releases[row.name], row.environment) if row.name in releases else None
        if card is None or card.row is not row or card.release != release or _passed(card.condition.until, now):
            card = Card(row, judge(row, now, stale_after, release), release)
        cards.append(card)
    cards.sort(key=worst_first)
    return Board(
        cards={card.name: card for card in cards},
        revision=fleet.revision,
        judged_at=now,
        moving=fleet.moving,
        moved_at=_moved_at(fleet, before, now),
        valid_until=min((card.condition.until for card in cards if card.condition.until is not None), default=None),
    )


def _moved_at(fleet: Fleet, before: Board | None, now: datetime) -> datetime | None:
    if before is None:
        return now if fleet.moving else None
    return before.moved_at if before.moving == fleet.moving else now


def _passed(moment: datetime | None, now: datetime) -> bool:
    return moment is not None and moment <= now


def worst_first(card: Card) -> tuple[int, float, str]:
    """Return the sort key of a board: by state, then what began last, then by name; it is different for each card."""
    since = card.condition.since
    return (card.condition.state.rank, -since.timestamp() if since is not None else 0.0, card.row.name)
