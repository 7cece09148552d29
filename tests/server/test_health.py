from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import companyos
from companyos.core.clock import ManualClock
from companyos.core.signing import PublicKey
from companyos.server.app import Application
from companyos.server.build import build, commit_of
from tests.server.web import Web


def test_health_says_which_build_answers_and_since_when(nobody: Web, clock: ManualClock) -> None:
    """200 with name, version, Python and uptime, for everybody."""
    clock.advance(5)
    found = nobody("GET", "/health").json()
    assert found["status"] == "up"
    assert found["uptime_s"] == 5.0
    assert found["build"]["name"] == "companyos"
    assert found["build"]["version"] == companyos.__version__


def test_published_keys_verify_what_the_ledger_signs(app: Application, nobody: Web) -> None:
    """Anybody can fetch the public keys with their windows, and they check a signature; nothing private is there."""
    answer = nobody("GET", "/.well-known/companyos-keys.json")
    (key,) = answer.json()["keys"]
    assert (key["purpose"], key["algorithm"], key["not_after"]) == ("ledger", "ed25519", None)
    assert "PRIVATE" not in answer.text
    signature = app.journal.ledger.keys.signer("ledger").sign(b"text")
    PublicKey.from_pem(key["public_key_pem"]).verify(signature, b"text")


def test_the_commit_of_a_checkout_is_known(tmp_path: Path) -> None:
    """A branch and a detached head give their commit; anything else gives None."""
    git = tmp_path / ".git"
    assert commit_of(tmp_path) is None
    (git / "refs/heads").mkdir(parents=True)
    commit = "0123456789abcdef" * 2 + "01234567"
    (git / "HEAD").write_text(commit + "\n")
    assert commit_of(tmp_path) == commit
    (git / "HEAD").write_text("ref: refs/heads/main\n")
    assert commit_of(tmp_path) is None
    (git / "refs/heads/main").write_text(commit + "\n")
    assert commit_of(tmp_path) == commit
    (git / "HEAD").write_text("ref: refs/heads/../../../secret\n")
    assert commit_of(tmp_path) is None
    assert build(datetime.now(UTC)).version == companyos.__version__
