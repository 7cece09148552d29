"""Real Envoy: every request is a line, and what is said where one is missing."""

from __future__ import annotations

import os
import socket
import threading
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest

from companyos.delivery.adapters.envoy.admin import Asker
from companyos.delivery.adapters.envoy.counters import LATE_S, sample
from companyos.delivery.ports import Batch, Request
from tests.delivery.routing import EnvoyWorld, collect, load, read_until_lost, read_until_sound, route
from tests.needs import needs
from tests.waiting import until

pytestmark = needs("envoy")


@pytest.fixture
def world(tmp_path: Path) -> Iterator[EnvoyWorld]:
    """Envoy with two backends that it knows nothing about yet."""
    made = EnvoyWorld(tmp_path)
    yield made
    made.close()


def test_a_deleted_log_is_a_loss_and_then_there_is_a_new_one(world: EnvoyWorld) -> None:
    """Envoy would write to the deleted file for ever."""
    world.traffic.apply([route(world.target("r-old"))])
    position = world.traffic.read(None).position
    world.send("orders")
    _, batch = collect(world.traffic, position, 1)
    world.log.unlink()
    batch = read_until_lost(world.traffic, batch.position)
    until(world.log.exists, "a new log")
    batch = read_until_sound(world.traffic, batch.position)
    world.send("orders", session="again")
    requests, batch = collect(world.traffic, batch.position, 1)
    assert [request.key for request in requests] == ["again"]


def test_a_cut_log_is_a_loss(world: EnvoyWorld) -> None:
    """What was cut away is never given out as if nothing had happened."""
    world.traffic.apply([route(world.target("r-old"))])
    position = world.traffic.read(None).position
    world.send("orders")
    _, batch = collect(world.traffic, position, 1)
    os.truncate(world.log, 0)
    assert "cut" in str(read_until_lost(world.traffic, batch.position).lost)


def test_lines_that_never_arrive_are_found_by_the_counters(world: EnvoyWorld) -> None:
    """The log is there and sound; only Envoy knows that it lacks requests."""
    world.traffic.apply([route(world.target("r-old"))])
    world.send("orders")
    position = read_until_sound(world.traffic, world.traffic.read(None).position).position
    until(world.watched, "a look at the counters")
    aside = world.log.with_name("aside")
    world.log.rename(aside)
    world.log.write_bytes(aside.read_bytes())
    for _ in range(7):
        world.send("orders")
    assert "7 requests" in str(read_until_lost(world.traffic, position).lost)


def test_rotation_under_load_loses_and_repeats_nothing(tmp_path: Path) -> None:
    """The log is renamed again and again while it is written and read."""
    world = EnvoyWorld(tmp_path, rotate_bytes=20_000)
    try:
        world.traffic.apply([route(world.target("r-old"))])
        position = world.traffic.read(None).position
        sent: list[str] = []
        requests: list[Request] = []

        def rotations() -> int:
            return max((int(path.suffix[1:]) for path in world.folder.glob("access.log.*")), default=0)

        def send() -> None:
            # How soon the log is rotated is the machine's affair; this ends once it was, twice.
            while len(sent) < 1500 or (rotations() < 2 and len(sent) < 20_000):
                world.send("orders", session=f"s{len(sent)}")
                sent.append(f"s{len(sent)}")

        def everything() -> Batch | None:
            nonlocal position
            ended = not thread.is_alive()
            batch = world.traffic.read(position)
            position = batch.position
            requests.extend(batch.requests)
            return batch if ended and len(requests) >= len(sent) else None

        thread = threading.Thread(target=send)
        thread.start()
        batch = until(everything, "all requests in the log", within_s=60)
        thread.join()
        assert [request.key for request in requests] == sent
        assert batch.lost is None
        assert rotations() >= 2
        assert len(list(world.folder.glob("access.log.*"))) <= 3
    finally:
        world.close()


