"""`sprintf`, template strings and templates."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from companyos_sdk.rego.errors import LimitExceeded
from companyos_sdk.rego.values import Set, key
from tests.sdk.rego.builtins.calling import DENIED, REFUSED, Case, call, check, named

PRINTED: list[tuple[str, list[Any], Any]] = [
    ("%s is %d", ["x", 5], "x is 5"),
    ("%v %v %v", [1, 1.5, True], "1 1.5 true"),
    ("%v", [[1, "a", None]], '[1, "a", null]'),
    ("%v", [{"b": Set([2, 1]), "a": Set()}], '{"a": set(), "b": {1, 2}}'),
    ("%v", [{key(1): "x", "k": 1}], '{1: "x", "k": 1}'),
    ("%s", [['q"\n\u200b\x01']], '["q\\"\\n\\u200b\\x01"]'),
    ("%v", [None], "null"),
    ("%s", [5], "%!s(int=5)"),
    ("%d", ["x"], "%!d(string=x)"),
    ("%d", [1.5], "%!d(float64=1.5)"),
    ("%d", [True], "%!d(string=true)"),
    ("%t", [True], "%!t(string=true)"),
    ("%d", [2**70], str(2**70)),
    ("%s", [2**70], str(2**70)),
    ("%q", [2**70], f"%!q(big.Int={2**70})"),
    ("%5d|%-5d|%05d|%+d|% d", [42, 42, 42, 42, 42], "   42|42   |00042|+42| 42"),
    ("%05d", [-42], "-0042"),
    ("%.5d", [42], "00042"),
    ("%x %X %o %b %O", [255, 255, 8, 5, 8], "ff FF 10 101 0o10"),
    ("%#x %#o %#b", [255, 8, 5], "0xff 010 0b101"),
    ("%x", [-255], "-ff"),
    ("%x % x %X", ["hi", "hi", "hi"], "6869 68 69 6869"),
    ("%5s|%-5s|%.2s", ["ab", "ab", "abc"], "   ab|ab   |ab"),
    ("%q", ['a"b'], '"a\\"b"'),
    ("%q", [120], "'x'"),
    ("%c", [228], "ä"),
    ("%U", [228], "U+00E4"),
    ("%f %.2f %8.3f", [1.5, 1.005, 3.14159], "1.500000 1.00    3.142"),
    ("%e %E %g", [1234.5, 1234.5, 1234.5], "1.234500e+03 1.234500E+03 1234.5"),
    ("%v %v %v %v", [1234567.5, 123456.5, 0.00001, 0.0001], "1.2345675e+06 123456.5 1e-05 0.0001"),
    ("%.3g", [1234.5], "1.23e+03"),
    ("%+.1f|%-8.1f|%08.2f", [1.25, 1.5, -1.5], "+1.2|1.5     |-0001.50"),
    ("%T %T %T %T", [1, 1.5, "s", None], "int float64 string string"),
    ("100%%", [], "100%"),
    ("%d %d", [1], "1 %!d(MISSING)"),
    ("%d", [1, "x", 2.5], "1%!(EXTRA string=x, float64=2.5)"),
    ("%", [], "%!(NOVERB)"),
    ("%z", [1], "%!z(int=1)"),
    ("%[1]d", [1], DENIED),
    ("%*d", [5, 1], DENIED),
    ("%#v", ["x"], DENIED),
    ("%05s", ["x"], DENIED),
]

CASES: list[Case] = [
    *(("sprintf", *case) for case in PRINTED),
    ("sprintf", "%s", "x", REFUSED),
    ("sprintf", 1, [], REFUSED),
    (
        "internal.template_string",
        ["a ", Set([1]), Set(), Set(["x"]), Set([["y"]]), None, 2],
        'a 1<undefined>x["y"]null2',
    ),
    ("internal.template_string", [Set([1, 2])], DENIED),
    ("internal.template_string", [[1]], DENIED),
    ("strings.render_template", "{{.a}} {{ .b.c }}", {"a": "x", "b": {"c": 1}}, "x 1"),
    ("strings.render_template", "[{{.missing}}]", {}, "[<undefined>]"),
    (
        "strings.render_template",
        "{{range $i, $n := .names}}{{if $i}},{{end}}hello {{$n}}{{end}}",
        {"names": ["a", "b"]},
        "hello a,hello b",
    ),
    ("strings.render_template", "{{range .l}}<{{.}}>{{else}}none{{end}}", {"l": []}, "none"),
    ("strings.render_template", "{{range $k, $v := .o}}{{$k}}={{$v}};{{end}}", {"o": {"b": 2, "a": 1}}, "a=1;b=2;"),
    ("strings.render_template", "{{if .x}}1{{else if .y}}2{{else}}3{{end}}", {"y": "t"}, "2"),
    ("strings.render_template", "{{with .a}}{{.b}}{{$.c}}{{end}}", {"a": {"b": 1}, "c": 2}, "12"),
    ("strings.render_template", "a {{- .x -}} b{{/* no */}}", {"x": 1}, "a1b"),
    ("strings.render_template", "{{printf .x}}", {"x": 1}, DENIED),
    ("strings.render_template", "{{.x", {"x": 1}, REFUSED),
    ("strings.render_template", "{{if .x}}", {"x": 1}, REFUSED),
    ("strings.render_template", "{{end}}", {}, REFUSED),
    ("strings.render_template", "{{.x.y}}", {"x": 1}, REFUSED),
    ("strings.render_template", "{{$y}}", {}, REFUSED),
    ("strings.render_template", "{{.x}}", {"x": [1]}, DENIED),
    ("strings.render_template", "{{.x}}", [], REFUSED),
]


@named(CASES)
def test_texts_are_put_together_as_opa_does(case: Case) -> None:
    """Texts are put together as opa does."""
    check(case)


@given(st.integers(-(10**6), 10**6), st.integers(0, 12), st.sampled_from(["", "-", "0", "+", " ", "+0"]))
def test_whole_numbers_are_filled_up_as_everywhere(value: int, width: int, flags: str) -> None:
    """Whole numbers are filled up as everywhere."""
    directive = f"%{flags}{width or ''}d"
    assert call("sprintf", directive, [value]) == directive % value


@given(st.floats(-1e6, 1e6), st.integers(0, 8), st.sampled_from("feEgG"))
def test_fractions_are_rounded_as_everywhere(value: float, precision: int, verb: str) -> None:
    """Fractions are rounded as everywhere."""
    directive = f"%12.{precision}{verb}"
    assert call("sprintf", directive, [value]) == directive % value


@given(st.text(st.characters(exclude_categories=["Cs"]), max_size=8), st.integers(0, 9))
def test_strings_are_filled_up_by_characters(text: str, width: int) -> None:
    """Strings are filled up by characters."""
    assert call("sprintf", f"%{width or ''}s", [text]) == text.rjust(width)
    assert call("sprintf", "%s", [text]) == text


@pytest.mark.parametrize(
    ("name", "arguments"),
    [
        ("sprintf", ["%999999999d", [1]]),
        ("sprintf", ["%s" * 30_000, ["x" * 100] * 30_000]),
        ("strings.render_template", ["{{range .a}}" * 60, {"a": [1]}]),
        ("strings.render_template", ["{{range $.a}}" * 9 + "{{end}}" * 9, {"a": list(range(9))}]),
    ],
)
def test_a_text_that_would_be_too_long_is_refused(name: str, arguments: list[Any]) -> None:
    """A text that would be too long is refused."""
    with pytest.raises(LimitExceeded):
        call(name, *arguments)


def test_a_value_that_shares_its_parts_is_not_written_without_end() -> None:
    """A value that shares its parts is not written without end."""
    value: Any = "x"
    for _ in range(60):
        value = [value, value]
    with pytest.raises(LimitExceeded):
        call("sprintf", "%v", [value])
