"""One program, many threads: no wrong answer, and nothing of one decision is seen by another."""

from __future__ import annotations

import copy
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Final

import pytest

from companyos_sdk import rego
from companyos_sdk.rego import UNDEFINED, Program
from companyos_sdk.rego.errors import EvaluationError
from tests.needs import needs
from tests.sdk.rego.corpus import Case, cases, same

pytestmark = needs("rego")

THREADS: Final = 16
DECISIONS: Final = 500
"""In each thread."""
SOURCE: Final = """
package t

import rego.v1

default p := {"decision": "deny", "why": []}

p := {"decision": "allow", "why": why, "echo": input.who, "conf": data.conf} if {
    input.level in data.conf.levels
    count(deny) == 0
    why := sort([r | some r in reasons])
}

reasons contains sprintf("level-%v", [input.level])
reasons contains r if some r in input.reasons

deny contains "odd" if input.number % 2 == 1
deny contains "text" if regex.match("^x+$", input.who.name)
deny contains "seen" if marked with input.number as 7

marked if {
    input.number == 7
    input.seven == true
}
"""
DATA: Final[dict[str, Any]] = {"conf": {"levels": [1, "two", True], "list": [[1], {"a": [2]}]}}


def given(number: int) -> dict[str, Any]:
    """An input, another one for each number."""
    return {
        "number": number,
        "level": [1, True, "two", 3, "1"][number % 5],
        "who": {"name": "x" * (number % 3), "id": number},
        "reasons": [f"r{number}", f"r{number + 1}"],
        "seven": number % 11 == 0,
    }


def expected(number: int) -> dict[str, Any]:
    """The decision, as a person would make it."""
    facts = given(number)
    if number % 5 > 2 or number % 2 == 1 or number % 3 or number % 11 == 0:
        return {"decision": "deny", "why": []}
    level = {True: "true"}.get(facts["level"], facts["level"]) if facts["level"] is True else facts["level"]
    return {
        "decision": "allow",
        "why": sorted([f"level-{level}", *facts["reasons"]]),
        "echo": facts["who"],
        "conf": DATA["conf"],
    }


@pytest.fixture(scope="module")
def program() -> Program:
    """One program for all threads."""
    return rego.compile({"t.rego": SOURCE}, copy.deepcopy(DATA), "data.t.p")


def test_no_thread_gets_a_wrong_decision(program: Program) -> None:
    """Sixteen threads decide about different inputs at once."""

    def decide(first: int) -> list[int]:
        numbers = range(first, first + DECISIONS * THREADS, THREADS)
        return [number for number in numbers if not same(program.evaluate(given(number)), expected(number))]

    with ThreadPoolExecutor(THREADS) as pool:
        wrong = [number for numbers in pool.map(decide, range(THREADS)) for number in numbers]
    assert wrong == []
    assert any(expected(number)["decision"] == "allow" for number in range(DECISIONS * THREADS))


def test_a_result_shares_nothing_with_the_input_or_the_data(program: Program) -> None:
    """Whoever changes a result changes neither what he passed nor the next decision."""
    facts = given(30)
    first = program.evaluate(facts)
    assert first["echo"] == facts["who"]
    first["echo"]["id"] = "changed"
    first["conf"]["levels"].append("changed")
    first["conf"]["list"][1]["a"].append("changed")
    first["why"].clear()
    assert facts == given(30)
    assert same(program.evaluate(facts), expected(30))


def test_changing_the_data_afterwards_changes_no_decision() -> None:
    """A program keeps what it was made of."""
    data = copy.deepcopy(DATA)
    made = rego.compile({"t.rego": SOURCE}, data, "data.t.p")
    data["conf"]["levels"].clear()
    assert same(made.evaluate(given(30)), expected(30))


def test_every_case_of_the_corpus_is_the_same_in_all_threads_at_once() -> None:
    """Programs of all kinds run beside each other."""
    picked = [case for name, case in cases() if case.regopy and not case.expected_error and hash(name) % 3 == 0]
    programs = [(case, rego.compile(case.sources, case.data, case.entry)) for case in picked]

    def decide(turn: int) -> list[str]:
        wrong = []
        for place in range(len(programs)):
            case, made = programs[(place + turn * 7) % len(programs)]
            if not _as_declared(case, made):
                wrong.append(case.name)
        return wrong

    with ThreadPoolExecutor(THREADS) as pool:
        assert [name for names in pool.map(decide, range(THREADS)) for name in names] == []


def _as_declared(case: Case, made: Program) -> bool:
    try:
        found = made.evaluate(case.given())
    except EvaluationError:
        return False
    return found is UNDEFINED if case.undefined else found is not UNDEFINED and same(found, case.want)
