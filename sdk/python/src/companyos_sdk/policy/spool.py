"""The spool: records on this machine's disk until they are delivered. Never a silent drop.

Records go into memory at once and to the disk in batches, by a thread of their own; a record counts as logged once its
batch is on the disk (``flush``, ``wait``). When the disk takes no more or the spool is as large as it may be,
``record`` raises LogFull, and what is in memory already is tried again until it is written.
"""

from __future__ import annotations

import atexit
import logging
import os
import threading
import time
import weakref
from collections import deque
from collections.abc import Callable
from pathlib import Path
from typing import Final

from companyos_sdk.policy.record import LogFull
from companyos_sdk.policy.segments import DAMAGED, REJECTED, Files, Folder, Segment, framed, scan
from companyos_sdk.policy.status import SpoolState

MAX_BYTES: Final = 256 * 1024 * 1024
"""How large a spool may be, with what is in memory."""
MAX_QUEUE_BYTES: Final = 16 * 1024 * 1024
"""How much may wait in memory for the disk."""
SEGMENT_BYTES: Final = 1024 * 1024

_GATHER_S: Final = 0.005
_RETRY_S: Final = 0.2
_CLOSE_S: Final = 10.0
_OVERHEAD: Final = 10  # the checksum, the space and the line feed of a line
_log: Final = logging.getLogger(__name__)


