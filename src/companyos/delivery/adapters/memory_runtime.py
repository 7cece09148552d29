"""The ``Runtime`` of tests: no processes, a clock, and a script that says what each release does."""

from __future__ import annotations

import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final, Literal, TypeAlias

import msgspec

from companyos.core.clock import Clock
from companyos.delivery.adapters.local.instance import Failure
from companyos.delivery.model import Instance, InstanceState
from companyos.delivery.ports import Launch

Fate: TypeAlias = Literal["runs", "never_ready", "exits", "out_of_memory", "refused"]
_State: TypeAlias = tuple[InstanceState, str, int]
"""With its reason, and the restarts."""
_FIRST_PORT: Final = 20_001
_RESTARTS_S: Final = (0.25, 0.5, 1.0, 2.0, 4.0, 8.0, 16.0)
"""What the keeper waits before each restart in a row; 30 s from then on."""
_LONGEST_RESTART_S: Final = 30.0
_FAILURES: Final[dict[Fate, Failure]] = {
    "never_ready": "not_ready",
    "exits": "crash_loop",
    "out_of_memory": "out_of_memory",
    "refused": "refused",
}


class Script(msgspec.Struct, frozen=True, kw_only=True):
    """What a release does. Times are seconds of the clock, counted from its start."""

    fate: Fate = "runs"
    prepare_s: float = 0.0
    ready_s: float = 0.0
    """From the end of the preparation; with the fate ``out_of_memory``, the time until then."""
    reason: str = "The artifact sha256:… is damaged."
    """Of ``refused``."""
    drains_s: float = 0.0
    """How long it takes to stop; at most what it is given."""
    cpu_ratio: float = 0.05
    memory_mb: float = 64.0
    log: tuple[str, ...] = ("It listens.",)


@dataclass(slots=True)
class _Run:
    launch: Launch
    began: float
    at: datetime
    port: int
    stop_at: float | None = None
    wanted: bool = True
    unready: str = ""
    """Why its readiness fails, when a test says so."""
    shown: tuple[InstanceState, datetime] | None = None


