from __future__ import annotations

import gzip
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from typing import Any

import pytest

from companyos.core.errors import Unavailable
from companyos.core.transport import HttpTransport, Request, is_loopback

GET = Request("GET", "/x?y=%20", {"accept": "application/json"})


class Handler(BaseHTTPRequestHandler):
    """Answers by path: compressed, cut short, or with a redirect."""

    def do_GET(self) -> None:
        """Answer."""
        if self.path.startswith("/redirect"):
            self.send_response(302)
            self.send_header("Location", "/x")
            self.send_header("Content-Length", "0")
            self.end_headers()
            return
        body = gzip.compress(self.requestline.encode())
        self.send_response(200)
        self.send_header("Content-Encoding", "gzip")
        self.send_header("X-Authorization", self.headers.get("Authorization", "none"))
        self.send_header("Content-Length", str(len(body) + (9 if self.path.startswith("/cut") else 0)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: Any) -> None:
        """Say nothing."""


@pytest.fixture
def url() -> Iterator[str]:
    """The address of a server of this machine."""
    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()
        thread.join()


def test_request_arrives_as_it_is_and_the_answer_is_unpacked(url: str) -> None:
    """The target is sent unchanged, the token as a bearer credential, and a compressed body comes out plain."""
    with HttpTransport(url, "cos_x").exchange(GET) as exchange:
        assert exchange.status == 200
        assert exchange.headers["x-authorization"] == "Bearer cos_x"
        assert b"".join(exchange.pieces) == b"GET /x?y=%20 HTTP/1.1"
    with HttpTransport(url, "").exchange(GET) as exchange:
        assert exchange.headers["x-authorization"] == "none"


def test_redirect_comes_back_as_it_is(url: str) -> None:
    """Nobody is followed with a token in hand."""
    with HttpTransport(url, "cos_x").exchange(GET._replace(target="/redirect")) as exchange:
        assert exchange.status == 302


def test_this_machine_is_asked_directly(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """A proxy of the environment does not get to see what is asked of this machine."""
    for name in ("HTTP_PROXY", "http_proxy", "ALL_PROXY"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")
    with HttpTransport(url, "cos_x").exchange(GET) as exchange:
        assert exchange.status == 200


def test_answer_that_is_cut_short_is_no_answer(url: str) -> None:
    """A connection that ends in the middle is "could not find out", not a short answer."""
    with (
        pytest.raises(Unavailable, match="does not answer"),
        HttpTransport(url, "").exchange(GET._replace(target="/cut")) as exchange,
    ):
        b"".join(exchange.pieces)


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("http://127.0.0.1:1", True),
        ("http://127.8.9.1", True),
        ("http://[::1]:1", True),
        ("http://LOCALHOST", True),
        ("http://localhost.evil.example", False),
        ("http://0.0.0.0", False),
        ("http://2130706433", False),
        ("https://companyos.example", False),
        ("", False),
    ],
)
def test_loopback_is_told_by_the_address_itself(url: str, expected: bool) -> None:
    """No name is looked up, because a name can be made to point anywhere."""
    assert is_loopback(url) is expected
