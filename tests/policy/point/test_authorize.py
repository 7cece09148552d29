from __future__ import annotations

from typing import Any

import pytest

from companyos.core.clock import ManualClock
from companyos.core.ids import is_uuid
from companyos.policy.active import InMemory
from companyos.policy.log import DecisionLog
from companyos.policy.log.record import Decision
from companyos.server.app import Application
from companyos_sdk.policy.record import LogFull
from tests.policy.point.conftest import SYSTEM
from tests.policy.point.programs import Program, bundle, said
from tests.server.web import Web, problem

PATH = "/v1/authorize"
REQUEST: dict[str, Any] = {
    "subject": {"id": "ana", "type": "user", "attributes": {"clearance": "low"}},
    "action": "read",
    "resource": {"id": "doc-1", "type": "document", "region": "eu"},
    "environment": {"auth_strength": "mfa"},
    "context": {"approval_ticket": "CHG-1"},
}
CLEARANCE = ("subject", "attributes", "clearance")


def cleared(asked: dict[str, Any]) -> dict[str, Any]:
    """Allow what the subject's clearance allows."""
    clearance = asked["subject"].get("attributes", {}).get("clearance")
    if clearance == "high":
        return said("allow", "dlp.clear")
    if clearance == "low":
        return said("allow", "dlp.mask", {"id": "mask_fields", "fields": ["iban"]}, {"id": "log_event", "event": "e"})
    return said("deny", "dlp.clearance")


@pytest.fixture
def bundles() -> InMemory:
    """Return the policy of these tests."""
    return InMemory(bundle(Program(cleared, (("subject", "id"), CLEARANCE, ("action",)))))


def recorded(app: Application, audit_id: str) -> Decision:
    """Return the decision as the log has it."""
    app.decision_log.flush()
    return app.decisions.find(SYSTEM, audit_id)[0]


def test_the_answer_is_that_of_the_playbook(service: Web) -> None:
    """Decision, reason, obligations by name and audit id; then what stands behind them."""
    answer = service("POST", PATH, json=REQUEST)
    assert answer.status_code == 200
    found = answer.json()
    assert is_uuid(found.pop("audit_id"))
    assert found == {
        "decision": "allow",
        "reason": "dlp.mask",
        "obligations": ["mask_fields", "log_event"],
        "obligation_details": [
            {"id": "mask_fields", "type": "mask_fields", "properties": {"fields": ["iban"]}},
            {"id": "log_event", "type": "log_event", "properties": {"event": "e"}},
        ],
        "bundle": {"id": "acme/records", "version": "1.0.0", "digest": "sha256:" + "a" * 64},
        "stale": False,
    }


def test_a_denial_is_an_answer(service: Web) -> None:
    """Being denied is no error of the request."""
    asked = {**REQUEST, "subject": {"id": "ana", "type": "user"}}
    answer = service("POST", PATH, json=asked)
    assert (answer.status_code, answer.json()["decision"], answer.json()["reason"]) == (200, "deny", "dlp.clearance")


def test_every_decision_is_in_the_log(app: Application, service: Web) -> None:
    """The audit id of an answer finds what was read, and what was decided."""
    found = recorded(app, service("POST", PATH, json=REQUEST).json()["audit_id"])
    assert found.inputs == {"subject.id": "ana", "subject.attributes.clearance": "low", "action": "read"}
    assert (found.decision, found.bundle.id, found.bundle.stage) == ("allow", "acme/records", "prod")
    assert [owed.id for owed in found.obligations] == ["mask_fields", "log_event"]


# --- what the platform knows ------------------------------------------------------------------------------------------


def known(app: Application, **attributes: tuple[str, int | None]) -> str:
    """Make the user ana with these attributes, each a value and its time to live, and return her id."""
    subject = app.identity.create_subject(SYSTEM, "ana")
    for name, (value, ttl) in attributes.items():
        app.identity.set_attribute(SYSTEM, "subject", subject.id, name, value, source="hr", ttl=ttl)
    return subject.id


