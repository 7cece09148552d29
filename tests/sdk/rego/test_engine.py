"""What a program is to its caller: values that are copies, paths, errors with a place, bounded work, threads."""

from __future__ import annotations

import datetime as dt
import json
import threading
from typing import Any, Final

import pytest

from companyos_sdk import rego
from companyos_sdk.rego import UNDEFINED, Program
from companyos_sdk.rego.errors import (
    CompileError,
    ConflictError,
    EvaluationError,
    ForbiddenBuiltin,
    LimitExceeded,
    PlanError,
)
from companyos_sdk.rego.plan import unquoted
from tests.needs import needs

pytestmark = needs("rego")


def program(source: str, data: dict[str, Any] | None = None, entry: str = "data.t.p") -> Program:
    """A program of one module of package ``t``."""
    return rego.compile({"policy.rego": f"package t\nimport rego.v1\n{source}"}, data or {}, entry)


def test_true_is_never_one() -> None:
    """Booleans and numbers are different as values, in sets, as keys and in `in`."""
    made = program("p := [input.x == 1, input.x in {1}, count({1, true, 1.0}), input.x == true]")
    assert made.evaluate({"x": True}) == [False, False, 2, True]
    assert made.evaluate({"x": 1}) == [True, True, 2, False]


def test_nothing_that_comes_out_is_shared() -> None:
    """Changing a result changes neither the data, nor the input, nor the next result."""
    data, value = {"list": [{"a": 1}]}, {"x": {"y": [1]}}
    made = program("p := [data.list, input.x, {1, 2}]", data)
    first = made.evaluate(value)
    first[0][0]["a"] = 9
    first[1]["y"].append(9)
    first[2].append(9)
    data["list"].clear()
    assert value == {"x": {"y": [1]}}
    assert made.evaluate(value) == [[{"a": 1}], {"y": [1]}, [1, 2]]


def test_a_missing_input_is_undefined() -> None:
    """UNDEFINED as the input is no input, and null is one."""
    made = program("p := input")
    assert made.evaluate(UNDEFINED) is UNDEFINED
    assert made.evaluate(None) is None


def test_paths_say_what_was_read() -> None:
    """The paths are those that the policy can read, the shortest of each, with what is there."""
    made = program("p if { input.a.b == 1; f(input.c) }\nf(x) if x.d == 2")
    assert made.input_paths == (("a", "b"), ("c",))
    assert made.observe({"a": {"b": 1}, "c": {"d": 2}, "secret": 3}) == (True, (1, {"d": 2}))
    assert made.observe({"a": []}) == (UNDEFINED, (UNDEFINED, UNDEFINED))


def test_a_rule_under_with_is_computed_again() -> None:
    """What was remembered of a rule does not leak into a `with`, nor out of it."""
    made = program("q := input.x\np := [q, a, q] if a := r\nr := y if y := q with input.x as 7")
    assert made.evaluate({"x": 1}) == [1, 7, 1]


def test_with_exchanges_data_in_dynamic_paths() -> None:
    """A `with` on data reaches rules that are found by a variable, unless it exchanges rules, which is refused."""
    source = "p if q with data.s.a as 2\nq if data.s[input.k] == 2"
    assert program(source, {"s": {"a": 1}}).evaluate({"k": "a"}) is True
    lib = "package lib\ns := 1\n"
    source = "package t\nimport rego.v1\np if q with data.lib.s as 2\nq if data.lib[input.k] == 2"
    with pytest.raises(CompileError, match=r"^policy\.rego:3:.*exchanges data\.lib\.s"):
        rego.compile({"policy.rego": source, "lib.rego": lib}, {}, "data.t.p")


def test_a_dynamic_path_finds_rules_and_data() -> None:
    """Below a package with rules, what is no rule is looked up in the data, and a package is all of it."""
    source = "p := [x | some k in input.keys; x := data.lib[k]]"
    modules = {"a.rego": f"package t\nimport rego.v1\n{source}", "b.rego": "package lib\nr := 1\n"}
    made = rego.compile(modules, {"lib": {"d": 2}}, "data.t.p")
    assert made.evaluate({"keys": ["r", "d", "none"]}) == [1, 2]


@pytest.mark.parametrize(
    ("source", "kind", "place"),
    [
        ("p := {", CompileError, "policy.rego:3:"),
        ("p := x", CompileError, "policy.rego:3:"),
        ("p if { q }\nq if { p }", CompileError, "policy.rego:"),
        ('p := http.send({"url": "x"})', ForbiddenBuiltin, "policy.rego:3:"),
        ("p if count(1, 2, 3)", CompileError, "policy.rego:3:"),
    ],
)
def test_a_policy_that_cannot_be_made_says_where(source: str, kind: type[CompileError], place: str) -> None:
    """File and row are in the error."""
    with pytest.raises(kind) as found:
        program(source)
    assert str(found.value).startswith(place)


