"""Telling the story: services are made and released, users come, three releases set out, and each meets its fate."""

from __future__ import annotations

import fcntl
import os
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, NamedTuple, TypeVar

from companyos.cli.story import outcome, repositories, telling
from companyos.cli.story.cast import CAST
from companyos.cli.story.load import Load
from companyos.core.errors import Conflict, NotFound, TooManyRequests, Unavailable

if TYPE_CHECKING:
    from companyos.cli.story.cast import Fate, Part
    from companyos.cli.story.places import Place
    from companyos.core.api import Client
    from companyos.delivery.view import Detail

Say = Callable[[str], None]
"""Takes one line of the story."""
T = TypeVar("T")

ENVIRONMENT: Final = "production"
WITHIN_S: Final = 150.0
"""So long the three releases may take together; on an idle machine it is some 25 s."""
_READY_S: Final = 90.0
_POLL_S: Final = 0.3
_FINAL: Final = frozenset({"steady", "rolled_back"})


class Told(NamedTuple):
    """A story that was told to its end."""

    document: dict[str, Any]
    load: Load

    @property
    def whole(self) -> bool:
        """Whether all of it happened."""
        return not self.document["not_happened"]


def make_all(folder: Path) -> dict[str, Path]:
    """Return the repository of each service, made in parallel where there is none yet. Raises what ``make`` raises."""
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    return _each(lambda part: repositories.make(part, folder), threading.Event())


def play(place: Place, say: Say, *, share: float, began: float) -> Told:
    """Tell the story once at a place and return what came of it; the load is stopped in the end.

    ``share`` is of the rates of the cast, ``began`` the monotonic time from which seconds are counted. Raises what
    keeps it from being told: Unavailable, Conflict or Denied. Releases that end otherwise than the story has it are no
    fault: the outcome says so.
    """
    _settle()
    with only_teller(place.folder):
        return _Story(place, say, share, began).told()


