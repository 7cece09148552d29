"""Hostile inputs, data and policies: each ends, in a value or in an error that is a denial."""

from __future__ import annotations

import json
import sys
from typing import Any, Final

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from companyos_sdk import rego
from companyos_sdk.rego import UNDEFINED, Program
from companyos_sdk.rego.errors import EvaluationError, LimitExceeded, RegoError
from tests.needs import needs

pytestmark = needs("rego")

SOURCE: Final = """
package t

import rego.v1

equal if input.a == input.b
member if input.a in {input.b, 1}
ordered := sort([input.a, input.b])
smaller if input.a < input.b
echo := input.a
wrapped := {"x": [input.a]}
keyed := {input.a: 1}
collected contains input.a
text := sprintf("%v", [input.a])
marshalled := json.marshal(input.a)
walked := count([1 | walk(input.a, _)])
merged := object.union(input.a, input.b)
found := [pair | some k; v := input.a[k]; pair := [k, v]]
triple := count([1 | some x in input.a; some y in input.a; some z in input.a; x + y + z > 0])
all_of_all if { every x in input.a { all_with(x) } }
all_with(x) if { every y in input.a { all_of_three(x, y) } }
all_of_three(x, y) if { every z in input.a { positive([x, y, z]) } }
positive(a) if sum(a) >= 0
product_of := product(input.a)
sum_of := sum(input.a)
matched := regex.match(input.a, input.b)
globbed := glob.match(input.a, [], input.b)
replaced := replace(input.a, "a", input.b)
repeated := concat(input.a, ["x" | some _ in numbers.range(1, 90000)])
read := json.unmarshal(input.a)
loaded := yaml.unmarshal(input.a)
ranged := numbers.range(input.a, input.b)
shifted := bits.lsh(input.a, input.b)
expanded := net.cidr_expand(input.a)
moment := time.parse_ns(input.a, input.b)
claims := io.jwt.decode(input.a)
reached := graph.reachable(input.a, {"n0"})
paths := graph.reachable_paths(input.a, {"n0"})
"""
NAMES: Final = [
    line.split()[0] for line in SOURCE.splitlines() if " := " in line or " if " in line or " contains " in line
]


@pytest.fixture(scope="module")
def programs() -> dict[str, Program]:
    """A program for each rule."""
    made = rego.plan({"t.rego": SOURCE}, [f"data.t.{name}" for name in NAMES])
    return {name: rego.load(made, {}, f"data.t.{name}") for name in NAMES}


def nested(levels: int, *, objects: bool = False) -> Any:
    """Arrays or objects within each other."""
    value: Any = 1
    for _ in range(levels):
        value = {"x": value} if objects else [value]
    return value


@pytest.mark.parametrize(
    "name", ["equal", "member", "ordered", "smaller", "echo", "wrapped", "keyed", "collected", "marshalled", "text"]
)
@pytest.mark.parametrize("objects", [False, True])
def test_deep_nesting_is_a_denial_and_no_crash(programs: dict[str, Program], name: str, objects: bool) -> None:
    """Comparing, ordering, copying, hashing and writing are bounded in depth, far beyond the stack of Python."""
    facts = {"a": nested(20_000, objects=objects), "b": nested(20_000, objects=objects)}
    with pytest.raises(EvaluationError):
        programs[name].evaluate(facts)


@pytest.mark.parametrize(
    ("name", "one", "two"),
    [
        ("triple", [1] * 300, None),
        ("all_of_all", [1] * 300, None),
        ("product_of", [10**20] * 3_000, None),
        ("ranged", 0, 10**15),
        ("shifted", 1, 10**15),
        ("expanded", "::/0", None),
        ("replaced", "a" * 10_000, "b" * 10_000),
        ("repeated", "y" * 1_000, None),
        ("claims", "e30." * 100_000, None),
        ("moment", "2" * 100_000, "2" * 100_000),
    ],
)
def test_work_and_memory_without_end_are_a_denial(programs: dict[str, Program], name: str, one: Any, two: Any) -> None:
    """Loops, numbers, lists and texts have a bound."""
    with pytest.raises(LimitExceeded):
        programs[name].evaluate({"a": one, "b": two})