@pytest.mark.parametrize("by", ["name", "id"])
def test_stored_attributes_win_over_sent_ones(app: Application, service: Web, by: str) -> None:
    """What the platform was told of a subject counts, whatever the request says; by name or by id."""
    ana = known(app, clearance=("high", None))
    asked = {**REQUEST, "subject": {**REQUEST["subject"], "id": "ana" if by == "name" else ana}}
    answer = service("POST", PATH, json=asked).json()
    assert answer["reason"] == "dlp.clear"
    inputs = recorded(app, answer["audit_id"]).inputs
    assert inputs is not None
    assert inputs["subject.attributes.clearance"] == "high"


def test_an_expired_attribute_is_as_if_it_were_not_there(app: Application, service: Web, clock: ManualClock) -> None:
    """It is not replaced by what is sent, and the reason says which attribute it was, with the policy's own reason."""
    known(app, clearance=("high", 60))
    assert service("POST", PATH, json=REQUEST).json()["reason"] == "dlp.clear"
    clock.advance(61)
    answer = service("POST", PATH, json=REQUEST).json()
    assert (answer["decision"], answer["reason"]) == ("deny", "attribute.stale")
    assert answer["details"] == {"policy_reason": "dlp.clearance", "stale_attributes": ["clearance"]}
    found = recorded(app, answer["audit_id"])
    assert (found.reason, found.policy_reason, found.stale_attributes) == (
        "attribute.stale",
        "dlp.clearance",
        ("clearance",),
    )


def test_an_expired_attribute_that_the_policy_does_not_read_plays_no_part(
    app: Application, service: Web, clock: ManualClock
) -> None:
    """A denial for another reason keeps its reason."""
    known(app, shoe=("42", 60), clearance=("none", None))
    clock.advance(61)
    assert service("POST", PATH, json=REQUEST).json()["reason"] == "dlp.clearance"


def test_a_suspended_subject_is_denied(app: Application, service: Web) -> None:
    """Whoever may not ask here may do nothing, whatever a policy says."""
    ana = known(app, clearance=("high", None))
    app.identity.suspend(SYSTEM, ana)
    answer = service("POST", PATH, json=REQUEST).json()
    assert (answer["decision"], answer["reason"]) == ("deny", "subject.suspended")


def test_a_change_of_an_attribute_counts_within_a_second(app: Application, service: Web, clock: ManualClock) -> None:
    """The decision point looks again, so that nobody has to tell it."""
    ana = known(app, clearance=("high", None))
    assert service("POST", PATH, json=REQUEST).json()["reason"] == "dlp.clear"
    app.identity.set_attribute(SYSTEM, "subject", ana, "clearance", "none", source="hr", ttl=None)
    clock.advance(1)
    assert service("POST", PATH, json=REQUEST).json()["reason"] == "dlp.clearance"


# --- which bundle -----------------------------------------------------------------------------------------------------


def test_without_a_bundle_nothing_is_allowed(app: Application, service: Web, bundles: InMemory) -> None:
    """No active bundle is a denial that says so, and is recorded."""
    bundles.deactivate("acme/records")
    answer = service("POST", PATH, json=REQUEST).json()
    assert (answer["decision"], answer["reason"]) == ("deny", "policy.none")
    found = recorded(app, answer["audit_id"])
    assert (found.bundle.id, found.bundle.stage) == ("", "prod")


def test_a_request_may_name_its_bundle(service: Web, bundles: InMemory) -> None:
    """Of several bundles the named one decides; one that is not active denies, and so does leaving it open."""
    bundles.activate(bundle(Program(lambda _asked: said("allow", "pay.ok")), "acme/payments"))
    assert service("POST", f"{PATH}?bundle=acme/payments", json=REQUEST).json()["reason"] == "pay.ok"
    assert service("POST", f"{PATH}?bundle=acme/records", json=REQUEST).json()["reason"] == "dlp.mask"
    assert service("POST", f"{PATH}?bundle=acme/nothing", json=REQUEST).json()["reason"] == "policy.none"
    assert service("POST", PATH, json=REQUEST).json()["reason"] == "policy.none"
    problem(service("POST", f"{PATH}?bundle=a&bundle=b", json=REQUEST), 400, "invalid-input")


