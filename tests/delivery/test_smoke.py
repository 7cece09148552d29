"""Smoke files: what is taken, what runs beside users, and what an answer is worth."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from companyos.core.errors import InvalidInput, TooLarge
from companyos.delivery.smoke import Answer, Asked, Check, Expected, Judged, judge, read_checks, read_only, request_of
from companyos.goldenpath.archives import load_template
from companyos.goldenpath.rendering import render
from companyos.goldenpath.template import complete

HEAD = "apiVersion: companyos.dev/v1\nkind: Smoke\n"


def check(*, path: str = "/x", status: int = 200, **more: Any) -> Check:
    """Return a check."""
    expect = Expected(status=status, json=more.pop("json", {}), headers=more.pop("headers", {}))
    return Check(name="it works", request=Asked(method="GET", path=path), expect=expect, read_only=True, **more)


def answer(document: Any = None, status: int = 200, headers: Mapping[str, str] | None = None) -> Answer:
    """Return an answer."""
    return Answer(status, headers or {}, b"" if document is None else json.dumps(document).encode())


def test_the_smoke_file_of_the_template_is_taken() -> None:
    """Its read-only checks run, the others do not."""
    from datetime import date

    template = load_template("api-python")
    files = render(template, complete(template.definition, "shop", {}, today=date(2026, 1, 1)))
    checks = read_checks(files["smoke.yaml"][0])
    assert len(checks) > 10
    assert [one.name for one in read_only(checks)] == [
        "health says which build answers",
        "ready for requests",
        "dependencies are up",
        "the interface is described",
    ]


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        ("", "is empty"),
        ("kind: Smoke\nchecks: []", "apiVersion"),
        (HEAD + "checks: 3", "checks"),
        (HEAD + "checks: [{name: a, request: {method: GET, path: x}, expect: {status: 200}}]", "path"),
        (HEAD + "checks: [{name: a, request: {method: BREW, path: /x}, expect: {status: 200}}]", "method"),
        (HEAD + "checks: [{name: a, request: {method: GET, path: /x}, expect: {status: 20}}]", "status"),
        (HEAD + "checks: [{name: a, request: {method: GET, path: /x}, expect: {status: 200, body: x}}]", "body"),
        (
            HEAD + "checks: [{name: a, request: {method: GET, path: /x, headers: {'a b': x}}, expect: {status: 200}}]",
            "headers",
        ),
        (HEAD + "checks: [{name: a, request: {method: GET, path: /x}, expect: {status: 200, json: {x: 1}}}]", "json"),
        (HEAD + "checks: [", "YAML"),
        ("a: &x [1]\nb: *x", "anchor"),
    ],
)
def test_anything_else_is_refused_with_its_place(text: str, fault: str) -> None:
    """One sentence."""
    with pytest.raises(InvalidInput, match=fault):
        read_checks(text.encode())


def test_a_file_has_a_size() -> None:
    """It comes from a service."""
    with pytest.raises(TooLarge):
        read_checks(b"#" * 300_000)


def test_a_check_that_needs_one_that_is_not_run_is_not_run() -> None:
    """It could only fail."""
    checks = (
        check(capture={"seen": "/a"}),
        Check(name="w", request=Asked(method="POST", path="/w"), expect=Expected(status=201), capture={"made": "/id"}),
        check(path="/of/{made}"),
        check(json={"/a": ["{made}"]}, capture={"later": "/b"}),
        check(path="/of/{later}"),
        check(path="/of/{seen}/{nobody}"),
    )
    assert read_only(checks) == (checks[0], checks[5])


def test_what_was_captured_is_filled_in_once() -> None:
    """A service cannot have its words looked at again, and unknown names stay."""
    one = Check(
        name="x",
        request=Asked(method="GET", path="/{a}/{c}", headers={"h": "{a}"}, json={"k": ["{b}", 1]}),
        expect=Expected(status=200),
    )
    asked = request_of(one, {"a": "{b}", "b": "2"})
    assert isinstance(asked, Asked)
    assert (asked.path, asked.headers, asked.json) == ("/{b}/{c}", {"h": "{b}"}, {"k": ["2", 1]})


@pytest.mark.parametrize("value", ["a b", "x\r\nHost: evil", "é", "x" * 3000])
def test_what_is_no_path_is_a_failure(value: str) -> None:
    """A service answers what it likes; nothing of it gets between the lines of a request."""
    judged = request_of(check(path="/{a}"), {"a": value})
    assert isinstance(judged, Judged)
    assert judged.failure.startswith("Smoke check 'it works': expected a plain path and plain headers, got ")
    assert "\n" not in judged.failure


@pytest.mark.parametrize(
    ("one", "got", "failure"),
    [
        (check(), answer(), ""),
        (check(status=204), answer(status=200), "expected status 204, got 200"),
        (check(headers={"Content-Type": "a/b"}), answer(headers={"content-type": "a/b"}), ""),
        (check(headers={"x": "1"}), answer(), "expected x: 1, got none"),
        (check(json={"/a/0/b~1c": 1}), answer({"a": [{"b/c": 1}]}), ""),
        (check(json={"": {"a": 1}}), answer({"a": 1}), ""),
        (check(json={"/a": True}), answer({"a": 1}), "expected true at /a, got 1"),
        (check(json={"/a": 1}), answer({"a": True}), "expected 1 at /a, got true"),
        (check(json={"/a": [{"b": 0}]}), answer({"a": [{"b": False}]}), 'got [{"b":false}]'),
        (check(json={"/a": None}), answer({}), "expected null at /a, got nothing"),
        (check(json={"/a/1": 1}), answer({"a": [1]}), "got nothing"),
        (check(json={"/a/-1": 1}), answer({"a": [1]}), "got nothing"),
        (check(json={"/a": 1.0}), answer({"a": 1}), ""),
        (check(json={"/a": "v{v}"}), answer({"a": "v7"}), ""),
        (check(json={"/a": 1}), Answer(200, {}, b"<html>"), "expected a JSON document"),
        (check(json={"/a": 1}), Answer(200, {}, b"[" * 10_000), "expected a JSON document"),
        (check(capture={"a": "/a"}), answer({}), "expected something at /a, got nothing"),
    ],
)
def test_an_answer_is_what_is_expected_or_the_failure_says_what_came(one: Check, got: Answer, failure: str) -> None:
    """In one sentence that names the check."""
    judged = judge(one, got, {"v": "7"})
    assert failure in judged.failure
    assert (judged.failure == "") == (failure == "")
    if failure:
        assert judged.failure.startswith("Smoke check 'it works': ")
        assert judged.failure.endswith(".")


def test_captures_are_texts() -> None:
    """Of any value, and short."""
    judged = judge(check(capture={"a": "/a", "b": "/b"}), answer({"a": 5, "b": "x" * 9999}), {})
    assert judged.captured == {"a": "5", "b": "x" * 1000}


@given(st.binary(max_size=200), st.dictionaries(st.text(max_size=10), st.text(max_size=20), max_size=3))
def test_no_answer_breaks_the_judge(body: bytes, headers: dict[str, str]) -> None:
    """It says something in one printable line, whatever comes."""
    one = check(json={"/a/0": "{v}"}, headers={"x": "{v}"}, capture={"c": "/b"})
    judged = judge(one, Answer(200, headers, body), {"v": "\n"})
    assert judged.failure.isprintable()
    assert len(judged.failure) < 500
