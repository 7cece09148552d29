from __future__ import annotations

import hashlib
from collections.abc import Callable
from typing import Any

import pytest
from litestar import Litestar
from litestar.testing import TestClient

from companyos.core import canonical, dsse, statement
from companyos.core.access import Caller
from companyos.core.keys import KeyStore
from companyos.evidence import Evidence
from companyos.evidence.http import MEDIA_TYPE, routes
from companyos.ledger import Journal
from tests.evidence.artifacts import COMMIT, tar
from tests.pillar import person, web

TAR = {"content-type": MEDIA_TYPE}
UNKNOWN = "sha256:" + "0" * 64


@pytest.fixture
def client(journal: Journal) -> Callable[[Caller], TestClient[Litestar]]:
    """Return what makes a client of the routes for a caller."""
    return lambda caller: web(routes, caller, evidence=Evidence(journal))


@pytest.fixture
def api(client: Callable[[Caller], TestClient[Litestar]], operator: Caller) -> TestClient[Litestar]:
    """Return a client of the routes, as an operator."""
    return client(operator)


def test_an_artifact_is_put_signed_and_shown(api: TestClient[Litestar]) -> None:
    """What ship does, step by step; each of them twice is once."""
    data = tar()
    digest = f"sha256:{hashlib.sha256(data).hexdigest()}"
    for _ in range(2):
        made = api.post("/api/artifacts", content=data, headers=TAR)
        assert (made.status_code, made.json()["digest"]) == (201, digest)
    path = f"/api/artifacts/{digest}"
    assert api.get(path).json()["signature"] == {"state": "missing"}
    told = api.put(f"{path}/commits", json={"commits": [{"id": COMMIT, "subject": "Begin"}]})
    assert (told.status_code, told.json()["commits"]) == (200, [{"id": COMMIT, "subject": "Begin"}])
    signed = api.post(f"{path}/signature")
    assert signed.status_code == 200
    assert signed.json().keys() == {"digest", "envelope_digest", "key_id", "at"}
    assert api.post(f"{path}/signature").json() == signed.json()
    shown = api.get(path).json()
    assert shown["signature"] == {"state": "verified", "key_id": signed.json()["key_id"], "at": signed.json()["at"]}
    assert [one["digest"] for one in api.get("/api/artifacts?service=shop").json()["items"]] == [digest]
    assert api.get("/api/artifacts?service=cart").json()["items"] == []


def test_an_attestation_is_the_envelope_itself(api: TestClient[Litestar], journal: Journal) -> None:
    """Its canonical JSON has the digest that was asked for, and anybody can verify it."""
    digest = api.post("/api/artifacts", content=tar(), headers=TAR).json()["digest"]
    named = api.post(f"/api/artifacts/{digest}/signature").json()["envelope_digest"]
    answer = api.get(f"/api/attestations/{named}")
    text = canonical.dumps(answer.json())
    assert f"sha256:{hashlib.sha256(text).hexdigest()}" == named
    keys = KeyStore(journal.settings.folder.keys, journal.clock).public_keys("attestation")
    claim = statement.verify(dsse.decode(answer.content), [key.public_key for key in keys])
    assert claim.is_about("sha256", digest.removeprefix("sha256:"))


def test_a_denial_is_made_and_lifted_by_different_roles(
    api: TestClient[Litestar], client: Callable[[Caller], TestClient[Litestar]]
) -> None:
    """An operator denies, a lead lifts, with reasons."""
    digest = api.post("/api/artifacts", content=tar(), headers=TAR).json()["digest"]
    path, body = f"/api/artifacts/{digest}/denial", {"reason": "it holds a flaw"}
    made = api.post(path, json=body)
    assert (made.status_code, made.json()["reason"], made.json()["denied_by"]) == (200, "it holds a flaw", "user:olga")
    assert api.get(f"/api/artifacts/{digest}").json()["denial"] == made.json()
    assert api.request("DELETE", path, json={"reason": "fine"}).status_code == 403
    lead = client(person("lea", "sre_lead"))
    assert lead.request("DELETE", path, json={"reason": "fine"}).status_code == 204
    assert lead.request("DELETE", path, json={"reason": "fine"}).status_code == 404


