"""The children of one keeper: starting, adopting, watching and ending them."""

from __future__ import annotations

import os
import signal
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from companyos.core.keeper import logs, process, state
from companyos.core.keeper.protocol import ChildSpec, ChildStatus, Refused, State, environment_hash
from companyos.core.keeper.spawn import spawn
from companyos.core.keeper.supervise import Backoff, RestartAt, after_exit

CHILDREN_LIMIT: Final = 256
POLL_S: Final = 0.25 if sys.platform == "linux" else 1.0
"""How often adopted children are looked at; the system reports the end of own children by itself."""
ROTATE_S: Final = 5.0

Report = Callable[..., None]
"""Writes an event to the keeper's log: a constant text and its fields."""


@dataclass(slots=True)
class _Child:
    spec: ChildSpec
    env_hash: str = ""
    """Of the environment with which ``pid`` was started."""
    pid: int | None = None
    started: str | None = None
    """The start time of ``pid`` in the system's terms."""
    adopted: bool = False
    began: float = 0.0
    """Monotonic time of the start."""
    since: float = 0.0
    """Wall-clock time at which the present state began."""
    restarts: int = 0
    failures: int = 0
    restart_at: float | None = None
    kill_at: float | None = None
    """Set while it is being stopped."""
    killed: bool = False
    last_exit: str | None = None
    env_known: bool = True

    @property
    def state(self) -> State:
        if self.kill_at is not None:
            return "stopping"
        if self.pid is not None:
            return "running"
        return "ended" if self.restart_at is None else "waiting"


