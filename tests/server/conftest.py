from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from companyos.core.access import Caller
from companyos.core.clock import ManualClock
from companyos.core.settings import Settings
from companyos.identity import IssuedToken
from companyos.ledger import open_journal
from companyos.server.app import Application, create_app
from tests.server.web import Web

SYSTEM = Caller(subject="system:test", roles=frozenset({"admin"}))


@pytest.fixture(scope="session")
def empty_home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a migrated home with a ledger key, which tests copy: migrating takes longer than most of them."""
    home = tmp_path_factory.mktemp("server") / "home"
    journal = open_journal(Settings(home=str(home)), ManualClock())
    journal.ledger.keys.signer("ledger")
    journal.close()
    return home


@pytest.fixture
def home(empty_home: Path, tmp_path: Path) -> Path:
    """Return a home of this test's own."""
    return shutil.copytree(empty_home, tmp_path / "home")


@pytest.fixture
def clock() -> ManualClock:
    """Return the clock that the application sees."""
    return ManualClock()


@pytest.fixture
def settings(home: Path) -> Settings:
    """Return the settings of the application; a test that needs others makes its own."""
    return Settings(home=str(home), port=8700, sign_in_attempts=3, body_limit_bytes=4096, request_timeout_s=1.0)


@pytest.fixture
def app(settings: Settings, clock: ManualClock) -> Iterator[Application]:
    """Return the application, without its background loops."""
    made = create_app(settings, clock)
    yield made
    made.close()


@pytest.fixture
def admin(app: Application) -> Web:
    """Return an admin with a token."""
    issued = app.identity.bootstrap_admin()
    assert isinstance(issued, IssuedToken)
    return Web(app, issued.secret)


@pytest.fixture
def stranger(app: Application) -> Web:
    """Return somebody with a token and no role at all."""
    return Web(app, app.identity.issue_token(SYSTEM, "stranger", type="user").secret)


@pytest.fixture
def nobody(app: Application) -> Web:
    """Return somebody without a credential."""
    return Web(app)


@pytest.fixture
def browser(app: Application, admin: Web) -> Web:
    """Return the admin in a browser, with the cookie of a session."""
    del admin
    person = Web(app)
    code = app.identity.issue_login_code(SYSTEM).code
    assert person("GET", f"/sign-in?code={code}").status_code == 303
    assert set(person.cookies) == {"companyos_session"}
    return person
