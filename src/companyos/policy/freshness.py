"""Keeping the decision point fresh while it is asked: who asks looks at the clock, a thread looks at the database."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable
from typing import Final, Literal, Protocol, TypeAlias

from companyos.core.errors import CompanyOSError

REFRESH_S: Final = 0.5
"""How old what is known may be before the database is asked again, beside the requests."""
PATIENCE_S: Final = 2.0
"""How long the first request waits for the first look at the database."""

_POLL_S: Final = 0.005
OnFull: TypeAlias = Literal["deny", "block"]

_log = logging.getLogger(__name__)


class Log(Protocol):
    """The decision log, as far as a request waits for it."""

    @property
    def full(self) -> bool:
        """Whether the next record would be refused."""
        ...


class Watch:
    """Refreshes on demand, one look at a time; for one event loop."""

    def __init__(
        self,
        refresh: Callable[[], None],
        log: Log,
        *,
        on_full: OnFull = "deny",
        block_s: float = 5.0,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        """Take what looks at the database, and the log; with ``block`` a request waits ``block_s`` for room in it."""
        self._refresh = refresh
        self._log = log
        self._on_full = on_full
        self._block_s = block_s
        self._monotonic = monotonic
        self._looked = float("-inf")
        self._running: asyncio.Task[None] | None = None

    async def ready(self) -> None:
        """Return when a decision can be made: soon, because who decides is told by the decision what is not well."""
        if self._monotonic() - self._looked >= REFRESH_S:
            await self._look()
        if self._on_full == "block" and self._log.full:
            await self._room()

    async def done(self) -> None:
        """Return once the look at the database that goes on, if there is one, is over."""
        if self._running is not None:
            await asyncio.wait({self._running})

    async def _look(self) -> None:
        """Start a look at the database; wait for it only when there was none yet, or the last one is long ago."""
        if self._running is None or self._running.done():
            self._running = asyncio.ensure_future(self._refreshed())
        if self._monotonic() - self._looked >= 2 * REFRESH_S:
            await asyncio.wait({self._running}, timeout=PATIENCE_S)

    async def _refreshed(self) -> None:
        began = self._monotonic()
        try:
            await asyncio.to_thread(self._refresh)
        except CompanyOSError as fault:
            # What is known goes on deciding, and says that it is stale once it is too old.
            _log.warning("decision point not refreshed", extra={"cause": str(fault)})
        except Exception:  # noqa: BLE001 - whatever it is, decisions go on with what is known
            _log.exception("decision point not refreshed")
        self._looked = began

    async def _room(self) -> None:
        deadline = self._monotonic() + self._block_s
        while self._log.full and self._monotonic() < deadline:  # noqa: ASYNC110 - the log's thread knows no event loop
            await asyncio.sleep(_POLL_S)
