"""What one instance is, decided from what was seen of it: ready, not ready, or given up. Pure.

``starting`` becomes ``ready`` with the first 200; three failures in a row make that ``unready``, and the next 200 makes
it ready again. From each of them it is ``failed`` after too long without a 200, too many ends, or too much memory.
"""

from __future__ import annotations

from typing import Final, Literal, TypeAlias

import msgspec

from companyos.delivery.model import InstanceState
from companyos.delivery.ports import Launch

Failure: TypeAlias = Literal["refused", "crash_loop", "not_ready", "out_of_memory", ""]
PROBE_FAILURES: Final = 3
"""So many failed probes in a row make a ready instance unready."""
CRASH_WINDOW_S: Final = 60.0
_ENDS_KEPT: Final = 100
WATCHED: Final[frozenset[InstanceState]] = frozenset({"starting", "ready", "unready"})
"""The states in which a process is expected to run."""


class Watch(msgspec.Struct, frozen=True, kw_only=True):
    """What is known of one instance. Times are monotonic seconds."""

    state: InstanceState = "preparing"
    failure: Failure = ""
    reason: str = ""
    began: float
    """When the state began."""
    ever_ready: bool = False
    failures: int = 0
    """Failed probes in a row."""
    restarts: int = 0
    """All restarts of the release."""
    counted: int = 0
    """Restarts that the keeper had counted at the last look; it begins anew with a new child."""
    ends: tuple[float, ...] = ()
    """When the process ended by itself, the last minute only."""


class Seen(msgspec.Struct, frozen=True, kw_only=True):
    """One look at the process of an instance."""

    runs: bool
    restarts: int = 0
    """As counted by the keeper."""
    last_exit: str = ""
    """How the last run ended, for example ``exit 1``."""
    last_line: str = ""
    """The last line of its log."""
    probe: str | None = None
    """What its readiness said against it, in one sentence without a full stop; empty for a 200, None when not asked."""
    memory_mb: float | None = None


def look(watch: Watch, seen: Seen, launch: Launch, now: float) -> Watch:
    """Return what the instance is after this look. Only a watched one changes."""
    if watch.state not in WATCHED:
        return watch
    if seen.memory_mb is not None and seen.memory_mb > launch.memory_mb:
        return give_up(
            watch,
            "out_of_memory",
            f"It took {seen.memory_mb:.0f} MB of memory, and its limit is {launch.memory_mb} MB.",
            now,
        )
    before = watch.restarts
    watch = _count_ends(watch, seen, now)
    if crash := _crash_loop(watch, seen, launch, now):
        return give_up(watch, "crash_loop", crash, now)
    if not seen.runs:
        ended = f"It ended{_with(seen.last_exit)} and is started again."
        watch = _moved(watch, "unready" if watch.state == "ready" else watch.state, ended, now)
    elif watch.restarts != before:
        pass  # What was asked before the restart was answered by another process.
    elif seen.probe == "":
        return msgspec.structs.replace(_moved(watch, "ready", "", now), ever_ready=True, failures=0)
    elif seen.probe is not None:
        watch = _probe_failed(watch, seen.probe, now)
    return _in_time(watch, seen, launch, now)


def give_up(watch: Watch, failure: Failure, reason: str, now: float) -> Watch:
    """Return the instance as failed, for this reason."""
    return msgspec.structs.replace(watch, state="failed", failure=failure, reason=reason, began=now)


def started(watch: Watch, now: float) -> Watch:
    """Return the instance with a process that was just started."""
    return msgspec.structs.replace(watch, state="starting", reason="It is starting.", began=now, failures=0, counted=0)


def lost(watch: Watch, reason: str, launch: Launch, now: float) -> Watch:
    """Return the instance whose process is gone for good, to be prepared anew; too many of those are a crash loop."""
    ends = (*watch.ends, now)[-_ENDS_KEPT:]
    watch = msgspec.structs.replace(watch, restarts=watch.restarts + 1, ends=ends, counted=0)
    if crash := _crash_loop(watch, Seen(runs=False), launch, now):
        return give_up(watch, "crash_loop", crash, now)
    return msgspec.structs.replace(watch, state="preparing", reason=reason, began=now, failures=0)


def waits(watch: Watch, reason: str) -> Watch:
    """Return the instance that cannot be prepared yet, for this reason."""
    return msgspec.structs.replace(watch, reason=reason)


def _count_ends(watch: Watch, seen: Seen, now: float) -> Watch:
    new = seen.restarts - watch.counted if seen.restarts >= watch.counted else seen.restarts
    ends = tuple(end for end in watch.ends if now - end <= CRASH_WINDOW_S) + (now,) * new
    if not new and ends == watch.ends and watch.counted == seen.restarts:
        return watch
    watch = msgspec.structs.replace(
        watch, restarts=watch.restarts + new, counted=seen.restarts, ends=ends[-_ENDS_KEPT:]
    )
    if new and watch.state == "ready":
        return _moved(watch, "unready", f"It ended{_with(seen.last_exit)} and was started again.", now)
    return watch


def _crash_loop(watch: Watch, seen: Seen, launch: Launch, now: float) -> str:
    limit = launch.crash_loop_restarts
    last = f"last with {seen.last_exit}" if seen.last_exit else "how is not known"
    if len(watch.ends) >= limit:
        within = max(1.0, now - watch.ends[0])
        return f"It ended {len(watch.ends)} times within {within:.0f} s, {last}{_quoted(seen.last_line)}"
    if not watch.ever_ready and watch.restarts >= limit:
        return f"It ended {watch.restarts} times and was never ready, {last}{_quoted(seen.last_line)}"
    return ""


def _probe_failed(watch: Watch, probe: str, now: float) -> Watch:
    failures = watch.failures + 1
    state: InstanceState = "unready" if watch.state == "ready" and failures >= PROBE_FAILURES else watch.state
    reason = watch.reason if state == "ready" else f"{probe}."
    return msgspec.structs.replace(_moved(watch, state, reason, now), failures=failures)


def _in_time(watch: Watch, seen: Seen, launch: Launch, now: float) -> Watch:
    if watch.state == "ready" or now - watch.began <= launch.start_timeout_s:
        return watch
    what = "Not ready within" if watch.state == "starting" else "Not ready any more for"
    why = watch.reason.removesuffix(".") or "its readiness was never asked"
    reason = f"{what} {launch.start_timeout_s:g} s: {why}{_quoted(seen.last_line)}"
    return give_up(watch, "not_ready", reason, now)


def _moved(watch: Watch, state: InstanceState, reason: str, now: float) -> Watch:
    if (state, reason) == (watch.state, watch.reason):
        return watch
    began = watch.began if state == watch.state else now
    return msgspec.structs.replace(watch, state=state, reason=reason, began=began)


def _with(last_exit: str) -> str:
    return f" ({last_exit})" if last_exit else ""


def _quoted(line: str) -> str:
    return f"; its log ends with: {line}" if line else "."
