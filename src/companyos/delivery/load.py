"""Users for a demonstration and for measurements: an open-loop generator of HTTP requests.

    python -m companyos.delivery.load --port 8080 --service orders=200 --service mail=20 [--seconds 30] [--profile FILE]

Each service gets its own Poisson stream: requests begin when their time has come, whether or not earlier ones were
answered, as those of independent users do. Durations are measured from the time at which a request should have begun,
so that a stalled service cannot hide its stall by slowing the generator down (coordinated omission).

Standard output gets one JSON object per second and a last one with ``"final": true``, at the end or on SIGTERM:
``{"t", "sent", "ok", "failed", "skipped", "p50_ms", "p95_ms", "p99_ms"}``. ``failed`` counts 5xx, broken connections
and requests without an answer in time; ``skipped`` counts requests for which no connection was free. A profile is JSON,
a list of ``{"method", "path", "share", "body"}``.
"""

from __future__ import annotations

import argparse
import asyncio
import heapq
import random
import re
import signal
import sys
import time
from collections import deque
from collections.abc import Mapping, Sequence
from itertools import accumulate
from pathlib import Path
from typing import Annotated, Final, Literal

import msgspec
from msgspec import Meta

from companyos.core import durable
from companyos.core.errors import CompanyOSError, InvalidInput
from companyos.delivery.load_connection import Connection

TIMEOUT_S: Final = 30.0
CONNECTIONS_LIMIT: Final = 256
RATE_LIMIT: Final = 20_000.0
USERS: Final = 2_000
"""Sessions in use at a time; some users come back and some are new."""
_NEW_USER_RATIO: Final = 0.02
_PROFILE_LIMIT_BYTES: Final = 64 * 1024
_SAMPLES: Final = 20_000
_TICK_S: Final = 0.0005
"""Requests that are due within one tick begin together; that is finer than the scheduling of a busy machine."""
_SERVER_ERROR: Final = 500
_SERVICE = re.compile(r"[a-z0-9][a-z0-9.-]{0,252}", re.ASCII)


