from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from litestar import Litestar
from litestar.testing import TestClient

from companyos.core.access import Caller
from companyos.flags import Flags
from companyos.flags.http import routes
from companyos.ledger import Journal
from tests.flags.files import DIGEST, file
from tests.pillar import person, web


@pytest.fixture
def client(journal: Journal, operator: Caller) -> Callable[[Caller], TestClient[Litestar]]:
    """Return what makes a client of the routes for a caller; the service shop has two flags."""
    flags = Flags(journal)
    flags.define(operator, "shop", file("a", "b"), digest=DIGEST)
    return lambda caller: web(routes, caller, flags=flags)


def test_a_flag_is_shown_set_and_its_changes_listed(
    client: Callable[[Caller], TestClient[Litestar]], operator: Caller
) -> None:
    """Who set it is the caller, whatever the body would like."""
    api = client(operator)
    assert [one["key"] for one in api.get("/api/flags?service=shop").json()["items"]] == ["a", "b"]
    body = {"value": True, "reason": "try it", "environment": "staging"}
    made = api.put("/api/flags/shop/a", json=body)
    assert (made.status_code, made.json()["value"], made.json()["changed_by"]) == (200, True, "user:olga")
    assert api.get("/api/flags/shop/a?environment=staging").json() == made.json()
    assert api.get("/api/flags/shop/a").json()["value"] is False
    assert api.get("/api/flags/shop/a").json()["expires"] == "2026-12-31"
    (change,) = api.get("/api/flags/shop/a/changes").json()["items"]
    assert (change["environment"], change["before"], change["after"], change["reason"]) == (
        "staging",
        None,
        True,
        "try it",
    )
    page = api.get("/api/flags?limit=1").json()
    assert [one["key"] for one in api.get(f"/api/flags?cursor={page['next_cursor']}").json()["items"]] == ["b"]


def test_looking_takes_a_viewer_and_setting_more(
    client: Callable[[Caller], TestClient[Litestar]], viewer: Caller
) -> None:
    """403 for the rest."""
    assert client(viewer).put("/api/flags/shop/a", json={"value": True, "reason": "x"}).status_code == 403
    for path in ("/api/flags", "/api/flags/shop/a", "/api/flags/shop/a/changes"):
        assert client(viewer).get(path).status_code == 200
        assert client(person("nobody")).get(path).status_code == 403


BAD_REQUESTS: list[tuple[str, str, dict[str, Any] | None, int]] = [
    ("PUT", "/api/flags/shop/a", {"value": "yes", "reason": "x"}, 400),
    ("PUT", "/api/flags/shop/a", {"value": True}, 400),
    ("PUT", "/api/flags/shop/a", {"value": True, "reason": ""}, 400),
    ("PUT", "/api/flags/shop/a", {"value": True, "reason": "a\u0000"}, 400),
    ("PUT", "/api/flags/shop/a", {"value": True, "reason": "x", "changed_by": "user:x"}, 400),
    ("PUT", "/api/flags/shop/a", {"value": True, "reason": "x", "environment": "No"}, 400),
    ("PUT", "/api/flags/shop/none", {"value": True, "reason": "x"}, 404),
    ("PUT", "/api/flags/Shop/a", {"value": True, "reason": "x"}, 400),
    ("GET", "/api/flags/shop/none", None, 404),
    ("GET", "/api/flags/shop/%00", None, 400),
    ("GET", "/api/flags?environment=%00", None, 400),
    ("GET", "/api/flags?service=No", None, 400),
    ("GET", "/api/flags?limit=501", None, 400),
    ("GET", "/api/flags?cursor=x", None, 400),
    ("GET", "/api/flags/shop/a/changes?cursor=x", None, 400),
]


def test_bad_requests_change_nothing(
    client: Callable[[Caller], TestClient[Litestar]], journal: Journal, admin: Caller
) -> None:
    """Wrong types, unknown fields, names that are none."""
    api = client(admin)
    size = journal.size()
    for method, path, body, status in BAD_REQUESTS:
        assert api.request(method, path, json=body).status_code == status, (method, path, body)
    assert journal.size() == size
