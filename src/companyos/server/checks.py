"""The dependencies of the server, asked side by side: each with a time limit, and once a second for all who ask."""

from __future__ import annotations

import asyncio
import logging
import shutil
from collections.abc import Callable, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from datetime import datetime
from pathlib import Path
from typing import Final, TypeAlias

import msgspec

from companyos.core.clock import Clock
from companyos.core.errors import CompanyOSError, Unavailable
from companyos.core.keys import KeyStore
from companyos.ledger import Journal
from companyos.server.loops import Report, State, state_of

TIMEOUT_S: Final = 2.0
FRESH_S: Final = 1.0
DISK_LOW_BYTES: Final = 64 * 1024 * 1024
"""Below this much room the platform is down: the next write may fail."""

_THREADS: Final = 4

_log = logging.getLogger(__name__)

Probe: TypeAlias = Callable[[], str]
"""Returns one sentence when all is well, and raises CompanyOSError with one when it is not."""


class Finding(msgspec.Struct, frozen=True, kw_only=True):
    """What a check found."""

    name: str
    state: State
    detail: str


class Checks:
    """All checks of this process; used from one event loop at a time."""

    def __init__(
        self, probes: Mapping[str, Probe], loops: Callable[[], list[Report]], clock: Clock, timeout_s: float = TIMEOUT_S
    ) -> None:
        """Take what to ask, by name, what knows the background loops, and the time."""
        self._probes = dict(probes)
        self._loops = loops
        self._clock = clock
        self._timeout_s = timeout_s
        self._pool = ThreadPoolExecutor(_THREADS, thread_name_prefix="check")
        self._asked: dict[str, Future[str]] = {}
        self._last: tuple[float, list[Finding]] | None = None

    async def findings(self) -> list[Finding]:
        """Return the findings of the last second, or new ones, in the order of the probes."""
        now = self._clock.monotonic()
        if self._last is None or now - self._last[0] >= FRESH_S:
            found = await asyncio.gather(*(self._ask(name) for name in self._probes))
            self._last = (now, [*found, *loop_findings(self._loops(), self._clock.now())])
        return self._last[1]

    def close(self) -> None:
        """Wait for no check that still runs."""
        self._pool.shutdown(wait=False, cancel_futures=True)

    async def _ask(self, name: str) -> Finding:
        # A probe that hangs keeps its one thread; it is not asked again before it has come back.
        asked = self._asked.get(name)
        if asked is None or asked.done():
            asked = self._asked[name] = self._pool.submit(self._probes[name])
        try:
            detail = await asyncio.wait_for(asyncio.shield(asyncio.wrap_future(asked)), self._timeout_s)
        except TimeoutError:
            return Finding(name=name, state="unknown", detail=f"No answer within {self._timeout_s:g} s.")
        except CompanyOSError as fault:
            return Finding(name=name, state="down", detail=str(fault))
        except Exception as fault:  # noqa: BLE001 - a check that breaks is a finding, not a fault of the asker
            _log.error("check failed", exc_info=fault, extra={"check": name})
            return Finding(name=name, state="unknown", detail="The check itself failed; the log says why.")
        return Finding(name=name, state="up", detail=detail)


def loop_findings(reports: list[Report], now: datetime) -> list[Finding]:
    """Return a finding for each background loop."""
    return [
        Finding(name=f"loop {report.name}", state=state_of(report, now), detail=_words(report)) for report in reports
    ]


def probes(journal: Journal, keys: KeyStore, home: Path) -> dict[str, Probe]:
    """Return what the server depends on, by name."""

    def database() -> str:
        journal.database.ping()
        return f"The {journal.database.dialect} database answers."

    def ledger() -> str:
        # This checks the signature of the newest checkpoint, and that it extends the one that was seen before.
        newest = journal.pin.advance()
        return f"The newest checkpoint is ours and covers {newest.size if newest else 0} records."

    def signing_keys() -> str:
        return f"The ledger is signed with key {keys.signer('ledger').key_id[:16]}."

    def disk() -> str:
        try:
            free = shutil.disk_usage(home).free
        except OSError as fault:
            raise Unavailable(f"The home folder cannot be looked at: {fault.strerror}.") from fault
        if free < DISK_LOW_BYTES:
            raise Unavailable(f"Only {free // 2**20} MiB are free.", next_step="Make room.")
        return f"{free // 2**20} MiB are free."

    return {"database": database, "ledger": ledger, "keys": signing_keys, "disk": disk}


def _words(report: Report) -> str:
    if report.failures:
        return f"Failed {report.failures} times in a row: {report.error}."
    if report.standby:
        return "Another process does this."
    if report.done_at is None:
        return "Has not run yet."
    return f"Last done at {report.done_at.isoformat(timespec='seconds')}."
