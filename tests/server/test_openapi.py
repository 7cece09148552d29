from __future__ import annotations

from collections.abc import Iterator
from typing import Any, NamedTuple

import jsonschema_rs
import msgspec
import pytest

from companyos.server.app import Application
from companyos.server.authentication import OPTIONAL, is_open
from companyos.server.openapi import PROBLEMS, closed_names, complete
from tests.server.web import ORIGIN, Web, problem

PUBLIC = {
    "/.well-known/authzen-configuration",
    "/.well-known/companyos-keys.json",
    "/health",
    "/sign-in",
    "/static/{name}",
    "/status",
}
"""Everything that answers without a credential. Whoever adds to this list opens the platform to everybody."""

SIGNED_IN = {("POST", "/api/csp-reports"): 204, ("POST", "/sign-out"): 400}
"""What everybody who is signed in may call, and what a caller without a browser session gets."""

BODIES: dict[tuple[str, str], dict[str, Any]] = {
    ("PATCH", "/api/incidents/{id}"): {"json": {"status": "closed"}},
    ("PATCH", "/api/services/{name}"): {"json": {}, "headers": {"if-match": '"x"'}},
    ("PATCH", "/api/subjects/{id}"): {"json": {"status": "suspended"}},
    ("POST", "/api/alerts"): {"json": {"version": "4", "status": "firing", "alerts": []}},
    ("POST", "/api/approvals"): {"json": {"kind": "promotion", "subject": "fleet", "reason": "r"}},
    ("POST", "/api/approvals/{id}/decision"): {"json": {"decision": "approve", "reason": "r"}},
    ("POST", "/api/artifacts"): {"content": b"", "headers": {"content-type": "application/x-tar"}},
    ("DELETE", "/api/artifacts/{digest}/denial"): {"json": {"reason": "r"}},
    ("POST", "/api/artifacts/{digest}/denial"): {"json": {"reason": "r"}},
    ("PUT", "/api/artifacts/{digest}/commits"): {"json": {"commits": []}},
    ("PUT", "/api/flags/{service}/{key}"): {"json": {"value": True, "reason": "r"}},
    ("POST", "/api/csp-reports"): {
        "content": '{"csp-report": {}}',
        "headers": {"content-type": "application/csp-report"},
    },
    ("POST", "/api/deployments"): {"json": {"digest": "sha256:" + "0" * 64}},
    ("POST", "/api/holds"): {"json": {"subject": "fleet", "reason": "r"}},
    ("POST", "/api/holds/{id}/lift"): {"json": {"reason": "r"}},
    ("POST", "/api/identity/import"): {
        "content": "subjects: [{name: eve, roles: [admin]}]",
        "headers": {"content-type": "application/yaml"},
    },
    ("POST", "/api/identity/roles"): {"json": {"name": "buyer"}},
    ("PUT", "/api/identity/attributes/{kind}/{holder}/{name}"): {"json": {"value": "high"}},
    ("PUT", "/api/identity/subjects/{id}/roles/{role}"): {"json": {}},
    ("POST", "/api/incidents"): {"json": {"subject": "fleet", "title": "t", "severity": "sev1"}},
    ("POST", "/api/incidents/{id}/timeline"): {"json": {"text": "t"}},
    ("POST", "/api/ledger/entries/{id}/erasures"): {"json": {"field": "ip", "reason": "r"}},
    ("POST", "/api/login-codes"): {"json": {"user": "admin"}},
    ("POST", "/api/policy/bundles"): {"content": b"", "headers": {"content-type": "application/gzip"}},
    ("POST", "/api/policy/log/erasures"): {"json": {"subject_id": "ann", "reason": "r"}},
    ("POST", "/api/policy/promotions"): {
        "json": {"bundle_id": "companyos/documents", "version": "1.0.0", "stage": "dev", "reason": "r"}
    },
    ("POST", "/api/policy/renewals"): {"json": {"bundle_id": "companyos/documents", "stage": "prod", "reason": "r"}},
    ("POST", "/api/policy/rollbacks"): {"json": {"bundle_id": "companyos/documents", "stage": "prod", "reason": "r"}},
    ("POST", "/api/policy/signatures"): {"content": b"", "headers": {"content-type": "application/gzip"}},
    ("POST", "/api/releases/{id}/commands"): {"json": {"kind": "hold", "reason": "r"}},
    ("POST", "/access/v1/evaluation"): {"json": {}},
    ("POST", "/access/v1/evaluations"): {"json": {}},
    ("POST", "/v1/authorize"): {"json": {}},
    ("POST", "/v1/decisions"): {"content": b"", "headers": {"content-type": "application/x-ndjson"}},
    ("POST", "/api/replays"): {"json": {"policy": {}}},
    ("POST", "/api/services"): {"json": {"name": "checkout"}},
    ("POST", "/api/services/import"): {
        "content": "apiVersion: companyos.dev/v1",
        "headers": {"content-type": "application/yaml"},
    },
    ("POST", "/api/services/{name}/deployments"): {
        "json": {"environment": "prod", "arm": "stable", "digest": "sha256:" + "0" * 64, "version": "1"}
    },
    ("POST", "/api/subjects"): {"json": {"name": "eve"}},
    ("POST", "/api/tokens"): {"json": {"name": "eve"}},
    ("POST", "/policies/{domain}/{service}/promotions"): {"data": {"stage": "prod", "version": "1.0.0", "reason": "r"}},
    ("POST", "/releases/{id}/commands"): {"data": {"kind": "hold", "reason": "r"}},
    ("POST", "/rollback"): {"json": {"deployment_id": "01a202e7-0000-7000-8000-000000000000", "reason": "r"}},
    ("PUT", "/api/teams/{name}"): {"json": {}, "headers": {"if-none-match": "*"}},
}
"""A good body for each operation that needs one, so that it is the caller who is refused and not the body."""

