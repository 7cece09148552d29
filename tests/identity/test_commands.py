from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from companyos.cli.main import run
from companyos.core.settings import Settings
from companyos.identity import Identity
from companyos.identity.errors import CredentialRefused
from companyos.ledger import open_journal

Command = Callable[..., tuple[int, str, str]]


@pytest.fixture
def companyos(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], bound: None
) -> Command:
    """Return what runs a command on a home of its own, without a server: exit code, standard output and error."""
    monkeypatch.setenv("COMPANYOS_HOME", str(tmp_path / "home"))
    monkeypatch.delenv("COMPANYOS_URL", raising=False)

    def call(*words: str) -> tuple[int, str, str]:
        code = run(words)
        said = capsys.readouterr()
        return code, said.out, said.err

    return call


@pytest.fixture
def identity(tmp_path: Path) -> Iterator[Identity]:
    """Return the use cases over the same home."""
    journal = open_journal(Settings(home=str(tmp_path / "home")))
    yield Identity(journal)
    journal.close()


def answer(companyos: Command, *words: str) -> Any:
    """Return what a command says with --json, which must be one document and nothing else."""
    code, out, err = companyos(*words, "--json")
    assert (code, err) == (0, "")
    return json.loads(out)


def test_a_token_from_issue_to_revoke(companyos: Command, identity: Identity) -> None:
    """Its secret is on a line of its own, once; lists do not show it; revoked it is refused."""
    code, out, _ = companyos("token", "issue", "ci", "--role", "operator", "--role", "viewer", "--ttl", "2d")
    secret = out.splitlines()[0]
    assert code == 0
    assert identity.authenticate(secret).roles == {"operator", "viewer"}
    (token,) = answer(companyos, "token", "list")
    assert (token["subject"], token["label"]) == ("service:ci", "ci")
    _, out, _ = companyos("token", "list")
    assert token["id"] in out
    assert secret not in out
    assert answer(companyos, "token", "revoke", token["id"]) == {"id": token["id"], "revoked": True}
    with pytest.raises(CredentialRefused):
        identity.authenticate(secret)


def test_a_link_signs_in_once(companyos: Command, identity: Identity) -> None:
    """It is the first line; without an admin there is nobody whom it could sign in."""
    code, _, err = companyos("token", "link")
    assert (code, err) == (1, "Error: There is no admin yet.\nNext: Start the platform once: companyos up\n")
    identity.bootstrap_admin()
    code, out, _ = companyos("token", "link")
    address, _, secret = out.splitlines()[0].partition("/sign-in?code=")
    assert (code, address) == (0, "http://127.0.0.1:8700")
    assert identity.redeem_login_code(secret).caller.subject == "user:admin"


def test_bad_usage_is_said_in_one_sentence(companyos: Command, identity: Identity) -> None:
    """And issues nothing."""
    for words in (
        ("ci", "--role", "root"),
        ("Ci",),
        ("ci", "--ttl", "30"),
        ("ci", "--ttl", "9999d"),
        ("ci", "--type", "x"),
    ):
        code, out, err = companyos("token", "issue", *words)
        assert (code, out) == (2, ""), words
        assert err.startswith("Error: ")
    assert companyos("token", "revoke", "x")[0] == 1
    assert answer(companyos, "token", "list") == []
