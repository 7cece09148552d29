from __future__ import annotations

import asyncio
import json
import logging
from typing import Any

import msgspec
import pytest
from litestar import get
from litestar.exceptions import HTTPException, ValidationException

from companyos.core import errors
from companyos.core.errors import BY_SLUG, CompanyOSError, TooManyRequests
from companyos.server.app import Application
from companyos.server.asgi import App, Message, Receive, Scope, Send
from companyos.server.problems import ProblemLayer, fault_of
from tests.server.web import Web, problem

SECRET = "postgresql://user:hunter2@db"  # what a trace might hold


@pytest.mark.parametrize("kind", BY_SLUG.values(), ids=BY_SLUG)
def test_each_kind_keeps_its_status_sentence_and_next_step(kind: type[CompanyOSError]) -> None:
    """What a use case raised is what the caller is told."""
    fault = fault_of(kind("The thing is wrong.", next_step="Mend it."))
    assert (fault.status, fault.slug, fault.title) == (kind.status, kind.slug, kind.title)
    assert (fault.detail, fault.next_step, fault.expected) == ("The thing is wrong.", "Mend it.", True)


def test_waiting_and_signing_in_have_their_headers() -> None:
    """429 says how long to wait (RFC 6585 §4), 401 how to authenticate (RFC 9110 §11.6.1)."""
    assert fault_of(TooManyRequests("x", retry_after_s=7)).headers == (("retry-after", "7"),)
    assert fault_of(errors.Unauthenticated("x")).headers[0][0] == "www-authenticate"


def test_a_field_that_does_not_validate_is_named() -> None:
    """The framework's list of messages becomes one sentence with the field; its own wording, with the address, goes."""
    fault = fault_of(
        ValidationException(
            detail="Validation failed for GET http://h/?code=secret",
            extra=[{"message": "Expected int", "key": "limit"}],
        )
    )
    assert (fault.status, fault.field, fault.detail) == (400, "limit", "limit: Expected int.")


def test_a_body_that_does_not_decode_is_explained() -> None:
    """A msgspec error names its path."""
    with pytest.raises(msgspec.ValidationError) as caught:
        msgspec.json.decode(b'{"a": {"b": "x"}}', type=dict[str, dict[str, int]])
    fault = fault_of(caught.value)
    assert (fault.status, fault.field) == (400, "[...][...]")
    with pytest.raises(msgspec.DecodeError) as broken:
        msgspec.json.decode(b"{")
    assert fault_of(broken.value).status == 400


@pytest.mark.parametrize(
    "exception",
    [RuntimeError(SECRET), KeyError(SECRET), HTTPException(detail=SECRET, status_code=500), AssertionError(SECRET)],
    ids=lambda exception: type(exception).__name__,
)
def test_the_text_of_an_unexpected_fault_stays_here(exception: Exception) -> None:
    """A fault of ours is a 500 without its text, and is marked for the log."""
    fault = fault_of(exception)
    assert (fault.status, fault.slug, fault.expected) == (500, "internal", False)
    assert "hunter2" not in fault.detail


def _broken(app: Application) -> None:
    @get("/api/broken", sync_to_thread=True)
    def broken() -> None:
        raise RuntimeError(SECRET)

    app.litestar.register(broken)


def test_an_unhandled_fault_is_a_problem_and_one_log_line(
    app: Application, admin: Web, caplog: pytest.LogCaptureFixture
) -> None:
    """The caller gets a request id and nothing else; the log has the trace under that id, once."""
    _broken(app)
    with caplog.at_level(logging.ERROR):
        answer = admin("GET", "/api/broken")
    found = problem(answer, 500, "internal")
    assert "hunter2" not in answer.text
    assert "Traceback" not in answer.text
    lines = [record for record in caplog.records if record.levelno >= logging.ERROR]
    assert [record.getMessage() for record in lines] == ["unhandled fault"]
    assert vars(lines[0])["request_id"] == found["request_id"]


