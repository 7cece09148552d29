from __future__ import annotations

import base64
from collections.abc import Iterator

import pytest
from litestar import Litestar
from litestar.testing import TestClient

from companyos.core.access import Caller
from companyos.core.clock import ManualClock
from companyos.policy import http
from companyos.policy.service import Policies
from companyos.policy.shelf import Shelf
from companyos_sdk.bundle import open_bundle
from tests.pillar import web
from tests.policy.bundles import ALLOW, BUNDLE_ID, built, deny
from tests.policy.people import Decided, bring

RULES = {"read": ALLOW, "transfer": deny("residency.eu")}
GZIP = {"content-type": "application/gzip"}


@pytest.fixture
def client(policies: Policies, author: Caller) -> Iterator[TestClient[Litestar]]:
    """Return the author at the addresses of bundles."""
    with web(http.routes, author, policies=policies, explainer=None) as found:
        yield found


@pytest.fixture
def colleague(policies: Policies, approver: Caller) -> Iterator[TestClient[Litestar]]:
    """Return somebody else at the same addresses."""
    with web(http.routes, approver, policies=policies, explainer=None) as found:
        yield found


def order(version: str, stage: str, **more: object) -> dict[str, object]:
    """The body of a promotion."""
    return {"bundle_id": BUNDLE_ID, "version": version, "stage": stage, "reason": "It is time.", **more}


def test_the_way_of_a_bundle_over_http(
    client: TestClient[Litestar], colleague: TestClient[Litestar], decided: Decided
) -> None:
    """Signed, published, promoted, shown with its replay before and after, and taken back."""
    for version in ("1.0.0", "1.1.0"):
        answer = client.post(
            "/api/policy/signatures", params={"stage": "dev"}, content=built(RULES, version), headers=GZIP
        )
        assert answer.status_code == 200, answer.text
        signed = base64.b64decode(answer.json()["bundle"])
        answer = client.post("/api/policy/bundles", content=signed, headers=GZIP)
        assert answer.status_code == 201, answer.text
        for stage in ("dev", "staging"):
            told = client.post("/api/policy/promotions", json=order(version, stage, without_replay=True))
            assert (told.status_code, told.json()["outcome"]) == (200, "promoted"), told.text
        decided.add("prod", "read", ALLOW, 5)
        dry = client.post("/api/policy/promotions", json=order(version, "prod", dry_run=True)).json()
        assert [block["code"] for block in dry["blocks"]] == ["approval.missing"]
        assert dry["replay"]["total"] == dry["replay"]["same"] > 0
        assert colleague.post("/api/policy/promotions", json=order(version, "prod")).json()["outcome"] == "promoted"
    stages = client.get("/api/policy/stages").json()
    assert {(one["stage"], one["active"]["version"]) for one in stages} == {
        ("dev", "1.1.0"),
        ("staging", "1.1.0"),
        ("prod", "1.1.0"),
    }
    assert client.get(f"/api/policy/bundles/{BUNDLE_ID}/1.0.0").json()["tests"]["passed"] == 3
    assert [one["version"] for one in client.get("/api/policy/bundles").json()["items"]] == ["1.1.0", "1.0.0"]
    back = colleague.post("/api/policy/rollbacks", json={"bundle_id": BUNDLE_ID, "stage": "prod", "reason": "Back."})
    assert (back.status_code, back.json()["version"]) == (201, "1.0.0")
    history = client.get(f"/api/policy/history/{BUNDLE_ID}", params={"stage": "prod"}).json()["items"]
    assert [one["kind"] for one in history] == ["rollback", "promote", "promote"]
    assert history[1]["replay"]["total"] == 10


def test_deciders_fetch_what_is_active_and_nothing_when_they_have_it(
    client: TestClient[Litestar],
    policies: Policies,
    author: Caller,
    approver: Caller,
    shelf: Shelf,
    clock: ManualClock,
) -> None:
    """The ETag is the digest; the bytes open with the keys of the stage."""
    bring(policies, author, approver, RULES, "1.0.0")
    answer = client.get(f"/v1/bundles/{BUNDLE_ID}", params={"stage": "prod"})
    assert (answer.status_code, answer.headers["content-type"]) == (200, "application/gzip")
    active = policies.active(BUNDLE_ID, "prod")
    assert active is not None
    etag = answer.headers["etag"]
    assert etag == f'"{active.digest}"'
    bundle = open_bundle(answer.content, shelf.trust(), "prod", now=clock.now())
    assert bundle.content_digest == active.content_digest
    for known in (etag, f"W/{etag}", f" {etag} "):
        again = client.get(f"/v1/bundles/{BUNDLE_ID}", params={"stage": "prod"}, headers={"if-none-match": known})
        assert (again.status_code, again.content, again.headers["etag"]) == (304, b"", etag)
    for other in ('"sha256:0"', "*", f'{etag}, "x"', "nonsense"):
        answer = client.get(f"/v1/bundles/{BUNDLE_ID}", params={"stage": "prod"}, headers={"if-none-match": other})
        assert answer.status_code == 200
    assert client.get(f"/v1/bundles/{BUNDLE_ID}").headers["etag"] == etag, "prod is meant when no stage is named"
    assert client.get(f"/v1/bundles/{BUNDLE_ID}", params={"stage": "dev"}).headers["etag"] != etag


@pytest.mark.parametrize(
    ("method", "path", "options", "status"),
    [
        ("GET", f"/v1/bundles/{BUNDLE_ID}", {}, 404),
        ("GET", f"/v1/bundles/{BUNDLE_ID}?stage=live", {}, 400),
        ("GET", "/v1/bundles/Upper/case", {}, 400),
        ("GET", f"/api/policy/bundles/{BUNDLE_ID}/1.0.0", {}, 404),
        ("GET", f"/api/policy/bundles/{BUNDLE_ID}/latest", {}, 400),
        ("POST", "/api/policy/promotions", {"json": order("1.0.0", "live")}, 400),
        ("POST", "/api/policy/promotions", {"json": order("one", "dev")}, 400),
        ("POST", "/api/policy/promotions", {"json": order("1.0.0", "dev")}, 404),
        ("POST", "/api/policy/promotions", {"json": order("1.0.0", "dev", acknowledged={"x": -1})}, 400),
        ("POST", "/api/policy/promotions", {"json": order("1.0.0", "dev", force=True)}, 400),
        ("POST", "/api/policy/bundles", {"content": b"x", "headers": {"content-type": "text/plain"}}, 415),
        ("POST", "/api/policy/bundles", {"content": b"x", "headers": GZIP}, 400),
    ],
)
def test_what_makes_no_sense_is_told_apart(
    client: TestClient[Litestar], method: str, path: str, options: dict[str, object], status: int
) -> None:
    """What is unknown is a 404, what cannot be read a 400."""
    assert client.request(method, path, **options).status_code == status  # type: ignore[arg-type] # one of the rows above
