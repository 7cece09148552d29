"""A caller of the application in the same process, over plain ASGI: what a browser or a script sends, byte for byte."""

from __future__ import annotations

import asyncio
from typing import Any

import httpx

from companyos.server.app import Application

ORIGIN = "http://127.0.0.1:8700"
ADDRESS = "192.0.2.7"


class Web:
    """Sends requests as one caller: with a bearer token, with the cookies it was given, or with neither."""

    def __init__(self, app: Application, token: str | None = None, address: str = ADDRESS) -> None:
        """Take whom to ask, and as whom."""
        self.app = app
        self.cookies: dict[str, str] = {}
        self.address = address
        self.headers = {} if token is None else {"authorization": f"Bearer {token}"}

    def __call__(self, method: str, path: str, **options: Any) -> httpx.Response:
        """Return the answer; cookies that it sets are sent from then on."""
        headers = {**self.headers, **options.pop("headers", {})}
        answer = asyncio.run(self._send(method, path, headers, options))
        self.cookies |= dict(answer.cookies)
        if "max-age=0" in answer.headers.get("set-cookie", "").lower():
            self.cookies.clear()
        return answer

    async def _send(self, method: str, path: str, headers: dict[str, str], options: dict[str, Any]) -> httpx.Response:
        transport = httpx.ASGITransport(self.app, client=(self.address, 40_000))
        async with httpx.AsyncClient(transport=transport, base_url=ORIGIN, cookies=self.cookies) as client:
            return await client.request(method, path, headers=headers, **options)


def problem(answer: httpx.Response, status: int, slug: str) -> dict[str, Any]:
    """Return the problem in an answer after checking that it is one, whole and of this kind."""
    assert answer.status_code == status, answer.text
    assert answer.headers["content-type"] == "application/problem+json"
    found: dict[str, Any] = answer.json()
    assert found["type"] == f"https://companyos.dev/problems/{slug}"
    assert found["status"] == status
    assert found["title"]
    assert found["detail"]
    assert found["request_id"] == answer.headers["x-request-id"]
    assert set(found) <= {"type", "title", "status", "detail", "instance", "request_id", "field", "next_step"}
    return found
