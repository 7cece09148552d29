"""Real Envoy: what changes under load, and what survives a crash."""

from __future__ import annotations

import json
import os
import shutil
import signal
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest

from companyos.core.errors import Unavailable
from companyos.core.keeper import Keeper
from tests.delivery.routing import EnvoyWorld, collect, load, read_until_lost, read_until_sound, route
from tests.needs import needs
from tests.program import end_all
from tests.waiting import until

pytestmark = needs("envoy")


@pytest.fixture
def world(tmp_path: Path) -> Iterator[EnvoyWorld]:
    """Envoy with two backends that it knows nothing about yet."""
    made = EnvoyWorld(tmp_path)
    yield made
    made.close()


def test_targets_come_and_go_under_load_without_a_failed_request(world: EnvoyWorld) -> None:
    """Twenty changes, each with a new release, under requests that never stop."""
    stable = world.target("r-0")
    world.traffic.apply([route(stable)])
    with load(world) as answers:
        for number in range(1, 21):
            canary = world.target(f"r-{number}")
            before = len(answers)
            world.traffic.apply([route(stable, canary, 0.5, number)])
            until(lambda seen=before: len(answers) > seen + 5, "some requests")  # type: ignore[misc]  # a default binds
            world.traffic.apply([route(canary, number=number)])
            stable = canary
    assert Counter(answer.status for answer in answers) == {200: len(answers)}
    assert {name for name, _ in world.traffic.counters().items()} == {"r-20"}


def test_a_request_under_way_survives_the_removal_of_its_target(world: EnvoyWorld) -> None:
    """The release is on no route any more while it still answers."""
    slow, new = world.target("r-slow"), world.target("r-new")
    world.backends.delays["r-slow"] = 1.0
    world.traffic.apply([route(slow)])
    with load(world) as answers:
        until(lambda: world.backends.seen["r-slow"], "a request under way")
        world.traffic.apply([route(new)])
        until(lambda: len(answers) > 3, "answers")
    assert {answer.status for answer in answers} == {200}
    assert [answer.by for answer in answers][:2] == ["r-slow", "r-new"]


def test_a_release_that_moved_is_reached_at_its_new_port(world: EnvoyWorld) -> None:
    """The same id with another address replaces the cluster."""
    world.traffic.apply([route(world.target("r-old"))])
    world.send("orders")
    world.backends.stop("r-old")
    world.traffic.apply([route(world.target("r-old"))])
    assert world.send("orders").status == 200


def test_killed_envoy_comes_back_with_the_same_weights(world: EnvoyWorld) -> None:
    """The keeper starts it again, and what was lost with it is told."""
    told = route(world.target("r-old"), world.target("r-new"), 1.0)
    world.traffic.apply([told])
    position = world.traffic.read(None).position
    assert world.send("orders").by == "r-new"
    until(lambda: world.traffic.read(position).requests, "the line")
    settled = read_until_sound(world.traffic, position)
    until(world.watched, "a look at the counters")
    killed = world.envoy_pid()
    os.kill(killed, signal.SIGKILL)
    world.disconnect()
    until(lambda: world.running_pid() not in {None, killed} and world.traffic.address(), "another Envoy")
    assert {world.send("orders").by for _ in range(20)} == {"r-new"}
    assert "started again" in str(read_until_lost(world.traffic, settled.position).lost)
    assert world.traffic.applied() == (told,)


def test_a_killed_keeper_stops_no_traffic(world: EnvoyWorld) -> None:
    """Envoy goes on without it, and the next keeper adopts it."""
    world.traffic.apply([route(world.target("r-old"))])
    pid = world.envoy_pid()
    with load(world) as answers:
        os.kill(world.keeper.pid(), signal.SIGKILL)
        until(lambda: not world.keeper.runs(), "the end of the keeper")
        before = len(answers)
        until(lambda: len(answers) > before + 20, "requests without a keeper")
        world.keeper.ensure()
        world.traffic.apply([route(world.target("r-new"))])
        until(lambda: answers[-1].by == "r-new", "the new route")
    assert {answer.status for answer in answers} == {200}
    assert world.envoy_pid() == pid