class MemoryRuntime:
    """Releases that go through the same states as real ones, as their scripts and the clock say."""

    def __init__(self, clock: Clock, usual: Script | None = None) -> None:
        """Take the clock, and what a release does that ``does`` says nothing about."""
        self._clock = clock
        self._usual = usual or Script()
        self._scripts: dict[str, Script] = {}
        self._runs: dict[str, _Run] = {}
        self._ports: dict[str, int] = {}
        self._lock = threading.Lock()
        self.started: list[str] = []
        """The releases that were really started, in their order; a second ``start`` of what runs adds nothing."""
        self.stopped: list[tuple[str, float]] = []
        """The releases that were really asked to stop, with what they were given."""

    # --- the script -----------------------------------------------------------------------------------------------

    def does(self, release_id: str, script: Script) -> None:
        """Have a release do this, also one that runs already."""
        with self._lock:
            self._scripts[release_id] = script

    def fails_readiness(self, release_id: str, reason: str) -> None:
        """Have a release that runs be ``unready`` for a reason; an empty one has it be ready again."""
        with self._lock:
            self._runs[release_id].unready = reason

    def forget(self, release_id: str) -> None:
        """Have a release be gone all at once, as after a crash of the machine."""
        with self._lock:
            self._runs.pop(release_id, None)

    # --- the port -------------------------------------------------------------------------------------------------

    def start(self, launch: Launch) -> None:
        """Have a release run from now on."""
        with self._lock:
            self._settle()
            run = self._runs.get(launch.release_id)
            if run is not None:
                run.wanted, run.launch = True, launch
                return
            self._begin(launch)

    def stop(self, release_id: str, drain_s: float) -> None:
        """Have a release not run; it is gone after what its script takes, at most ``drain_s``."""
        with self._lock:
            self._settle()
            run = self._runs.get(release_id)
            if run is None:
                return
            takes_s = min(self._script(release_id).drains_s, drain_s)
            if run.stop_at is None:
                self.stopped.append((release_id, drain_s))
            ends = self._clock.monotonic() + takes_s
            run.stop_at = ends if run.stop_at is None else min(run.stop_at, ends)
            run.wanted = False
            self._settle()

    def instances(self) -> Mapping[str, Instance]:
        """Return every release as it is at this moment of the clock."""
        with self._lock:
            self._settle()
            return {release_id: self._instance(run) for release_id, run in self._runs.items()}

    def log_tail(self, release_id: str, lines: int) -> Sequence[str]:
        """Return the end of the log in the script of a release that was started once."""
        with self._lock:
            return self._script(release_id).log[-lines:] if lines > 0 and release_id in self.started else ()

    def close(self) -> None:
        """End nothing; there is no thread."""

    def _begin(self, launch: Launch) -> None:
        self.started.append(launch.release_id)
        port = self._ports.setdefault(launch.release_id, _FIRST_PORT + len(self._ports))
        self._runs[launch.release_id] = _Run(launch, self._clock.monotonic(), self._clock.now(), port)

    def _settle(self) -> None:
        """Let be gone what has stopped, and begin anew what is wanted again."""
        now = self._clock.monotonic()
        for release_id, run in tuple(self._runs.items()):
            if run.stop_at is not None and run.stop_at <= now:
                del self._runs[release_id]
                if run.wanted:
                    self._begin(run.launch)

    def _script(self, release_id: str) -> Script:
        return self._scripts.get(release_id, self._usual)

    def _instance(self, run: _Run) -> Instance:
        script, launch = self._script(run.launch.release_id), run.launch
        age = self._clock.monotonic() - run.began - script.prepare_s
        state, reason, restarts = self._state(run, script, age)
        if run.shown is None or run.shown[0] != state:
            run.shown = (state, self._clock.now())
        alive = state in {"starting", "ready", "unready"} or state == "stopping"
        memory_mb = script.memory_mb if alive else None
        return Instance(
            release_id=launch.release_id,
            state=state,
            failure=_FAILURES[script.fate] if state == "failed" else "",
            reason=reason,
            address=("127.0.0.1", run.port) if alive else None,
            pid=run.port if alive else None,
            restarts=restarts,
            since=run.shown[1],
            cpu_ratio=script.cpu_ratio if alive else None,
            memory_ratio=round(memory_mb / launch.memory_mb, 4) if memory_mb is not None else None,
            memory_mb=memory_mb,
        )

    def _state(self, run: _Run, script: Script, age: float) -> _State:
        if run.stop_at is not None:
            return "stopping", "It finishes what it has begun.", 0
        if age < 0:
            return "preparing", "It is being prepared.", 0
        limit_s, limit_mb = run.launch.start_timeout_s, run.launch.memory_mb
        match script.fate:
            case "refused":
                found: _State = ("failed", script.reason, 0)
            case "exits":
                found = _exits(run.launch.crash_loop_restarts, age)
            case "never_ready" if age > limit_s:
                found = ("failed", f"Not ready within {limit_s:g} s: GET /ready answered 503.", 0)
            case "never_ready":
                found = ("starting", "GET /ready answered 503.", 0)
            case "out_of_memory" if age >= script.ready_s:
                found = ("failed", f"It took {limit_mb + 1} MB of memory, and its limit is {limit_mb} MB.", 0)
            case "runs" if age < script.ready_s:
                found = ("starting", "It is starting.", 0)
            case _:
                found = ("unready", run.unready, 0) if run.unready else ("ready", "", 0)
        return found


def _exits(limit: int, age: float) -> _State:
    """Return the state of a release that ends as soon as it is started."""
    restarts, at = 0, 0.0
    while restarts < limit:
        at += _RESTARTS_S[restarts] if restarts < len(_RESTARTS_S) else _LONGEST_RESTART_S
        if at > age:
            return "starting", "It ended (exit 1) and is started again.", restarts
        restarts += 1
    return "failed", f"It ended {restarts} times and was never ready, last with exit 1.", restarts
