"""The command of the Tower as a person uses it, without a server."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from companyos.catalog import Catalog
from companyos.cli.main import run
from companyos.core import access
from companyos.core.access import Caller
from companyos.core.settings import Settings
from companyos.identity import RoleAuthorizer
from companyos.ledger import open_journal

ANA = Caller(subject="user:ana", roles=frozenset({"admin"}))


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return a home with one service that was never projected, which commands find."""
    monkeypatch.setenv("COMPANYOS_HOME", str(tmp_path / "home"))
    access.bind(RoleAuthorizer())
    journal = open_journal(Settings(home=str(tmp_path / "home")))
    Catalog(journal).add(ANA, "checkout", {})
    journal.close()
    return tmp_path / "home"


def test_a_rebuild_says_what_was_wrong(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The first one finds what is missing, the second one nothing."""
    assert run(["tower", "rebuild"]) == 0
    assert capsys.readouterr().out == "The Tower shows 1 service; 1 was wrong, missing or too many.\n"
    assert run(["tower", "rebuild"]) == 0
    assert capsys.readouterr().out == "The Tower shows 1 service; nothing was wrong.\n"


def test_json_is_one_document(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """For machines: the numbers and nothing else."""
    assert run(["tower", "rebuild", "--json"]) == 0
    answer = json.loads(capsys.readouterr().out)
    assert {name: answer[name] for name in ("services", "changed")} == {"services": 1, "changed": 1}


def test_without_a_role_it_is_denied(
    home: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """One sentence and exit code 1."""
    monkeypatch.setenv("COMPANYOS_LOCAL_ROLES", "viewer")
    assert run(["tower", "rebuild"]) == 1
    assert "may not database.upgrade on tower:projection" in capsys.readouterr().err
