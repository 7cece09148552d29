"""The adapter's own thread: it looks at Envoy's counters, counts lines, and keeps the access log short and open."""

from __future__ import annotations

import fcntl
import os
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from companyos.core.errors import Unavailable
from companyos.delivery.adapters.envoy import access_log
from companyos.delivery.adapters.envoy.admin import Asker
from companyos.delivery.adapters.envoy.counters import Reconciliation, sample

EVERY_S: Final = 0.25


class Watching:
    """Looks four times a second until it is closed; what it found is read without waiting."""

    def __init__(self, log: access_log.Files, admin: Path, lock: Path, limit_bytes: int) -> None:
        """Start the thread, with the present as its base."""
        self._log = log
        self._asker = Asker(admin)
        self._lock = lock
        self._limit = limit_bytes
        self._position = log.end()
        self._lines = 0
        self._reconciliation = Reconciliation(time.monotonic())
        self._in_flight: Mapping[str, int] = {}
        self._reopen = False
        self._fault = ""
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="envoy-watching", daemon=True)
        self._thread.start()

    def lost(self) -> str | None:
        """Return why requests are missing, None when none is."""
        return self._fault or self._reconciliation.lost(time.monotonic())

    def in_flight(self) -> Mapping[str, int]:
        """Return the requests that Envoy waits for, by release."""
        return self._in_flight

    def close(self) -> None:
        """End the thread."""
        self._stop.set()
        self._thread.join()
        self._asker.close()

    def _run(self) -> None:
        while not self._stop.wait(EVERY_S):
            try:
                self._look()
                self._fault = ""
            except Exception as fault:  # noqa: BLE001 - a thread that ended would look like a log without a gap
                self._fault = f"The access log of the router cannot be watched: {fault!r}."

    def _look(self) -> None:
        self._count()
        try:
            counters = sample(self._asker)
        except Unavailable:
            self._in_flight = {}
            self._reconciliation.missed(time.monotonic())
            return
        self._in_flight = counters.in_flight
        self._reconciliation.observe(time.monotonic(), self._lines, counters)
        self._keep_open()

    def _count(self) -> None:
        while True:
            chunk = self._log.read(self._position)
            self._position = chunk.position
            self._lines += chunk.data.count(b"\n")
            if chunk.end:
                return

    def _keep_open(self) -> None:
        """Rotate a log that is too long, and have Envoy open one where there is none."""
        try:
            large = os.stat(self._log.path).st_size > self._limit  # noqa: PTH116 - one call four times a second
        except FileNotFoundError:
            self._asker.ask("/reopen_logs", "POST")
            return
        if large:
            with locked(self._lock):
                self._log.rotate()
            self._asker.ask("/reopen_logs", "POST")


@contextmanager
def locked(path: Path) -> Iterator[None]:
    """Hold the lock of the adapter's folder, against other threads and processes. Raises OSError."""
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)


def until(condition: Callable[[], bool], within_s: float, every_s: float = 0.002) -> bool:
    """Return whether the condition came true in time."""
    deadline = time.monotonic() + within_s
    while not condition():
        if time.monotonic() >= deadline:
            return False
        time.sleep(every_s)
    return True
