from __future__ import annotations

import pytest

from companyos.core.ids import is_uuid, uuid7
from tests.server.web import Web


def test_an_id_that_the_caller_gives_comes_back(nobody: Web) -> None:
    """A UUID in X-Request-Id is kept, so that callers can follow their own requests."""
    claimed = uuid7()
    assert nobody("GET", "/health", headers={"x-request-id": claimed}).headers["x-request-id"] == claimed


@pytest.mark.parametrize("claimed", ["", "1", "A" * 36, "x\x1b[31m", "a" * 4000])
def test_an_id_of_another_form_is_replaced(nobody: Web, claimed: str) -> None:
    """Anything else could forge log lines, so it is replaced by an id of ours."""
    given = nobody("GET", "/health", headers={"x-request-id": claimed}).headers["x-request-id"]
    assert given != claimed
    assert is_uuid(given)


def test_head_is_answered_like_get_without_a_body(nobody: Web, admin: Web) -> None:
    """HEAD has the status and the headers of GET and no body (RFC 9110 §9.3.2), for problems too."""
    answer = nobody("HEAD", "/health")
    assert (answer.status_code, answer.content) == (200, b"")
    assert int(answer.headers["content-length"]) > 0
    assert admin("HEAD", "/api/nothing").status_code == 404
    assert admin("HEAD", "/api/nothing").content == b""


def test_other_protocols_are_turned_away(app: object) -> None:
    """A WebSocket is closed before it is accepted."""
    import asyncio
    from typing import Any

    sent: list[Any] = []

    async def receive() -> Any:
        return {"type": "websocket.connect"}

    async def send(message: Any) -> None:
        sent.append(message)

    asyncio.run(app({"type": "websocket", "path": "/events", "headers": []}, receive, send))  # type: ignore[operator]
    assert [message["type"] for message in sent] == ["websocket.close"]
