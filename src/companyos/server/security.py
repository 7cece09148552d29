"""The headers that every answer carries: nothing inline runs, nothing foreign loads, nobody frames us."""

from __future__ import annotations

from typing import Final

from companyos.server.asgi import App, Message, Receive, Scope, Send, header

CSP_REPORTS: Final = "/api/csp-reports"
STATIC: Final = "/static/"

CONTENT_SECURITY_POLICY: Final = "; ".join(
    (
        "default-src 'none'",
        "script-src 'self'",
        "style-src 'self'",
        "img-src 'self' data:",
        "connect-src 'self'",
        "form-action 'self'",
        "frame-ancestors 'none'",
        "base-uri 'none'",
        f"report-uri {CSP_REPORTS}",
    )
)

_HEADERS: Final = (
    header("content-security-policy", CONTENT_SECURITY_POLICY),
    header("x-content-type-options", "nosniff"),
    header("referrer-policy", "same-origin"),
    header("cross-origin-opener-policy", "same-origin"),
    header("cross-origin-resource-policy", "same-origin"),
    header("permissions-policy", "camera=(), geolocation=(), microphone=(), payment=(), usb=()"),
)
_NO_STORE: Final = header("cache-control", "no-store")
_HSTS: Final = header("strict-transport-security", "max-age=31536000")


class SecurityHeadersLayer:
    """Adds the headers; only files below ``/static/`` may be kept by a browser, and they say so themselves."""

    def __init__(self, app: App, *, https: bool) -> None:
        """Take the application inside, and whether people reach it by https."""
        self._app = app
        self._headers = (*_HEADERS, _HSTS) if https else _HEADERS

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        static = scope["path"].startswith(STATIC)

        async def send_guarded(message: Message) -> None:
            if message["type"] == "http.response.start":
                theirs = [pair for pair in message["headers"] if static or pair[0].lower() != b"cache-control"]
                message["headers"] = [*theirs, *self._headers, *(() if static else (_NO_STORE,))]
            await send(message)

        await self._app(scope, receive, send_guarded)
