"""The controller: looks at the world, lets the machine decide, writes that down, and sees that it is done.

One tick is: read the router's log, let each release in flight decide in memory, write all of it in one transaction
together with the place where reading stopped, then route, then do what is owed. So a controller that is killed at any
point finds either nothing of a tick or all of it, and what is owed is done by the next one. Nothing else moves traffic.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Any, Final, NamedTuple

import msgspec

from companyos.core.access import Caller, Verdict
from companyos.core.errors import CompanyOSError, Unavailable
from companyos.delivery import action_store, machine, recording, store, tick_store
from companyos.delivery.executing import Executor
from companyos.delivery.looking import NO_FACTS, Facts, Look, Watch
from companyos.delivery.model import FINAL, Observation
from companyos.delivery.permitting import Permission
from companyos.delivery.recording import Decided, Overtaken
from companyos.delivery.routing import desired_routes, may_run, should_run

if TYPE_CHECKING:
    from sqlalchemy import Connection

    from companyos.delivery.ports import Prober, Route, Runtime, Traffic
    from companyos.ledger import Change, Journal
    from companyos.operations import Operations

CALLER: Final = Caller(subject="system:delivery")
POSITION: Final = "access-log"
BUSY_S: Final = 0.05
"""Between two ticks while a release is in flight or something is owed."""
IDLE_S: Final = 0.25
_FLUSH_S: Final = 1.0
_REFRESH_S: Final = 1.0
_IDLE_FLUSH_S: Final = 30.0
_SWEEP_S: Final = 5.0
_LEFTOVER_DRAIN_S: Final = 15.0
_ROUTE_AGAIN_S: Final = 1.0
PROMOTED: Final = frozenset({"promoted", "steady"})
"""The phases behind a promotion."""
_CONFIRM_S: Final = 300.0
"""The catalog is told again that what is stable still runs; it writes that down once an hour."""

_log = logging.getLogger(__name__)


class Adapters(NamedTuple):
    """The outside of delivery."""

    runtime: Runtime
    traffic: Traffic
    prober: Prober


class Controller:
    """Follows every release of a home; one process at a time has one."""

    def __init__(
        self,
        journal: Journal,
        adapters: Adapters,
        operations: Operations,
        executor: Executor,
        *,
        crash: Callable[[str], None] = lambda _point: None,
    ) -> None:
        """Take the journal, the adapters and what does the actions; ``crash`` is told each point that has a name."""
        self._journal = journal
        self._runtime, self._traffic, self._prober = adapters
        self._operations = operations
        self._executor = executor
        self._permission = Permission(journal)
        self._crash = crash
        self._probed: set[str] = set()
        self.forget()

    def forget(self) -> None:
        """Forget everything that is in memory; the next tick begins from what is written down."""
        self._watches: dict[str, Watch] = {}
        self._facts: Facts = NO_FACTS
        self._owed: list[action_store.Owed] = []
        self._position: str | None = None
        self._size = -1
        self._begun = False
        self._refreshed = self._flushed = self._swept = self._confirmed = float("-inf")
        for release_id in self._probed:
            self._prober.forget(release_id)
        self._probed = set()
        self._routes: tuple[Route, ...] = ()
        self._route_again = float("-inf")

    def tick(self) -> float:
        """Do what is due and return the seconds until the next tick.

        Raises CompanyOSError or OSError when a part of the world is not there; then call ``forget`` and come again.
        """
        if not self._begun:
            self._begin()
        look = self._look()
        self._refresh(look)
        decided = self._decide(look)
        self._write(decided, look)
        for one in decided:
            self._crash(f"{one.step.state.phase}.decided")
        self._route(look)
        self._keep_running(look)
        if self._owed:
            self._do(look)
        return BUSY_S if self._busy else IDLE_S

    @property
    def _busy(self) -> bool:
        return bool(self._owed) or any(watch.stored.in_flight for watch in self._watches.values())

    # --- looking ------------------------------------------------------------------------------------------------------

    def _begin(self) -> None:
        with self._journal.read() as connection:
            self._position = tick_store.position(connection, POSITION)
        try:
            self._routes = tuple(self._traffic.applied())
        except Unavailable as fault:
            _log.warning("routes unknown", extra={"fault": str(fault)})
        self._begun = True

    def _look(self) -> Look:
        batch = self._traffic.read(self._position)
        requests: dict[str, list[Any]] = {}
        for request in batch.requests:
            requests.setdefault(request.service, []).append(request)
        checks: dict[str, list[Any]] = {}
        for result in self._prober.results():
            checks.setdefault(result.release_id, []).append(result)
        clock = self._journal.clock
        return Look(
            at=clock.now(),
            monotonic=clock.monotonic(),
            instances=self._runtime.instances(),
            requests=requests,
            position=batch.position,
            lost=batch.lost,
            in_flight=batch.in_flight,
            checks=checks,
            routes=self._routes,
        )

    def _refresh(self, look: Look) -> None:
        """Read again what others may have written: when the ledger has grown, and now and then because time passes."""
        size = self._journal.size()
        if size != self._size or look.monotonic - self._refreshed >= _REFRESH_S:
            self._read_again(look, size)

    def _read_again(self, look: Look, size: int) -> None:
        with self._journal.read() as connection:
            live = store.live(connection)
            self._owed = action_store.owed(connection)
            self._facts = self._hear(connection, live)
            known = {one.id for one in live}
            for one in live:
                watch = self._watches.get(one.id)
                if watch is not None and watch.stored.revision > one.revision:
                    raise Overtaken(f"The release {one.id} is older than it was.", next_step="Verify the database.")
                if watch is None or watch.stored.revision < one.revision:
                    self._watches[one.id] = Watch(one, tick_store.last_tick(connection, one.id), look)
                elif watch.stored.stable != one.stable:
                    watch.stored = msgspec.structs.replace(watch.stored, stable=one.stable)
        for gone in set(self._watches) - known:
            del self._watches[gone]
        self._size, self._refreshed = size, look.monotonic

    def _hear(self, connection: Connection, live: Iterable[store.Stored]) -> Facts:
        commands: dict[str, list[Any]] = {}
        for command in action_store.open_commands(connection):
            commands.setdefault(command.release_id, []).append(command)
        flying = [one for one in live if one.in_flight]
        alerts = {
            service: tuple(sorted({alert.name for alert in self._operations.firing_alerts(connection, service)}))
            for service in {one.release.service for one in flying}
        }
        holds = {one.id: self._operations.active_holds(connection, f"release:{one.release.name}") for one in flying}
        return Facts(
            commands={release_id: tuple(asked) for release_id, asked in commands.items()},
            alerts=alerts,
            holds={release_id: found[0].reason for release_id, found in holds.items() if found},
        )

    # --- deciding -----------------------------------------------------------------------------------------------------

    def _decide(self, look: Look) -> list[Decided]:
        decided = []
        for watch in self._watches.values():
            stored = watch.stored
            if stored.state.phase in FINAL and stored.id not in self._facts.commands:
                continue
            owing = sum(debt.release_id == stored.id for debt in self._owed)
            observation, step, verdict = self._step(watch, look, owing)
            important = step.move is not None or bool(step.actions) or bool(observation.commands)
            watch.ticks += watch.recorder.add(stored.state, step, observation, look.at)
            if important:
                decided.append(Decided(watch, step, observation, verdict))
            else:
                watch.stored = msgspec.structs.replace(stored, state=step.state)
        return decided

    def _step(self, watch: Watch, look: Look, owing: int) -> tuple[Observation, machine.Step, Verdict | None]:
        """Return what is seen and decided; a promotion that the policy denies is decided again, knowing that."""
        release, state = watch.stored.release, watch.stored.state
        observation = watch.observe(look, self._facts, owing, self._permission.standing(release, look.monotonic))
        step = machine.step(state, observation, release.policy, look.at)
        if step.state.phase not in PROMOTED or state.phase in PROMOTED or state.back_to == "promoted":
            return observation, step, None
        verdict = self._permission.ask(release, look.monotonic)
        if verdict.allowed:
            return observation, step, verdict
        denied = self._permission.standing(release, look.monotonic)
        observation = watch.told(msgspec.structs.replace(observation, promotion_denied=denied))
        return observation, machine.step(state, observation, release.policy, look.at), None

    def _write(self, decided: list[Decided], look: Look) -> None:
        every = _FLUSH_S if self._busy else _IDLE_FLUSH_S
        if not decided and look.monotonic - self._flushed < every:
            self._position = look.position
            return
        moved = any(one.step.move is not None for one in decided)
        if moved:
            with self._journal.write(CALLER) as change:
                self._write_all(change.connection, change, decided, look)
        else:
            # Nothing changed its phase: what was seen is written down without a record of its own.
            with self._journal.database.write() as connection:
                self._write_all(connection, None, decided, look)
        self._position, self._flushed = look.position, look.monotonic
        if decided:
            # A decision may have moved another release too: which one is stable is read before anything is routed.
            self._read_again(look, self._journal.size())

    def _write_all(self, connection: Connection, change: Change | None, decided: list[Decided], look: Look) -> None:
        for one in decided:
            recording.write(connection, change, one, look)
        busy = {one.watch.stored.id for one in decided}
        for watch in self._watches.values():
            if watch.stored.id not in busy:
                watch.stored = recording.shown(watch, watch.stored, look)
                for one in decided:
                    watch.stored = recording.replaced(watch.stored, one.watch.stored)
                if not store.save_snapshot(connection, watch.stored):
                    raise Overtaken(f"{watch.stored.id} was decided by somebody else.", next_step="Run one controller.")
            # Requests that are counted in the state must be in the record too, wherever the process is killed.
            watch.ticks += watch.recorder.flush_counts()
            tick_store.add_ticks(connection, watch.stored.id, watch.ticks)
            watch.ticks.clear()
        tick_store.put_position(connection, POSITION, look.position, look.at)

    # --- acting -------------------------------------------------------------------------------------------------------

    @property
    def _live(self) -> list[store.Stored]:
        return [watch.stored for watch in self._watches.values()]

    def _route(self, look: Look) -> None:
        """Have the router do what is written down; one that does not do it is asked again a moment later."""
        leaving = self._executor.leaving(self._owed)
        wanted = desired_routes(self._live, self._runtime.instances(), self._routes, leaving=leaving)
        if wanted == self._routes or look.monotonic < self._route_again:
            return
        self._crash("route.before")
        try:
            self._traffic.apply(wanted)
        except CompanyOSError as fault:
            self._route_again = look.monotonic + _ROUTE_AGAIN_S
            _log.warning("router does not obey", extra={"fault": str(fault)})
            return
        self._routes = wanted
        self._crash("route.after")

    def _keep_running(self, look: Look) -> None:
        live = self._live
        for stored in should_run(live):
            self._executor.start(stored, look)
        self._probe(look)
        if look.monotonic - self._swept >= _SWEEP_S:
            self._swept = look.monotonic
            for leftover in set(look.instances) - may_run(live) - self._spoken_for():
                if look.instances[leftover].state != "stopping":
                    self._runtime.stop(leftover, _LEFTOVER_DRAIN_S)
        if look.monotonic - self._confirmed >= _CONFIRM_S:
            self._confirmed = look.monotonic
            moving = {one.release.service for one in live if one.in_flight}
            for stored in live:
                if stored.stable and stored.release.service not in moving:
                    self._executor.confirm(stored, look)

    def _spoken_for(self) -> set[str]:
        """Return the releases that a route still names, and those that an action that is owed will stop in its turn."""
        arms = [arm for route in self._routes for arm in (route.stable, route.canary) if arm is not None]
        found = {arm.release_id for arm in arms}
        for debt in self._owed:
            found.add(debt.release_id)
            watch = self._watches.get(debt.release_id)
            if watch is not None and watch.stored.release.baseline is not None:
                found.add(watch.stored.release.baseline.release_id)
        return found

    def _probe(self, look: Look) -> None:
        """Check both arms of every release in flight."""
        wanted: dict[str, store.Stored] = {}
        for stored in self._live:
            if stored.in_flight and stored.state.phase != "rollback_pending":
                wanted[stored.id] = stored
                baseline = stored.release.baseline
                if baseline is not None and baseline.release_id in self._watches:
                    wanted[baseline.release_id] = self._watches[baseline.release_id].stored
        for stored in wanted.values():
            instance = look.instances.get(stored.id)
            if instance is not None and instance.address is not None and instance.state in {"ready", "unready"}:
                interval_s = stored.release.policy.synthetic_interval_s
                self._prober.watch(stored.id, instance.address, stored.release.digest, interval_s)
        for gone in self._probed - set(wanted):
            self._prober.forget(gone)
        self._probed = set(wanted)

    def _do(self, look: Look) -> None:
        for debt in list(self._owed):
            watch = self._watches.get(debt.release_id)
            if watch is not None and self._executor.do(debt, self._owed, watch, look, self._routes):
                self._owed.remove(debt)
