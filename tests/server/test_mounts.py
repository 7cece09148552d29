from __future__ import annotations

import asyncio
from typing import Any

import httpx
import pytest
from litestar import Litestar

from companyos.core.errors import CompanyOSError
from companyos.server.asgi import App, Receive, Scope, Send, answer
from companyos.server.context import ContextLayer
from companyos.server.mounts import bare, bare_entries, read_body
from companyos.server.problems import ProblemLayer, leave_to_the_outer_layer
from tests.server.web import problem

JSON = {"content-type": "application/json"}


async def echo(_scope: Scope, receive: Receive, send: Send) -> None:
    """Answer with the body."""
    await answer(send, 200, [], await read_body(receive))


def application() -> App:
    """Return a framework application with one bare one in it, under the layers that a mount relies on."""
    route = bare("/api/echo", "POST", echo, limit_bytes=10, timeout_s=0.05, openapi={"summary": "Echo"})
    inner = Litestar([route], exception_handlers={Exception: leave_to_the_outer_layer}, openapi_config=None)

    async def record(_scope: Scope, _fault: CompanyOSError) -> None:
        pass

    layer = ProblemLayer(inner, allowed_methods=lambda _path: ["POST"], record=record, page=lambda *_: "")  # type: ignore[arg-type]
    return ContextLayer(layer)


def ask(method: str, path: str, **options: Any) -> httpx.Response:
    """Return the answer to one request."""

    async def story() -> httpx.Response:
        transport = httpx.ASGITransport(application())
        async with httpx.AsyncClient(transport=transport, base_url="http://localhost") as client:
            return await client.request(method, path, **options)

    return asyncio.run(story())


def test_the_one_method_and_path_reach_the_application() -> None:
    """What was mounted answers."""
    assert ask("POST", "/api/echo", content=b"0123456789", headers=JSON).content == b"0123456789"


@pytest.mark.parametrize("method", ["GET", "PUT", "PATCH", "DELETE", "OPTIONS"])
def test_other_methods_are_refused(method: str) -> None:
    """The framework would hand them all over."""
    found = ask(method, "/api/echo")
    problem(found, 405, "method-not-allowed")
    assert found.headers["allow"] == "POST"


@pytest.mark.parametrize("path", ["/api/echo/", "/api/echo/x", "/api/echo/../echo/y", "/api/echox", "/api/echo//"])
def test_other_paths_are_refused(path: str) -> None:
    """The framework would hand over everything below the path, and what merely begins like it."""
    problem(ask("POST", path, content=b"x", headers=JSON), 404, "not-found")


def test_a_body_above_its_own_limit_is_refused() -> None:
    """Declared or in chunks, eleven bytes are one too many."""

    async def chunks() -> Any:
        yield b"012345"
        yield b"678910"

    problem(ask("POST", "/api/echo", content=b"01234567890", headers=JSON), 413, "too-large")
    problem(ask("POST", "/api/echo", content=chunks(), headers=JSON), 413, "too-large")


def test_a_body_that_does_not_come_is_refused() -> None:
    """The time limit is the mount's own."""

    async def slow() -> Any:
        yield b"0"
        await asyncio.sleep(3600)

    async def story() -> list[dict[str, Any]]:
        sent: list[dict[str, Any]] = []

        async def receive() -> Any:
            await asyncio.Event().wait()

        async def send(message: Any) -> None:
            sent.append(message)

        scope = {
            "type": "http",
            "method": "POST",
            "path": "/api/echo",
            "raw_path": b"/api/echo",
            "query_string": b"",
            "headers": [(b"content-type", b"a/b"), (b"transfer-encoding", b"chunked")],
        }
        await application()(scope, receive, send)
        return sent

    assert asyncio.run(story())[0]["status"] == 408


def test_the_entry_is_found_for_the_document() -> None:
    """The OpenAPI document learns of the mount from the application itself."""
    route = bare("/api/echo", "POST", echo, limit_bytes=1, timeout_s=1, openapi={"summary": "Echo"})
    (entry,) = bare_entries(Litestar([route], openapi_config=None))
    assert (entry.path, entry.method, entry.operation) == ("/api/echo", "POST", {"summary": "Echo"})
