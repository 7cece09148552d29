"""What an open page is sent: the difference between two boards as one event, made once for all pages that ask alike."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncIterator
from datetime import datetime
from typing import Final

import msgspec

from companyos.core.sse import Event
from companyos.tower.board import Board
from companyos.tower.fleet import FleetReader
from companyos.tower.landing import moving
from companyos.tower.live import Mark, Poller, difference, mark_of, milliseconds, missed
from companyos.tower.query import Query
from companyos.tower.render import Fragments

_RETRY_MS: Final = 2000


class Payload(msgspec.Struct, frozen=True, kw_only=True):
    """The data of an ``update`` event; ``tower.js`` reads it."""

    at: int
    """Milliseconds since 1970 on the server's clock."""
    counts: dict[str, int]
    order: tuple[str, ...]
    """The names in the table from now on."""
    rows: dict[str, str]
    """HTML of the rows that changed or came into the table."""
    tiles: dict[str, str]
    """HTML of the tiles that changed."""
    moving: str | None = None
    """HTML of the releases in flight, when they are not the same."""


class Updates:
    """Turns boards into events."""

    def __init__(self, reader: FleetReader, fragments: Fragments, poller: Poller) -> None:
        """Take where boards come from, and what renders rows and tiles."""
        self._reader = reader
        self._fragments = fragments
        self._poller = poller
        self._lock = threading.Lock()
        self._pair: tuple[Board, Board] | None = None
        self._made: dict[Query, Event] = {}

    async def events(self, query: Query, mark: Mark) -> AsyncIterator[Event]:
        """Yield what a page must change that was last true at ``mark``; at most one event a look of the poller.

        The first event comes only when the page has missed something; it asks the page to fetch itself again, which
        also heals whatever happened while it was away.
        """
        before: Board | None = None
        async for board in self._poller.boards():
            if before is not None:
                yield await asyncio.to_thread(self._event, before, board, query)
            elif await asyncio.to_thread(missed, board, mark, self._reader.stale_after):
                yield _reload(board, self._reader.clock.now())
            before = board

    def _event(self, before: Board, after: Board, query: Query) -> Event:
        """Return the event for a page, the same object for all pages that show the same."""
        with self._lock:
            if self._pair is None or self._pair[0] is not before or self._pair[1] is not after:
                self._pair, self._made = (before, after), {}
                self._fragments.forget(after.cards)
            event = self._made.get(query)
            if event is None:
                event = self._made[query] = self._make(before, after, query)
            return event

    def _make(self, before: Board, after: Board, query: Query) -> Event:
        now = self._reader.clock.now()
        update = difference(before, after, query)
        if update.structural:
            return _reload(after, now)
        payload = Payload(
            at=milliseconds(now),
            counts=dict(update.counts),
            order=update.order,
            rows={card.name: self._fragments.row(card, now) for card in update.rows},
            tiles={card.name: self._fragments.tile(card) for card in update.changed},
            moving=self._fragments.moving(moving(after, query), now) if update.moving else None,
        )
        data = msgspec.json.encode(payload, enc_hook=str).decode()
        return Event(event="update", id=str(mark_of(after)), data=data, retry_ms=_RETRY_MS)


def _reload(board: Board, now: datetime) -> Event:
    data = msgspec.json.encode({"at": milliseconds(now)}).decode()
    return Event(event="reload", id=str(mark_of(board)), data=data, retry_ms=_RETRY_MS)