def test_contradictions_are_conflicts() -> None:
    """Two values of a rule, of a function, and of a key of an object."""
    for source in ("p := 1 if input.x\np := 2 if input.x", "f(x) := 1\nf(x) := 2 if x\np := f(input.x)"):
        with pytest.raises(ConflictError):
            program(source).evaluate({"x": True})
    with pytest.raises(ConflictError):
        program("p[k] := v if { k := 1; some v in input.x }").evaluate({"x": [1, 2]})


@pytest.mark.parametrize(
    "source",
    [
        "p if { some x in input.l; some y in input.l; some z in input.l; x + y + z == -1 }",
        "p := f19(1)\n" + "".join(f"f{i}(x) := f{i - 1}(x) + f{i - 1}(x + 1)\n" for i in range(1, 20)) + "f0(x) := x",
        "p := r39\nr0 := input.l\n" + "".join(f"r{i} := [r{i - 1}, r{i - 1}]\n" for i in range(1, 40)),
        "p := {r39}\nr0 := input.l\n" + "".join(f"r{i} := [r{i - 1}, r{i - 1}]\n" for i in range(1, 40)),
    ],
    ids=["loops", "calls", "copies", "sets"],
)
def test_work_is_bounded(source: str) -> None:
    """Loops in loops, calls in calls, and values that share parts until they are larger than memory."""
    with pytest.raises(LimitExceeded):
        program(source).evaluate({"l": list(range(400))})


def test_deep_inputs_are_a_denial() -> None:
    """Nesting that Python cannot follow is LimitExceeded, wherever it is touched."""
    one: list[Any] = []
    two: list[Any] = []
    for _ in range(50_000):
        one, two = [one], [two]
    for source in ("p if input.a == input.b", "p if input.a < input.b", "p := {input.a}", "p := input.a"):
        with pytest.raises(LimitExceeded):
            program(source).evaluate({"a": one, "b": two})


@pytest.mark.parametrize("strange", [float("nan"), float("inf"), dt.date(2026, 1, 1), (1, 2), {1}])
def test_what_is_no_json_is_refused_when_touched(strange: object) -> None:
    """At a path, in a list that is gone through, and below something; elsewhere it does not matter."""
    for source, value in [
        ('p if input.a == "x"', {"a": strange}),
        ('p if { some x in input.l; x == "x" }', {"l": ["y", strange]}),
        ('p if { some x in input.l; x.y == "x" }', {"l": [{"y": strange}]}),
        ("p := input.a", {"a": [strange]}),
    ]:
        with pytest.raises(EvaluationError, match="no JSON"):
            program(source).evaluate(value)
    assert program("p if input.b == 1").evaluate({"a": strange, "b": 1}) is True


def test_many_loops_inside_each_other() -> None:
    """More than Python nests become functions of their own, with the same variables."""
    loops = "; ".join(f"some x{i} in input.l" for i in range(40))
    assert program(f"p contains x39 if {{ {loops}; x39 == x0 }}").evaluate({"l": [1]}) == [1]


def test_a_plan_is_a_file_and_says_the_same() -> None:
    """A plan survives being written, and data and text in it cannot become code."""
    source = 'p := {"a\\"\\n\\\\": [1.5, "\'); import os #", `raw\\d`, input.x]}'
    plan = rego.plan({"policy.rego": f"package t\n{source}"}, ["data.t.p"])
    again = rego.load(plan.to_bytes(), {}, "data.t.p")
    assert again.evaluate({"x": None}) == {'a"\n\\': [1.5, "'); import os #", "raw\\d", None]}


def test_broken_plans_are_plan_errors() -> None:
    """Whatever is changed in a plan, it works or it is refused; nothing else happens."""
    plan = rego.plan({"policy.rego": "package t\nimport rego.v1\np if { some x in input.l; not x == 1 }"}, ["data.t.p"])
    document = json.loads(plan.to_bytes())
    refused = 0
    for path in _paths(document):
        for other in OTHERS:
            try:
                changed = json.dumps(_with(document, path, other)).encode()
                rego.load(changed, {}, "data.t.p").evaluate({"l": [2]})
            except (PlanError, CompileError, EvaluationError):
                refused += 1
    assert refused > 500
    for noise in (b"", b"[]", b"{", b"[" * 100_000, b"\xff", b'{"static": {}}'):
        with pytest.raises(PlanError):
            rego.Plan.from_bytes(noise)


OTHERS: Final[tuple[Any, ...]] = (None, True, -1, 10**30, "x", [], {}, 1.5)


