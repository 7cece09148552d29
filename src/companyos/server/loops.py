"""Background work: each loop runs in a thread of its own, in one process at a time, and never dies silently.

A lease says which process of several does the work. It outlives one run, so that a loop costs no write while it has
nothing to do; a holder that is killed is followed by another one when its lease ends. Work must be idempotent: a holder
that is stopped for longer than its lease may finish beside its successor.
"""

from __future__ import annotations

import logging
import random
import threading
import time
from collections.abc import Callable, Iterable
from datetime import datetime, timedelta
from typing import Final, Literal, TypeAlias

import msgspec

from companyos.core.clock import Clock
from companyos.core.errors import CompanyOSError
from companyos.core.leases import Lease, Leases

LEASE_S: Final = 30.0
JITTER_RATIO: Final = 0.1
SLOWEST_RETRY_S: Final = 60.0
HUNG_S: Final = 120.0
"""A run that takes longer than this, and longer than ten intervals, counts as down."""

_JOIN_S: Final = 0.5

State: TypeAlias = Literal["up", "down", "unknown"]

_log = logging.getLogger(__name__)


class Loop(msgspec.Struct, frozen=True):
    """A piece of work that is done again and again."""

    name: str
    interval_s: float
    work: Callable[[], object]
    shared: bool = True
    """Whether one process does it for all; otherwise each does its own, without a lease."""


class Report(msgspec.Struct, frozen=True, kw_only=True):
    """How a loop of this process is doing."""

    name: str
    interval_s: float
    alive: bool = False
    """Whether its thread runs."""
    standby: bool = False
    """Whether another process holds the lease."""
    running_since: datetime | None = None
    """When the run that goes on began; None between runs."""
    done_at: datetime | None = None
    """When the last run ended, well or not."""
    failures: int = 0
    """Failed runs in a row."""
    error: str | None = None
    """The type of the last failure, None after a run that went well."""


def state_of(report: Report, now: datetime) -> State:
    """Return ``unknown`` before the first run, ``down`` for a loop that fails, hangs or died, ``up`` otherwise."""
    if report.done_at is None and report.running_since is None and not report.standby:
        return "unknown"
    hung_s = max(HUNG_S, 10 * report.interval_s)
    if report.running_since is not None and (now - report.running_since).total_seconds() > hung_s:
        return "down"
    return "down" if report.failures or not report.alive else "up"


def pause_s(report: Report, jitter: float) -> float:
    """Return how long to wait for the next run; ``jitter`` is in -1..1.

    After failures it doubles up to a minute. Who stands by looks less often, because each look takes the write lock.
    """
    pause = report.interval_s
    if report.standby:
        pause = max(pause, min(LEASE_S / 3, 10 * pause))
    if report.failures:
        pause = max(pause, min(SLOWEST_RETRY_S, max(1.0, pause) * 2 ** min(report.failures, 6)))
    return pause * (1 + JITTER_RATIO * jitter)


class Loops:
    """The loops of this process."""

    def __init__(self, loops: Iterable[Loop], leases: Leases, clock: Clock, holder: str) -> None:
        """Take the work, the leases to hold meanwhile, the time, and the name under which leases are taken."""
        self._loops = tuple(loops)
        self._leases = leases
        self._clock = clock
        self._holder = holder
        self._random = random.Random()  # noqa: S311 - only spreads load
        self._stopping = threading.Event()
        self._reports = {loop.name: Report(name=loop.name, interval_s=loop.interval_s) for loop in self._loops}
        self._held: dict[str, Lease] = {}
        self._threads: list[threading.Thread] = []

    def start(self) -> None:
        """Start a thread for each loop."""
        for loop in self._loops:
            thread = threading.Thread(target=self._run, args=(loop,), name=f"loop {loop.name}", daemon=True)
            self._threads.append(thread)
            thread.start()

    def stop(self) -> None:
        """Ask all loops to end, wait a moment for those at work, and give their leases back.

        It returns soon whatever happens: a database that does not answer must not hold up the end of the process.
        """
        self._stopping.set()
        deadline = time.monotonic() + _JOIN_S
        for thread in self._threads:
            thread.join(max(0.0, deadline - time.monotonic()))
        release = threading.Thread(target=self._release, name="loops release", daemon=True)
        release.start()
        release.join(_JOIN_S)

    def _release(self) -> None:
        for lease in self._held.values():
            try:
                self._leases.release(lease)
            except CompanyOSError:
                _log.warning("lease not released", extra={"lease": lease.name})  # It ends by itself a little later.

    def reports(self) -> list[Report]:
        """Return how each loop is doing now."""
        alive = {thread.name for thread in self._threads if thread.is_alive()}
        return [
            msgspec.structs.replace(report, alive=f"loop {report.name}" in alive) for report in self._reports.values()
        ]

    def _run(self, loop: Loop) -> None:
        while not self._stopping.is_set():
            try:
                if self._is_holder(loop):
                    self._note(loop, standby=False, running_since=self._clock.now())
                    loop.work()
                    self._note(loop, running_since=None, done_at=self._clock.now(), failures=0, error=None)
                else:
                    self._note(loop, standby=True, running_since=None, failures=0, error=None)
            except Exception as fault:  # noqa: BLE001 - a loop outlives whatever its work does
                failures = self._reports[loop.name].failures + 1
                self._note(
                    loop,
                    running_since=None,
                    done_at=self._clock.now(),
                    failures=failures,
                    error=type(fault).__name__,
                )
                _log.error("background loop failed", exc_info=fault, extra={"loop": loop.name, "failures": failures})
            self._stopping.wait(pause_s(self._reports[loop.name], self._random.uniform(-1, 1)))

    def _is_holder(self, loop: Loop) -> bool:
        """Return whether this process does the work now; asks the database only when half of the lease is over."""
        if not loop.shared:
            return True
        ttl_s = max(LEASE_S, 3 * loop.interval_s)
        held = self._held.get(loop.name)
        if held is not None and held.expires_at - self._clock.now() > timedelta(seconds=ttl_s / 2):
            return True
        lease = self._leases.acquire(f"loop.{loop.name}", self._holder, ttl_s)
        if lease is None:
            self._held.pop(loop.name, None)
            return False
        self._held[loop.name] = lease
        return True

    def _note(self, loop: Loop, **values: object) -> None:
        self._reports[loop.name] = msgspec.structs.replace(self._reports[loop.name], **values)
