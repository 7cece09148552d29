from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from companyos.core.access import Caller
from companyos.core.api import Client
from companyos.core.errors import Unavailable
from companyos.core.in_process import CALLER_KEY, InProcessTransport

CALLER = Caller(subject="os:maja", roles=frozenset({"viewer"}))
Send = Callable[[dict[str, Any]], Awaitable[None]]
Receive = Callable[[], Awaitable[dict[str, Any]]]


def start(status: int = 200) -> dict[str, Any]:
    """The first message of an answer."""
    return {"type": "http.response.start", "status": status, "headers": [(b"Content-Type", b"application/json")]}


def body(data: bytes, *, more: bool = False) -> dict[str, Any]:
    """A piece of an answer."""
    return {"type": "http.response.body", "body": data, "more_body": more}


def client(app: Any) -> Client:
    """A client of an application."""
    return Client(InProcessTransport(app, CALLER), "here")


def test_application_sees_an_ordinary_request_and_the_caller() -> None:
    """Method, decoded path, query and body arrive as over HTTP; the caller comes beside them, not in a header."""
    seen: dict[str, Any] = {}

    async def app(scope: dict[str, Any], receive: Receive, send: Send) -> None:
        seen.update(scope, got=await receive())
        await send(start())
        await send(body(b'{"ok": true}'))

    assert client(app).post("/api/services/a%20b", json={"x": 1}) == {"ok": True}
    assert seen[CALLER_KEY] is CALLER
    assert (seen["method"], seen["path"], seen["raw_path"]) == ("POST", "/api/services/a b", b"/api/services/a%20b")
    assert seen["got"] == {"type": "http.request", "body": b'{"x":1}', "more_body": False}
    names = [name for name, _ in seen["headers"]]
    assert b"authorization" not in names
    assert {b"host", b"content-type", b"content-length"} <= set(names)
    client(app).get("/a", {"q": "ü&"})
    assert seen["query_string"] == b"q=%C3%BC%26"


def test_long_answer_is_taken_piece_by_piece() -> None:
    """The application runs on only while somebody takes the pieces, so that an export never lies in memory."""
    sent: list[int] = []

    async def app(scope: dict[str, Any], receive: Receive, send: Send) -> None:
        await send(start())
        for number in range(1000):
            sent.append(number)
            await send(body(b"%d\n" % number, more=True))
        await send(body(b""))

    pieces = client(app).stream("/api/ledger/export")
    assert next(pieces) == b"0\n"
    assert len(sent) < 10
    assert len(list(pieces)) == 999


def test_end_of_the_asker_cancels_the_application() -> None:
    """Whoever stops reading frees what the application held."""
    freed: list[str] = []

    async def app(scope: dict[str, Any], receive: Receive, send: Send) -> None:
        await send(start())
        try:
            while True:
                await send(body(b"x", more=True))
        finally:
            freed.append("freed")

    pieces = client(app).stream("/events")
    next(pieces)
    pieces.close()  # type: ignore[attr-defined] # a generator
    assert freed == ["freed"]


def test_work_after_the_answer_is_done() -> None:
    """What the application does behind its answer (a row in the ledger) is not cut off."""
    done: list[str] = []

    async def app(scope: dict[str, Any], receive: Receive, send: Send) -> None:
        await send(start())
        await send(body(b"{}"))
        for _ in range(100):
            await asyncio.sleep(0)
        done.append("done")

    client(app).get("/")
    assert done == ["done"]


def test_application_that_raises_or_says_nothing_is_a_fault() -> None:
    """An application without an answer is unavailable; what it raises comes out as it is."""

    async def silent(scope: dict[str, Any], receive: Receive, send: Send) -> None:
        return

    async def broken(scope: dict[str, Any], receive: Receive, send: Send) -> None:
        raise RuntimeError("broken")

    with pytest.raises(Unavailable, match="no answer"):
        client(silent).get("/")
    with pytest.raises(RuntimeError, match="broken"):
        client(broken).get("/")


def test_asker_is_gone_after_the_answer() -> None:
    """An application that waits for the asker to leave, as frameworks do beside a stream, learns it in the end."""
    seen: list[Any] = []

    async def app(scope: dict[str, Any], receive: Receive, send: Send) -> None:
        await receive()
        leaving = asyncio.ensure_future(receive())
        await send(start())
        await send(body(b"1", more=True))
        await asyncio.sleep(0)
        seen.append(leaving.done())
        await send(body(b""))
        seen.append(await leaving)

    assert client(app).get("/") == 1
    assert seen == [False, {"type": "http.disconnect"}]
