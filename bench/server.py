"""The server over real sockets: requests a second beside a bare ASGI application, idle memory, and how long it ends."""

from __future__ import annotations

import http.client
import json
import multiprocessing
import os
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import httpx
import uvicorn

from bench.harness import AtMost, Row, best_of, resident_mb

_ROOM = "server"
_CONNECTIONS = 16
_SECONDS = 4.0
_SERVICES = 200
_PATIENCE_S = 60.0


class Server(NamedTuple):
    """A server that runs."""

    pid: int
    port: int
    token: str

    @property
    def authorization(self) -> dict[str, str]:
        """The header of an admin."""
        return {"authorization": f"Bearer {self.token}"}


def run(scale: float) -> Iterator[Row]:
    """Rows of the server, measured one after the other."""
    seconds = max(0.5, _SECONDS * scale)
    with tempfile.TemporaryDirectory() as folder, _serving(Path(folder) / "home") as server:
        if (idle := resident_mb(server.pid)) is not None:
            yield Row(room=_ROOM, name="idle memory", value=idle, unit="MB", target=AtMost(120), note="first start")
        with _bare_server() as bare:
            peer = _rate(bare, "/", {}, seconds)
        yield Row(room=_ROOM, name="bare ASGI application", value=peer, unit="req/s", note=_conditions())
        health = _rate(server.port, "/health", {}, seconds)
        yield _beside(health, peer, "GET /health")
        _fill(server, max(10, int(_SERVICES * scale)))
        listed = _rate(server.port, "/api/services?limit=20", server.authorization, seconds)
        yield _beside(listed, peer, "GET /api/services", note="20 of them, token checked")
        if (busy := resident_mb(server.pid)) is not None:
            yield Row(room=_ROOM, name="memory after that", value=busy, unit="MB", note=f"{_CONNECTIONS} connections")
    yield Row(
        room=_ROOM,
        name="SIGTERM with 10 open event streams",
        value=best_of(2, _end_s, key=float),
        unit="s",
        target=AtMost(2),
    )


def _beside(rate: float, peer: float, name: str, note: str = "") -> Row:
    return Row(
        room=_ROOM, name=name, value=rate, unit="req/s", peer=f"bare ASGI {peer:,.0f} in the same run", note=note
    )


def _conditions() -> str:
    return f"{_CONNECTIONS} connections, keep-alive, clients on the same machine"


def _rate(port: int, path: str, headers: Mapping[str, str], seconds: float) -> float:
    """Answers a second, from as many client processes as there are cores but one, so that they do not set the pace."""
    clients = max(1, min(_CONNECTIONS, (os.cpu_count() or 2) - 1))
    context = multiprocessing.get_context("fork")
    with context.Pool(clients) as pool:
        each = _CONNECTIONS // clients
        rates = pool.starmap(_client, [(port, path, dict(headers), each, seconds)] * clients)
    return sum(rates)


def _client(port: int, path: str, headers: dict[str, str], connections: int, seconds: float) -> float:
    """Send the same request over several connections in turn, each waiting for its answer, and count the answers."""
    text = "".join(f"{name}: {value}\r\n" for name, value in headers.items())
    request = f"GET {path} HTTP/1.1\r\nhost: 127.0.0.1\r\n{text}\r\n".encode()
    sockets = [socket.create_connection(("127.0.0.1", port), timeout=30) for _ in range(connections)]
    try:
        length = _answer_length(sockets[0], request)
        began = time.perf_counter()
        answers = 0
        while (passed := time.perf_counter() - began) < seconds:
            for one in sockets:
                one.sendall(request)
            for one in sockets:
                _receive(one, length)
            answers += len(sockets)
        return answers / passed
    finally:
        for one in sockets:
            one.close()


