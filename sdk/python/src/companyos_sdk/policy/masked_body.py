"""The body of a response that has to be masked: collected, changed, and only then sent; or not sent at all."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable, MutableMapping
from typing import Any, Final

import msgspec

from companyos_sdk.policy.enforcing import AccessDenied, Enforcement

_BEGIN, _BODY = "http.response.start", "http.response.body"
_EMPTY: Final = frozenset({204, 304})
# They describe the body before it was masked.
_OF_THE_BODY: Final = frozenset(
    {b"content-length", b"etag", b"last-modified", b"digest", b"content-digest", b"repr-digest", b"content-md5"}
    | {b"accept-ranges", b"transfer-encoding", b"trailer"}
)


class MaskedBody:
    """One response on its way out."""

    def __init__(
        self,
        steps: Enforcement,
        send: Callable[[MutableMapping[str, Any]], Awaitable[None]],
        audit: tuple[bytes, bytes],
        max_bytes: int,
        *,
        head: bool,
    ) -> None:
        """Collect at most ``max_bytes``; ``head`` says that the response has no body by its nature."""
        self._steps, self._out, self._audit, self._max_bytes, self._head = steps, send, audit, max_bytes, head
        self._begin: MutableMapping[str, Any] | None = None
        self._parts: list[bytes] = []
        self._size = 0
        self._done = False

    async def send(self, message: MutableMapping[str, Any]) -> None:
        """Take what the application sends."""
        if self._done:
            return
        kind = message["type"]
        if kind == _BEGIN:
            self._begin = message
        elif kind == _BODY and self._begin is not None:
            part = message.get("body", b"")
            self._size += len(part)
            if self._size > self._max_bytes:
                await self._refuse(f"The answer is longer than the {self._max_bytes} bytes that can be masked.")
                return
            self._parts.append(part)
            if not message.get("more_body", False):
                await self._finish()
        else:
            await self._refuse(f"A message of the type {str(kind)[:60]} cannot be masked.")

    async def end(self) -> None:
        """The application has returned; an answer that it did not finish is not handed out."""
        if not self._done:
            await self._refuse("The answer was not finished.")

    async def _finish(self) -> None:
        begin = self._begin or {}
        status, headers = begin["status"], [(bytes(name).lower(), bytes(value)) for name, value in begin["headers"]]
        body = b"".join(self._parts)
        if body and not self._head:
            if problem := _unmaskable(headers):
                await self._refuse(problem)
                return
            try:
                value = msgspec.json.decode(body)
            except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
                await self._refuse("The answer is no JSON that can be read.")
                return
        else:
            value, body = None, b""
        try:
            value = await self._steps.after_async(value)
            body = msgspec.json.encode(value) if body else b""
        except AccessDenied as denied:
            await self._denied(denied)
            return
        kept = [pair for pair in headers if pair[0] not in _OF_THE_BODY and pair[0] != self._audit[0]]
        if status not in _EMPTY and not self._head:
            kept.append((b"content-length", str(len(body)).encode()))
        await self._sent(status, [*kept, self._audit], body)

    async def _refuse(self, sentence: str) -> None:
        try:
            raise self._steps.refuse(sentence)
        except AccessDenied as denied:
            await self._denied(denied)

    async def _denied(self, denied: AccessDenied) -> None:
        from companyos_sdk.asgi import problem, send_problem

        self._done = True
        self._parts = []
        await send_problem(self._out, 403, problem(denied), denied.decision.audit_id)

    async def _sent(self, status: int, headers: Iterable[tuple[bytes, bytes]], body: bytes) -> None:
        self._done = True
        await self._out({"type": _BEGIN, "status": status, "headers": list(headers)})
        await self._out({"type": _BODY, "body": body})


def _unmaskable(headers: list[tuple[bytes, bytes]]) -> str | None:
    """Why a body with these headers cannot be masked, or None."""
    types = [value for name, value in headers if name == b"content-type"]
    kind = types[0].split(b";")[0].strip().lower() if len(types) == 1 else b""
    if kind != b"application/json" and not kind.endswith(b"+json"):
        return "The answer is no JSON, so its fields cannot be masked."
    if any(name == b"content-encoding" and value.strip().lower() != b"identity" for name, value in headers):
        return "The answer is encoded, so its fields cannot be masked."
    if any(name == b"content-range" for name, value in headers):
        return "The answer is a part, so its fields cannot be masked."
    return None
