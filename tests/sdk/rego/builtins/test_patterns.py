"""Regular expressions and globs."""

from __future__ import annotations

import fnmatch
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from companyos_sdk.rego.builtins import packages, regexes
from companyos_sdk.rego.errors import EvaluationError, LimitExceeded
from tests.needs import needs
from tests.sdk.rego.builtins.calling import DENIED, REFUSED, Case, call, check, named

CASES: list[Case] = [
    ("regex.match", "^a+$", "aaa", True),
    ("regex.match", "b", "abc", True),
    ("regex.match", "^b", "abc", False),
    ("regex.match", "a$", "a\n", False),
    ("regex.match", r"\pL\p{Greek}", "aλ", True),
    ("regex.match", "(?i)É", "é", True),
    ("regex.match", "(", "x", REFUSED),
    ("regex.match", "(?=a)", "a", REFUSED),
    ("regex.match", r"(a)\1", "aa", REFUSED),
    ("regex.match", r"\C", "a", REFUSED),
    ("regex.match", r"\\C", "\\C", True),
    ("regex.match", 1, "a", REFUSED),
    ("regex.match", "a", None, REFUSED),
    ("regex.match", "a", "\ud800", DENIED),
    ("regex.is_valid", "[a-z]+", True),
    ("regex.is_valid", "[a-z", False),
    ("regex.is_valid", 5, False),
    ("regex.split", "a+", "bananaax", ["b", "n", "n", "x"]),
    ("regex.split", "", "äb", ["ä", "b"]),
    ("regex.split", "x", "", [""]),
    ("regex.split", "b", "ab", ["a", ""]),
    ("regex.find_n", "a.", "paranormal", -1, ["ar", "an", "al"]),
    ("regex.find_n", "a.", "paranormal", 2, ["ar", "an"]),
    ("regex.find_n", "a.", "paranormal", 0, []),
    ("regex.find_n", "z", "paranormal", -1, []),
    ("regex.find_n", "x*", "äxb", -1, ["", "x", ""]),
    ("regex.find_n", "^a", "aaa", -1, ["a"]),
    ("regex.find_n", "a", "a", 1.0, REFUSED),
    ("regex.find_all_string_submatch_n", "a(x*)b(y)?", "-axxb-aby", -1, [["axxb", "xx", ""], ["aby", "", "y"]]),
    ("regex.find_all_string_submatch_n", "a", "b", -1, []),
    ("regex.replace", "-wy-wxxy-", "w(x*)y", "$1", "--xx-"),
    ("regex.replace", "foo bar", "(?P<one>f)(o+)", "${2}${one}", "oof bar"),
    ("regex.replace", "foo", "(o)", "$1x", "f"),
    ("regex.replace", "foo", "(o)", "${1}x", "foxox"),
    ("regex.replace", "foo", "o", "$$", "f$$"),
    ("regex.replace", "foo", "o", "$", "f$$"),
    ("regex.replace", "foo", "o", "${1", "f${1${1"),
    ("regex.replace", "foo", "o", "$9$01", "f"),
    ("regex.replace", "äb", "", "-", "-ä-b-"),
    ("regex.replace", "abc", "x*", "-", "-a-b-c-"),
    ("regex.replace", "aaa", "^a", "b", "baa"),
    ("regex.replace", "foo", "[", "x", REFUSED),
    ("regex.template_match", "urn:foo:{.*}", "urn:foo:bar:baz", "{", "}", True),
    ("regex.template_match", "urn:foo:<[0-9]{2}>", "urn:foo:123", "<", ">", False),
    ("regex.template_match", "a.c<x+>", "abcx", "<", ">", False),
    ("regex.template_match", "a<b", "ab", "<", ">", REFUSED),
    ("regex.template_match", "a>b", "ab", "<", ">", REFUSED),
    ("regex.template_match", "a", "a", "<<", ">", REFUSED),
    ("regex.globs_match", "a.a.[0-9]+z", ".b.b2359825792*594823z", True),
    ("regex.globs_match", "[a-z]+", "[0-9]*", False),
    ("regex.globs_match", "a*", "b*", False),
    ("regex.globs_match", "a*b", "b", True),
    ("regex.globs_match", ".*x", "[a-c]+", False),
    ("regex.globs_match", "a+a+", "a", False),
    ("regex.globs_match", "pqrs]", "[a-b]+", REFUSED),
    ("regex.globs_match", "[b-a]", "a", REFUSED),
    ("regex.globs_match", "*a", "a", REFUSED),
    ("regex.globs_match", "", "", DENIED),
    ("glob.match", "*.github.com", [], "api.github.com", True),
    ("glob.match", "*.github.com", ["."], "api.cdn.github.com", False),
    ("glob.match", "*hub.com", None, "api.cdn.github.com", True),
    ("glob.match", "**.github.com", ["."], "api.cdn.github.com", True),
    ("glob.match", "*:github:*", [":"], "api:github:com", True),
    ("glob.match", "*:github:*", [":"], "a:b:github:com", False),
    ("glob.match", "?at", [], "cat", True),
    ("glob.match", "?at", [], ".at", False),
    ("glob.match", "?at", None, ".at", True),
    ("glob.match", "[abc]at", [], "bat", True),
    ("glob.match", "[!abc]at", [], "bat", False),
    ("glob.match", "[!abc]at", [], ".at", True),
    ("glob.match", "[a-c]at", [], "bat", True),
    ("glob.match", "[!a-c]at", [], "bat", False),
    ("glob.match", "{cat,bat,[fr]at}", [], "rat", True),
    ("glob.match", "{cat,bat,[fr]at}", [], "sat", False),
    ("glob.match", "a{,b{c,d}}e", [], "abde", True),
    ("glob.match", "a{,b{c,d}}e", [], "ae", True),
    ("glob.match", "{a,b", [], "b", True),
    ("glob.match", "a}b,c", [], "a}b,c", True),
    ("glob.match", r"\*\{a,b\}", [], "*{a,b}", True),
    ("glob.match", r"a\\b", [], "a\\b", True),
    ("glob.match", "a^b$(c)|+", [], "a^b$(c)|+", True),
    ("glob.match", "**", [], "a\nb", True),
    ("glob.match", "", [], "", True),
    ("glob.match", "*", [], "", True),
    ("glob.match", "[]", [], "a", REFUSED),
    ("glob.match", "[a", [], "a", REFUSED),
    ("glob.match", "[a-cx]", [], "a", REFUSED),
    ("glob.match", "[z-a]", [], "a", REFUSED),
    ("glob.match", "a", [".."], "a", REFUSED),
    ("glob.match", "a", [1], "a", REFUSED),
    ("glob.match", "a", ".", "a", REFUSED),
    ("glob.match", "a", [], 1, REFUSED),
    ("glob.quote_meta", "*.git{hub}[x]?\\", r"\*.git\{hub\}\[x\]\?\\"),
]


