"""The load generator against real sockets: rates, what it counts, and that a stall cannot hide."""

from __future__ import annotations

import asyncio
import json
import random
import re
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from companyos.core.errors import InvalidInput
from companyos.delivery.load import Load, Requests, Shape, Tally, read_profile, read_streams
from companyos.delivery.load_connection import Connection
from tests.delivery.routing import Backends


@pytest.fixture
def backends() -> Iterator[Backends]:
    """Servers that can misbehave."""
    made = Backends()
    yield made
    made.close()


def run(port: int, rate: float, requests: int, **options: float) -> Load:
    """Send about so many requests and return the generator with its counts."""

    async def work() -> Load:
        load = Load(("127.0.0.1", port), **options)  # type: ignore[arg-type]  # a test's options
        stop = asyncio.Event()
        task = asyncio.create_task(load.run({"orders": (rate, (Shape(path="/"),))}, stop, seed=1))
        while load.total.sent < requests:  # noqa: ASYNC110 - the count is what is waited for
            await asyncio.sleep(0.005)
        stop.set()
        await task
        return load

    return asyncio.run(work())


def test_every_request_is_sent_answered_and_counted_once(backends: Backends) -> None:
    """Sent is what arrived, and everything ended one way or another."""
    load = run(backends.target("r-1").port, 500, 200)
    assert load.total.sent == load.total.ok == backends.seen["r-1"]
    assert load.total.failed == load.total.skipped == 0
    assert backends.headers["host"] == "orders"
    assert re.fullmatch("00-[0-9a-f]{32}-[0-9a-f]{16}-01", backends.headers["traceparent"])
    assert re.fullmatch("[0-9a-f]{16}", backends.headers["x-session-id"])


@pytest.mark.parametrize("fault", ["dropping", "halving"])
def test_an_answer_that_breaks_off_is_a_failure(backends: Backends, fault: str) -> None:
    """Before the head and in the middle of the body."""
    target = backends.target("r-1")
    getattr(backends, fault).add("r-1")
    load = run(target.port, 200, 20)
    assert load.total.failed == load.total.sent
    assert load.total.ok == 0


def test_nobody_listening_is_a_failure() -> None:
    """Each request tries anew."""
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        load = run(unused.getsockname()[1], 200, 10)
    assert load.total.failed == load.total.sent


def test_a_hung_server_is_a_failure_after_the_timeout(backends: Backends) -> None:
    """And not a wait without an end."""
    target = backends.target("r-1")
    backends.hanging.add("r-1")
    load = run(target.port, 100, 10, timeout_s=0.1)
    assert load.total.failed == load.total.sent


def test_requests_without_a_free_connection_are_told_apart(backends: Backends) -> None:
    """The generator is at its limit, which says nothing about the service."""
    target = backends.target("r-1")
    backends.delays["r-1"] = 0.2
    load = run(target.port, 500, 100, connections=3)
    assert load.total.skipped > 0
    assert load.total.ok + load.total.skipped == load.total.sent
    assert load.total.failed == 0


