"""Whatever the compiler does to be fast, it says the same: as the plain translation, as the traced twin, as regopy."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import HealthCheck, given, reject, settings
from hypothesis import strategies as st

from companyos_sdk import rego
from companyos_sdk.rego import UNDEFINED
from companyos_sdk.rego.codegen.options import PLAIN
from companyos_sdk.rego.errors import CompileError, EvaluationError
from companyos_sdk.rego.program import Program
from tests.needs import needs
from tests.sdk.rego.grammar import DATA, inputs, policies
from tests.sdk.rego.oracle import Oracle

pytestmark = needs("rego")


@pytest.fixture(scope="module")
def oracle() -> Iterator[Oracle]:
    """The process in which regopy evaluates."""
    made = Oracle()
    yield made
    made.close()


def outcome(program: Program, value: Any) -> Any:
    """What a program says, with an error as the name of its class."""
    try:
        found = program.evaluate(value)
    except EvaluationError as fault:
        return {"error": type(fault).__name__}
    return {"undefined": True} if found is UNDEFINED else {"value": found}


def unordered(value: Any) -> Any:
    """A value in which the order of arrays does not count, because regopy does not order its sets."""
    if isinstance(value, list):
        return sorted(map(unordered, value), key=lambda each: json.dumps(each, sort_keys=True))
    if isinstance(value, dict):
        return {name: unordered(item) for name, item in value.items()}
    return value


def compiled(source: str) -> tuple[Program, Program]:
    """The fast and the plain program of a policy that can be compiled."""
    try:
        plan = rego.plan({"policy.rego": source}, ["data.t"])
        return rego.load(plan, DATA, "data.t"), Program(plan, DATA, "t", options=PLAIN)
    except CompileError:
        reject()


@settings(max_examples=200, deadline=None, suppress_health_check=list(HealthCheck))
@given(source=policies(orders=True), values=st.lists(inputs(), min_size=3, max_size=8))
def test_what_is_fast_says_what_is_plain(source: str, values: list[Any]) -> None:
    """The fast code, the plain code and the traced twin agree, and a decision only depends on what it shows as read."""
    fast, plain = compiled(source)
    for value in values:
        expected = outcome(plain, value)
        assert outcome(fast, value) == expected, source
        if "error" not in expected:
            assert fast.explain(value).value == expected.get("value"), source
            seen = fast.observe(value)[1]
            assert outcome(fast, rebuilt(fast.input_paths, seen, value)) == expected, source


def rebuilt(paths: tuple[tuple[str, ...], ...], seen: tuple[Any, ...], value: Any) -> Any:
    """An input that has only what a decision read of another one."""
    if paths == ((),):
        return seen[0]
    if not isinstance(value, dict):
        return value  # it has no such paths
    made: dict[str, Any] = {}
    for path, found in zip(paths, seen, strict=True):
        if found is not UNDEFINED:
            inner = made
            for name in path[:-1]:
                inner = inner.setdefault(name, {})
            inner[path[-1]] = found
    return made


@settings(max_examples=120, deadline=None, suppress_health_check=list(HealthCheck))
@given(source=policies(orders=False), values=st.lists(inputs(), min_size=3, max_size=8))
def test_regopy_says_the_same(oracle: Oracle, source: str, values: list[Any]) -> None:
    """The machine of regopy agrees; it orders values of different types in its own way and is not asked about that."""
    fast, _ = compiled(source)
    theirs = oracle.ask({"policy.rego": source}, DATA, "data.t", values)
    if theirs is None:
        reject()  # it ended, which it does on some policies that OPA takes
    for value, other in zip(values, theirs, strict=True):
        ours = outcome(fast, value)
        if "error" in ours:
            assert "error" in other, source
        else:
            assert unordered(ours) == unordered(other), source
