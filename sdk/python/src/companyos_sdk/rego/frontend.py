"""Rego source to a plan, with regopy: at build time only."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any, Final

import msgspec

from companyos_sdk.rego.compiler import COMPILER
from companyos_sdk.rego.errors import CompileError, PlanError
from companyos_sdk.rego.plan import Plan, from_document, unquoted
from companyos_sdk.rego.repair import repair_names, repair_negations
from companyos_sdk.rego.source import prepared

_ERROR: Final = re.compile(r"\(error \d+:(?P<where>[^\n]*)\n\s*\(errormsg (?P<length>\d+):")


def plan(modules: Mapping[str, str], entrypoints: Sequence[str]) -> Plan:
    """The plan of these modules (file name to source) for entry points such as ``data.a.b``.

    Raises CompileError with file and row; without regopy it is a CompileError too.
    """
    names = {f"module{number}.rego": name for number, name in enumerate(modules)}  # it forgets folders
    sources = dict(zip(names, prepared(modules).values(), strict=True))
    answer = COMPILER.compile(list(sources.items()), [entry_name(one) for one in entrypoints])
    if answer.plan is None:
        raise _error(answer.error or "", sources, names)
    document = msgspec.json.decode(answer.plan)
    for row in document["static"]["files"]:
        row["value"] = names.get(row["value"], row["value"])
    try:
        return from_document(_plain(document, {names[one]: source for one, source in sources.items()}))
    except PlanError as fault:
        raise CompileError(str(fault)) from fault


def entry_name(entrypoint: str) -> str:
    """How a plan calls an entry point: ``a/b`` for ``data.a.b``."""
    parts = entrypoint.split(".")
    if parts[0] != "data" or len(parts) < len(("data", "package")) or not all(parts):
        raise CompileError(f"{entrypoint!r} is no entry point; one looks like data.companyos.authz.decision.")
    return "/".join(parts[1:])


def _plain(document: Any, modules: Mapping[str, str]) -> Any:  # noqa: ANN401 - JSON; the reader checks it
    """The document as plain OPA IR: regopy writes strings as JSON text and counts rows and columns from zero.

    It leaves the blocks that stand for the bodies of a rule without a place; they get that of the head in the source.
    """
    static = document["static"]
    for row in static["strings"]:
        row["value"] = unquoted(row["value"])
    repair_names(document, modules)
    files = [one["value"] for one in static["files"]]
    sources = [modules.get(name, "").split("\n") for name in files]
    named = list(zip(files, sources, strict=True))
    for one in document["plans"]["plans"]:
        for block in one["blocks"]:
            _place(block)
    for one in document["funcs"]["funcs"]:
        for block in one["blocks"]:
            _place(block)
            repair_negations(block, named)
            for statement in block["stmts"]:
                body = statement["stmt"]
                if statement["type"] == "BlockStmt" and "row" not in body:
                    body |= _head(body["blocks"], sources) or _unplaced(body["blocks"], one["blocks"][0])
                elif statement["type"] == "AssignVarOnceStmt" and 0 <= body.get("file", -1) < len(sources):
                    body["row"] = _default(sources[body["file"]], one["path"][-1]) or body["row"]
    return document


def _place(block: Any) -> None:  # noqa: ANN401 - JSON
    """Count rows and columns from one."""
    for statement in block["stmts"]:
        body = statement["stmt"]
        if "row" in body:
            body["row"] += 1
            body["col"] += 1
        for inner in (body["block"],) if "block" in body else body.get("blocks", ()):
            _place(inner)


def _default(lines: list[str], name: str) -> int | None:
    """The row of the default of a rule."""
    default = re.compile(rf"default\s+{re.escape(name)}\b")
    return next((row for row, line in enumerate(lines, 1) if default.match(line)), None)


def _unplaced(blocks: Any, beginning: Any) -> dict[str, int]:  # noqa: ANN401 - JSON
    """The place of a rule for a body in which nothing has one, such as that of `x := input.y`."""
    start = next((each["stmt"] for each in beginning["stmts"] if "row" in each["stmt"]), None)
    if start is None:
        return {}
    place = {name: start[name] for name in ("file", "row", "col")}
    for block in blocks:
        for statement in block["stmts"]:
            statement["stmt"] |= place
    return place


def _head(blocks: Any, sources: list[list[str]]) -> dict[str, int]:  # noqa: ANN401 - JSON
    """The place of the head above the first expression of a body, or nothing where there is none."""
    first = next(
        (one["stmt"] for block in blocks for one in block["stmts"] if one["stmt"].get("row") is not None), None
    )
    if first is None or not 0 <= first["file"] < len(sources):
        return {}
    lines, row = sources[first["file"]], first["row"]
    while row > 1 and row <= len(lines) and (not lines[row - 1] or lines[row - 1][0] in " \t#}])"):
        row -= 1
    return {"file": first["file"], "row": row, "col": 1}


def _error(text: str, modules: Mapping[str, str], names: Mapping[str, str]) -> CompileError:
    found = _ERROR.search(text)
    if found is None:
        return CompileError(text.strip() or "regopy refuses these modules and does not say why.")
    start = found.end()
    message = text[start : start + int(found["length"])]
    file, _, rest = found["where"].rpartition("|")
    file, _, position = file.rpartition("|")
    source = modules.get(file)
    if source is None or not position.isdigit() or not rest:
        return CompileError(message, file=names.get(file, file) or None)
    before = source.encode()[: int(position)].decode(errors="replace")
    return CompileError(message, file=names[file], row=before.count("\n") + 1, col=len(before) - before.rfind("\n"))
