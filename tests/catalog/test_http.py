from __future__ import annotations

from collections.abc import Callable
from typing import Any

import jsonschema_rs
import pytest
from litestar import Litestar
from litestar.testing import TestClient

from companyos.catalog import Catalog
from companyos.catalog.http import routes
from companyos.core.access import Caller
from companyos.ledger import Journal
from tests.catalog.documents import COMPONENT, MANIFEST
from tests.pillar import person, web

DIGEST = "sha256:" + "1" * 64
YAML = {"Content-Type": "application/yaml"}


@pytest.fixture
def client(journal: Journal) -> Callable[[Caller], TestClient[Litestar]]:
    """Return what makes a client of the routes for a caller."""
    return lambda caller: web(routes, caller, catalog=Catalog(journal))


@pytest.fixture
def api(client: Callable[[Caller], TestClient[Litestar]], admin: Caller) -> TestClient[Litestar]:
    """Return a client of the routes, as an admin."""
    return client(admin)


def test_a_service_lives_over_http(api: TestClient[Litestar]) -> None:
    """Added, shown, changed by its tag, listed, removed."""
    made = api.post("/api/services", json={"name": "shop", "owner": "team-a", "regions": ["eu"]})
    assert (made.status_code, made.headers["etag"], made.headers["location"]) == (201, '"1"', "/api/services/shop")
    shown = api.get("/api/services/shop")
    assert (shown.json(), shown.headers["etag"]) == (made.json(), '"1"')
    assert shown.json()["provenance"]["owner"]["source"] == "manual"
    changed = api.patch("/api/services/shop", json={"tier": "1", "owner": None}, headers={"If-Match": '"1"'})
    assert (changed.status_code, changed.headers["etag"]) == (200, '"2"')
    assert (changed.json()["tier"], changed.json()["owner"], changed.json()["regions"]) == ("1", None, ["eu"])
    assert api.patch("/api/services/shop", json={}, headers={"If-Match": '"1"'}).status_code == 412
    assert api.patch("/api/services/shop", json={}).status_code == 428
    listed = api.get("/api/services", params={"ownership": "unowned", "sort": "-updated_at"}).json()
    assert ([service["name"] for service in listed["items"]], listed["total"]) == (["shop"], 1)
    assert api.delete("/api/services/shop").status_code == 428
    assert api.delete("/api/services/shop", headers={"If-Match": '"2"'}).status_code == 204
    assert api.get("/api/services/shop").status_code == 404
    assert api.post("/api/services", json={"name": "shop"}).status_code == 201
    assert api.post("/api/services", json={"name": "shop"}).status_code == 409


def test_imports_come_as_text_or_as_several_files(api: TestClient[Litestar]) -> None:
    """YAML with its path in the query, JSON, or a list of files."""
    first = api.post("/api/services/import?path=git/shop.yaml", content=MANIFEST, headers=YAML)
    assert (first.status_code, first.json()["items"][0]["outcome"]) == (200, "created")
    assert api.get("/api/services/checkout").json()["provenance"]["owner"]["source"] == "manifest:git/shop.yaml"
    manifest = {"apiVersion": "companyos.dev/v1", "kind": "Service", "metadata": {"name": "cart"}, "spec": {}}
    assert api.post("/api/services/import", json=manifest).json()["items"][0]["name"] == "cart"
    files = [{"path": "a.yaml", "text": COMPONENT}, {"path": "git/shop.yaml", "text": MANIFEST}]
    report = api.post("/api/services/import", json={"files": files}).json()
    assert [(item["name"], item["outcome"]) for item in report["items"]] == [
        ("artist-web", "created"),
        ("checkout", "unchanged"),
    ]
    assert len(report["skipped"]) == 2


BAD_UPLOADS = [
    (b"a: [", "application/yaml", 400),
    (b"\xff\xfe", "text/plain", 400),
    (b"{", "application/json", 400),
    (b'{"files": []}', "application/json", 400),
    (b'{"files": [{"path": "", "text": "x"}]}', "application/json", 400),
    (b'{"files": [{"path": "a\\u0000", "text": "x"}]}', "application/json", 400),
    (b'{"files": [], "more": 1}', "application/json", 400),
    (b"x" * 10_000_000, "application/yaml", 413),
    (b"[" * 10_000_000, "application/json", 413),
    (b"x", "application/octet-stream", 415),
    (b"a=b", "application/x-www-form-urlencoded", 415),
    (b"", "application/yaml", 400),
]


def test_bad_uploads_change_nothing(api: TestClient[Litestar], journal: Journal) -> None:
    """Each with its own status."""
    for content, media_type, status in BAD_UPLOADS:
        answer = api.post("/api/services/import", content=content, headers={"Content-Type": media_type})
        assert answer.status_code == status, (content[:60], media_type)
    assert journal.size() == 0


