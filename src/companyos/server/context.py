"""The outermost layer: every request gets an id, and HEAD is answered wherever GET is (RFC 9110 §9.3.2)."""

from __future__ import annotations

from typing import Final

from companyos.core.ids import is_uuid, uuid7
from companyos.server.asgi import HEAD, PATH, REQUEST_ID, App, Message, Receive, Scope, Send, header, header_value

ECHOING: Final = "/access/v1/"
"""Below this path a request id of any form comes back as it is (OpenID AuthZEN 1.0, "Request Identification")."""
ECHO_LIMIT: Final = 256


class ContextLayer:
    """Gives the request its id, which comes back in ``X-Request-Id`` and stands in every log line and ledger row."""

    def __init__(self, app: App) -> None:
        """Take the application inside."""
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        claimed = header_value(scope, b"x-request-id")
        identifier = claimed if claimed is not None and is_uuid(claimed) else uuid7()
        echoed = identifier
        if claimed is not None and scope["path"].startswith(ECHOING) and 0 < len(claimed) <= ECHO_LIMIT:
            echoed = claimed
        head = scope["method"] == "HEAD"
        # A copy, because the server below keeps its scope and must go on seeing the method that was asked.
        own: Scope = {**scope, REQUEST_ID: identifier, PATH: scope["path"], HEAD: head}
        if head:
            own["method"] = "GET"

        async def send_with_id(message: Message) -> None:
            if message["type"] == "http.response.start":
                message["headers"] = [*message["headers"], header("x-request-id", echoed)]
            elif head and message["type"] == "http.response.body":
                message["body"] = b""
            await send(message)

        await self._app(own, receive, send_with_id)