def test_the_platforms_own_bundle_is_never_meant(service: Web, bundles: InMemory) -> None:
    """A request that names none is about a service, also when the platform's bundle is active."""
    bundles.activate(bundle(Program(lambda _asked: said("allow", "platform")), "companyos/platform"))
    assert service("POST", PATH, json=REQUEST).json()["reason"] == "dlp.mask"


def test_another_version_counts_within_a_second(service: Web, bundles: InMemory, clock: ManualClock) -> None:
    """A promotion is noticed without a restart."""
    assert service("POST", PATH, json=REQUEST).json()["bundle"]["version"] == "1.0.0"
    bundles.activate(bundle(Program(lambda _asked: said("deny", "closed")), version="1.1.0"))
    clock.advance(1)
    answer = service("POST", PATH, json=REQUEST).json()
    assert (answer["reason"], answer["bundle"]["version"]) == ("closed", "1.1.0")


def test_a_policy_that_breaks_denies(app: Application, service: Web, bundles: InMemory) -> None:
    """A fault of the policy is a denial with its reason, recorded like every other."""

    def broken(_asked: dict[str, Any]) -> dict[str, Any]:
        raise ZeroDivisionError

    bundles.activate(bundle(Program(broken), version="2.0.0"))
    answer = service("POST", PATH, json=REQUEST).json()
    assert (answer["decision"], answer["reason"]) == ("deny", "policy.error")
    assert recorded(app, answer["audit_id"]).error == "ZeroDivisionError"


# --- who may ask ------------------------------------------------------------------------------------------------------


def test_who_may_not_ask_is_refused(app: Application, viewer: Web) -> None:
    """It takes the permission, and a credential."""
    problem(viewer("POST", PATH, json=REQUEST), 403, "denied")
    problem(Web(app)("POST", PATH, json=REQUEST), 401, "unauthenticated")
    problem(Web(app, "cos_nonsense")("POST", PATH, json=REQUEST), 401, "unauthenticated")


def test_a_revoked_token_stops_within_a_second(app: Application, clock: ManualClock) -> None:
    """A token that was good a moment ago is looked at again before a second is over."""
    issued = app.identity.issue_token(SYSTEM, "pep", roles=["operator"])
    pep = Web(app, issued.secret)
    assert [pep("POST", PATH, json=REQUEST).status_code for _ in range(3)] == [200, 200, 200]
    app.identity.revoke_token(SYSTEM, issued.token.id)
    clock.advance(1)
    assert pep("POST", PATH, json=REQUEST).status_code == 401


def test_a_role_that_is_taken_away_stops_within_a_second(app: Application, clock: ManualClock) -> None:
    """The permission is looked at again with the token."""
    issued = app.identity.issue_token(SYSTEM, "pep", roles=["operator"])
    pep = Web(app, issued.secret)
    assert pep("POST", PATH, json=REQUEST).status_code == 200
    app.identity.unbind_role(SYSTEM, issued.token.subject_id, "operator")
    clock.advance(1)
    problem(pep("POST", PATH, json=REQUEST), 403, "denied")


def test_other_methods_and_paths_are_no_way_around(service: Web) -> None:
    """The short way is for one method and the exact path."""
    assert service("POST", PATH, json=REQUEST).status_code == 200
    problem(service("GET", PATH), 405, "method-not-allowed")
    problem(service("PUT", PATH, json=REQUEST), 405, "method-not-allowed")
    problem(service("POST", f"{PATH}/x", json=REQUEST), 404, "not-found")


# --- a log that takes nothing -----------------------------------------------------------------------------------------


def test_without_room_in_the_log_nothing_is_allowed(
    app: Application, service: Web, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A decision that cannot be recorded is a denial, and says why."""
    assert service("POST", PATH, json=REQUEST).json()["decision"] == "allow"

    def full(_log: DecisionLog, _item: object, _size: int) -> None:
        raise LogFull("The disk is full.")

    monkeypatch.setattr(DecisionLog, "_put", full)
    answer = service("POST", PATH, json=REQUEST).json()
    assert (answer["decision"], answer["reason"]) == ("deny", "policy.unlogged")
    assert "The disk is full." in answer["details"]["error"]
