from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from companyos.cli import main
from companyos.core.settings import Settings
from companyos.ledger import open_journal
from companyos.policy.errors import BundleRefused
from companyos.policy.local import check_owner
from companyos.policy.printing import acknowledged
from tests.needs import needs
from tests.pillar import records
from tests.policy.bundles import ALLOW, built
from tests.policy.people import Run


def words(capsys: pytest.CaptureFixture[str], *arguments: str, code: int = 0) -> str:
    """Run a command as a person does, and return what it says."""
    capsys.readouterr()
    assert main.run(list(arguments)) == code
    return capsys.readouterr().out


@needs("rego")
def test_a_policy_from_an_empty_folder_to_staging_and_back(
    run: Run, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Begun, checked, built, signed, promoted, asked, explained, changed, blocked by the replay, and taken back."""
    folder = run("policy", "new", "shop/orders", "--owner", "payments")["folder"]
    assert run("policy", "lint", folder) == []
    assert run("policy", "test", folder, "--coverage")["ok"]
    built_ = run("policy", "build", folder, "--out", "one.tar.gz")
    signed = run("policy", "sign", "one.tar.gz")
    assert signed["content_digest"] == built_["content_digest"]
    assert run("policy", "verify", "one.tar.gz")["ok"]
    assert run("policy", "verify", "one.tar.gz", "--stage", "prod", code=1)["code"] == "unknown-key"
    assert run("policy", "promote", "one.tar.gz")["outcome"] == "promoted"
    blocked = run("policy", "promote", "shop/orders@1.0.0", "--to", "staging", code=1)
    assert [block["code"] for block in blocked["blocks"]] == ["replay.nothing"]
    run("policy", "promote", "shop/orders@1.0.0", "--to", "staging", "--without-replay")

    request = {"subject": {"id": "ann", "type": "user"}, "resource": {"id": "1", "type": "order"}, "environment": {}}
    for action in ("read", "erase"):
        (tmp_path / f"{action}.json").write_text(json.dumps({**request, "action": action}))
    assert run("policy", "decide", "read.json")["decision"] == "allow"
    decided = run("policy", "decide", "erase.json", code=1)
    assert (decided["decision"], decided["reason"]) == ("deny", "action.unknown")
    told = run("policy", "explain", decided["audit_id"])
    assert told["same"] is True
    assert told["inputs"]["action"] == "erase"
    assert any(rule["file"].endswith("policy.rego") and rule["row"] > 1 for rule in told["fired"])
    assert "erase was denied by shop/orders@1.0.0 in staging" in words(capsys, "policy", "explain", decided["audit_id"])

    later = tmp_path / "policies/shop/orders/dev/1.1.0"
    first = Path(folder)
    later.mkdir()
    for file in first.iterdir():
        text = file.read_text().replace("version: 1.0.0", "version: 1.1.0").replace('["read"]', '["read", "erase"]')
        (later / file.name).write_text(text)
    difference = run("policy", "diff", folder, str(later))
    assert [one["path"] for one in difference["data"]] == ["shop.orders.config.actions"]
    run("policy", "build", str(later), "--out", "two.tar.gz")
    run("policy", "sign", "two.tar.gz")
    run("policy", "promote", "two.tar.gz")
    dry = run("policy", "promote", "shop/orders@1.1.0", "--to", "staging", "--dry-run", code=1)
    assert [block["code"] for block in dry["blocks"]] == ["replay.allowed"]
    name = "deny_to_allow:erase:action.unknown"
    assert dry["replay"]["flips"][0]["name"] == name
    shown = words(capsys, "policy", "promote", "shop/orders@1.1.0", "--to", "staging", code=1)
    assert f"--acknowledge {name}=1" in shown
    run("policy", "promote", "shop/orders@1.1.0", "--to", "staging", "--acknowledge", f"{name}=1")

    back = run("policy", "rollback", "shop/orders", "--stage", "staging", "--local", "--reason", "Too open.")
    assert (back["version"], back["reason"]) == ("1.0.0", "Too open.")
    history = run("policy", "history", "shop/orders", "--stage", "staging")
    assert [one["kind"] for one in history] == ["rollback", "promote", "promote"]
    assert history[0]["by"].startswith("os:")
    journal = open_journal(Settings(home=str(tmp_path / "home")))
    rows = [row for row in records(journal) if row.verb == "policy.rollback"]
    journal.close()
    assert [(row.policy, row.details["reason"]) for row in rows] == [("local:owner", "Too open.")]


@needs("rego")
def test_a_plan_that_is_not_what_its_sources_say_is_not_published(run: Run, tmp_path: Path) -> None:
    """Whoever reads the sources of a bundle reads what decides: here the sources deny and the plan allows."""
    from companyos_sdk.bundle import pack, unpack
    from companyos_sdk.bundle.building import PLAN
    from companyos_sdk.bundle.metadata import MANIFEST, checksum, manifest, read_manifest

    folder = Path(run("policy", "new", "shop/orders", "--owner", "payments")["folder"])
    run("policy", "build", str(folder), "--out", "honest.tar.gz")
    source = folder / "policy.rego"
    source.write_text(source.read_text().replace('"decision": "deny"', '"decision": "allow"'))
    run("policy", "build", str(folder), "--out", "open.tar.gz")
    files = unpack((tmp_path / "honest.tar.gz").read_bytes())
    files[PLAN] = unpack((tmp_path / "open.tar.gz").read_bytes())[PLAN]
    about, roots = read_manifest(files[MANIFEST])
    fields = {**about.to_json(), "obligations": about.obligations}
    files[MANIFEST] = manifest(type(about)(**{**fields, "checksum": checksum(about, files)}), roots)
    (tmp_path / "forged.tar.gz").write_bytes(pack(files))
    run("policy", "sign", "forged.tar.gz")
    assert "not what its sources compile to" in run("policy", "promote", "forged.tar.gz", code=2)["detail"]


def test_a_local_rollback_needs_a_home_that_one_owns(run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without a home there is nothing to go back in; in somebody else's home nobody goes around the policy."""
    assert "There is no home" in run("policy", "rollback", "shop/orders", "--local", code=1)["detail"]
    (tmp_path / "home").mkdir()
    monkeypatch.setattr(os, "geteuid", lambda: (tmp_path / "home").stat().st_uid + 1)
    assert "belongs to another user" in run("policy", "rollback", "shop/orders", "--local", code=1)["detail"]


def test_a_local_rollback_works_without_any_role(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing is active here, which is what it says; it was not the missing role."""
    run("db", "upgrade")
    monkeypatch.setenv("COMPANYOS_LOCAL_ROLES", "")
    assert "may not policy.rollback" in run("policy", "rollback", "shop/orders", code=1)["detail"]
    assert "is active in prod" in run("policy", "rollback", "shop/orders", "--local", code=1)["detail"]


@pytest.mark.parametrize("text", ["name", "=3", "name=", "name=-1", "name=x", "name=²"])
def test_a_sign_off_names_a_count(run: Run, text: str) -> None:
    """Without one nobody knows what was seen."""
    fault = run("policy", "promote", "shop/orders@1.0.0", "--acknowledge", text, code=2)
    assert "names no difference with its count" in fault["detail"]
    assert acknowledged("deny_to_allow:a=b:c=12") == ("deny_to_allow:a=b:c", 12)


def test_names_and_files_that_are_none_are_told_apart(run: Run, tmp_path: Path) -> None:
    """What is no file has to be a version, and what is no bundle is refused with what to do."""
    assert "neither a file nor" in run("policy", "promote", "missing.tar.gz", code=2)["detail"]
    (tmp_path / "odd.tar.gz").write_bytes(b"odd")
    assert run("policy", "verify", "odd.tar.gz", code=1)["code"] == "not-gzip"
    (tmp_path / "unsigned.tar.gz").write_bytes(built({"read": ALLOW}))
    assert run("policy", "verify", "unsigned.tar.gz", code=1)["code"] == "unsigned"
    (tmp_path / "keys.json").write_text("{}")
    assert "keys" in run("policy", "verify", "unsigned.tar.gz", "--keys", "keys.json", code=2)["detail"]


def test_a_bundle_is_verified_with_what_the_platform_publishes(run: Run, tmp_path: Path) -> None:
    """Elsewhere, with the document of keys and no home."""
    (tmp_path / "one.tar.gz").write_bytes(built({"read": ALLOW}))
    signed = run("policy", "sign", "one.tar.gz")
    index = json.loads((tmp_path / "home/keys/index.json").read_text())
    keys = [{**key, "public_key_pem": key["public_key"]} for key in index["keys"]]
    (tmp_path / "keys.json").write_text(json.dumps({"keys": keys}))
    (tmp_path / "home").rename(tmp_path / "elsewhere")
    assert run("policy", "verify", "one.tar.gz", "--keys", "keys.json")["key_id"] == signed["key_id"]
    assert run("policy", "verify", "one.tar.gz", code=1)["code"] == "unknown-key"


def test_faults_keep_their_word(tmp_path: Path) -> None:
    """A refused bundle is told apart by the code; a home without a folder has no owner."""
    assert BundleRefused("unsigned", "It is unsigned.", "Sign it.").code == "unsigned"
    from companyos.core.errors import NotFound
    from companyos.core.home import Home

    with pytest.raises(NotFound):
        check_owner(Home(tmp_path / "nothing"))
