from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from typing import Any

import pytest

from companyos_sdk.asgi import PUBLIC, PolicyMiddleware, Target
from companyos_sdk.policy.decider import Decider
from companyos_sdk.policy.decision import Decision
from companyos_sdk.policy.enforcing import Enforcer
from companyos_sdk.policy.record import MemoryRecorder
from tests.sdk.policy.fakes import ALLOW, BUNDLE, Policy

MASK = {"id": "mask_fields", "fields": ["iban", "items[].iban"]}
MFA = {"id": "require_mfa"}
JSON = [(b"Content-Type", b"application/json; charset=utf-8"), (b"ETag", b'"1"'), (b"content-length", b"1")]


class Service:
    """What decides and enforces, as far as the middleware needs it."""

    def __init__(self, *obligations: dict[str, Any], decision: str = "allow", limit: int | None = None) -> None:
        self.log = MemoryRecorder(limit)
        answer = {"decision": decision, "reason": "role.bound", "obligations": list(obligations)}
        self.decider = Decider(Policy(answer), BUNDLE, self.log)
        self.enforcer = Enforcer(self.log)

    def authorize(self, *request: Any) -> Decision:
        """Decide."""
        return self.decider.authorize(*request)


class Answer:
    """What came out."""

    def __init__(self, sent: list[Any]) -> None:
        self.sent = sent
        self.status: int = sent[0]["status"]
        self.headers = {name.decode().lower(): value.decode() for name, value in sent[0]["headers"]}
        self.body = b"".join(message.get("body", b"") for message in sent[1:])

    def json(self) -> Any:
        """The body."""
        return json.loads(self.body)


