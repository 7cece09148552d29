"""The ``Runtime`` of one machine: releases are children of the keeper, and one thread looks at them."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence

from companyos.core.artifacts import ArtifactStore
from companyos.core.clock import Clock
from companyos.core.errors import InvalidInput, Unavailable
from companyos.core.home import Home
from companyos.core.ids import is_uuid
from companyos.core.keeper import Keeper
from companyos.delivery.adapters.background import Background
from companyos.delivery.adapters.local.logs import tail
from companyos.delivery.adapters.local.probe import probe
from companyos.delivery.adapters.local.roster import Roster
from companyos.delivery.adapters.local.tending import FAST_S, Answer, Tending
from companyos.delivery.environments import Environments
from companyos.delivery.model import Instance
from companyos.delivery.ports import Launch


class LocalRuntime:
    """Runs releases as processes on 127.0.0.1; what runs already is adopted as it is.

    Of several for one home, in one process or in many, one acts; when it is closed or dies another one does. All of
    them may be asked, and all show the same.
    """

    def __init__(
        self,
        home: Home,
        artifacts: ArtifactStore,
        keeper: Keeper,
        clock: Clock,
        environments: Environments | None = None,
    ) -> None:
        """Take the home, what it runs from, the keeper that runs it and the clock; the user's environments usually.

        Raises Unavailable when the home cannot be used.
        """
        try:
            self._roster = Roster(home, clock)
        except OSError as fault:
            raise Unavailable(
                f"{home.run} cannot be used: {fault.strerror or fault}.", next_step="Give this user the right to write."
            ) from fault
        self._tending = Tending(self._roster, artifacts, keeper, environments or Environments())
        self._background = Background("runtime", self._look)
        self._background.start()

    def start(self, launch: Launch) -> None:
        """Have a release run; see ``Runtime.start``. Raises InvalidInput for an id that is none, Unavailable."""
        if not is_uuid(launch.release_id):
            raise InvalidInput(f"{launch.release_id[:60]!r} is no id of a release.", field="release_id")
        self._roster.start(launch)
        self._background.hurry()

    def stop(self, release_id: str, drain_s: float) -> None:
        """Have a release not run; see ``Runtime.stop``. Raises Unavailable when that cannot be put on record."""
        if is_uuid(release_id):
            self._roster.stop(release_id, drain_s)
            self._background.hurry()

    def instances(self) -> Mapping[str, Instance]:
        """Return every release that runs, is prepared, stops or was given up."""
        with self._roster.lock:
            return {release_id: entry.instance() for release_id, entry in self._roster.entries.items()}

    def log_tail(self, release_id: str, lines: int) -> Sequence[str]:
        """Return the last lines that a release wrote, oldest first, at most 2,000 characters each."""
        return tail(self._roster.log(release_id), lines) if is_uuid(release_id) else ()

    def close(self) -> None:
        """End the threads; the releases go on."""
        if self._background.close():
            self._roster.close()

    async def _look(self) -> None:
        """Look until it is closed. A release that hangs holds up its own probe and nothing else."""
        probes: dict[str, tuple[int, asyncio.Task[str]]] = {}
        while not self._background.ended:
            done = {release_id for release_id, (_, task) in probes.items() if task.done()}
            answers = {
                release_id: Answer(probes[release_id][0], probes.pop(release_id)[1].result()) for release_id in done
            }
            try:
                asks = await asyncio.to_thread(self._tending.tick, answers)
                pace_s = self._tending.pace_s()
            except Exception:  # noqa: BLE001 - a thread that ended would leave every release as it was last seen
                asks, pace_s = [], FAST_S
            for ask in asks:
                if ask.release_id not in probes:
                    task = asyncio.create_task(probe(ask.address, ask.path))
                    probes[ask.release_id] = (ask.epoch, task)
            await self._background.wait(pace_s)
        for _, task in probes.values():
            task.cancel()
        await asyncio.gather(*(task for _, task in probes.values()), return_exceptions=True)
