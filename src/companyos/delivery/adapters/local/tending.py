"""What the runtime does a few times a second: look at every release, decide by ``instance.look``, and act on it.

Only one process acts for a home. The others show what it wrote down, and write down what is asked of them.
"""

from __future__ import annotations

import contextlib
import shutil
from collections.abc import Callable, Mapping
from typing import Final, NamedTuple

import msgspec

from companyos.core.artifacts import ArtifactStore
from companyos.core.errors import Unavailable
from companyos.core.keeper import ChildStatus, Keeper, process
from companyos.delivery.adapters import listening
from companyos.delivery.adapters.local import instance, launching, logs, sampling
from companyos.delivery.adapters.local.entry import Entry, runs
from companyos.delivery.adapters.local.instance import WATCHED, Seen
from companyos.delivery.adapters.local.preparing import Preparing
from companyos.delivery.adapters.local.roster import Roster
from companyos.delivery.environments import Environments
from companyos.delivery.model import InstanceState

FAST_S: Final = 0.1
"""Between two questions to a release that is not ready."""
STEADY_S: Final = 0.5
SAMPLE_S: Final = 1.0
FAILED_GRACE_S: Final = 1.0
"""What a release that was given up gets to end; nothing is routed to it."""

Children = Mapping[str, ChildStatus]


class Answer(NamedTuple):
    """What a readiness probe brought."""

    epoch: int
    said: str


class Ask(NamedTuple):
    """A readiness probe that is due."""

    release_id: str
    epoch: int
    address: tuple[str, int]
    path: str


