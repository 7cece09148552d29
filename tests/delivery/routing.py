"""What the tests of ``Traffic`` share: backends that can misbehave, and one way to send requests to both adapters."""

from __future__ import annotations

import asyncio
import contextlib
import http.client
import threading
from collections import Counter
from collections.abc import Coroutine, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple, TypeAlias, TypeVar

import msgspec

from companyos.core.errors import NotFound
from companyos.core.keeper import Keeper
from companyos.delivery.adapters.memory_traffic import Header, MemoryTraffic
from companyos.delivery.ports import Batch, Request, Route, Target, Traffic
from tests.program import end_all
from tests.waiting import until

if TYPE_CHECKING:
    from companyos.delivery.adapters.envoy import EnvoyTraffic


T = TypeVar("T")


class Backends:
    """HTTP servers in one thread, one per release; each answers with its release's id."""

    def __init__(self) -> None:
        self._loop = asyncio.new_event_loop()
        self._servers: dict[str, asyncio.Server] = {}
        self._connections: set[asyncio.StreamWriter] = set()
        self.seen: Counter[str] = Counter()
        """Requests that arrived, by release."""
        self.hanging: set[str] = set()
        self.dropping: set[str] = set()
        """Releases that close the connection instead of answering."""
        self.halving: set[str] = set()
        """Releases that close it in the middle of their answer."""
        self.delays: dict[str, float] = {}
        """Seconds that a release takes before it answers."""
        self.headers: dict[str, str] = {}
        """Of the last request."""
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)
        self._thread.start()

    def target(self, release_id: str) -> Target:
        """Start a server for a release."""
        server = self._do(asyncio.start_server(lambda r, w: self._serve(release_id, r, w), "127.0.0.1", 0))
        self._servers[release_id] = server
        return Target(release_id=release_id, host="127.0.0.1", port=server.sockets[0].getsockname()[1])

    def stop(self, release_id: str) -> None:
        """Let nobody listen for a release any more."""
        self._do(self._stop(self._servers.pop(release_id)))

    def close(self) -> None:
        """Stop everything."""
        for release_id in tuple(self._servers):
            self.stop(release_id)
        self._do(self._end())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    async def _stop(self, server: asyncio.Server) -> None:
        server.close()
        for writer in tuple(self._connections):
            if writer.get_extra_info("sockname")[1] in {sock.getsockname()[1] for sock in server.sockets}:
                writer.close()

    async def _end(self) -> None:
        for task in asyncio.all_tasks() - {asyncio.current_task()}:
            task.cancel()
        for writer in tuple(self._connections):
            writer.close()
        await asyncio.sleep(0.05)

    async def _serve(self, release_id: str, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._connections.add(writer)
        try:
            while head := await reader.readuntil(b"\r\n\r\n"):
                self.seen[release_id] += 1
                lines = head.decode("latin-1").split("\r\n")[1:-2]
                self.headers = {name.lower(): text for name, _, text in (line.partition(": ") for line in lines)}
                if release_id in self.hanging:
                    await asyncio.sleep(60)
                if delay := self.delays.get(release_id):
                    await asyncio.sleep(delay)
                if release_id in self.dropping:
                    return
                body = release_id.encode()
                claimed = len(body) + (10 if release_id in self.halving else 0)
                writer.write(b"HTTP/1.1 200 OK\r\nserver: own\r\ncontent-length: %d\r\n\r\n%s" % (claimed, body))
                await writer.drain()
                if release_id in self.halving:
                    return
        except (asyncio.IncompleteReadError, OSError, asyncio.CancelledError):
            pass
        finally:
            self._connections.discard(writer)
            writer.close()
            with contextlib.suppress(OSError, asyncio.CancelledError):
                await writer.wait_closed()

    def _do(self, work: Coroutine[Any, Any, T]) -> T:
        return asyncio.run_coroutine_threadsafe(work, self._loop).result(10)


class Answer(NamedTuple):
    """What came back: the status (0: the connection broke), and which release wrote the body."""

    status: int
    by: str
    headers: Mapping[str, str] = {}


class Sender:
    """One connection of a user; for one thread."""

    def __init__(self, address: tuple[str, int]) -> None:
        self._connection = http.client.HTTPConnection(*address, timeout=30)

    def send(self, service: str, path: str = "/", headers: Mapping[str, str] | None = None) -> Answer:
        """Send one request and return what came back."""
        try:
            self._connection.request("GET", path, headers={"host": service, **(headers or {})})
            response = self._connection.getresponse()
            body = response.read()
        except (OSError, http.client.HTTPException):
            self.disconnect()
            return Answer(0, "")
        return Answer(response.status, body.decode(), {name.lower(): text for name, text in response.getheaders()})

    def disconnect(self) -> None:
        """Close the connection; the next request opens another."""
        self._connection.close()


class MemoryWorld:
    """The twin, and requests to it."""

    def __init__(self) -> None:
        self.traffic = MemoryTraffic()

    def target(self, release_id: str) -> Target:
        """Return an arm."""
        return Target(release_id=release_id, host="127.0.0.1", port=9)

    def hang(self, release_id: str) -> None:
        """Have a release never answer."""
        self.traffic.answers(release_id, lambda _: (200, 1e9))

    def send(self, service: str, header: Header | None = None, session: str = "", path: str = "/") -> Answer:
        """Send one request."""
        try:
            request = self.traffic.answer(service, header=header, key=session, path=path)
        except NotFound:
            return Answer(404, "")
        return Answer(request.status, request.release_id)

    def close(self) -> None:
        """End it."""
        self.traffic.close()


class EnvoyWorld:
    """Real Envoy below a keeper of its own, and requests to it."""

    def __init__(self, home: Path, *, keeper: bool = True, **options: int) -> None:
        for name in ("run", "logs"):
            (home / name).mkdir(mode=0o700)
        self.home = home
        self.options = options
        self.keeper = Keeper(home / "run", home / "logs")
        if keeper:
            self.keeper.ensure()
        self.backends = Backends()
        self.folder = home / "traffic"
        self.traffic = self.adapter()
        self._sender: Sender | None = None

    @property
    def socket(self) -> Path:
        """Where Envoy's admin interface listens."""
        return self.folder / "admin.sock"

    @property
    def log(self) -> Path:
        """The access log."""
        return self.folder / "access.log"

    def adapter(self) -> EnvoyTraffic:
        """Return another adapter for the same folder, as the next process would make it."""
        from companyos.delivery.adapters.envoy import EnvoyTraffic

        return EnvoyTraffic(self.folder, self.keeper, self.home / "logs" / "envoy.log", **self.options)

    def target(self, release_id: str) -> Target:
        """Start a backend and return it as an arm."""
        return self.backends.target(release_id)

    def hang(self, release_id: str) -> None:
        """Have a release never answer."""
        self.backends.hanging.add(release_id)

    def send(
        self, service: str, header: Header | None = None, session: str = "", path: str = "/", **headers: str
    ) -> Answer:
        """Send one request over a connection that is kept."""
        if self._sender is None:
            self._sender = self.sender()
        named = {name.replace("_", "-"): text for name, text in headers.items()}
        if header:
            named["x-canary"] = header
        if session:
            named["x-session-id"] = session
        return self._sender.send(service, path, named)

    def sender(self) -> Sender:
        """Return a client with a connection of its own."""
        return Sender(until(self.traffic.address, "the address of the router"))

    def watched(self) -> bool:
        """Return whether the adapter's thread has looked at a counter."""
        return bool(self.traffic.read(None).in_flight)

    def running_pid(self) -> int | None:
        """Return the process id of Envoy, None while it does not run."""
        return next((child.pid for child in self.keeper.children() if child.name == "envoy"), None)

    def envoy_pid(self) -> int:
        """Return the process id of Envoy, which runs."""
        return until(self.running_pid, "a running Envoy")

    def disconnect(self) -> None:
        """Close the connection."""
        if self._sender is not None:
            self._sender.disconnect()
            self._sender = None

    def close(self) -> None:
        """End everything by process id."""
        self.disconnect()
        self.traffic.close()
        end_all(self.home)
        self.backends.close()


World: TypeAlias = MemoryWorld | EnvoyWorld


def route(stable: Target, canary: Target | None = None, ratio: float = 0.0, number: int = 1, **changes: Any) -> Route:
    """Return a route of the service ``orders``."""
    made = Route(
        service="orders",
        rollout="rollout-1",
        number=number,
        stable=stable,
        canary=canary,
        canary_ratio=ratio,
        timeout_s=10.0,
    )
    return msgspec.structs.replace(made, **changes)


def collect(traffic: Traffic, position: str, count: int) -> tuple[list[Request], Batch]:
    """Return the next requests, at least so many, and the last batch."""
    requests: list[Request] = []

    def enough() -> Batch | None:
        nonlocal position
        batch = traffic.read(position)
        position = batch.position
        requests.extend(batch.requests)
        return batch if len(requests) >= count else None

    return requests, until(enough, f"{count} requests in the log")


@contextmanager
def load(world: EnvoyWorld) -> Iterator[list[Answer]]:
    """Send requests one after the other on a connection of their own while the block runs."""
    answers: list[Answer] = []
    stop = threading.Event()
    assert world.traffic.address() is not None
    sender = world.sender()

    def work() -> None:
        while not stop.is_set():
            answers.append(sender.send("orders"))
        sender.disconnect()

    thread = threading.Thread(target=work)
    thread.start()
    try:
        yield answers
    finally:
        stop.set()
        thread.join()


def read_until_lost(traffic: Traffic, position: str) -> Batch:
    """Read on until something is said to be missing."""

    def lost() -> Batch | None:
        nonlocal position
        batch = traffic.read(position)
        position = batch.position
        return batch if batch.lost else None

    return until(lost, "a word about missing requests", within_s=15)


def read_until_sound(traffic: Traffic, position: str) -> Batch:
    """Read on until nothing is said to be missing any more."""

    def sound() -> Batch | None:
        nonlocal position
        batch = traffic.read(position)
        position = batch.position
        return None if batch.lost else batch

    return until(sound, "an end of the loss", within_s=15)
