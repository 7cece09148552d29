"""Stand-ins for the neighbours of deciding: a program, a clock, and a platform that answers as it is told."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from companyos_sdk.policy.clock import Clock
from companyos_sdk.policy.decision import BundleIdentity, Decision, Obligation
from companyos_sdk.rego.values import UNDEFINED

BUNDLE = BundleIdentity(
    id="companyos/documents",
    version="1.4.0",
    stage="prod",
    digest="sha256:" + "a" * 64,
    data_digest="sha256:" + "b" * 64,
)
PATHS = (("action",), ("subject", "id"), ("context", "approval_ticket"))
ALLOW = {"decision": "allow", "reason": "role.bound", "obligations": []}
REQUEST: dict[str, Any] = {
    "subject": {"id": "u1", "type": "user"},
    "action": "read",
    "resource": {"id": "doc-1", "type": "document"},
    "environment": {},
    "context": {},
}


class Policy:
    """A program that gives one answer, or raises one error."""

    def __init__(self, answer: Any, paths: tuple[tuple[str, ...], ...] = PATHS) -> None:
        self.answer, self.input_paths = answer, paths

    def observe(self, input: Any) -> tuple[Any, tuple[Any, ...]]:
        """The answer, and what is at the paths."""
        if isinstance(self.answer, BaseException):
            raise self.answer
        return self.answer(input) if callable(self.answer) else self.answer, tuple(
            _at(input, path) for path in self.input_paths
        )


def _at(value: Any, path: tuple[str, ...]) -> Any:
    for part in path:
        if type(value) is not dict or part not in value:
            return UNDEFINED
        value = value[part]
    return value


class Hands:
    """The hands of a clock."""

    def __init__(self) -> None:
        self.wall = 1_790_000_000 * 10**9
        self.monotonic = 0

    def clock(self) -> Clock:
        """The clock that shows them."""
        return Clock(lambda: self.wall, lambda: self.monotonic)

    def pass_s(self, seconds: float) -> None:
        """Let both move on."""
        self.wall += int(seconds * 10**9)
        self.monotonic += int(seconds * 10**9)


def allowed(*obligations: Obligation, allow: bool = True) -> Decision:
    """A decision with these obligations."""
    return Decision(allow, obligations, "role.bound", "01a22096-5ba4-70bc-bb36-38265ad4c3d5", BUNDLE)


class Asked:
    """One request to the platform."""

    def __init__(self, method: str, path: str, headers: dict[str, str], body: bytes) -> None:
        self.method, self.path, self.headers, self.body = method, path, headers, body
        self.lines = body.splitlines()


Answer = tuple[int, dict[str, str], bytes]


class Platform:
    """A real HTTP server on this machine. ``answer`` says what it answers; ``asked`` holds what it was asked."""

    def __init__(self, answer: Callable[[Asked], Answer | None]) -> None:
        self.answer = answer
        self.asked: list[Asked] = []
        self.url = ""


@contextmanager
def platform(answer: Callable[[Asked], Answer | None]) -> Iterator[Platform]:
    """The platform while the block lasts; an answer of None cuts the connection."""
    made = Platform(answer)

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def _serve(self) -> None:
            body = self.rfile.read(int(self.headers.get("content-length") or 0))
            asked = Asked(self.command, self.path, {k.lower(): v for k, v in self.headers.items()}, body)
            made.asked.append(asked)
            found = made.answer(asked)
            if found is None:
                self.close_connection = True
                return
            status, headers, data = found
            self.send_response(status)
            for name, value in {"content-length": str(len(data)), **headers}.items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(data)

        do_GET = do_POST = _serve  # noqa: N815 - the names that the standard library calls

        def log_message(self, *args: Any) -> None:
            """Say nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
    thread.start()
    made.url = f"http://127.0.0.1:{server.server_address[1]}"
    try:
        yield made
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
