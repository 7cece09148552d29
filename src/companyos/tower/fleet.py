"""The fleet as this process knows it: kept in memory, made current by one query for what is newer."""

from __future__ import annotations

import threading
from datetime import timedelta
from typing import Final

from companyos.core.clock import Clock
from companyos.core.database import Database
from companyos.tower import store
from companyos.tower.board import Board, Fleet, judged
from companyos.tower.model import TowerRow

_NOTHING: Final = Fleet({}, -1)


class FleetReader:
    """Gives the board of this moment; threads may share it.

    Every answer asks the database, because another process may have written: but only for rows of a newer revision,
    mostly none. What was read and judged before is used again.
    """

    def __init__(self, database: Database, clock: Clock, stale_after: timedelta) -> None:
        """Take where the projection is, and the age at which an observation is no longer recent."""
        self.clock = clock
        self.stale_after = stale_after
        self._database = database
        self._lock = threading.Lock()
        self._fleet = _NOTHING
        self._board: Board | None = None

    def board(self) -> Board:
        """Return every service with its verdict now, after one query.

        Raises Unavailable when the database cannot be reached.
        """
        with self._lock:
            with self._database.read() as connection:
                newer = store.rows_since(connection, self._fleet.revision)
            if newer:
                rows = dict(self._fleet.rows)
                for row in newer:
                    if isinstance(row, TowerRow):
                        rows[row.name] = row
                    else:
                        rows.pop(row.name, None)
                self._fleet = Fleet(rows, newer[-1].revision)
            now = self.clock.now()
            if self._board is None or not self._board.holds_at(self._fleet.revision, now):
                self._board = judged(self._fleet, now, self.stale_after, self._board)
            return self._board
