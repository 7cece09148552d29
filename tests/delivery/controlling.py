"""What the tests of the controller share: a platform of twins with one clock, and a controller that can be killed."""

from __future__ import annotations

import shutil
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any

from sqlalchemy import Table, func, select

from companyos.catalog import Catalog
from companyos.core.clock import ManualClock
from companyos.core.database import Database
from companyos.core.errors import NotFound
from companyos.core.keys import KeyStore
from companyos.core.settings import Settings
from companyos.delivery.adapters.memory_prober import MemoryProber
from companyos.delivery.adapters.memory_runtime import MemoryRuntime, Script
from companyos.delivery.adapters.memory_traffic import MemoryTraffic
from companyos.delivery.controller import CALLER, Adapters, Controller
from companyos.delivery.effects import Effects
from companyos.delivery.executing import Executor
from companyos.delivery.model import CommandKind, FlagChange, Phase
from companyos.delivery.policy import ReleasePolicy
from companyos.delivery.ports import Route
from companyos.delivery.service import Delivery
from companyos.delivery.view import Detail
from companyos.evidence import Evidence
from companyos.ledger import Journal, Ledger, Record
from companyos.operations import Operations
from tests.evidence.artifacts import tar
from tests.flags.files import file
from tests.pillar import person, records

FLAG = "new-cart"
TICK_S = 0.05
LIMIT_S = 600.0
BRISK = ReleasePolicy(
    steps=(10.0, 50.0, 100.0), hold_s=2.0, bake_s=2.0, resume_after_s=1.0, start_timeout_s=5.0, min_requests=5
)


class SkewedClock(ManualClock):
    """A clock of which the wall can be moved by hand, also back, while its monotonic seconds go on."""

    def jump(self, seconds: float) -> None:
        """Move the wall."""
        self._now += timedelta(seconds=seconds)


class Killed(BaseException):
    """The process of the controller has ended at a point; nothing in the program may catch this."""


