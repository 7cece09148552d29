"""The queue between those who decide and the one thread that writes; bounded by number and by bytes."""

from __future__ import annotations

import threading
from collections import deque
from typing import NamedTuple, TypeAlias

import msgspec

from companyos.policy.log.sealing import Prepared


class Limits(msgspec.Struct, frozen=True, kw_only=True):
    """How much may wait, and when a segment is closed."""

    queue_records: int = 50_000
    queue_bytes: int = 64 * 1024 * 1024
    batch_records: int = 2_000
    linger_s: float = 0.01
    """How long a batch waits for company; each costs one flush of the disk."""
    segment_records: int = 50_000
    segment_bytes: int = 64 * 1024 * 1024
    segment_age_s: float = 600.0


class Stored(NamedTuple):
    """What became of a batch that somebody sent."""

    accepted: int
    duplicates: int


class Batch:
    """Records that somebody has sent: all of them are stored, or none."""

    def __init__(self, records: list[Prepared]) -> None:
        """Take what was checked already."""
        self.records = records
        self.size = sum(len(one.line) for one in records)
        self.stored: Stored | None = None
        """What became of it, once it is on the disk."""
        self.done = threading.Event()


Item: TypeAlias = "bytes | Batch"
"""A line of our own, or a batch that somebody sent."""


class Queue:
    """What waits to be written. Whoever calls holds the lock of the log."""

    def __init__(self, limits: Limits) -> None:
        """Start empty."""
        self._limits = limits
        self._items: deque[Item] = deque()
        self._bytes = 0

    def __len__(self) -> int:
        """Return how many items wait."""
        return len(self._items)

    def is_full(self, size: int) -> bool:
        """Tell whether an item of this size has no room."""
        return len(self._items) >= self._limits.queue_records or self._bytes + size > self._limits.queue_bytes

    def put(self, item: Item, size: int) -> None:
        """Add an item for which there is room."""
        self._items.append(item)
        self._bytes += size

    def drain(self) -> list[Item]:
        """Return what is next to be written, oldest first; empty when nothing waits."""
        taken: list[Item] = []
        records = 0
        while self._items and records < self._limits.batch_records:
            item = self._items.popleft()
            taken.append(item)
            records += len(item.records) if isinstance(item, Batch) else 1
            self._bytes -= item.size if isinstance(item, Batch) else len(item)
        return taken
