"""OpenID AuthZEN Authorization API 1.0 and its obligations profile (draft 1), as values: no I/O here.

AuthZEN has no ``environment``; its ``context`` stands for both of ours. Properties of the action are below
``context.action``. Obligations have other types on the wire, see ``wire_obligations``.
"""

from __future__ import annotations

from typing import Any, Final, Literal, NamedTuple, NoReturn, TypeAlias

from companyos.core.errors import InvalidInput
from companyos.policy.asking import check_id, check_name
from companyos_sdk.policy.decision import Decision, Obligation

EVALUATION: Final = "/access/v1/evaluation"
EVALUATIONS: Final = "/access/v1/evaluations"
CONFIGURATION: Final = "/.well-known/authzen-configuration"

MAX_ITEMS: Final = 1_000
"""How many evaluations one request may hold."""
MAX_SUPPORTED: Final = 64
"""How many types of obligations an enforcing side may name."""

Semantic: TypeAlias = Literal["execute_all", "deny_on_first_deny", "permit_on_first_permit"]
SEMANTICS: Final[tuple[Semantic, ...]] = ("execute_all", "deny_on_first_deny", "permit_on_first_permit")

WIRE_TYPES: Final = ("step-up", "custom")
"""The types of obligations that we issue: those that the profile registers, and ``custom`` for all others, whose
property ``action`` says what is to be done."""

_STEP_UP: Final = "step-up"
_CUSTOM: Final = "custom"
_MFA: Final = "require_mfa"
_ACTIONS: Final = {"mask_fields": "mask", "log_event": "log", "require_approval": "access_request"}
DEFAULT_ACR: Final = "urn:companyos:acr:mfa"
"""The class of authentication that ``require_mfa`` means when the policy names none."""

_DEFAULTS: Final = ("subject", "action", "resource", "context")
_EMPTY: Final[dict[str, Any]] = {}
_NONE: Final[list[Any]] = []


class Evaluation(NamedTuple):
    """One question."""

    document: dict[str, Any]
    """The input document of the policy."""
    supported: frozenset[str] | None
    """The types of obligations that the enforcing side can fulfil; None when it has not said."""


class Batch(NamedTuple):
    """Several questions in one request."""

    items: list[dict[str, Any]]
    """Each with the defaults of the request; not checked yet, because a bad one is only a denial of its own."""
    semantic: Semantic


def evaluation(asked: dict[str, Any]) -> Evaluation:
    """Return the question that a request asks; raises InvalidInput that names the field."""
    subject, action, resource = _entity(asked, "subject"), _entity(asked, "action"), _entity(asked, "resource")
    for field, entity in (("subject", subject), ("resource", resource)):
        check_name(entity.get("type"), f"{field}.type")
        check_id(entity.get("id"), f"{field}.id")
    check_name(action.get("name"), "action.name")
    context = asked.get("context", _EMPTY)
    if type(context) is not dict:
        _refuse("context", "is not an object", "Send an object, or leave it out.")
    about = context
    if (properties := _properties(action, "action")) is not None:
        about = {**context, "action": properties}
    document = {
        "subject": {
            "id": subject["id"],
            "type": subject["type"],
            "attributes": _properties(subject, "subject") or {},
        },
        "action": action["name"],
        "resource": {**(_properties(resource, "resource") or _EMPTY), "type": resource["type"], "id": resource["id"]},
        "environment": context,
        "context": about,
    }
    return Evaluation(document, _supported(context))


def batch(asked: dict[str, Any]) -> Batch | None:
    """Return the questions of a request to ``/evaluations``; None when it asks one, like ``/evaluation``.

    Raises InvalidInput for what concerns the request as a whole.
    """
    listed = asked.get("evaluations", _NONE)
    if listed == _NONE:
        return None
    if type(listed) is not list:
        _refuse("evaluations", "is not an array", "Send an array of objects.")
    if len(listed) > MAX_ITEMS:
        _refuse("evaluations", f"has more than {MAX_ITEMS} items", "Send several requests.")
    options = asked.get("options", _EMPTY)
    if type(options) is not dict:
        _refuse("options", "is not an object", "Send an object, or leave it out.")
    semantic = options.get("evaluations_semantic", "execute_all")
    if semantic not in SEMANTICS:
        _refuse("options.evaluations_semantic", "is none of " + ", ".join(SEMANTICS), "Use one of them.")
    for number, item in enumerate(listed):
        if type(item) is not dict:
            _refuse(f"evaluations[{number}]", "is not an object", "Send an object for each question.")
    defaults: dict[str, Any] = {name: asked[name] for name in _DEFAULTS if name in asked}
    return Batch([{**defaults, **item} for item in listed], semantic)


