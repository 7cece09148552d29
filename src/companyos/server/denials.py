"""Every denial is counted, and so many are recorded one by one that a caller who insists cannot fill the disk.

A caller has an allowance of rows that refills slowly. What goes beyond it, and what repeats a denial of the last
minute, is withheld and counted; the next row of that caller says how many, and a loop writes it when no row follows.
"""

from __future__ import annotations

import asyncio
import logging
import threading
from collections import OrderedDict
from typing import Final, Protocol

import msgspec

from companyos.core.access import Caller
from companyos.core.clock import Clock
from companyos.core.errors import CompanyOSError, Denied
from companyos.server.asgi import Scope, caller_of

ALLOWANCE: Final = 20
"""Rows that one caller can cause at once."""

REFILL_S: Final = 60.0
"""Seconds after which the allowance has one more: about 1,500 rows a day for one who never stops."""

REPEAT_S: Final = 60.0
"""For so long the same denial of the same caller is counted and not written again."""

SUMMARY_S: Final = 600.0
"""How often withheld denials are written down when nothing else is."""

CALLERS_LIMIT: Final = 1024
_SEEN_LIMIT: Final = 64

_log = logging.getLogger(__name__)


class Tally(msgspec.Struct, frozen=True):
    """What is remembered of one caller's denials; times are monotonic seconds."""

    level: float
    """Rows that may be written now."""
    at: float
    """When ``level`` was true."""
    seen: tuple[tuple[str, float], ...] = ()
    """What was written lately, and when."""
    withheld: int = 0
    """Denials since the last row that were not written."""


def weigh(tally: Tally | None, what: str, now: float) -> tuple[Tally, int | None]:
    """Return the tally after one more denial, and how many were withheld before it when it is to be written.

    None means that this one is withheld too.
    """
    tally = tally or Tally(float(ALLOWANCE), now)
    level = min(float(ALLOWANCE), tally.level + (now - tally.at) / REFILL_S)
    seen = tuple((known, moment) for known, moment in tally.seen if now - moment < REPEAT_S)
    if level < 1 or any(known == what for known, _ in seen):
        return Tally(level, now, seen, tally.withheld + 1), None
    return Tally(level - 1, now, (*seen, (what, now))[-_SEEN_LIMIT:]), tally.withheld


class DenialLog(Protocol):
    """What writes a denial down; the journal of the ledger does."""

    def deny(self, caller: Caller, verb: str, target: str, denied: Denied) -> object:
        """Append one denial with its sentence as the reason."""
        ...


class Denials:
    """The denials of this process."""

    def __init__(self, log: DenialLog, clock: Clock) -> None:
        """Take what writes them down, and what tells the time."""
        self._log = log
        self._clock = clock
        self._tallies: OrderedDict[str, tuple[Tally, Caller]] = OrderedDict()
        self._lock = threading.Lock()

    def __len__(self) -> int:
        return len(self._tallies)

    async def record(self, scope: Scope, fault: CompanyOSError) -> None:
        """Count the fault when it is a denial, and write it down when it is its turn. Raises nothing."""
        if isinstance(fault, Denied):
            await asyncio.to_thread(self.count, caller_of(scope), fault)

    def count(self, caller: Caller, denied: Denied) -> None:
        """Count one denial. A ledger that cannot be written leaves the denial standing, and a line in the log."""
        with self._lock:
            known, _ = self._tallies.get(caller.subject, (None, None))
            what = f"{denied.action} {denied.resource} {denied.policy}"
            tally, withheld = weigh(known, what, self._clock.monotonic())
            self._tallies[caller.subject] = (tally, caller)
            self._tallies.move_to_end(caller.subject)
            while len(self._tallies) > CALLERS_LIMIT:
                _, (forgotten, _) = self._tallies.popitem(last=False)
                if forgotten.withheld:
                    _log.warning("withheld denials forgotten", extra={"count": forgotten.withheld})
        if withheld is not None:
            self._write(caller, denied, withheld)

    def summarise(self) -> None:
        """Write one row for each caller with withheld denials."""
        with self._lock:
            due = [(tally.withheld, caller) for tally, caller in self._tallies.values() if tally.withheld]
            for _, caller in due:
                tally, _ = self._tallies[caller.subject]
                self._tallies[caller.subject] = (msgspec.structs.replace(tally, withheld=0), caller)
        for withheld, caller in due:
            summary = Denied("Many denials.", action="denial.summary", resource=caller.subject)
            self._write(caller, summary, withheld)

    def _write(self, caller: Caller, denied: Denied, withheld: int) -> None:
        more = f" {withheld} more denials of this caller were counted and not written." if withheld else ""
        written = Denied(f"{denied}{more}", action=denied.action, resource=denied.resource, policy=denied.policy)
        try:
            self._log.deny(caller, denied.action or "request.send", denied.resource, written)
        except CompanyOSError as fault:
            _log.error(
                "denial not recorded", extra={"subject": caller.subject, "action": denied.action, "cause": str(fault)}
            )
