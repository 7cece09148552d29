"""The tests of policies, tested: what passes, what fails, and how much of the policy they reach."""

from __future__ import annotations

import random
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from companyos.core.errors import InvalidInput
from companyos.policy.authoring import layout, oracle, testing
from companyos.policy.authoring.mocking import with_stand_in
from companyos_sdk import rego
from companyos_sdk.policy.decision import normalised
from companyos_sdk.policy.obligations import STANDARD
from tests.needs import needs
from tests.policy.authoring.folders import EXAMPLES, change, folder
from tests.sdk.rego.oracle import Oracle

__all__ = ["folder"]

pytestmark = needs("rego")


def run(folder: Path, **more: bool) -> testing.TestReport:
    """The tests of the policy in a folder."""
    return testing.run_tests(layout.read(folder), **more)


def add(folder: Path, text: str) -> None:
    """Put a rule at the end of the tests."""
    path = folder / "policy_test.rego"
    path.write_text(f"{path.read_text()}\n{text}\n")


def test_the_examples_pass_in_both_engines_and_every_row_is_reached() -> None:
    """They are what people copy."""
    report = run(EXAMPLES)
    assert report.ok, report.sentences()
    assert report.compared
    assert report.passed > 30
    assert report.coverage is not None
    assert report.coverage.ratio == 1
    assert all(file.reached for file in report.coverage.files)


def test_what_was_just_begun_passes(folder: Path) -> None:
    """With all of its rows reached."""
    report = run(folder)
    assert report.ok, report.sentences()
    assert report.coverage is not None
    assert report.coverage.ratio == 1


@pytest.mark.parametrize(
    "rule", ["test_x if 1 == 2", "test_x := false", "test_x := 1", 'test_x := "true"', "test_x if input.a"]
)
def test_only_true_passes(folder: Path, rule: str) -> None:
    """False, undefined and whatever else do not."""
    add(folder, rule)
    report = run(folder, with_coverage=False)
    assert [one.name for one in report.results if not one.passed] == ["data.finance.invoice_api_test.test_x"]
    assert not report.ok
    assert "not true" in report.sentences()[0]


def test_a_name_that_is_there_twice_fails(folder: Path) -> None:
    """One of the two would count for both."""
    add(folder, "test_an_empty_name_is_no_subject if false")
    report = run(folder, with_coverage=False)
    assert report.failed == 1
    assert "two tests of this name" in report.sentences()[0]


def test_no_test_is_not_green(folder: Path) -> None:
    """Nothing was shown."""
    (folder / "policy_test.rego").write_text("package finance.invoice_api_test\n\nimport rego.v1\n")
    report = run(folder)
    assert not report.ok
    assert report.coverage is not None
    assert report.coverage.ratio == 0


def test_rows_that_no_test_reaches_are_named(folder: Path) -> None:
    """And fewer than wanted is not green."""
    rule = "known if input.action in config.actions"
    more = 'known if {\n\tinput.action == "peek"\n\tinput.subject.id == "root"\n}'
    change(folder, "policy.rego", rule, f"{rule}\n\n{more}")
    report = run(folder)
    assert report.coverage is not None
    (row,) = report.coverage.missed()
    text = (folder / "policy.rego").read_text().splitlines()
    assert "root" in text[int(row.split(":")[1]) - 1]
    assert not report.ok
    assert row in report.sentences()[0]
    change(folder, "metadata.yaml", "coverage: 1.0", "coverage: 0.5")
    assert run(folder).ok


def test_a_module_that_nothing_uses_is_not_covered(folder: Path) -> None:
    """What is never asked was never tested."""
    (folder / "more.rego").write_text("package finance.invoice_api.more\n\nimport rego.v1\n\nallow if input.x\n")
    report = run(folder)
    assert report.coverage is not None
    assert any("more.rego" in row for row in report.coverage.missed())