@contextmanager
def only_teller(folder: Path) -> Iterator[None]:
    """Be the only one who tells a story in this folder. Raises Conflict while somebody else does."""
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    descriptor = os.open(folder / "story.lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as fault:
            raise Conflict("The story is being told already.", next_step="Wait for its end.") from fault
        yield
    finally:
        os.close(descriptor)


class _Story:
    def __init__(self, place: Place, say: Say, share: float, began: float) -> None:
        self._place = place
        self._say: Say = lambda text: say(f"{time.monotonic() - began:5.1f} s  {text}")
        self._began = began
        self._teller = telling.Teller()
        self._load = Load(place, {part.service: part.rate * share for part in CAST})
        self._stopping = threading.Event()

    def told(self) -> Told:
        self._say(telling.introduction(CAST))
        made = make_all(self._place.folder)
        self._say("Their repositories, from the template api-python: " + ", ".join(map(str, made.values())))
        self._each(lambda part: require_ours(self._place.client(), part.service, made[part.service]))
        self._each(lambda part: self._settled(part, made[part.service]))
        host, port = self._place.traffic
        self._say(f"Users come: {telling.rates(self._load.rates)}, behind http://{host}:{port}.")
        self._load.start()
        try:
            versions = self._each(lambda part: repositories.commit_change(part, made[part.service]))
            for line in telling.next_act(CAST, versions):
                self._say(line)
            ids = self._each(lambda part: shipped(self._place.client(), made[part.service]))
            found = self._watched(ids)
        finally:
            total = self._load.end()
        sent = outcome.Sent(rates=self._load.rates, total=total)
        report = verified(self._place.client())
        seconds = time.monotonic() - self._began
        return Told(outcome.document(found, sent=sent, ledger=report, seconds=seconds), self._load)

    def _settled(self, part: Part, repository: Path) -> None:
        """See to it that a service has a stable release and none on its way."""
        client = self._place.client()
        releases = client.get("/api/releases", {"service": part.service, "limit": 100})["items"]
        here = [release for release in releases if release["environment"] == ENVIRONMENT]
        waiting = [release["id"] for release in here if release["state"] not in _FINAL]
        for release in here:
            if release["id"] in waiting and release["baseline"] is not None:
                body = {"kind": "abort", "reason": "The story begins again, and this release was left from another."}
                client.post(f"/api/releases/{release['id']}/commands", body)
        first = [release for release in here if release["baseline"] is None and release["id"] in waiting]
        if not first and not any(release["state"] in {"steady", "promoted"} for release in here):
            waiting.append(shipped(client, repository))
        for release in waiting:
            self._ended(client, release)
        self._until(lambda: self._place.answers(part.service), f"{part.service} does not answer behind the router")

    def _ended(self, client: Client, id: str) -> None:
        self._until(lambda: detail(client, id).state in _FINAL, f"The release {id} does not end")
        release = detail(client, id)
        for line in self._teller.news(release):
            self._say(line)
        if release.state == "rolled_back" and release.baseline is None:
            raise Unavailable(
                f"The first release of {release.service} does not run. {release.verdict}",
                next_step=f"See: companyos release show {id}",
            )

    def _until(self, condition: Callable[[], bool], sentence: str) -> None:
        """Return once something is so. Raises Unavailable when it is not in time, or when the story is broken off."""
        deadline = time.monotonic() + _READY_S
        while not condition():
            if time.monotonic() >= deadline or self._stopping.wait(_POLL_S):
                raise Unavailable(f"{sentence} within {_READY_S:.0f} s.", next_step="See: companyos release list")

    def _each(self, act: Callable[[Part], T]) -> dict[str, T]:
        return _each(act, self._stopping)

    def _watched(self, ids: dict[str, str]) -> dict[Fate, Detail | None]:
        """Follow the releases to their ends, or as long as they may take, and return how they stand then."""
        client = self._place.client()
        found: dict[Fate, Detail | None] = {}
        deadline = time.monotonic() + WITHIN_S
        while True:
            for part in CAST:
                known = found.get(part.fate)
                if known is not None and known.state in _FINAL:
                    continue
                found[part.fate] = release = detail(client, ids[part.service])
                for line in self._teller.news(release):
                    self._say(line)
            ended = all(release is not None and release.state in _FINAL for release in found.values())
            if ended or time.monotonic() >= deadline:
                return found
            time.sleep(_POLL_S)


def _settle() -> None:
    """Import what the threads use and have its types learnt, while there is one thread."""
    from companyos.core.structs import settle
    from companyos.delivery import shipping, watching
    from companyos.evidence import packing

    del shipping, watching, packing
    settle()


def require_ours(client: Client, service: str, repository: Path) -> None:
    """Raise Conflict when the catalog has a service of this name that is not the story's own."""
    try:
        known = client.get(f"/api/services/{service}")
    except NotFound:
        return
    if not is_from(known, repository):
        raise Conflict(
            f"The catalog has a service {service} of somebody else already.",
            next_step="companyos demo tells the story on a platform of its own.",
        )


def is_from(service: Mapping[str, Any], repository: Path) -> bool:
    """Return whether anything that the catalog knows of a service comes from the manifest of this repository."""
    source = f"manifest:{repository.resolve()}/companyos.yaml"
    return any(fact["source"] == source for fact in service["provenance"].values())


def shipped(client: Client, repository: Path) -> str:
    """Ship the last commit as ``companyos ship`` does and return the id of the release."""
    from companyos.delivery import shipping

    packed = shipping.build(repository, allow_dirty=False)
    base = shipping.baseline_commit(client, packed.service, ENVIRONMENT)
    shipping.put(client, packed, shipping.commits_since(repository, base, packed.commit))
    shipping.register(client, repository, packed)
    shipping.sign(client, packed.digest)
    release = shipping.deploy(client, packed.digest, environment=ENVIRONMENT, policy=outcome.POLICY)
    return str(release["id"])


def detail(client: Client, id: str) -> Detail:
    """Return a release; a platform that is busy is asked again."""
    from companyos.delivery import watching
    from companyos.delivery.view import Detail

    while True:
        try:
            return watching.typed(watching.get(client, id), Detail)
        except TooManyRequests as fault:
            time.sleep(float(fault.retry_after_s))


def verified(client: Client) -> dict[str, Any] | None:
    """Return the report of verifying every record of the ledger, None when it ended without one."""
    from companyos.ledger import transfer

    report: dict[str, Any] | None = None
    pieces = client.stream("/api/ledger/verify", None, headers={"accept-encoding": "identity"})
    for line in transfer.documents(pieces):
        report = line.get("report", report)
    return report


def _each(act: Callable[[Part], T], stopping: threading.Event) -> dict[str, T]:
    """Do something for all services at once and return what came of each, by the service's name.

    What waits is told by the event that one of them failed or that the command was interrupted.
    """
    with ThreadPoolExecutor(len(CAST)) as threads:
        try:
            begun = {part.service: threads.submit(act, part) for part in CAST}
            return {service: done.result() for service, done in begun.items()}
        except BaseException:
            stopping.set()
            raise