PARAMETERS = {
    "deployment_id": "01a202e7-0000-7000-8000-000000000000",
    "digest": "sha256:" + "0" * 64,
    "service": "checkout",
    "key": "flag",
    "id": "01a202e7-0000-7000-8000-000000000000",
    "name": "checkout",
    "environment": "prod",
    "arm": "stable",
    "audit_id": "01a202e7-0000-7000-8000-000000000000",
    "domain": "companyos",
    "version": "1.0.0",
    "kind": "org",
    "holder": "acme",
    "role": "admin",
}
QUERIES = {("GET", "/api/ledger/consistency"): "?from=1", ("GET", "/events"): "?since=0-0"}


class Operation(NamedTuple):
    """One operation of the document, and a request for it that is good but for the caller."""

    method: str
    path: str
    target: str
    options: dict[str, Any]


@pytest.fixture
def document(admin: Web) -> dict[str, Any]:
    """Return the OpenAPI document."""
    answer = admin("GET", "/schema")
    assert answer.headers["content-type"].partition(";")[0] == "application/json"
    found: dict[str, Any] = answer.json()
    return found


def operations(document: dict[str, Any]) -> Iterator[Operation]:
    """Yield every operation of the document."""
    for path, item in document["paths"].items():
        for method, operation in item.items():
            key = (method.upper(), path)
            if "requestBody" in operation and path not in PUBLIC:
                assert key in BODIES, f"{key} is new: give it a good body above, so that its denial is proven"
            target = path.format(**PARAMETERS) + QUERIES.get(key, "")
            yield Operation(method.upper(), path, target, dict(BODIES.get(key, {})))


def test_the_document_is_openapi_3_1(document: dict[str, Any]) -> None:
    """It has the version, one title, both ways to sign in, and every reference in it leads somewhere."""
    assert document["openapi"] == "3.1.0"
    assert document["info"]["title"] == "CompanyOS"
    assert set(document["components"]["securitySchemes"]) == {"token", "session"}

    def references(value: Any) -> Iterator[str]:
        if isinstance(value, dict):
            if isinstance(value.get("$ref"), str):
                yield value["$ref"]
            for inner in value.values():
                yield from references(inner)
        elif isinstance(value, list):
            for inner in value:
                yield from references(inner)

    for reference in references(document):
        place: Any = document
        for part in reference.removeprefix("#/").split("/"):
            place = place[part]