class Platform:
    """One database, one router, one machine; the controller is what comes and goes."""

    def __init__(self, journal: Journal, clock: SkewedClock) -> None:
        self.journal, self.clock = journal, clock
        self.traffic = MemoryTraffic(now=lambda: clock.now().timestamp())
        self.runtime = MemoryRuntime(clock, Script(prepare_s=0.2, ready_s=0.3))
        self.delivery = Delivery(journal)
        self.evidence = Evidence(journal)
        self.operations = Operations(journal)
        self.catalog = Catalog(journal)
        self.olga = person("olga", "operator", "admin")
        self.rate = 100.0
        """Requests of users per second, to every service that is known to them."""
        self.kills: Callable[[str], bool] = lambda _point: False
        """Whether the controller is killed at a point; another one is started then."""
        self.points: list[str] = []
        """Every point that was reached, in order."""
        self.killed: list[str] = []
        """Every point at which it was killed."""
        self.applied: list[tuple[Route, ...]] = []
        """What the router was told, each time."""
        self.traffic.apply = self._apply  # type: ignore[method-assign]  # it is watched, and does what it did
        self.used: set[str] = set()
        """The services that users know."""
        self.answered: Counter[str] = Counter()
        """Requests by release."""
        self.unrouted = 0
        """Requests of users to a service that the router had forgotten."""
        self.failing: dict[str, str] = {}
        """What the smoke checks of a release say from the next controller on."""
        self._sent = 0.0
        self.controller = self.boot()

    # --- the controller -----------------------------------------------------------------------------------------------

    def boot(self) -> Controller:
        """Return a controller that knows nothing but what is written down."""
        self.prober = MemoryProber(self.clock)  # It lives in the process of the controller, unlike the others.
        for release_id, failure in self.failing.items():
            self.prober.fails(release_id, failure)
        adapters = Adapters(self.runtime, self.traffic, self.prober)
        effects = Effects(self.journal, CALLER, lambda: "http://platform.test")
        executor = Executor(self.journal, self.runtime, self.traffic, effects, crash=self._reached)
        self.controller = Controller(self.journal, adapters, self.operations, executor, crash=self._reached)
        return self.controller

    def tick(self) -> None:
        """Send what users send, let the controller look once, and let a moment pass."""
        self.send()
        try:
            self.controller.tick()
        except Killed:
            self.boot()
        self.clock.advance(TICK_S)

    def send(self) -> None:
        """Send what users send in a moment."""
        self._sent += self.rate * TICK_S
        while self._sent >= 1:
            self._sent -= 1
            for service in self.used:
                try:
                    answered = self.traffic.answer(service)
                except NotFound:
                    self.unrouted += 1
                else:
                    self.answered[answered.release_id] += 1

    def pass_time(self, seconds: float) -> None:
        """Let the controller work for so long."""
        until = self.clock.monotonic() + seconds
        while self.clock.monotonic() < until:
            self.tick()

    def until(self, condition: Callable[[], bool], what: str) -> None:
        """Let the controller work until something is so."""
        until = self.clock.monotonic() + LIMIT_S
        while not condition():
            assert self.clock.monotonic() < until, f"{what} did not happen"
            self.tick()

    def until_phase(self, release_id: str, *phases: Phase) -> Detail:
        """Let the controller work until a release is in one of these phases and nothing is owed, and return it."""
        self.until(lambda: self.phase(release_id) in phases and not self.show(release_id).actions_open, str(phases))
        return self.show(release_id)

    def _reached(self, point: str) -> None:
        self.points.append(point)
        if self.kills(point):
            self.killed.append(point)
            raise Killed(point)

    def _apply(self, routes: Sequence[Route]) -> None:
        self.applied.append(tuple(routes))
        MemoryTraffic.apply(self.traffic, routes)

    # --- people -------------------------------------------------------------------------------------------------------

    def artifact(self, service: str, version: str, *, signed: bool = True) -> str:
        """Return the digest of an artifact whose service is in the catalog."""
        with self.journal.read() as connection:
            known = self.catalog.has_service(connection, service)
        if not known:
            self.catalog.add(self.olga, service, {})
        data = tar(service, version, files={"feature-flags/flags.yaml": file(FLAG)})
        digest = self.evidence.put_artifact(self.olga, data).digest
        if signed:
            self.evidence.sign_artifact(self.olga, digest)
        return digest

    def deploy(self, version: str, service: str = "shop", *, policy: ReleasePolicy = BRISK, flags: bool = False) -> str:
        """Deploy a new version and return the id of its release."""
        wanted = (FlagChange(key=FLAG),) if flags else ()
        digest = self.artifact(service, version)
        return self.delivery.deploy(self.olga, digest=digest, policy=policy, flags=wanted).id

    def steady(self, version: str = "1.0", service: str = "shop", *, policy: ReleasePolicy = BRISK) -> str:
        """Deploy a version, let it become the stable one, and return the id of its release."""
        made = self.deploy(version, service, policy=policy)
        self.until_phase(made, "steady")
        self.used.add(service)
        return made

    def ask(self, release_id: str, kind: CommandKind, reason: str = "because") -> None:
        """Ask something of a release."""
        self.delivery.command(self.olga, release_id, kind, reason=reason)

    def show(self, release_id: str) -> Detail:
        """Return all that is known of a release."""
        return self.delivery.get_release(self.olga, release_id)

    def phase(self, release_id: str) -> Phase:
        """Return the phase of a release."""
        return self.show(release_id).state

    # --- what came of it ----------------------------------------------------------------------------------------------

    def fails(self, release_id: str, ratio: float = 1.0, status: int = 500) -> None:
        """Have a release fail this share of its requests from now on."""
        self.traffic.answers(release_id, lambda dice: (status if dice.random() < ratio else 200, 3.0))

    def slow(self, release_id: str, milliseconds: float) -> None:
        """Have a release take so long from now on."""
        self.traffic.answers(release_id, lambda dice: (200, milliseconds * dice.uniform(0.9, 1.1)))

    def arms(self, service: str = "shop") -> dict[str, float]:
        """Return the share of each release at the router."""
        route = next((one for one in self.traffic.applied() if one.service == service), None)
        if route is None:
            return {}
        shares = {route.stable.release_id: round(1 - route.canary_ratio, 4)}
        if route.canary is not None:
            shares[route.canary.release_id] = route.canary_ratio
        return shares

    def running(self) -> set[str]:
        """Return the releases that run."""
        return {one for one, instance in self.runtime.instances().items() if instance.state == "ready"}

    def rows(self, table: Table) -> int:
        """Return how many rows a table has."""
        with self.journal.read() as connection:
            return int(connection.execute(select(func.count()).select_from(table)).scalar_one())

    def all(self, table: Table) -> Sequence[Any]:
        """Return the rows of a table."""
        with self.journal.read() as connection:
            return connection.execute(select(table)).all()

    def names(self) -> dict[str, str]:
        """Return the versions of all releases, by id."""
        page = self.delivery.list_releases(self.olga, limit=500)
        return {one.id: one.version for one in page.items}

    def verbs(self, release_id: str | None = None) -> Counter[str]:
        """Return how often each verb stands in the ledger: of one release, or of all that happened."""
        found = records(self.journal)
        return Counter(one.verb for one in found if release_id is None or details(one).get("release_id") == release_id)

    def moves(self, release_id: str) -> list[str]:
        """Return the verbs of the transitions of a release, without their first word, in order."""
        return [one.verb.removeprefix("release.") for one in self.show(release_id).transitions]

    def ledger_of(self, release_id: str) -> list[str]:
        """Return the ids of the ledger's records of the transitions of a release, in order."""
        return [
            str(one.id)
            for one in records(self.journal)
            if "sentence" in details(one) and details(one)["release_id"] == release_id
        ]


@contextmanager
def alone(migrated: Path, folder: Path) -> Iterator[Platform]:
    """Give a platform on a copy of a migrated SQLite file."""
    clock = SkewedClock()
    database = Database.open(f"sqlite:///{shutil.copy(migrated, folder / 'companyos.db')}")
    try:
        settings = Settings(home=str(folder / "home"))
        settings.folder.create()
        ledger = Ledger(KeyStore(settings.folder.keys, clock), settings.ledger_origin)
        yield Platform(Journal(database, ledger, clock, settings), clock)
    finally:
        database.close()


def details(record: Record) -> dict[str, Any]:
    """Return what a record says."""
    return dict(record.details)