def stops(semantic: Semantic, *, allowed: bool) -> bool:
    """Tell whether an answer ends the batch."""
    return semantic == ("permit_on_first_permit" if allowed else "deny_on_first_deny")


def answer(decision: Decision) -> dict[str, Any]:
    """Return the answer to one question."""
    bundle = decision.bundle
    context: dict[str, Any] = {"reason": decision.reason, "audit_id": decision.audit_id}
    if bundle.id:
        context["bundle"] = {"id": bundle.id, "version": bundle.version, "digest": bundle.digest}
    if decision.stale:
        context["stale"] = True
    if decision.policy_reason is not None:
        context["policy_reason"] = decision.policy_reason
    if decision.obligations:
        context["obligations"] = wire_obligations(decision.obligations)
    return {"decision": decision.allow, "context": context}


def failure(fault: InvalidInput) -> dict[str, Any]:
    """Return the answer to a question of a batch that is none: closed, with the reason."""
    return {"decision": False, "context": {"error": {"status": 400, "message": fault.detail}}}


def wire_obligations(obligations: tuple[Obligation, ...]) -> list[dict[str, Any]]:
    """Return obligations as the profile writes them; the id is unique within the answer."""
    seen: dict[str, int] = {}
    written = []
    for owed in obligations:
        count = seen[owed.id] = seen.get(owed.id, 0) + 1
        written.append(
            {
                "id": owed.id if count == 1 else f"{owed.id}-{count}",
                "type": wire_type(owed.type),
                "properties": _wire_properties(owed),
            }
        )
    return written


def wire_type(kind: str) -> str:
    """Return the type on the wire of an obligation type of ours."""
    return _STEP_UP if kind == _MFA else _CUSTOM


def is_supported(kind: str, supported: frozenset[str]) -> bool:
    """Tell whether an enforcing side that supports these types on the wire can fulfil an obligation of ours."""
    return wire_type(kind) in supported


def configuration(base: str) -> dict[str, Any]:
    """Return the metadata of this decision point, whose identifier is ``base`` without a slash at its end."""
    return {
        "policy_decision_point": base,
        "access_evaluation_endpoint": base + EVALUATION,
        "access_evaluations_endpoint": base + EVALUATIONS,
        "supported_obligations": list(WIRE_TYPES),
    }


def _wire_properties(owed: Obligation) -> dict[str, Any]:
    if owed.type == _MFA:
        classes = owed.properties.get("acr_values")
        first = classes[0] if isinstance(classes, list) and classes and isinstance(classes[0], str) else DEFAULT_ACR
        return {**owed.properties, "acr_value": first, "amr_values": ["mfa"]}
    return {**owed.properties, "action": _ACTIONS.get(owed.type, owed.type)}


def _entity(asked: dict[str, Any], field: str) -> dict[str, Any]:
    entity = asked.get(field)
    if type(entity) is not dict:
        _refuse(field, "is missing" if entity is None else "is not an object", f"Send {field} as an object.")
    return entity


def _properties(entity: dict[str, Any], field: str) -> dict[str, Any] | None:
    if "properties" not in entity:
        return None
    properties = entity["properties"]
    if type(properties) is not dict:
        _refuse(f"{field}.properties", "is not an object", "Send an object, or leave it out.")
    return properties


def _supported(context: dict[str, Any]) -> frozenset[str] | None:
    """Return what the enforcing side can fulfil; a type that we do not issue is as if it were not named."""
    named = context.get("supported_obligations")
    if named is None:
        return None
    if type(named) is not list or len(named) > MAX_SUPPORTED or not all(type(one) is str for one in named):
        what = f"is not an array of up to {MAX_SUPPORTED} texts"
        _refuse("context.supported_obligations", what, "Send types of obligations, or leave it out.")
    return frozenset(named).intersection(WIRE_TYPES)


def _refuse(field: str, fault: str, next_step: str) -> NoReturn:
    raise InvalidInput(f"{field} {fault}.", next_step=next_step, field=field)
