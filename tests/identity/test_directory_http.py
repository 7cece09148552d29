from __future__ import annotations

from typing import Any

import pytest
from litestar import Litestar
from litestar.testing import TestClient

from companyos.core.access import Caller
from companyos.identity import Identity
from companyos.identity.http import routes
from companyos.ledger import Journal
from tests.pillar import person, web

FILE = "subjects: [{name: pat, org_id: acme, roles: [viewer], attributes: {level: {value: 3, ttl: 60}}}]"
YAML = {"content-type": "application/yaml"}


@pytest.fixture
def api(identity: Identity, admin: Caller) -> TestClient[Litestar]:
    """Return a client of the routes, as an admin."""
    return web(routes, admin, identity=identity)


def test_an_attribute_is_said_shown_replaced_and_removed(api: TestClient[Litestar]) -> None:
    """Its ETag names what was said; a change that names something older is refused."""
    api.post("/api/subjects", json={"name": "pat", "org_id": "acme", "workspace_id": "emea"})
    path = "/api/identity/attributes/subject/user:pat/clearance"
    said = api.put(path, json={"value": "high", "ttl": 3600, "source": "import:hr"})
    assert said.status_code == 200
    assert {key: said.json()[key] for key in ("name", "value", "scope", "org_id", "workspace_id", "source", "ttl")} == {
        "name": "clearance",
        "value": "high",
        "scope": "subject",
        "org_id": None,
        "workspace_id": None,
        "source": "import:hr",
        "ttl": 3600,
    }
    tag = said.headers["etag"]
    assert api.get(path).headers["etag"] == tag
    changed = api.put(path, json={"value": ["a", 1, True, None]}, headers={"if-match": tag})
    assert (changed.status_code, changed.json()["value"]) == (200, ["a", 1, True, None])
    assert api.put(path, json={"value": 1}, headers={"if-match": tag}).status_code == 412
    assert api.delete(path, headers={"if-match": tag}).status_code == 412
    assert api.put("/api/identity/attributes/org/acme/country", json={"value": "DE"}).status_code == 200
    assert api.put("/api/identity/attributes/workspace/emea/region", json={"value": None}).status_code == 200
    listed = api.get("/api/identity/attributes", params={"scope": "org", "holder": "acme"}).json()["items"]
    assert [one["name"] for one in listed] == ["country"]
    assert len(api.get("/api/identity/attributes").json()["items"]) == 3
    assert api.delete(path).status_code == 204
    assert api.get(path).status_code == 404


def test_a_profile_shows_what_a_policy_sees(api: TestClient[Litestar]) -> None:
    """With the ETag of the subject, which changes with it."""
    assert api.post("/api/identity/import", content=FILE, headers=YAML).json()["unchanged"] == 0
    first = api.get("/api/identity/subjects/user:pat")
    assert (first.json()["attributes"], first.json()["roles"], first.json()["stale"]) == ({"level": 3}, ["viewer"], [])
    bound = api.put("/api/identity/subjects/user:pat/roles/operator", json={"workspace_id": "emea"})
    assert [one["role"] for one in bound.json()["bindings"]] == ["viewer", "operator"]
    second = api.get("/api/identity/subjects/user:pat", params={"workspace_id": "emea"})
    assert second.json()["roles"] == ["operator", "viewer"]
    assert first.headers["etag"] != second.headers["etag"]
    gone = api.delete("/api/identity/subjects/user:pat/roles/operator", params={"workspace_id": "emea"})
    assert (gone.status_code, [one["role"] for one in gone.json()["bindings"]]) == (200, ["viewer"])


def test_a_role_is_created_listed_and_deleted(api: TestClient[Litestar]) -> None:
    """It stands behind the built-in ones, which nobody deletes."""
    made = api.post("/api/identity/roles", json={"name": "buyer", "description": "Buys.", "org_id": "acme"})
    assert (made.status_code, made.json()["built_in"]) == (201, False)
    assert [role["name"] for role in api.get("/api/identity/roles").json()][-2:] == ["admin", "buyer"]
    assert api.post("/api/identity/roles", json={"name": "buyer"}).status_code == 409
    assert api.delete("/api/identity/roles/admin").status_code == 409
    assert api.delete(f"/api/identity/roles/{made.json()['id']}").status_code == 204
    assert api.delete("/api/identity/roles/buyer").status_code == 404