CHANGES: list[tuple[str, str, dict[str, Any]]] = [
    ("POST", "/api/artifacts", {"content": tar(), "headers": TAR}),
    ("PUT", f"/api/artifacts/{UNKNOWN}/commits", {"json": {"commits": []}}),
    ("POST", f"/api/artifacts/{UNKNOWN}/signature", {}),
    ("POST", f"/api/artifacts/{UNKNOWN}/denial", {"json": {"reason": "x"}}),
    ("DELETE", f"/api/artifacts/{UNKNOWN}/denial", {"json": {"reason": "x"}}),
]
READS = ["/api/artifacts", f"/api/artifacts/{UNKNOWN}", f"/api/attestations/{UNKNOWN}"]


def test_looking_takes_a_viewer_and_changing_more(
    client: Callable[[Caller], TestClient[Litestar]], journal: Journal, viewer: Caller
) -> None:
    """403 before anything is looked up, so that it tells nothing."""
    for method, path, more in CHANGES:
        assert client(viewer).request(method, path, **more).status_code == 403, (method, path)
    for path in READS:
        assert client(person("nobody")).get(path).status_code == 403, path
        assert client(viewer).get(path).status_code in {200, 404}, path
    assert journal.size() == 0


def test_what_is_not_there_is_404(client: Callable[[Caller], TestClient[Litestar]], admin: Caller) -> None:
    """Also what is no digest at all."""
    for method, path, more in CHANGES[1:]:
        assert client(admin).request(method, path, **more).status_code == 404, (method, path)
        other = path.replace(UNKNOWN, "%00")
        assert client(admin).request(method, other, **more).status_code == 404, (method, other)
    for path in READS[1:]:
        assert client(admin).get(path).status_code == 404, path


BAD_REQUESTS: list[tuple[str, str, dict[str, Any], int]] = [
    ("POST", "/api/artifacts", {"content": b"", "headers": TAR}, 400),
    ("POST", "/api/artifacts", {"content": b"no tar", "headers": TAR}, 400),
    ("POST", "/api/artifacts", {"content": tar(), "headers": {"content-type": "application/json"}}, 415),
    ("POST", "/api/artifacts", {"json": {}}, 415),
    ("PUT", f"/api/artifacts/{UNKNOWN}/commits", {"json": {"commits": [{"id": "main"}]}}, 400),
    ("PUT", f"/api/artifacts/{UNKNOWN}/commits", {"json": {"commits": [{"id": COMMIT}] * 201}}, 400),
    ("PUT", f"/api/artifacts/{UNKNOWN}/commits", {"json": {"commits": [{"id": COMMIT, "subject": "a\nb"}]}}, 400),
    ("PUT", f"/api/artifacts/{UNKNOWN}/commits", {"json": {"commits": [{"id": COMMIT, "author": "x"}]}}, 400),
    ("POST", f"/api/artifacts/{UNKNOWN}/denial", {"json": {"reason": ""}}, 400),
    ("POST", f"/api/artifacts/{UNKNOWN}/denial", {"json": {"reason": "x", "denied_by": "user:x"}}, 400),
    ("DELETE", f"/api/artifacts/{UNKNOWN}/denial", {"json": {}}, 400),
    ("GET", "/api/artifacts?service=No", {}, 400),
    ("GET", "/api/artifacts?limit=0", {}, 400),
    ("GET", "/api/artifacts?cursor=x", {}, 400),
    ("GET", f"/api/artifacts/{UNKNOWN}0", {}, 400),
]


def test_bad_requests_change_nothing(
    client: Callable[[Caller], TestClient[Litestar]], journal: Journal, admin: Caller
) -> None:
    """Other types, unknown fields, more than the limits."""
    api = client(admin)
    for method, path, more, status in BAD_REQUESTS:
        assert api.request(method, path, **more).status_code == status, (method, path, more)
    assert journal.size() == 0
