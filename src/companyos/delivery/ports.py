"""What delivery needs from outside: something that runs versions, and something that divides traffic between them.

Each port has a real adapter and an in-memory twin in ``adapters``; ``tests/delivery/contract`` runs on both. Calls ask
and return soon; what takes time happens in the adapter's own threads, and the next look tells how it went.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, NamedTuple, Protocol

import msgspec

from companyos.delivery.model import Instance


class Launch(msgspec.Struct, frozen=True, kw_only=True):
    """What is needed to run one release."""

    release_id: str
    service: str
    version: str
    environment: str
    digest: str
    """Of the artifact, which is read from the artifact store and proven before anything of it is used."""
    flags: dict[str, bool] = {}
    """The flags of the service, which it gets to see as ``FLAG_<KEY>``."""
    memory_mb: int
    open_files: int
    start_timeout_s: float
    crash_loop_restarts: int


class Runtime(Protocol):
    """Runs versions as supervised processes. Every method may be called again with the same effect."""

    def start(self, launch: Launch) -> None:
        """Have this release run; one that runs, is being prepared or has failed is left as it is. Returns at once.

        What cannot run (an altered artifact, an environment that does not match) ends as ``failed`` with a reason.
        """
        ...

    def stop(self, release_id: str, drain_s: float) -> None:
        """Have this release not run: SIGTERM, ``drain_s`` to finish, then SIGKILL. Returns at once; unknown is fine."""
        ...

    def instances(self) -> Mapping[str, Instance]:
        """Return every release that this runtime runs, prepares, stops or has given up, by its id."""
        ...

    def log_tail(self, release_id: str, lines: int) -> Sequence[str]:
        """Return the last lines that the release wrote, oldest first; none when nothing is kept."""
        ...

    def close(self) -> None:
        """End the adapter's own threads; what runs goes on and is adopted by the next adapter."""
        ...


class Target(msgspec.Struct, frozen=True, kw_only=True):
    """One arm of a service on the router."""

    release_id: str
    host: str
    port: int


class Route(msgspec.Struct, frozen=True, kw_only=True):
    """How the traffic of one service is divided."""

    service: str
    rollout: str
    """The id of the release whose weights these are: the candidate's, or the stable one's when there is none."""
    number: int
    """The interval of the weight; ``(rollout, number)`` comes back with every request."""
    stable: Target
    canary: Target | None = None
    canary_ratio: float = 0.0
    """0..1, counted in thousandths."""
    timeout_s: float = 15.0


class Request(NamedTuple):
    """One request of a user, as the router's access log has it. A retry is the same request."""

    at: float
    """When it began, seconds since the epoch."""
    service: str
    rollout: str
    number: int
    release_id: str
    """The release that answered, or should have."""
    forced: bool
    """Whether ``x-canary`` chose the arm."""
    status: int
    """0 when the connection broke before an answer."""
    duration_ms: float
    key: str
    """The session (``x-session-id``), else the trace, else the request itself: what errors are de-duplicated by."""
    trace_id: str
    method: str
    path: str

    @property
    def failed(self) -> bool:
        """Whether the user did not get an answer of the service: 5xx, or none at all."""
        return self.status >= 500 or self.status == 0  # noqa: PLR2004 - RFC 9110, server errors


class Batch(msgspec.Struct, frozen=True, kw_only=True):
    """What ``Traffic.read`` returns."""

    requests: tuple[Request, ...]
    position: str
    """Where the next read continues; opaque, kept by the caller so that a crash loses and repeats nothing."""
    lost: str | None = None
    """Why requests are missing, in one sentence: the log is gone, or it stays behind the router's own counters."""
    in_flight: Mapping[str, int] = {}
    """Requests that the router waits for, by release id; from the last look at its counters."""


class Traffic(Protocol):
    """Divides requests between the versions of services."""

    def apply(self, routes: Sequence[Route]) -> None:
        """Make the router do exactly this, for all services together, and return when it does.

        New targets are added and seen before a route names them; a target that no route names any more is removed
        after its route. A change of weights alone takes milliseconds. Raises Unavailable when the router cannot be
        reached; the files that it reads are written all the same, so that it does this once it is there.
        """
        ...

    def applied(self) -> tuple[Route, ...]:
        """Return what the router was last told, also by an earlier process; empty before the first time."""
        ...

    def read(self, position: str | None) -> Batch:
        """Return the requests that ended since ``position``, at most some ten thousand; None begins with what is new.

        Never raises for a lost source: it says so in the batch.
        """
        ...

    def counters(self) -> Mapping[str, Any]:
        """Return the router's counters per release, for diagnostics; empty when it cannot be asked."""
        ...

    def address(self) -> tuple[str, int] | None:
        """Return host and port on which users reach the services, None while the router does not run."""
        ...

    def close(self) -> None:
        """End the adapter's own threads; the router goes on."""
        ...


class CheckResult(msgspec.Struct, frozen=True, kw_only=True):
    """How the smoke checks of one release went."""

    release_id: str
    at: datetime
    passed: bool
    failure: str = ""
    """One sentence that names the check, what was expected and what came."""
    duration_ms: float


class Prober(Protocol):
    """Calls the smoke checks of running releases, each every ``interval_s``."""

    def watch(self, release_id: str, address: tuple[str, int], digest: str, interval_s: float) -> None:
        """Check this release from now on, with the smoke file of its artifact; again changes nothing."""
        ...

    def forget(self, release_id: str) -> None:
        """Check this release no more."""
        ...

    def results(self) -> Sequence[CheckResult]:
        """Return the results since the last call, oldest first."""
        ...

    def close(self) -> None:
        """End the adapter's own threads."""
        ...
