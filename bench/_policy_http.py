"""The decision point over loopback: a server process of our own, and a client that speaks HTTP/1.1 by hand."""

from __future__ import annotations

import asyncio
import json
import multiprocessing
import socket
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from functools import partial
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

from bench._policy_mix import DATA, ENTRYPOINT, MODULES, REQUESTS
from bench.harness import AtLeast, AtMost, Row, percentile

_ROOM = "policy"
_CONNECTIONS = 32
_SECONDS = 5.0
_BATCHES = 200
_BATCH = 100
_PAUSE_S = 0.01
"""Between batches, so that the log keeps up: this is about the time of one, not about the rate of many."""
_PATIENCE_S = 60.0
_LENGTH = b"content-length: "


def rows(scale: float) -> Iterator[Row]:
    """Rows of the decision point: decisions a second, their latency, and a batch."""
    seconds = max(0.5, _SECONDS * scale)
    with tempfile.TemporaryDirectory() as folder, _serving(Path(folder) / "home") as (port, token):
        asyncio.run(_drive(port, _singles(port, token), min(1.0, seconds)))  # warm
        count, spent, samples = asyncio.run(_drive(port, _singles(port, token), seconds))
        note = f"our own client, {_CONNECTIONS} connections, one worker, every decision logged"
        rate = count / spent
        yield Row(room=_ROOM, name="POST /v1/authorize", value=rate, unit="/s", target=AtLeast(10_000), note=note)
        p99 = percentile(samples, 0.99) * 1000
        yield Row(
            room=_ROOM, name="its p99", value=p99, unit="ms", target=AtMost(5), note=f"{_CONNECTIONS} connections"
        )
        batch = asyncio.run(_batches(port, token))
        yield Row(room=_ROOM, name=f"batch of {_BATCH}", value=batch * 1000, unit="ms", target=AtMost(2), note="median")


def _message(port: int, token: str, path: str, body: object) -> bytes:
    data = json.dumps(body, separators=(",", ":")).encode()
    head = (
        f"POST {path} HTTP/1.1\r\nhost: 127.0.0.1:{port}\r\nauthorization: Bearer {token}\r\n"
        f"content-type: application/json\r\ncontent-length: {len(data)}\r\n\r\n"
    )
    return head.encode() + data


def _singles(port: int, token: str) -> list[bytes]:
    return [_message(port, token, "/v1/authorize", request) for request in REQUESTS]


class _Client(asyncio.Protocol):
    """One connection that asks again as soon as it has its answer."""

    def __init__(self, messages: list[bytes], end: float, samples: list[float], done: asyncio.Future[None]) -> None:
        self._messages = messages
        self._end = end
        self._samples = samples
        self._done = done
        self._number = 0
        self._asked = 0.0
        self._rest = b""
        self._transport: asyncio.Transport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport
        self._ask()

    def data_received(self, data: bytes) -> None:
        data = self._rest + data
        end = data.find(b"\r\n\r\n")
        place = data.find(_LENGTH, 0, end) if end >= 0 else -1
        if place < 0:
            self._rest = data
            return
        length = int(data[place + len(_LENGTH) : data.find(b"\r", place)])
        if len(data) < end + 4 + length:
            self._rest = data
            return
        assert data.startswith(b"HTTP/1.1 200"), data[:300]
        self._rest = b""
        self._samples.append(time.perf_counter() - self._asked)
        self._ask()

    def connection_lost(self, exc: Exception | None) -> None:
        if not self._done.done():
            if exc is None and time.perf_counter() >= self._end:
                self._done.set_result(None)
            else:
                self._done.set_exception(exc or ConnectionError("The server closed a connection."))

    def _ask(self) -> None:
        assert self._transport is not None
        self._asked = time.perf_counter()
        if self._asked >= self._end:
            self._transport.close()
            return
        self._transport.write(self._messages[self._number % len(self._messages)])
        self._number += 1


def _itself(client: _Client) -> _Client:
    return client


async def _drive(port: int, messages: list[bytes], seconds: float) -> tuple[int, float, list[float]]:
    """Answers, seconds that they took, and the latency of each in seconds."""
    loop = asyncio.get_running_loop()
    samples: list[float] = []
    began = time.perf_counter()
    waiting = []
    for _ in range(_CONNECTIONS):
        done: asyncio.Future[None] = loop.create_future()
        waiting.append(done)
        client = _Client(messages, began + seconds, samples, done)
        await loop.create_connection(partial(_itself, client), "127.0.0.1", port)
    await asyncio.gather(*waiting)
    return len(samples), time.perf_counter() - began, samples


async def _batches(port: int, token: str) -> float:
    """The median time of one batch in seconds, on one connection."""
    questions = [
        {"resource": {"type": "file", "id": f"file-{number}", "properties": _FILE}} for number in range(_BATCH)
    ]
    subject = {"type": "user", "id": "s0", "properties": {"clearance": "secret"}}
    asked = {"subject": subject, "action": {"name": "read"}, "context": _CONTEXT, "evaluations": questions}
    message = _message(port, token, "/access/v1/evaluations", asked)
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    samples = []
    for _ in range(_BATCHES):
        began = time.perf_counter()
        writer.write(message)
        head = (await reader.readuntil(b"\r\n\r\n")).lower()
        assert head.startswith(b"http/1.1 200"), head
        body = await reader.readexactly(int(head.split(_LENGTH)[1].split(b"\r")[0]))
        samples.append(time.perf_counter() - began)
        assert body.count(b'"decision":true') == _BATCH, body[:300]
        await asyncio.sleep(_PAUSE_S)
    writer.close()
    with suppress(OSError):
        await writer.wait_closed()
    return percentile(samples, 0.5)


_FILE = {"region": "eu", "contains_pii": True, "required_clearance": "internal", "sensitivity": "low", "owner": "s0"}
_CONTEXT = {"auth_strength": "mfa", "approval_ticket": ""}


@contextmanager
def _serving(home: Path) -> Iterator[tuple[int, str]]:
    """The port and the token of a server process that decides with the bundle of the benchmark."""
    context = multiprocessing.get_context("spawn")
    ours, theirs = context.Pipe()
    process = context.Process(target=_serve, args=(str(home), theirs), daemon=True)
    process.start()
    try:
        if not ours.poll(_PATIENCE_S):
            raise TimeoutError("The server did not start.")
        yield ours.recv()
    finally:
        process.terminate()
        process.join(10)
        if process.is_alive():
            process.kill()


def _serve(home: str, pipe: Connection) -> None:
    from bench.policy import IDENTITY
    from companyos.core.settings import Settings
    from companyos.policy.active import ActiveBundle, InMemory
    from companyos.server import app as assembly
    from companyos.server import run as running
    from companyos_sdk import rego

    program = rego.compile(MODULES, DATA, ENTRYPOINT)
    active = InMemory(ActiveBundle(identity=IDENTITY, program=program))
    settings = Settings(home=home)
    replaced: Any = assembly
    replaced.Activated = lambda _policies, _stage: active
    app = assembly.create_app(settings)
    issued = app.identity.bootstrap_admin()
    assert issued is not None
    listener = socket.create_server(("127.0.0.1", 0), backlog=256)
    pipe.send((listener.getsockname()[1], issued.secret))
    try:
        running._server(app, settings).run(sockets=[listener])  # noqa: SLF001 - the server as it is, on our own socket
    finally:
        app.close()
