from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Any

import pytest

from companyos.core import client
from companyos.core.client import bind_in_process, check_url, connect, local_caller, noted_server, running_server
from companyos.core.errors import IntegrityFault, InvalidInput, Unauthenticated, Unavailable
from companyos.core.home import Home
from companyos.core.settings import Settings


class Server(ThreadingHTTPServer):
    """A server that answers every GET with what it was asked, or with a prepared status."""

    seen: list[dict[str, str]]
    status = 200

    @property
    def url(self) -> str:
        """Its address."""
        return f"http://127.0.0.1:{self.server_port}"


class Echo(BaseHTTPRequestHandler):
    """Answers with the path and the credential."""

    def do_GET(self) -> None:
        """Answer."""
        server = self.server
        assert isinstance(server, Server)
        server.seen.append({"path": self.path, "authorization": self.headers.get("authorization", "")})
        body = json.dumps(server.seen[-1]).encode()
        self.send_response(server.status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: Any) -> None:
        """Say nothing."""


@pytest.fixture
def server() -> Iterator[Server]:
    """A server on a free port of this machine."""
    with Server(("127.0.0.1", 0), Echo) as server:
        server.seen = []
        thread = Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield server
        server.shutdown()
        thread.join()


@pytest.fixture
def home(tmp_path: Path) -> Home:
    """A home that exists."""
    return Home(tmp_path / "home").create()


@pytest.fixture(autouse=True)
def nothing_bound() -> Iterator[None]:
    """No application is bound at first, and what a test binds is forgotten."""
    bind_in_process(None)
    yield
    bind_in_process(None)


def note(home: Home, url: str, pid: int | None = None) -> None:
    """Say in the home that a server runs."""
    home.server_file.write_text(
        json.dumps({"url": url, "pid": pid or os.getpid(), "started_at": "2026-01-01T00:00:00Z"})
    )


def give_token(home: Home, token: str = "cos_admin", mode: int = 0o600) -> None:
    """Put an admin token into the home."""
    home.admin_token_file.write_text(token + "\n")
    home.admin_token_file.chmod(mode)


async def answering(scope: Any, receive: Any, send: Any) -> None:
    """An application that says who asks."""
    caller = scope["companyos.caller"]
    body = json.dumps({"subject": caller.subject, "roles": sorted(caller.roles)}).encode()
    await send({"type": "http.response.start", "status": 200, "headers": [(b"content-type", b"application/json")]})
    await send({"type": "http.response.body", "body": body})


def test_address_in_the_environment_comes_first(server: Server, home: Home) -> None:
    """COMPANYOS_URL wins over a home with a server, and takes its token from COMPANYOS_TOKEN only."""
    note(home, "http://127.0.0.1:1")
    give_token(home)
    environment = {"COMPANYOS_URL": server.url + "/", "COMPANYOS_HOME": str(home.path), "COMPANYOS_TOKEN": "cos_mine"}
    platform = connect(environment)
    assert platform.place == server.url
    assert platform.get("/api/x") == {"path": "/api/x", "authorization": "Bearer cos_mine"}
    del environment["COMPANYOS_TOKEN"]
    with pytest.raises(Unauthenticated, match="COMPANYOS_URL is set without a token"):
        connect(environment)


def test_server_of_the_home_is_asked_with_the_token_of_the_home(server: Server, home: Home) -> None:
    """A server that answers is asked over HTTP; the liveness question carries no token."""
    note(home, server.url)
    give_token(home)
    platform = connect({"COMPANYOS_HOME": str(home.path)})
    assert platform.get("/x")["authorization"] == "Bearer cos_admin"
    assert server.seen[0] == {"path": "/health", "authorization": ""}
    own = connect({"COMPANYOS_HOME": str(home.path), "COMPANYOS_TOKEN": "cos_mine"})
    assert own.get("/x")["authorization"] == "Bearer cos_mine"


def test_server_without_a_token_is_not_asked(server: Server, home: Home) -> None:
    """A running server and no token is a missing credential, never a silent way around it."""
    note(home, server.url)
    bind_in_process(lambda _settings: answering)
    with pytest.raises(Unauthenticated, match="no token"):
        connect({"COMPANYOS_HOME": str(home.path)})


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o666])
def test_token_that_others_can_read_is_not_used(server: Server, home: Home, mode: int) -> None:
    """As with private keys, a token that is open to others counts as lost."""
    note(home, server.url)
    give_token(home, mode=mode)
    with pytest.raises(IntegrityFault, match="open to other users"):
        connect({"COMPANYOS_HOME": str(home.path)})
    assert all(not seen["authorization"] for seen in server.seen)


