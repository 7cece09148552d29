"""The start of a policy, the bundle of a folder, and the difference between two versions."""

from __future__ import annotations

from datetime import date
from pathlib import Path

import msgspec
import pytest

from companyos.core.errors import CompanyOSError, Conflict, InvalidInput
from companyos.policy.authoring import building, comparing, layout, linting, scaffolding
from companyos_sdk.bundle import MANIFEST, open_bundle, seal, unpack
from companyos_sdk.bundle.metadata import checksum, manifest, read_manifest
from tests.needs import needs
from tests.policy.authoring.folders import EXAMPLES, change, folder
from tests.sdk.bundle.forging import NOW, PROD, TRUST

__all__ = ["folder"]

TODAY = date(2026, 11, 28)


@needs("rego")
def test_a_new_policy_has_nothing_wrong_with_it(folder: Path) -> None:
    """Before anybody has typed a letter."""
    assert linting.lint(folder) == []


def test_a_policy_is_not_begun_twice(tmp_path: Path) -> None:
    """Nothing is written over; another version is fine."""
    first = scaffolding.new(tmp_path, "a/b", "team", TODAY)
    (first / "policy.rego").write_text("mine")
    with pytest.raises(Conflict):
        scaffolding.new(tmp_path, "a/b", "team", TODAY)
    assert (first / "policy.rego").read_text() == "mine"
    scaffolding.new(tmp_path, "a/b", "team", TODAY, version="1.10.0")
    scaffolding.new(tmp_path, "a/b", "team", TODAY, version="1.9.0")
    assert scaffolding.versions(tmp_path, "a/b") == ["1.0.0", "1.9.0", "1.10.0"]


@pytest.mark.parametrize(
    ("bundle_id", "owner", "version"),
    [
        ("b", "team", "1.0.0"),
        ("../b", "team", "1.0.0"),
        ("a/b/c", "team", "1.0.0"),
        ("A/b", "team", "1.0.0"),
        ("a/b", "", "1.0.0"),
        ("a/b", "x: y", "1.0.0"),
        ("a/b", "x\ny", "1.0.0"),
        ("a/b", "team", "1.0"),
        ("a/b", "team", "../1.0.0"),
    ],
)
def test_a_name_that_is_none_makes_no_folder(tmp_path: Path, bundle_id: str, owner: str, version: str) -> None:
    """And one sentence says what it should look like."""
    with pytest.raises(InvalidInput) as caught:
        scaffolding.new(tmp_path / "p", bundle_id, owner, TODAY, version=version)
    assert caught.value.next_step
    assert not (tmp_path / "p").exists()


@needs("rego")
def test_a_folder_becomes_the_same_bundle_every_time() -> None:
    """And the bundle gives the policy back, so its tests can be run where the folder is not."""
    metadata, data = building.build_folder(EXAMPLES, "ann")
    assert building.build_folder(EXAMPLES, "ann") == (metadata, data)
    assert (metadata.bundle_id, metadata.version, metadata.created_by) == ("companyos/documents", "1.0.0", "ann")
    bundle = open_bundle(seal(unpack(data), PROD, "prod", now=NOW), TRUST, "prod", now=NOW)
    again = layout.of_bundle(bundle)
    assert msgspec.structs.replace(again, stage="dev") == layout.read(EXAMPLES)
    assert building.departs_from_sources(bundle) is None


@needs("rego")
def test_a_plan_that_is_not_of_the_sources_is_noticed() -> None:
    """Well signed, and yet it would decide otherwise than what people read in it."""
    _, data = building.build_folder(EXAMPLES, "ann")
    files = unpack(data)
    path = "companyos/documents/residency.rego"
    files[path] = files[path].replace(b'== "eu"', b'== "us"')
    metadata, roots = read_manifest(files[MANIFEST])
    files[MANIFEST] = manifest(msgspec.structs.replace(metadata, checksum=checksum(metadata, files)), roots)
    bundle = open_bundle(seal(files, PROD, "prod", now=NOW), TRUST, "prod", now=NOW)
    sentence = building.departs_from_sources(bundle)
    assert sentence is not None
    assert "not what its sources compile to" in sentence


@needs("rego")
def test_a_folder_that_does_not_compile_becomes_no_bundle(folder: Path) -> None:
    """The sentence has file and row."""
    change(folder, "policy.rego", "known if input.action in config.actions", "known if {")
    with pytest.raises(CompanyOSError, match=r"policy\.rego:\d+"):
        building.build_folder(folder, "ann")


def test_a_version_does_not_differ_from_itself() -> None:
    """Whatever its number."""
    policy = layout.read(EXAMPLES)
    assert comparing.diff(policy, msgspec.structs.replace(policy, version="1.1.0")).same


def test_every_kind_of_difference_is_shown(folder: Path) -> None:
    """Rules, tests, data and obligations each in their place."""
    before = layout.read(folder)
    change(folder, "policy.rego", 'input.subject.id != ""', 'input.subject.id != "root"')
    (folder / "more.rego").write_text("package finance.invoice_api.more\n")
    (folder / "policy_test.rego").unlink()
    (folder / "data.json").write_text('{"finance": {"invoice_api": {"config": {"actions": [], "mfa": true}}}}')
    change(folder, "metadata.yaml", "obligations: []", "obligations: [mask_fields]")
    change(folder, "metadata.yaml", "_api.decision", "_api.verdict")
    found = comparing.diff(before, layout.read(folder))
    assert [(one.file, one.kind) for one in found.policies] == [
        ("finance/invoice-api/more.rego", "added"),
        ("finance/invoice-api/policy.rego", "changed"),
    ]
    assert '-\tinput.subject.id != ""' in found.policies[1].lines
    assert '+\tinput.subject.id != "root"' in found.policies[1].lines
    assert [(one.file, one.kind) for one in found.tests] == [("policy_test.rego", "removed")]
    assert [(one.path, one.kind, one.before, one.after) for one in found.data] == [
        ("finance.invoice_api.config.actions", "changed", ["read"], []),
        ("finance.invoice_api.config.mfa", "added", None, True),
    ]
    assert found.obligations_added == ("mask_fields",)
    assert found.entrypoint == ("data.finance.invoice_api.decision", "data.finance.invoice_api.verdict")
    assert not found.same


def test_true_is_not_one() -> None:
    """Unlike in Python."""
    policy = layout.read(EXAMPLES)
    one, true = (msgspec.structs.replace(policy, data={"a": value}) for value in (1, True))
    assert [(found.before, found.after) for found in comparing.diff(one, true).data] == [(1, True)]
