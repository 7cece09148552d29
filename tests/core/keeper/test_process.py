from __future__ import annotations

import os
import signal
import subprocess
import sys

from companyos.core.keeper import process
from companyos.core.keeper.process import runs, start_time
from tests.waiting import until


def test_own_start_time_is_stable() -> None:
    """The same process gives the same text each time, and an id that no process has gives none."""
    assert start_time(os.getpid()) == start_time(os.getpid()) is not None
    assert start_time(2**22 + 1) is None


def test_zombie_has_ended() -> None:
    """A process that nobody waited for yet holds its id, and does not count as running."""
    with subprocess.Popen([sys.executable, "-S", "-c", "import time; time.sleep(600)"]) as child:
        started = start_time(child.pid)
        assert started is not None
        child.kill()
        until(lambda: start_time(child.pid) is None, "the killed child counts as ended")
        assert not runs(child.pid, started)


def test_used_again_id_is_another_process() -> None:
    """An id with another start time is not the process that was meant."""
    assert not runs(os.getpid(), "another-boot:1")
    assert not runs(None, None)
    assert runs(os.getpid(), start_time(os.getpid()))


def test_ps_is_understood_where_there_is_no_proc() -> None:
    """On macOS the start comes from `ps`; a zombie and no process at all have none."""
    assert process.parse_ps("Ss   Sun Nov 22 10:04:33 2026    \n") == "Sun Nov 22 10:04:33 2026"
    assert process.parse_ps("Z+   Sun Nov 22 10:04:33 2026\n") is None
    assert process.parse_ps("\n") is None


def test_signal_to_a_group_that_is_gone_is_no_fault() -> None:
    """Whoever asks a process to end may come too late."""
    with subprocess.Popen([sys.executable, "-S", "-c", ""], start_new_session=True) as child:
        child.wait()
    process.send(child.pid, signal.SIGTERM)
    assert process.send_group(child.pid, signal.SIGTERM) is False