def test_another_adapter_adopts_envoy_and_its_routes(world: EnvoyWorld) -> None:
    """The next process finds the same Envoy on the same port, and reads on where the last one stopped."""
    told = route(world.target("r-old"))
    world.traffic.apply([told])
    position = world.traffic.read(None).position
    world.send("orders", session="before")
    pid, address = world.envoy_pid(), world.traffic.address()
    world.traffic.close()
    world.traffic = world.adapter()
    assert world.traffic.applied() == (told,)
    assert (world.envoy_pid(), world.traffic.address()) == (pid, address)
    world.send("orders", session="after")
    requests, batch = collect(world.traffic, position, 2)
    assert [request.key for request in requests] == ["before", "after"]
    assert batch.lost is None


def test_a_state_file_that_cannot_be_read_is_written_again(world: EnvoyWorld) -> None:
    """Nobody is told routes that may be others; the next change mends it."""
    told = route(world.target("r-old"))
    world.traffic.apply([told])
    (world.folder / "applied.json").write_text("[{")
    with pytest.raises(Unavailable):
        world.traffic.applied()
    world.traffic.apply([told])
    assert world.traffic.applied() == (told,)


def test_what_is_applied_while_nothing_runs_is_done_once_envoy_runs(tmp_path: Path) -> None:
    """Without a keeper it is Unavailable, and the files are written all the same."""
    world = EnvoyWorld(tmp_path, keeper=False)
    try:
        told = route(world.target("r-old"))
        with pytest.raises(Unavailable):
            world.traffic.apply([told])
        assert world.traffic.applied() == (told,)
        assert world.traffic.address() is None
        assert world.traffic.counters() == {}
        world.keeper.ensure()
        world.traffic.close()
        world.traffic = world.adapter()
        until(world.traffic.address, "Envoy")
        assert world.send("orders").by == "r-old"
    finally:
        world.close()


def test_two_envoys_share_a_machine(world: EnvoyWorld, tmp_path: Path) -> None:
    """Each home has its own, on its own port, also where the folder's path is too long for a socket."""
    other_home = tmp_path / ("long" * 25)
    other_home.mkdir()
    other = EnvoyWorld(other_home)
    try:
        for each in (world, other):
            each.traffic.apply([route(each.target("r-old"))])
        assert world.traffic.address() != other.traffic.address()
        assert {world.send("orders").status, other.send("orders").status} == {200}
        until(world.watched, "a look at the counters")
        assert other.traffic.read(None).lost is None
    finally:
        other.close()
        shutil.rmtree(json.loads((other.folder / "place.json").read_text())["sockets"], ignore_errors=True)


def test_a_client_sets_no_timeouts_and_sees_nothing_of_envoy(world: EnvoyWorld) -> None:
    """Headers by which Envoy is told things are taken away at the edge."""
    world.traffic.apply([route(world.target("r-old"))])
    answer = world.send(
        "orders",
        x_envoy_upstream_rq_timeout_ms="1",
        x_envoy_max_retries="9",
        x_request_id="chosen by the client",
    )
    assert not [name for name in answer.headers if "envoy" in name]
    assert answer.headers["server"] == "own"
    arrived = world.backends.headers
    assert "x-envoy-upstream-rq-timeout-ms" not in arrived
    assert "x-envoy-max-retries" not in arrived
    assert arrived["x-request-id"] != "chosen by the client"


@pytest.mark.parametrize("host", ["orders", "orders:8080", "orders.localhost", "orders.localhost:8080", "ORDERS"])
def test_a_service_is_found_by_its_name_with_and_without_a_port(world: EnvoyWorld, host: str) -> None:
    """As browsers and programs write it."""
    world.traffic.apply([route(world.target("r-old"))])
    assert world.send(host).status == 200


def test_envoy_ends_with_its_keeper_when_that_is_asked_to_end(world: EnvoyWorld) -> None:
    """Nothing is left behind."""
    world.traffic.apply([route(world.target("r-old"))])
    assert world.keeper.stop("envoy")
    until(lambda: world.traffic.address() is None, "the end of Envoy")
    end_all(world.home)
    assert not Keeper(world.home / "run", world.home / "logs").left_behind()
