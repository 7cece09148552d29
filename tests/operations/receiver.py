"""A receiver of notifications on a free port: it checks signatures by the specification, and answers as it is told."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import socket
import threading
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, NamedTuple, Self

from companyos.core.settings import Settings

SECRET = "whsec_" + base64.b64encode(bytes(range(32))).decode()


class Message(NamedTuple):
    """One request whose signature holds."""

    id: str
    timestamp: int
    body: dict[str, Any]
    raw: bytes


class Receiver:
    """Collects messages; what is not signed as it must be is counted apart and refused."""

    def __init__(self) -> None:
        self.messages: list[Message] = []
        self.forged = 0
        self.answer: Callable[[Message, BaseHTTPRequestHandler], None] = lambda _, to: reply(to, 204)
        receiver = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                raw = self.rfile.read(int(self.headers["content-length"]))
                if (message := checked(dict(self.headers.items()), raw)) is None:
                    receiver.forged += 1
                    reply(self, 401)
                    return
                receiver.messages.append(message)
                receiver.answer(message, self)

            def log_message(self, *_: object) -> None:
                """Say nothing."""

        class Server(ThreadingHTTPServer):
            daemon_threads = True

            def handle_error(self, *_: object) -> None:
                """Say nothing: senders are killed in these tests."""

        self._server = Server(("127.0.0.1", 0), Handler)

    @property
    def url(self) -> str:
        """Where it listens."""
        return f"http://127.0.0.1:{self._server.server_address[1]}/hook"

    def settings(self, home: str, **more: Any) -> Settings:
        """Return settings that send notifications here."""
        return Settings(home=home, notify_webhook_url=self.url, notify_webhook_secret=SECRET, **more)

    def __enter__(self) -> Self:
        threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()


def reply(to: BaseHTTPRequestHandler, status: int, **headers: str) -> None:
    """Answer with a status."""
    to.send_response(status)
    for name, value in headers.items():
        to.send_header(name, value)
    to.send_header("content-length", "0")
    to.end_headers()


def checked(headers: dict[str, str], raw: bytes) -> Message | None:
    """Return the message when one of its signatures holds, as the specification tells receivers to check it."""
    given = {name.lower(): value for name, value in headers.items()}
    signed = f"{given['webhook-id']}.{given['webhook-timestamp']}.".encode() + raw
    key = base64.b64decode(SECRET.removeprefix("whsec_"))
    good = "v1," + base64.b64encode(hmac.new(key, signed, hashlib.sha256).digest()).decode()
    if good not in given["webhook-signature"].split():
        return None
    return Message(given["webhook-id"], int(given["webhook-timestamp"]), json.loads(raw), raw)


def closed_port() -> int:
    """Return a port on which nothing listens."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port
