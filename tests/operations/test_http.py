from __future__ import annotations

from collections.abc import Callable

import pytest
from litestar import Litestar
from litestar.testing import TestClient

from companyos.core.access import Caller
from companyos.ledger import Journal
from companyos.operations import Operations
from companyos.operations.http import routes
from tests.operations.incoming import delivery, message
from tests.operations.outgoing import notify
from tests.pillar import person, web


@pytest.fixture
def client(journal: Journal) -> Callable[[Caller], TestClient[Litestar]]:
    """Return what makes a client of the routes for a caller."""
    return lambda caller: web(routes, caller, operations=Operations(journal))


@pytest.fixture
def api(client: Callable[[Caller], TestClient[Litestar]], admin: Caller) -> TestClient[Litestar]:
    """Return a client of the routes, as an admin."""
    return client(admin)


def test_a_hold_is_placed_shown_and_lifted(api: TestClient[Litestar]) -> None:
    """Its source is who asked, whatever the body would like."""
    body = {"subject": "service:shop", "reason": "errors", "until": "2030-01-01T00:00:00+01:00"}
    made = api.post("/api/holds", json=body)
    assert (made.status_code, made.json()["source"], made.json()["until"]) == (
        201,
        "user:root",
        "2029-12-31T23:00:00Z",
    )
    path = f"/api/holds/{made.json()['id']}"
    assert api.get(path).json() == made.json()
    assert [hold["id"] for hold in api.get("/api/holds?subject=service:shop").json()["items"]] == [made.json()["id"]]
    assert api.post(f"{path}/lift", json={"reason": "fixed"}).json()["lifted_by"] == "user:root"
    assert api.post(f"{path}/lift", json={"reason": "fixed"}).status_code == 409
    assert api.get("/api/holds").json()["items"] == []
    assert len(api.get("/api/holds?active=false").json()["items"]) == 1


def test_an_approval_is_decided_by_the_caller(
    api: TestClient[Litestar], client: Callable[[Caller], TestClient[Litestar]]
) -> None:
    """The author gets 403, a colleague decides."""
    made = api.post("/api/approvals", json={"subject": "fleet", "kind": "waiver", "reason": "why"})
    path = f"/api/approvals/{made.json()['id']}"
    answer = {"decision": "approve", "reason": "fine"}
    assert (made.status_code, made.json()["status"]) == (201, "pending")
    assert api.post(f"{path}/decision", json=answer).status_code == 403
    decided = client(person("lea", "sre_lead")).post(f"{path}/decision", json=answer)
    assert (decided.status_code, decided.json()["decided_by"]) == (200, "user:lea")
    assert api.get(path).json() == decided.json()
    assert len(api.get("/api/approvals?status=approved&kind=waiver&subject=fleet").json()["items"]) == 1


def test_an_incident_lives_over_http(api: TestClient[Litestar]) -> None:
    """Opened, noted, mitigated, closed; what is not allowed is 409."""
    made = api.post("/api/incidents", json={"subject": "service:shop", "title": "down", "severity": "sev1"})
    assert made.status_code == 201
    path = f"/api/incidents/{made.json()['id']}"
    assert api.post(f"{path}/timeline", json={"text": "looking"}).status_code == 201
    change = {"status": "mitigated", "links": [{"url": "https://example.org"}]}
    assert api.patch(path, json=change).json()["links"] == [{"url": "https://example.org", "title": ""}]
    assert api.patch(path, json={"status": "closed", "text": "done"}).json()["status"] == "closed"
    assert api.patch(path, json={"status": "open"}).status_code == 409
    entries = api.get(f"{path}/timeline").json()["items"]
    assert [entry["text"] for entry in entries] == [
        "down",
        "looking",
        "open to mitigated",
        "https://example.org",
        "done",
    ]
    assert [one["id"] for one in api.get("/api/incidents?status=closed").json()["items"]] == [made.json()["id"]]
    assert api.get(path).json()["closed_at"] is not None


