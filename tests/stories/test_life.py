"""The life of a platform on one machine, as somebody at its command line sees it."""

from __future__ import annotations

import json
import os
import signal
import socket
import urllib.request
from typing import Any

from companyos.core.keeper import Keeper
from companyos.core.keeper.process import start_time
from tests.needs import missing
from tests.program import Program
from tests.waiting import until

ENDED = ["server"] if missing("envoy") else ["controller", "envoy", "server"]
"""What `down` ends; without Envoy there are no releases to follow."""


def health(url: str) -> Any:
    """What the server says about itself, None while it does not answer."""
    try:
        with urllib.request.urlopen(f"{url}/health", timeout=5) as answer:
            return json.load(answer)
    except OSError:
        return None


def alive(pid: int) -> bool:
    """Whether a process runs."""
    return start_time(pid) is not None


def server_pid(keeper: Keeper) -> int | None:
    """The process id of the server that the keeper runs."""
    return next((child.pid for child in keeper.children() if child.name == "server"), None)


def test_first_day(program: Program, keeper: Keeper, port: int) -> None:
    """Up, look, up again, a server that is killed and comes back, down, down again."""
    first = program.run("up", "--detach")
    assert first.code == 0, first.err
    assert f"CompanyOS runs at http://127.0.0.1:{port}" in first.out
    assert "Sign in once with http://127.0.0.1" in first.out
    assert [line.split()[0] for line in first.out.splitlines()[:4]] == ["keeper", "database", "server", "releases"]
    assert health(f"http://127.0.0.1:{port}")["status"] == "up"

    status = program.run("status", "--json")
    assert status.code == 0, status.out
    assert {part["name"]: part["state"] for part in status.document["parts"]}["process server"] == "up"
    assert program.run("status").code == 0
    assert program.run("doctor", "--json").document["checks"]

    pid, keeper_pid = server_pid(keeper), keeper.pid()
    again = program.run("up", "--detach", "--json")
    assert again.code == 0, again.err
    assert again.document["server"] == {"pid": pid, "started": False}
    assert again.document["keeper"] == {"pid": keeper_pid, "started": False}
    assert "already running at" in again.err
    link = again.document["sign_in"]["url"]
    assert link.startswith(f"http://127.0.0.1:{port}/")
    assert link not in (program.home / "logs" / "server.log").read_text()

    assert pid is not None
    os.kill(pid, signal.SIGKILL)
    until(
        lambda: server_pid(keeper) not in {pid, None} and health(f"http://127.0.0.1:{port}"),
        "the killed server comes back",
    )
    assert keeper.pid() == keeper_pid

    down = program.run("down", "--json")
    assert (down.code, down.document) == (0, {"ended": ENDED, "left": None})
    assert not alive(keeper_pid)
    assert health(f"http://127.0.0.1:{port}") is None
    assert program.run("down", "--json").document == {"ended": [], "left": None}
    assert program.run("status").code == 1


def test_server_outlives_whoever_started_it(program: Program, keeper: Keeper) -> None:
    """SIGTERM or SIGKILL of `up` and SIGKILL of the keeper stop nothing; the next `up` finds the same server."""
    with program.start("up") as up:
        until((program.home / "run" / "server.json").exists, "the server is up", within_s=60)
        url = json.loads((program.home / "run" / "server.json").read_text())["url"]
        until(lambda: health(url), "the server answers", within_s=60)
        up.kill()
        up.communicate()
    server = server_pid(keeper)
    assert server is not None
    with program.start("up") as up:
        assert up.stdout is not None
        for line in up.stdout:
            if line.startswith("Ctrl-C"):
                break
        up.terminate()
        up.communicate()
    assert health(url)
    keeper_pid = keeper.pid()
    os.kill(keeper_pid, signal.SIGKILL)
    until(lambda: not keeper.runs(), "the keeper dies")
    assert health(url)

    adopted = program.run("up", "--detach", "--json").document
    assert adopted["server"] == {"pid": server, "started": False}
    assert adopted["keeper"]["started"] is True
    assert adopted["url"] == url

    os.kill(keeper.pid(), signal.SIGKILL)
    until(lambda: not keeper.runs(), "the second keeper dies")
    assert program.run("down", "--json").document == {"ended": ENDED, "left": None}
    until(lambda: not alive(server), "the server ends")
    assert health(url) is None


