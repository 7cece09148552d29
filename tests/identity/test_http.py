from __future__ import annotations

import pytest
from litestar import Litestar
from litestar.testing import TestClient

from companyos.core.access import Caller
from companyos.identity import Identity
from companyos.identity.http import routes
from companyos.ledger import Journal
from tests.pillar import person, web


@pytest.fixture
def api(journal: Journal, admin: Caller) -> TestClient[Litestar]:
    """Return a client of the routes, as an admin."""
    return web(routes, admin, identity=Identity(journal))


def test_a_token_lives_over_http(api: TestClient[Litestar], journal: Journal) -> None:
    """Issued, listed without its secret, used, revoked, refused."""
    made = api.post("/api/tokens", json={"name": "ci", "roles": ["operator"], "ttl_s": 3600})
    assert made.status_code == 201
    secret, identifier = made.json()["secret"], made.json()["token"]["id"]
    listed = api.get("/api/tokens")
    assert [token["id"] for token in listed.json()["items"]] == [identifier]
    assert secret not in listed.text
    assert Identity(journal).authenticate(secret).subject == "service:ci"
    assert api.delete(f"/api/tokens/{identifier}").status_code == 204
    assert api.get("/api/tokens").json()["items"][0]["revoked_at"] is not None
    assert api.delete("/api/tokens/x").status_code == 404


def test_a_subject_is_made_changed_and_shown(api: TestClient[Litestar]) -> None:
    """Roles are set as a whole, with their ends."""
    made = api.post("/api/subjects", json={"name": "pat", "display_name": "Pat", "email": "pat@example.org"})
    assert (made.status_code, made.json()["status"]) == (201, "active")
    path = f"/api/subjects/{made.json()['id']}"
    changed = api.patch(path, json={"roles": [{"role": "viewer", "expires_at": "2030-01-01T00:00:00+02:00"}]})
    assert changed.json()["bindings"] == [
        {"role": "viewer", "role_id": "viewer", "workspace_id": None, "expires_at": "2029-12-31T22:00:00Z"}
    ]
    assert api.patch(path, json={"status": "suspended"}).json()["status"] == "suspended"
    assert api.get(path).json()["bindings"] == changed.json()["bindings"]
    assert len(api.get("/api/subjects").json()["items"]) == 1
    assert api.post("/api/subjects", json={"name": "pat"}).status_code == 409


def test_a_login_code_comes_with_its_path(api: TestClient[Litestar], journal: Journal) -> None:
    """The path takes the code, and the code works."""
    Identity(journal).bootstrap_admin()
    made = api.post("/api/login-codes", json={"user": "admin"}).json()
    assert made["path"] == f"/sign-in?code={made['code']}"
    assert Identity(journal).redeem_login_code(made["code"]).caller.subject == "user:admin"


BAD_REQUESTS = [
    ("POST", "/api/tokens", {}),
    ("POST", "/api/tokens", {"name": "Ci"}),
    ("POST", "/api/tokens", {"name": "ci\n"}),
    ("POST", "/api/tokens", {"name": "ci", "roles": ["root"]}),
    ("POST", "/api/tokens", {"name": "ci", "roles": "admin"}),
    ("POST", "/api/tokens", {"name": "ci", "ttl_s": 1}),
    ("POST", "/api/tokens", {"name": "ci", "label": "a\u0000"}),
    ("POST", "/api/tokens", {"name": "ci", "subject_id": "x"}),
    ("POST", "/api/tokens", []),
    ("POST", "/api/subjects", {"name": "pat", "type": "robot"}),
    ("POST", "/api/subjects", {"name": "pat", "email": "nobody"}),
    ("POST", "/api/subjects", {"name": "pat", "status": "active"}),
    ("PATCH", "/api/subjects/x", {"status": "gone"}),
    ("PATCH", "/api/subjects/x", {"roles": [{"role": "viewer", "expires_at": "2030-01-01T00:00:00"}]}),
    ("PATCH", "/api/subjects/x", {"roles": [{"role": "viewer", "expires_at": "0001-01-01T00:00:00+14:00"}]}),
    ("GET", "/api/tokens?limit=0", None),
    ("GET", "/api/tokens?limit=501", None),
    ("GET", "/api/tokens?cursor=WyJhXHUwMDAwIl0", None),
]


def test_bad_bodies_change_nothing(journal: Journal, admin: Caller) -> None:
    """Wrong types, unknown fields and values out of range are 400, and leave no row."""
    api = web(routes, admin, identity=Identity(journal))
    for method, path, body in BAD_REQUESTS:
        assert api.request(method, path, json=body).status_code == 400, (method, path, body)
    assert journal.size() == 0


def test_every_route_asks_for_a_role(journal: Journal) -> None:
    """Somebody without roles gets 403 everywhere."""
    api = web(routes, person("pat"), identity=Identity(journal))
    for method, path, body in (
        ("POST", "/api/tokens", {"name": "ci"}),
        ("GET", "/api/tokens", None),
        ("DELETE", "/api/tokens/x", None),
        ("POST", "/api/subjects", {"name": "pat"}),
        ("GET", "/api/subjects", None),
        ("GET", "/api/subjects/x", None),
        ("PATCH", "/api/subjects/x", {"status": "suspended"}),
        ("POST", "/api/login-codes", {}),
    ):
        assert api.request(method, path, json=body).status_code == 403, (method, path)
    assert journal.size() == 0
