"""The obligations profile of OpenID AuthZEN (draft 1), from the side of the decision point."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from companyos.policy import authzen
from companyos.server.app import Application
from companyos_sdk.policy.decision import Decision, Obligation
from tests.policy.point.conftest import SYSTEM, asker, serving
from tests.policy.point.programs import Program, bundle, said
from tests.server.web import Web

ONE = "/access/v1/evaluation"

OWED: dict[str, list[dict[str, Any]]] = {
    "read": [{"id": "mask_fields", "fields": ["iban"], "policy": "dlp.redaction"}],
    "delete": [{"id": "mfa", "type": "require_mfa", "acr_values": ["urn:acme:loa:3", "urn:acme:loa:4"]}],
    "export": [{"id": "log_event", "event": "export"}, {"id": "log_event", "event": "again"}],
    "move": [{"id": "require_approval", "kind": "export"}],
    "peek": [{"id": "watermark", "text": "x"}],
    "list": [],
}


def owing(asked: dict[str, Any]) -> dict[str, Any]:
    """Allow everything but exports that nobody knows, each under its obligations."""
    decision = "deny" if asked["action"] == "move" else "allow"
    return said(decision, f"policy.{asked['action']}", *OWED[asked["action"]])


@pytest.fixture(scope="module")
def app(empty_home: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Application]:
    """Return one application for all cases."""
    with serving(empty_home, tmp_path_factory.mktemp("module"), bundle(Program(owing))) as made:
        yield made


@pytest.fixture(scope="module")
def service(app: Application) -> Web:
    """Return a service that may ask for decisions."""
    return asker(app)


def asked(action: str, *supported: Any, **context: Any) -> dict[str, Any]:
    """Return a request; with the types of obligations that the enforcing side supports when there are some."""
    if supported:
        context["supported_obligations"] = [one for one in supported if one]
    subject, resource = {"type": "user", "id": "ana"}, {"type": "record", "id": "1"}
    return {"subject": subject, "action": {"name": action}, "resource": resource, "context": context}


WIRE: dict[str, list[dict[str, Any]]] = {
    "read": [
        {
            "id": "mask_fields",
            "type": "custom",
            "properties": {"action": "mask", "fields": ["iban"], "policy": "dlp.redaction"},
        }
    ],
    "delete": [
        {
            "id": "mfa",
            "type": "step-up",
            "properties": {
                "acr_value": "urn:acme:loa:3",
                "amr_values": ["mfa"],
                "acr_values": ["urn:acme:loa:3", "urn:acme:loa:4"],
            },
        }
    ],
    "export": [
        {"id": "log_event", "type": "custom", "properties": {"action": "log", "event": "export"}},
        {"id": "log_event-2", "type": "custom", "properties": {"action": "log", "event": "again"}},
    ],
    "move": [
        {"id": "require_approval", "type": "custom", "properties": {"action": "access_request", "kind": "export"}}
    ],
    "peek": [{"id": "watermark", "type": "custom", "properties": {"action": "watermark", "text": "x"}}],
}


@pytest.mark.parametrize("action", WIRE)
def test_obligations_are_written_as_the_profile_has_them(service: Web, action: str) -> None:
    """Each has an id of its own in the answer, a registered type or ``custom``, and properties; also a denial's."""
    found = service("POST", ONE, json=asked(action)).json()
    assert found["decision"] is (action != "move")
    assert found["context"]["obligations"] == WIRE[action]


def test_without_obligations_the_member_is_left_out(service: Web) -> None:
    """Whoever does not know the profile sees nothing of it."""
    assert "obligations" not in service("POST", ONE, json=asked("list")).json()["context"]


@pytest.mark.parametrize(
    ("action", "supported", "allowed"),
    [
        ("delete", ["step-up"], True),
        ("delete", ["custom"], False),
        ("delete", [None], False),
        ("read", ["custom", "step-up"], True),
        ("read", ["step-up"], False),
        ("list", [None], True),
        ("read", ["mask_fields"], False),
        ("delete", ["step-up", "notification", "of the future"], True),
    ],
)
def test_what_cannot_be_fulfilled_is_denied_outright(
    app: Application, service: Web, action: str, supported: list[Any], allowed: bool
) -> None:
    """A type that we do not issue counts as not named; the denial is what is recorded, with the obligation."""
    found = service("POST", ONE, json=asked(action, *supported)).json()
    assert found["decision"] is allowed
    if not allowed:
        assert found["context"]["reason"] == "obligation.unsupported"
        assert found["context"]["obligations"] == WIRE[action]
    app.decision_log.flush()
    logged = app.decisions.find(SYSTEM, found["context"]["audit_id"])[0]
    assert logged.decision == ("allow" if allowed else "deny")
    assert logged.reason == found["context"]["reason"]


def test_a_denial_keeps_its_own_reason(service: Web) -> None:
    """What is denied anyway is not denied for its obligations."""
    found = service("POST", ONE, json=asked("move", "step-up")).json()
    assert (found["decision"], found["context"]["reason"]) == (False, "policy.move")


@pytest.mark.parametrize(
    "named", ["step-up", {"step-up": 1}, [1], ["x"] * 65], ids=["text", "object", "number", "many"]
)
def test_a_list_that_is_none_is_refused(service: Web, named: object) -> None:
    """``supported_obligations`` is an array of texts."""
    request = asked("read")
    request["context"]["supported_obligations"] = named
    assert service("POST", ONE, json=request).status_code == 400


def test_each_question_of_a_batch_is_negotiated_by_itself(service: Web) -> None:
    """The context of an item replaces that of the request, and with it what is supported."""
    batch = {
        **asked("read", "step-up"),
        "evaluations": [{}, {"context": {"supported_obligations": ["custom"]}}, {"context": {}}],
    }
    found = service("POST", "/access/v1/evaluations", json=batch).json()["evaluations"]
    assert [one["decision"] for one in found] == [False, True, True]


def test_the_metadata_names_what_we_issue(app: Application) -> None:
    """Every type on the wire is among those that the metadata names."""
    named = Web(app)("GET", authzen.CONFIGURATION).json()["supported_obligations"]
    assert {one["type"] for listed in WIRE.values() for one in listed} <= set(named)


def test_a_step_up_has_a_class_also_when_the_policy_names_none() -> None:
    """``acr_value`` is required by the profile."""
    owed = (Obligation("require_mfa", "require_mfa", {}),)
    found = authzen.answer(Decision(True, owed, "r", "id"))
    assert found["context"]["obligations"][0]["properties"]["acr_value"] == authzen.DEFAULT_ACR
