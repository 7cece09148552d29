from __future__ import annotations

import json
import re
import signal
import stat
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from tests.server.process import ServerProcess, environment, serving
from tests.waiting import until


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServerProcess]:
    """Return one server for the tests that leave it running."""
    with serving(
        tmp_path_factory.mktemp("running") / "home", body_limit_bytes="65536", request_timeout_s="0.5"
    ) as found:
        yield found


def read_all(connection: object) -> bytes:
    """Return what the peer sends until it closes the connection."""
    received = b""
    while piece := connection.recv(65536):  # type: ignore[attr-defined]
        received += piece
    return received


def test_the_first_start_prints_one_link_and_keeps_the_token(tmp_path: Path) -> None:
    """The link signs in once; the token file is 0600; a second start prints no link; no log line holds a secret."""
    home = tmp_path / "home"
    with serving(home) as first:
        assert stat.S_IMODE((home / "admin.token").stat().st_mode) == 0o600
        token = first.token
        code, out, err = first.stop(signal.SIGTERM)
    assert code == 0
    links = re.findall(r"http://127\.0\.0\.1:\d+/sign-in\?code=(\S+)", out)
    assert len(links) == 1
    assert links[0] not in err
    assert token.rpartition("_")[2] not in out + err
    with serving(home) as second:
        assert second.token == token
        with httpx.Client(base_url=second.url, trust_env=False) as person:
            answer = person.get(f"/sign-in?code={links[0]}", headers={"accept": "text/html"})
            assert answer.status_code == 303
            assert person.get("/api/tokens").status_code == 200
        _, out, _ = second.stop(signal.SIGTERM)
    assert "sign-in" not in out