def test_unknown_addresses_and_methods_are_problems(admin: Web) -> None:
    """The router's refusals have our shape; 405 lists what the address takes (RFC 9110 §15.5.6)."""
    problem(admin("GET", "/api/nothing"), 404, "not-found")
    answer = admin("DELETE", "/api/tokens")
    problem(answer, 405, "method-not-allowed")
    assert answer.headers["allow"] == "GET, HEAD, OPTIONS, POST"
    answer = admin("GET", "/api/csp-reports")
    problem(answer, 405, "method-not-allowed")
    assert answer.headers["allow"] == "POST"


@pytest.mark.parametrize(
    ("content", "slug", "status"),
    [
        (b'{"name": ', "invalid-input", 400),
        (b"[]", "invalid-input", 400),
        (b"\xff", "invalid-input", 400),
        (b"[" * 2000, "invalid-input", 400),
        (b'{"name": "a", "name": "b", "extra": 1}', "invalid-input", 400),
        (b'{"name": "' + b"a" * 5000 + b'"}', "too-large", 413),
    ],
    ids=["cut off", "wrong type", "not UTF-8", "deep", "unknown field", "too large"],
)
def test_bad_bodies_are_problems(app: Application, admin: Web, content: bytes, slug: str, status: int) -> None:
    """Whatever the body, the answer is a problem and nothing changes."""
    before = app.journal.size()
    problem(admin("POST", "/api/subjects", content=content, headers={"content-type": "application/json"}), status, slug)
    assert app.journal.size() == before


@pytest.mark.parametrize(
    "media_type", ["text/plain", "application/x-www-form-urlencoded", "multipart/form-data; boundary=x", "nonsense"]
)
def test_a_body_of_another_type_is_refused(admin: Web, media_type: str) -> None:
    """JSON that calls itself something else is not read: browsers may send that across sites."""
    answer = admin("POST", "/api/subjects", content=b'{"name": "a"}', headers={"content-type": media_type})
    assert "application/json" in problem(answer, 415, "unsupported-media-type")["detail"]


def test_a_person_sees_a_page(browser: Web) -> None:
    """A browser that asks for a page gets the same problem as one, with the same status."""
    answer = browser("GET", "/nothing", headers={"accept": "text/html"})
    assert answer.status_code == 404
    assert answer.headers["content-type"].startswith("text/html")
    assert "There is nothing at this address." in answer.text
    assert answer.headers["x-request-id"] in answer.text


def test_a_fault_after_the_first_byte_breaks_the_connection(caplog: pytest.LogCaptureFixture) -> None:
    """Half an answer must not look whole: the layer logs the fault and raises, and the server cuts the connection."""
    sent: list[Message] = []

    async def half(_scope: Scope, _receive: Receive, send: Send) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": []})
        raise RuntimeError("half way")

    with pytest.raises(ConnectionAbortedError):
        asyncio.run(_call(half, sent))
    assert [message["type"] for message in sent] == ["http.response.start"]
    assert [record.getMessage() for record in caplog.records] == ["unhandled fault"]


def test_denials_are_handed_to_the_record_before_the_answer() -> None:
    """What is expected is recorded once, and the answer follows."""
    sent: list[Message] = []
    recorded: list[CompanyOSError] = []

    async def denied(_scope: Scope, _receive: Receive, _send: Send) -> None:
        raise errors.Denied("No.", action="a.b", resource="c")

    asyncio.run(_call(denied, sent, recorded))
    assert [str(fault) for fault in recorded] == ["No."]
    assert sent[0]["status"] == 403
    assert json.loads(sent[1]["body"])["detail"] == "No."


async def _call(app: App, sent: list[Message], recorded: list[CompanyOSError] | None = None) -> None:
    async def record(_scope: Scope, fault: CompanyOSError) -> None:
        assert not sent
        assert recorded is not None
        recorded.append(fault)

    async def receive() -> Message:
        raise AssertionError

    async def send(message: Message) -> None:
        sent.append(message)

    scope: dict[str, Any] = {"type": "http", "method": "GET", "path": "/", "headers": []}
    layer = ProblemLayer(app, allowed_methods=lambda _path: (), record=record, page=lambda _scope, _problem: "")
    await layer(scope, receive, send)
