"""What is wrong with a policy besides its tests: the layout, the metadata, the decision by default, obligations."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final, Literal, TypeAlias

import msgspec

from companyos.core.errors import CompanyOSError
from companyos.policy.authoring import layout, testing
from companyos.policy.authoring.emitting import emitted
from companyos.policy.authoring.layout import Policy
from companyos.policy.authoring.mocking import STAND_IN
from companyos_sdk import rego
from companyos_sdk.bundle import package
from companyos_sdk.bundle.building import in_plan
from companyos_sdk.policy.decision import normalised
from companyos_sdk.rego.errors import CompileError, EvaluationError, ForbiddenBuiltin, RegoError

Rule: TypeAlias = Literal[
    "readable",
    "layout",
    "package",
    "main-module",
    "compiles",
    "forbidden-function",
    "entrypoint",
    "default-deny",
    "obligations",
    "tests-exist",
    "tests-listed",
    "change-log",
    "data-in-place",
]


class Finding(msgspec.Struct, frozen=True, kw_only=True):
    """One thing that has to be mended."""

    rule: Rule
    file: str
    row: int | None
    """Counted from one; None where it concerns the whole file."""
    sentence: str
    next_step: str


_MAIN: Final = "policy.rego"


def lint(folder: Path) -> list[Finding]:
    """What is wrong with the policy in a folder; empty when nothing is. Needs the compiler for some of the rules."""
    try:
        policy = layout.read(folder)
    except CompanyOSError as fault:
        return [Finding(rule="readable", file=str(folder), row=None, sentence=fault.detail, next_step=fault.next_step)]
    return findings(policy)


def findings(policy: Policy) -> list[Finding]:
    """What is wrong with a policy, wherever it was read from."""
    return [*_layout(policy), *_metadata(policy), *_tests(policy), *_compiled(policy)]


def _layout(policy: Policy) -> Iterator[Finding]:
    domain, service = policy.bundle_id.replace("-", "_").split("/")
    own, shared = f"{domain}.{service}", f"{domain}.authz"
    if f"{policy.bundle_id}/{_MAIN}" not in policy.modules:
        yield _found("main-module", _MAIN, f"There is no {_MAIN}.", "Put the entry rule into it.")
    for path, source in (policy.modules | policy.tests).items():
        name = package(source)
        at = f"data.{name}."
        if name is None:
            yield _found("package", path, "It declares no package.", f"Begin with: package {own}")
        elif not at.startswith((f"data.{own}.", f"data.{shared}.")) and name not in {f"{own}_test", f"{shared}_test"}:
            yield _found(
                "package", path, f"Its package {name} does not belong to {policy.bundle_id}.", f"Put it below {own}.", 1
            )
    for key in policy.data:
        if key == STAND_IN or key not in {domain, "platform"}:
            yield _found(
                "data-in-place",
                "data.json",
                f"The data has {key!r} at the top.",
                f"Put it below {domain}.{service}, so that it can stand beside other bundles.",
            )


def _metadata(policy: Policy) -> Iterator[Finding]:
    versions = [change.version for change in policy.about.changes]
    if policy.version not in versions:
        yield _found(
            "change-log",
            "metadata.yaml",
            f"The change log does not say what is new in {policy.version}.",
            "Add a line to changes.",
        )
    if len(set(policy.about.obligations)) != len(policy.about.obligations):
        yield _found("obligations", "metadata.yaml", "An obligation is listed twice.", "List it once.")


def _tests(policy: Policy) -> Iterator[Finding]:
    found, twice = testing.names(policy)
    if not found:
        yield _found(
            "tests-exist", "policy_test.rego", "There is no test.", "Write rules whose names begin with test_."
        )
    for name in sorted(twice):
        yield _found("tests-exist", found[name], f"{name} is there twice.", "Rename one of them.")
    listed, here = set(policy.about.tests.files), set(policy.tests)
    for file in sorted(listed - here):
        yield _found("tests-listed", "metadata.yaml", f"It lists {file}, which is not there.", "Write it or strike it.")
    for file in sorted(here - listed):
        yield _found("tests-listed", "metadata.yaml", f"It does not list {file}.", "Add it to tests.files.")


def _compiled(policy: Policy) -> Iterator[Finding]:
    if not policy.modules:
        return
    entry = policy.about.entrypoint
    within, _, rule = entry.removeprefix("data.").rpartition(".")
    owners = [source for source in policy.modules.values() if package(source) == within]
    if not entry.startswith("data.") or not any(_declares(source, rule) for source in owners):
        yield _found("entrypoint", "metadata.yaml", f"No module has the rule {entry}.", "Name the rule that decides.")
        return
    try:
        plan = rego.plan(in_plan(policy.modules), [entry])
        program = rego.load(plan, policy.data, entry)
    except ForbiddenBuiltin as fault:
        yield _found("forbidden-function", fault.file or _MAIN, fault.sentence, "Do without it.", fault.row)
        return
    except CompileError as fault:
        yield _found("compiles", fault.file or _MAIN, fault.sentence, "Correct it.", fault.row)
        return
    except RegoError as fault:
        yield _found("compiles", _MAIN, str(fault), "Correct it.")
        return
    yield from _default(program, entry)
    yield from _obligations(policy, plan)


def _declares(source: str, rule: str) -> bool:
    return re.search(rf"^(?:default\s+)?{re.escape(rule)}\b", source, re.MULTILINE) is not None


def _default(program: Any, entry: str) -> Iterator[Finding]:  # noqa: ANN401 - a Program, whose values are JSON
    """Ask with nothing and with strange things: whatever is not a complete request must come out as a denial."""
    for asked in (
        {},
        {"subject": None, "action": None, "resource": None},
        {"subject": [], "action": 1, "resource": ""},
    ):
        try:
            value = program.evaluate(asked)
        except EvaluationError as fault:
            yield _found("default-deny", _MAIN, f"{entry} fails for {asked}: {fault}", "Give it a default that denies.")
            return
        allowed, _, _, wrong = normalised(value, rego.UNDEFINED)
        if allowed:
            yield _found("default-deny", _MAIN, f"{entry} allows {asked}.", "Deny what is not a complete request.")
            return
        if wrong is not None:
            yield _found(
                "default-deny",
                _MAIN,
                f"{entry} gives no decision for {asked}: {wrong}",
                'Add: default decision := {"decision": "deny", "reason": "request.incomplete", "obligations": []}',
            )
            return


def _obligations(policy: Policy, plan: rego.Plan) -> Iterator[Finding]:
    """Compare what the compiled policy emits with what the metadata declares."""
    declared = set(policy.about.obligations)
    found = emitted(plan)
    for one in found:
        if one.type not in declared:
            yield _found(
                "obligations",
                one.file,
                f"It can emit {one.type}, which is not declared.",
                "Add it to obligations.",
                one.row,
            )
    for kind in sorted(declared - {one.type for one in found}):
        yield _found(
            "obligations", "metadata.yaml", f"It declares {kind}, which no module emits.", "Strike it from obligations."
        )


def _found(rule: Rule, file: str, sentence: str, next_step: str, row: int | None = None) -> Finding:
    return Finding(rule=rule, file=file, row=row, sentence=sentence, next_step=next_step)
