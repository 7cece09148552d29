"""Data beside rules: a path that leads past all rules is looked up in the data alone, and says the same."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from companyos_sdk import rego
from companyos_sdk.rego.codegen.options import FAST, PLAIN
from companyos_sdk.rego.errors import RegoError
from companyos_sdk.rego.program import Program
from tests.needs import needs

LIBRARY = """package house.lib
import rego.v1
cleared if { data.house.levels[input.has] >= data.house.levels[input.needs] }
deny contains "clearance" if { not cleared }
masked := data.house.masks[input.type]
deep := data.house.deep[input.a][input.b]
number := data.house.list[input.n]
beside := data.house.nothing[input.a]
mocked := value if { value := masked with data.house.masks as {"doc": "mocked"} }
pair := value if { value := data.house.rooms[input.a].note }
"""
ROOMS = """package house.rooms.p
import rego.v1
note := "of a rule"
"""
DATA = {
    "house": {
        "levels": {"low": 1, "high": 3},
        "masks": {"doc": ["ssn"], "1": ["one"]},
        "deep": {"p": {"q": 1}, "1": {"q": 2}},
        "list": [5, 6],
        "rooms": {"q": {"note": "of the data"}},
    }
}
RULES = ("deny", "masked", "deep", "number", "beside", "mocked", "pair")
KEYS = st.sampled_from(["low", "high", "doc", "p", "q", "1", "zz", 1, 1.0, 0, True, None, ["p"], {"p": 1}])


@pytest.fixture(scope="module")
def programs() -> list[tuple[Program, Program]]:
    """Each rule, optimised and plain."""
    plan = rego.plan({"lib.rego": LIBRARY, "rooms.rego": ROOMS}, [f"data.house.lib.{rule}" for rule in RULES])
    return [
        (
            Program(plan, DATA, f"house/lib/{rule}", options=FAST),
            Program(plan, DATA, f"house/lib/{rule}", options=PLAIN),
        )
        for rule in RULES
    ]


def said(program: Program, document: Any) -> Any:
    """What a program says; an error by its type."""
    try:
        return program.evaluate(document)
    except RegoError as fault:
        return type(fault)


@needs("rego")
@given(document=st.dictionaries(st.sampled_from(["has", "needs", "type", "a", "b", "n"]), KEYS))
def test_looking_past_the_rules_changes_nothing(programs: list[tuple[Program, Program]], document: Any) -> None:
    """Whatever the keys are, also numbers that stand for texts, and what is mocked."""
    for fast, plain in programs:
        assert said(fast, document) == said(plain, document)


@needs("rego")
def test_a_rule_below_the_path_is_still_asked(programs: list[tuple[Program, Program]]) -> None:
    """Where a rule and data share a place, both are found."""
    fast, _ = programs[RULES.index("pair")]
    assert [said(fast, {"a": key}) for key in ("p", "q")] == ["of a rule", "of the data"]
