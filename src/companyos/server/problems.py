"""Every fault becomes one RFC 9457 problem, by one map, in one place.

Litestar's own handlers are told to pass faults on (``leave_to_the_outer_layer``), so that those of routing, decoding,
authentication, limits and handlers all meet in ``ProblemLayer``.
"""

from __future__ import annotations

import logging
import re
from collections.abc import Awaitable, Callable, Iterable
from http import HTTPStatus
from typing import Annotated, Final, NoReturn

import msgspec
from litestar.exceptions import HTTPException, LitestarException, ValidationException
from msgspec import Meta

from companyos.core.errors import BY_SLUG, CompanyOSError, TooManyRequests
from companyos.server.asgi import App, Message, Receive, Scope, Send, answer, asked_path, header, request_id, wants_page

TYPE_BASE: Final = "https://companyos.dev/problems/"
MEDIA_TYPE: Final = "application/problem+json"
PAGE_TYPE: Final = "text/html; charset=utf-8"

_DETAIL_LIMIT: Final = 600
_HIDDEN: Final = "Something went wrong on our side; the request id finds it in the log."

_MISSING: Final = re.compile(r"missing required field `([^`]+)`")

_log = logging.getLogger(__name__)


class Problem(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Problem details (RFC 9457) as every route answers them."""

    type: Annotated[str, Meta(description="What kind of fault this is; the last part is stable.")]
    title: Annotated[str, Meta(description="The kind in a few words.")]
    status: Annotated[int, Meta(description="The HTTP status.", ge=400, le=599)]
    detail: Annotated[str, Meta(description="One sentence that names the thing at fault.")]
    instance: Annotated[str, Meta(description="The path that was asked.")]
    request_id: Annotated[str, Meta(description="Finds this request in the log and in the ledger.")]
    field: Annotated[str | None, Meta(description="The dotted path of the offending field.")] = None
    next_step: Annotated[str | None, Meta(description="What to do about it.")] = None


class Fault(msgspec.Struct, frozen=True, kw_only=True):
    """What the map makes of an exception: a problem without the request it happened in."""

    status: int
    slug: str
    title: str
    detail: str
    next_step: str = ""
    field: str | None = None
    headers: tuple[tuple[str, str], ...] = ()
    expected: bool = True
    """False when it is a fault of ours, which must be logged with its trace and whose text must not leave."""


def fault_of(exception: Exception) -> Fault:  # noqa: PLR0911 - the map, one kind of exception a case
    """Return what to tell the caller about any exception; the text of an unexpected one stays here."""
    match exception:
        case CompanyOSError():
            return Fault(
                status=exception.status,
                slug=exception.slug,
                title=exception.title,
                detail=str(exception),
                next_step=exception.next_step,
                field=exception.field,
                headers=_headers_of(exception),
            )
        case ValidationException(extra=[{"message": str(message), **where}, *_]):
            field = _field_of(str(where.get("key") or ""), message)
            sentence = message.partition(" - at `")[0]
            return _bad_request(_sentence(f"{field}: {sentence}" if field else sentence), field)
        case HTTPException(status_code=400):
            return _bad_request(_unreadable(exception), None)
        case msgspec.ValidationError():
            sentence, _, path = str(exception).partition(" - at `")
            field = path.removesuffix("`").removeprefix("$").removeprefix(".") or None
            return _bad_request(_sentence(f"{field}: {sentence}" if field else sentence), field)
        case msgspec.DecodeError():
            return _bad_request(_sentence(f"The body cannot be read: {exception}"), None)
        case HTTPException(status_code=status) if status < HTTPStatus.INTERNAL_SERVER_ERROR:
            return _of_status(status)
        case _:
            return Fault(status=500, slug="internal", title="Internal error", detail=_HIDDEN, expected=False)


def leave_to_the_outer_layer(_request: object, exception: Exception) -> NoReturn:
    """Pass the exception on; given to Litestar as the handler of everything."""
    raise exception


class ProblemLayer:
    """The outermost catch: answers every exception with its problem and logs what was not expected, once."""

    def __init__(
        self,
        app: App,
        *,
        allowed_methods: Callable[[str], Iterable[str]],
        record: Callable[[Scope, CompanyOSError], Awaitable[None]],
        page: Callable[[Scope, Problem], str],
    ) -> None:
        """Take what is guarded, what knows the methods of a path, what records faults, and what draws them."""
        self._app = app
        self._allowed_methods = allowed_methods
        self._record = record
        self._page = page

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        started = False

        async def watched(message: Message) -> None:
            nonlocal started
            started = started or message["type"] == "http.response.start"
            await send(message)

        try:
            await self._app(scope, receive, watched)
        except Exception as exception:  # noqa: BLE001 - the last place that can answer
            await self._answer(scope, exception, None if started else send)

    async def _answer(self, scope: Scope, exception: Exception, send: Send | None) -> None:
        fault = fault_of(exception)
        if not fault.expected or send is None:
            _log.error(
                "unhandled fault",
                exc_info=exception,
                extra={"request_id": request_id(scope), "path": asked_path(scope), "answer_started": send is None},
            )
        if isinstance(exception, CompanyOSError):
            await self._record(scope, exception)
        if send is None:
            # Half an answer is out. Raising makes the server close the connection, so that it is not taken for whole.
            raise ConnectionAbortedError("the answer had begun") from None
        headers = list(fault.headers)
        if fault.status == HTTPStatus.METHOD_NOT_ALLOWED:
            headers.append(("allow", ", ".join(sorted(self._allowed_methods(asked_path(scope))))))
        problem = problem_of(scope, fault)
        if wants_page(scope):
            await respond(send, problem, headers, (PAGE_TYPE, self._page(scope, problem).encode()))
        else:
            await respond(send, problem, headers, (MEDIA_TYPE, msgspec.json.encode(problem)))


def problem_of(scope: Scope, fault: Fault) -> Problem:
    """Return the problem details for a fault that happened in this request."""
    return Problem(
        type=TYPE_BASE + fault.slug,
        title=fault.title,
        status=fault.status,
        detail=fault.detail,
        instance=asked_path(scope),
        request_id=request_id(scope),
        field=fault.field,
        next_step=fault.next_step or None,
    )


async def respond(send: Send, problem: Problem, headers: Iterable[tuple[str, str]], content: tuple[str, bytes]) -> None:
    """Send the problem as the whole answer, in the given form: a media type and the bytes."""
    media_type, body = content
    fields = [header("content-type", media_type), *(header(name, value) for name, value in headers)]
    await answer(send, problem.status, fields, body)


def _headers_of(exception: CompanyOSError) -> tuple[tuple[str, str], ...]:
    if isinstance(exception, TooManyRequests):
        return (("retry-after", str(exception.retry_after_s)),)
    if exception.status == HTTPStatus.UNAUTHORIZED:
        return (("www-authenticate", 'Bearer realm="companyos"'),)
    return ()


def _of_status(status: int) -> Fault:
    """Return the fault for a status that the framework chose; its own wording is left out."""
    kind = next((kind for kind in BY_SLUG.values() if kind.status == status), None)
    phrase = HTTPStatus(status).phrase
    details = {404: "There is nothing at this address.", 405: "This address does not take this method."}
    return Fault(
        status=status,
        slug=kind.slug if kind else phrase.lower().replace(" ", "-"),
        title=kind.title if kind else phrase,
        detail=details.get(status, f"{phrase}."),
        next_step="See /schema for all addresses." if status in details else "",
    )


def _bad_request(detail: str, field: str | None) -> Fault:
    return Fault(
        status=400,
        slug="invalid-input",
        title="Invalid input",
        detail=detail[:_DETAIL_LIMIT],
        next_step="See /schema for what this address takes.",
        field=field,
    )


def _field_of(key: str, message: str) -> str | None:
    """Return the field that the framework's message is about; ``data`` is its own name for the body."""
    missing = _MISSING.search(message)
    path = [part for part in (key, missing[1] if missing else "") if part not in ("", "data")]
    return ".".join(path) or None


def _unreadable(exception: HTTPException) -> str:
    """Return why a body could not be decoded, or a plain sentence when the framework says no more."""
    cause: BaseException | None = exception
    while isinstance(cause, LitestarException) and cause.__cause__ is not None:
        cause = cause.__cause__
    if isinstance(cause, msgspec.MsgspecError | UnicodeDecodeError):
        return _sentence(f"The body is not valid JSON: {cause}")
    return "The request cannot be understood."


def _sentence(text: str) -> str:
    return text if text.endswith(".") else f"{text}."
