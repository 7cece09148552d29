from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from litestar import Litestar
from litestar.testing import TestClient

from companyos.core.errors import Denied
from companyos.delivery.http import routes
from companyos.delivery.model import FlagChange
from companyos.delivery.policy import ReleasePolicy
from tests.delivery.scripted import DIGEST, ID, ScriptedDelivery, release
from tests.pillar import person, web

UNKNOWN = "01a202e7-0000-7000-8000-00000000dead"
HASTY = {"steps": [50, 100], "hold_s": 1}


@pytest.fixture
def delivery() -> ScriptedDelivery:
    """Return a delivery with one release, a canary at 10 %."""
    return ScriptedDelivery(release())


@pytest.fixture
def api(delivery: ScriptedDelivery) -> TestClient[Litestar]:
    """Return a client of the routes."""
    return web(routes, person("olga", "operator"), delivery=delivery)


def test_a_deployment_is_accepted_with_all_that_was_said(api: TestClient[Litestar], delivery: ScriptedDelivery) -> None:
    """202, because the controller starts it; what is left out has its default."""
    body = {
        "digest": DIGEST,
        "environment": "staging",
        "flags": [{"key": "new-cart"}, {"key": "old-cart", "value": False}],
        "policy": HASTY,
    }
    answer = api.post("/api/deployments", json=body)
    assert (answer.status_code, answer.json()["name"]) == (202, "shop@1.1")
    flags = (FlagChange(key="new-cart"), FlagChange(key="old-cart", value=False))
    policy = ReleasePolicy(steps=(50.0, 100.0), hold_s=1.0)
    assert delivery.calls == [("deploy", (DIGEST, "staging", flags, policy))]
    api.post("/api/deployments", json={"digest": DIGEST})
    assert delivery.calls[-1] == ("deploy", (DIGEST, "production", (), None))


def test_a_refusal_of_admission_is_told_as_it_is(api: TestClient[Litestar], delivery: ScriptedDelivery) -> None:
    """403 with the sentence."""
    delivery.refusal = Denied("shop@1.1 is on the deny-list.", policy="admission:denied")
    answer = api.post("/api/deployments", json={"digest": DIGEST})
    assert (answer.status_code, answer.json()["detail"]) == (403, "shop@1.1 is on the deny-list.")


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"digest": "latest"},
        {"digest": DIGEST + "\n"},
        {"digest": DIGEST.upper()},
        {"digest": DIGEST, "environment": "Prod\0"},
        {"digest": DIGEST, "surprise": 1},
        {"digest": DIGEST, "flags": [{"key": "a\0"}]},
        {"digest": DIGEST, "flags": [{"key": "a"}] * 65},
        {"digest": DIGEST, "policy": {"steps": [1, 10]}},
        {"digest": DIGEST, "policy": {"surprise": 1}},
        {"digest": DIGEST, "policy": {"error_ratio_max": 2}},
        [],
    ],
)
def test_a_bad_deployment_reaches_nobody(api: TestClient[Litestar], delivery: ScriptedDelivery, body: Any) -> None:
    """It is refused before a use case is called."""
    assert api.post("/api/deployments", json=body).status_code == 400
    assert delivery.calls == []


def test_contradictory_steps_are_named(api: TestClient[Litestar]) -> None:
    """The field at fault stands in the problem, whichever body the policy comes in."""
    policy = {"steps": [10, 1, 100]}
    for path, body in (("deployments", {"digest": DIGEST, "policy": policy}), ("replays", {"policy": policy})):
        answer = api.post(f"/api/{path}", json=body)
        assert (answer.status_code, answer.json()["field"]) == (400, "steps"), path


def test_releases_are_listed_and_shown(api: TestClient[Litestar], delivery: ScriptedDelivery) -> None:
    """The filters arrive as they were meant."""
    delivery.known = [release(), release("steady", version="1.0", name="shop@1.0")]
    page = api.get("/api/releases?name=shop@1.0&in_flight=false&limit=5").json()
    assert [item["name"] for item in page["items"]] == ["shop@1.0"]
    assert delivery.calls == [("list", (None, "shop@1.0", False, None, 5))]
    assert api.get(f"/api/releases/{ID}").json()["policy"]["hold_s"] == 600.0
    ticks = api.get(f"/api/releases/{ID}/ticks?limit=7&cursor=3")
    assert (ticks.status_code, ticks.json()["items"][0]["number"]) == (200, 1)
    assert ("ticks", (ID, "3", 7)) in delivery.calls


@pytest.mark.parametrize(
    "query",
    [
        "limit=0",
        "limit=501",
        "limit=x",
        "in_flight=2",
        "name=shop",
        "name=shop@1%00",
        "name=" + "a" * 200,
        "service=" + "a" * 40,
    ],
)
def test_a_bad_filter_is_refused(api: TestClient[Litestar], delivery: ScriptedDelivery, query: str) -> None:
    """Limits and forms hold before a database is asked."""
    assert api.get(f"/api/releases?{query}").status_code == 400
    assert delivery.calls == []


@pytest.mark.parametrize("kind", ["hold", "resume", "promote", "abort", "rollback"])
def test_a_command_is_accepted(api: TestClient[Litestar], delivery: ScriptedDelivery, kind: str) -> None:
    """202, because it takes effect a moment later."""
    answer = api.post(f"/api/releases/{ID}/commands", json={"kind": kind, "reason": "because"})
    assert (answer.status_code, answer.json()["id"]) == (202, ID)
    assert delivery.calls == [(kind, (ID, "because", None))]