@pytest.mark.parametrize("token", ["", "a b", "a\r\nX: y", "ü", "\x00"])
def test_token_that_is_no_token_is_not_sent(server: Server, home: Home, token: str) -> None:
    """A token cannot add a header of its own."""
    note(home, server.url)
    home.admin_token_file.write_bytes(token.encode())
    home.admin_token_file.chmod(0o600)
    with pytest.raises(InvalidInput, match="token"):
        connect({"COMPANYOS_HOME": str(home.path)})


def test_port_that_a_dead_server_left_is_not_asked(server: Server, home: Home) -> None:
    """Whoever listens there now is a stranger, so it does not even get the question whether it is alive."""
    with subprocess.Popen([sys.executable, "-S", "-c", ""]) as dead:
        dead.wait()
    note(home, server.url, pid=dead.pid)
    give_token(home)
    assert running_server(home) is None
    assert server.seen == []


def test_server_that_refuses_connections_is_not_running(home: Home) -> None:
    """A file of a server that has not begun to listen, or no longer does, means no server."""
    note(home, "http://127.0.0.1:9")
    assert running_server(home) is None


@pytest.mark.parametrize(
    "text",
    [
        "",
        "{}",
        "[]",
        '{"url": 1, "pid": 2}',
        '{"url": "http://evil.example", "pid": 1}',
        '{"url": "file:///x", "pid": 1}',
    ],
)
def test_address_file_that_says_nothing_useful_is_ignored(home: Home, text: str) -> None:
    """A damaged file, or one that points off this machine without encryption, is no server."""
    home.server_file.write_text(text)
    assert noted_server(home) is None


def test_without_a_server_the_application_of_this_process_is_called(home: Home) -> None:
    """The person at the machine is the caller, with the roles that the setting gives, and without a token."""
    given: list[Settings] = []

    def factory(settings: Settings) -> Any:
        given.append(settings)
        return answering

    bind_in_process(factory)
    environment = {"COMPANYOS_HOME": str(home.path), "COMPANYOS_LOCAL_ROLES": "viewer, operator"}
    platform = connect(environment)
    assert platform.get("/x") == {"subject": f"os:{client.user_name()}", "roles": ["operator", "viewer"]}
    assert platform.place == str(home.path)
    assert [settings.home for settings in given] == [str(home.path)]


def test_caller_without_local_roles_has_none(home: Home) -> None:
    """An empty setting takes every role away."""
    bind_in_process(lambda _settings: answering)
    assert connect({"COMPANYOS_HOME": str(home.path), "COMPANYOS_LOCAL_ROLES": ""}).get("/x")["roles"] == []


def test_name_of_the_person_is_the_systems(monkeypatch: pytest.MonkeyPatch, home: Home) -> None:
    """Nobody becomes somebody else by setting USER."""
    monkeypatch.setenv("USER", "somebody-else")
    monkeypatch.setenv("LOGNAME", "somebody-else")
    assert "somebody-else" not in local_caller(Settings(home=str(home.path))).subject


def test_nothing_bound_and_nothing_running_says_how_to_start(home: Home) -> None:
    """Without a server and without an application the answer is unknown, and the next step is named."""
    with pytest.raises(Unavailable, match="No server runs") as caught:
        connect({"COMPANYOS_HOME": str(home.path)})
    assert "companyos up" in caught.value.next_step


@pytest.mark.parametrize(
    "url",
    ["http://127.0.0.1:8700", "http://localhost:8700/", "http://[::1]:8700", "https://companyos.example/base/"],
)
def test_address_of_this_machine_or_with_encryption_is_used(url: str) -> None:
    """Plain http is for this machine only; the trailing slash goes."""
    assert check_url(url) == url.rstrip("/")


@pytest.mark.parametrize(
    "url",
    [
        "http://companyos.example",
        "http://10.0.0.1:8700",
        "http://127.0.0.1.example:8700",
        "http://localhost.example",
        "https://user:secret@companyos.example",
        "ftp://127.0.0.1",
        "127.0.0.1:8700",
        "https://",
        "https://companyos.example/?x=1",
        "https://companyos.example:notaport",
        "http://[::1",
        "",
    ],
)
def test_address_to_which_no_token_may_go_is_refused(url: str) -> None:
    """A token crosses no network in the clear, and an address carries no credential of its own."""
    with pytest.raises(InvalidInput) as caught:
        check_url(url)
    assert "secret" not in str(caught.value)


def test_server_that_goes_away_is_unavailable(home: Home) -> None:
    """An address where nothing listens is "could not find out", with the address in the sentence."""
    platform = connect({"COMPANYOS_URL": "http://127.0.0.1:9", "COMPANYOS_TOKEN": "cos_x"})
    with pytest.raises(Unavailable, match=r"127\.0\.0\.1:9"):
        platform.get("/x")
