"""The threads that prepare releases and start them: one per release, because an environment may take minutes."""

from __future__ import annotations

import threading
from typing import Final

from companyos.core.artifacts import ArtifactStore
from companyos.core.errors import CompanyOSError, Unavailable
from companyos.core.keeper import ChildStatus, Keeper
from companyos.delivery.adapters import listening
from companyos.delivery.adapters.local import instance, launching
from companyos.delivery.adapters.local.entry import Entry, runs
from companyos.delivery.adapters.local.roster import Roster
from companyos.delivery.environments import Environments

RETRY_S: Final = 0.5
"""After a part could not be had that may be there soon."""


class Preparing:
    """Prepares releases for the entries of one roster."""

    def __init__(self, roster: Roster, artifacts: ArtifactStore, keeper: Keeper, environments: Environments) -> None:
        """Take what is needed to prepare."""
        self._roster = roster
        self._artifacts = artifacts
        self._keeper = keeper
        self._environments = environments

    def begin(self, release_id: str, epoch: int) -> threading.Thread:
        """Return the thread that prepares a release, which runs."""
        thread = threading.Thread(
            target=self._run, args=(release_id, epoch), name=f"prepare-{release_id[-12:]}", daemon=True
        )
        thread.start()
        return thread

    def _run(self, release_id: str, epoch: int) -> None:
        try:
            self._prepare(release_id, epoch)
        except (Unavailable, OSError) as fault:
            self._later(release_id, epoch, str(fault))
        except CompanyOSError as fault:
            self._refuse(release_id, epoch, str(fault))
        except Exception as fault:  # noqa: BLE001 - a thread that only ended would leave the release prepared for ever
            self._refuse(release_id, epoch, f"It could not be prepared: {fault!r}.")
        finally:
            self._roster.left(release_id)

    def _prepare(self, release_id: str, epoch: int) -> None:
        entry = self._roster.current(release_id, epoch)
        if entry is None:
            return
        child = self._child(release_id)
        if runs(child) and entry.record.port is not None and entry.record.run is not None:
            self._began(entry, child, epoch)  # An earlier process started it and could not say so any more.
            return
        if child is not None:
            self._keeper.stop(child.name, 0.0)
        launch, folders = entry.record.launch, launching.Folders(self._roster.home, release_id)
        prepared = launching.prepare(
            launch,
            folders,
            self._artifacts,
            self._environments,
            lambda: self._roster.current(release_id, epoch) is None,
        )
        port = listening.free_port(self._roster.ports())
        if (known := self._roster.update(release_id, epoch, port=port, run=prepared.run, pid=None)) is None:
            return
        spec = launching.spec_of(launch, folders, prepared, port, known.record.drain_s)
        self._began(known, self._keeper.start(spec).child, epoch)

    def _began(self, entry: Entry, child: ChildStatus | None, epoch: int) -> None:
        now = self._roster.clock.monotonic()
        pid = child.pid if child is not None else None
        with self._roster.lock:
            watch = instance.started(entry.watch, now)
            if self._roster.update(entry.record.launch.release_id, epoch, watch=watch, pid=pid) is not None:
                entry.tried_at = None
                entry.epoch += 1  # A list of children from before this start does not have it.

    def _later(self, release_id: str, epoch: int, fault: str) -> None:
        """Try again soon; give up when that has lasted as long as a start may take."""
        entry = self._roster.current(release_id, epoch)
        if entry is None:
            return
        now = self._roster.clock.monotonic()
        entry.tried_at = now if entry.tried_at is None else entry.tried_at
        entry.retry_at = now + RETRY_S
        limit_s = entry.record.launch.start_timeout_s
        if now - entry.tried_at > limit_s:
            reason = f"It could not be prepared within {limit_s:g} s: {fault}"
            self._roster.update(release_id, epoch, watch=instance.give_up(entry.watch, "not_ready", reason, now))
        else:
            self._roster.update(release_id, epoch, watch=instance.waits(entry.watch, fault))

    def _refuse(self, release_id: str, epoch: int, reason: str) -> None:
        entry = self._roster.current(release_id, epoch)
        if entry is not None:
            now = self._roster.clock.monotonic()
            self._roster.update(release_id, epoch, watch=instance.give_up(entry.watch, "refused", reason, now))

    def _child(self, release_id: str) -> ChildStatus | None:
        name = launching.child_name(release_id)
        return next((child for child in self._keeper.children() if child.name == name), None)