@pytest.mark.parametrize(
    "body",
    [
        {"kind": "explode", "reason": "r"},
        {"kind": "hold"},
        {"kind": "hold", "reason": ""},
        {"kind": "hold", "reason": "two\nlines"},
        {"kind": "hold", "reason": "a\0b"},
        {"kind": "hold", "reason": "r" * 501},
        {"kind": "hold", "reason": "r", "force": True},
    ],
)
def test_a_bad_command_is_refused(api: TestClient[Litestar], delivery: ScriptedDelivery, body: Any) -> None:
    """A reason is one line of up to 500 characters, and nothing else goes along."""
    assert api.post(f"/api/releases/{ID}/commands", json=body).status_code == 400
    assert delivery.calls == []


def test_what_is_not_there_is_not_found(api: TestClient[Litestar]) -> None:
    """404 for an id that nobody has, of whatever form; one that is too long is no id."""
    command = {"kind": "hold", "reason": "r"}
    asked: list[Callable[[str], Any]] = [
        lambda it: api.get(f"/api/releases/{it}"),
        lambda it: api.get(f"/api/releases/{it}/ticks"),
        lambda it: api.get(f"/state/{it}"),
        lambda it: api.post(f"/api/releases/{it}/commands", json=command),
    ]
    for ask in asked:
        assert [ask(it).status_code for it in (UNKNOWN, "shop", "%00", "..%5c")] == [404] * 4
        assert ask("a" * 37).status_code == 400
    assert api.post("/rollback", json={"deployment_id": UNKNOWN, "reason": "r"}).status_code == 404


def test_the_playbook_s_rollback_and_state(api: TestClient[Litestar], delivery: ScriptedDelivery) -> None:
    """They speak the playbook's words, with ours beside them."""
    delivery.script = [release(), release("rollback_pending")]
    snapshot = {"error_rate": 0.2, "hosts": [{"name": "a"}]}
    answer = api.post("/rollback", json={"deployment_id": ID, "reason": "bad", "metrics_snapshot": snapshot})
    assert (answer.status_code, answer.json()["phase"], answer.json()["state"]) == (
        202,
        "rolling_back",
        "rollback_pending",
    )
    assert delivery.calls[0] == ("rollback", (ID, "bad", snapshot))
    state = api.get(f"/state/{ID}").json()
    assert (state["deployment_id"], state["phase"], state["indicators"][0]["name"]) == (
        ID,
        "rolling_back",
        "error_rate",
    )


def nested(levels: int) -> Any:
    """Return objects within objects."""
    return {} if levels == 1 else {"a": nested(levels - 1)}


@pytest.mark.parametrize(
    ("snapshot", "status"),
    [
        (nested(8), 202),
        (nested(9), 400),
        ({"a": "x" * 65_000}, 202),
        ({"a": "x" * 66_000}, 413),
        ({str(number): 0 for number in range(501)}, 400),
        ({"a": ["b\0"]}, 400),
        ({"a\0": 1}, 400),
        ({"a": 2**60}, 400),
        ([], 400),
        (None, 400),
    ],
)
def test_a_snapshot_has_limits(
    api: TestClient[Litestar], delivery: ScriptedDelivery, snapshot: Any, status: int
) -> None:
    """Depth, size and what a database can keep; a snapshot that is refused rolls nothing back."""
    answer = api.post("/rollback", json={"deployment_id": ID, "reason": "r", "metrics_snapshot": snapshot})
    assert answer.status_code == status
    assert bool(delivery.calls) == (status == 202)


def test_a_replay_is_asked_for_with_a_policy(api: TestClient[Litestar], delivery: ScriptedDelivery) -> None:
    """It changes nothing, so it is 200."""
    answer = api.post("/api/replays", json={"policy": HASTY, "service": "shop", "limit": 3})
    assert (answer.status_code, answer.json()) == (200, {"items": []})
    assert delivery.calls == [("replay", (ReleasePolicy(steps=(50.0, 100.0), hold_s=1.0), "shop", 3))]
    for body in ({}, {"policy": {}, "limit": 0}, {"policy": {}, "limit": 501}, {"policy": {}, "service": "S\0"}):
        assert api.post("/api/replays", json=body).status_code == 400, body


def test_every_operation_is_in_the_document(api: TestClient[Litestar]) -> None:
    """The OpenAPI document has each address, the limits of the bodies, and 202 where work goes on."""
    document = api.app.openapi_schema.to_schema()
    told = {(method, path): operation for path, item in document["paths"].items() for method, operation in item.items()}
    assert set(told) == {
        ("post", "/api/deployments"),
        ("get", "/api/releases"),
        ("get", "/api/releases/{id}"),
        ("get", "/api/releases/{id}/ticks"),
        ("post", "/api/releases/{id}/commands"),
        ("post", "/api/replays"),
        ("post", "/rollback"),
        ("get", "/state/{deployment_id}"),
    }
    accepted = {path for (_, path), operation in told.items() if "202" in operation["responses"]}
    assert accepted == {"/api/deployments", "/api/releases/{id}/commands", "/rollback"}
    assert document["components"]["schemas"]["NewCommand"]["properties"]["reason"]["maxLength"] == 500