@pytest.mark.parametrize(
    ("name", "one", "two", "value"),
    [
        ("matched", "^(a+)+$", "a" * 50_000 + "!", False),
        ("matched", "(x+x+)+y", "x" * 50_000, False),
        ("matched", "^(([a-z])+.)+[A-Z]([a-z])+$", "a" * 50_000, False),
        ("globbed", "*a*a*a*a*a*a*a*a*a*b", "a" * 20_000, False),
        ("matched", "a{1000}{1000}", "a", UNDEFINED),
        ("matched", "(" * 10_000 + ")" * 10_000, "a", UNDEFINED),
        ("read", "[" * 100_000, None, UNDEFINED),
        ("read", '{"a":' * 100_000, None, UNDEFINED),
        ("read", "1" * 100_000, None, UNDEFINED),
        ("read", "1e999999999", None, UNDEFINED),
        ("loaded", "a: &a [1,1,1,1]\nb: &b [*a,*a,*a,*a]\nc: &c [*b,*b,*b,*b]\n" * 50, None, UNDEFINED),
        ("loaded", "!!python/object/apply:os.system ['true']", None, UNDEFINED),
        ("loaded", "[" * 10_000, None, UNDEFINED),
        ("expanded", "10.0.0.0/33", None, UNDEFINED),
    ],
)
def test_texts_that_explode_elsewhere_do_not(
    programs: dict[str, Program], name: str, one: Any, two: Any, value: Any
) -> None:
    """Expressions, globs, JSON and YAML end at once: in a value, undefined, or a denial where that was expected."""
    try:
        found = programs[name].evaluate({"a": one, "b": two})
    except EvaluationError:
        assert value is UNDEFINED
    else:
        assert found is value


def test_graphs_that_are_all_connected_are_bounded(programs: dict[str, Program]) -> None:
    """Everything that can be reached is found; the ways to it, which are too many, end in something."""
    whole = {f"n{one}": [f"n{two}" for two in range(25)] for one in range(25)}
    assert len(programs["reached"].evaluate({"a": whole})) == 25
    _decided(programs["paths"], {"a": whole})


@pytest.mark.parametrize("value", [float("nan"), float("inf"), -float("inf"), (1,), {1, 2}, b"x", object(), 1j])
@pytest.mark.parametrize("name", ["equal", "echo", "wrapped", "keyed", "smaller"])
def test_what_is_no_json_is_a_denial(programs: dict[str, Program], name: str, value: Any) -> None:
    """Foreign values of Python never decide anything."""
    for facts in ({"a": value, "b": 1}, {"a": [value], "b": [1]}, {"a": {"k": value}, "b": {"k": 1}}):
        with pytest.raises(EvaluationError):
            programs[name].evaluate(facts)


@pytest.mark.parametrize("facts", [None, True, 0, "", [], {}, UNDEFINED, [[]], "text"])
def test_an_input_of_any_shape_gives_a_value_or_nothing(programs: dict[str, Program], facts: Any) -> None:
    """Every rule decides about every shape, without an error of Python."""
    for program in programs.values():
        json.dumps(_decided(program, facts))


@settings(max_examples=150, deadline=None)
@given(
    st.recursive(
        st.none()
        | st.booleans()
        | st.integers()
        | st.floats(allow_nan=False, allow_infinity=False)
        | st.text(max_size=8),
        lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3),
        max_leaves=6,
    ),
    st.integers(-5, 70) | st.text(max_size=4) | st.lists(st.integers(), max_size=3),
)
def test_any_input_gives_json_or_a_denial(programs: dict[str, Program], one: Any, two: Any) -> None:
    """What comes out is plain JSON, whatever goes in."""
    for program in programs.values():
        found = _decided(program, {"a": one, "b": two})
        assert json.loads(json.dumps(found)) == found


def test_the_stack_of_the_caller_is_left_as_it_was(programs: dict[str, Program]) -> None:
    """A denial for depth changes nothing for the next decision, and no limit of the process."""
    before = sys.getrecursionlimit()
    for _ in range(3):
        with pytest.raises(EvaluationError):
            programs["echo"].evaluate({"a": nested(20_000)})
        assert programs["echo"].evaluate({"a": [1]}) == [1]
    assert sys.getrecursionlimit() == before


@pytest.mark.parametrize(
    "source",
    [
        "package t\np := " + "[" * 500 + "]" * 500,
        "package t\np := " + "1 + " * 500 + "1",
        "package t\np if " + "not " * 50 + "true",
        'package t\np := "' + "x" * 100_000 + '"',
        "package t\n" + "\n".join(f"p if input.x == {number}" for number in range(500)),
        "package t\np if {\n" + "\n".join(f"  input.a{number} == {number}" for number in range(500)) + "\n}",
        "package t\np := x if {\n  x0 := 1\n"
        + "\n".join(f"  x{n + 1} := x{n} + 1" for n in range(300))
        + "\n  x := x300\n}",
        "package t\np if {\n" + "".join(f"  some x{n} in input.x\n" for n in range(60)) + "}",
        "package t\np := \x00",
        "",
        "package",
        "\ufeffpackage t\np := 1",
    ],
)
def test_a_source_of_any_shape_becomes_a_program_or_a_refusal(source: str) -> None:
    """Long and deep sources do not break the compiler."""
    try:
        made = rego.compile({"t.rego": source}, {}, "data.t.p")
    except RegoError:
        return
    _decided(made, {"x": [1], "a0": 0})


def _decided(program: Program, facts: Any) -> Any:
    """The value; None for undefined and for a denial."""
    try:
        found = program.evaluate(facts)
    except EvaluationError:
        return None
    return None if found is UNDEFINED else found
