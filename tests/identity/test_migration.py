"""Homes of the release before keep their subjects and bindings."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from alembic import command
from sqlalchemy import inspect, text

from companyos.core import schema
from companyos.core.access import Caller
from companyos.core.clock import ManualClock
from companyos.core.database import Database
from companyos.core.keys import KeyStore
from companyos.core.settings import Settings
from companyos.identity import DirectoryCache, Identity, RoleBinding
from companyos.ledger import Journal, Ledger
from tests.needs import needs

END = datetime(2027, 1, 1, tzinfo=UTC)
PAT = "018f0000-0000-7000-8000-00000000000a"
CI = "018f0000-0000-7000-8000-00000000000b"
WRITTEN = END.isoformat().replace("+00:00", ".000000Z")


@pytest.fixture(params=["sqlite", pytest.param("postgresql", marks=needs("postgres"))])
def old(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Database]:
    """Return a database at revision 0002 with two subjects and three bindings."""
    postgres = request.param == "postgresql"
    url = request.getfixturevalue("postgres_url") if postgres else f"sqlite:///{tmp_path}/old.db"
    database = Database.open(url)
    with database.write() as connection:
        config = schema._config()  # noqa: SLF001 - an upgrade to anything but the head is for this test alone
        config.attributes["connection"] = connection
        command.upgrade(config, "0002")
        for identifier, kind, name in ((PAT, "user", "pat"), (CI, "service", "ci")):
            connection.execute(
                text("INSERT INTO subjects (id, type, name, status, created_at) VALUES (:i, :t, :n, 'active', :at)"),
                {"i": identifier, "t": kind, "n": name, "at": END if postgres else WRITTEN},
            )
        for identifier, role, workspace, end in (
            (PAT, "admin", "", None),
            (PAT, "viewer", "emea", END),
            (CI, "operator", "", END),
        ):
            connection.execute(
                text("INSERT INTO role_bindings (subject_id, role, workspace_id, expires_at) VALUES (:i, :r, :w, :at)"),
                {"i": identifier, "r": role, "w": workspace, "at": end if postgres or end is None else WRITTEN},
            )
    yield database
    database.close()


def test_an_existing_home_keeps_its_bindings(old: Database, tmp_path: Path) -> None:
    """Each binding means after the upgrade what it meant before, with its end; what is new works on it."""
    assert schema.upgrade(old).pending[0] == "0003_identity_attributes"
    with old.read() as connection:
        assert "role_bindings_0002" not in inspect(connection).get_table_names()
    settings = Settings(home=str(tmp_path / "home"))
    settings.folder.create()
    clock = ManualClock()
    journal = Journal(old, Ledger(KeyStore(settings.folder.keys, clock), settings.ledger_origin), clock, settings)
    identity, root = Identity(journal), Caller(subject="user:root", roles=frozenset({"admin"}))
    pat = identity.get_subject(root, "user:pat")
    assert pat.bindings == (
        RoleBinding(role="admin"),
        RoleBinding(role="viewer", workspace_id="emea", expires_at=END),
    )
    assert pat.roles(END - timedelta(seconds=1), "emea") == {"admin", "viewer"}
    assert identity.get_subject(root, CI).bindings == (RoleBinding(role="operator", expires_at=END),)
    directory = DirectoryCache(journal).refresh()
    assert directory.roles_of("user:pat", "emea", clock.now()) == {"admin", "viewer"}
    identity.set_attribute(root, "subject", CI, "clearance", "high")
    identity.unbind_role(root, PAT, "viewer", workspace_id="emea")
    assert identity.profile(root, CI).attributes == {"clearance": "high"}
    assert identity.get_subject(root, PAT).bindings == (RoleBinding(role="admin"),)
