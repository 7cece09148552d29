"""An ASGI middleware that decides about each request before the application sees it, and fulfils the obligations.

    app = PolicyMiddleware(app, client, target=target, subject=subject, facts=facts)

A denial is a 403 with problem details (RFC 9457). What must be masked is masked in JSON bodies; any other body is not
handed out then.
"""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import Awaitable, Callable, Mapping, MutableMapping
from typing import Any, Final, Protocol, TypeAlias

import msgspec

from companyos_sdk.policy.decision import Decision
from companyos_sdk.policy.enforcing import AccessDenied, Enforcement, Enforcer
from companyos_sdk.policy.masked_body import MaskedBody
from companyos_sdk.policy.obligations import Facts

AUDIT_HEADER: Final = b"x-audit-id"
SCOPE_KEY: Final = "companyos.decision"
"""Where the application finds the Decision: in the scope, and in its ``state`` where frameworks look."""
MAX_MASKED_BYTES: Final = 4 * 1024 * 1024
"""How long a body may be that has to be masked."""

Scope: TypeAlias = MutableMapping[str, Any]
Message: TypeAlias = MutableMapping[str, Any]
Receive: TypeAlias = Callable[[], Awaitable[Message]]
Send: TypeAlias = Callable[[Message], Awaitable[None]]
App: TypeAlias = Callable[[Scope, Receive, Send], Awaitable[None]]


class Public:
    """The answer of ``target`` for an address that everybody may use: nothing is decided there."""


PUBLIC: Final = Public()


class Target(msgspec.Struct, frozen=True):
    """What a request wants."""

    action: str
    resource: dict[str, Any]
    context: dict[str, Any] = {}


class Authorizer(Protocol):
    """What decides and fulfils: ``companyos_sdk.policy.client.Client``, or a stand-in."""

    @property
    def enforcer(self) -> Enforcer:
        """What fulfils obligations."""
        ...

    @property
    def decider(self) -> Any:  # noqa: ANN401 - a Decider; only its ``on_full`` is read
        """What decides at the moment."""
        ...

    def authorize(
        self,
        subject: dict[str, Any],
        action: str,
        resource: dict[str, Any],
        environment: dict[str, Any],
        context: dict[str, Any] | None = None,
    ) -> Decision:
        """Decide."""
        ...


class PolicyMiddleware:
    """Wraps an application. Each of the functions takes the scope and may be a coroutine function."""

    def __init__(
        self,
        app: App,
        authorizer: Authorizer,
        *,
        target: Callable[[Scope], Any],
        subject: Callable[[Scope], Any],
        environment: Callable[[Scope], Any] | None = None,
        facts: Callable[[Scope], Any] | None = None,
        max_masked_bytes: int = MAX_MASKED_BYTES,
    ) -> None:
        """Wrap ``app``.

        ``target`` gives a Target or PUBLIC; ``subject`` the verified subject as a dict, or None when nobody is signed
        in, which is a 401; ``environment`` a dict, by default the client's address as ``ip``; ``facts`` what is known
        for certain about the session (see ``obligations.Facts``). Anything else that they give or raise ends the
        request with an error of the server, never with access.
        """
        self._app, self._authorizer = app, authorizer
        self._target, self._subject = target, subject
        self._environment, self._facts = environment or _environment, facts
        self._max_masked = max_masked_bytes

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        kind = scope["type"]
        if kind == "lifespan":
            await self._app(scope, receive, send)
            return
        if kind not in ("http", "websocket"):
            raise ValueError(f"Nothing is decided about connections of the type {kind!r}, so they are not served.")
        target = await _value(self._target(scope))
        if target is PUBLIC:
            await self._app(scope, receive, send)
            return
        if not isinstance(target, Target):
            raise TypeError(f"target must give a Target or PUBLIC, not {type(target).__name__}.")
        subject = await _value(self._subject(scope))
        if subject is None:
            await _refuse(scope, receive, send, 401, _UNAUTHENTICATED, None)
            return
        decision = await self._decided(subject, target, await _value(self._environment(scope)))
        try:
            facts: Facts | None = await _value(self._facts(scope)) if self._facts is not None else None
            steps = await self._authorizer.enforcer.before_async(decision, facts)
            if steps.masks and kind == "websocket":
                raise steps.refuse("Messages of a WebSocket are not masked.")
        except AccessDenied as denied:
            await _refuse(scope, receive, send, 403, problem(denied), decision.audit_id)
            return
        await self._served(scope, receive, send, decision, steps)

    async def _decided(self, subject: dict[str, Any], target: Target, environment: dict[str, Any]) -> Decision:
        decide = self._authorizer.authorize
        wanted = (subject, target.action, target.resource, environment, target.context)
        if self._authorizer.decider.on_full == "block":
            # Waiting for room in the log may not stop the other requests.
            return await asyncio.to_thread(decide, *wanted)
        return decide(*wanted)

    async def _served(self, scope: Scope, receive: Receive, send: Send, decision: Decision, steps: Enforcement) -> None:
        scope = {**scope, SCOPE_KEY: decision, "state": {**scope.get("state", {}), SCOPE_KEY: decision}}
        audit = (AUDIT_HEADER, decision.audit_id.encode())
        if not steps.masks:

            async def marked(message: Message) -> None:
                if message["type"] in ("http.response.start", "websocket.accept"):
                    message = {**message, "headers": _with(message.get("headers", ()), audit)}
                await send(message)

            await self._app(scope, receive, marked)
            return
        # What would let the application send past us, and parts of a body that cannot be masked one by one.
        scope["extensions"] = {}
        scope["headers"] = [pair for pair in scope["headers"] if pair[0] not in _PARTIAL]
        body = MaskedBody(steps, send, audit, self._max_masked, head=scope["method"] == "HEAD")
        await self._app(scope, receive, body.send)
        await body.end()


