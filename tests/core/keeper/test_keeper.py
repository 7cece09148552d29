"""Stories of a real keeper and real children: what survives which crash."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from companyos.core.errors import Unavailable
from companyos.core.keeper import ChildSpec, Keeper
from companyos.core.keeper.place import Place, address
from companyos.core.keeper.protocol import REQUEST_S, decode, receive_line
from tests.core.keeper.conftest import SpecOf
from tests.core.keeper.looking import alive, only, pid_of
from tests.program import end_all
from tests.waiting import until

STUBBORN = (
    "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); print('up', flush=True); time.sleep(600)"
)


def socket_of(home: Path) -> Path:
    """Where the keeper of that home listens: elsewhere when temporary folders have long paths, as on macOS."""
    path = address(Place(home / "run", home / "logs"))
    assert path is not None
    return path


def ask(home: Path, line: bytes) -> dict[str, object]:
    """The answer to raw bytes on the socket."""
    with socket.socket(socket.AF_UNIX) as connection:
        connection.connect(str(socket_of(home)))
        connection.sendall(line)
        connection.shutdown(socket.SHUT_WR)
        return decode(receive_line(connection, REQUEST_S))


def test_nothing_runs_before_it_is_started(keeper: Keeper) -> None:
    """Asking a home without a keeper says so and names the command that starts one."""
    assert not keeper.runs()
    with pytest.raises(Unavailable, match="No keeper runs") as caught:
        keeper.children()
    assert "companyos up" in caught.value.next_step


def test_keeper_is_a_small_daemon_of_its_own(keeper: Keeper, home: Path) -> None:
    """It has init as parent and a session of its own, its socket and files are private, and it is started once."""
    assert keeper.ensure() is True
    assert keeper.ensure() is False
    pid = keeper.pid()
    assert os.getsid(pid) not in {os.getsid(0), pid}
    listening = socket_of(home)
    for path in (listening, home / "run" / "keeper.lock"):
        assert path.stat().st_mode & 0o777 == 0o600
    keeper.shutdown()
    assert not alive(pid)
    assert not listening.exists()


def test_starters_that_race_get_one_keeper(home: Path, keeper: Keeper) -> None:
    """Several processes that start a keeper at the same moment end up with the same one."""
    program = (
        "import sys; from pathlib import Path; from companyos.core.keeper import Keeper; "
        "k = Keeper(Path(sys.argv[1]), Path(sys.argv[2])); k.ensure(); print(k.pid())"
    )
    argv = [sys.executable, "-c", program, str(home / "run"), str(home / "logs")]
    with ThreadPoolExecutor(5) as pool:
        answers = list(pool.map(lambda _: subprocess.run(argv, capture_output=True, text=True, check=False), range(5)))
    assert {answer.stdout.strip() for answer in answers} == {str(keeper.pid())}, [answer.stderr for answer in answers]
    assert (home / "logs" / "keeper.log").read_text().count("keeper started") == 1


def test_start_is_idempotent(keeper: Keeper, spec_of: SpecOf) -> None:
    """A child that runs is left as it is and handed back."""
    keeper.ensure()
    first = keeper.start(spec_of())
    second = keeper.start(spec_of("raise SystemExit"))
    assert (first.fresh, second.fresh) == (True, False)
    assert first.child.pid == second.child.pid
    assert second.child.argv == first.child.argv


def test_killed_child_is_started_again(keeper: Keeper, spec_of: SpecOf) -> None:
    """SIGKILL of a child brings a new process with the same environment, and the list says how often and why."""
    keeper.ensure()
    keeper.start(spec_of("import os, time; print(os.environ['GREETING'], flush=True); time.sleep(600)"))
    first = only(keeper)
    assert first.pid is not None
    until(lambda: "hello" in Path(first.log).read_text(), "the first run is up")
    os.kill(first.pid, signal.SIGKILL)
    child = until(lambda: (c := only(keeper)).state == "running" and c.restarts == 1 and c, "the child is restarted")
    assert child.pid != first.pid
    assert child.last_exit == "signal SIGKILL"
    until(lambda: Path(child.log).read_text().count("hello") == 2, "both runs saw their environment")


def test_child_that_is_started_once_stays_ended(keeper: Keeper, spec_of: SpecOf) -> None:
    """`restart="never"` keeps the exit on the list until somebody starts or stops the child."""
    keeper.ensure()
    keeper.start(spec_of("raise SystemExit(7)", restart="never"))
    until(lambda: only(keeper).state == "ended", "the child ends")
    assert only(keeper).last_exit == "exit 7"
    assert keeper.start(spec_of(restart="never")).fresh
    assert only(keeper).state == "running"


def test_child_that_fails_at_once_waits_for_its_restart(keeper: Keeper, spec_of: SpecOf) -> None:
    """A crash loop is slowed down, and can be stopped while it waits."""
    keeper.ensure()
    keeper.start(spec_of("raise SystemExit(1)"))
    until(lambda: only(keeper).state == "waiting" and only(keeper).restarts >= 2, "the child waits")
    assert keeper.stop("server") is True
    assert keeper.children() == ()
    assert keeper.stop("server") is False


def test_program_that_vanished_is_tried_again(keeper: Keeper, spec_of: SpecOf, home: Path) -> None:
    """A restart that is impossible now (an upgrade replaces the program) is tried again later."""
    program = home / "program"
    program.write_text("#!/bin/sh\nexec sleep 600\n")
    program.chmod(0o700)
    keeper.ensure()
    keeper.start(spec_of(argv=(str(program),)))
    pid = pid_of(keeper)
    program.rename(home / "away")
    os.kill(pid, signal.SIGKILL)
    until(lambda: "no program" in (only(keeper).last_exit or ""), "the restart fails")
    (home / "away").rename(program)
    until(lambda: only(keeper).state == "running", "the restart works again")


def test_stop_ends_the_whole_group(keeper: Keeper, spec_of: SpecOf, home: Path) -> None:
    """Helpers of a child end with it, also those that do not listen."""
    mark = home / "helper"
    program = (
        "import subprocess, sys, time; "
        f"h = subprocess.Popen([sys.executable, '-S', '-c', {STUBBORN!r}]); "
        f"open({str(mark)!r}, 'w').write(str(h.pid)); time.sleep(600)"
    )
    keeper.ensure()
    spec = spec_of(program)
    keeper.start(spec)
    until(lambda: Path(spec.log).exists() and "up" in Path(spec.log).read_text(), "the helper is up")
    helper = int(mark.read_text())
    assert keeper.stop("server") is True
    until(lambda: not alive(helper), "the helper ends")


def test_helper_of_a_crashed_child_does_not_outlive_it(keeper: Keeper, spec_of: SpecOf, home: Path) -> None:
    """What a crashed child leaves in its group is ended before the restart, because it may hold its port."""
    mark = home / "helper"
    program = (
        "import os, subprocess, sys, time; "
        f"h = subprocess.Popen([sys.executable, '-S', '-c', {STUBBORN!r}]); "
        f"open({str(mark)!r}, 'x').write(str(h.pid)); time.sleep(600)"
    )
    keeper.ensure()
    keeper.start(spec_of(program, restart="never"))
    until(lambda: mark.exists() and mark.read_text(), "the helper is started")
    helper = int(mark.read_text())
    os.kill(pid_of(keeper), signal.SIGKILL)
    until(lambda: not alive(helper), "the helper ends")


def test_stubborn_child_is_killed_after_its_grace(keeper: Keeper, spec_of: SpecOf) -> None:
    """A child that ignores SIGTERM gets SIGKILL."""
    keeper.ensure()
    spec = spec_of(STUBBORN)
    keeper.start(spec)
    until(lambda: Path(spec.log).exists() and "up" in Path(spec.log).read_text(), "the child ignores SIGTERM")
    pid = pid_of(keeper)
    assert keeper.stop("server", grace_s=0.1) is True
    assert not alive(pid)


def test_sigterm_to_the_keeper_ends_its_children(keeper: Keeper, spec_of: SpecOf) -> None:
    """A machine that shuts down tells the keeper, and the keeper tells its children."""
    keeper.ensure()
    keeper.start(spec_of())
    child, pid = pid_of(keeper), keeper.pid()
    os.kill(pid, signal.SIGTERM)
    until(lambda: not keeper.runs(), "the keeper ends")
    assert not alive(child)


def test_keeper_that_ends_starts_nothing_new(keeper: Keeper, spec_of: SpecOf, home: Path) -> None:
    """Between a shutdown and its end a start is refused, so that nothing is started into it."""
    keeper.ensure()
    spec = spec_of(STUBBORN, grace_s=600.0)
    keeper.start(spec)
    until(lambda: Path(spec.log).exists() and "up" in Path(spec.log).read_text(), "the child ignores SIGTERM")
    assert ask(home, b'{"do": "shutdown", "grace_s": 600}\n')["ok"] is True
    with pytest.raises(Unavailable, match="ending"):
        keeper.start(spec_of(name="other"))
    with pytest.raises(Unavailable, match="ending"):
        keeper.start(spec_of())
    keeper.shutdown(grace_s=0.0)


def test_keeper_survives_nonsense_on_its_socket(keeper: Keeper, home: Path, spec_of: SpecOf) -> None:
    """Bad requests get one sentence and change nothing; half a request and a silent peer are given up."""
    keeper.ensure()
    keeper.start(spec_of())
    for line in (
        b"\n",
        b"{}\n",
        b"[1]\n",
        b'{"do": "rm"}\n',
        b'{"do": "stop", "name": "server"}\n',
        b'{"do": "start"}\n',
    ):
        answer = ask(home, line)
        assert answer["ok"] is False
        assert isinstance(answer["fault"], str)
    assert ask(home, b'{"do": "shutdown"')["ok"] is False
    with socket.socket(socket.AF_UNIX) as silent:
        silent.connect(str(socket_of(home)))
        assert only(keeper).state == "running"


def test_socket_that_was_cleaned_away_is_made_again(keeper: Keeper, home: Path) -> None:
    """A cleaner of temporary files must not make a keeper unreachable for good."""
    keeper.ensure()
    pid = keeper.pid()
    listening = socket_of(home)
    listening.unlink()
    os.kill(pid, signal.SIGCHLD)
    until(listening.exists, "the socket comes back")
    assert keeper.pid() == pid


def test_deep_home_works(tmp_path: Path) -> None:
    """A home whose path is longer than a socket's may be has a keeper like any other."""
    home = tmp_path / ("deep" * 25)
    for name in ("run", "logs"):
        (home / name).mkdir(mode=0o700, parents=True)
    keeper = Keeper(home / "run", home / "logs")
    try:
        keeper.ensure()
        assert keeper.pid()
        short = address(Place(home / "run", home / "logs"))
        assert short is not None
        keeper.shutdown()
        assert not short.exists()
        short.parent.rmdir()
    finally:
        end_all(home)


def test_folder_that_cannot_be_written_says_where_to_look(tmp_path: Path) -> None:
    """A keeper that cannot start gives its reason instead of a silence."""
    keeper = Keeper(tmp_path / "missing" / "run", tmp_path / "missing" / "logs")
    with pytest.raises(Unavailable, match="did not start"):
        keeper.ensure()


def test_keeper_loads_nothing_big() -> None:
    """The daemon's own modules import neither third-party packages nor asyncio: it stays a few megabytes."""
    program = (
        "import sys; import companyos.core.keeper.daemon; "
        "print(sorted({m.partition('.')[0] for m in sys.modules} & "
        "{'msgspec', 'sqlalchemy', 'httpx', 'typer', 'rich', 'asyncio', 'litestar', 'ssl', 'cryptography'}))"
    )
    answer = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert answer.stdout.strip() == "[]"


def test_child_spec_is_the_public_face() -> None:
    """Other floors import the client and its values from the package and nothing else."""
    import companyos.core.keeper as face

    assert set(face.__all__) == {"ChildSpec", "ChildStatus", "Keeper", "Started"}
    assert face.ChildSpec is ChildSpec
