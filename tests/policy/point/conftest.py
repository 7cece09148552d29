from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from companyos.core.access import Caller
from companyos.core.clock import ManualClock
from companyos.core.settings import Settings
from companyos.identity import IssuedToken
from companyos.ledger import open_journal
from companyos.policy.active import ActiveBundle, InMemory
from companyos.server import app as assembly
from companyos.server.app import Application, create_app
from tests.policy.point.programs import FIXTURE, bundle
from tests.server.web import Web

SYSTEM = Caller(subject="system:test", roles=frozenset({"admin"}))


@contextmanager
def serving(empty_home: Path, folder: Path, *active: ActiveBundle) -> Iterator[Application]:
    """Give an application for a whole module, which decides with these bundles; its tests change nothing in it."""
    home = shutil.copytree(empty_home, folder / "home")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(assembly, "Activated", lambda _policies, _stage: InMemory(*active))
        made = create_app(Settings(home=str(home), port=8700, body_limit_bytes=200_000), ManualClock())
    yield made
    made.close()


def asker(app: Application) -> Web:
    """Return a service that may ask for decisions."""
    return Web(app, app.identity.issue_token(SYSTEM, "shop", roles=["operator"]).secret)


@pytest.fixture(scope="session")
def empty_home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a migrated home with a ledger key, which tests copy."""
    home = tmp_path_factory.mktemp("point") / "home"
    journal = open_journal(Settings(home=str(home)), ManualClock())
    journal.ledger.keys.signer("ledger")
    journal.close()
    return home


@pytest.fixture
def settings(empty_home: Path, tmp_path: Path) -> Settings:
    """Return the settings of a home of this test's own."""
    home = shutil.copytree(empty_home, tmp_path / "home")
    return Settings(home=str(home), port=8700, request_timeout_s=0.5, body_limit_bytes=200_000)


@pytest.fixture
def clock() -> ManualClock:
    """Return the clock that the application sees."""
    return ManualClock()


@pytest.fixture
def bundles() -> InMemory:
    """Return what is active: the policy of the tests."""
    return InMemory(bundle(FIXTURE))


@pytest.fixture
def app(
    settings: Settings, clock: ManualClock, bundles: InMemory, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Application]:
    """Return the application, which decides with these bundles."""
    monkeypatch.setattr(assembly, "Activated", lambda _policies, _stage: bundles)
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
def service(app: Application) -> Web:
    """Return a service that may ask for decisions."""
    return asker(app)


@pytest.fixture
def viewer(app: Application) -> Web:
    """Return somebody who may not ask for decisions."""
    return Web(app, app.identity.issue_token(SYSTEM, "vera", type="user", roles=["viewer"]).secret)