def test_ctrl_c_ends_everything(program: Program, keeper: Keeper) -> None:
    """Ctrl-C of `up` in the foreground ends server and keeper, and the shell learns that it was Ctrl-C."""
    with program.start("up") as up:
        assert up.stdout is not None
        shown: list[str] = []
        for line in up.stdout:
            shown.append(line)
            if line.startswith("Ctrl-C"):
                break
        server, keeper_pid = server_pid(keeper), keeper.pid()
        assert server is not None, shown
        up.send_signal(signal.SIGINT)
        for line in up.stdout:
            if line.startswith("ending"):
                break
        # A second, impatient Ctrl-C must not leave the ending half done.
        up.send_signal(signal.SIGINT)
        rest = up.stdout.read()  # `communicate` would pass over what already waits in the reader's own buffer
        up.wait(timeout=60)
    assert up.returncode == 130, rest
    assert rest.rstrip().endswith("ended")
    assert not alive(server)
    assert not alive(keeper_pid)


def test_down_from_elsewhere_ends_the_foreground_too(program: Program, keeper: Keeper) -> None:
    """An `up` that shows the log notices that the platform was ended and ends as well."""
    with program.start("up") as up:
        assert up.stdout is not None
        for line in up.stdout:
            if line.startswith("Ctrl-C"):
                break
        assert program.run("down").code == 0
        rest = up.stdout.read()
        up.wait(timeout=60)
    assert up.returncode == 0
    assert "ended by somebody else" in rest


def test_starters_that_race_get_one_platform(program: Program, keeper: Keeper) -> None:
    """Two `up` at the same moment: one keeper, one server, both told where it is."""
    with program.start("up", "--detach", "--json") as one, program.start("up", "--detach", "--json") as two:
        answers = [process.communicate(timeout=100)[0] for process in (one, two)]
    assert [one.returncode, two.returncode] == [0, 0], answers
    documents = [json.loads(answer[answer.index("{") :]) for answer in answers]
    assert documents[0]["server"]["pid"] == documents[1]["server"]["pid"] == server_pid(keeper)
    assert sorted(document["server"]["started"] for document in documents) == [False, True]
    assert (program.home / "logs" / "keeper.log").read_text().count("keeper started") == 1


def test_busy_port_is_named_and_nothing_is_left(program: Program, keeper: Keeper, port: int) -> None:
    """A port that somebody else holds ends with 3, names the holder and the way out, and leaves nothing running."""
    with socket.socket() as stranger:
        stranger.bind(("127.0.0.1", port))
        stranger.listen()
        for command in (("up", "--detach"), ("serve",)):
            result = program.run(*command, "--json")
            assert result.code == 3
            assert result.out == ""
            assert f"Port {port} is taken by process {os.getpid()}" in result.problem["detail"]
            assert f"PORT={port + 1} make up" in result.problem["next_step"]
    assert not keeper.runs()


def test_server_that_cannot_start_leaves_nothing_behind(program: Program, keeper: Keeper) -> None:
    """A server that keeps ending is given up with the end of its log, and the keeper that was started for it ends."""
    (program.home / "run" / "server.json").mkdir(parents=True)
    result = program.run("up", "--detach")
    assert result.code == 3
    assert "The server does not start; its last lines:" in result.err
    assert "server.log" in result.err
    until(lambda: not keeper.runs(), "the keeper ends")
    assert program.run("down", "--json").document == {"ended": [], "left": None}


def test_newer_database_is_not_touched(program: Program, keeper: Keeper) -> None:
    """A database of a newer release is refused before anything runs."""
    assert program.run("db", "upgrade").code == 0
    from sqlalchemy import text

    from companyos.core.database import Database

    database = Database.open(f"sqlite:///{program.home / 'companyos.db'}")
    with database.write() as connection:
        connection.execute(text("UPDATE alembic_version SET version_num = '9999'"))
    database.close()
    for command in (("up", "--detach"), ("db", "upgrade")):
        result = program.run(*command, "--json")
        assert result.code == 3
        assert result.problem["type"].endswith("/newer-schema")
    assert not keeper.runs()


def test_serve_is_the_server_alone(program: Program, keeper: Keeper, port: int) -> None:
    """`serve` runs in the foreground without a keeper; `down` names it and leaves it, SIGINT ends it."""
    with program.start("serve") as serve:
        until(lambda: health(f"http://127.0.0.1:{port}"), "the server answers", within_s=60)
        assert not keeper.runs()
        down = program.run("down", "--json")
        assert (down.code, down.document["ended"], down.document["left"]["pid"]) == (1, [], serve.pid)
        serve.send_signal(signal.SIGINT)
        serve.communicate(timeout=60)
    assert health(f"http://127.0.0.1:{port}") is None