def test_a_difference_between_the_engines_fails_whatever_they_say(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nobody knows then what the policy means."""
    names = [one.name for one in run(folder).results]
    monkeypatch.setattr(oracle, "opinion", lambda *_: oracle.Opinion(value=names[1:]))
    report = run(folder)
    assert [one.name for one in report.results if not one.passed] == names[:1]
    assert "passes here and fails in regopy" in report.sentences()[0]


def test_what_the_other_engine_cannot_say_is_no_difference(folder: Path) -> None:
    """It lacks some functions; the report says that nothing was compared, and why."""
    add(folder, 'test_x if net.cidr_contains("10.0.0.0/8", "10.1.2.3")')
    report = run(folder)
    assert not report.compared
    assert "net.cidr_contains" in report.not_compared


def test_tests_that_do_not_compile_are_refused_with_their_place(folder: Path) -> None:
    """It is a fault of the input."""
    add(folder, "test_x if {")
    with pytest.raises(InvalidInput, match=r"policy_test\.rego"):
        run(folder)


def test_rules_that_contradict_each_other_fail_and_do_not_end_the_run(folder: Path) -> None:
    """With the sentence of the conflict."""
    add(folder, "twice := 1\n\ntwice := 2\n\ntest_x if twice")
    report = run(folder)
    assert not report.ok
    assert report.failed


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        ("x if input.a", "x if data.input_under_test.a"),
        ("x if f(input)", "x if f(data.input_under_test)"),
        ('x := "input" # input', 'x := "input" # input'),
        ("x := `input`", "x := `input`"),
        ("x if data.input.a", "x if data.input.a"),
        ("x := inputs", "x := inputs"),
        (
            'x if a with input as {"input": input}',
            'x if a with data.input_under_test as {"input": data.input_under_test}',
        ),
        ('x := "\\" input"', 'x := "\\" input"'),
    ],
)
def test_only_the_input_is_replaced(source: str, expected: str) -> None:
    """Texts, comments, and other things of that name stay."""
    assert with_stand_in(source) == expected


def requests(count: int) -> list[dict[str, Any]]:
    """Requests of every kind, with fields that are missing or strange."""
    chance = random.Random(7)
    odd: list[Any] = [None, True, False, 0, 1, "", [], {}, "x"]
    choices: dict[str, list[Any]] = {
        "action": ["read", "write", "delete", "export", "transfer", *odd],
        "clearance": ["low", "medium", "high", "top", *odd],
        "type": ["document", "account", "customer", "blueprint", *odd],
        "region": ["eu", "us", *odd],
        "pii": [True, False, *odd],
        "sensitivity": ["low", "medium", "high", *odd],
        "strength": ["mfa", "password", *odd],
        "ticket": ["CHG-1", "  ", *odd],
    }
    made = []
    for _ in range(count):
        pick = {
            name: chance.choice(values if chance.random() < 0.5 else values[:2]) for name, values in choices.items()
        }
        asked: dict[str, Any] = {
            "subject": {"id": "ana", "type": "user", "attributes": {"clearance": pick["clearance"]}},
            "action": pick["action"],
            "resource": {
                "id": "1",
                "type": pick["type"],
                "region": pick["region"],
                "contains_pii": pick["pii"],
                "required_clearance": chance.choice(choices["clearance"]),
                "sensitivity": pick["sensitivity"],
            },
            "environment": {"auth_strength": pick["strength"]},
            "context": {"approval_ticket": pick["ticket"]},
        }
        if chance.random() < 0.3:
            part = asked[chance.choice(["subject", "resource", "environment", "context"])]
            part.pop(chance.choice(sorted(part)))
        made.append(asked)
    return made


def test_the_examples_decide_alike_in_both_engines() -> None:
    """The policies as they are built, not as tests see them, on requests of every kind.

    And what they demand is something that every service can fulfil with the handlers of the SDK.
    """
    policy = layout.read(EXAMPLES)
    entry = policy.about.entrypoint
    program = rego.compile(policy.modules, policy.data, entry)
    with closing(Oracle()) as second:
        answers = second.ask(policy.modules, policy.data, entry, requests(400))
    assert answers is not None
    seen = set()
    for asked, answer in zip(requests(400), answers, strict=True):
        there = answer["value"]
        here = program.evaluate(asked)
        assert here == there, asked
        seen.add((here["decision"], here["reason"]))
        for duty in normalised(here, rego.UNDEFINED)[2]:
            kind = STANDARD.get(duty.type)
            assert kind is not None, duty
            kind.properties(duty)
            assert duty.type in policy.about.obligations
    assert len(seen) >= 8, seen