def _answer_length(connection: socket.socket, request: bytes) -> int:
    """The bytes of one answer; all of them are as long, within the few digits of an uptime."""
    connection.sendall(request)
    received = b""
    while b"\r\n\r\n" not in received:
        received += connection.recv(65536)
    head, _, body = received.partition(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 200"), head
    lines = [line.split(b":", 1)[1] for line in head.split(b"\r\n") if line.lower().startswith(b"content-length:")]
    length = int(lines[0])
    while len(body) < length:
        body += connection.recv(65536)
    return len(head) + 4 + length


def _receive(connection: socket.socket, at_least: int) -> None:
    """Read one answer: its head says how long it is; ``at_least`` spares a parser in the common case."""
    received = connection.recv(65536)
    while len(received) < at_least - 16 or b"\r\n\r\n" not in received:
        received += connection.recv(65536)
    head, _, body = received.partition(b"\r\n\r\n")
    length = int(head.lower().split(b"content-length:", 1)[1].split(b"\r\n", 1)[0])
    while len(body) < length:
        body += connection.recv(65536)


def _fill(server: Server, count: int) -> None:
    with httpx.Client(base_url=f"http://127.0.0.1:{server.port}", headers=server.authorization, timeout=60) as client:
        for number in range(count):
            answer = client.post("/api/services", json={"name": f"service-{number}", "owner": "team-bench"})
            assert answer.status_code == http.client.CREATED, answer.text


def _end_s() -> float:
    """Seconds from SIGTERM to the end of a server with ten open event streams."""
    with tempfile.TemporaryDirectory() as folder, _serving(Path(folder) / "home") as server:
        opened = [_stream(server) for _ in range(10)]
        began = time.perf_counter()
        os.kill(server.pid, signal.SIGTERM)
        for connection in opened:
            while connection.recv(65536):
                pass
        _wait_for_end(server.pid)
        return time.perf_counter() - began


def _stream(server: Server) -> socket.socket:
    connection = socket.create_connection(("127.0.0.1", server.port), timeout=30)
    head = f"GET /events?since=0-0 HTTP/1.1\r\nhost: 127.0.0.1\r\nauthorization: Bearer {server.token}\r\n\r\n"
    connection.sendall(head.encode())
    assert connection.recv(65536).startswith(b"HTTP/1.1 200")
    return connection


def _wait_for_end(pid: int) -> None:
    os.waitid(os.P_PID, pid, os.WEXITED | os.WNOWAIT)


@contextmanager
def _serving(home: Path) -> Iterator[Server]:
    """Give a server process over an empty home."""
    process = subprocess.Popen(
        [sys.executable, "-m", "companyos.server", "--port", "0"],
        env={**os.environ, "COMPANYOS_HOME": str(home)},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        note = _until(lambda: _note(home), "the server writes down where it listens")
        url = note["url"]
        _until(lambda: _answers(url), "the server answers")
        yield Server(process.pid, int(url.rpartition(":")[2]), (home / "admin.token").read_text().strip())
    finally:
        process.kill()
        process.wait()


def _note(home: Path) -> dict[str, Any] | None:
    file = home / "run" / "server.json"
    return json.loads(file.read_text()) if file.exists() else None


def _answers(url: str) -> bool:
    try:
        return httpx.get(url + "/health", trust_env=False).is_success
    except httpx.TransportError:
        return False


def _until(condition: Callable[[], Any], what: str) -> Any:  # noqa: ANN401 - whatever the condition finds
    deadline = time.monotonic() + _PATIENCE_S
    while not (found := condition()):
        if time.monotonic() > deadline:
            raise RuntimeError(f"In {_PATIENCE_S:.0f} s it did not happen that {what}.")
        time.sleep(0.02)
    return found


async def _bare(scope: Any, _receive: object, send: Callable[[Any], Awaitable[None]]) -> None:  # noqa: ANN401 - ASGI
    """The least that an ASGI application can do: the same answer to everything."""
    if scope["type"] == "http":
        headers = [(b"content-type", b"application/json"), (b"content-length", b"15")]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        await send({"type": "http.response.body", "body": b'{"status":"up"}'})


@contextmanager
def _bare_server() -> Iterator[int]:
    """Give the port of the bare application, served by the same uvicorn in a process of its own."""
    listener = socket.create_server(("127.0.0.1", 0))
    process = multiprocessing.get_context("fork").Process(target=_serve_bare, args=(listener,), daemon=True)
    process.start()
    try:
        yield int(listener.getsockname()[1])
    finally:
        process.kill()
        process.join()
        listener.close()


def _serve_bare(listener: socket.socket) -> None:
    config = uvicorn.Config(_bare, log_config=None, access_log=False, lifespan="off", interface="asgi3")
    uvicorn.Server(config).run(sockets=[listener])