def test_an_import_can_be_looked_at_first(api: TestClient[Litestar], quick: Journal) -> None:
    """The dry run says what the real one then says, in YAML and in JSON."""
    shown = api.post("/api/identity/import", content=FILE, headers=YAML, params={"dry_run": "true"}).json()
    assert quick.size() == 0
    done = api.post("/api/identity/import", content=FILE, headers=YAML).json()
    assert (shown["dry_run"], done["dry_run"]) == (True, False)
    assert shown["changes"] == done["changes"]
    body: dict[str, Any] = {"subjects": [{"name": "pat", "roles": ["viewer"]}]}
    assert api.post("/api/identity/import", json=body).json() == {"changes": [], "dry_run": False, "unchanged": 2}
    assert api.post("/api/identity/import", content=FILE, headers={"content-type": "image/png"}).status_code == 415


def test_a_subject_is_moved(api: TestClient[Litestar]) -> None:
    """What is left out stays; a role of the org that it leaves has to go in the same change."""
    made = api.post("/api/subjects", json={"name": "pat", "org_id": "acme"}).json()
    path = f"/api/subjects/{made['id']}"
    api.post("/api/identity/roles", json={"name": "buyer", "org_id": "acme"})
    assert api.patch(path, json={"workspace_id": "emea", "roles": [{"role": "buyer"}]}).json()["org_id"] == "acme"
    assert api.patch(path, json={"org_id": "other"}).status_code == 400
    assert api.patch(path, json={"org_id": "A"}).status_code == 400
    assert api.get(path).json()["org_id"] == "acme"
    moved = api.patch(path, json={"org_id": None, "roles": []}).json()
    assert (moved["org_id"], moved["workspace_id"], moved["bindings"]) == (None, "emea", [])


BAD_REQUESTS: list[tuple[str, str, Any]] = [
    ("PUT", "/attributes/subject/user:pat/a", {}),
    ("PUT", "/attributes/subject/user:pat/a", {"value": {"b": 1}}),
    ("PUT", "/attributes/subject/user:pat/a", {"value": [[1]]}),
    ("PUT", "/attributes/subject/user:pat/a", {"value": 1, "ttl": 0}),
    ("PUT", "/attributes/subject/user:pat/a", {"value": 1, "ttl": True}),
    ("PUT", "/attributes/subject/user:pat/a", {"value": 1, "source": "jwt:x"}),
    ("PUT", "/attributes/subject/user:pat/a", {"value": 1, "source": "a b"}),
    ("PUT", "/attributes/subject/user:pat/a", {"value": 1, "set_at": "2020-01-01T00:00:00Z"}),
    ("PUT", "/attributes/subject/user:pat/A", {"value": 1}),
    ("PUT", "/attributes/team/user:pat/a", {"value": 1}),
    ("PUT", "/attributes/org/A/a", {"value": 1}),
    ("GET", "/attributes?scope=team", None),
    ("GET", "/attributes?holder=acme", None),
    ("GET", "/attributes?name=A", None),
    ("GET", "/attributes?limit=501", None),
    ("PUT", "/subjects/user:pat/roles/root", {}),
    ("PUT", "/subjects/user:pat/roles/viewer", {"expires_at": "2030-01-01T00:00:00"}),
    ("PUT", "/subjects/user:pat/roles/viewer", {"expires_at": "0001-01-01T00:00:00+14:00"}),
    ("PUT", "/subjects/user:pat/roles/viewer", {"workspace_id": "A"}),
    ("POST", "/roles", {"name": "A"}),
    ("POST", "/roles", {"name": "a", "description": "a\nb"}),
    ("POST", "/roles", {"name": "a", "id": "admin"}),
    ("POST", "/import", {"subjects": [{"name": "A"}]}),
    ("POST", "/import", []),
]


def test_bad_requests_change_nothing(api: TestClient[Litestar], quick: Journal) -> None:
    """Each is 400, and leaves no row."""
    api.post("/api/subjects", json={"name": "pat"})
    size = quick.size()
    for method, path, body in BAD_REQUESTS:
        answer = api.request(method, f"/api/identity{path}", json=body)
        assert answer.status_code == 400, (method, path, body, answer.text)
    assert quick.size() == size


def test_every_route_asks_for_a_role(identity: Identity, quick: Journal) -> None:
    """Somebody without roles gets 403 everywhere, before anything is looked up or read."""
    api = web(routes, person("pat"), identity=identity)
    for method, path, body in (
        ("GET", "/subjects/x", None),
        ("PUT", "/subjects/x/roles/viewer", {}),
        ("DELETE", "/subjects/x/roles/viewer", None),
        ("GET", "/attributes", None),
        ("GET", "/attributes/org/acme/a", None),
        ("PUT", "/attributes/org/acme/a", {"value": 1}),
        ("DELETE", "/attributes/org/acme/a", None),
        ("GET", "/roles", None),
        ("POST", "/roles", {"name": "a"}),
        ("DELETE", "/roles/a", None),
        ("POST", "/import", "not even a file"),
    ):
        assert api.request(method, f"/api/identity{path}", json=body).status_code == 403, (method, path)
    assert quick.size() == 0
