from __future__ import annotations

import json
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import load_pem_public_key

from companyos.cli import main
from tests.needs import needs
from tests.policy.people import Run

pytestmark = needs("rego")
REQUEST = {"subject": {"id": "ann", "type": "user"}, "resource": {"id": "1", "type": "order"}, "environment": {}}


@pytest.fixture
def active(run: Run, monkeypatch: pytest.MonkeyPatch) -> str:
    """Bring a policy to dev, which decides here, and return the name of its bundle."""
    monkeypatch.setenv("COMPANYOS_POLICY_STAGE", "dev")
    run("policy", "build", run("policy", "new", "shop/orders", "--owner", "payments")["folder"], "--out", "one.tar.gz")
    run("policy", "sign", "one.tar.gz")
    run("policy", "promote", "one.tar.gz")
    return "shop/orders"


def said(capsys: pytest.CaptureFixture[str], *words: str, code: int = 0) -> str:
    """Return what a command says to a person."""
    capsys.readouterr()
    assert main.run(list(words)) == code
    return capsys.readouterr().out


def decided(run: Run, tmp_path: Path) -> str:
    """Return the audit id of a decision about ann."""
    (tmp_path / "read.json").write_text(json.dumps({**REQUEST, "action": "read"}))
    audit_id: str = run("policy", "decide", "read.json")["audit_id"]
    return audit_id


def test_what_is_active_is_listed(run: Run, active: str, capsys: pytest.CaptureFixture[str]) -> None:
    """Every bundle with its stages; a stage where nothing was tried is not there."""
    (only,) = run("policy", "list")
    assert (only["bundle_id"], only["stage"], only["active"]["version"], only["failure"]) == (
        active,
        "dev",
        "1.0.0",
        None,
    )
    table = said(capsys, "policy", "list").splitlines()
    assert table[0].split()[:3] == ["BUNDLE", "STAGE", "VERSION"]
    assert table[1].split()[:3] == [active, "dev", "1.0.0"]


def test_the_keys_of_a_stage_verify_its_bundles_elsewhere(
    run: Run, active: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """As a document for a decider and for `policy verify`, as PEM for whatever reads that."""
    del active
    told = run("policy", "keys", "--stage", "dev")
    assert {(key["stage"], key["purpose"]) for key in told["keys"]} == {("dev", "bundle-dev")}
    assert run("policy", "keys", "--stage", "prod") == {"keys": []}
    purposes = {key["purpose"] for key in run("policy", "keys")["keys"]}
    assert purposes == {"bundle-dev"}, "other keys of the platform, as that of its ledger, sign no bundles"
    pem = said(capsys, "policy", "keys", "--stage", "dev")
    assert isinstance(load_pem_public_key(pem.encode()), ec.EllipticCurvePublicKey)
    assert told["keys"][0]["key_id"] in pem
    (tmp_path / "keys.json").write_text(json.dumps(told))
    (tmp_path / "home").rename(tmp_path / "elsewhere")
    assert run("policy", "verify", "one.tar.gz", "--keys", "keys.json")["key_id"] == told["keys"][0]["key_id"]


def test_what_is_active_is_signed_anew(run: Run, active: str, capsys: pytest.CaptureFixture[str]) -> None:
    """It is a step of its history, with the reason, and changes nothing else."""
    renewed = run("policy", "renew", active, "--stage", "dev", "--reason", "The key was rotated.")
    assert (renewed["kind"], renewed["version"], renewed["reason"]) == ("renew", "1.0.0", "The key was rotated.")
    assert said(capsys, "policy", "renew", active, "--stage", "dev") == "shop/orders@1.0.0 is signed anew for dev.\n"
    assert [one["kind"] for one in run("policy", "history", active)] == ["renew", "renew", "publish"]


def test_the_log_of_decisions_is_verified_and_a_changed_one_is_found(
    run: Run, active: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Exit code 1 comes with the last good decision and a sentence."""
    del active
    decided(run, tmp_path)
    report = run("policy", "log", "verify")
    assert (report["ok"], report["faults"]) == (True, [])
    assert report["records"] > 0
    assert "decisions are as recorded" in said(capsys, "policy", "log", "verify")
    for segment in (tmp_path / "home/decisions").rglob("*.log"):
        segment.write_bytes(segment.read_bytes().replace(b'"allow"', b'"allOw"', 1))
    broken = run("policy", "log", "verify", code=1)
    assert not broken["ok"]
    assert broken["faults"]
    shown = said(capsys, "policy", "log", "verify", code=1)
    assert broken["faults"][0]["detail"] in shown
    assert "Last good decision:" in shown


def test_what_decisions_looked_at_is_erased_for_a_subject(run: Run, active: str, tmp_path: Path) -> None:
    """It is gone from the explanation, the log still verifies, and the ledger says why without the name."""
    del active
    audit_id = decided(run, tmp_path)
    assert run("policy", "explain", audit_id)["inputs"]["action"] == "read"
    assert "No decision was ever about" in run("policy", "log", "erase", "bob", "--reason", "Asked.", code=1)["detail"]
    key = run("policy", "log", "erase", "ann", "--reason", "Asked by letter 17.")["key"]
    assert run("policy", "explain", audit_id)["inputs"] is None
    report = run("policy", "log", "verify")
    assert report["ok"]
    assert report["erased"] >= 1
    assert "erased already" in run("policy", "log", "erase", "ann", "--reason", "Again.", code=1)["detail"]
    (row,) = run("ledger", "tail", "--verb", "decision.erase")
    assert (row["details"]["key"], row["details"]["reason"]) == (key, "Asked by letter 17.")
    assert '"ann"' not in json.dumps(row)
