"""Bundles that were signed by who may sign, and still are none that may decide."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest

from companyos_sdk.bundle import MANIFEST, pack
from tests.sdk.bundle.forging import compact, files, good, opened, refusal, resealed, signed

FILES = files()
PLAN = FILES["plan.json"]


def holding(path: str, data: bytes) -> Callable[[], bytes]:
    """A bundle of which one file was changed, or put in, before it was signed."""
    return lambda: pack(signed({**FILES, path: data}))


def sealed(path: str, data: bytes) -> Callable[[], bytes]:
    """The same with a checksum that agrees."""
    return lambda: resealed({path: data})


def without(path: str) -> Callable[[], bytes]:
    """A bundle of which one file was taken away before it was signed."""
    return lambda: pack(signed({name: data for name, data in FILES.items() if name != path}))


def manifest(**changes: Any) -> Callable[[], bytes]:
    """A bundle whose manifest has these fields instead."""
    return holding(MANIFEST, compact(json.loads(FILES[MANIFEST]) | changes))


def about(**changes: Any) -> Callable[[], bytes]:
    """A bundle whose metadata has these fields instead, in a manifest that agrees with it."""
    metadata = json.loads(FILES[MANIFEST])["metadata"] | changes
    return manifest(metadata=metadata, revision=f"{metadata['version']}@{metadata['checksum']}")


def calling(name: str) -> bytes:
    """The plan with a call of this function before everything else."""
    document = json.loads(PLAN)
    call = {"func": name, "args": [{"type": "local", "value": 0}], "result": 4, "file": 0, "row": 1, "col": 1}
    document["plans"]["plans"][0]["blocks"][0]["stmts"].insert(0, {"type": "CallStmt", "stmt": call})
    return json.dumps(document).encode()


CASES: dict[str, tuple[str, Callable[[], bytes]]] = {
    "no plan": ("missing-file", without("plan.json")),
    "no data": ("missing-file", without("data.json")),
    "no manifest": ("missing-file", without(MANIFEST)),
    "a patch": ("unexpected-file", holding("patch.json", b"{}")),
    "web assembly": ("unexpected-file", holding("policy.wasm", b"\0asm")),
    "data in yaml": ("unexpected-file", holding("data.yaml", b"{}")),
    "data further down": ("unexpected-file", holding("companyos/data.json", b"{}")),
    "a plan further down": ("unexpected-file", holding("companyos/plan.json", b"{}")),
    "more signatures": ("unexpected-file", holding("companyos/signatures.json", b"{}")),
    "a test with the suffix of policies elsewhere": ("unexpected-file", holding("companyos/a.rego.txt", b"")),
    "a key twice in the data": ("bad-json", sealed("data.json", b'{"a":1,"a":2}')),
    "not a number": ("bad-json", sealed("data.json", b'{"a":NaN}')),
    "infinity": ("bad-json", sealed("data.json", b'{"a":Infinity}')),
    "a number beyond all": ("bad-json", sealed("data.json", b'{"a":1e999}')),
    "digits without end": ("bad-json", sealed("data.json", b'{"a":' + b"9" * 100_000 + b"}")),
    "a number in two ways": ("bad-json", sealed("data.json", b'{"a":1.00}')),
    "data that is no object": ("bad-json", sealed("data.json", b"[]")),
    "data that is no UTF-8": ("bad-json", sealed("data.json", b'{"a":"\xff"}')),
    "half a surrogate pair": ("bad-json", sealed("data.json", rb'{"a":"\ud800"}')),
    "data that nests without end": ("bad-json", sealed("data.json", b'{"a":' + b"[" * 99_999 + b"]" * 99_999 + b"}")),
    "data that nests too deeply": ("bad-json", sealed("data.json", b'{"a":' + b"[" * 64 + b"]" * 64 + b"}")),
    "white space in the data": ("bad-json", sealed("data.json", b'{"rules": {}}')),
    "keys in another order": ("bad-json", sealed("data.json", b'{"b":1,"a":2}')),
    "text behind the data": ("bad-json", sealed("data.json", b"{}{}")),
    "a manifest that is no JSON": ("bad-json", holding(MANIFEST, b"version: 1")),
    "a manifest without metadata": ("bad-manifest", holding(MANIFEST, compact({"revision": "1"}))),
    "a manifest beyond the limit": ("too-large", manifest(revision="1" * 1_100_000)),
    "another revision": ("bad-manifest", manifest(revision="2.0.0")),
    "another language": ("bad-manifest", manifest(rego_version=0)),
    "all roots": ("bad-manifest", manifest(roots=[""])),
    "roots of others": ("bad-manifest", manifest(roots=["companyos/documents", "companyos/platform", "rules"])),
    "more in the manifest": ("bad-manifest", manifest(wasm=[])),
    "more in the metadata": ("bad-manifest", about(trusted=True)),
    "a short version": ("bad-manifest", about(version="1.0")),
    "a version with a suffix": ("bad-manifest", about(version="1.0.0-rc.1")),
    "a version with zeros": ("bad-manifest", about(version="01.0.0")),
    "an id that is a path": ("bad-manifest", about(bundle_id="../documents")),
    "an entry point that is none": ("bad-manifest", about(entrypoint="data")),
    "a stage that is none": ("bad-manifest", about(stage="test")),
    "an author without name": ("bad-manifest", about(created_by="")),
    "obligations in another order": ("bad-manifest", about(obligations=["b", "a"])),
    "metadata of another stage": ("other-stage", lambda: pack(signed(files(stage="dev")))),
    "another checksum": ("wrong-checksum", about(checksum="sha256:" + "0" * 64)),
    "another author": ("wrong-checksum", about(created_by="somebody else")),
    "another version": ("wrong-checksum", about(version="9.9.9")),
    "another policy": ("wrong-checksum", holding("companyos/documents/policy.rego", b"package companyos.documents")),
    "a policy that is no UTF-8": (
        "changed-file",
        sealed("companyos/documents/policy.rego", b"package companyos.documents\n# \xff"),
    ),
    "a plan that is no JSON": ("bad-plan", sealed("plan.json", b"plan")),
    "a plan that is no plan": ("bad-plan", sealed("plan.json", b"[]")),
    "a plan of another entry": ("bad-plan", sealed("plan.json", PLAN.replace(b"ts/decision", b"ts/denied"))),
    "a plan that asks the network": ("bad-plan", sealed("plan.json", calling("http.send"))),
    "a plan that asks the process": ("bad-plan", sealed("plan.json", calling("opa.runtime"))),
    "a plan that calls what is not there": ("bad-plan", sealed("plan.json", calling("no.such.function"))),
}


@pytest.mark.parametrize("name", CASES)
def test_a_signed_bundle_that_may_not_decide_never_opens(name: str) -> None:
    """It is refused with the word for its fault, so that whoever reads the log knows what happened."""
    code, data = CASES[name]
    assert refusal(data()).code == code


def test_the_bundle_that_all_of_these_begin_with_is_good() -> None:
    """Otherwise they would be refused for a reason that is not theirs."""
    assert opened(resealed({})).metadata == opened(good()).metadata


@pytest.mark.parametrize("version", ["1.0.0", "1.0.1", "1.1.0", "2.0.0", "10.0.0"])
def test_a_version_that_is_not_above_the_active_one_is_refused(version: str) -> None:
    """Whoever plays an old bundle back gets nowhere."""
    assert refusal(good("1.0.0"), active_version=version).code == "rolled-back"


def test_versions_are_compared_as_numbers() -> None:
    """Ten is above nine."""
    assert opened(good("1.10.0"), active_version="1.9.0").metadata.version == "1.10.0"
    assert refusal(good("1.9.0"), active_version="1.10.0").code == "rolled-back"


def test_a_bundle_of_another_service_is_refused() -> None:
    """However well it is signed: it would decide about what it knows nothing of."""
    assert opened(good(), bundle_id="companyos/documents").metadata.bundle_id == "companyos/documents"
    assert refusal(good(), bundle_id="companyos/payments").code == "other-bundle"
