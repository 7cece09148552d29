from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from companyos_sdk.rego.errors import LimitExceeded
from companyos_sdk.rego.values import Set
from tests.sdk.rego.builtins.calling import DENIED, REFUSED, Case, call, check, named

CASES: list[Case] = [
    ("concat", ",", ["a", "b"], "a,b"),
    ("concat", ",", Set(["b", "a"]), "a,b"),
    ("concat", ",", [], ""),
    ("concat", ",", ["a", 1], REFUSED),
    ("concat", 1, ["a"], REFUSED),
    ("concat", ",", "ab", REFUSED),
    ("contains", "team", "ea", True),
    ("contains", "team", "", True),
    ("contains", ["team"], "team", REFUSED),
    ("startswith", "/api/x", "/api", True),
    ("startswith", "a", None, REFUSED),
    ("endswith", "x.json", ".json", True),
    ("endswith", 1, "1", REFUSED),
    ("indexof", "héllo", "l", 2),
    ("indexof", "abc", "z", -1),
    ("indexof", "abc", "", REFUSED),
    ("indexof_n", "aaa", "aa", [0, 1]),
    ("indexof_n", "abc", "z", []),
    ("indexof_n", "abc", "", REFUSED),
    ("lower", "ÀB", "àb"),
    ("lower", "ΟΔΟΣ", "οδοσ"),
    ("lower", "İ", "i"),
    ("upper", "straße", "STRAßE"),
    ("upper", "ᾳ", "ᾼ"),
    ("upper", 5, REFUSED),
    ("replace", "a-b-c", "-", "+", "a+b+c"),
    ("replace", "abc", "", "-", "-a-b-c-"),
    ("replace", "äb", "", "-", DENIED),
    ("replace", "abc", "b", 1, REFUSED),
    ("strings.replace_n", {"a": "b", "b": "a"}, "abba", "baab"),
    ("strings.replace_n", {"a": "1", "ab": "2"}, "ab", "1b"),
    ("strings.replace_n", {"<": "&lt;"}, "<>", "&lt;>"),
    ("strings.replace_n", {}, "x", "x"),
    ("strings.replace_n", {"a": 1}, "x", REFUSED),
    ("strings.replace_n", {1: "a"}, "x", REFUSED),
    ("split", "a.b.", ".", ["a", "b", ""]),
    ("split", "", ".", [""]),
    ("split", "äb", "", ["ä", "b"]),
    ("split", "", "", []),
    ("split", "a", None, REFUSED),
    ("substring", "abcde", 1, 2, "bc"),
    ("substring", "äöü", 1, -1, "öü"),
    ("substring", "abc", 3, 5, ""),
    ("substring", "abc", 9, -1, ""),
    ("substring", "abc", -1, 2, REFUSED),
    ("substring", "", -1, 2, REFUSED),
    ("substring", "abc", 1.0, 2, REFUSED),
    ("substring", "abc", 2**70, 2, REFUSED),
    ("strings.count", "cheese", "e", 3),
    ("strings.count", "aaa", "aa", 1),
    ("strings.count", "aé", "", 3),
    ("strings.reverse", "aé💶", "💶éa"),
    ("strings.any_prefix_match", "abc", "ab", True),
    ("strings.any_prefix_match", ["x", "abc"], Set(["ab", "q"]), True),
    ("strings.any_prefix_match", [], ["a"], False),
    ("strings.any_prefix_match", ["a"], [], False),
    ("strings.any_prefix_match", ["a"], [1], REFUSED),
    ("strings.any_prefix_match", {"a": "b"}, "a", REFUSED),
    ("strings.any_suffix_match", Set(["a.go"]), [".py", ".go"], True),
    ("strings.any_suffix_match", "a.go", ".py", False),
    ("strings.any_suffix_match", 1, ".py", REFUSED),
    ("trim", "xyaxx", "xy", "a"),
    ("trim", "aba", "", "aba"),
    ("trim_left", "xxax", "x", "ax"),
    ("trim_right", "xaxx", "x", "xa"),
    ("trim_prefix", "foobar", "foo", "bar"),
    ("trim_prefix", "foofoo", "foo", "foo"),
    ("trim_suffix", "foobar", "bar", "foo"),
    ("trim_suffix", "foobar", "", "foobar"),
    ("trim_space", " \t\u2003a b\u00a0\n", "a b"),
    ("trim_space", "\u200ba\u001c", "\u200ba\u001c"),
    ("trim_space", None, REFUSED),
]


@named(CASES)
def test_strings_are_what_opa_makes_of_them(case: Case) -> None:
    """Strings are what opa makes of them."""
    check(case)


@given(st.text("ab", max_size=8), st.text("ab", min_size=1, max_size=3))
def test_the_places_of_a_part_are_where_it_stands(text: str, part: str) -> None:
    """The places of a part are where it stands."""
    places = [place for place in range(len(text)) if text[place:].startswith(part)]
    assert call("indexof_n", text, part) == places
    assert call("indexof", text, part) == (places[0] if places else -1)


@given(st.dictionaries(st.text("ab", min_size=1, max_size=2), st.text("xy", max_size=2)), st.text("ab", max_size=8))
def test_replacing_many_goes_from_left_to_right_and_takes_the_smallest_key(pairs: dict[str, str], text: str) -> None:
    """Replacing many goes from left to right and takes the smallest key."""
    expected, place = "", 0
    while place < len(text):
        key = next((key for key in sorted(pairs) if text.startswith(key, place)), None)
        expected += text[place] if key is None else pairs[key]
        place += 1 if key is None else len(key)
    assert call("strings.replace_n", pairs, text) == expected


@pytest.mark.parametrize(
    ("name", "arguments"),
    [
        ("concat", ["x" * 1000, ["y"] * 10_000]),
        ("replace", ["a" * 100_000, "a", "b" * 1000]),
        ("strings.replace_n", [{"a": "b" * 1000}, "a" * 100_000]),
        ("split", ["a," * 200_000, ","]),
        ("indexof_n", ["a" * 200_000, "a"]),
        ("indexof_n", ["a" * 200_000, "a" * 20_000]),
    ],
)
def test_a_result_that_is_too_large_is_refused(name: str, arguments: list[object]) -> None:
    """A result that is too large is refused."""
    with pytest.raises(LimitExceeded):
        call(name, *arguments)
