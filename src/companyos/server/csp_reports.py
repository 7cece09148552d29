"""Browsers report here what our content security policy stopped: a fault of our pages, or an attack on them.

Reports are counted by what they say, in a table that cannot grow; each new kind is one line in the log.
"""

from __future__ import annotations

import logging
from collections import Counter
from typing import Final
from urllib.parse import urlsplit

import msgspec

from companyos.core.errors import InvalidInput, UnsupportedMediaType
from companyos.server.asgi import Receive, Scope, Send, answer, header_value
from companyos.server.mounts import read_body

LIMIT_BYTES: Final = 8 * 1024
TIMEOUT_S: Final = 5.0
MEDIA_TYPE: Final = "application/csp-report"

_KINDS_LIMIT: Final = 100
_TEXT_LIMIT: Final = 120

_log = logging.getLogger(__name__)


class _Violation(msgspec.Struct, frozen=True, rename="kebab"):
    document_uri: str = ""
    effective_directive: str = ""
    violated_directive: str = ""
    blocked_uri: str = ""


class _Report(msgspec.Struct, frozen=True, rename={"violation": "csp-report"}):
    violation: _Violation


OPENAPI: Final = {
    "tags": ["server"],
    "operationId": "reportCspViolation",
    "summary": "Report what the content security policy stopped",
    "description": "Browsers call this by themselves. The report is counted, and logged when it is of a new kind.",
    "requestBody": {
        "required": True,
        "content": {
            MEDIA_TYPE: {
                "schema": {
                    "type": "object",
                    "required": ["csp-report"],
                    "properties": {
                        "csp-report": {
                            "type": "object",
                            "properties": {
                                name: {"type": "string"}
                                for name in ("document-uri", "effective-directive", "violated-directive", "blocked-uri")
                            },
                        }
                    },
                }
            }
        },
    },
    "responses": {"204": {"description": "Counted."}},
}


class CspReports:
    """The counts of this process; an ASGI application for one method and path."""

    def __init__(self) -> None:
        """Start with nothing counted."""
        self._counts: Counter[tuple[str, str, str]] = Counter()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Count one report."""
        if (header_value(scope, b"content-type") or "").partition(";")[0].strip().lower() != MEDIA_TYPE:
            raise UnsupportedMediaType("A report is of the type application/csp-report.", next_step="Set Content-Type.")
        self._count(_decode(await read_body(receive)))
        await answer(send, 204, [])

    def total(self) -> int:
        """Return how many reports came."""
        return self._counts.total()

    def _count(self, violation: _Violation) -> None:
        directive = violation.effective_directive or violation.violated_directive
        kind = (_short(directive), _place(violation.blocked_uri), _short(urlsplit_path(violation.document_uri)))
        if kind not in self._counts and len(self._counts) >= _KINDS_LIMIT:
            kind = ("others", "", "")
        if kind not in self._counts:
            _log.warning(
                "content security policy stopped something",
                extra={"directive": kind[0], "blocked": kind[1], "page": kind[2]},
            )
        self._counts[kind] += 1


def _decode(body: bytes) -> _Violation:
    try:
        return msgspec.json.decode(body, type=_Report).violation
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as fault:
        raise InvalidInput(f"The report cannot be read: {fault}.", next_step="Send it as browsers do.") from fault


def urlsplit_path(url: str) -> str:
    """Return the path of an address without its query, which may hold a secret; empty for what is no address."""
    try:
        return urlsplit(url).path
    except ValueError:
        return ""


def _place(url: str) -> str:
    """Return the origin of what was blocked, or the keyword that browsers put there (``inline``, ``eval``)."""
    try:
        parts = urlsplit(url)
    except ValueError:
        return ""
    return _short(f"{parts.scheme}://{parts.netloc}" if parts.netloc else parts.path or parts.scheme)


def _short(text: str) -> str:
    return "".join(character for character in text[:_TEXT_LIMIT] if character.isprintable())
