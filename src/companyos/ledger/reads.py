"""Reads are counted, not recorded: how often who read what, per day, gathered in memory and written in batches."""

from __future__ import annotations

import threading
from collections import Counter
from datetime import date

from companyos.core.clock import Clock
from companyos.core.database import Database
from companyos.ledger import store


class ReadCounter:
    """Counts of reads that are not in the database yet; threads may share it.

    A process that is killed loses what it counted since the last ``flush``.
    """

    def __init__(self, database: Database, clock: Clock) -> None:
        """Take where counts are written, and what tells the day."""
        self._database = database
        self._clock = clock
        self._lock = threading.Lock()
        self._counts: Counter[tuple[date, str, str]] = Counter()

    def count(self, actor: str, action: str) -> None:
        """Count one read, for example by ``user:ana`` of ``ledger.read``."""
        with self._lock:
            self._counts[self._clock.now().date(), actor[:200], action[:64]] += 1

    def flush(self) -> int:
        """Add the counts to the database and return how many reads they were. Raises Unavailable and keeps them."""
        with self._lock:
            counts, self._counts = self._counts, Counter()
        if not counts:
            return 0
        try:
            with self._database.write() as connection:
                store.add_reads(connection, counts)
        except BaseException:
            with self._lock:
                self._counts.update(counts)
            raise
        return counts.total()