class Spool:
    """A recorder on the disk, shared between threads. Processes that use one root keep out of each other's way."""

    _fault: str | None
    _idle: bool
    _closing: bool
    _folder: Folder | None
    _segment: Segment | None
    _thread: threading.Thread | None

    def __init__(
        self,
        root: Path,
        *,
        max_bytes: int = MAX_BYTES,
        max_queue_bytes: int = MAX_QUEUE_BYTES,
        segment_bytes: int = SEGMENT_BYTES,
        files: Files | None = None,
    ) -> None:
        """Write below ``root``; takes over what ended processes left there. Raises OSError."""
        self.root, self._files = root, files or Files()
        self._max_bytes, self._max_queue, self._segment_bytes = max_bytes, max_queue_bytes, segment_bytes
        self.on_begin: list[Callable[[], None]] = []
        """Called whenever a process begins to write: in a child after a fork too, with its first record."""
        self._begin()
        self._open()
        _alive.add(self)

    def record(self, line: bytes) -> None:
        """Take a record, or raise LogFull with the reason."""
        size = len(line) + _OVERHEAD
        with self._lock:
            if self._fault is not None or self._used + size > self._max_bytes or self._queued + size > self._max_queue:
                self._refuse(size)
            self._queue.append(line)
            self._used += size
            self._queued += size
            if self._idle:
                self._idle = False
                self._wake.set()

    def flush(self, timeout_s: float | None = None) -> bool:
        """Whether all that was recorded before this call is on the disk; waits for it at most so long."""
        with self._lock:
            goal = self._done + len(self._writing) + len(self._queue)
            self._urgent.set()
            self._wake.set()
            self._changed.wait_for(lambda: self._done >= goal or self._closing, timeout_s)
            return self._done >= goal

    def wait(self, audit_id: str, timeout_s: float | None = None) -> bool:
        """Whether no record with this audit id is still on its way to the disk; waits for it at most so long.

        True for a record that this process never took, which it cannot tell from one that was written long ago.
        """
        mark = f'"audit_id":"{audit_id}"'.encode()
        with self._lock:
            known = any(mark in line for line in (*self._writing, *self._queue))
        return self.flush(timeout_s) if known else True

    def status(self) -> SpoolState:
        """How the spool is now."""
        with self._lock:
            return SpoolState(
                waiting=len(self._queue) + len(self._writing),
                bytes=self._used,
                max_bytes=self._max_bytes,
                segments=len(self._closed) + self._taken,
                fault=self._fault,
                refused=self._refused,
                damaged_bytes=self._damaged,
                rejected=self._rejected,
            )

    def close(self, timeout_s: float = _CLOSE_S) -> bool:
        """Write what is in memory and end; whether all of it is on the disk."""
        with self._lock:
            if self._closing:
                return not self._queue and not self._writing
        written = self.flush(timeout_s)
        with self._lock:
            self._closing, self._fault = True, "It is closed."
            self._wake.set()
            self._urgent.set()
            self._changed.notify_all()
            thread, folder = self._thread, self._folder
        if thread is not None:
            thread.join(timeout_s)
        if folder is not None:
            folder.release()
        _alive.discard(self)
        return written

    # What delivery uses.

    def next_segment(
        self, timeout_s: float, stopped: Callable[[], bool] = lambda: False
    ) -> tuple[Path, tuple[bytes, ...]] | None:
        """The oldest closed segment and its records, to be delivered; None when there is none in that time.

        Without a closed segment the one that is written is closed. Bytes that are no records are set aside. Whoever
        takes a segment gives it to ``delivered`` or to ``put_back``. ``nudge`` makes it look at ``stopped`` at once.
        """
        with self._lock:
            if not self._closed and not self._closing:
                self._rotate = True
                self._idle = False
                self._wake.set()
            self._changed.wait_for(lambda: self._closed or self._closing or stopped(), timeout_s)
            if not self._closed or stopped():
                return None
            path = self._closed.popleft()
            self._taken += 1
        try:
            found = scan(path.read_bytes())
            if found.bad and path not in self._seen_bad:
                self._seen_bad.add(path)
                self._set_aside(DAMAGED, found.bad)
                _log.error("%d bytes of %s are no records of decisions and were set aside", len(found.bad), path)
        except OSError:
            self.put_back(path)
            raise
        return path, found.lines

    def nudge(self) -> None:
        """Wake who waits for a segment."""
        with self._lock:
            self._changed.notify_all()

    def delivered(self, path: Path) -> None:
        """The records of the segment are where they belong; it goes. Raises OSError."""
        size = path.stat().st_size
        path.unlink()
        with self._lock:
            self._used -= size
            self._taken -= 1
            self._changed.notify_all()

    def put_back(self, path: Path) -> None:
        """The segment could not be delivered now."""
        with self._lock:
            self._closed.appendleft(path)
            self._taken -= 1

    def reject(self, line: bytes) -> None:
        """Set a record aside that the receiver refuses for good. Raises OSError."""
        self._set_aside(REJECTED, framed([line]))

    def adopt(self) -> int:
        """Take over the segments of processes that have ended meanwhile; how many there were. Raises OSError."""
        folder = self._folder
        if folder is None or self._closing:
            return 0
        found = folder.adopt()
        size = sum(path.stat().st_size for path in found)
        with self._lock:
            self._closed.extend(found)
            self._used += size
        return len(found)

    def _set_aside(self, name: str, data: bytes) -> None:
        if self._folder is None:
            raise OSError("The spool is not open.")
        self._folder.append(name, data)
        with self._lock:
            self._used += len(data)
            if name == REJECTED:
                self._rejected += 1
            else:
                self._damaged += len(data)

    # Beginning, also in a child after a fork.

    def _begin(self) -> None:
        self._lock = threading.Lock()
        self._changed = threading.Condition(self._lock)
        self._wake, self._urgent = threading.Event(), threading.Event()
        self._queue: list[bytes] = []
        self._writing: list[bytes] = []
        self._closed: deque[Path] = deque()
        self._used = self._queued = self._done = self._taken = self._refused = self._damaged = self._rejected = 0
        self._number = 1
        self._seen_bad: set[Path] = set()
        self._idle, self._rotate, self._closing = True, False, False
        self._fault = None
        self._folder = None
        self._segment = None
        self._thread = None

    def _open(self) -> None:
        """Take a folder and start the thread. Raises OSError."""
        self._folder = Folder(self.root)
        self._closed.extend(self._folder.adopt())
        self._used += self._folder.used()
        self._thread = threading.Thread(target=self._run, name="decision-spool", daemon=True)
        self._thread.start()
        for begun in self.on_begin:
            begun()

    def _forked(self) -> None:
        """In the child the parent's records, folder and threads are the parent's."""
        closing, folder, segment = self._closing, self._folder, self._segment
        self._begin()
        if folder is not None:
            folder.forget()
        if segment is not None:
            segment.forget()
        self._closing, self._fault = closing, "It is closed." if closing else _FORKED

    def _refuse(self, size: int) -> None:
        """Raise LogFull with the reason, unless this is a child that has not begun yet."""
        if self._fault is _FORKED:
            try:
                self._open()
            except OSError as fault:
                self._refused += 1
                raise LogFull(f"The spool in {self.root} cannot be opened: {_said(fault)}.") from fault
            self._fault = None
            return
        self._refused += 1
        why = self._fault or f"the disk is too slow, and {self._queued} bytes wait in memory."
        if self._fault is None and self._used + size > self._max_bytes:
            why = f"it holds {self._used} of {self._max_bytes} bytes that it may hold."
        raise LogFull(f"The spool in {self.root} takes no records: {why}")

    # The thread that writes.

    def _run(self) -> None:
        while not self._turn():
            pass

    def _turn(self) -> bool:
        """Write what waits; whether that was the last time."""
        self._wake.wait()
        if not self._closing:
            self._urgent.wait(_GATHER_S)  # a few more records for the same fsync
        with self._lock:
            self._wake.clear()
            self._urgent.clear()
            self._idle = True
            if not self._writing:
                self._writing, self._queue = self._queue, []
                self._queued = 0
            batch, rotate, closing = self._writing, self._rotate, self._closing
            self._rotate = False
        try:
            if batch:
                self._write(batch)
            written = True
        except Exception as fault:  # noqa: BLE001 - this thread must live on, or nothing is written ever again
            written = False
            self._failed(_said(fault))
        else:
            if rotate or closing or (self._segment is not None and self._segment.size >= self._segment_bytes):
                self._close_segment()
        with self._lock:
            if written:
                self._done += len(batch)
                self._writing = []
                self._fault = None if not closing else self._fault
            left = bool(self._queue)
            self._changed.notify_all()
        if closing:
            self._wake.set()
            return not written or not left
        if not written:
            time.sleep(_RETRY_S)
            self._wake.set()
        return False

    def _write(self, batch: list[bytes]) -> None:
        """Return when the records are on the disk. Raises OSError, and then they are to be written again."""
        if self._segment is None:
            if self._folder is None:
                raise OSError("The spool is not open.")
            self._segment = Segment(self._files, self._folder.path, self._number)
            self._number += 1  # only this thread counts
        self._segment.append(framed(batch))

    def _close_segment(self) -> None:
        segment, self._segment = self._segment, None
        if segment is not None and (path := segment.close()) is not None:
            with self._lock:
                self._closed.append(path)

    def _failed(self, said: str) -> None:
        with self._lock:
            first, self._fault = self._fault is None, f"{said}."
        if first:
            _log.error("The spool of decisions in %s cannot be written and takes no records: %s", self.root, said)
        self._close_segment()


_FORKED: Final = "This process has not opened it yet."
_alive: weakref.WeakSet[Spool] = weakref.WeakSet()


def _said(fault: Exception) -> str:
    return (fault.strerror if isinstance(fault, OSError) else None) or str(fault) or type(fault).__name__


def _after_fork() -> None:
    for spool in list(_alive):
        spool._forked()  # noqa: SLF001 - this module's own class


def _at_exit() -> None:
    for spool in list(_alive):
        spool.close()


os.register_at_fork(after_in_child=_after_fork)
atexit.register(_at_exit)