def test_alertmanager_delivers(api: TestClient[Litestar], client: Callable[[Caller], TestClient[Litestar]]) -> None:
    """Its document as it is; the answer says in numbers what became of it, and 2xx is what it waits for."""
    told = api.post("/api/alerts", json=delivery(message("a"), message("b", service=None)))
    assert (told.status_code, told.json()) == (
        200,
        {"changed": 1, "repeated": 0, "outdated": 0, "ignored": 1, "truncated": 0},
    )
    (alert,) = client(person("vera", "viewer")).get("/api/alerts?service=shop&status=firing").json()["items"]
    assert (alert["fingerprint"], alert["service"], alert["name"]) == ("a", "shop", "Errors")
    assert client(person("vera", "viewer")).post("/api/alerts", json=delivery(message("a"))).status_code == 403


def test_notifications_are_seen(api: TestClient[Litestar], journal: Journal) -> None:
    """With how their delivery goes."""
    made = notify(Operations(journal))
    (found,) = api.get("/api/notifications?status=waiting").json()["items"]
    assert (found["id"], found["attempts"], found["delivered_at"]) == (made.id, 0, None)
    assert found["payload"] == {"reason": "errors"}
    assert api.get("/api/notifications?status=delivered").json()["items"] == []


BAD_REQUESTS = [
    ("POST", "/api/holds", {"subject": "shop", "reason": "x"}),
    ("POST", "/api/holds", {"subject": "fleet", "reason": ""}),
    ("POST", "/api/holds", {"subject": "fleet", "reason": "a\u0000"}),
    ("POST", "/api/holds", {"subject": "fleet", "reason": "x", "source": "slo"}),
    ("POST", "/api/holds", {"subject": "fleet", "reason": "x", "evidence": {"a": {"b": 1}}}),
    ("POST", "/api/holds", {"subject": "fleet", "reason": "x", "evidence": {"a": "\u0000"}}),
    ("POST", "/api/holds", {"subject": "fleet", "reason": "x", "until": "2020-01-01T00:00:00Z"}),
    ("POST", "/api/holds", {"subject": "fleet", "reason": "x", "until": "2030-01-01T00:00:00"}),
    ("POST", "/api/holds", {"subject": "fleet", "reason": "x", "until": "9999-12-31T23:59:59-23:00"}),
    ("POST", "/api/approvals", {"subject": "fleet", "kind": "other", "reason": "x"}),
    ("POST", "/api/approvals", {"subject": "fleet", "kind": "waiver", "reason": "x", "requested_by": "user:x"}),
    ("POST", "/api/approvals/x/decision", {"decision": "maybe", "reason": "x"}),
    ("POST", "/api/approvals/x/decision", {"decision": "approve", "reason": "x", "decided_by": "user:x"}),
    ("POST", "/api/incidents", {"subject": "fleet", "title": "", "severity": "sev1"}),
    ("POST", "/api/incidents", {"subject": "fleet", "title": "x", "severity": "sev5"}),
    ("POST", "/api/incidents/x/timeline", {"text": ""}),
    ("PATCH", "/api/incidents/x", {"links": [{"url": "file:///etc/passwd"}]}),
    ("GET", "/api/holds?subject=%00", None),
    ("GET", "/api/incidents?status=gone", None),
    ("GET", "/api/approvals?limit=0", None),
    ("POST", "/api/alerts", {**delivery(), "version": "3"}),
    ("POST", "/api/alerts", delivery(message(startsAt="9999-12-31T23:59:59-23:00"))),
    ("GET", "/api/alerts?service=%00", None),
    ("GET", "/api/alerts?status=gone", None),
    ("GET", "/api/alerts?cursor=x", None),
    ("GET", "/api/notifications?status=gone", None),
]


def test_bad_requests_change_nothing(journal: Journal, admin: Caller) -> None:
    """Wrong types, unknown fields, subjects that are none: 400, and nothing is written."""
    api = web(routes, admin, operations=Operations(journal))
    for method, path, body in BAD_REQUESTS:
        assert api.request(method, path, json=body).status_code == 400, (method, path, body)
    assert journal.size() == 0
