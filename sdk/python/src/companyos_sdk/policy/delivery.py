"""Delivery of the spool: batches of records to the platform, each until it is taken, in the order of the segments.

A batch may be sent twice, after an answer that was lost; the platform knows records by their audit ids. A segment goes
only when all of it was taken. A single record that the platform refuses for good is set aside, so that it does not hold
up the others, and reported.
"""

from __future__ import annotations

import logging
import random
import threading
from collections.abc import Sequence
from pathlib import Path
from typing import Final

import msgspec

from companyos_sdk.policy.spool import Spool
from companyos_sdk.policy.status import DeliveryState
from companyos_sdk.policy.transport import Endpoint, Reply, Unreachable

PATH: Final = "/v1/decisions"
MAX_BATCH_BYTES: Final = 512 * 1024
MAX_BATCH_RECORDS: Final = 500
FIRST_PAUSE_S: Final = 0.5
LONGEST_PAUSE_S: Final = 60.0

_IDLE_S: Final = 1.0
_ADOPT_EVERY: Final = 30
_REFUSED: Final = frozenset({400, 413, 422})
_log: Final = logging.getLogger(__name__)


class Delivery:
    """Takes segments from a spool and posts them, in a thread of its own."""

    def __init__(
        self,
        spool: Spool,
        endpoint: Endpoint,
        *,
        batch_bytes: int = MAX_BATCH_BYTES,
        batch_records: int = MAX_BATCH_RECORDS,
        first_pause_s: float = FIRST_PAUSE_S,
        longest_pause_s: float = LONGEST_PAUSE_S,
    ) -> None:
        """Deliver what is in the spool, once started."""
        self._spool, self._endpoint = spool, endpoint
        self._batch_bytes, self._batch_records = batch_bytes, batch_records
        self._first_pause_s, self._longest_pause_s = first_pause_s, longest_pause_s
        self._lock = threading.Lock()
        self._delivered = self._rejected = 0
        self._fault: str | None = None
        self._asked_s = 0.0
        self._done_of: tuple[Path | None, int] = (None, 0)
        self._stop = threading.Event()
        self._thread: threading.Thread | None = None

    def start(self) -> None:
        """Begin, also in a child after a fork."""
        self._lock, self._stop = threading.Lock(), threading.Event()
        self._thread = threading.Thread(target=self._run, name="decision-delivery", daemon=True)
        self._thread.start()

    def stop(self, timeout_s: float = 5.0) -> None:
        """End after the request that is under way; what is not delivered stays in the spool."""
        self._stop.set()
        self._spool.nudge()
        if self._thread is not None:
            self._thread.join(timeout_s)

    def state(self) -> DeliveryState:
        """How delivery is now."""
        with self._lock:
            return DeliveryState(delivered=self._delivered, rejected=self._rejected, fault=self._fault)

    def _run(self) -> None:
        turns, pause = 0, self._first_pause_s
        while not self._stop.is_set():
            try:
                if turns % _ADOPT_EVERY == 0:
                    self._spool.adopt()
                turns += 1
                if self.deliver_one(_IDLE_S) is not False:
                    pause = self._first_pause_s
                    continue
            except Exception as fault:  # noqa: BLE001 - a disk that fails, or a fault of ours: neither may end this
                _log.exception("Decisions could not be delivered")
                self._note(str(fault) or type(fault).__name__)
            self._stop.wait(max(self._asked_s, random.uniform(pause / 2, pause)))  # noqa: S311 - spreads retries
            pause = min(pause * 2, self._longest_pause_s)

    def deliver_one(self, timeout_s: float) -> bool | None:
        """True when a segment was delivered, False when that has to be tried again, None when there was none.

        Raises OSError when the disk fails.
        """
        found = self._spool.next_segment(timeout_s, self._stop.is_set)
        if found is None:
            return None
        path, lines = found
        # What was taken before an interruption is not sent again, unless this process ends meanwhile.
        done = self._done_of[1] if self._done_of[0] == path else 0
        try:
            for batch in batches(lines[done:], self._batch_bytes, self._batch_records):
                taken = self._taken_of(batch)
                done += taken
                if taken < len(batch):
                    break
        finally:
            self._done_of = (path, done)
            if done < len(lines):
                self._spool.put_back(path)
        if done < len(lines):
            return False
        try:
            self._spool.delivered(path)
        except OSError:
            self._spool.put_back(path)
            raise
        with self._lock:
            self._fault = None
        return True

    def _taken_of(self, batch: Sequence[bytes]) -> int:
        """How many records from the start of the batch need not be sent again."""
        if self._stop.is_set():
            return 0
        self._asked_s = 0.0
        try:
            reply = self._endpoint.request(
                "POST", PATH, body=b"\n".join(batch) + b"\n", headers={"content-type": "application/x-ndjson"}
            )
        except Unreachable as fault:
            self._note(str(fault))
            return 0
        refused = reply.status in _REFUSED
        if 200 <= reply.status < 300:  # noqa: PLR2004 - the statuses that mean success
            refused = _names_rejected(reply)
        if 200 <= reply.status < 300 and not refused:  # noqa: PLR2004 - as above
            with self._lock:
                self._delivered += len(batch)
            return len(batch)
        if not refused:
            self._asked_s = min(_seconds(reply.headers.get("retry-after")), self._longest_pause_s)
            self._note(_answered(reply))
            return 0
        if len(batch) > 1:
            half = len(batch) // 2
            taken = self._taken_of(batch[:half])
            return taken if taken < half else half + self._taken_of(batch[half:])
        self._spool.reject(batch[0])
        with self._lock:
            self._rejected += 1
        _log.error("The platform refuses the record of a decision for good, it was set aside: %s", _answered(reply))
        return 1

    def _note(self, fault: str) -> None:
        with self._lock:
            first, self._fault = self._fault is None, fault
        if first:
            _log.warning("Decisions wait in the spool: %s", fault)


def batches(lines: Sequence[bytes], max_bytes: int, max_records: int) -> list[list[bytes]]:
    """The lines in order, in groups of at most so many records and so many bytes; one alone may be larger."""
    made: list[list[bytes]] = []
    size = 0
    for line in lines:
        if not made or len(made[-1]) >= max_records or size + len(line) + 1 > max_bytes:
            made.append([])
            size = 0
        made[-1].append(line)
        size += len(line) + 1
    return made


class _Taken(msgspec.Struct):
    rejected: list[msgspec.Raw] = []


def _names_rejected(reply: Reply) -> bool:
    """Whether an answer that says yes names records that were not taken; then nothing of the batch was."""
    try:
        return bool(msgspec.json.decode(reply.body, type=_Taken).rejected)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        return False


def _answered(reply: Reply) -> str:
    return f"the platform answered {reply.status}: {reply.body[:300].decode(errors='replace')}"


def _seconds(value: str | None) -> float:
    return float(value) if value is not None and value.isascii() and value.isdigit() else 0.0
