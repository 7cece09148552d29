"""What the OpenAPI document says about the addresses of the decision point."""

from __future__ import annotations

from typing import Any, Final

_NAME: Final = {"type": "string", "minLength": 1, "maxLength": 512}
_ID: Final = {"type": "string", "minLength": 1, "maxLength": 1024}
_ANYTHING: Final = {"type": "object"}
_TAGS: Final = ["policy"]
_BUNDLE: Final = {
    "name": "bundle",
    "in": "query",
    "required": False,
    "schema": {"type": "string", "minLength": 1, "maxLength": 200},
    "description": "The bundle that decides, as `<domain>/<service>`; otherwise that of the setting `policy_bundle`.",
}


def _entity(*required: str, **properties: Any) -> dict[str, Any]:  # noqa: ANN401 - JSON Schema
    return {"type": "object", "required": list(required), "properties": properties}


def _body(schema: dict[str, Any]) -> dict[str, Any]:
    return {"required": True, "content": {"application/json": {"schema": schema}}}


def _answer(description: str, schema: dict[str, Any]) -> dict[str, Any]:
    return {"200": {"description": description, "content": {"application/json": {"schema": schema}}}}


_OBLIGATION: Final = _entity("id", "type", "properties", id=_NAME, type=_NAME, properties=_ANYTHING)

AUTHORIZE: Final = {
    "tags": _TAGS,
    "operationId": "authorize",
    "summary": "Ask for a decision",
    "description": "The decision is recorded before it is answered; `audit_id` finds it. A denial is a 200 too.",
    "parameters": [_BUNDLE],
    "requestBody": _body(
        _entity(
            "subject",
            "action",
            "resource",
            subject=_entity("id", "type", id=_ID, type=_NAME, attributes=_ANYTHING),
            action=_NAME,
            resource=_entity("type", id=_ID, type=_NAME),
            environment=_ANYTHING,
            context=_ANYTHING,
        )
    ),
    "responses": _answer(
        "The decision.",
        _entity(
            "decision",
            "reason",
            "obligations",
            "audit_id",
            "obligation_details",
            "bundle",
            "stale",
            decision={"type": "string", "enum": ["allow", "deny"]},
            reason={"type": "string", "description": "The id of the policy that decided."},
            obligations={"type": "array", "items": {"type": "string"}},
            audit_id={"type": "string", "format": "uuid"},
            obligation_details={"type": "array", "items": _OBLIGATION},
            bundle=_entity("id", "version", "digest", id={"type": "string"}, version={"type": "string"}),
            stale={"type": "boolean", "description": "Whether nobody could confirm the bundle for too long."},
            details=_ANYTHING,
        ),
    ),
}

_ENTITIES: Final[dict[str, Any]] = {
    "subject": _entity("type", "id", type=_NAME, id=_ID, properties=_ANYTHING),
    "action": _entity("name", name=_NAME, properties=_ANYTHING),
    "resource": _entity("type", "id", type=_NAME, id=_ID, properties=_ANYTHING),
    "context": _ANYTHING,
}
_DECISION: Final = _entity("decision", decision={"type": "boolean"}, context=_ANYTHING)

EVALUATION: Final = {
    "tags": _TAGS,
    "operationId": "accessEvaluation",
    "summary": "Ask for a decision (OpenID AuthZEN)",
    "description": "OpenID AuthZEN Authorization API 1.0 with its obligations profile: `context.obligations`.",
    "parameters": [_BUNDLE],
    "requestBody": _body(_entity("subject", "action", "resource", **_ENTITIES)),
    "responses": _answer("The decision.", _DECISION),
}

EVALUATIONS: Final = {
    "tags": _TAGS,
    "operationId": "accessEvaluations",
    "summary": "Ask for many decisions (OpenID AuthZEN)",
    "description": "The entities at the top are defaults for each question; without questions they are the question.",
    "parameters": [_BUNDLE],
    "requestBody": _body(
        _entity(
            **_ENTITIES,
            evaluations={"type": "array", "items": {"type": "object"}, "maxItems": 1000},
            options=_entity(
                evaluations_semantic={
                    "type": "string",
                    "enum": ["execute_all", "deny_on_first_deny", "permit_on_first_permit"],
                }
            ),
        )
    ),
    "responses": _answer(
        "The decisions, in the order of the questions; or one decision.",
        {"anyOf": [_DECISION, _entity("evaluations", evaluations={"type": "array", "items": _DECISION})]},
    ),
}

CONFIGURATION: Final = {
    "tags": _TAGS,
    "operationId": "authzenConfiguration",
    "summary": "What this decision point can do (OpenID AuthZEN)",
    "description": "Where it is asked, and which types of obligations it issues.",
    "responses": _answer(
        "The metadata.",
        _entity(
            "policy_decision_point",
            "access_evaluation_endpoint",
            policy_decision_point={"type": "string"},
            access_evaluation_endpoint={"type": "string"},
            access_evaluations_endpoint={"type": "string"},
            supported_obligations={"type": "array", "items": {"type": "string"}},
        ),
    ),
}

REPORT: Final = {
    "tags": _TAGS,
    "operationId": "reportDecisions",
    "summary": "Deliver records of decisions",
    "description": "One record a line, as the SDK writes them. All of a batch is taken, or nothing; a record that is "
    "there already is a duplicate and fine, so the same batch can be sent again. A 200 means: it is on the disk.",
    "requestBody": {"required": True, "content": {"application/x-ndjson": {"schema": {"type": "string"}}}},
    "responses": _answer(
        "How many records were new, and how many were there already.",
        _entity(
            "accepted",
            "duplicates",
            accepted={"type": "integer"},
            duplicates={"type": "integer"},
            rejected={"type": "array", "items": _ANYTHING},
        ),
    ),
}
