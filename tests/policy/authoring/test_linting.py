"""Everything that the check of a policy finds, each found alone."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from companyos.policy.authoring import linting
from tests.needs import needs
from tests.policy.authoring.folders import EXAMPLES, change, folder

__all__ = ["folder"]

pytestmark = needs("rego")


def test_nothing_is_wrong_with_the_examples() -> None:
    """They are what people copy."""
    assert linting.lint(EXAMPLES) == []


def append(name: str, text: str) -> Callable[[Path], object]:
    """Put a text at the end of a file, which may be new."""

    def made(folder: Path) -> None:
        path = folder / name
        path.write_text((path.read_text() if path.exists() else "") + text)

    return made


def replace(name: str, before: str, after: str) -> Callable[[Path], object]:
    """Replace a piece of a file."""
    return lambda folder: change(folder, name, before, after)


ALLOWED = '\ndecision := {"decision": "allow", "reason": "oops", "obligations": []} if not input.action\n'
MASKING = """
duties contains {"id": "mask_fields", "fields": ["iban"]} if known

decision := {"decision": "allow", "reason": "masked", "obligations": [duty | some duty in duties]} if {
    input.action == "peek"
}
"""

CASES: dict[str, tuple[Callable[[Path], object], str, str | None]] = {
    "no metadata": (lambda folder: (folder / "metadata.yaml").unlink(), "readable", None),
    "no policy.rego": (lambda folder: (folder / "policy.rego").rename(folder / "main.rego"), "main-module", None),
    "another package": (
        append("more.rego", "package companyos.documents\n\nimport rego.v1\n\nx := 1\n"),
        "package",
        None,
    ),
    "a package that only begins alike": (
        append("more.rego", "package finance.invoice_apis\n\nx := 1\n"),
        "package",
        None,
    ),
    "data of others": (lambda folder: (folder / "data.json").write_text('{"companyos": {}}'), "data-in-place", None),
    "a syntax error": (append("policy.rego", "\nallow if {\n"), "compiles", "policy.rego"),
    "an unsafe variable": (append("policy.rego", "\nallow if not nobody\n"), "compiles", "policy.rego"),
    "a function that reaches outside": (
        append("policy.rego", '\nknown if http.send({"method": "get", "url": input.url}).status_code == 200\n'),
        "forbidden-function",
        "policy.rego",
    ),
    "a function that depends on the hour": (
        append("policy.rego", "\nknown if time.now_ns() > 0\n"),
        "forbidden-function",
        "policy.rego",
    ),
    "another entry point": (replace("metadata.yaml", "_api.decision", "_api.verdict"), "entrypoint", None),
    "an entry point of another package": (
        replace("metadata.yaml", "data.finance.invoice_api.decision", "data.companyos.authz.decision"),
        "entrypoint",
        None,
    ),
    "no default": (
        replace("policy.rego", "default decision := {", "default unused := {"),
        "default-deny",
        "policy.rego",
    ),
    "a default that allows": (
        replace("policy.rego", 'default decision := {"decision": "deny"', 'default decision := {"decision": "allow"'),
        "default-deny",
        "policy.rego",
    ),
    "a gap in the default": (append("policy.rego", ALLOWED), "default-deny", "policy.rego"),
    "an obligation that is not declared": (append("policy.rego", MASKING), "obligations", "policy.rego"),
    "an obligation that is declared only": (
        replace("metadata.yaml", "obligations: []", "obligations: [mask_fields]"),
        "obligations",
        None,
    ),
    "no test": (
        lambda folder: (folder / "policy_test.rego").write_text("package finance.invoice_api_test\n"),
        "tests-exist",
        None,
    ),
    "a test twice": (append("policy_test.rego", "\ntest_a_known_action_is_allowed if true\n"), "tests-exist", None),
    "a test file that is not listed": (
        append("more_test.rego", "package finance.invoice_api_test\n"),
        "tests-listed",
        None,
    ),
    "a test file that is listed only": (
        replace("metadata.yaml", "- policy_test.rego", "- policy_test.rego\n    - x_test.rego"),
        "tests-listed",
        None,
    ),
    "nothing about this version": (replace("metadata.yaml", "version: 1.0.0", "version: 0.9.0"), "change-log", None),
}


@pytest.mark.parametrize("name", CASES)
def test_a_fault_is_found(name: str, folder: Path) -> None:
    """With its rule, its file, its row where it has one, and the next step; nothing else is found besides it."""
    spoil, rule, file = CASES[name]
    spoil(folder)
    found = linting.lint(folder)
    assert {one.rule for one in found} == {rule}, found
    assert all(one.sentence and one.next_step for one in found)
    if file is not None:
        assert {Path(one.file).name for one in found} == {file}


def test_a_forbidden_function_is_found_with_its_row(folder: Path) -> None:
    """So an editor can jump there."""
    rows = len((folder / "policy.rego").read_text().splitlines())
    append("policy.rego", "\nknown if opa.runtime().env.SECRET\n")(folder)
    (found,) = linting.lint(folder)
    assert found.row == rows + 2
    assert "opa.runtime" in found.sentence


def test_the_type_of_an_obligation_counts_and_not_its_id(folder: Path) -> None:
    """Where it has one."""
    append("policy.rego", MASKING.replace('"id": "mask_fields"', '"id": "hide_iban", "type": "mask_fields"'))(folder)
    change(folder, "metadata.yaml", "obligations: []", "obligations: [mask_fields]")
    assert linting.lint(folder) == []
