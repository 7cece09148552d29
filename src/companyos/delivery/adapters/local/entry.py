"""One release in the memory of the runtime: its record on disk, its watch, and what was last seen of its processes."""

from __future__ import annotations

import threading
from dataclasses import dataclass
from datetime import datetime

import msgspec

from companyos.core.keeper import ChildStatus
from companyos.delivery.adapters.listening import HOST
from companyos.delivery.adapters.local.instance import WATCHED, Watch
from companyos.delivery.adapters.local.records import Record, Stamp
from companyos.delivery.adapters.local.sampling import Sample
from companyos.delivery.model import Instance, InstanceState


@dataclass(slots=True)
class Entry:
    """What is known of one release. Only changed under the runtime's lock."""

    record: Record
    watch: Watch
    stamp: Stamp | None = None
    """Of the file from which the record was read."""
    written: Record | None = None
    """What this file says."""
    stopping: bool = False
    """From when it is not wanted until its process is gone, also when it is wanted again meanwhile."""
    epoch: int = 0
    """Counts the starts, so that a look at an earlier process says nothing about this one."""
    probed_at: float | None = None
    """Monotonic time at which its readiness was asked last."""
    retry_at: float = 0.0
    """Monotonic time at which a start that failed for want of something is tried again."""
    tried_at: float | None = None
    """Monotonic time of the first such failure in a row."""
    asked_s: float | None = None
    """The grace with which its process was last asked to stop."""
    sample: Sample | None = None
    worker: threading.Thread | None = None
    """The thread that prepares it."""

    @property
    def state(self) -> InstanceState:
        """What is said about it: one that is not wanted any more stops, whatever it was."""
        return "stopping" if self.stopping else self.watch.state

    def kept(self, now: datetime) -> Record:
        """Return what the record should say."""
        watch = self.watch
        return msgspec.structs.replace(
            self.record,
            state=self.state,
            since=self.record.since if self.record.state == self.state else now,
            failure=watch.failure,
            reason=watch.reason,
            ever_ready=watch.ever_ready,
            restarts=watch.restarts,
            counted=watch.counted,
        )

    def instance(self) -> Instance:
        """Return it as the port shows it."""
        record, watch, state = self.record, self.watch, self.state
        runs = state in WATCHED or (state == "stopping" and record.pid is not None)
        usage = self.sample.usage if self.sample and runs else None
        return Instance(
            release_id=record.launch.release_id,
            state=state,
            failure=watch.failure if state == "failed" else "",
            reason=watch.reason if state != "stopping" else "It finishes what it has begun.",
            address=(HOST, record.port) if runs and record.port is not None else None,
            pid=record.pid if runs else None,
            restarts=watch.restarts,
            since=record.since,
            cpu_ratio=self.sample.cpu_ratio if self.sample and runs else None,
            memory_ratio=round(usage.memory_mb / record.launch.memory_mb, 4) if usage else None,
            memory_mb=round(usage.memory_mb, 1) if usage else None,
        )


def adopted(record: Record, stamp: Stamp | None, monotonic: float) -> Entry:
    """Return the entry of a release that an earlier process has begun, with new patience for what is not ready."""
    watch = Watch(
        state="preparing" if record.state == "stopping" else record.state,
        failure=record.failure,
        reason=record.reason,
        began=monotonic,
        ever_ready=record.ever_ready,
        restarts=record.restarts,
        counted=record.counted,
    )
    return Entry(record, watch, stamp, record, stopping=record.state == "stopping" or not record.wanted)


def runs(child: ChildStatus | None) -> bool:
    """Return whether the keeper's child has a process that was not asked to end."""
    return child is not None and child.state == "running"
