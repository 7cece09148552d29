"""Asking Envoy: its admin interface and the version of its routes, both over sockets that only this user can open."""

from __future__ import annotations

import http.client
import socket
from pathlib import Path
from typing import Final

from companyos.core.errors import Unavailable
from companyos.delivery.adapters.envoy.config import VERSION_HOST

TIMEOUT_S: Final = 2.0
ANSWER_LIMIT_BYTES: Final = 8 * 1024 * 1024
_OK: Final = 200


class _SocketConnection(http.client.HTTPConnection):
    """HTTP over a Unix socket."""

    def __init__(self, path: Path, host: str) -> None:
        super().__init__(host, timeout=TIMEOUT_S)
        self._path = path
        self.opened = 0

    def connect(self) -> None:
        """Open the connection. Raises OSError."""
        self.opened += 1
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        try:
            self.sock.settimeout(self.timeout)
            self.sock.connect(str(self._path))
        except OSError:
            self.close()
            raise


class Asker:
    """One connection that is kept open; for one thread."""

    def __init__(self, path: Path, host: str = "envoy") -> None:
        """Take the socket; nothing is opened before the first question."""
        self._connection = _SocketConnection(path, host)

    def ask(self, path: str, method: str = "GET") -> bytes:
        """Return the body of the answer. Raises Unavailable when there is none or it is not 200."""
        fresh = self._connection.sock is None
        try:
            return self._ask(path, method)
        except (OSError, http.client.HTTPException) as fault:
            self.close()
            # A connection that was kept may have ended with the Envoy that had it.
            if not fresh:
                return self.ask(path, method)
            raise Unavailable(
                f"Envoy does not answer: {str(fault) or type(fault).__name__}.", next_step="Look into its log."
            ) from fault

    @property
    def opened(self) -> int:
        """How often a connection was opened: another number means that Envoy may be another one."""
        return self._connection.opened

    def close(self) -> None:
        """Close the connection; the next question opens one again."""
        self._connection.close()

    def _ask(self, path: str, method: str) -> bytes:
        self._connection.request(method, path)
        answer = self._connection.getresponse()
        body = answer.read(ANSWER_LIMIT_BYTES + 1)
        if len(body) > ANSWER_LIMIT_BYTES:
            self.close()
            raise Unavailable(f"Envoy's answer to {path} is longer than {ANSWER_LIMIT_BYTES} bytes.")
        if answer.status != _OK:
            raise Unavailable(f"Envoy answered {answer.status} to {path}.", next_step="Look into its log.")
        return body


class VersionProbe:
    """Asks which version of the routes the worker uses now, by a request through that very worker."""

    def __init__(self, path: Path) -> None:
        """Take the private listener's socket."""
        self._asker = Asker(path, VERSION_HOST)

    def version(self) -> str | None:
        """Return the version in effect, None when Envoy does not answer or has no routes yet."""
        try:
            return self._asker.ask("/").decode("ascii", "replace")
        except Unavailable:
            return None

    def close(self) -> None:
        """Close the connection."""
        self._asker.close()
