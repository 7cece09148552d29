"""Bundles out of sources, with the compiler."""

from __future__ import annotations

import json
from typing import Any

import msgspec
import pytest

from companyos_sdk.bundle import MANIFEST, SIGNATURES, BundleError, Source, build, seal
from companyos_sdk.bundle.building import name_in_plan
from tests.needs import needs
from tests.sdk.bundle.forging import NOW, PROD, opened
from tests.sdk.bundle.test_opa import verified

pytestmark = needs("rego")

POLICY = """package companyos.documents

import rego.v1

import data.companyos.documents.config

default decision := {"decision": "deny", "reason": "request.incomplete", "obligations": []}

decision := {"decision": "allow", "reason": "ok", "obligations": []} if input.action in config.actions
"""
SOURCE = Source(
    bundle_id="companyos/documents",
    version="1.4.0",
    created_by="ann",
    entrypoint="data.companyos.documents.decision",
    obligations=("mask_fields", "log_event"),
    owner="data-protection",
    modules={"companyos/documents/policy.rego": POLICY},
    data={"companyos": {"documents": {"config": {"actions": ["read"]}}}},
    tests={"policy_test.rego": "package companyos.documents_test\n"},
    about="owner: data-protection\n",
)


def changed(**fields: Any) -> Source:
    """The source with other fields."""
    return msgspec.structs.replace(SOURCE, **fields)


def test_a_built_bundle_decides() -> None:
    """From sources to a decision, and back to the sources."""
    bundle = opened(seal(build(SOURCE), PROD, "prod", now=NOW), bundle_id="companyos/documents")
    assert bundle.program.evaluate({"action": "read"})["decision"] == "allow"
    assert bundle.program.evaluate({"action": "write"})["decision"] == "deny"
    assert bundle.modules == SOURCE.modules
    assert bundle.tests == SOURCE.tests
    assert bundle.data == SOURCE.data
    assert bundle.roots == ("companyos/documents",)
    assert bundle.metadata.obligations == ("log_event", "mask_fields")


def test_equal_sources_give_equal_bytes() -> None:
    """Whoever builds it again sees that nothing else is in it."""
    assert build(SOURCE) == build(changed(data=json.loads(json.dumps(SOURCE.data))))


def test_a_stock_opa_would_take_it_with_its_tests_inside() -> None:
    """Tests travel under a name that OPA does not take for a policy."""
    found = verified(seal(build(SOURCE), PROD, "prod", now=NOW), PROD.pem, "prod")
    assert [name for name in found if name.endswith(".rego")] == ["companyos/documents/policy.rego"]
    assert "tests/policy_test.rego.txt" in found


def test_building_signs_nothing() -> None:
    """That is another step, by who holds the key of the stage."""
    assert SIGNATURES not in build(SOURCE)
    assert json.loads(build(SOURCE)[MANIFEST])["metadata"]["stage"] == "dev"


@pytest.mark.parametrize(
    ("source", "code", "words"),
    [
        (changed(modules={"companyos/documents/policy.rego": "package a\nallow if"}), "bad-source", "policy.rego:2"),
        (
            changed(modules={"companyos/documents/policy.rego": POLICY + 'x := http.send({"url": "a"})\n'}),
            "bad-source",
            "http.send",
        ),
        (changed(entrypoint="data.companyos.documents.nothing"), "bad-source", "No module"),
        (changed(version="1.4"), "bad-manifest", "version"),
        (changed(bundle_id="documents"), "bad-manifest", "bundle_id"),
        (changed(created_by=""), "bad-manifest", "name"),
        (changed(modules={"../policy.rego": POLICY}), "bad-path", "path"),
        (changed(modules={"policy.txt": POLICY}), "unexpected-file", "policy.txt"),
        (changed(data={"a": float("nan")}), "bad-json", "nan"),
        (changed(data={"a": {1: 2}}), "bad-json", "key"),
        (changed(data={"a": object()}), "bad-json", "object"),
    ],
)
def test_what_cannot_become_a_bundle_is_refused_with_its_place(source: Source, code: str, words: str) -> None:
    """While it is built, not when it is opened."""
    with pytest.raises(BundleError) as caught:
        build(source)
    assert (caught.value.code, words in str(caught.value)) == (code, True), str(caught.value)


def test_modules_of_one_name_can_be_told_apart_in_a_plan() -> None:
    """The compiler keeps the last part of a path only."""
    paths = ["a/policy.rego", "a/b/policy.rego", "a/dlp.rego"]
    assert [name_in_plan(path, paths) for path in paths] == ["a.policy.rego", "a.b.policy.rego", "dlp.rego"]
