"""The short way to the decision point, for callers whose token was good a moment ago.

A request for a decision must cost microseconds, and the layers cost more than the decision. The first request of a
token goes through all of them. It is remembered there (``Remembering``) for a second at most, and meanwhile the next
ones with the same header, the exact path and a body of known length come here. What the layers guard is guarded by
that: the host and the session cookie of a browser play no part for a caller who sends a token.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Generator, Mapping
from types import CoroutineType
from typing import Any, Final, NamedTuple, NoReturn

from companyos.core.access import Caller, require
from companyos.core.errors import CompanyOSError, InvalidInput
from companyos.identity import Identity
from companyos.policy.asgi import ECHO
from companyos.policy.tokens import Tokens
from companyos.server.asgi import CALLER, App, Message, Receive, Scope, Send, caller_of
from companyos.server.credentials import BearerToken, credential_of
from companyos.server.errors import RequestTimeout

ARRIVED: Final = "companyos.arrived"
"""When the request came in, on the scale of ``Tokens``; before anybody looked at its token."""
DECIDE: Final = "policy.decide"
"""The permission to ask for decisions."""
RESOURCE: Final = "decisions"

_FAULT: Final = "companyos.fault"
_LENGTH_DIGITS: Final = 8


class Stop(NamedTuple):
    """An application at the end of the lane, and how large a body it takes."""

    app: App
    limit_bytes: int


class Head(NamedTuple):
    """The header fields that the lane looks at."""

    authorization: bytes
    length: int
    """How long the body is said to be, in bytes."""
    echo: tuple[tuple[bytes, bytes], ...]
    """What the answer repeats."""


class Remembering:
    """A mounted application that remembers tokens which may ask for decisions."""

    def __init__(self, app: App, tokens: Tokens) -> None:
        """Take the application, and where tokens are remembered."""
        self._app = app
        self._tokens = tokens

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request, or raise Denied."""
        caller = caller_of(scope)
        await asyncio.to_thread(require, caller, DECIDE, RESOURCE)
        header = _authorization(scope)
        if header is not None and ARRIVED in scope:
            self._tokens.put(header, caller, scope[ARRIVED])
        await self._app(scope, receive, send)


class Lane:
    """Stands before the layers and takes the short way where that is possible."""

    def __init__(
        self,
        stops: Mapping[str, Stop],
        tokens: Tokens,
        identity: Identity,
        *,
        layers: App,
        faults: App,
        timeout_s: float,
    ) -> None:
        """Take the stops by path, who knows tokens, the layers around everything, and those around ``raise_fault``."""
        self._stops = stops
        self._tokens = tokens
        self._identity = identity
        self._layers = layers
        self._faults = faults
        self._timeout_s = timeout_s
        self._looking: set[asyncio.Task[None]] = set()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        stop = self._stops.get(scope["path"])
        if stop is None or scope["method"] != "POST" or CALLER in scope:
            await self._layers(scope, receive, send)
            return
        head = _head(scope)
        found = None if head is None or head.length > stop.limit_bytes else self._tokens.find(head.authorization)
        if head is None or found is None:
            scope[ARRIVED] = self._tokens.now()
            await self._layers(scope, receive, send)
            return
        if found.aged:
            self._look(head.authorization, scope)
        if head.echo:
            scope[ECHO] = head.echo
        try:
            await stop.app(scope, self._timed(receive), send)
        except Exception as fault:  # noqa: BLE001 - the layers around `raise_fault` know what to answer to any
            await self._faults({**scope, _FAULT: fault, CALLER: found.caller}, receive, send)

    def _timed(self, receive: Receive) -> Receive:
        """Return a ``receive`` that raises RequestTimeout; what has come in already costs no timer."""

        async def receive_timed() -> Message:
            waiting = receive()
            if not isinstance(waiting, CoroutineType):
                return await self._in_time(waiting)
            try:
                first = waiting.send(None)
            except StopIteration as done:
                message: Message = done.value
                return message
            return await self._in_time(_Resumed(waiting, first))

        return receive_timed

    async def _in_time(self, waiting: Awaitable[Message]) -> Message:
        try:
            async with asyncio.timeout(self._timeout_s):
                return await waiting
        except TimeoutError as fault:
            raise RequestTimeout(
                f"The body did not arrive within {self._timeout_s:g} s.", next_step="Send it faster, or send less."
            ) from fault

    def _look(self, authorization: bytes, scope: Scope) -> None:
        """Look at a token again beside the request; one that is not good any more is forgotten at once."""
        if self._tokens.claim(authorization):
            task = asyncio.ensure_future(self._looked(authorization, scope))
            self._looking.add(task)
            task.add_done_callback(self._looking.discard)

    async def _looked(self, authorization: bytes, scope: Scope) -> None:
        now = self._tokens.now()
        try:
            credential = credential_of(scope)
            if not isinstance(credential, BearerToken):
                raise InvalidInput("The header is no token.")
            caller = await asyncio.to_thread(self._allowed, credential.secret)
        except CompanyOSError:
            self._tokens.drop(authorization)
        else:
            self._tokens.put(authorization, caller, now)

    def _allowed(self, secret: str) -> Caller:
        caller = self._identity.authenticate(secret)
        require(caller, DECIDE, RESOURCE)
        return caller


class _Resumed:
    """A coroutine that was begun and waits for something."""

    def __init__(self, coroutine: CoroutineType[Any, Any, Message], first: object) -> None:
        self._coroutine = coroutine
        self._first = first

    def __await__(self) -> Generator[Any, Any, Message]:
        step = self._first
        try:
            while True:
                try:
                    answer = yield step
                except BaseException as fault:  # noqa: BLE001 - a cancellation belongs to the coroutine
                    step = self._coroutine.throw(fault)
                else:
                    step = self._coroutine.send(answer)
        except StopIteration as done:
            message: Message = done.value
            return message


async def raise_fault(scope: Scope, _receive: Receive, _send: Send) -> NoReturn:
    """Raise what went wrong in the lane, so that the layers around this answer it like everywhere."""
    raise scope[_FAULT]


def _head(scope: Scope) -> Head | None:
    """Return the fields, or None for a request that must go through the layers."""
    authorization: bytes | None = None
    length = -1
    echo: tuple[tuple[bytes, bytes], ...] = ()
    for name, value in scope["headers"]:
        if name == b"authorization":
            if authorization is not None:
                return None
            authorization = value
        elif name == b"content-length":
            if length >= 0 or len(value) > _LENGTH_DIGITS or not value.isdigit():
                return None
            length = int(value)
        elif name == b"x-request-id":
            echo = ((name, value),)
        elif name == b"transfer-encoding":
            return None
    return None if authorization is None or length < 0 else Head(authorization, length, echo)


def _authorization(scope: Scope) -> bytes | None:
    values = [value for name, value in scope["headers"] if name == b"authorization"]
    return values[0] if len(values) == 1 else None
