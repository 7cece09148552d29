"""Live updates: what a page that is open must change, and the one poller of a process that finds it out.

Writers may be other processes, so the truth is the revision in the database. One poller asks for it, once a second and
only while somebody watches; each open page gets no more than one update per look.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Mapping
from datetime import UTC, datetime, timedelta
from typing import Final

import msgspec

from companyos.core.errors import InvalidInput, Unavailable
from companyos.tower.board import Board
from companyos.tower.condition import judge
from companyos.tower.fleet import FleetReader
from companyos.tower.landing import counts, moving, shown
from companyos.tower.model import Card
from companyos.tower.query import Query

LOOK_EVERY_S: Final = 1.0
"""How often the poller looks; also the least time between two updates of a page."""

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)

_log = logging.getLogger(__name__)


def milliseconds(moment: datetime) -> int:
    """Return a moment as whole milliseconds since 1970, as JavaScript counts time."""
    return (moment - _EPOCH) // timedelta(milliseconds=1)


class Mark(msgspec.Struct, frozen=True):
    """What a page has seen: a revision and the moment at which it was judged. It is the id of an event."""

    revision: int
    at: datetime

    def __str__(self) -> str:
        """Return the mark as ``<revision>-<milliseconds since 1970>``."""
        return f"{self.revision}-{milliseconds(self.at)}"

    @classmethod
    def parse(cls, text: str) -> Mark:
        """Return the mark in a text, or raise InvalidInput."""
        revision, dash, moment = text.rpartition("-")
        digits = revision.removeprefix("-")
        if not (dash and digits.isascii() and digits.isdigit() and moment.isascii() and moment.isdigit()):
            raise InvalidInput(
                "The mark of the last update is not one of ours.", next_step="Load the page anew.", field="since"
            )
        if len(digits) > 18 or len(moment) > 14:  # noqa: PLR2004 - a 64-bit number, the year 5138
            raise InvalidInput(
                "The mark of the last update is out of range.", next_step="Load the page anew.", field="since"
            )
        return cls(int(revision), _EPOCH + timedelta(milliseconds=int(moment)))


class Update(msgspec.Struct, frozen=True, kw_only=True):
    """What changed on a page between two boards."""

    counts: Mapping[str, int]
    """The numbers of the strip, by state and ``unowned``."""
    changed: tuple[Card, ...]
    """Services whose tile looks different."""
    rows: tuple[Card, ...]
    """Rows of the table that changed or that came into it."""
    order: tuple[str, ...]
    """The names in the table from now on."""
    structural: bool
    """Whether services came, went or moved to another domain, so that the page is better fetched again."""
    moving: bool = False
    """Whether the releases in flight, as this page shows them, are not the same."""


def mark_of(board: Board) -> Mark:
    """Return the mark of a page that shows this board."""
    return Mark(board.revision, board.judged_at)


def missed(board: Board, mark: Mark, stale_after: timedelta) -> bool:
    """Whether a page that was last true at ``mark`` shows anything else than the board does, by writes or by time."""
    if mark.revision != board.revision:
        return True
    if board.moved_at is not None and milliseconds(board.moved_at) > milliseconds(mark.at):
        return True
    return any(judge(card.row, mark.at, stale_after, card.release) != card.condition for card in board.cards.values())


def difference(before: Board, after: Board, query: Query) -> Update:
    """Return what a page with this query must change when the board does."""
    changed = tuple(card for name, card in after.cards.items() if before.cards.get(name) is not card)
    changed_names = {card.name for card in changed}
    was_shown = {card.name for card in shown(before, query)}
    now_shown = shown(after, query)
    return Update(
        counts=counts(card for card in after.cards.values() if query.matches_apart_from_state(card)),
        changed=changed,
        rows=tuple(card for card in now_shown if card.name in changed_names or card.name not in was_shown),
        order=tuple(card.name for card in now_shown),
        structural=before.cards.keys() != after.cards.keys()
        or any(before.cards[card.name].row.domain != card.row.domain for card in changed),
        moving=moving(before, query) != moving(after, query),
    )


class Poller:
    """Watches the revision for all open pages of this process; used from its event loop only."""

    def __init__(self, reader: FleetReader, look_every_s: float = LOOK_EVERY_S) -> None:
        """Take the reader that asks the database."""
        self._reader = reader
        self._look_every_s = look_every_s
        self._watchers: set[asyncio.Queue[Board | None]] = set()
        self._task: asyncio.Task[None] | None = None

    @property
    def watchers(self) -> int:
        """How many pages are watched for."""
        return len(self._watchers)

    async def boards(self) -> AsyncIterator[Board]:
        """Yield the board of now and then each that differs; a slow reader gets only the newest.

        Ends when the database can no longer be read: a page must not look live on old data.
        """
        mailbox: asyncio.Queue[Board | None] = asyncio.Queue(maxsize=1)
        self._watchers.add(mailbox)
        if self._task is None:
            self._task = asyncio.create_task(self._look())
        try:
            yield (previous := await asyncio.to_thread(self._reader.board))
            while (board := await mailbox.get()) is not None:
                # One that was on its way while the first was read may be older than that.
                if (board.revision, board.judged_at) > (previous.revision, previous.judged_at):
                    yield (previous := board)
        except Unavailable:
            return
        finally:
            self._watchers.discard(mailbox)
            if not self._watchers and self._task is not None:
                self._task.cancel()
                self._task = None

    async def _look(self) -> None:
        last: Board | None = None
        while True:
            try:
                board = await asyncio.to_thread(self._reader.board)
            except Exception as fault:  # noqa: BLE001 - whatever it is, pages that look live would show old data
                _log.warning("tower poller stopped", exc_info=not isinstance(fault, Unavailable))
                self._tell(None)
                self._task = None
                return
            if board is not last:
                self._tell(board)
                last = board
            await asyncio.sleep(self._look_every_s)

    def _tell(self, board: Board | None) -> None:
        for mailbox in self._watchers:
            if mailbox.full():
                mailbox.get_nowait()
            mailbox.put_nowait(board)
