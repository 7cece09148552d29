"""The real parts: a keeper, Envoy, services as processes, and a controller that is killed at points with a name."""

from __future__ import annotations

import contextlib
import http.client
import json
import os
import select as waiting
import signal
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Final, Literal, Self

from sqlalchemy import Table, select

from companyos.catalog import Catalog
from companyos.core.client import noted_controller
from companyos.core.home import Home
from companyos.core.keeper import Keeper
from companyos.core.settings import Settings
from companyos.delivery.crashing import VARIABLE
from companyos.delivery.model import CommandKind, FlagChange, Phase
from companyos.delivery.policy import ReleasePolicy
from companyos.delivery.service import Delivery
from companyos.delivery.view import Detail
from companyos.evidence import Evidence
from companyos.ledger import Record, open_journal
from tests.faults.service import artifact
from tests.pillar import person, records
from tests.program import end_all

Fate = Literal["runs", "fails", "slow", "never_ready", "exits", "hangs", "hangs_for_users", "leaks"]
FLAG: Final = "new-cart"
QUICK: Final = ReleasePolicy(
    steps=(50.0, 100.0),
    hold_s=0.3,
    bake_s=0.3,
    bake_old_percent=10.0,
    resume_after_s=0.1,
    min_requests=5,
    start_timeout_s=8.0,
    drain_s=1.0,
    memory_mb=96,
    p95_ms_max=5000.0,
    p95_floor_ms=1000.0,
    saturation_ratio_max=1.0,
    crash_loop_restarts=2,
)
"""Fast, and deaf to how slow a busy machine makes a service."""
LIMIT_S: Final = 60.0
_POLL_S: Final = 0.01


class Users:
    """Clients that never stop: one thread per service, each request on a kept connection."""

    def __init__(self, address: tuple[str, int], services: Sequence[str], *, pause_s: float = 0.002) -> None:
        self._address, self._pause_s = address, pause_s
        self._ended = threading.Event()
        self.answers: list[tuple[str, int, str]] = []
        """Service, status (0: no answer) and the version that answered."""
        self._threads = [threading.Thread(target=self._use, args=(service,)) for service in services]

    def __enter__(self) -> Self:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._ended.set()
        for thread in self._threads:
            thread.join()

    def statuses(self) -> Counter[int]:
        """Return how often each status came."""
        return Counter(status for _, status, _ in tuple(self.answers))

    def versions(self, since: int = 0) -> Counter[str]:
        """Return how often each version answered."""
        return Counter(version for _, _, version in tuple(self.answers[since:]))

    def _use(self, service: str) -> None:
        connection = http.client.HTTPConnection(*self._address, timeout=20)
        while not self._ended.wait(self._pause_s):
            try:
                connection.request("GET", "/", headers={"host": service})
                response = connection.getresponse()
                self.answers.append((service, response.status, response.read().decode("latin-1")))
            except (OSError, http.client.HTTPException):
                connection.close()
                self.answers.append((service, 0, ""))
        connection.close()


