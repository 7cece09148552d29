"""Bundles for tests, made without a compiler: their plan looks the answer up in their data."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from companyos_sdk.bundle import Metadata, pack
from companyos_sdk.bundle.building import DATA, PLAN, roots
from companyos_sdk.bundle.metadata import MANIFEST, checksum, manifest

BUNDLE_ID = "companyos/documents"
ENTRY = "companyos/documents/decision"
ALLOW: dict[str, Any] = {"decision": "allow", "reason": "default.allow", "obligations": []}


def deny(reason: str) -> dict[str, Any]:
    """The answer that denies for this reason."""
    return {"decision": "deny", "reason": reason, "obligations": []}


def owing(*ids: str, **properties: Any) -> dict[str, Any]:
    """The answer that allows and owes these obligations."""
    return {**ALLOW, "obligations": [{"id": one, "type": "log_event", "properties": properties} for one in ids]}


def plan(paths: tuple[tuple[str, ...], ...]) -> bytes:
    """The plan of ``decision := data.rules[input.…][input.…]``, one step for each path of the input."""
    strings: list[str] = ["result", "rules"]

    def text(value: str) -> dict[str, Any]:
        if value not in strings:
            strings.append(value)
        return {"type": "string_index", "value": strings.index(value)}

    def local(number: int) -> dict[str, Any]:
        return {"type": "local", "value": number}

    statements: list[dict[str, Any]] = []
    free = 10

    def dot(source: int, key: dict[str, Any]) -> int:
        nonlocal free
        free += 1
        statements.append(
            {"type": "DotStmt", "stmt": {"source": local(source), "key": key, "target": free, "file": 0, "row": 3}}
        )
        return free

    found = dot(1, text("rules"))
    for path in paths:
        value = 0
        for part in path:
            value = dot(value, text(part))
        found = dot(found, local(value))
    statements += [
        {"type": "MakeObjectStmt", "stmt": {"target": 3}},
        {"type": "ObjectInsertStmt", "stmt": {"key": text("result"), "value": local(found), "object": 3}},
        {"type": "ResultSetAddStmt", "stmt": {"value": 3}},
    ]
    document = {
        "static": {
            "strings": [{"value": value} for value in strings],
            "builtin_funcs": [],
            "files": [{"value": "companyos/documents/policy.rego"}],
        },
        "plans": {"plans": [{"name": ENTRY, "blocks": [{"stmts": statements}]}]},
        "funcs": {"funcs": []},
    }
    return json.dumps(document).encode()


def files(
    rules: Mapping[str, Any],
    version: str = "1.0.0",
    *,
    paths: tuple[tuple[str, ...], ...] = (("action",),),
    bundle_id: str = BUNDLE_ID,
    created_by: str = "ann",
) -> dict[str, bytes]:
    """The files of a bundle for dev, not signed, that answers with ``rules[value at each path]``."""
    modules = {"companyos/documents/policy.rego": b"package companyos.documents\n"}
    found = modules | {
        DATA: json.dumps({"rules": rules}, separators=(",", ":"), sort_keys=True).encode(),
        PLAN: plan(paths),
    }
    unsealed = Metadata(
        bundle_id=bundle_id,
        version=version,
        stage="dev",
        checksum="",
        created_by=created_by,
        entrypoint="data.companyos.documents.decision",
        obligations=("log_event",),
    )
    about = Metadata(**{**unsealed.to_json(), "obligations": ("log_event",), "checksum": checksum(unsealed, found)})
    return found | {
        MANIFEST: manifest(about, roots({path: text.decode() for path, text in modules.items()}, {"rules": rules}))
    }


def built(rules: Mapping[str, Any], version: str = "1.0.0", **more: Any) -> bytes:
    """The same as bytes: what `policy build` writes."""
    return pack(files(rules, version, **more))
