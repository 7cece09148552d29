"""Bodies are what their route reads: of the type that they say, of bounded depth, and decoded without any guessing.

The framework alone would take JSON from a body that calls itself anything, turn ``"60"`` into a number, let the last of
two equal keys win, and fail on a text of ten thousand brackets.
"""

from __future__ import annotations

from typing import Any, Final

from litestar import Request
from litestar.connection import ASGIConnection
from litestar.enums import RequestEncodingType
from litestar.handlers import BaseRouteHandler, HTTPRouteHandler
from litestar.params import BodyKwarg

from companyos.core.documents import decode, parse_json
from companyos.core.errors import UnsupportedMediaType

_JSON: Final = RequestEncodingType.JSON.value
_WHERE: Final = "The body"


class StrictRequest(Request[Any, Any, Any]):
    """A request whose JSON body is decoded into the type that its route declares."""

    async def json(self) -> Any:  # noqa: ANN401 - whatever the route declares
        """Return the body as the declared type, or as plain values; raises InvalidInput that names the field."""
        if not hasattr(self, "_decoded"):
            value = parse_json(await self.body(), where=_WHERE)
            field = getattr(self.route_handler, "parsed_data_field", None)
            self._decoded = value if field is None else decode(value, field.annotation, where=_WHERE)
        return self._decoded


async def check_content_type(connection: ASGIConnection[Any, Any, Any, Any], handler: BaseRouteHandler) -> None:
    """Return when the body has the type that the route declares, or raise UnsupportedMediaType that names it.

    It waits for nothing; a guard that is no coroutine would be called in a thread of its own.
    """
    if not isinstance(handler, HTTPRouteHandler):
        return
    expected = expected_type(handler)
    given = connection.headers.get("content-type")
    if expected is None or given is None or _is(given.partition(";")[0].strip().lower(), expected):
        return
    raise UnsupportedMediaType(
        f"This address reads {expected}, not {given[:80]!r}.", next_step=f"Send `Content-Type: {expected}`."
    )


def expected_type(handler: HTTPRouteHandler) -> str | None:
    """Return the media type of the body that a route decodes; None for a route without one, or that reads raw bytes."""
    data = handler.parsed_data_field
    if data is None:
        return None
    declared = data.kwarg_definition
    return RequestEncodingType(declared.media_type).value if isinstance(declared, BodyKwarg) else _JSON


def _is(given: str, expected: str) -> bool:
    return given == expected or (expected == _JSON and given.endswith("+json"))
