"""The decision point as bare ASGI applications: no framework between the socket and the decision.

They raise what went wrong; whoever mounts them turns that into a problem document, and has made sure that the caller
may ask for decisions. ``Report`` looks at the caller in the scope by itself.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any, Final
from urllib.parse import parse_qs

import msgspec

from companyos.core.access import ANONYMOUS, Caller, require
from companyos.core.errors import InvalidInput, Unavailable
from companyos.core.in_process import CALLER_KEY
from companyos.policy import authzen
from companyos.policy.answering import answer
from companyos.policy.asking import check_name, document, read
from companyos.policy.freshness import Watch
from companyos.policy.log.decisions import Decisions
from companyos.policy.log.ingesting import Outcome
from companyos.policy.point import DecisionPoint

Scope = MutableMapping[str, Any]
Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]

AUTHORIZE: Final = "/v1/authorize"
REPORT: Final = "/v1/decisions"

ECHO: Final = "companyos.echo"
"""The key of the scope that holds header fields which the answer repeats; absent when there are none."""

REQUEST_ID: Final = "companyos.request_id"
"""The key of the scope that holds the id of the request."""

_RESOURCE: Final = "decisions"
_MAX_BUNDLE_CHARACTERS: Final = 200
_BREATH: Final = 50
"""How many decisions of a batch are made before others get their turn."""
_JSON: Final = b"application/json"
_NDJSON: Final = (b"application/x-ndjson", b"application/jsonl", b"application/ndjson")

_ENCODER: Final = msgspec.json.Encoder()
_HEADERS: Final = (
    (b"content-type", _JSON),
    (b"cache-control", b"no-store"),
    (b"x-content-type-options", b"nosniff"),
)


class Authorize:
    """``POST /v1/authorize``: the playbook's request and response."""

    def __init__(self, point: DecisionPoint, watch: Watch) -> None:
        """Take what decides, and what keeps it fresh."""
        self._point = point
        self._watch = watch

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request; raises InvalidInput, Denied, Unavailable."""
        _check_type(scope, (_JSON,))
        bundle = _bundle(scope)
        asked = document(read(await _body(receive)))
        await self._watch.ready()
        await _send(scope, send, answer(self._point.decide(asked, bundle)))


class Evaluation:
    """``POST /access/v1/evaluation``: one question of OpenID AuthZEN."""

    def __init__(self, point: DecisionPoint, watch: Watch) -> None:
        """Take what decides, and what keeps it fresh."""
        self._point = point
        self._watch = watch

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request; raises InvalidInput, Denied, Unavailable."""
        _check_type(scope, (_JSON,))
        bundle = _bundle(scope)
        asked = read(await _body(receive))
        await self._watch.ready()
        await _send(scope, send, _ENCODER.encode(self._evaluated(asked, bundle)))

    def _evaluated(self, asked: dict[str, Any], bundle: str | None) -> dict[str, Any]:
        question, supported = authzen.evaluation(asked)
        if supported is None:
            return authzen.answer(self._point.decide(question, bundle))
        return authzen.answer(self._point.decide_for(question, bundle, supported, authzen.is_supported))


class Evaluations(Evaluation):
    """``POST /access/v1/evaluations``: several questions in one request."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request; raises InvalidInput, Denied, Unavailable."""
        _check_type(scope, (_JSON,))
        bundle = _bundle(scope)
        asked = read(await _body(receive))
        batch = authzen.batch(asked)
        await self._watch.ready()
        if batch is None:
            await _send(scope, send, _ENCODER.encode(self._evaluated(asked, bundle)))
            return
        answers: list[dict[str, Any]] = []
        for number, item in enumerate(batch.items, 1):
            try:
                answers.append(self._evaluated(item, bundle))
            except InvalidInput as fault:
                answers.append(authzen.failure(fault))
            if authzen.stops(batch.semantic, allowed=answers[-1]["decision"]):
                break
            if not number % _BREATH:
                await asyncio.sleep(0)
                await self._watch.ready()
        await _send(scope, send, _ENCODER.encode({"evaluations": answers}))


