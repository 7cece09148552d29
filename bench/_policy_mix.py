"""Sixteen requests about the files of a clinic, their policy in Rego, in Python and in Cedar, and what must come out.

Roles, data residency, approval of exports, a second factor and redaction: every branch is taken by a request.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

ENTRYPOINT = "data.clinic.authz.decision"

DATA: dict[str, Any] = {
    "house": {
        "levels": {"public": 1, "internal": 2, "secret": 3},
        "may": {
            "nurse": ["read"],
            "doctor": ["read", "write"],
            "head": ["read", "write", "export", "erase", "send"],
        },
        "hide": {"file": ["insurance", "address"], "bill": ["iban"]},
        "staff": {f"s{number}": [["head"], ["doctor", "nurse"], ["nurse"]][number % 3] for number in range(300)},
    }
}

MODULES = {
    "roles.rego": """package clinic.roles

able if {
    some role in data.house.staff[input.subject.id]
    input.action in data.house.may[role]
}
""",
    "residency.rego": """package clinic.residency

violated if {
    input.resource.contains_pii == true
    input.resource.region != "eu"
    input.action in ["read", "write", "export", "send"]
}
""",
    "export.rego": """package clinic.export

unapproved if {
    input.action == "export"
    input.context.approval_ticket == ""
}

logged if {
    input.action == "export"
    input.context.approval_ticket != ""
}
""",
    "factor.rego": """package clinic.factor

due if {
    sensitive
    input.environment.auth_strength != "mfa"
}

sensitive if input.action in ["erase", "send"]

sensitive if input.resource.sensitivity == "high"
""",
    "redaction.rego": """package clinic.redaction

default level := 0

level := data.house.levels[input.subject.attributes.clearance]

default required := 99

required := data.house.levels[input.resource.required_clearance]

below if level < required

due if {
    below
    input.action == "read"
}
""",
    "main.rego": """package clinic.authz

import data.clinic.export
import data.clinic.factor
import data.clinic.redaction
import data.clinic.residency
import data.clinic.roles

decision := {"decision": "deny", "reason": "role.missing", "obligations": []} if {
    not roles.able
} else := {"decision": "deny", "reason": "residency.eu", "obligations": []} if {
    residency.violated
} else := {"decision": "deny", "reason": "export.approval", "obligations": [{"id": "require_approval"}]} if {
    export.unapproved
} else := {"decision": "deny", "reason": "dlp.clearance", "obligations": []} if {
    redaction.below
    not redaction.due
} else := {"decision": "allow", "reason": "role.able", "obligations": owed}

owed := array.concat(array.concat(mask, factor_due), log)

mask := [{"id": "mask_fields", "fields": data.house.hide[input.resource.type]}] if redaction.due

else := []

factor_due := [{"id": "require_mfa"}] if factor.due

else := []

log := [{"id": "log_event", "event": "export"}] if export.logged