def test_racing_first_starts_make_one_admin(tmp_path: Path) -> None:
    """Two servers that start together on an empty home both run, with one admin and one link between them."""
    home = tmp_path / "home"
    processes = [
        subprocess.Popen(
            [sys.executable, "-m", "companyos.server", "--port", "0"],
            env=environment(home),
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        for _ in range(2)
    ]
    try:
        lines: list[list[str]] = [[], []]
        readers = [
            threading.Thread(target=lambda number=number: lines[number].extend(processes[number].stdout or ()))
            for number in range(2)
        ]
        for reader in readers:
            reader.start()
        until(lambda: all(any("listens" in line for line in found) for found in lines), "both servers listen")
        for process in processes:
            process.send_signal(signal.SIGTERM)
        for reader, process in zip(readers, processes, strict=True):
            reader.join(30)
            process.wait(30)
    finally:
        for process in processes:
            process.kill()
        said = [process.communicate()[1] for process in processes]
    assert sum("sign-in" in line for found in lines for line in found) == 1
    assert [process.returncode for process in processes] == [0, 0], said


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_ends_the_server_with_open_streams(tmp_path: Path, number: signal.Signals) -> None:
    """Open event streams end as they should, the server file goes, and the process exits 0 by itself."""
    with serving(tmp_path / "home") as server, server.client() as client:
        with client.stream("GET", "/events?since=0-0") as one, client.stream("GET", "/events?since=0-0") as two:
            pieces = [one.iter_raw(), two.iter_raw()]
            assert [one.status_code, two.status_code] == [200, 200]
            for piece in pieces:
                assert next(piece)
            server.process.send_signal(number)
            for piece in pieces:
                for _ in piece:
                    pass  # an answer that is cut off would raise here
        _, err = server.process.communicate(timeout=30)
        assert server.process.returncode == 0, err
        assert not (server.home / "run" / "server.json").exists()
        lines = [json.loads(line) for line in err.splitlines()]
        assert all({"timestamp", "level", "event"} <= set(line) for line in lines)
        assert [line["event"] for line in lines] == ["server starting", "server stopping"]


def test_a_busy_port_is_told_in_one_sentence(server: ServerProcess, tmp_path: Path) -> None:
    """A second server on the same port ends with exit code 3 and leaves no home half made."""
    answer = subprocess.run(
        [sys.executable, "-m", "companyos.server", "--port", str(server.port)],
        env=environment(tmp_path / "other"),
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert answer.returncode == 3
    assert str(server.port) in answer.stderr
    assert "Traceback" not in answer.stderr
    assert not (tmp_path / "other" / "companyos.db").exists()


@pytest.mark.parametrize("arguments", [["--port", "70000"], ["--port", "x"], ["--host", "no such host."], ["--wrong"]])
def test_bad_usage_exits_2(tmp_path: Path, arguments: list[str]) -> None:
    """A wrong option or host is told before anything is made."""
    answer = subprocess.run(
        [sys.executable, "-m", "companyos.server", *arguments],
        env=environment(tmp_path / "home"),
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert answer.returncode == 2
    assert "Traceback" not in answer.stderr
    assert not (tmp_path / "home").exists()


def test_ten_megabytes_are_refused_whole_or_in_chunks(server: ServerProcess) -> None:
    """A body far above the limit gets 413, with and without a declared length, and the server goes on."""
    body = b'{"name": "' + b"a" * 10_000_000 + b'"}'
    headers = {"content-type": "application/json"}
    for content in (body, (body[start : start + 50_000] for start in range(0, len(body), 50_000))):
        with server.client() as client:
            try:
                answer = client.post("/api/subjects", content=content, headers=headers)
            except httpx.TransportError:
                continue  # The server closed while the client was still sending, as RFC 9110 §15.5.14 allows.
            assert answer.status_code == 413
            assert answer.json()["type"].endswith("/too-large")
    with server.client() as client:
        assert client.get("/health").status_code == 200


def test_a_body_that_stops_coming_times_out(server: ServerProcess) -> None:
    """Headers and half a body, and then silence: the answer is 408."""
    with server.connect() as connection:
        connection.sendall(
            b"POST /api/subjects HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\n"
            b"authorization: Bearer " + server.token.encode() + b"\r\ncontent-length: 100\r\nconnection: close\r\n\r\n{"
        )
        answer = read_all(connection)
    assert answer.startswith(b"HTTP/1.1 408")
    assert b"/request-timeout" in answer


def test_a_head_without_an_end_is_cut_off(server: ServerProcess) -> None:
    """A header that never ends is refused with 431 long before it fills the memory."""
    with server.connect() as connection:
        connection.sendall(b"GET /health HTTP/1.1\r\nhost: localhost\r\nx: ")
        received = b""
        try:
            for _ in range(1000):
                connection.sendall(b"a" * 10_000)
        except OSError:
            pass
        try:
            received = connection.recv(1000)
        except OSError:
            received = b"reset"
    assert received.startswith(b"HTTP/1.1 431") or received in (b"", b"reset")
    with server.client() as client:
        assert client.get("/health").status_code == 200


def test_a_long_head_that_ends_is_a_problem(server: ServerProcess) -> None:
    """A head above the limit, but whole, gets the problem document."""
    with server.client() as client:
        answer = client.get("/health", headers={"x": "a" * 40_000})
    assert answer.status_code == 431
    assert answer.json()["type"].endswith("/headers-too-large")


@pytest.mark.parametrize("line", [b"nonsense", b"GET /\x00 HTTP/1.1", b"GET  HTTP/1.1", b"\x16\x03\x01\x02\x00"])
def test_what_is_not_http_is_turned_away(server: ServerProcess, line: bytes) -> None:
    """Garbage, and TLS on a plain port, get an answer 400 and a closed connection."""
    with server.connect() as connection:
        connection.sendall(line + b"\r\nhost: localhost\r\n\r\n")
        answer = read_all(connection)
    assert answer.startswith((b"HTTP/1.1 400", b"HTTP/1.1 401"))


def test_two_lengths_are_refused(server: ServerProcess) -> None:
    """A request that a proxy could read differently (smuggling) is refused."""
    with server.connect() as connection:
        connection.sendall(
            b"POST /sign-in HTTP/1.1\r\nhost: localhost\r\ncontent-type: a/b\r\n"
            b"content-length: 5\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n"
        )
        assert read_all(connection).startswith(b"HTTP/1.1 400")


def test_the_status_tells_of_every_part(server: ServerProcess) -> None:
    """With the loops running everything is up; names and states are public, reasons are not."""

    def everything_up() -> dict[str, list[dict[str, str]]] | None:
        answer = httpx.get(server.url + "/status", trust_env=False)
        found: dict[str, list[dict[str, str]]] = answer.json()
        return found if answer.status_code == 200 else None

    public = until(everything_up, "everything is up")
    names = {part["name"] for part in public["components"]}
    assert names >= {"database", "ledger", "keys", "disk", "loop tower.projection", "loop ledger.retention"}
    assert {frozenset(part) for part in public["components"]} == {frozenset({"name", "state"})}
    with server.client() as client:
        assert all(part["detail"] for part in client.get("/status").json()["components"])
