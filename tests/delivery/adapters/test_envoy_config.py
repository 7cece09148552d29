"""The documents that Envoy reads: weights, names and versions."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from companyos.delivery.adapters.envoy import config
from companyos.delivery.ports import Route, Target
from tests.delivery.routing import route

OLD = Target(release_id="r-old", host="127.0.0.1", port=1)
NEW = Target(release_id="r-new", host="127.0.0.1", port=2)


def weighted(ratio: float) -> Any:
    """Where the route without a header leads."""
    (host, *_) = config.routes([route(OLD, NEW, ratio)])["resources"][0]["virtual_hosts"]
    return host["routes"][-1]["route"]


@pytest.mark.parametrize(("ratio", "weight"), [(0.001, 1), (0.01, 10), (0.5, 500), (0.98, 980), (0.999, 999)])
def test_weights_are_thousandths(ratio: float, weight: int) -> None:
    """And always make a whole."""
    assert weighted(ratio)["weighted_clusters"]["clusters"] == [
        {"name": "r-old", "weight": 1000 - weight},
        {"name": "r-new", "weight": weight},
    ]


@pytest.mark.parametrize(("ratio", "cluster"), [(0.0, "r-old"), (1.0, "r-new")])
def test_all_or_nothing_is_no_division(ratio: float, cluster: str) -> None:
    """Chance has no part in it."""
    assert weighted(ratio)["cluster"] == cluster


def test_the_version_changes_with_the_routes_and_only_then() -> None:
    """It is how the adapter knows that they are in effect."""

    def version(*routes: Route) -> str:
        text = config.routes(routes)["version_info"]
        assert isinstance(text, str)
        return text

    mail = route(OLD, service="mail")
    assert version(route(OLD), mail) == version(mail, route(OLD))
    assert len({version(), version(mail), version(route(OLD, NEW, 0.1)), version(route(OLD, NEW, 0.1, 2))}) == 4


def test_a_target_is_named_once() -> None:
    """Though two services may share a release id's cluster."""
    assert config.targets_of([route(OLD, NEW, 0.1), route(OLD, service="mail")]) == {"r-old": OLD, "r-new": NEW}


def test_the_route_names_the_interval_and_how_the_arm_was_chosen() -> None:
    """Each line of the access log carries it."""
    (host, *_) = config.routes([route(OLD, NEW, 0.1, 7)])["resources"][0]["virtual_hosts"]
    names = [each["name"] for each in host["routes"]]
    assert names == ["orders|rollout-1|7|forced", "orders|rollout-1|7|forced", "orders|rollout-1|7|weighted"]


def test_only_this_machine_is_listened_to_and_no_second_router_shares_the_port() -> None:
    """Admin and the probe are sockets of this user."""
    here = Path("/run")
    document = config.bootstrap(
        port=1, access_log=here / "l", admin=here / "a", probe=here / "p", cds=here / "c/c", rds=here / "r/r"
    )
    users, probe = document["static_resources"]["listeners"]
    assert users["address"]["socket_address"]["address"] == "127.0.0.1"
    assert users["enable_reuse_port"] is False
    assert probe["address"]["pipe"]["mode"] == document["admin"]["address"]["pipe"]["mode"] == 0o600


def test_every_text_of_a_client_has_a_limit_in_the_log() -> None:
    """A line stays short whatever is sent."""
    for text in config.LINE.values():
        if text.startswith(("%REQ", "%PATH")):
            assert text.removesuffix("%").rpartition(":")[2].isdecimal()
