"""All releases of a home as one process has them in mind, kept the same as the records on disk."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Final

import msgspec

from companyos.core.clock import Clock
from companyos.core.errors import Unavailable
from companyos.core.home import Home
from companyos.delivery.adapters.local.entry import Entry, adopted
from companyos.delivery.adapters.local.instance import Watch
from companyos.delivery.adapters.local.launching import Folders
from companyos.delivery.adapters.local.records import Record, Records
from companyos.delivery.ports import Launch

_PREPARED: Final = "It is being prepared."


class Roster:
    """Who is to run, and what is known of each; for all threads of one runtime."""

    def __init__(self, home: Home, clock: Clock) -> None:
        """Read what is on record. Raises OSError."""
        self.home = home
        self.clock = clock
        self.lock = threading.RLock()
        """Held whenever an entry is read or changed."""
        self.entries: dict[str, Entry] = {}
        self.closing = threading.Event()
        self._records = Records(home.run)
        self.acts = self._records.activate()
        """Whether this process is the one that acts for the home."""
        self.refresh()

    def start(self, launch: Launch) -> None:
        """Put on record that this release is to run. Raises Unavailable."""

        def rule(old: Record | None) -> Record:
            if old is None:
                return Record(launch=launch, wanted=True, since=self.clock.now(), reason=_PREPARED)
            return old if old.wanted else msgspec.structs.replace(old, wanted=True, launch=launch)

        self._ask(launch.release_id, rule)

    def stop(self, release_id: str, drain_s: float) -> None:
        """Put on record that this release is not to run. Raises Unavailable."""

        def rule(old: Record | None) -> Record | None:
            if old is None:
                return None
            if not old.wanted:
                return msgspec.structs.replace(old, drain_s=min(old.drain_s, drain_s))
            since = old.since if old.state == "stopping" else self.clock.now()
            return msgspec.structs.replace(old, wanted=False, drain_s=drain_s, state="stopping", since=since)

        self._ask(release_id, rule)

    def try_to_act(self) -> None:
        """Become the process that acts when no other one does. Raises OSError."""
        if not self.acts and self._records.activate():
            with self.lock:
                self.acts = True
                self.entries.clear()

    def refresh(self) -> None:
        """Take over what the files say that this process did not write. Raises OSError."""
        with self.lock:
            stamps = self._records.stamps()
            for release_id in self.entries.keys() - stamps.keys():
                del self.entries[release_id]
            for release_id, stamp in stamps.items():
                entry = self.entries.get(release_id)
                if entry is not None and entry.stamp == stamp:
                    continue
                record = self._records.read(release_id)
                if record is None:
                    continue
                if entry is None or not self.acts:
                    fresh = adopted(record, stamp, self.clock.monotonic())
                    fresh.sample = entry.sample if entry is not None and entry.record.pid == record.pid else None
                    self.entries[release_id] = fresh
                else:
                    asked = {"wanted": record.wanted, "drain_s": record.drain_s, "launch": record.launch}
                    entry.record = msgspec.structs.replace(entry.record, **asked)
                    entry.stopping = entry.stopping or not record.wanted
                    entry.written, entry.stamp = record, stamp

    def current(self, release_id: str, epoch: int) -> Entry | None:
        """Return the entry while it is this start that is wanted, else None."""
        with self.lock:
            entry = self.entries.get(release_id)
            ended = entry is None or entry.epoch != epoch or entry.stopping or self.closing.is_set()
            return None if ended else entry

    def update(self, release_id: str, epoch: int, *, watch: Watch | None = None, **fields: object) -> Entry | None:
        """Change the entry and the record of a start and return it; None when it is not wanted any more."""
        with self.lock:
            entry = self.current(release_id, epoch)
            if entry is None:
                return None
            entry.watch = watch or entry.watch
            entry.record = msgspec.structs.replace(entry.record, **fields)
            self.save(entry)
            return self.current(release_id, epoch)

    def save(self, entry: Entry) -> None:
        """Write the record when it says something else; what somebody asked meanwhile is kept and taken over."""
        kept = entry.record = entry.kept(self.clock.now())
        if kept == entry.written:
            return

        def rule(old: Record | None) -> Record | None:
            if old is None:
                return None
            mine = msgspec.structs.replace(kept, wanted=old.wanted, drain_s=old.drain_s, launch=old.launch)
            return mine if old.wanted else msgspec.structs.replace(mine, state="stopping")

        # A full disk must not end the looking; the record is written at the next look.
        with contextlib.suppress(OSError):
            written = self._records.change(kept.launch.release_id, rule)
            if written is not None:
                entry.record = entry.written = written
                entry.stopping = entry.stopping or not written.wanted

    def finish(self, release_id: str) -> None:
        """Forget a release whose process is gone, or begin anew with it when it is wanted again. Raises OSError."""

        def rule(old: Record | None) -> Record | None:
            if old is None or not old.wanted:
                return None
            return Record(launch=old.launch, wanted=True, since=self.clock.now(), reason=_PREPARED)

        with self.lock:
            record = self._records.change(release_id, rule)
            old = self.entries.pop(release_id, None)
            if record is not None:
                fresh = adopted(record, None, self.clock.monotonic())
                fresh.epoch = old.epoch + 1 if old is not None else 0
                self.entries[release_id] = fresh

    def left(self, release_id: str) -> None:
        """Take note that the thread which prepared a release has ended."""
        with self.lock:
            if (entry := self.entries.get(release_id)) is not None:
                entry.worker = None

    def ports(self) -> set[int]:
        """Return the ports that releases have."""
        with self.lock:
            return {entry.record.port for entry in self.entries.values() if entry.record.port is not None}

    def log(self, release_id: str) -> Path:
        """Return the file of what a release wrote."""
        return Folders(self.home, release_id).log

    def close(self) -> None:
        """Have preparations given up, and let another process act."""
        self.closing.set()
        with self.lock:
            workers = [entry.worker for entry in self.entries.values() if entry.worker is not None]
        for worker in workers:
            worker.join()
        self._records.close()

    def _ask(self, release_id: str, rule: Callable[[Record | None], Record | None]) -> None:
        try:
            self._records.change(release_id, rule)
            self.refresh()
        except OSError as fault:
            raise Unavailable(
                f"The state of release {release_id} cannot be written: {fault.strerror or fault}.",
                next_step=f"Look at {self.home.run} and at the room on its disk.",
            ) from fault
