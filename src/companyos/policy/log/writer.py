"""The writer: decisions go into a bounded queue, and one thread seals, chains and writes them, batch after batch.

Whoever decides only pays for putting a line into the queue. A record counts as logged once its batch is on the disk
(``flush``, ``logged``). Nothing is dropped: when the queue is full or the disk does not take more, ``record`` raises
LogFull, and whoever decides denies or waits, as configured.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Mapping
from contextlib import nullcontext, suppress
from pathlib import Path
from typing import Final

from companyos.core.errors import CompanyOSError, Unavailable
from companyos.ledger import Journal
from companyos.policy.log import roots, streams
from companyos.policy.log.appending import CONTINUE_BYTES, Appender, Closed
from companyos.policy.log.keys import Keys, SubjectKey
from companyos.policy.log.lookup import Lookup
from companyos.policy.log.queue import Batch, Item, Limits, Queue, Stored
from companyos.policy.log.record import DECISION, Arrived
from companyos.policy.log.sealing import Prepared, Sealed, Sealer, prepare, stored
from companyos_sdk.policy.record import LogFull

FOLDER: Final = "decisions"
_IDLE_S: Final = 1.0
_REFRESH_S: Final = 1.0
_ROTATE_S: Final = 30.0
_RETRY_S: Final = (0.05, 0.2, 1.0, 5.0)
_SLICE: Final = 32
_BREATH_S: Final = 0.0002
"""How often, and for how long, the thread lets the others run while it seals."""

_log = logging.getLogger(__name__)


class DecisionLog:
    """The decision log of a home, as this process writes it. Its thread starts with the first record."""

    def __init__(self, journal: Journal, *, folder: Path | None = None, limits: Limits | None = None) -> None:
        """Take the journal, whose home has the folder and whose ledger gets the roots."""
        self.folder = folder or journal.settings.folder.path / FOLDER
        self.keys = Keys(journal)
        self.lookup = Lookup(journal, self.folder)
        self._journal = journal
        self._limits = limits or Limits()
        self._queue = Queue(self._limits)
        self._taken = 0
        self._done = 0
        self._fault: str | None = None
        self._closing = False
        self._hurry = 0
        self._rotate_wanted = False
        self._lock = threading.Lock()
        self._changed = threading.Condition(self._lock)
        self._wake = threading.Event()
        self._thread: threading.Thread | None = None
        self._appender: Appender | None = None
        self._unrooted: list[Closed] = []
        self._sealer = Sealer()
        self._refreshed_at = float("-inf")

    # --- for whoever decides ------------------------------------------------------------------------------------------

    def record(self, line: bytes) -> None:
        """Take the record of a decision, one line of JSON; it is on the disk a moment later. Raises LogFull."""
        self._put(line, len(line))

    def put(self, batch: Batch) -> None:
        """Take a batch that somebody sent; ``batch.done`` is set when it is on the disk. Raises LogFull."""
        self._put(batch, batch.size)

    @property
    def fault(self) -> str | None:
        """Why nothing can be written at the moment, as one sentence; None while all is well."""
        return self._fault

    @property
    def waiting(self) -> int:
        """How many records and batches are not on the disk yet."""
        return self._taken - self._done

    @property
    def full(self) -> bool:
        """Whether the next record would be refused."""
        return self._fault is not None or self._closing or self._queue.is_full(0)

    def flush(self, timeout_s: float = 30.0) -> None:
        """Return once everything that was taken before is on the disk. Raises Unavailable when it cannot be."""
        deadline = time.monotonic() + timeout_s
        with self._changed:
            wanted = self._taken
            self._hurry += 1
            self._wake.set()
            try:
                while self._done < wanted:
                    left = deadline - time.monotonic()
                    if left <= 0 or not self._changed.wait(left):
                        raise Unavailable(
                            self._fault or f"The decision log did not write everything within {timeout_s:g} s.",
                            next_step="Look at the disk that holds the home.",
                        )
            finally:
                self._hurry -= 1

    def logged(self, audit_id: str) -> bool:
        """Tell whether the record with this id is on the disk; it may still be on its way, see ``flush``."""
        return bool(self.lookup.find(audit_id))

    def rotate(self) -> None:
        """Close the open segment, whose root becomes a ledger row; everything taken before is in it."""
        self.flush()
        with self._changed:
            if self._thread is None:
                return
            self._rotate_wanted = True
            self._wake.set()
            if not self._changed.wait_for(lambda: not self._rotate_wanted, _ROTATE_S):
                raise Unavailable("The segment of the decision log could not be closed.", next_step="See the log.")

    def close(self, timeout_s: float = 5.0) -> None:
        """Write what is queued, close the segment and end the thread; the log says what the disk did not take."""
        with self._lock:
            self._closing = True
            thread = self._thread
        self._wake.set()
        if thread is not None:
            thread.join(timeout_s)
        if self.waiting:
            _log.error("decisions not written at the end", extra={"records": self.waiting, "cause": self._fault})

    # --- the queue ----------------------------------------------------------------------------------------------------

    def _put(self, item: Item, size: int) -> None:
        with self._lock:
            if self._fault is not None:
                raise LogFull(f"The decision log cannot be written: {self._fault}")
            if self._closing:
                raise LogFull("The decision log is closed.")
            if self._queue.is_full(size):
                raise LogFull(f"{len(self._queue)} decisions wait to be written already.")
            self._queue.put(item, size)
            self._taken += 1
            if self._thread is None:
                self._thread = threading.Thread(target=self._run, name="decision log", daemon=True)
                self._thread.start()
        if not self._wake.is_set():
            self._wake.set()

    # --- the thread ---------------------------------------------------------------------------------------------------

    def _drained(self) -> list[Item]:
        with self._lock:
            return self._queue.drain()

    def _run(self) -> None:
        while True:
            self._wake.wait(_IDLE_S)
            if not (self._hurry or self._closing) and self._queue:
                time.sleep(self._limits.linger_s)
            self._wake.clear()
            while batch := self._drained():
                self._write(batch)
                self._tend(closing=False)
            self._tend(closing=self._closing)
            if self._closing and not self._queue:
                break
        if self._appender is not None:
            self._appender.release()

    def _write(self, batch: list[Item]) -> None:
        """Write a batch; it is tried until it succeeds, and meanwhile nothing new is taken."""
        failures = 0
        while True:
            try:
                self._append(batch)
            except (OSError, CompanyOSError) as fault:
                sentence = fault.detail if isinstance(fault, CompanyOSError) else f"{fault.strerror or fault}."
                with self._changed:
                    self._fault = sentence
                    self._changed.notify_all()
                if not failures:
                    _log.error("decision log cannot be written", extra={"cause": sentence, "records": len(batch)})
                pause = _RETRY_S[min(failures, len(_RETRY_S) - 1)]
                failures += 1
                if self._closing:
                    return
                time.sleep(pause)
                continue
            with self._changed:
                if self._fault is not None:
                    _log.warning("decision log is written again", extra={"failures": failures})
                self._fault = None
                self._done += len(batch)
                self._changed.notify_all()
            return

    def _append(self, batch: list[Item]) -> None:
        appender = self._appender or self._opened()
        sent = [item for item in batch if isinstance(item, Batch)]
        with streams.ingesting(self.folder) if sent else nullcontext():
            known = self._duplicates(sent, appender)
            records: list[Prepared] = []
            for item in batch:
                if isinstance(item, Batch):
                    new = _new(item, known)
                    item.stored = Stored(len(new), len(item.records) - len(new))
                    records += new
                else:
                    records.append(prepare(item))
            self._refresh_keys()
            if records:
                appender.append(self._sealed(records))
        for item in sent:
            item.done.set()

    def _refresh_keys(self) -> None:
        """Forget erased keys now and then; until then they seal what nobody can open, which is what was asked for."""
        now = time.monotonic()
        if now - self._refreshed_at >= _REFRESH_S:
            self._refreshed_at = now
            with suppress(Unavailable):
                self.keys.refresh()

    def _sealed(self, records: list[Prepared]) -> list[Sealed]:
        receipts = [one.arrived for one in records if one.arrived is not None and one.arrived.kind != DECISION]
        keys = self.keys.of({one.owner for one in records})
        theirs = self._keys_of_decisions(receipts, records, keys) if receipts else {}
        sealed = []
        for place, one in enumerate(records):
            key = theirs.get(one.arrived.audit_id) if theirs and one.arrived is not None else None
            sealed.append(self._sealer.seal(one, key or keys[one.owner]))
            if not place % _SLICE:
                time.sleep(_BREATH_S)
        return sealed

    def _keys_of_decisions(
        self, receipts: list[Arrived], records: list[Prepared], keys: Mapping[str, SubjectKey]
    ) -> dict[str, SubjectKey]:
        """Return the key of the decision that each receipt is about, by audit id, so that both are erased together."""
        found = {
            one.arrived.audit_id: keys[one.owner]
            for one in records
            if one.arrived is not None and one.arrived.kind == DECISION
        }
        for receipt in receipts:
            if receipt.audit_id in found:
                continue
            for decision in self.lookup.find(receipt.audit_id):
                key = stored(decision.line.text).key
                if (cipher := self.keys.ciphers([key])[key]) is not None:
                    found[receipt.audit_id] = SubjectKey(key, cipher)
                break
        return found

    def _duplicates(self, sent: list[Batch], appender: Appender) -> set[bytes]:
        """Return those keys of the sent records that are stored already, in whichever stream."""
        wanted = {
            one.key: one.arrived.audit_id
            for batch in sent
            for one in batch.records
            if one.arrived is not None and one.key is not None
        }
        known = wanted.keys() & appender.keys
        elsewhere = {key: audit_id for key, audit_id in wanted.items() if key not in known}
        return known | self.lookup.known(elsewhere, without=appender.open_segment)

    def _opened(self) -> Appender:
        appender = Appender(self.folder, self._journal.clock)
        try:
            with self._journal.read() as connection:
                known = roots.known(connection, appender.stream)
            self._unrooted = appender.mend(known)
        except BaseException:
            appender.release()
            raise
        for closed in self._unrooted:
            _log.warning(
                "decision log was not closed",
                extra={"segment": closed.number, "records": closed.records, "torn_bytes": closed.torn_bytes},
            )
        self._appender = appender
        return appender

    def _tend(self, *, closing: bool) -> None:
        """Close the segment when it is time, and write the roots that are missing; what fails is tried again later."""
        appender = self._appender
        try:
            if appender is not None and appender.opened_at is not None and self._is_due(appender, closing=closing):
                closed = appender.close_segment()
                if closed is not None:
                    self._unrooted.append(closed)
            while self._unrooted:
                roots.record(self._journal, self._unrooted[0])
                self._unrooted.pop(0)
            if self._rotate_wanted:
                with self._changed:
                    self._rotate_wanted = False
                    self._changed.notify_all()
        except (OSError, CompanyOSError) as fault:
            _log.warning("segment of the decision log not closed yet", extra={"cause": str(fault)})

    def _is_due(self, appender: Appender, *, closing: bool) -> bool:
        """Whether the segment is to be closed. What a short process leaves is continued by the next one."""
        limits = self._limits
        if closing and appender.size > CONTINUE_BYTES:
            return True
        if self._rotate_wanted or appender.records >= limits.segment_records or appender.size >= limits.segment_bytes:
            return True
        return self._journal.clock.monotonic() - (appender.opened_at or 0.0) >= limits.segment_age_s


def _new(batch: Batch, known: set[bytes]) -> list[Prepared]:
    """Return the records of a batch that are not stored yet, and note that they will be."""
    new = []
    for one in batch.records:
        if one.key is None or one.key not in known:
            new.append(one)
            if one.key is not None:
                known.add(one.key)
    return new
