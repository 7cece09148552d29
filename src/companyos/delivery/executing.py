"""Doing what was decided. Each action is done at least once and has its effect once, whenever the process is killed.

What changes the database is done in the transaction that also marks it as done. What changes the world outside asks for
a state ("this runs", "that has this weight") and is marked as done when the world is so.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Final

import msgspec

from companyos.core.errors import CompanyOSError
from companyos.delivery import action_store, planning, store
from companyos.delivery.actions import (
    Attest,
    CaptureDiagnostics,
    OpenIncident,
    RecordRunning,
    SetWeight,
    StartBaseline,
    StartCandidate,
    StopBaseline,
    StopCandidate,
)
from companyos.delivery.effects import Effects
from companyos.delivery.ports import Launch

if TYPE_CHECKING:
    from sqlalchemy import Connection

    from companyos.delivery.action_store import Owed
    from companyos.delivery.looking import Look, Watch
    from companyos.delivery.ports import Route, Runtime, Traffic
    from companyos.ledger import Journal

_TRAFFIC: Final = (StartBaseline, SetWeight)
_AFTER_TRAFFIC: Final = (RecordRunning, Attest, StopCandidate, StopBaseline)
"""These wait until every earlier change of the traffic is done; nothing else waits for anything."""
_LOG_LINES: Final = 40
_AGAIN_S: Final = 2.0
"""How long an action rests after it failed."""
_REVIVE_S: Final = 10.0
"""How long a stable release that was given up rests before it is started again: there is nothing to go back to."""

_log = logging.getLogger(__name__)


class Executor:
    """Does actions, one at a time."""

    def __init__(
        self,
        journal: Journal,
        runtime: Runtime,
        traffic: Traffic,
        effects: Effects,
        *,
        crash: Callable[[str], None] = lambda _point: None,
    ) -> None:
        """Take what actions act on; ``crash`` is told each point that has a name."""
        self._journal = journal
        self._runtime = runtime
        self._traffic = traffic
        self._effects = effects
        self._crash = crash
        self._rest: dict[tuple[str, int], float] = {}
        self._revived: dict[str, float] = {}

    def leaving(self, owed: Iterable[Owed]) -> frozenset[str]:
        """Return the releases that are to be stopped next, so that no route may name them."""
        listed = list(owed)
        return frozenset(
            debt.release_id for debt in listed if isinstance(debt.action, StopCandidate) and not _waits(debt, listed)
        )

    def start(self, stored: store.Stored, look: Look) -> None:
        """Have a release run; a stable one that was given up is tried again now and then."""
        instance = look.instances.get(stored.id)
        if instance is not None and instance.state == "failed" and stored.stable:
            since = self._revived.setdefault(stored.id, look.monotonic)
            if look.monotonic - since >= _REVIVE_S:
                del self._revived[stored.id]
                _log.warning("stable release started again", extra={"release": stored.release.name})
                self._runtime.stop(stored.id, 0.0)
            return
        if instance is None:
            self._runtime.start(self._launch(stored))

    def confirm(self, stored: store.Stored, look: Look) -> None:
        """Tell the catalog that a release that is ready still runs."""
        instance = look.instances.get(stored.id)
        if instance is None or instance.state != "ready":
            return
        try:
            with self._journal.write(self._effects.caller, unchanged_ok=True) as change:
                self._effects.have(change, RecordRunning(), stored)
        except CompanyOSError as fault:
            _log.warning("not confirmed", extra={"release": stored.release.name, "fault": str(fault)})

    def do(self, debt: Owed, owed: Sequence[Owed], watch: Watch, look: Look, routes: Sequence[Route]) -> bool:
        """Return whether the action is done now; one that waits or has failed is tried again by a later tick."""
        key = (debt.release_id, debt.number)
        if _waits(debt, owed) or self._rest.get(key, float("-inf")) > look.monotonic:
            return False
        point = f"{watch.stored.state.phase}.{debt.action.__struct_config__.tag}"
        self._crash(f"{point}.before")
        try:
            done = self._try(debt, watch, look, routes, point)
        except (CompanyOSError, OSError) as fault:
            self._rest[key] = look.monotonic + _AGAIN_S
            name = watch.stored.release.name
            _log.warning("action failed", extra={"release": name, "point": point, "fault": str(fault)})
            return False
        if done:
            self._rest.pop(key, None)
            self._crash(f"{point}.done")
        return done

    def _try(self, debt: Owed, watch: Watch, look: Look, routes: Sequence[Route], point: str) -> bool:
        result = self._outside(debt, watch, look, routes)
        if result is not None:
            if result.pop("waits", False):
                return False
            self._crash(f"{point}.effect")
            with self._journal.database.write() as connection:
                self._finish(connection, debt, watch, result)
            return True
        with self._journal.write(self._effects.caller, unchanged_ok=True) as change:
            self._finish(change.connection, debt, watch, self._effects.have(change, debt.action, watch.stored))
            self._crash(f"{point}.effect")
            recorded = bool(change.entries)
        if not recorded:
            # Everything was so already, and a transaction without a record is undone: the mark is made on its own.
            with self._journal.database.write() as connection:
                self._finish(connection, debt, watch, {})
        return True

    def _outside(self, debt: Owed, watch: Watch, look: Look, routes: Sequence[Route]) -> dict[str, Any] | None:
        """Ask the world outside for a state and return the result, ``{"waits": True}`` while it is not so.

        None means that the action is not about the world outside.
        """
        stored = watch.stored
        baseline = stored.release.baseline
        result: dict[str, Any] | None = None
        match debt.action:
            case StartCandidate():
                self.start(stored, look)
                result = {}
            case StartBaseline():
                instance = look.instances.get(baseline.release_id) if baseline else None
                result = {"waits": instance is None or instance.state != "ready"}
            case SetWeight(number=number):
                result = self._weight(number, stored, look, routes)
            case CaptureDiagnostics():
                result = self._diagnostics(debt, watch, look)
            case StopCandidate():
                result = self._stop(stored.id, stored, routes)
            case StopBaseline():
                result = self._stop(baseline.release_id, stored, routes) if baseline else {}
            case _:
                pass
        return result

    @staticmethod
    def _weight(number: int, stored: store.Stored, look: Look, routes: Sequence[Route]) -> dict[str, Any]:
        release = stored.release
        route = next((route for route in routes if route.service == release.service), None)
        if route is None:
            # Only a first release that goes back leaves its service without a route.
            return {"waits": release.baseline is not None or planning.weight_of(stored.state) > 0}
        if route.rollout != release.id:
            return {"waits": stored.in_flight or stored.stable}
        return {"waits": True} if route.number < number else {"applied_at": look.at.isoformat()}

    def _stop(self, release_id: str, stored: store.Stored, routes: Sequence[Route]) -> dict[str, Any]:
        named = {arm.release_id for route in routes for arm in (route.stable, route.canary) if arm is not None}
        if release_id in named:
            return {"waits": True}
        self._runtime.stop(release_id, stored.release.policy.drain_s)
        return {}

    def _diagnostics(self, debt: Owed, watch: Watch, look: Look) -> dict[str, Any]:
        stored = watch.stored
        counters = self._traffic.counters()
        baseline = stored.release.baseline
        arms = {"canary": stored.id, **({"stable": baseline.release_id} if baseline else {})}
        instance = look.instances.get(stored.id)
        return {
            **debt.result,
            "captured_at": look.at.isoformat(),
            "log_tail": list(self._runtime.log_tail(stored.id, _LOG_LINES)),
            "counters": {arm: counters[release_id] for arm, release_id in arms.items() if release_id in counters},
            "process": msgspec.to_builtins(instance) if instance is not None else {},
            "metrics_snapshot": self._effects.metrics_snapshot(stored),
        }

    def _finish(self, connection: Connection, debt: Owed, watch: Watch, result: Mapping[str, Any]) -> None:
        """Mark an action as done, with what pages show of it."""
        action_store.finish(connection, debt, self._journal.clock.now(), dict(result))
        shown: dict[str, Any] = {}
        if isinstance(debt.action, OpenIncident) and "incident_id" in result:
            shown["incident_id"] = result["incident_id"]
        if isinstance(debt.action, SetWeight) and watch.stored.state.phase == "rollback_pending":
            shown["seconds_to_rollback"] = _seconds_to_rollback(watch, self._journal.clock.now().timestamp())
        if shown:
            snapshot = msgspec.structs.replace(watch.stored.snapshot, **shown)
            watch.stored = msgspec.structs.replace(watch.stored, snapshot=snapshot)
            store.save_snapshot(connection, watch.stored)

    def _launch(self, stored: store.Stored) -> Launch:
        release, policy = stored.release, stored.release.policy
        return Launch(
            release_id=release.id,
            service=release.service,
            version=release.version,
            environment=release.environment,
            digest=release.digest,
            flags=self._effects.flags_of(stored),
            memory_mb=policy.memory_mb,
            open_files=policy.open_files,
            start_timeout_s=policy.start_timeout_s,
            crash_loop_restarts=policy.crash_loop_restarts,
        )


def _waits(debt: Owed, owed: Collection[Owed]) -> bool:
    if not isinstance(debt.action, _AFTER_TRAFFIC):
        return False
    return any(
        other.release_id == debt.release_id and other.number < debt.number and isinstance(other.action, _TRAFFIC)
        for other in owed
    )


def _seconds_to_rollback(watch: Watch, now: float) -> float:
    """Return the seconds from the first failed request until the traffic was moved.

    Without a failed one it is the first slow request that counts, and without that the decision.
    """
    first = watch.totals.first_error_at or watch.first_slow_at or watch.stored.state.since
    return round(max(0.0, now - first.timestamp()), 3)