def test_counters_and_lines_agree_whatever_becomes_of_a_request(world: EnvoyWorld) -> None:
    """Refused connections with their retry, timeouts, broken answers, clients that leave, unknown hosts, no HTTP."""
    kinds = ("r-refusing", "r-hanging", "r-dropping", "r-halving", "r-sound")
    targets = {kind: world.target(kind) for kind in kinds}
    world.backends.stop("r-refusing")
    world.backends.hanging.add("r-hanging")
    world.backends.dropping.add("r-dropping")
    world.backends.halving.add("r-halving")
    routes = [route(target, service=kind, rollout=kind, timeout_s=0.3) for kind, target in targets.items()]
    world.traffic.apply(routes)
    position = world.traffic.read(None).position
    for _ in range(3):
        for kind in (*kinds, "unknown"):
            world.send(kind)
    address = world.traffic.address()
    assert address is not None
    for text in (
        b"GET / HTTP/1.1\r\nhost: r-hanging\r\n\r\n",
        b"GET / HTTP/1.1\r\nhost: r-sound\r\n\r\n",
        b"\x16\x03\r\n\r\n",
        b"GET / HTTP/1.1\r\nhost: r-sound\r\nlong: " + b"x" * 50_000 + b"\r\n\r\n",
    ):
        with socket.create_connection(address) as leaving:
            leaving.sendall(text)
    requests, batch = collect(world.traffic, position, 17)
    statuses = Counter((request.service, request.status) for request in requests)
    assert statuses[("r-refusing", 503)] == 3
    assert statuses[("r-dropping", 503)] == 3
    assert statuses[("r-halving", 0)] == 3
    assert statuses[("r-hanging", 504)] + statuses[("r-hanging", 0)] == 4
    assert statuses[("r-sound", 200)] + statuses[("r-sound", 0)] == 4
    assert sum(statuses.values()) == 17
    assert world.traffic.counters()["r-refusing"]["upstream_rq_retry"] == 3
    assert world.backends.seen["r-dropping"] == 3

    asker = Asker(world.socket)
    try:
        until(lambda: sample(asker).ended == world.log.read_bytes().count(b"\n"), "counters equal to lines")
    finally:
        asker.close()
    # Long enough for a gap to be called one.
    settled = threading.Event()
    settled.wait(LATE_S + 1)
    assert world.traffic.read(batch.position).lost is None


def test_requests_in_flight_are_counted_by_release(world: EnvoyWorld) -> None:
    """From the last look at Envoy's counters."""
    world.traffic.apply([route(world.target("r-old"))])
    world.backends.delays["r-old"] = 1.5
    with load(world):
        until(lambda: world.traffic.read(None).in_flight.get("r-old") == 1, "one request in flight")


def test_a_request_that_takes_long_is_not_missing(world: EnvoyWorld) -> None:
    """Its line comes when it ends, however long that is after the counters know of it."""
    world.traffic.apply([route(world.target("r-old"))])
    position = world.traffic.read(None).position
    world.backends.delays["r-old"] = LATE_S + 2
    until(world.watched, "a look at the counters")
    with load(world) as answers:
        told = []

        def ended() -> bool:
            told.append(world.traffic.read(position).lost)
            return bool(answers)

        until(ended, "the answer")
    assert set(told) == {None}


def test_hostile_texts_stay_one_short_line(world: EnvoyWorld) -> None:
    """A quote, a backslash, bytes that are no UTF-8, and more than anybody needs."""
    world.traffic.apply([route(world.target("r-old"))])
    position = world.traffic.read(None).position
    address = world.traffic.address()
    assert address is not None
    with socket.create_connection(address) as connection:
        head = (
            b'GET /a%0a"b?token=secret HTTP/1.1\r\nhost: orders\r\nx-session-id: "\\\xff\xfe' + b"x" * 500 + b"\r\n\r\n"
        )
        connection.sendall(head)
        assert b"200" in connection.recv(100)
    requests, batch = collect(world.traffic, position, 1)
    assert batch.lost is None
    assert requests[0].path == "/a%0a%22b"
    assert "secret" not in world.log.read_text()
    assert len(requests[0].key) <= 140