BAD_REQUESTS = [
    ("POST", "/api/services", {"name": "Shop"}),
    ("POST", "/api/services", {"name": "shop", "colour": "red"}),
    ("POST", "/api/services", {"name": "shop", "owner": 7}),
    ("POST", "/api/services", {"name": "shop", "owner": ""}),
    ("POST", "/api/services", {"name": "shop", "regions": "eu"}),
    ("POST", "/api/services", {"name": "shop", "regions": None}),
    ("POST", "/api/services", {"name": "shop", "labels": {"": "x"}}),
    ("POST", "/api/services", {"name": "shop", "links": [{"url": "javascript:alert(1)"}]}),
    ("POST", "/api/services", {"name": "shop", "provenance": {}}),
    ("POST", "/api/services", {"name": "shop", "description": "a\u0000"}),
    ("POST", "/api/services", {"owner": "team-a"}),
    ("GET", "/api/services?sort=colour", None),
    ("GET", "/api/services?limit=501", None),
    ("GET", "/api/services?ownership=maybe", None),
    ("GET", "/api/services?region=%00", None),
    ("GET", "/api/services/%00", None),
    ("GET", "/api/services/..%2Fx", None),
    ("GET", "/api/teams/A", None),
    ("PUT", "/api/teams/team-a", {"members": ["a\nb"]}),
    ("POST", "/api/services/shop/deployments", {"environment": "prod", "digest": "sha256:1", "version": "1"}),
    ("POST", "/api/services/shop/deployments", {"environment": "prod", "digest": DIGEST, "version": "a b"}),
    ("DELETE", "/api/services/shop/deployments/prod/blue", None),
    ("DELETE", "/api/services/shop/deployments/%00/stable", None),
]


def test_bad_requests_change_nothing(journal: Journal, admin: Caller) -> None:
    """Wrong types, unknown fields, names that are none: 400 (404 where the address itself names nothing)."""
    api = web(routes, admin, catalog=Catalog(journal))
    for method, path, body in BAD_REQUESTS:
        assert api.request(method, path, json=body).status_code in {400, 404}, (method, path, body)
    assert journal.size() == 0


def test_deployments_are_recorded_listed_and_ended(
    api: TestClient[Litestar], client: Callable[[Caller], TestClient[Litestar]]
) -> None:
    """By the runtime, in its own name."""
    api.post("/api/services", json={"name": "shop"})
    robot = client(person("k8s", "operator", type="service"))
    body = {"environment": "prod", "digest": DIGEST, "version": "1.0", "arm": "canary", "weight_ratio": 0.01}
    made = robot.post("/api/services/shop/deployments", json=body)
    assert (made.status_code, made.json()["source"], made.json()["release"]) == (200, "runtime:k8s", "shop@1.0")
    assert [item["id"] for item in api.get("/api/services/shop/deployments").json()["items"]] == [made.json()["id"]]
    assert [word["name"] for word in api.get("/api/environments").json()["items"]] == ["prod"]
    assert api.delete("/api/services/shop/deployments/prod/canary").status_code == 204
    assert api.get("/api/services/shop/deployments").json()["items"] == []
    assert len(api.get("/api/services/shop/deployments?ended=true").json()["items"]) == 1
    assert api.delete("/api/services/shop/deployments/prod/canary").status_code == 404


def test_teams_and_words_are_shown(api: TestClient[Litestar]) -> None:
    """A team is put by its name; a change needs its tag."""
    api.post("/api/services/import", content=MANIFEST, headers=YAML)
    made = api.put("/api/teams/team-pay", json={"oncall": "rota-pay"})
    assert (made.status_code, made.headers["etag"]) == (200, '"1"')
    assert api.put("/api/teams/team-pay", json={}).status_code == 428
    assert api.put("/api/teams/team-pay", json={}, headers={"If-Match": '"1"'}).json()["oncall"] is None
    assert api.get("/api/teams/team-pay").headers["etag"] == '"2"'
    for path, name in (("teams", "team-pay"), ("domains", "commerce"), ("regions", "eu-west-1"), ("tiers", "critical")):
        first = api.get(f"/api/{path}").json()["items"][0]
        assert (first["name"], first["services"]) == (name, 1)
    assert api.get("/api/catalog/counts").json() == {
        "services": 1,
        "owned": 1,
        "unowned": 0,
        "teams": 1,
        "domains": 1,
        "deployments": 0,
    }


def test_the_schema_is_published(api: TestClient[Litestar]) -> None:
    """It is a valid schema that says which version of JSON Schema it follows."""
    schema: dict[str, Any] = api.get("/api/manifest-schema").json()
    jsonschema_rs.meta.validate(schema)
    assert schema["$schema"].endswith("2020-12/schema")


def test_every_route_asks_for_a_role(client: Callable[[Caller], TestClient[Litestar]], journal: Journal) -> None:
    """Somebody without roles gets 403 everywhere, before anything is looked at."""
    api = client(person("nobody"))
    deployment = {"environment": "prod", "digest": DIGEST, "version": "1.0"}
    for method, path, body in (
        ("GET", "/api/services", None),
        ("POST", "/api/services", {"name": "shop"}),
        ("POST", "/api/services/import", {"broken": True}),
        ("GET", "/api/services/shop", None),
        ("PATCH", "/api/services/shop", {}),
        ("DELETE", "/api/services/shop", None),
        ("GET", "/api/services/shop/deployments", None),
        ("POST", "/api/services/shop/deployments", deployment),
        ("DELETE", "/api/services/shop/deployments/prod/stable", None),
        ("GET", "/api/teams", None),
        ("GET", "/api/teams/team-a", None),
        ("PUT", "/api/teams/team-a", {}),
        ("GET", "/api/domains", None),
        ("GET", "/api/regions", None),
        ("GET", "/api/tiers", None),
        ("GET", "/api/environments", None),
        ("GET", "/api/catalog/counts", None),
        ("GET", "/api/manifest-schema", None),
    ):
        assert api.request(method, path, json=body).status_code == 403, (method, path)
    assert journal.size() == 0
