"""The router: what it costs a request, how fast a weight takes effect, and what reading its log costs."""

from __future__ import annotations

import http.client
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from bench.harness import AtMost, Row, best_of
from companyos.core.keeper import Keeper
from companyos.delivery.adapters.envoy import EnvoyTraffic, access_log
from companyos.delivery.ports import Route, Target

ROOM = "traffic"
RATE = 400
_BACKEND = """
import asyncio, sys
NAME = sys.argv[1].encode()
ANSWER = b"HTTP/1.1 200 OK\\r\\ncontent-length: %d\\r\\n\\r\\n%b" % (len(NAME), NAME)
class Server(asyncio.Protocol):
    def connection_made(self, transport):
        self.transport, self.rest = transport, b""
    def data_received(self, data):
        self.rest += data
        count = self.rest.count(b"\\r\\n\\r\\n")
        if count:
            self.rest = self.rest.rpartition(b"\\r\\n\\r\\n")[2]
            self.transport.write(ANSWER * count)
async def main():
    server = await asyncio.get_running_loop().create_server(Server, "127.0.0.1", 0)
    print(server.sockets[0].getsockname()[1], flush=True)
    await server.serve_forever()
asyncio.run(main())
"""
_LINE = (
    b'{"arm":"0197f2c4-1111-7000-8000-000000000001","at":"1795602425.342391","flags":"-",'
    b'"id":"c82510da-dbd1-4846-8766-faeda99273ac","method":"GET","ms":2,"path":"/orders/17",'
    b'"route":"orders|0197f2c4-1111-7000-8000-000000000001|3|weighted","session":"%016x","status":200,'
    b'"trace":"00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01","us":2265}\n'
)


def run(scale: float) -> Iterable[Row]:
    """Rows of the room."""
    yield _log_cost(scale)
    with (
        tempfile.TemporaryDirectory() as folder,
        _backend("old") as old,
        _backend("new") as new,
        _router(Path(folder)) as (traffic, keeper),
    ):
        yield from _effect(traffic, old, new, scale)
        yield from _overhead(traffic, keeper, old, scale)


def _log_cost(scale: float) -> Row:
    lines = max(1000, int(10_000 * scale))
    with tempfile.TemporaryDirectory() as folder:
        log = access_log.Files(Path(folder) / "access.log")
        log.path.write_bytes(b"".join(_LINE % number for number in range(lines)))

        def read() -> float:
            began = time.perf_counter()
            requests, unreadable = access_log.decode(log.read(access_log.Position(1, 0, 0)).data)
            taken = time.perf_counter() - began
            assert (len(requests), unreadable) == (lines, 0)
            return taken / lines * 1e6

        return Row(
            room=ROOM, name="reading the access log, per line", value=best_of(9, read, key=float), unit="µs",
            target=AtMost(10), note=f"{lines:,} lines of {len(_LINE % 0)} bytes",
        )  # fmt: skip


def _effect(traffic: EnvoyTraffic, old: Target, new: Target, scale: float) -> Iterable[Row]:
    changes = max(30, int(60 * scale))
    traffic.apply([_route(old, new, 0.0, 1)])
    address = traffic.address()
    assert address is not None
    connection = http.client.HTTPConnection(*address)
    samples = []
    for number in range(changes):
        ratio = float(number % 2)
        began = time.perf_counter()
        traffic.apply([_route(old, new, ratio, number + 2)])
        samples.append((time.perf_counter() - began) * 1000)
        connection.request("GET", "/", headers={"host": "orders"})
        answer = connection.getresponse().read().decode()
        assert answer == ("new" if ratio else "old"), "a weight that was applied was not in effect"
    connection.close()
    yield Row(
        room=ROOM, name="a new weight is in effect, median", value=statistics.median(samples), unit="ms",
        target=AtMost(50), note=f"{changes} changes; the worker itself says so; files are forced to the disk",
    )  # fmt: skip
    yield Row(room=ROOM, name="a new weight is in effect, slowest", value=max(samples), unit="ms")


def _overhead(traffic: EnvoyTraffic, keeper: Keeper, backend: Target, scale: float) -> Iterable[Row]:
    seconds = max(1.0, 3 * scale)
    traffic.apply([_route(backend, None, 0.0, 1)])
    through = traffic.address()
    assert through is not None
    used, sent, cost = _cpu_s(keeper), 0, 0.0
    direct, routed = [], []
    # By turns, so that what else runs on the machine meets both.
    for _ in range(5):
        direct.append(_generate((backend.host, backend.port), seconds)[0])
        summary, generating = _generate(through, seconds)
        routed.append(summary)
        sent, cost = sent + summary["sent"], cost + generating
    used = _cpu_s(keeper) - used
    assert not any(summary["failed"] for summary in direct + routed)
    note = f"{RATE} requests/s, open loop"
    for name in ("p50", "p99"):
        before, after = (min(each[f"{name}_ms"] for each in summaries) for summaries in (direct, routed))
        yield Row(
            room=ROOM, name=f"Envoy adds to a request, {name}", value=max(0.0, after - before), unit="ms",
            note=f"{note}, best of 5; {before:g} ms direct, {after:g} ms through",
        )  # fmt: skip
    yield Row(room=ROOM, name="Envoy's CPU per request", value=used / sent * 1e6, unit="µs", note=note)
    yield Row(
        room=ROOM, name="the load generator's CPU per request", value=cost / sent * 1e6, unit="µs",
        target=AtMost(500), note=f"{note}; with its start left out",
    )  # fmt: skip


def _generate(address: tuple[str, int], seconds: float) -> tuple[dict[str, Any], float]:
    """The last summary of the generator, and the CPU seconds that it used without those of its start."""
    host, port = address
    command = [sys.executable, "-m", "companyos.delivery.load", "--host", host, "--port", str(port)]
    idle = _child_cpu_s([*command, "--service", "orders=0", "--seconds", "0.1"])[1]
    text, used = _child_cpu_s([*command, "--service", f"orders={RATE}", "--seconds", str(seconds)])
    summary: dict[str, Any] = json.loads(text.splitlines()[-1])
    return summary, max(0.0, used - idle)


def _child_cpu_s(command: list[str]) -> tuple[str, float]:
    before = os.times()
    text = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    after = os.times()
    return text, (after.children_user + after.children_system) - (before.children_user + before.children_system)


def _cpu_s(keeper: Keeper) -> float:
    """The CPU seconds of Envoy so far; 0 where the system does not tell them by /proc."""
    pid = next(child.pid for child in keeper.children() if child.name == "envoy")
    try:
        fields = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8").rpartition(")")[2].split()
    except OSError:
        return 0.0
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def _route(stable: Target, canary: Target | None, ratio: float, number: int) -> Route:
    return Route(service="orders", rollout="rollout-1", number=number, stable=stable, canary=canary, canary_ratio=ratio)


@contextmanager
def _backend(name: str) -> Iterator[Target]:
    with subprocess.Popen([sys.executable, "-c", _BACKEND, name], stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None
            yield Target(release_id=name, host="127.0.0.1", port=int(process.stdout.readline()))
        finally:
            process.kill()


@contextmanager
def _router(home: Path) -> Iterator[tuple[EnvoyTraffic, Keeper]]:
    for part in ("run", "logs"):
        (home / part).mkdir(mode=0o700)
    keeper = Keeper(home / "run", home / "logs")
    keeper.ensure()
    try:
        traffic = EnvoyTraffic(home / "traffic", keeper, home / "logs" / "envoy.log")
        try:
            yield traffic, keeper
        finally:
            traffic.close()
    finally:
        keeper.shutdown(grace_s=2.0)
