"""Asking the platform: paths and JSON go out, decoded JSON or the matching fault comes back.

Problem details (RFC 9457) become the ``CompanyOSError`` that was raised on the other side, so that a command ends with
the same exit code whether the platform is a server or runs in the same process.
"""

from __future__ import annotations

import json as stdlib_json
from collections.abc import Collection, Iterable, Iterator, Mapping
from typing import Any, Final, NamedTuple
from urllib.parse import quote, urlencode

import msgspec

import companyos
from companyos.core.errors import BY_SLUG, CompanyOSError, InvalidInput, TooLarge, TooManyRequests, Unavailable
from companyos.core.transport import Exchange, Request, Transport

ANSWER_LIMIT_BYTES: Final = 16 * 1024 * 1024
"""The largest answer that is read as a whole; ``stream`` has no limit."""
_REDIRECTS_FROM: Final = 300
_CLIENT_ERRORS_FROM: Final = 400
_SERVER_ERRORS_FROM: Final = 500


class Answer(NamedTuple):
    """A whole answer: the decoded JSON body (None when it is empty), and the headers with lower-case names."""

    value: Any
    status: int
    headers: Mapping[str, str]


class Client:
    """Asks the platform. Every method raises the fault that the platform answers, or Unavailable without an answer."""

    def __init__(self, transport: Transport, place: str) -> None:
        """Take the way to the platform, and the words for where it is."""
        self._transport = transport
        self.place = place
        """Where the platform is, for people: its address, or the home it works on."""

    def get(self, path: str, params: Mapping[str, Any] | None = None) -> Any:  # noqa: ANN401 - JSON
        """Return the decoded body of a GET. Parameters that are None are left out; lists repeat their name."""
        return self.ask("GET", path, params=params).value

    def post(self, path: str, json: object = None, headers: Mapping[str, str] | None = None) -> Any:  # noqa: ANN401 - JSON
        """Return the decoded body of a POST of anything msgspec can encode."""
        return self.ask("POST", path, json=json, headers=headers).value

    def put(self, path: str, json: object = None, headers: Mapping[str, str] | None = None) -> Any:  # noqa: ANN401 - JSON
        """Return the decoded body of a PUT."""
        return self.ask("PUT", path, json=json, headers=headers).value

    def patch(self, path: str, json: object = None, headers: Mapping[str, str] | None = None) -> Any:  # noqa: ANN401 - JSON
        """Return the decoded body of a PATCH."""
        return self.ask("PATCH", path, json=json, headers=headers).value

    def delete(self, path: str, json: object = None, headers: Mapping[str, str] | None = None) -> Any:  # noqa: ANN401 - JSON
        """Return the decoded body of a DELETE."""
        return self.ask("DELETE", path, json=json, headers=headers).value

    def ask(
        self,
        method: str,
        path: str,
        *,
        params: Mapping[str, Any] | None = None,
        json: object = None,
        content: bytes | None = None,
        headers: Mapping[str, str] | None = None,
        also: Collection[int] = (),
    ) -> Answer:
        """Return a whole answer with its headers.

        ``content`` is a raw body whose type the headers name. ``also`` holds the statuses above 299 whose body is an
        answer and no fault.
        """
        request = _request(method, path, params=params, json=json, content=content, headers=headers)
        with self._transport.exchange(request) as exchange:
            body = _whole(exchange)
            if exchange.status not in also:
                _raise_for(exchange, body)
            return Answer(_decoded(exchange, body), exchange.status, exchange.headers)

    def stream(
        self, path: str, params: Mapping[str, Any] | None = None, headers: Mapping[str, str] | None = None
    ) -> Iterator[bytes]:
        """Yield the body of a GET in pieces as they arrive; a fault is raised before the first piece."""
        with self._transport.exchange(_request("GET", path, params=params, headers=headers)) as exchange:
            if exchange.status >= _REDIRECTS_FROM:
                _raise_for(exchange, _whole(exchange))
            yield from exchange.pieces


def _request(
    method: str,
    path: str,
    *,
    params: Mapping[str, Any] | None = None,
    json: object = None,
    content: bytes | None = None,
    headers: Mapping[str, str] | None = None,
) -> Request:
    if not path.startswith("/"):
        raise ValueError(f"a path starts with a slash: {path!r}")
    query = urlencode([(name, _text(value)) for name, values in (params or {}).items() for value in _each(values)])
    # What is percent-encoded already stays; a space or a control character in a name must not end the request line.
    target = quote(path, safe="/%:@!$&'()*+,;=~-._") + (f"?{query}" if query else "")
    fields = {
        "accept": "application/json",
        "user-agent": f"companyos/{companyos.__version__}",
        **{name.lower(): value for name, value in (headers or {}).items()},
    }
    if content is None and json is not None:
        content = msgspec.json.encode(json)
        fields.setdefault("content-type", "application/json")
    return Request(method, target, fields, content or b"")


def _each(values: object) -> Iterable[object]:
    if values is None:
        return ()
    return values if isinstance(values, list | tuple) else (values,)


def _text(value: object) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


def _whole(exchange: Exchange) -> bytes:
    body = bytearray()
    for piece in exchange.pieces:
        body += piece
        if len(body) > ANSWER_LIMIT_BYTES:
            raise TooLarge(
                f"The answer is larger than {ANSWER_LIMIT_BYTES} bytes.", next_step="Ask for less, with --limit."
            )
    return bytes(body)


def _decoded(exchange: Exchange, body: bytes) -> Any:  # noqa: ANN401 - JSON
    if not body:
        return None
    if "json" not in exchange.headers.get("content-type", ""):
        return body.decode("utf-8", "replace")
    try:
        return stdlib_json.loads(body)
    except (ValueError, RecursionError) as fault:
        raise Unavailable(
            "The platform's answer is not JSON.", next_step="Look whether COMPANYOS_URL is right."
        ) from fault


def _raise_for(exchange: Exchange, body: bytes) -> None:
    if exchange.status < _REDIRECTS_FROM:
        return
    if exchange.status < _CLIENT_ERRORS_FROM:
        raise Unavailable(
            f"The platform points to {exchange.headers.get('location', 'somewhere else')}, and a token is not sent on.",
            next_step="Set COMPANYOS_URL to the address itself.",
        )
    try:
        problem = stdlib_json.loads(body)
    except (ValueError, RecursionError):
        problem = None
    raise fault_of(exchange.status, problem if isinstance(problem, dict) else {}, exchange.headers)


def fault_of(status: int, problem: Mapping[str, object], headers: Mapping[str, str]) -> CompanyOSError:
    """Return the fault that problem details (RFC 9457) describe, of the kind whose exit code fits.

    The kind is found by the last part of ``type``, then by the status; an unknown kind can be told apart no further.
    """
    slug = str(problem.get("type", "")).rpartition("/")[2]
    detail = str(problem.get("detail") or problem.get("title") or f"The platform answered {status}.")
    next_step = str(problem.get("next_step") or "")
    if status == TooManyRequests.status:
        after = headers.get("retry-after", "")
        return TooManyRequests(detail, retry_after_s=int(after) if after.isdecimal() else 60, next_step=next_step)
    by_status = next((kind for kind in BY_SLUG.values() if kind.status == status), None)
    kind = BY_SLUG.get(slug) or by_status or (CompanyOSError if status >= _SERVER_ERRORS_FROM else InvalidInput)
    fault = kind(detail, next_step=next_step)
    field = problem.get("field")
    fault.field = field if isinstance(field, str) else None
    return fault
