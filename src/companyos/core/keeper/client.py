"""The asking side: what ``up``, ``down``, ``status`` and the server say to the keeper of their home."""

from __future__ import annotations

import fcntl
import os
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Final, NamedTuple

from companyos.core.errors import Unavailable
from companyos.core.keeper import process, state
from companyos.core.keeper.place import Place, address
from companyos.core.keeper.protocol import (
    REQUEST_S,
    VERSION,
    ChildSpec,
    ChildStatus,
    Refused,
    decode,
    encode,
    receive_line,
    spec_to_json,
    status_from_json,
)

START_S: Final = 20.0
DEFAULT_GRACE_S: Final = 10.0
_POLL_S: Final = 0.05
_KILL_MARGIN_S: Final = 5.0


class Started(NamedTuple):
    """The answer to ``start``: the child, and whether this call started it."""

    child: ChildStatus
    fresh: bool


class Keeper:
    """The keeper of one home. Every method raises Unavailable when it cannot be reached or refuses."""

    def __init__(self, run: Path, logs: Path) -> None:
        """Take the run and log folders of the home; nothing is started."""
        self._place = Place(run.absolute(), logs.absolute())

    @property
    def log(self) -> Path:
        """The keeper's own log."""
        return self._place.log

    def runs(self) -> bool:
        """Return whether a keeper lives for this home, reachable or not: a living one holds the lock."""
        try:
            descriptor = os.open(self._place.lock, os.O_RDWR | os.O_CLOEXEC)
        except OSError:
            return False
        try:
            fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except BlockingIOError:
            return True
        finally:
            os.close(descriptor)
        return False

    def left_behind(self) -> bool:
        """Return whether children of a keeper run, which the next one would adopt if theirs is gone."""
        try:
            records = state.read(self._place.state)
        except Refused:
            return False
        return any(process.runs(record.pid, record.started) for record in records)

    def ensure(self) -> bool:
        """Start a keeper when none runs, and return whether that was needed. Callers may race: one keeper results."""
        if self._answers():
            return False
        try:
            result = subprocess.run(  # noqa: S603 - our own module, by absolute paths
                [sys.executable, "-P", "-m", "companyos.core.keeper", str(self._place.run), str(self._place.logs)],
                stdin=subprocess.DEVNULL,
                capture_output=True,
                timeout=START_S,
                check=False,
                cwd="/",
            )
        except (OSError, subprocess.TimeoutExpired) as fault:
            raise Unavailable(
                f"The keeper could not be started: {fault}.", next_step=f"Look into {self._place.log}."
            ) from fault
        if result.returncode != 0 or not _wait_for(self._answers, START_S):
            last = result.stderr.decode("utf-8", "replace").strip().splitlines()[-1:]
            raise Unavailable(
                f"The keeper did not start{': ' + last[0] if last else ''}.", next_step=f"Look into {self._place.log}."
            )
        return True

    def pid(self) -> int:
        """Return the keeper's process id."""
        return int(str(self._ask({"do": "ping"})["pid"]))

    def start(self, spec: ChildSpec) -> Started:
        """Start a child, or find the one of this name that runs already and leave it as it is."""
        answer = self._ask({"do": "start", "spec": spec_to_json(spec)})
        child = answer.get("child")
        return Started(status_from_json(child if isinstance(child, dict) else {}), fresh=answer.get("started") is True)

    def stop(self, name: str, grace_s: float = DEFAULT_GRACE_S) -> bool:
        """End a child (SIGTERM to its group, SIGKILL after the grace); return when it is gone, False when unknown."""
        if not self.ask_to_stop(name, grace_s):
            return False
        if not _wait_for(lambda: all(child.name != name for child in self.children()), grace_s + _KILL_MARGIN_S):
            raise Unavailable(f"{name} does not end, even after SIGKILL.", next_step=f"Look into {self._place.log}.")
        return True

    def ask_to_stop(self, name: str, grace_s: float = DEFAULT_GRACE_S) -> bool:
        """Begin what ``stop`` does and return at once, False when the child is unknown; again may shorten the grace."""
        return self._ask({"do": "stop", "name": name, "grace_s": grace_s}).get("found") is True

    def children(self) -> tuple[ChildStatus, ...]:
        """Return every child, by name."""
        children = self._ask({"do": "list"}).get("children")
        return tuple(status_from_json(child) for child in children) if isinstance(children, list) else ()

    def shutdown(self, grace_s: float = DEFAULT_GRACE_S) -> None:
        """End every child and the keeper, and return when all are gone."""
        self._ask({"do": "shutdown", "grace_s": grace_s})
        if not _wait_for(lambda: not self.runs(), grace_s + _KILL_MARGIN_S):
            raise Unavailable("The keeper does not end.", next_step=f"Look into {self._place.log}.")

    def _answers(self) -> bool:
        try:
            version = self._ask({"do": "ping"}).get("version")
        except Unavailable:
            return False
        if version != VERSION:
            raise Unavailable(
                f"The running keeper speaks version {version} of its protocol, this command {VERSION}.",
                next_step="End it with the release that started it (companyos down), then start again.",
            )
        return True

    def _ask(self, request: dict[str, object]) -> dict[str, object]:
        path = address(self._place)
        if path is None:
            raise Unavailable("No keeper runs for this home.", next_step="Start it with: companyos up")
        try:
            with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as connection:
                connection.settimeout(REQUEST_S)
                connection.connect(str(path))
                connection.sendall(encode(request))
                answer = decode(receive_line(connection, REQUEST_S))
        except (FileNotFoundError, ConnectionRefusedError) as fault:
            raise Unavailable("No keeper runs for this home.", next_step="Start it with: companyos up") from fault
        except (OSError, Refused) as fault:
            raise Unavailable(
                f"The keeper does not answer: {fault}.", next_step=f"Look into {self._place.log}."
            ) from fault
        if answer.get("ok") is not True:
            raise Unavailable(str(answer.get("fault")), next_step=f"Look into {self._place.log}.")
        return answer


def _wait_for(condition: Callable[[], bool], within_s: float) -> bool:
    deadline = time.monotonic() + within_s
    while not condition():
        if time.monotonic() >= deadline:
            return False
        time.sleep(_POLL_S)
    return True
