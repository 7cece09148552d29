"""A thread with an event loop of its own: work that goes on until it is closed, and that can be hurried."""

from __future__ import annotations

import asyncio
import contextlib
import threading
from collections.abc import Callable, Coroutine
from typing import Any


class Background:
    """One thread, which does one piece of work; ``start`` begins it, ``close`` ends it."""

    def __init__(self, name: str, work: Callable[[], Coroutine[Any, Any, None]]) -> None:
        """Take the thread's name and the work, which returns soon after ``ended`` has become true and ``wait`` woke."""
        self._work = work
        self._ended = threading.Event()
        self._loop = asyncio.new_event_loop()
        self._wake = asyncio.Event()
        self._thread = threading.Thread(target=self._run, name=name, daemon=True)

    @property
    def ended(self) -> bool:
        """Whether the work is to end."""
        return self._ended.is_set()

    def start(self) -> None:
        """Begin; once."""
        self._thread.start()

    def hurry(self) -> None:
        """Wake the work; any thread may."""
        with contextlib.suppress(RuntimeError):  # The loop has ended.
            self._loop.call_soon_threadsafe(self._wake.set)

    async def wait(self, at_most_s: float | None = None) -> None:
        """Return when somebody hurries the work, also since the last wait; or after so many seconds."""
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self._wake.wait(), at_most_s)
        self._wake.clear()

    def close(self) -> bool:
        """End the work, and return whether this call did so; False when it had ended before."""
        if self._ended.is_set():
            return False
        self._ended.set()
        self.hurry()
        self._thread.join()
        return True

    def _run(self) -> None:
        asyncio.set_event_loop(self._loop)
        try:
            self._loop.run_until_complete(self._work())
        finally:
            self._loop.run_until_complete(self._loop.shutdown_default_executor())
            self._loop.close()