class Shape(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One kind of request in a profile."""

    path: Annotated[str, Meta(pattern=r"^/[!-~]*$", max_length=500)]
    method: Literal["GET", "POST", "PUT", "DELETE"] = "GET"
    share: Annotated[float, Meta(gt=0, le=1_000_000)] = 1.0
    body: Annotated[str, Meta(max_length=10_000)] = ""


class Summary(msgspec.Struct, frozen=True, kw_only=True):
    """What happened in one second, or in all of them."""

    t: float
    """Seconds since the start."""
    sent: int
    ok: int
    failed: int
    skipped: int
    p50_ms: float
    p95_ms: float
    p99_ms: float
    final: bool = False


class Tally:
    """Counts answers; the durations of the last ones are kept for the percentiles."""

    def __init__(self) -> None:
        """Begin with nothing."""
        self.sent = self.ok = self.failed = self.skipped = 0
        self._durations: deque[float] = deque(maxlen=_SAMPLES)

    def answered(self, duration_s: float, status: int) -> None:
        """Count one answer; status 0 is none."""
        if status == 0 or status >= _SERVER_ERROR:
            self.failed += 1
        else:
            self.ok += 1
        self._durations.append(duration_s)

    def summary(self, t: float, *, final: bool = False) -> Summary:
        """Return the counts and the percentiles; 0 where nothing was answered."""
        ordered = sorted(self._durations)
        p50, p95, p99 = (
            round(ordered[min(len(ordered) - 1, int(share * len(ordered)))] * 1000, 3) if ordered else 0.0
            for share in (0.5, 0.95, 0.99)
        )
        return Summary(
            t=round(t, 3),
            sent=self.sent,
            ok=self.ok,
            failed=self.failed,
            skipped=self.skipped,
            p50_ms=p50,
            p95_ms=p95,
            p99_ms=p99,
            final=final,
        )


class Requests:
    """Makes the bytes of requests to one service, by the shares of a profile."""

    def __init__(self, service: str, profile: Sequence[Shape], rng: random.Random) -> None:
        """Take the service, what is asked of it, and where chance comes from."""
        self._rng = rng
        self._shares = list(accumulate(shape.share for shape in profile))
        self._parts = [_parts(service, shape) for shape in profile]
        self._users = [f"{rng.getrandbits(64):016x}".encode() for _ in range(USERS)]

    def make(self) -> bytes:
        """Return one request: one user of many, with a trace of its own."""
        rng = self._rng
        index = int(rng.random() * USERS)
        if rng.random() < _NEW_USER_RATIO:
            self._users[index] = b"%016x" % rng.getrandbits(64)
        head, tail = self._parts[0] if len(self._parts) == 1 else rng.choices(self._parts, cum_weights=self._shares)[0]
        trace = b"00-%032x-%016x-01" % (rng.getrandbits(128) or 1, rng.getrandbits(64) or 1)
        return b"%bx-session-id: %b\r\ntraceparent: %b\r\n%b" % (head, self._users[index], trace, tail)


class Load:
    """All streams to one address, over connections that are opened when they are needed and kept."""

    def __init__(
        self, address: tuple[str, int], *, connections: int = CONNECTIONS_LIMIT, timeout_s: float = TIMEOUT_S
    ) -> None:
        """Take where to send; nothing is opened yet."""
        self.second, self.total = Tally(), Tally()
        self._address = address
        self._limit = connections
        self._timeout_s = timeout_s
        self._idle: list[Connection] = []
        self._busy: set[Connection] = set()
        self._opening = 0
        self._tasks: set[asyncio.Task[None]] = set()

    async def run(self, streams: Mapping[str, tuple[float, Sequence[Shape]]], stop: asyncio.Event, seed: int) -> None:
        """Send until stopped, per service so many requests per second of a profile; then wait for the last answers."""
        rng = random.Random(seed)  # noqa: S311 - times and sessions of made-up users
        sources = [(rate, Requests(service, profile, rng)) for service, (rate, profile) in streams.items() if rate > 0]
        clock = time.perf_counter
        queue = [(clock() + rng.expovariate(rate), number) for number, (rate, _) in enumerate(sources)]
        heapq.heapify(queue)
        swept = clock()
        while not stop.is_set() and queue:
            now = clock()
            while queue[0][0] <= now:
                due, number = queue[0]
                rate, requests = sources[number]
                self._begin(requests.make(), due)
                heapq.heapreplace(queue, (due + rng.expovariate(rate), number))
            if now - swept > 1:
                swept = now
                self._sweep(now)
            await asyncio.sleep(max(queue[0][0] - clock(), _TICK_S) if queue[0][0] - now < 1 else 1)
        await self._finish()

    def _begin(self, data: bytes, due: float) -> None:
        for tally in (self.second, self.total):
            tally.sent += 1
        while self._idle:
            connection = self._idle.pop()
            if connection.usable:
                self._busy.add(connection)
                connection.send(data, due)
                return
        if len(self._busy) + self._opening >= self._limit:
            for tally in (self.second, self.total):
                tally.skipped += 1
            return
        self._opening += 1
        task = asyncio.get_running_loop().create_task(self._open(data, due))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _open(self, data: bytes, due: float) -> None:
        loop = asyncio.get_running_loop()
        try:
            async with asyncio.timeout(self._timeout_s):
                _, connection = await loop.create_connection(lambda: Connection(self._done), *self._address)
        except OSError:
            self._count(due, 0)
        else:
            self._busy.add(connection)
            connection.send(data, due)
        finally:
            self._opening -= 1

    def _done(self, connection: Connection, status: int) -> None:
        due, connection.due = connection.due, None
        self._busy.discard(connection)
        if due is not None:
            self._count(due, status)
        if connection.usable:
            self._idle.append(connection)

    def _count(self, due: float, status: int) -> None:
        duration = time.perf_counter() - due
        self.second.answered(duration, status)
        self.total.answered(duration, status)

    def _sweep(self, now: float) -> None:
        for connection in [each for each in self._busy if each.due is not None and now - each.due > self._timeout_s]:
            connection.abort()

    async def _finish(self) -> None:
        deadline = time.perf_counter() + min(self._timeout_s, 5.0)
        while (self._busy or self._tasks) and time.perf_counter() < deadline:  # noqa: ASYNC110 - the end of the last of many
            await asyncio.sleep(0.01)
        for connection in (*self._busy, *self._idle):
            connection.abort()
        while self._busy:  # noqa: ASYNC110 - one turn of the loop each
            await asyncio.sleep(0)


def _parts(service: str, shape: Shape) -> tuple[bytes, bytes]:
    """Return what stands before and after the headers that differ from request to request."""
    body = shape.body.encode()
    fixed = f"{shape.method} {shape.path} HTTP/1.1\r\nhost: {service}\r\nuser-agent: companyos-load\r\n"
    length = f"content-type: application/json\r\ncontent-length: {len(body)}\r\n" if body else ""
    return fixed.encode("ascii"), f"{length}\r\n".encode("ascii") + body


def read_profile(path: Path | None) -> tuple[Shape, ...]:
    """Return the profile of a file, GET / without one. Raises InvalidInput, and NotFound or TooLarge for the file."""
    if path is None:
        return (Shape(path="/"),)
    try:
        shapes = msgspec.json.decode(durable.read(path, limit_bytes=_PROFILE_LIMIT_BYTES), type=tuple[Shape, ...])
    except msgspec.MsgspecError as fault:
        raise InvalidInput(
            f"The profile {path} cannot be understood: {fault}.", next_step="See the documentation."
        ) from fault
    if not shapes:
        raise InvalidInput(f"The profile {path} names no request.", next_step='Add one, like {"path": "/"}.')
    return shapes


def read_streams(texts: Sequence[str]) -> dict[str, float]:
    """Return the requests per second of each service from texts like ``orders=200``. Raises InvalidInput."""
    streams: dict[str, float] = {}
    for text in texts:
        service, _, rate = text.partition("=")
        try:
            streams[service] = float(rate)
        except ValueError:
            streams[service] = -1.0
        if not _SERVICE.fullmatch(service) or not 0 <= streams[service] <= RATE_LIMIT:
            raise InvalidInput(
                f"{text!r:.80} is no service with a rate.", next_step="Write it like orders=200.", field="service"
            )
    return streams


async def _report(load: Load, stop: asyncio.Event, began: float) -> None:
    while not stop.is_set():
        await asyncio.sleep(1)
        _print(load.second.summary(time.perf_counter() - began))
        load.second = Tally()


def _print(summary: Summary) -> None:
    sys.stdout.write(msgspec.json.encode(summary).decode("ascii") + "\n")
    sys.stdout.flush()


async def _main(arguments: argparse.Namespace) -> None:
    profile = read_profile(arguments.profile)
    streams = {service: (rate, profile) for service, rate in read_streams(arguments.service).items()}
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    if arguments.seconds is not None:
        loop.call_later(arguments.seconds, stop.set)
    load = Load((arguments.host, arguments.port), connections=arguments.connections, timeout_s=arguments.timeout)
    began = time.perf_counter()
    report = asyncio.create_task(_report(load, stop, began))
    await load.run(streams, stop, arguments.seed)
    report.cancel()
    _print(load.total.summary(time.perf_counter() - began, final=True))


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command and return its exit code: 0, or 2 when the arguments cannot be understood."""
    parser = argparse.ArgumentParser(prog="python -m companyos.delivery.load", description="Send requests as users do.")
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--service", action="append", required=True, metavar="NAME=RATE", help="requests per second")
    parser.add_argument("--profile", type=Path, help="a JSON list of {method, path, share, body}")
    parser.add_argument("--seconds", type=float, help="how long; until SIGTERM without it")
    parser.add_argument("--connections", type=int, default=CONNECTIONS_LIMIT)
    parser.add_argument("--timeout", type=float, default=TIMEOUT_S, metavar="SECONDS")
    parser.add_argument("--seed", type=int, default=random.SystemRandom().getrandbits(32))
    try:
        asyncio.run(_main(parser.parse_args(arguments)))
    except CompanyOSError as fault:
        sys.stderr.write(f"{fault} {fault.next_step}\n")
        return fault.exit_code
    return 0


if __name__ == "__main__":
    sys.exit(main())
