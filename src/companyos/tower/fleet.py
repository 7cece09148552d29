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
from companyos.tower.moving import marks
from companyos.tower.releases import NoReleases, Releases

_NOTHING: Final = Fleet({}, -1)


class FleetReader:
    """Gives the board of this moment; threads may share it.

    Every answer asks the database, because another process may have written: but only for rows of a newer revision,
    mostly none. What was read and judged before is used again.
    """

    def __init__(
        self, database: Database, clock: Clock, stale_after: timedelta, releases: Releases | None = None
    ) -> None:
        """Take where the projection is, the age at which an observation is no longer recent, and who knows releases."""
        self.clock = clock
        self.stale_after = stale_after
        self._database = database
        self._releases = releases or NoReleases()
        self._lock = threading.Lock()
        self._fleet = _NOTHING
        self._board: Board | None = None

    def board(self) -> Board:
        """Return every service with its verdict now, after one query of the projection and one for what is moving.

        Raises Unavailable when the database cannot be reached.
        """
        with self._lock:
            with self._database.read() as connection:
                newer = store.rows_since(connection, self._fleet.revision)
                in_flight = self._releases.in_flight(connection=connection)
            now = self.clock.now()
            moving = marks(in_flight, now)
            if newer:
                rows = dict(self._fleet.rows)
                for row in newer:
                    if isinstance(row, TowerRow):
                        rows[row.name] = row
                    else:
                        rows.pop(row.name, None)
                self._fleet = Fleet(rows, newer[-1].revision, moving)
            elif moving != self._fleet.moving:
                self._fleet = Fleet(self._fleet.rows, self._fleet.revision, moving)
            if self._board is None or not self._board.holds_at(self._fleet.revision, now, moving):
                self._board = judged(self._fleet, now, self.stale_after, self._board)
            return self._board
