"""What every ``Traffic`` promises: one suite over real Envoy and over the twin."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest

from companyos.core.errors import InvalidInput
from tests.delivery.routing import EnvoyWorld, MemoryWorld, World, collect, route
from tests.needs import needs


@pytest.fixture(params=["memory", pytest.param("envoy", marks=needs("envoy"))])
def world(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[World]:
    """A router and what stands behind it."""
    made: World = MemoryWorld() if request.param == "memory" else EnvoyWorld(tmp_path)
    yield made
    made.close()


def test_nothing_was_applied_before_the_first_time(world: World) -> None:
    """An empty answer, and no fault."""
    assert world.traffic.applied() == ()


def test_what_was_applied_last_can_be_asked(world: World) -> None:
    """Also when the last thing was nothing at all."""
    told = route(world.target("r-old"), world.target("r-new"), 0.1)
    world.traffic.apply([told])
    assert world.traffic.applied() == (told,)
    world.traffic.apply([])
    assert world.traffic.applied() == ()


def test_a_service_that_is_not_routed_is_not_found(world: World) -> None:
    """It is nobody's request."""
    world.traffic.apply([route(world.target("r-old"))])
    assert world.send("unknown").status == 404


def test_without_a_canary_everything_goes_to_the_stable_release(world: World) -> None:
    """Whatever the header says."""
    world.traffic.apply([route(world.target("r-old"))])
    assert {world.send("orders", header).by for header in (None, "always", "never")} == {"r-old"}


@pytest.mark.parametrize("ratio", [0.0, 0.01, 0.3, 1.0])
def test_the_canary_gets_its_share(world: World, ratio: float) -> None:
    """In thousandths, at random per request."""
    world.traffic.apply([route(world.target("r-old"), world.target("r-new"), ratio)])
    count = 2000
    answers = Counter(world.send("orders").by for _ in range(count))
    # Six standard deviations: by chance outside once in 500 million runs.
    allowed = 6 * (count * ratio * (1 - ratio)) ** 0.5
    assert abs(answers["r-new"] - count * ratio) <= allowed
    assert answers["r-new"] + answers["r-old"] == count


def test_the_header_chooses_the_arm_whatever_the_weight(world: World) -> None:
    """And the request says that it was forced."""
    old, new = world.target("r-old"), world.target("r-new")
    start = world.traffic.read(None).position
    for ratio in (0.0, 0.5, 1.0):
        world.traffic.apply([route(old, new, ratio)])
        assert {world.send("orders", "always").by for _ in range(10)} == {"r-new"}
        assert {world.send("orders", "never").by for _ in range(10)} == {"r-old"}
    requests, _ = collect(world.traffic, start, 60)
    assert all(request.forced for request in requests)


def test_a_request_names_its_service_its_release_and_its_session(world: World) -> None:
    """All that evidence is made of."""
    world.traffic.apply([route(world.target("r-old"))])
    start = world.traffic.read(None).position
    world.send("orders", session="user-7", path="/orders")
    requests, batch = collect(world.traffic, start, 1)
    (request,) = requests
    assert (request.service, request.release_id, request.status) == ("orders", "r-old", 200)
    assert (request.rollout, request.number, request.forced) == ("rollout-1", 1, False)
    assert (request.key, request.method, request.path) == ("user-7", "GET", "/orders")
    assert not request.failed
    assert request.duration_ms > 0
    assert batch.lost is None


def test_every_request_carries_the_interval_whose_weight_divided_it(world: World) -> None:
    """Also right after a change: no request is divided by one weight and named after another."""
    old, new = world.target("r-old"), world.target("r-new")
    start = world.traffic.read(None).position
    for number in range(1, 11):
        world.traffic.apply([route(old, new, float(number % 2), number)])
        for _ in range(5):
            world.send("orders", session=str(number))
    requests, _ = collect(world.traffic, start, 50)
    assert [(request.key, request.release_id) for request in requests] == [
        (str(request.number), "r-new" if request.number % 2 else "r-old") for request in requests
    ]
    assert Counter(request.number for request in requests) == dict.fromkeys(range(1, 11), 5)


def test_reading_goes_on_exactly_where_it_ended(world: World) -> None:
    """Nothing twice and nothing lost, and the same again from the same place."""
    world.traffic.apply([route(world.target("r-old"))])
    start = world.traffic.read(None).position
    for number in range(10):
        world.send("orders", session=f"s{number}")
    first, batch = collect(world.traffic, start, 10)
    for number in range(10, 20):
        world.send("orders", session=f"s{number}")
    second, _ = collect(world.traffic, batch.position, 10)
    assert [request.key for request in first + second] == [f"s{number}" for number in range(20)]
    again, _ = collect(world.traffic, start, 20)
    assert again == first + second


def test_reading_begins_with_what_is_new(world: World) -> None:
    """Without a position, what was there is not repeated."""
    world.traffic.apply([route(world.target("r-old"))])
    start = world.traffic.read(None).position
    world.send("orders")
    collect(world.traffic, start, 1)
    assert world.traffic.read(None).requests == ()


def test_a_position_that_nobody_gave_is_a_loss(world: World) -> None:
    """Reading goes on, and says that something may be missing."""
    batch = world.traffic.read("\x00nonsense")
    assert batch.lost is not None
    assert batch.requests == ()
    assert world.traffic.read(batch.position).lost is None


def test_a_hung_release_is_an_error_after_the_timeout(world: World) -> None:
    """A request without an answer is a 504 of that release."""
    world.hang("r-old")
    world.traffic.apply([route(world.target("r-old"), timeout_s=0.2)])
    start = world.traffic.read(None).position
    assert world.send("orders").status == 504
    requests, _ = collect(world.traffic, start, 1)
    assert requests[0].failed
    assert requests[0].duration_ms >= 190


def test_services_are_divided_independently(world: World) -> None:
    """And a service that is left out is gone."""
    orders = route(world.target("r-old"), world.target("r-new"), 1.0)
    mail = route(world.target("m-old"), service="mail", rollout="rollout-2", number=7)
    world.traffic.apply([orders, mail])
    assert (world.send("orders").by, world.send("mail").by) == ("r-new", "m-old")
    world.traffic.apply([mail])
    assert (world.send("orders").status, world.send("mail").by) == (404, "m-old")


@pytest.mark.parametrize("ratio", [-0.1, 1.1, float("nan")])
def test_a_weight_out_of_range_changes_nothing(world: World, ratio: float) -> None:
    """It is refused as a whole."""
    told = route(world.target("r-old"))
    world.traffic.apply([told])
    with pytest.raises(InvalidInput):
        world.traffic.apply([route(told.stable, told.stable, ratio)])
    assert world.traffic.applied() == (told,)


def test_two_routes_of_one_service_change_nothing(world: World) -> None:
    """Nobody could say which one counts."""
    told = route(world.target("r-old"))
    world.traffic.apply([told])
    with pytest.raises(InvalidInput):
        world.traffic.apply([told, told])
    assert world.traffic.applied() == (told,)