class Children:
    """All children, and the state file that says who they are."""

    def __init__(self, state_file: Path, report: Report, backoff: Backoff | None = None) -> None:
        self._file = state_file
        self._report = report
        self._backoff = backoff or Backoff()
        self._children: dict[str, _Child] = {}
        self._polled_at = 0.0
        self._rotated_at = 0.0
        self._closing = False

    def adopt(self) -> None:
        """Take over every child of an earlier keeper that still runs, and list the others as ended.

        A state file that cannot be understood is set aside: nothing in it may be signalled.
        """
        try:
            records = state.read(self._file)
        except Refused as fault:
            aside = self._file.with_name(f"{self._file.name}.unreadable")
            self._file.replace(aside)
            self._report("state file set aside", fault=str(fault), path=str(aside))
            return
        for record in records:
            child = _Child(
                spec=record.spec,
                env_hash=record.env_hash,
                began=time.monotonic(),
                since=record.since,
                restarts=record.restarts,
                env_known=False,
            )
            if process.runs(record.pid, record.started):
                child.pid, child.started, child.adopted = record.pid, record.started, True
                self._remember_environment(child, process.initial_environment(record.pid))
            else:
                child.last_exit = "while no keeper ran"
            self._children[record.spec.name] = child
            event = "child adopted" if child.adopted else "child found ended"
            self._report(event, name=record.spec.name, pid=record.pid)

    def start(self, spec: ChildSpec) -> tuple[ChildStatus, bool]:
        """Return the child of this name and whether it was started by this call; a running one is left as it is.

        Raises Refused when it cannot be started, is being stopped, or the keeper is ending.
        """
        if self._closing:
            raise Refused("The keeper is ending.")
        child = self._children.get(spec.name)
        if child is not None and child.state == "stopping":
            raise Refused(f"{spec.name} is being stopped.")
        if child is not None and child.pid is not None:
            if not child.env_known:
                child.spec, child.env_known = child.spec._replace(env=spec.env), True
            return self._status(child), False
        if child is None and len(self._children) >= CHILDREN_LIMIT:
            raise Refused(f"The keeper keeps at most {CHILDREN_LIMIT} children.")
        child = _Child(spec=spec, restarts=0 if child is None else child.restarts)
        self._launch(child)
        self._children[spec.name] = child
        return self._status(child), True

    def stop(self, name: str, grace_s: float | None) -> bool:
        """Ask a child to end, and return False when there is none of this name; it disappears once it has ended."""
        child = self._children.get(name)
        if child is None:
            return False
        if child.pid is None:
            self._forget(child)
            return True
        kill_at = time.monotonic() + (child.spec.grace_s if grace_s is None else grace_s)
        if child.kill_at is None:
            child.since = time.time()
            self._signal(child, signal.SIGTERM)
            self._report("child asked to stop", name=name, pid=child.pid)
        # A second request may shorten the patience of the first and never lengthens it.
        child.kill_at = kill_at if child.kill_at is None else min(child.kill_at, kill_at)
        return True

    def close(self, grace_s: float | None = None) -> None:
        """Ask every child to end, each with its own grace when none is given, and start none any more."""
        self._closing = True
        for name in tuple(self._children):
            self.stop(name, grace_s)

    @property
    def closed(self) -> bool:
        """Return whether ``close`` was called and every child has ended."""
        return self._closing and not self._children

    def statuses(self) -> list[ChildStatus]:
        """Return every child, by name."""
        return [self._status(self._children[name]) for name in sorted(self._children)]

    def tick(self) -> float:
        """Do whatever is due and return the seconds until something may be due again."""
        now = time.monotonic()
        poll = now - self._polled_at >= POLL_S
        if poll:
            self._polled_at = now
        for child in tuple(self._children.values()):
            if child.pid is not None:
                self._watch(child, now, poll=poll)
            elif child.restart_at is not None and child.restart_at <= now:
                self._restart(child, now)
        if now - self._rotated_at >= ROTATE_S:
            self._rotated_at = now
            for child in self._children.values():
                logs.rotate(Path(child.spec.log))
        return self._idle_s(time.monotonic())

    def _idle_s(self, now: float) -> float:
        due = [now + ROTATE_S]
        for child in self._children.values():
            if child.restart_at is not None:
                due.append(child.restart_at)
            if child.kill_at is not None and not child.killed:
                due.append(child.kill_at)
            if child.pid is not None and (child.adopted or child.kill_at is not None):
                due.append(now + POLL_S)
        return max(0.0, min(due) - now)

    def _watch(self, child: _Child, now: float, *, poll: bool) -> None:
        exit_text = self._ended(child, poll=poll)
        if exit_text is None:
            if child.kill_at is not None and not child.killed and now >= child.kill_at:
                self._signal(child, signal.SIGKILL)
                child.killed = True
                self._report("child killed", name=child.spec.name, pid=child.pid)
            return
        self._report("child ended", name=child.spec.name, pid=child.pid, exit=exit_text)
        # A child is its process group: helpers that outlive their leader would hold its ports and files.
        if child.pid is not None and process.start_time(child.pid) is None:
            process.send_group(child.pid, signal.SIGKILL)
        child.pid, child.started, child.adopted, child.last_exit = None, None, False, exit_text
        child.since = time.time()
        if child.kill_at is not None:
            self._forget(child)
            return
        self._after_exit(child, now)
        self._save()

    def _after_exit(self, child: _Child, now: float) -> None:
        decision = after_exit(
            child.spec.restart,
            failures=child.failures,
            ran_s=now - child.began,
            now=now,
            startable=child.env_known,
            backoff=self._backoff,
        )
        if isinstance(decision, RestartAt):
            child.restart_at, child.failures = decision.at, decision.failures
        else:
            self._report("child rests", name=child.spec.name, reason=decision.reason)

    @staticmethod
    def _signal(child: _Child, number: signal.Signals) -> None:
        # An own child keeps its process id until it is waited for; an adopted one may be gone and its id used again.
        if child.pid is not None and (not child.adopted or process.runs(child.pid, child.started)):
            process.send(child.pid, number)

    def _ended(self, child: _Child, *, poll: bool) -> str | None:
        """Return how a child ended, None while it runs."""
        if child.pid is None:
            return None
        if child.adopted:
            return "unseen" if poll and not process.runs(child.pid, child.started) else None
        try:
            ended, status = os.waitpid(child.pid, os.WNOHANG)
        except ChildProcessError:
            return "unseen"
        return describe_exit(os.waitstatus_to_exitcode(status)) if ended else None

    def _restart(self, child: _Child, now: float) -> None:
        child.restart_at = None
        child.restarts += 1
        try:
            self._launch(child)
        except Refused as fault:
            self._report("child not started", name=child.spec.name, fault=str(fault))
            child.last_exit, child.began = str(fault), now
            self._after_exit(child, now)

    def _launch(self, child: _Child) -> None:
        def record(pid: int) -> None:
            child.pid, child.started = pid, process.start_time(pid)
            child.began, child.since, child.env_hash = time.monotonic(), time.time(), environment_hash(child.spec.env)
            self._save(child)

        try:
            pid = spawn(child.spec, record)
        except BaseException as fault:
            child.pid = child.started = None
            if isinstance(fault, OSError):
                raise Refused(f"{self._file} cannot be written: {fault.strerror}.") from fault
            raise
        self._report("child started", name=child.spec.name, pid=pid)

    def _forget(self, child: _Child) -> None:
        del self._children[child.spec.name]
        self._save()

    def _save(self, newcomer: _Child | None = None) -> None:
        """Write the state file; a fault is raised only for a newcomer, which must not run unrecorded."""
        by_name = dict(self._children)
        if newcomer is not None:
            by_name[newcomer.spec.name] = newcomer
        records = [
            state.record_of(
                child.spec,
                env_hash=child.env_hash,
                pid=child.pid,
                started=child.started,
                since=child.since,
                restarts=child.restarts,
            )
            for child in by_name.values()
            if child.pid is not None and child.started is not None
        ]
        try:
            state.write(self._file, records)
        except OSError as fault:
            if newcomer is not None:
                raise
            self._report("state file not written", fault=str(fault))

    @staticmethod
    def _remember_environment(child: _Child, env: dict[str, str] | None) -> None:
        if env is not None and environment_hash(env) == child.env_hash:
            child.spec, child.env_known = child.spec._replace(env=env), True

    @staticmethod
    def _status(child: _Child) -> ChildStatus:
        return ChildStatus(
            name=child.spec.name,
            state=child.state,
            pid=child.pid,
            argv=child.spec.argv,
            log=child.spec.log,
            since=child.since,
            restarts=child.restarts,
            adopted=child.adopted,
            last_exit=child.last_exit,
        )


def describe_exit(code: int) -> str:
    """Return the words for an exit code as ``os.waitstatus_to_exitcode`` gives it, for example ``signal SIGKILL``."""
    if code >= 0:
        return f"exit {code}"
    try:
        return f"signal {signal.Signals(-code).name}"
    except ValueError:
        return f"signal {-code}"