def test_every_operation_is_named_once_described_and_has_all_problems(document: dict[str, Any]) -> None:
    """Each has an id of its own, a text, and the problems that hold for all routes, which are declared once."""
    ids = []
    for item in document["paths"].values():
        for operation in item.values():
            ids.append(operation["operationId"])
            assert operation["description"] or operation["summary"]
            assert {str(status) for status in PROBLEMS} <= set(operation["responses"])
            assert operation["responses"]["401"] == {"$ref": "#/components/responses/Problem401"}
    assert len(ids) == len(set(ids))


def test_only_the_public_operations_say_that_they_are(document: dict[str, Any]) -> None:
    """The document and the list above agree, and so does what the authentication lets through."""
    public = {path for path, item in document["paths"].items() if any(o.get("security") == [] for o in item.values())}
    assert public == PUBLIC
    assert {path for path in document["paths"] if is_open(path) or path in OPTIONAL} == PUBLIC


def test_nobody_may_call_anything_that_is_not_public(document: dict[str, Any], nobody: Web) -> None:
    """Without a credential each operation is a 401, however good the request is."""
    for operation in operations(document):
        if operation.path not in PUBLIC:
            problem(nobody(operation.method, operation.target, **operation.options), 401, "unauthenticated")


def test_a_caller_without_roles_is_denied_everywhere(app: Application, document: dict[str, Any], stranger: Web) -> None:
    """With a credential and no role each operation is a 403, and no row but denials comes to be."""
    size = app.journal.size()
    for operation in operations(document):
        answer = stranger(operation.method, operation.target, **operation.options)
        expected = SIGNED_IN.get((operation.method, operation.path))
        if expected is not None:
            assert answer.status_code == expected
        elif operation.path not in PUBLIC:
            problem(answer, 403, "denied")
    page = Web(app, _auditor(app))("GET", "/api/ledger/entries", params={"after": size - 1, "limit": 500}).json()
    assert {(row["actor"], row["decision"]) for row in page["items"] if row["actor"] == "user:stranger"} == {
        ("user:stranger", "deny")
    }


def _auditor(app: Application) -> str:
    from tests.server.conftest import SYSTEM

    return app.identity.issue_token(SYSTEM, "auditor", roles=["operator"]).secret


def test_a_session_of_a_caller_without_roles_is_denied_too(
    app: Application, document: dict[str, Any], stranger: Web
) -> None:
    """A browser session gives no more than its subject has."""
    token = stranger.headers["authorization"].removeprefix("Bearer ")
    person = Web(app)
    assert person("POST", "/sign-in", data={"token": token}, headers={"origin": ORIGIN}).status_code == 303
    csrf = app.identity.session(person.cookies["companyos_session"]).csrf
    for operation in operations(document):
        if operation.path in PUBLIC or (operation.method, operation.path) in SIGNED_IN:
            continue
        options = operation.options
        headers = {**options.pop("headers", {}), "origin": ORIGIN, "x-csrf-token": csrf}
        problem(person(operation.method, operation.target, headers=headers, **options), 403, "denied")


def test_problems_fit_their_schema(document: dict[str, Any], nobody: Web) -> None:
    """What is sent is what is declared."""
    schema = {**document["components"]["schemas"]["Problem"], "components": document["components"]}
    jsonschema_rs.validator_for(schema).validate(nobody("GET", "/api/tokens").json())


def test_bodies_that_refuse_unknown_fields_say_so(document: dict[str, Any]) -> None:
    """``additionalProperties`` is false where a field too much is an error."""
    assert document["components"]["schemas"]["NewToken"]["additionalProperties"] is False


class Inner(msgspec.Struct, forbid_unknown_fields=True):
    """A closed part."""


class Outer(msgspec.Struct):
    """An open whole with closed parts in it."""

    parts: list[Inner | None]
    again: dict[str, Outer] = {}


def test_closed_types_are_found_within_others() -> None:
    """Lists, unions, mappings and recursion are followed."""
    assert closed_names([Outer]) == {"Inner"}


def test_completing_leaves_the_framework_s_document_alone() -> None:
    """The function is pure: it returns another document."""
    bare: dict[str, Any] = {"paths": {"/x": {"get": {"responses": {"200": {}, "400": {"mine": 1}}}}}}
    before = msgspec.json.encode(bare)
    found = complete(bare, [], public={"/x"})
    assert msgspec.json.encode(bare) == before
    operation = found["paths"]["/x"]["get"]
    assert operation["security"] == []
    assert "$ref" in operation["responses"]["400"]