class Tending:
    """Looks after the releases of a roster."""

    def __init__(self, roster: Roster, artifacts: ArtifactStore, keeper: Keeper, environments: Environments) -> None:
        """Take the roster, and what its releases are started from."""
        self._roster = roster
        self._keeper = keeper
        self._preparing = Preparing(roster, artifacts, keeper, environments)
        self._sampled_at: float | None = None

    def tick(self, answers: Mapping[str, Answer]) -> list[Ask]:
        """Look at everything once, with the answers to earlier probes; return the probes that are due."""
        self._roster.try_to_act()
        self._roster.refresh()
        with self._roster.lock:
            before = {release_id: entry.epoch for release_id, entry in self._roster.entries.items()}
        children = self._children() if self._roster.acts and before else None
        self._sample()
        todo: list[Callable[[], None]] = []
        asks: list[Ask] = []
        with self._roster.lock:
            now = self._roster.clock.monotonic()
            for release_id, entry in self._roster.entries.items():
                if not self._roster.acts or self._roster.closing.is_set() or before.get(release_id) != entry.epoch:
                    continue
                if action := self._look(entry, children, answers.get(release_id), now):
                    todo.append(action)
                self._roster.save(entry)
                if (ask := self._due(entry, now)) is not None:
                    asks.append(ask)
        for action in todo:
            # The keeper may be away for a moment; everything is tried again at the next look.
            with contextlib.suppress(Unavailable, OSError):
                action()
        return asks

    def pace_s(self) -> float:
        """Return how long to wait until the next look."""
        with self._roster.lock:
            if all(entry.state in {"ready", "failed"} for entry in self._roster.entries.values()):
                return STEADY_S
        return FAST_S

    def _children(self) -> Children | None:
        try:
            return {child.name: child for child in self._keeper.children()}
        except Unavailable:
            return None

    def _sample(self) -> None:
        now = self._roster.clock.monotonic()
        if self._sampled_at is not None and now - self._sampled_at < SAMPLE_S:
            return
        self._sampled_at = now
        with self._roster.lock:
            pids = [entry.record.pid for entry in self._roster.entries.values()]
        found = sampling.usages(pid for pid in pids if pid is not None)
        with self._roster.lock:
            for entry in self._roster.entries.values():
                usage = found.get(entry.record.pid) if entry.record.pid is not None else None
                entry.sample = sampling.sampled(entry.sample, usage, self._roster.clock.monotonic()) if usage else None

    def _look(
        self, entry: Entry, children: Children | None, answer: Answer | None, now: float
    ) -> Callable[[], None] | None:
        """Decide on one release and return what is to be done about it once the lock is free."""
        name = launching.child_name(entry.record.launch.release_id)
        child = children.get(name) if children is not None else None
        if entry.stopping:
            return self._end(entry, child, known=children is not None)
        if entry.watch.state == "failed":
            return self._ask_to_stop(entry, name, FAILED_GRACE_S) if child is not None else None
        if entry.watch.state == "preparing":
            if entry.worker is None and now >= entry.retry_at:
                entry.worker = self._preparing.begin(entry.record.launch.release_id, entry.epoch)
        elif children is not None and (child is None or child.state == "ended" or self._port_is_lost(entry, child)):
            self._start_again(entry, child, now)
        elif self._see(entry, child, answer, now) == "failed" and child is not None:
            return self._ask_to_stop(entry, name, FAILED_GRACE_S)
        return None

    def _end(self, entry: Entry, child: ChildStatus | None, *, known: bool) -> Callable[[], None] | None:
        release_id = entry.record.launch.release_id
        if not known or entry.worker is not None:
            return None
        if child is None:
            return lambda: self._finish(release_id)
        return self._ask_to_stop(entry, child.name, entry.record.drain_s)

    def _see(self, entry: Entry, child: ChildStatus | None, answer: Answer | None, now: float) -> InstanceState:
        """Look at a release that is to run, and return what it is now."""
        pid = entry.record.pid
        if child is not None and child.pid is not None and child.pid != pid:
            entry.record, entry.sample = msgspec.structs.replace(entry.record, pid=child.pid), None
        # While the keeper is away its children go on, and nobody counts how often.
        alive = runs(child) if child is not None else pid is not None and process.start_time(pid) is not None
        restarts = child.restarts if child is not None else entry.watch.counted
        launch = entry.record.launch
        quoted = not alive or restarts != entry.watch.counted or now - entry.watch.began > launch.start_timeout_s
        seen = Seen(
            runs=alive,
            restarts=restarts,
            last_exit=(child.last_exit or "") if child is not None else "",
            last_line=logs.last_line(self._roster.log(launch.release_id)) if quoted else "",
            probe=answer.said if answer is not None and answer.epoch == entry.epoch else None,
            memory_mb=entry.sample.usage.memory_mb if entry.sample else None,
        )
        entry.watch = instance.look(entry.watch, seen, launch, now)
        return entry.watch.state

    def _start_again(self, entry: Entry, child: ChildStatus | None, now: float) -> None:
        """Prepare anew what the keeper will not start again by itself, and count that as an end."""
        why = f" ({child.last_exit})" if child is not None and child.last_exit else ""
        reason = f"It ended{why} and is started again."
        entry.watch = instance.lost(entry.watch, reason, entry.record.launch, now)
        entry.epoch += 1
        entry.sample, entry.asked_s = None, None

    @staticmethod
    def _port_is_lost(entry: Entry, child: ChildStatus) -> bool:
        """Whether somebody else took its port while it did not run, so that no restart can help."""
        port = entry.record.port
        return child.state == "waiting" and port is not None and listening.port_is_taken(port)

    @staticmethod
    def _due(entry: Entry, now: float) -> Ask | None:
        record = entry.record
        if entry.state not in WATCHED or record.port is None or record.run is None:
            return None
        if entry.probed_at is not None and now - entry.probed_at < (STEADY_S if entry.state == "ready" else FAST_S):
            return None
        entry.probed_at = now
        return Ask(record.launch.release_id, entry.epoch, (listening.HOST, record.port), record.run.readiness)

    def _ask_to_stop(self, entry: Entry, name: str, grace_s: float) -> Callable[[], None] | None:
        if entry.asked_s is not None and grace_s >= entry.asked_s:
            return None
        entry.asked_s = grace_s

        def ask() -> None:
            try:
                self._keeper.ask_to_stop(name, grace_s)
            except Unavailable:
                entry.asked_s = None
                raise

        return ask

    def _finish(self, release_id: str) -> None:
        """Remove what is left of a release whose process is gone."""
        shutil.rmtree(launching.Folders(self._roster.home, release_id).root, ignore_errors=True)
        self._roster.finish(release_id)
