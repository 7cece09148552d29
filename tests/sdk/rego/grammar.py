"""Policies and inputs to compare with: a small grammar that uses the whole language, and never depends on order."""

from __future__ import annotations

from typing import Any, Final

from hypothesis import strategies as st

DATA: Final = {"d": {"k": "a", "n": 2, "list": ["a", "b", 1], "levels": {"a": 1, "b": 2}}, "flag": True}
_CONSTANTS: Final = ("1", "2", "-3", "true", "false", "null", '"a"', '"b"', '""', "[]", "{}", '["a"]', '{"a": 1}')
_PLACES: Final = (
    "input.a",
    "input.b",
    "input.o.a",
    "input.o.b.c",
    "input.list[0]",
    "data.d.k",
    "data.d.n",
    "data.flag",
)
_LISTS: Final = (
    *("input.list", "input.o", "data.d.list", "data.d.levels", '{"a", 1, true}', '["a", 2, "b"]', "{1, 2, 3}"),
    "input.a",
)
_ORDERS: Final = ("==", "!=", "<", "<=", ">", ">=")
_EQUALS: Final = ("==", "!=")


def values() -> st.SearchStrategy[Any]:
    """Scalars and what is made of them."""
    scalars = st.sampled_from([None, True, False, 0, 1, 2, -3, "a", "b", "", "c"])
    return st.recursive(
        scalars,
        lambda inner: (
            st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(["a", "b", "c"]), inner, max_size=3)
        ),
        max_leaves=5,
    )


def inputs() -> st.SearchStrategy[Any]:
    """Inputs in which much of what policies ask for is there, and some that are no objects."""
    whole = st.fixed_dictionaries(
        {},
        optional={
            "a": values(),
            "b": values(),
            "list": st.lists(values(), max_size=3),
            "o": st.fixed_dictionaries({}, optional={"a": values(), "b": st.fixed_dictionaries({"c": values()})}),
        },
    )
    return st.one_of(whole, whole, whole, values())


@st.composite
def _term(draw: st.DrawFn, rules: int, local: str = "") -> str:
    options = [*_CONSTANTS, *_PLACES, *[f"r{one}" for one in range(rules)]]
    if local:
        options += [local] * 8
    return draw(st.sampled_from(options))


@st.composite
def _test(draw: st.DrawFn, rules: int, operators: tuple[str, ...], local: str = "") -> str:  # noqa: PLR0911 - one per kind
    one, two = draw(_term(rules, local)), draw(_term(rules))
    kind = draw(st.integers(0, 11))
    collection = draw(st.sampled_from(_LISTS))
    if kind <= 4:
        return f"{one} {draw(st.sampled_from(operators))} {two}"
    name = draw(st.sampled_from(["x", "y", "z"])) + str(draw(st.integers(0, 99)))
    match kind:
        case 5:
            return f"{one} in {collection}"
        case 6:
            return f"not {one} == {two}"
        case 7:
            return f"every {name} in {collection} {{ {name} {draw(st.sampled_from(operators))} {two} }}"
        case 8:
            return f"some {name} in {collection}\n\t{name} {draw(st.sampled_from(operators))} {one}"
        case 9:
            return f"count({collection}) {draw(st.sampled_from(_ORDERS))} {draw(st.integers(0, 3))}"
        case 10:
            place = draw(st.sampled_from(["input.a", "input.o.b", "data.d.k", "data.flag", "input"]))
            value = _term(0) if operators == _ORDERS else st.sampled_from(_CONSTANTS)  # regopy drops references
            return f"helper with {place} as {draw(value)}"
        case _:
            return f"f({one}) == {two}"


def _body(tests: list[str]) -> str:
    # A semicolon, because a line that begins with a minus would continue the one above, in OPA too.
    return "{\n" + ";\n".join(f"\t{one}" for one in tests) + "\n}"


@st.composite
def _rule(draw: st.DrawFn, number: int, operators: tuple[str, ...]) -> str:  # noqa: PLR0911 - one per kind
    bodies = draw(st.lists(st.lists(_test(number, operators), min_size=1, max_size=3), min_size=1, max_size=2))
    name, kind = f"r{number}", draw(st.integers(0, 8))
    collection, term = draw(st.sampled_from(_LISTS)), draw(_term(number))
    match kind:
        case 0 | 1:
            return "\n".join(f"{name} if {_body(body)}" for body in bodies)
        case 2:
            value = draw(st.sampled_from(_CONSTANTS))
            return f"default {name} := {value}\n{name} := {term} if {_body(bodies[0])}"
        case 3:
            return "\n".join(f"{name} contains {draw(_term(number))} if {_body(body)}" for body in bodies)
        case 4:
            return f"{name}[k] := v if {{\n\tsome k, v in {collection}\n\t{draw(_test(number, operators, 'v'))}\n}}"
        case 5:
            return f"{name} := {term} if {_body(bodies[0])} else := {draw(_term(number))} if {_body(bodies[-1])}"
        case 6:
            test = draw(st.sampled_from(["v != 1", "v in input.list", "f(v)"]))
            return f"{name} := {{v | some v in {collection}; {test}}}"
        case 7:
            return f"{name} := {{k: [v, {term}] | some k, v in {collection}}}"
        case _:
            return f"{name} := count([v | some v in {collection}; not v == {term}])"


@st.composite
def policies(draw: st.DrawFn, *, orders: bool) -> str:
    """A module of package ``t`` with rules ``r0``, ``r1``, …; ``orders``: with what regopy does in its own way."""
    operators = _ORDERS if orders else _EQUALS
    count = draw(st.integers(1, 5))
    rules = [draw(_rule(number, operators)) for number in range(count)]
    tests = [draw(_test(0, operators)).replace("helper", "true").replace("f(", "g(") for _ in range(2)]
    helper = f"helper if {_body(tests)}"
    return (
        "\n\n".join(
            [
                "package t\n\nimport rego.v1",
                'f(x) := "a" if x == 1 else := x if x != null',
                'g(x) := "a" if x == 1',
                helper.replace("true with", "true == true with"),
                *rules,
            ]
        )
        + "\n"
    )
