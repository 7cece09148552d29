"""One decision, looked up by its audit id, through the whole server."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from companyos.core import access
from companyos.core.clock import ManualClock
from companyos.core.settings import Settings
from companyos.server.app import Application, create_app
from tests.policy.log.lines import MASK, decision, fulfilment
from tests.tower.policies import ADMIN, PAGE, signed_in, text_of
from tests.tower.rows import NOW
from tests.tower.test_render import Page, assert_harmless

UNKNOWN = "01a202e7-0000-7000-8000-0000000000aa"


@pytest.fixture
def app(tmp_path: Path) -> Iterator[Application]:
    """Return a server that has no bundle yet."""
    app = create_app(Settings(home=str(tmp_path / "home")), ManualClock(NOW))
    app.identity.bootstrap_admin()
    yield app
    app.close()


def test_a_decision_is_looked_up(app: Application) -> None:
    """Who, what, why, on which values, with its receipt; and what proves it, once its segment is closed."""
    line = decision("ana", obligations=(MASK,))
    app.decision_log.record(line)
    audit_id = json.loads(line)["audit_id"]
    app.decision_log.record(fulfilment(audit_id))
    app.decision_log.flush()
    bob = signed_in(app, "bob", "security_approver")
    address = f"/policies/decisions?id={audit_id}"
    said = text_of(bob("GET", address, headers=PAGE))
    for part in (
        "Allowed read was allowed by acme/documents@1.0.0 in prod: role.bound.",
        "Subject user:ana",
        "Resource document:dossier-7",
        'mask_fields {"fields":["iban"]}',
        'resource.region "eu"',
        "The bundle that decided is not kept here (any more)",
        "What became of its obligations",
        "Segment open",
    ):
        assert part in said, part
    assert "/policies/acme/documents" not in bob("GET", address, headers=PAGE).text, "it has no page here"
    app.decision_log.rotate()
    proven = bob("GET", address, headers=PAGE)
    assert "Rooted Its segment was closed" in text_of(proven)
    links = [attributes.get("href") or "" for tag, attributes in Page(proven.text).elements if tag == "a"]
    (proof,) = [link for link in links if link.startswith("/api/ledger/entries/")]
    assert bob("GET", proof).status_code == 200
    app.decisions.erase(ADMIN, "user", "ana", "asked for it")
    erased = text_of(bob("GET", address, headers=PAGE))
    assert "What it read was erased for good" in erased
    assert "Subject erased" in erased
    assert '"eu"' not in erased


def test_a_decision_about_the_platform_names_its_rule(app: Application) -> None:
    """The policy that ships decides it again, and says at which row."""
    audit_id = access.ask(ADMIN, "service.write", "service:checkout").audit_id
    app.decision_log.flush()
    assert audit_id is not None
    said = text_of(
        signed_in(app, "bob", "security_approver")("GET", f"/policies/decisions?id={audit_id}", headers=PAGE)
    )
    assert "Decided data.companyos.authz.decision at policy.rego:" in said
    assert 'action "service.write"' in said


@pytest.mark.parametrize(
    ("asked", "said"),
    [
        (UNKNOWN, f"There is no decision {UNKNOWN}. Use the audit_id of an answer"),
        ("12", "“12” is no audit id: it has 36 characters"),
        ("<script>alert(1)</script>", "“<script>alert(1)</script>” is no audit id"),
        ("x" * 500, "is no audit id"),
    ],
)
def test_an_unknown_audit_id_is_said_clearly(app: Application, asked: str, said: str) -> None:
    """With the form still filled in."""
    bob = signed_in(app, "bob", "security_approver")
    answer = bob("GET", "/policies/decisions", params={"id": asked}, headers=PAGE)
    assert answer.status_code == 404
    assert said in text_of(answer)
    assert_harmless(answer.text)
