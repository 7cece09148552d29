from __future__ import annotations

import os
import signal
from pathlib import Path

import pytest

from companyos.core.keeper.protocol import Refused
from companyos.core.keeper.spawn import NOT_STARTED, spawn
from tests.core.keeper.conftest import SpecOf


def wait(pid: int) -> int:
    """The exit code of a child, negative for a signal."""
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])


def unrecorded(pid: int) -> None:
    """Record nothing."""


def must_not_start(pid: int) -> None:
    """Fail when a process was made."""
    pytest.fail(f"process {pid} was made")


def test_child_leads_a_session_and_has_exactly_its_environment(spec_of: SpecOf, home: Path) -> None:
    """A child belongs to no terminal, reads nothing, writes to its log, and inherits nothing of the keeper's own."""
    program = (
        "import os, signal, sys; "
        "print(os.getsid(0) == os.getpid(), sys.stdin.read() == '', sorted(os.environ), os.getcwd(), "
        "signal.getsignal(signal.SIGHUP) == signal.SIG_DFL, len(os.listdir('/dev/fd')))"
    )
    spec = spec_of(program, env={"ONLY": "this", "LC_CTYPE": "C.UTF-8"}, cwd=str(home))
    handed_down = os.dup(0)
    os.set_inheritable(handed_down, True)
    try:
        assert wait(spawn(spec, unrecorded)) == 0
    finally:
        os.close(handed_down)
    printed = Path(spec.log).read_text()
    # Of the four open files the last is the listing itself.
    assert printed == f"True True ['LC_CTYPE', 'ONLY'] {home} True 4\n"


def test_program_waits_until_it_is_on_record(spec_of: SpecOf, home: Path) -> None:
    """Nothing of the program has run when its process id is handed over to be recorded."""
    mark = home / "ran"
    seen: list[tuple[int, bool]] = []
    pid = spawn(spec_of(f"open({str(mark)!r}, 'w')"), lambda pid: seen.append((pid, mark.exists())))
    assert wait(pid) == 0
    assert seen == [(pid, False)]
    assert mark.exists()


def test_program_never_runs_when_it_cannot_be_recorded(spec_of: SpecOf, home: Path) -> None:
    """A child that the next keeper could not find must not start."""
    mark = home / "ran"
    pids: list[int] = []

    def full_disk(pid: int) -> None:
        pids.append(pid)
        raise OSError(28, "No space left on device")

    with pytest.raises(OSError, match="No space"):
        spawn(spec_of(f"open({str(mark)!r}, 'w')"), full_disk)
    assert not mark.exists()
    with pytest.raises(ChildProcessError):
        os.waitpid(pids[0], os.WNOHANG)


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({"argv": ("/nowhere/at/all",)}, "/nowhere/at/all is no program"),
        ({"argv": ("/",)}, "/ is no program"),
        ({"cwd": "/nowhere"}, "folder /nowhere does not exist"),
        ({"log": "/nowhere/server.log"}, "log /nowhere/server.log cannot be written"),
    ],
)
def test_what_cannot_be_started_is_refused_before_a_process_exists(
    spec_of: SpecOf, change: dict[str, object], sentence: str
) -> None:
    """The sentence names the part at fault."""
    with pytest.raises(Refused, match=sentence):
        spawn(spec_of(**change), must_not_start)


def test_file_that_is_no_program_ends_at_once_and_says_so(spec_of: SpecOf, home: Path) -> None:
    """A file that the system cannot run leaves its reason in the log of the child."""
    broken = home / "broken"
    broken.write_bytes(b"\0\1\2 no program")
    broken.chmod(0o700)
    spec = spec_of(argv=(str(broken),))
    assert wait(spawn(spec, unrecorded)) == NOT_STARTED
    assert "could not be started" in Path(spec.log).read_text()


def test_signal_right_after_the_start_is_not_lost(spec_of: SpecOf) -> None:
    """SIGTERM ends the child also when it comes before the program runs, although the parent handles that signal."""
    before = signal.signal(signal.SIGTERM, lambda *_: None)
    try:
        for _ in range(20):
            pid = spawn(spec_of(), lambda pid: os.kill(pid, signal.SIGTERM))
            assert wait(pid) == -signal.SIGTERM
    finally:
        signal.signal(signal.SIGTERM, before)
