from __future__ import annotations

from pathlib import Path

import pytest

from companyos.core import access
from companyos.core.access import Caller
from companyos.core.clock import ManualClock
from companyos.core.errors import Denied
from companyos.core.settings import Settings
from companyos.ledger import open_journal
from companyos.server.app import create_app
from tests.server.conftest import SYSTEM
from tests.server.web import Web

PAGE = {"accept": "text/html"}


def test_a_first_hour_on_either_database(database_url: str, tmp_path: Path) -> None:
    """A link signs in, a token adds a service, the page shows it after a projection, and the ledger has it all."""
    settings = Settings(home=str(tmp_path / "home"), database_url=database_url)
    app = create_app(settings, ManualClock())
    try:
        issued = app.identity.bootstrap_admin()
        assert issued is not None
        assert app.identity.bootstrap_admin() is None
        person, script = Web(app), Web(app, issued.secret)
        assert person("GET", f"/sign-in?code={app.identity.issue_login_code(SYSTEM).code}").status_code == 303
        assert script("POST", "/api/services", json={"name": "checkout", "owner": "team-pay"}).status_code == 201
        assert script("POST", "/api/services", json={"name": "checkout"}).status_code == 409
        assert script("POST", "/api/tower/rebuild").status_code == 200
        assert "checkout" in person("GET", "/", headers=PAGE).text
        verbs = [row["verb"] for row in script("GET", "/api/ledger/entries").json()["items"]]
        assert {"subject.create", "token.issue", "session.open", "service.create"} <= set(verbs)
        lines = script("GET", "/api/ledger/verify").text.splitlines()
        assert '"ok":true' in lines[-1]
    finally:
        app.close()


def test_a_journal_that_was_given_stays_open(settings: Settings) -> None:
    """Closing the application closes only what it opened itself."""
    journal = open_journal(settings, ManualClock())
    create_app(settings, journal=journal).close()
    assert journal.size() == 0
    journal.close()


def test_making_an_application_binds_the_rules(settings: Settings) -> None:
    """From then on the policy decides in this process, and an action that no rule knows is denied to everybody."""
    made = create_app(settings, ManualClock())
    admin = Caller(subject="user:ada", roles=frozenset({"admin"}))
    verdict = access.require(admin, "catalog.read", "services")
    assert verdict.policy == "roles:admin"
    assert verdict.audit_id is not None
    with pytest.raises(Denied):
        access.require(admin, "catalog.raed", "services")
    made.close()