def app(body: bytes = b'{"iban": "DE1", "n": 1}', *, status: int = 200, headers: Any = JSON, parts: int = 1) -> Any:
    """An application that answers this, and notes the scopes that it saw."""

    async def made(scope: Any, receive: Any, send: Any) -> None:
        made.scopes.append(scope)  # type: ignore[attr-defined] # a function can have attributes
        await send({"type": "http.response.start", "status": status, "headers": headers})
        size = max(1, -(-len(body) // parts))
        for start in range(0, max(len(body), 1), size):
            part = body[start : start + size]
            await send({"type": "http.response.body", "body": part, "more_body": start + size < len(body)})

    made.scopes = []  # type: ignore[attr-defined] # as above
    return made


def scope_of(kind: str = "http", path: str = "/documents/1", method: str = "GET") -> dict[str, Any]:
    """A request."""
    return {
        "type": kind,
        "method": method,
        "path": path,
        "headers": [(b"range", b"bytes=0-1"), (b"accept", b"*/*")],
        "client": ("10.0.0.1", 1234),
        "extensions": {"http.response.pathsend": {}},
        "state": {"kept": 1},
    }


def wrapped(inner: Any, service: Service, **more: Any) -> PolicyMiddleware:
    """The middleware as a service uses it."""
    given: dict[str, Any] = {
        "target": lambda scope: PUBLIC if scope["path"] == "/" else Target(scope["method"], {"id": scope["path"]}),
        "subject": lambda _: {"id": "u1", "type": "user"},
        **more,
    }
    return PolicyMiddleware(inner, service, **given)


def run(middleware: PolicyMiddleware, scope: dict[str, Any]) -> list[Any]:
    """All messages that the middleware sends."""
    sent: list[Any] = []

    async def receive() -> Any:
        return {"type": "websocket.connect"} if scope["type"] == "websocket" else {"type": "http.request", "body": b""}

    async def send(message: Any) -> None:
        sent.append(message)

    asyncio.run(middleware(scope, receive, send))
    return sent


def asked(inner: Any, service: Service, scope: dict[str, Any] | None = None, **more: Any) -> Answer:
    """The answer to a request."""
    return Answer(run(wrapped(inner, service, **more), scope or scope_of()))


def test_an_allowed_request_passes_with_its_decision_and_audit_id() -> None:
    """The application finds the decision in the scope; the answer streams through unchanged but for the header."""
    inner, service = app(parts=3), Service()
    sent = run(wrapped(inner, service), scope_of())
    answer = Answer(sent)
    assert (answer.status, answer.body, len(sent)) == (200, b'{"iban": "DE1", "n": 1}', 4)
    (record,) = service.log.decoded()
    assert answer.headers["x-audit-id"] == record["audit_id"]
    (scope,) = inner.scopes
    assert scope["companyos.decision"].audit_id == scope["state"]["companyos.decision"].audit_id == record["audit_id"]
    assert scope["state"]["kept"] == 1
    assert (record["action"], record["resource"]["id"], record["subject"]["id"]) == ("GET", "/documents/1", "u1")


def test_a_denied_request_never_reaches_the_application() -> None:
    """The problem says the reason and the audit id."""
    inner, service = app(), Service(decision="deny")
    answer = asked(inner, service)
    assert (answer.status, answer.headers["content-type"]) == (403, "application/problem+json")
    assert answer.json()["reason"] == "role.bound"
    assert answer.json()["audit_id"] == answer.headers["x-audit-id"] == service.log.decoded()[0]["audit_id"]
    assert inner.scopes == []


def test_what_is_public_is_not_decided() -> None:
    """Only where the service says so by name."""
    inner, service = app(), Service(decision="deny")
    assert asked(inner, service, scope_of(path="/")).status == 200
    assert service.log.lines == []


@pytest.mark.parametrize("target", [None, True, ("read", {}), "PUBLIC"])
def test_a_target_that_is_none_is_an_error_not_access(target: Any) -> None:
    """A forgotten address is not a public one."""
    inner = app()
    with pytest.raises(TypeError, match="Target or PUBLIC"):
        asked(inner, Service(), target=lambda _: target)
    assert inner.scopes == []


def test_nobody_signed_in_is_a_401() -> None:
    """Without a subject nothing is decided."""
    inner, service = app(), Service()
    answer = asked(inner, service, subject=lambda _: None)
    assert (answer.status, inner.scopes, service.log.lines) == (401, [], [])


def test_functions_may_be_coroutine_functions() -> None:
    """Looking up a session may take a while."""

    async def target(scope: Any) -> Target:
        return Target("read", {"id": "1"}, {"approval_ticket": "T"})

    async def subject(scope: Any) -> dict[str, Any]:
        return {"id": "u2"}

    async def environment(scope: Any) -> dict[str, Any]:
        return {"time": "now"}

    service = Service()
    assert asked(app(), service, target=target, subject=subject, environment=environment).status == 200
    assert service.log.decoded()[0]["inputs"] == {"action": "read", "subject.id": "u2", "context.approval_ticket": "T"}


def test_what_comes_first_is_judged_by_the_facts_of_the_session() -> None:
    """Without a second factor a 403 that says what is needed."""
    inner = app()
    answer = asked(inner, Service(MFA))
    assert answer.status == 403
    assert answer.json()["needs"] == [
        {"what": "Sign in again with a second factor.", "error": "insufficient_user_authentication"}
    ]
    assert answer.json()["obligations"] == [{"id": "require_mfa", "type": "require_mfa", "outcome": "unmet"}]
    assert inner.scopes == []
    assert asked(inner, Service(MFA), facts=lambda _: {"amr": ["mfa"]}).status == 200


@pytest.mark.parametrize("parts", [1, 2, 7])
@pytest.mark.parametrize("status", [200, 404])
def test_json_is_masked_whole_whatever_its_pieces(parts: int, status: int) -> None:
    """Also the body of an error; what described the unmasked body is gone."""
    body = b'{"iban": "DE1", "items": [{"iban": "DE2", "n": 1.50}, {}], "n": 12345678901234567890123}'
    answer = asked(app(body, status=status, parts=parts), Service(MASK))
    assert answer.status == status
    assert answer.json() == {"iban": "***", "items": [{"iban": "***", "n": 1.5}, {}], "n": 12345678901234567890123}
    assert answer.headers["content-length"] == str(len(answer.body))
    assert "etag" not in answer.headers
    assert answer.headers["x-audit-id"]


def test_the_application_cannot_send_past_the_mask() -> None:
    """Files that the server sends by itself and parts of a body are not offered to it."""
    inner = app()
    asked(inner, Service(MASK))
    assert inner.scopes[0]["extensions"] == {}
    assert [name for name, _ in inner.scopes[0]["headers"]] == [b"accept"]


@pytest.mark.parametrize(
    ("body", "headers"),
    [
        (b'{"iban": "DE1"}', []),
        (b'{"iban": "DE1"}', [(b"content-type", b"text/plain")]),
        (b'{"iban": "DE1"}', [(b"content-type", b"application/json"), (b"content-type", b"text/html")]),
        (b"<iban>DE1</iban>", [(b"content-type", b"application/xml")]),
        (b'{"iban": "DE1"}', [*JSON, (b"content-encoding", b"gzip")]),
        (b'{"iban": "DE1"}', [*JSON, (b"content-range", b"bytes 0-9/99")]),
        (b'{"iban": "DE1"', JSON),
        (b'{"iban": "DE1"} {"iban": "DE2"}', JSON),
        (b'"iban DE1"', JSON),
        (b'{"iban": "\xff DE1"}', JSON),
        (b"[" * 100_000 + b"]" * 100_000, JSON),
        (b'{"iban": "DE1", "x": "' + b"y" * 2000 + b'"}', JSON),
    ],
    ids=[
        "no type",
        "text",
        "two types",
        "xml",
        "gzip",
        "a part",
        "cut",
        "two values",
        "a text",
        "no UTF-8",
        "deep",
        "long",
    ],
)
def test_a_body_that_cannot_be_masked_is_not_handed_out(body: bytes, headers: Any) -> None:
    """Not one byte of it."""
    service = Service(MASK)
    answer = asked(
        app(body, headers=headers, parts=3), service, max_masked_bytes=max(1000, len(body) if body[:1] == b"[" else 0)
    )
    assert answer.status == 403
    assert b"DE1" not in answer.body
    assert answer.json()["obligations"] == [{"id": "mask_fields", "type": "mask_fields", "outcome": "failed"}]
    assert [one.get("granted") for one in service.log.decoded()] == [None, False]


@pytest.mark.parametrize(
    "messages",
    [
        [],
        [{"type": "http.response.start", "status": 200, "headers": JSON}],
        [
            {"type": "http.response.start", "status": 200, "headers": JSON},
            {"type": "http.response.body", "body": b"{}", "more_body": True},
        ],
        [{"type": "http.response.pathsend", "path": "/etc/passwd"}],
        [{"type": "http.response.body", "body": b"DE1"}],
    ],
    ids=["nothing", "no body", "no end", "a file", "no start"],
)
def test_an_answer_that_is_not_whole_is_not_handed_out(messages: list[Any]) -> None:
    """Whatever the application sends or does not send."""

    async def inner(scope: Any, receive: Any, send: Any) -> None:
        for message in messages:
            await send(message)

    answer = asked(inner, Service(MASK))
    assert answer.status == 403
    assert b"DE1" not in answer.body


@pytest.mark.parametrize(("status", "method"), [(204, "GET"), (304, "GET"), (200, "HEAD"), (200, "GET")])
def test_an_empty_body_needs_no_mask(status: int, method: str) -> None:
    """There is nothing in it; its length is not told either."""
    answer = asked(app(b"", status=status), Service(MASK), scope_of(method=method))
    assert (answer.status, answer.body) == (status, b"")
    assert answer.headers.get("content-length", "0") == "0"


def test_a_full_log_keeps_the_masked_answer_back() -> None:
    """No receipt, no answer."""
    answer = asked(app(), Service(MASK, limit=1))
    assert answer.status == 403
    assert b"DE1" not in answer.body


def test_websockets_are_decided_too() -> None:
    """A denial closes before it is opened; messages cannot be masked, so that is a denial."""

    async def inner(scope: Any, receive: Any, send: Any) -> None:
        await send({"type": "websocket.accept"})

    opened = run(wrapped(inner, Service()), scope_of("websocket"))
    assert opened[0]["type"] == "websocket.accept"
    assert opened[0]["headers"][0][0] == b"x-audit-id"
    for service in (Service(decision="deny"), Service(MASK), Service(MFA)):
        closed = run(wrapped(inner, service), scope_of("websocket"))
        assert [message["type"] for message in closed] == ["websocket.close"]
        assert closed[0]["code"] == 1008


def test_what_is_no_request_is_not_served() -> None:
    """A connection of a kind that nothing is decided about; the start of the application passes."""
    with pytest.raises(ValueError, match="telnet"):
        run(wrapped(app(), Service()), scope_of("telnet"))

    async def inner(scope: Any, receive: Any, send: Any) -> None:
        await send({"type": "lifespan.startup.complete"})

    assert run(wrapped(inner, Service()), {"type": "lifespan"}) == [{"type": "lifespan.startup.complete"}]


def test_a_decider_that_blocks_does_not_hold_up_the_others() -> None:
    """Waiting for room in the log happens beside the loop, which goes on."""
    service = Service(limit=0)
    service.decider = Decider(Policy(ALLOW), BUNDLE, service.log, on_full="block", block_s=60)
    sent: list[Any] = []

    async def send(message: Any) -> None:
        sent.append(message)

    async def both() -> None:
        never: Callable[[], Any] = lambda: asyncio.sleep(0)  # noqa: E731 - it is never called
        waiting = asyncio.create_task(wrapped(app(), service)(scope_of(), never, send))
        await asyncio.sleep(0)
        service.log.limit = 10  # this line runs only when the loop is free
        await waiting

    asyncio.run(both())
    assert sent[0]["status"] == 200