def problem(denied: AccessDenied) -> dict[str, Any]:
    """Problem details of a denial."""
    decision = denied.decision
    made: dict[str, Any] = {
        "type": "https://companyos.dev/problems/denied",
        "title": "Not allowed",
        "status": 403,
        "detail": str(denied),
        "reason": decision.reason,
        "audit_id": decision.audit_id,
    }
    if denied.outcomes:
        made["obligations"] = [{"id": one.id, "type": one.type, "outcome": one.outcome} for one in denied.outcomes]
    if denied.needs:
        made["needs"] = [{"what": need.what, **need.challenge} for need in denied.needs]
    return made


_UNAUTHENTICATED: Final[dict[str, Any]] = {
    "type": "https://companyos.dev/problems/unauthenticated",
    "title": "Sign-in needed",
    "status": 401,
    "detail": "Nobody is signed in.",
}
_PARTIAL: Final = frozenset({b"range", b"if-range", b"if-none-match", b"if-modified-since", b"accept-encoding"})


def _environment(scope: Scope) -> dict[str, Any]:
    client = scope.get("client")
    return {"ip": client[0]} if client else {}


def _with(headers: Any, pair: tuple[bytes, bytes]) -> list[tuple[bytes, bytes]]:  # noqa: ANN401 - pairs of bytes
    return [(name, value) for name, value in headers if bytes(name).lower() != pair[0]] + [pair]


async def _value(answer: Any) -> Any:  # noqa: ANN401 - what a function of the service gives
    return await answer if inspect.isawaitable(answer) else answer


async def _refuse(
    scope: Scope, receive: Receive, send: Send, status: int, details: Mapping[str, Any], audit_id: str | None
) -> None:
    if scope["type"] == "websocket":
        await receive()
        await send({"type": "websocket.close", "code": 1008, "reason": str(details["detail"])[:100]})
        return
    await send_problem(send, status, details, audit_id)


async def send_problem(send: Send, status: int, details: Mapping[str, Any], audit_id: str | None) -> None:
    """Answer with problem details."""
    body = msgspec.json.encode(details)
    headers = [
        (b"content-type", b"application/problem+json"),
        (b"content-length", str(len(body)).encode()),
        (b"cache-control", b"no-store"),
    ]
    if audit_id is not None:
        headers.append((AUDIT_HEADER, audit_id.encode()))
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body})