class Nursery:
    """One process that forks controllers."""

    def __init__(self) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-m", "tests.faults.nursery"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            bufsize=1,
            cwd=Path(__file__).parents[2],
        )

    def start(self, environment: Mapping[str, str]) -> int:
        """Start a controller and return its process id."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(json.dumps(dict(environment)) + "\n")
        return int(self._process.stdout.readline())

    def ended(self, within_s: float = 0.0) -> int | None:
        """Return how the controller has ended, as a negative signal or an exit code; None while it runs."""
        assert self._process.stdout is not None
        if not waiting.select([self._process.stdout], [], [], within_s)[0]:
            return None
        return os.waitstatus_to_exitcode(int(self._process.stdout.readline()))

    def close(self) -> None:
        """End it; no controller may run any more."""
        assert self._process.stdin is not None
        self._process.stdin.close()
        self._process.wait(10)
        if self._process.stdout is not None:
            self._process.stdout.close()


class Platform:
    """One home. The controller is started, killed and started again by the test."""

    def __init__(self, path: Path, environments: Path, *, keeper: bool = True, **settings: Any) -> None:
        self.settings = Settings(home=str(path), traffic_port=0, **settings)
        self.home: Home = self.settings.folder.create()
        self.journal = open_journal(self.settings)
        self.delivery = Delivery(self.journal)
        self.evidence = Evidence(self.journal)
        self.catalog = Catalog(self.journal)
        self.keeper = Keeper(self.home.run, self.home.logs)
        if keeper:
            self.keeper.ensure()
        self.olga = person("olga", "operator", "admin")
        self.pending: list[str] = []
        """Points at which the controller is yet to be killed, in their order."""
        self.killed: list[str] = []
        self.pid: int | None = None
        self._aim = ""
        self.environment = {
            "COMPANYOS_HOME": str(path),
            "COMPANYOS_TRAFFIC_PORT": "0",
            "COMPANYOS_DATABASE_URL": self.settings.database_url,
            "XDG_CACHE_HOME": str(environments),
            "CONTROLLER_LOG": str(self.home.logs / "controller.log"),
        }
        self._nursery = Nursery()

    # --- the controller -----------------------------------------------------------------------------------------------

    def start(self) -> None:
        """Start the controller, which dies at the next point."""
        self._aim = self.pending.pop(0) if self.pending else ""
        self.pid = self._nursery.start({**self.environment, VARIABLE: self._aim})

    def look(self) -> None:
        """Start the controller again when it has died where it should."""
        if self.pid is None or (code := self._nursery.ended()) is None:
            return
        self.pid = None
        assert (code, bool(self._aim)) == (-signal.SIGKILL, True), f"the controller ended with {code}: {self.log()}"
        self.killed.append(self._aim)
        self.start()

    def kill_at(self, points: Sequence[str]) -> None:
        """Have the controller be killed at these points, one after the other, from now on."""
        self.pending = list(points)
        self.stop(signal.SIGKILL)
        self.start()

    def until_killed(self) -> None:
        """Wait until the controller was killed everywhere where it should be, and lives."""
        with contextlib.suppress(AssertionError):
            self.until(lambda: not self._aim, "the last death", within_s=10.0)
        left = [*([self._aim] if self._aim else []), *self.pending]
        if left:
            self.kill_at([])
        assert left == [], f"never reached; {self.log()}"

    def stop(self, number: signal.Signals = signal.SIGTERM) -> None:
        """End the controller."""
        if self.pid is not None:
            with contextlib.suppress(ProcessLookupError):
                os.kill(self.pid, number)
            assert self._nursery.ended(20.0) is not None, "the controller does not end"
            self.pid = None

    def log(self) -> str:
        """Return the end of what the controller wrote."""
        with contextlib.suppress(OSError):
            return (self.home.logs / "controller.log").read_text()[-3000:]
        return ""

    def until(self, condition: Callable[[], object], what: str, within_s: float = LIMIT_S) -> None:
        """Wait, and start the controller again whenever it dies as it should."""
        deadline = time.monotonic() + within_s
        while not condition():
            self.look()
            assert time.monotonic() < deadline, f"{what} did not happen; {self.log()}"
            time.sleep(_POLL_S)

    # --- people -------------------------------------------------------------------------------------------------------

    def put(self, service: str, version: str, fate: Fate = "runs", *, signed: bool = True) -> str:
        """Return the digest of an artifact whose service is in the catalog."""
        with self.journal.read() as connection:
            known = self.catalog.has_service(connection, service)
        if not known:
            self.catalog.add(self.olga, service, {})
        digest = self.evidence.put_artifact(self.olga, artifact(service, version, fate, FLAG)).digest
        return self.evidence.sign_artifact(self.olga, digest).digest if signed else digest

    def deploy(
        self, service: str, version: str, fate: Fate = "runs", *, policy: ReleasePolicy = QUICK, flags: bool = False
    ) -> str:
        """Deploy a version and return the id of its release."""
        wanted = (FlagChange(key=FLAG),) if flags else ()
        digest = self.put(service, version, fate)
        return self.delivery.deploy(self.olga, digest=digest, policy=policy, flags=wanted).id

    def steady(self, service: str, version: str = "1.0", *, policy: ReleasePolicy = QUICK) -> str:
        """Deploy a version, let it become the stable one, and return the id of its release."""
        made = self.deploy(service, version, policy=policy)
        self.until_phase(made, "steady")
        return made

    def ask(self, release_id: str, kind: CommandKind, reason: str = "because") -> None:
        """Ask something of a release."""
        self.delivery.command(self.olga, release_id, kind, reason=reason)

    def show(self, release_id: str) -> Detail:
        """Return all that is known of a release."""
        return self.delivery.get_release(self.olga, release_id)

    def until_phase(self, release_id: str, *phases: Phase, within_s: float = LIMIT_S) -> Detail:
        """Wait until a release is in one of these phases and nothing is owed, and return it."""

        def settled() -> bool:
            shown = self.show(release_id)
            return shown.state in phases and not shown.actions_open

        self.until(settled, f"{' or '.join(phases)} of {release_id}", within_s)
        return self.show(release_id)

    # --- what came of it ----------------------------------------------------------------------------------------------

    @property
    def address(self) -> tuple[str, int]:
        """Where users reach the services."""

        def known() -> bool:
            note = noted_controller(self.home)
            return note is not None and note.traffic is not None

        self.until(known, "the address of the router")
        note = noted_controller(self.home)
        assert note is not None
        assert note.traffic is not None
        host, _, port = note.traffic.removeprefix("http://").partition(":")
        return host, int(port)

    def arms(self, service: str) -> dict[str, float]:
        """Return the share of each release as the router was last told; empty when it knows no such service."""
        applied = self.home.path / "traffic" / "applied.json"
        for route in json.loads(applied.read_text()) if applied.exists() else ():
            if route["service"] == service:
                shares = {route["stable"]["release_id"]: round(1 - route.get("canary_ratio", 0.0), 4)}
                if route.get("canary"):
                    shares[route["canary"]["release_id"]] = route["canary_ratio"]
                return shares
        return {}

    def running(self, *releases: str) -> set[str]:
        """Return those of the releases of which a process runs."""
        children = {child.name for child in self.keeper.children() if child.pid is not None}
        return {one for one in releases if f"release-{one}" in children}

    def envoy(self) -> int | None:
        """Return the process id of Envoy, None while it does not run."""
        return next((child.pid for child in self.keeper.children() if child.name == "envoy"), None)

    def all(self, table: Table) -> Sequence[Any]:
        """Return the rows of a table."""
        with self.journal.read() as connection:
            return connection.execute(select(table)).all()

    def ledger(self) -> list[Record]:
        """Return everything that the ledger holds, oldest first."""
        return records(self.journal)

    def close(self) -> None:
        """End everything by process id."""
        with contextlib.suppress(AssertionError):
            self.stop(signal.SIGKILL)
        self._nursery.close()
        self.journal.close()
        end_all(self.home.path)


@contextlib.contextmanager
def opened(platform: Platform) -> Iterator[Platform]:
    """Give a platform and end everything of it."""
    try:
        yield platform
    finally:
        platform.close()
