"""A way to the platform without a server: a call of the same ASGI application in this process.

The application runs on an event loop that turns only while somebody waits for the next piece of the answer.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Awaitable, Callable, Generator, Iterator, MutableMapping
from typing import Any, Final
from urllib.parse import unquote, urlsplit

from companyos.core.access import Caller
from companyos.core.errors import Unavailable
from companyos.core.transport import Exchange, Request

CALLER_KEY: Final = "companyos.caller"
"""The key of the ASGI scope that holds the ``Caller``. A server fills headers and path from the network and nothing
else, so only code in the same process can set it."""

COMPLETE_S: Final = 10.0
"""How long an application may go on working behind its answer."""

Message = MutableMapping[str, Any]
AsgiApp = Callable[
    [MutableMapping[str, Any], Callable[[], Awaitable[Message]], Callable[[Message], Awaitable[None]]], Awaitable[None]
]


class InProcessTransport:
    """A call of the application itself, as a caller that is given and needs no credential."""

    def __init__(self, app: AsgiApp, caller: Caller) -> None:
        """Take the application, which must work without its lifespan events, and who asks."""
        self._app = app
        self._caller = caller

    @contextlib.contextmanager
    def exchange(self, request: Request) -> Generator[Exchange, None, None]:
        """Return the answer while the context lasts; the application is cancelled when the context ends early."""
        with asyncio.Runner() as runner:
            call = _Call(self._app, self._scope(request), request.body)
            try:
                start = runner.run(call.next_message())
                if start is None or start["type"] != "http.response.start":
                    raise Unavailable("The platform gave no answer.", next_step="Look into its log.")
                headers = {name.decode("latin-1").lower(): value.decode("latin-1") for name, value in start["headers"]}
                yield Exchange(int(start["status"]), headers, _pieces(runner, call))
            finally:
                runner.run(call.end())

    def _scope(self, request: Request) -> dict[str, Any]:
        parts = urlsplit(request.target)
        headers = {"host": "127.0.0.1", "content-length": str(len(request.body)), **request.headers}
        return {
            "type": "http",
            "asgi": {"version": "3.0", "spec_version": "2.3"},
            "http_version": "1.1",
            "method": request.method,
            "scheme": "http",
            "path": unquote(parts.path),
            "raw_path": parts.path.encode("ascii"),
            "root_path": "",
            "query_string": parts.query.encode("ascii"),
            "headers": [(name.lower().encode("latin-1"), value.encode("latin-1")) for name, value in headers.items()],
            "client": ("127.0.0.1", 0),
            "server": ("127.0.0.1", 0),
            "state": {},
            CALLER_KEY: self._caller,
        }


class _Call:
    """One call of an application whose messages are taken one by one, so that a long answer never lies in memory."""

    def __init__(self, app: AsgiApp, scope: dict[str, Any], body: bytes) -> None:
        self._app = app
        self._scope = scope
        self._body: bytes | None = body
        self._messages: asyncio.Queue[Message] = asyncio.Queue(1)
        self._task: asyncio.Task[None] | None = None
        self._answered = asyncio.Event()

    async def next_message(self) -> Message | None:
        """Return the next message, None after the last one; whatever the application raises comes out here."""
        if self._task is None:
            self._task = asyncio.ensure_future(self._run())
        message = asyncio.ensure_future(self._messages.get())
        done, _ = await asyncio.wait({message, self._task}, return_when=asyncio.FIRST_COMPLETED)
        if message in done:
            return message.result()
        message.cancel()
        self._task.result()
        return None if self._messages.empty() else self._messages.get_nowait()

    async def complete(self) -> None:
        """Let the application finish what it does after its answer (a row in the ledger, a closed connection)."""
        if self._task is not None:
            # What takes longer is cancelled: the answer is complete, so that this is no fault of the command.
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._task, COMPLETE_S)

    async def end(self) -> None:
        """Cancel the application when it still runs."""
        if self._task is not None and not self._task.done():
            self._task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._task

    async def _run(self) -> None:
        await self._app(self._scope, self._receive, self._send)

    async def _send(self, message: Message) -> None:
        await self._messages.put(message)
        if message["type"] == "http.response.body" and not message.get("more_body", False):
            self._answered.set()

    async def _receive(self) -> Message:
        if self._body is not None:
            body, self._body = self._body, None
            return {"type": "http.request", "body": body, "more_body": False}
        # The asker stays until it has the answer, and is gone then (ASGI, "Disconnect - receive event").
        await self._answered.wait()
        return {"type": "http.disconnect"}


def _pieces(runner: asyncio.Runner, call: _Call) -> Iterator[bytes]:
    while (message := runner.run(call.next_message())) is not None:
        if message["type"] != "http.response.body":
            continue
        if body := message.get("body", b""):
            yield bytes(body)
        if not message.get("more_body", False):
            runner.run(call.complete())
            return