class Configuration:
    """``GET /.well-known/authzen-configuration``: what this decision point can do, for everybody."""

    def __init__(self, public_url: str) -> None:
        """Take the address that people use; empty for the one that was asked."""
        self._public_url = public_url.rstrip("/")

    async def __call__(self, scope: Scope, _receive: Receive, send: Send) -> None:
        """Answer one request."""
        host = next((value.decode("latin-1") for name, value in scope["headers"] if name == b"host"), "localhost")
        base = self._public_url or f"{scope.get('scheme', 'http')}://{host}"
        await _send(scope, send, _ENCODER.encode(authzen.configuration(base)))


class Report:
    """``POST /v1/decisions``: records of decisions that services made themselves."""

    def __init__(self, decisions: Decisions) -> None:
        """Take the use cases of the decision log."""
        self._decisions = decisions

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request; raises InvalidInput, Denied, Unavailable."""
        _check_type(scope, _NDJSON)
        caller: Caller = scope.get(CALLER_KEY, ANONYMOUS)
        # Before the body is read: nobody may make us read megabytes who may not send them.
        await asyncio.to_thread(require, caller, "policy.report", _RESOURCE)
        outcome: Outcome = await asyncio.to_thread(self._decisions.ingest, caller, await _body(receive))
        if not outcome.rejected:
            await _send(scope, send, _ENCODER.encode(outcome))
            return
        first = outcome.rejected[0]
        problem = {
            "type": "https://companyos.dev/problems/invalid-input",
            "title": "Invalid input",
            "status": 400,
            "detail": f"Nothing was taken, because line {first.line} is at fault: {first.reason}",
            "instance": REPORT,
            "request_id": scope.get(REQUEST_ID, ""),
            "next_step": "Mend or leave out the rejected lines, and send the batch again.",
            **msgspec.structs.asdict(outcome),
        }
        body = _ENCODER.encode(problem)
        headers = [(b"content-type", b"application/problem+json"), (b"content-length", b"%d" % len(body))]
        await send({"type": "http.response.start", "status": 400, "headers": headers})
        await send({"type": "http.response.body", "body": body})


def _check_type(scope: Scope, types: tuple[bytes, ...]) -> None:
    for name, value in scope["headers"]:
        if name == b"content-type":
            if value in types or value.partition(b";")[0].strip().lower() in types:
                return
            break
    wanted = types[0].decode()
    raise InvalidInput(f"The body is not of the type {wanted}.", next_step=f"Set Content-Type: {wanted}.")


def _bundle(scope: Scope) -> str | None:
    """Return the bundle that the query names, or None."""
    query = scope["query_string"]
    if not query:
        return None
    values: dict[str, list[str]] = parse_qs(query.decode("latin-1"), keep_blank_values=True)
    named = values.pop("bundle", [""])
    if values or len(named) > 1 or len(named[0]) > _MAX_BUNDLE_CHARACTERS:
        raise InvalidInput("The query names no single bundle.", next_step="Use ?bundle=domain/service.", field="bundle")
    check_name(named[0], "bundle")
    return named[0]


async def _body(receive: Receive) -> bytes:
    """Return the whole body; its limits are those of ``receive``."""
    message = await receive()
    if not message.get("more_body", False):
        return bytes(message.get("body", b""))
    pieces = bytearray(message["body"])
    while message.get("more_body", False):
        message = await receive()
        if message["type"] != "http.request":
            raise Unavailable("The caller has left.")
        pieces += message["body"]
    return bytes(pieces)


async def _send(scope: Scope, send: Send, body: bytes) -> None:
    headers = [*_HEADERS, (b"content-length", b"%d" % len(body)), *scope.get(ECHO, ())]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    await send({"type": "http.response.body", "body": body})
