from __future__ import annotations

import contextlib
from collections.abc import Generator
from urllib.parse import parse_qsl, unquote, urlsplit

import pytest
from hypothesis import given
from hypothesis import strategies as st

from companyos.core.api import ANSWER_LIMIT_BYTES, Client, fault_of
from companyos.core.errors import (
    BY_SLUG,
    CompanyOSError,
    Conflict,
    Denied,
    InvalidInput,
    NotFound,
    TooLarge,
    TooManyRequests,
    Unavailable,
)
from companyos.core.transport import Exchange, Request

PROBLEM = {"content-type": "application/problem+json"}
JSON = {"content-type": "application/json"}


class Canned:
    """A transport that gives one prepared answer and keeps what it was asked."""

    def __init__(self, status: int = 200, headers: dict[str, str] | None = None, *pieces: bytes) -> None:
        """Take the answer."""
        self.answer = Exchange(status, headers or JSON, iter(pieces))
        self.asked: list[Request] = []

    @contextlib.contextmanager
    def exchange(self, request: Request) -> Generator[Exchange, None, None]:
        """Give the answer."""
        self.asked.append(request)
        yield self.answer


def test_body_goes_out_and_comes_back_as_json() -> None:
    """Anything msgspec encodes is sent; the decoded answer comes with its headers."""
    transport = Canned(201, {**JSON, "etag": '"1"'}, b'{"name"', b': "checkout"}')
    answer = Client(transport, "here").ask(
        "POST", "/api/services", json={"name": "checkout"}, headers={"If-Match": "*"}
    )
    assert (answer.value, answer.status, answer.headers["etag"]) == ({"name": "checkout"}, 201, '"1"')
    (request,) = transport.asked
    assert request.body == b'{"name":"checkout"}'
    assert request.headers["content-type"] == "application/json"
    assert request.headers["if-match"] == "*"
    assert request.headers["user-agent"].startswith("companyos/")


def test_raw_body_keeps_its_type() -> None:
    """A manifest is sent as it is."""
    transport = Canned(204)
    assert (
        Client(transport, "here").ask("POST", "/x", content=b"a: 1", headers={"Content-Type": "x/yaml"}).value is None
    )
    assert transport.asked[0].body == b"a: 1"
    assert transport.asked[0].headers["content-type"] == "x/yaml"


def test_parameters_leave_out_none_and_repeat_lists() -> None:
    """None is no parameter, False is `false`, and a list repeats its name."""
    transport = Canned(200, None, b"[]")
    Client(transport, "here").get("/a", {"cursor": None, "dry": False, "tag": ["x&y", "z"], "limit": 5})
    query = parse_qsl(urlsplit(transport.asked[0].target).query)
    assert query == [("dry", "false"), ("tag", "x&y"), ("tag", "z"), ("limit", "5")]


@given(st.text(st.characters(codec="utf-8"), max_size=30))
def test_no_name_can_break_out_of_its_path(name: str) -> None:
    """Whatever stands in a path, the request line has one target without spaces and control characters."""
    transport = Canned(200, None, b"{}")
    Client(transport, "here").get(f"/api/services/{name}")
    target = transport.asked[0].target
    assert all("!" <= character <= "~" for character in target)
    assert "?" not in target
    assert "#" not in target
    if "%" not in name:
        assert unquote(target) == f"/api/services/{name}"


@pytest.mark.parametrize("kind", list(BY_SLUG.values()))
def test_problem_becomes_the_fault_that_was_raised(kind: type[CompanyOSError]) -> None:
    """Each kind keeps its class, and with it the exit code, across the wire."""
    problem = {
        "type": f"https://companyos.dev/problems/{kind.slug}",
        "title": kind.title,
        "status": kind.status,
        "detail": "A sentence.",
        "next_step": "A step.",
        "field": "spec.owner",
    }
    fault = fault_of(kind.status, problem, {})
    assert type(fault) is kind
    assert (str(fault), fault.next_step, fault.field) == ("A sentence.", "A step.", "spec.owner")


@pytest.mark.parametrize(
    ("status", "kind", "exit_code"),
    [(409, Conflict, 1), (403, Denied, 1), (404, NotFound, 1), (421, InvalidInput, 2), (502, CompanyOSError, 3)],
)
def test_unknown_kind_is_told_by_its_status(status: int, kind: type[CompanyOSError], exit_code: int) -> None:
    """A kind of another release, or a proxy's own page, ends with the exit code of its status."""
    fault = fault_of(status, {"type": "https://elsewhere/new-kind"}, {})
    assert type(fault) is kind
    assert fault.exit_code == exit_code
    assert str(status) in str(fault)


def test_wait_comes_from_the_header() -> None:
    """Too many requests say how long to wait, and a nonsensical header does not end in a crash."""
    for header, seconds in (({"retry-after": "7"}, 7), ({"retry-after": "soon"}, 60), ({}, 60)):
        fault = fault_of(429, {}, header)
        assert isinstance(fault, TooManyRequests)
        assert fault.retry_after_s == seconds


@pytest.mark.parametrize("body", [b"<html>", b"[1]", b"", b"[" * 100_000])
def test_fault_without_a_problem_object_is_still_a_fault(body: bytes) -> None:
    """Whatever a proxy puts into the body, the status decides."""
    with pytest.raises(NotFound):
        Client(Canned(404, PROBLEM, body), "here").get("/x")


def test_answer_that_is_no_json_is_unavailable() -> None:
    """A page that claims to be JSON is no answer."""
    with pytest.raises(Unavailable, match="not JSON"):
        Client(Canned(200, JSON, b"<html>"), "here").get("/x")


def test_redirect_is_not_followed() -> None:
    """A token must not travel to another place."""
    with pytest.raises(Unavailable, match="elsewhere"):
        Client(Canned(302, {"location": "https://elsewhere/"}), "here").get("/x")


def test_answer_over_the_limit_is_given_up() -> None:
    """An endless answer ends at the limit."""
    piece = b" " * 1_000_000
    transport = Canned(200, JSON, *([piece] * (ANSWER_LIMIT_BYTES // len(piece) + 1)))
    with pytest.raises(TooLarge):
        Client(transport, "here").get("/x")


def test_stream_gives_pieces_and_raises_before_the_first() -> None:
    """A long answer is handed on piece by piece; a fault comes instead of a piece."""
    assert list(Client(Canned(200, JSON, b"a", b"b"), "here").stream("/x")) == [b"a", b"b"]
    with pytest.raises(Denied):
        next(Client(Canned(403, PROBLEM, b"{}"), "here").stream("/x"))


def test_body_of_an_error_status_can_be_the_answer() -> None:
    """`GET /status` answers 503 with the parts that are down; whoever asks for it gets the body."""
    transport = Canned(503, JSON, b'{"status": "down"}')
    assert Client(transport, "here").ask("GET", "/status", also={503}).value == {"status": "down"}


def test_path_without_a_slash_is_a_mistake_in_the_program() -> None:
    """A relative path would be glued to the port."""
    with pytest.raises(ValueError, match="slash"):
        Client(Canned(), "here").get("api")