def test_a_stall_counts_from_when_a_request_should_have_begun() -> None:
    """The duration holds the wait before the request was sent."""

    async def work() -> float:
        load = Load(("127.0.0.1", 9))
        connection = Connection(load._done)  # noqa: SLF001 - the answer comes without a network
        connection.due = time.perf_counter() - 5
        connection.data_received(b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n")
        return load.total.summary(0).p50_ms

    assert asyncio.run(work()) >= 5000


@pytest.mark.parametrize(
    "pieces",
    [
        [b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello"],
        [b"HTTP/1.1 200 OK\r\ncontent-le", b"ngth: 5\r\n\r\n", b"he", b"llo"],
        [b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n5\r\nhello\r\n", b"0\r\n\r\n"],
        [b"HTTP/1.1 204 No Content\r\n\r\n"],
        [bytes([byte]) for byte in b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"],
    ],
)
def test_an_answer_is_complete_with_its_last_byte(pieces: list[bytes]) -> None:
    """However it is cut into packets."""
    done: list[int] = []
    connection = Connection(lambda _, status: done.append(status))
    connection.send(b"", 0.0)
    for piece in pieces[:-1]:
        connection.data_received(piece)
        assert done == []
    connection.data_received(pieces[-1])
    assert done in ([200], [204])


def test_users_come_back_and_new_ones_come() -> None:
    """Sessions repeat; traces do not."""
    requests = Requests("orders", (Shape(path="/"),), random.Random(1))
    made = [requests.make() for _ in range(20_000)]
    sessions = {request.split(b"x-session-id: ")[1][:16] for request in made}
    assert 2_000 < len(sessions) < 3_000
    assert len({request.split(b"traceparent: ")[1][:55] for request in made}) == len(made)


def test_a_profile_is_a_mix_of_requests() -> None:
    """By share, with the body that belongs to it."""
    shapes = (Shape(path="/a", share=3), Shape(path="/b", method="POST", share=1, body='{"x":1}'))
    requests = Requests("orders", shapes, random.Random(1))
    made = [requests.make() for _ in range(4000)]
    posts = [request for request in made if request.startswith(b"POST /b HTTP/1.1\r\nhost: orders\r\n")]
    assert 850 < len(posts) < 1150
    assert all(request.endswith(b'content-length: 7\r\n\r\n{"x":1}') for request in posts)
    assert all(request.startswith(b"GET /a ") for request in made if request not in posts)


@pytest.mark.parametrize(
    "text",
    ["", "[]", "{}", '[{"path": "no"}]', '[{"path": "/a b"}]', '[{"path": "/", "share": 0}]', '[{"path":"/","x":1}]'],
)
def test_a_profile_that_makes_no_sense_is_refused(tmp_path: Path, text: str) -> None:
    """Also a path that would be two lines of a request."""
    path = tmp_path / "profile.json"
    path.write_text(text)
    with pytest.raises(InvalidInput):
        read_profile(path)


@pytest.mark.parametrize("text", ["orders", "orders=", "orders=-1", "orders=nan", "orders=1e9", "a b=1", "a\r\nb=1"])
def test_a_stream_that_makes_no_sense_is_refused(text: str) -> None:
    """A name that would be a second header, a rate that is none."""
    with pytest.raises(InvalidInput):
        read_streams([text])


def test_percentiles_are_of_what_was_answered() -> None:
    """Nothing answered is 0 and no fault."""
    tally = Tally()
    assert tally.summary(1).p95_ms == 0
    for milliseconds in range(1, 101):
        tally.answered(milliseconds / 1000, 200 if milliseconds > 10 else 503)
    summary = tally.summary(1)
    assert (summary.ok, summary.failed) == (90, 10)
    assert (summary.p50_ms, summary.p95_ms, summary.p99_ms) == (51, 96, 100)


def test_the_command_reports_each_second_and_ends_on_sigterm(backends: Backends) -> None:
    """One JSON object per line, and a last one with everything."""
    port = backends.target("r-1").port
    command = [sys.executable, "-m", "companyos.delivery.load", "--port", str(port), "--service", "orders=50"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        first = json.loads(process.stdout.readline())
        process.send_signal(signal.SIGTERM)
        rest = [json.loads(line) for line in process.stdout]
        assert process.wait(10) == 0
    assert first["sent"] > 0
    assert first["final"] is False
    assert rest[-1]["final"] is True
    assert rest[-1]["ok"] == rest[-1]["sent"] == backends.seen["r-1"]


def test_the_command_refuses_what_it_does_not_understand() -> None:
    """With exit code 2 and a sentence."""
    command = [sys.executable, "-m", "companyos.delivery.load", "--port", "9", "--service", "orders=many"]
    result = subprocess.run(command, capture_output=True, text=True, check=False)
    assert result.returncode == 2
    assert "orders=many" in result.stderr