def _paths(value: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    inner = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    return ([path] if path else []) + [one for name, item in inner for one in _paths(item, (*path, name))]


def _with(value: Any, path: tuple[Any, ...], other: Any) -> Any:
    copy = json.loads(json.dumps(value))
    place = copy
    for name in path[:-1]:
        place = place[name]
    place[path[-1]] = other
    return copy


@pytest.mark.parametrize(
    ("written", "meant"),
    [('"eu"', "eu"), ("eu", "eu"), ("", ""), ('a\\"b', 'a"b'), ('\\"a\\"', '"a"'), ('"\\u00e9\\n"', "é\n"), ("é", "é")],
)
def test_strings_of_regopy_are_read(written: str, meant: str) -> None:
    """With quotation marks they are JSON, and without them the inside of it."""
    assert unquoted(written) == meant


def test_threads_share_a_program() -> None:
    """Sixteen threads ask one program different things and get their own answers."""
    made = program("p := [x | some y in input.l; x := y + data.n]", {"n": 1})
    wrong: list[object] = []

    def ask(number: int) -> None:
        for turn in range(200):
            found = made.evaluate({"l": [number, turn]})
            explained = made.explain({"l": [turn]}).value if turn % 50 == 0 else [turn + 1]
            if found != [number + 1, turn + 1] or explained != [turn + 1]:
                wrong.append(found)

    threads = [threading.Thread(target=ask, args=(number,)) for number in range(16)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not wrong


def test_an_explanation_names_rules_and_rows() -> None:
    """Which bodies gave something, and the first expression that failed where a rule then said nothing."""
    source = 'default p := "no"\np := "yes" if {\n\tq\n}\nq if {\n\tinput.a == 1\n\tnot input.b\n}'
    made = program(source)
    yes = made.explain({"a": 1})
    assert (yes.value, yes.failed) == ("yes", None)
    assert [(one.rule, one.row) for one in yes.fired] == [("data.t.q", 7), ("data.t.p", 4)]
    no = made.explain({"a": 2})
    assert no.failed is not None
    assert (no.value, no.failed.rule, no.failed.file, no.failed.row) == ("no", "data.t.q", "policy.rego", 8)
    assert [(one.rule, one.row) for one in no.fired] == [("data.t.p", 3)]
    assert set(yes.visited) == {("policy.rego", row) for row in (5, 8, 9)}
    assert made.coverable >= set(yes.visited)
    assert made.explain({"a": 1, "b": True}).failed == no.failed.__class__("data.t.q", "policy.rego", 9)


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        ("p if { not startswith(input.none, input.a) }", UNDEFINED),
        ("p if { not f(input.none) }", UNDEFINED),
        ("p if { not input.o[input.none] }", UNDEFINED),
        ("p if { not count(input.none) == 1 }", UNDEFINED),
        ("p if { not input.none != 1 }", UNDEFINED),
        ("p if { not input.none in [1] }", UNDEFINED),
        ("p if { not input.none == 1 }", True),
        ("p if { not input.none }", True),
        ("p if { not f(input.a) }", True),
        ('p if { not f(input.a, "x") }', True),
        ("p if { not none }", True),
    ],
)
def test_negation_of_something_undefined(source: str, expected: Any) -> None:
    """As in OPA, arguments of calls are computed in front of `not`, operands of `==` and references inside."""
    made = program(f"{source}\nf(x) if x == 7\nnone if input.none")
    assert made.evaluate({"a": "a", "o": {}}) is expected


@pytest.mark.parametrize(
    ("value", "expected"),
    [("input.b", 2), ("input.none", UNDEFINED), ("data.d", 3), ("r", 4), ("y", 5), ('{"v": input.b}', {"v": 2})],
)
def test_every_value_of_with_counts(value: str, expected: Any) -> None:
    """References too, which regopy alone would drop."""
    made = program(f"q := input.a\nr := 4\np := x if {{ y := 5; x := q with input.a as {value} }}", {"d": 3})
    assert made.evaluate({"a": 1, "b": 2}) == expected


def test_variables_of_every_may_be_named_like_fields() -> None:
    """The compiler renames such a variable and the field with it; the field gets its name back."""
    made = program("p if { every a in input.l { input.a == a } }")
    assert made.evaluate({"l": [1], "a": 1}) is True
    assert made.evaluate({"l": [2], "a": 1}) is UNDEFINED


def test_files_keep_their_folders() -> None:
    """Two modules with one file name in different folders are told apart."""
    modules = {"a/policy.rego": "package t\nimport rego.v1\np if data.u.q", "b/policy.rego": "package u\nq := input.x"}
    trace = rego.compile(modules, {}, "data.t.p").explain({"x": 1})
    assert {file for file, _ in trace.visited} == {"a/policy.rego", "b/policy.rego"}
    with pytest.raises(CompileError, match=r"^b/policy\.rego:2:"):
        rego.compile(modules | {"b/policy.rego": "package u\nq := {"}, {}, "data.t.p")


def test_an_unknown_entry_point_is_refused() -> None:
    """A typing error in its name would otherwise be a policy that says nothing."""
    with pytest.raises(CompileError, match=r"data\.t\.q"):
        program("p := 1", entry="data.t.q")
    assert program("p := 1", {"u": {"v": 2}}, entry="data.u.v").evaluate(None) == 2