else := []
""",
}


def _request(who: str, action: str, **changed: Any) -> dict[str, Any]:  # noqa: ANN401 - JSON
    values = {
        "clearance": "secret",
        "region": "eu",
        "pii": True,
        "required": "internal",
        "sensitivity": "low",
        "auth": "password",
        "ticket": "",
        "kind": "file",
        **changed,
    }
    return {
        "subject": {"id": who, "type": "user", "attributes": {"clearance": values["clearance"], "ward": "north"}},
        "action": action,
        "resource": {
            "id": "file-4711",
            "type": values["kind"],
            "owner": "s0",
            "region": values["region"],
            "contains_pii": values["pii"],
            "required_clearance": values["required"],
            "sensitivity": values["sensitivity"],
        },
        "environment": {
            "ip": "198.51.100.4",
            "device_trust": "managed",
            "time": "2026-03-01T09:30:00Z",
            "auth_strength": values["auth"],
        },
        "context": {"approval_ticket": values["ticket"]},
    }


Case = tuple[dict[str, Any], str, tuple[str, ...]]

CASES: tuple[Case, ...] = (
    (_request("s0", "read"), "allow", ()),
    (_request("s0", "read", region="us"), "deny", ()),
    (_request("s0", "read", region="us", pii=False), "allow", ()),
    (_request("s0", "export"), "deny", ("require_approval",)),
    (_request("s0", "export", ticket="CHG-7"), "allow", ("log_event",)),
    (_request("s3", "erase"), "allow", ("require_mfa",)),
    (_request("s3", "erase", auth="mfa"), "allow", ()),
    (_request("s1", "read", sensitivity="high"), "allow", ("require_mfa",)),
    (_request("s2", "read", clearance="public"), "allow", ("mask_fields",)),
    (
        _request("s2", "read", clearance="public", sensitivity="high", kind="bill"),
        "allow",
        ("mask_fields", "require_mfa"),
    ),
    (_request("s1", "write", clearance="public"), "deny", ()),
    (_request("s2", "write"), "deny", ()),
    (_request("stranger", "read"), "deny", ()),
    (_request("s1", "read", clearance="unheard of"), "allow", ("mask_fields",)),
    (_request("s0", "send", auth="mfa"), "allow", ()),
    (_request("s1", "write", region="us"), "deny", ()),
)
REQUESTS = tuple(case[0] for case in CASES)


def check(name: str, decide: Callable[[dict[str, Any]], tuple[str, list[str]]]) -> None:
    """Raise AssertionError unless the engine decides all sixteen as it must; ``decide`` gives decision and ids."""
    for number, (request, decision, owed) in enumerate(CASES):
        found, ids = decide(request)
        assert (found, sorted(ids)) == (decision, sorted(owed)), f"{name} decides case {number} as {found}, {ids}"


def closure() -> Callable[[dict[str, Any]], dict[str, Any]]:
    """Return the same policy as a function of Python, written by hand: the floor."""
    known = DATA["house"]
    levels, hide = known["levels"], known["hide"]
    may, staff = known["may"], known["staff"]

    def decide(asked: dict[str, Any]) -> dict[str, Any]:
        who, action, resource = asked["subject"], asked["action"], asked["resource"]
        if not any(action in may[role] for role in staff.get(who["id"], ())):
            return {"decision": "deny", "reason": "role.missing", "obligations": []}
        if resource["contains_pii"] is True and resource["region"] != "eu" and action in _RESIDENT:
            return {"decision": "deny", "reason": "residency.eu", "obligations": []}
        ticket = asked["context"]["approval_ticket"]
        if action == "export" and ticket == "":
            return {"decision": "deny", "reason": "export.approval", "obligations": [{"id": "require_approval"}]}
        below = levels.get(who["attributes"]["clearance"], 0) < levels.get(resource["required_clearance"], 99)
        if below and action != "read":
            return {"decision": "deny", "reason": "dlp.clearance", "obligations": []}
        owed: list[dict[str, Any]] = []
        if below:
            owed.append({"id": "mask_fields", "fields": hide[resource["type"]]})
        sensitive = action in _STRONG or resource["sensitivity"] == "high"
        if sensitive and asked["environment"]["auth_strength"] != "mfa":
            owed.append({"id": "require_mfa"})
        if action == "export":
            owed.append({"id": "log_event", "event": "export"})
        return {"decision": "allow", "reason": "role.able", "obligations": owed}

    return decide


_RESIDENT = frozenset({"read", "write", "export", "send"})
_STRONG = frozenset({"erase", "send"})

_ABLE = (
    '(principal in Role::"head" || (principal in Role::"doctor" && [Action::"read",Action::"write"].contains(action))'
    ' || (principal in Role::"nurse" && action == Action::"read"))'
)
_BELOW = "context.level < resource.required"
CEDAR = f"""
@id("role.able") permit(principal, action, resource) when {{ {_ABLE} }};
@id("residency.eu") forbid(principal, action in [Action::"read",Action::"write",Action::"export",Action::"send"],
  resource) when {{ resource.contains_pii && resource.region != "eu" }};
@id("require_approval") forbid(principal, action == Action::"export", resource) when {{ context.ticket == "" }};
@id("dlp.clearance") forbid(principal, action in [Action::"write",Action::"erase",Action::"export",Action::"send"],
  resource) when {{ {_BELOW} }};
@id("log_event") permit(principal, action == Action::"export", resource) when {{ context.ticket != "" && {_ABLE} }};
@id("require_mfa") permit(principal, action, resource) when {{ (action == Action::"erase" || action == Action::"send"
  || resource.sensitivity == "high") && context.auth != "mfa" && {_ABLE} }};
@id("mask_fields") permit(principal, action == Action::"read", resource) when {{ {_BELOW} && {_ABLE} }};
"""