@needs("rego")
@named(CASES)
def test_patterns_match_what_opa_matches(case: Case) -> None:
    """Patterns match what opa matches."""
    check(case)


@needs("rego")
@given(st.text("ab*?.", max_size=6), st.text("ab.", max_size=6))
def test_a_glob_without_delimiters_is_the_one_of_a_shell(pattern: str, text: str) -> None:
    """A glob without delimiters is the one of a shell."""
    assert call("glob.match", pattern, None, text) == fnmatch.fnmatchcase(text, pattern)


@needs("rego")
@given(st.text("*?[]{}\\,!-ab.^", max_size=8), st.text("*?[]{}\\,!-ab.^", max_size=8))
def test_a_quoted_pattern_matches_itself_alone(text: str, other: str) -> None:
    """A quoted pattern matches itself alone."""
    quoted = call("glob.quote_meta", text)
    assert call("glob.match", quoted, [], text) is True
    assert call("glob.match", quoted, [], other) == (text == other)


@needs("rego")
@given(st.text("ab", max_size=7), st.sampled_from(["a", "a*", "a|b", "(a)(b)?", "^a", "b$", "", "a+b"]))
def test_all_places_are_those_that_python_finds(text: str, pattern: str) -> None:
    """All places are those that python finds."""
    found, last = [], -1
    for match in re.finditer(pattern, text):
        if match.group() or match.start() != last:
            found.append(match.group())
        last = match.end()
    assert call("regex.find_n", pattern, text, -1) == found
    assert call("regex.find_n", pattern, text, 2) == found[:2]
    groups = call("regex.find_all_string_submatch_n", pattern, text, -1)
    assert [one[0] for one in groups] == found


@given(st.text("ab.*+", max_size=5), st.text("ab.*+", max_size=5), st.text("ab", min_size=1, max_size=4))
def test_globs_that_match_one_string_intersect(one: str, two: str, text: str) -> None:
    """Globs that match one string intersect."""
    try:
        found = call("regex.globs_match", one, two)
    except EvaluationError:
        return
    assert call("regex.globs_match", two, one) == found
    if re.fullmatch(one, text) and re.fullmatch(two, text):
        assert found is True


@needs("rego")
@pytest.mark.parametrize(
    ("name", "arguments"),
    [
        ("regex.match", ["a" * 20_000, "a"]),
        ("regex.match", ["(?:a{1,100}){1,10}" * 20, "a" * 1_000_000]),
        ("regex.find_n", ["a", "a" * 200_000, -1]),
        ("regex.replace", ["a" * 20_000, "a", "b" * 1_000]),
        ("glob.match", ["{" * 1_000, [], "a"]),
        ("glob.match", ["a" * 3_000, [], "a"]),
        ("regex.globs_match", ["a*" * 1_000, "a*"]),
    ],
)
def test_a_pattern_or_result_that_is_too_large_is_refused(name: str, arguments: list[object]) -> None:
    """A pattern or result that is too large is refused."""
    with pytest.raises(LimitExceeded):
        call(name, *arguments)


@needs("rego")
def test_a_pattern_that_explodes_elsewhere_is_matched_in_linear_time() -> None:
    """A pattern that explodes elsewhere is matched in linear time."""
    assert call("regex.match", "^(a+)+$", "a" * 100_000 + "b") is False
    assert call("glob.match", "*a" * 200, None, "a" * 20_000 + "b") is False


def test_without_the_package_the_functions_are_refused_with_the_name_of_the_extra(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Without its package a function is refused, and the reason names the extra that brings it."""
    monkeypatch.setattr(regexes, "available", lambda: False)
    monkeypatch.setattr("companyos_sdk.rego.builtins.regexes.importlib.util.find_spec", lambda _: None)
    assert packages.missing("count") is None
    assert "companyos-sdk[regex]" in str(packages.missing("regex.match"))
    assert "companyos-sdk[schema]" in str(packages.missing("json.match_schema"))
    assert "companyos-sdk[yaml]" in str(packages.missing("yaml.unmarshal"))
