"""Stories of a keeper that is killed: what the next one finds, and what it leaves alone."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

from companyos.core.keeper import Keeper, process
from tests.core.keeper.conftest import SpecOf
from tests.core.keeper.looking import alive, only, pid_of
from tests.waiting import until

SLEEPER = [sys.executable, "-S", "-c", "import time; time.sleep(600)"]


def kill_keeper(keeper: Keeper) -> None:
    """SIGKILL the keeper and wait until its lock is free."""
    os.kill(keeper.pid(), signal.SIGKILL)
    until(lambda: not keeper.runs(), "the keeper dies")


def test_children_survive_the_keeper_and_are_adopted(keeper: Keeper, spec_of: SpecOf, home: Path) -> None:
    """SIGKILL of the keeper stops no child; the next keeper watches, restarts and stops the same process."""
    keeper.ensure()
    keeper.start(spec_of("import os, time; print(os.environ['GREETING'], flush=True); time.sleep(600)"))
    pid = pid_of(keeper)
    until(lambda: "hello" in Path(only(keeper).log).read_text(), "the child is up")
    kill_keeper(keeper)
    assert alive(pid)
    assert keeper.ensure() is True
    adopted = only(keeper)
    assert (adopted.pid, adopted.adopted, adopted.state) == (pid, True, "running")
    os.kill(pid, signal.SIGKILL)
    child = until(lambda: (c := only(keeper)).restarts == 1 and c.state == "running" and c, "it is restarted")
    assert not child.adopted
    until(lambda: Path(child.log).read_text().count("hello") == 2, "the restarted one has its environment")
    kill_keeper(keeper)
    keeper.ensure()
    assert keeper.stop("server")
    assert not alive(child.pid or 0)


def test_child_that_ended_unseen_is_listed_and_not_restarted(keeper: Keeper, spec_of: SpecOf) -> None:
    """Without a keeper and without the process nobody knows its environment, so the next start has to bring it."""
    keeper.ensure()
    keeper.start(spec_of())
    pid = pid_of(keeper)
    kill_keeper(keeper)
    os.kill(pid, signal.SIGKILL)
    until(lambda: not alive(pid), "the child dies")
    keeper.ensure()
    assert (only(keeper).state, only(keeper).last_exit) == ("ended", "while no keeper ran")
    assert keeper.start(spec_of()).fresh


def test_process_with_a_used_again_id_is_neither_adopted_nor_signalled(
    keeper: Keeper, spec_of: SpecOf, home: Path
) -> None:
    """A state file that names the id of a stranger (same id, other start time) must not harm the stranger."""
    keeper.ensure()
    keeper.start(spec_of())
    kill_keeper(keeper)
    state = home / "run" / "keeper.json"
    content = json.loads(state.read_text())
    child = content["children"][0]
    os.kill(child["pid"], signal.SIGKILL)
    until(lambda: start_of_another() != child["started"], "the clock by which the system dates processes moves on")
    with subprocess.Popen(SLEEPER) as stranger:
        try:
            child["pid"] = stranger.pid
            state.write_text(json.dumps(content))
            keeper.ensure()
            assert only(keeper).state == "ended"
            assert "child adopted" not in (home / "logs" / "keeper.log").read_text()
            keeper.stop("server")
            keeper.shutdown()
            assert stranger.poll() is None
        finally:
            stranger.kill()


def start_of_another() -> str | None:
    """Return the start time of a process that was started just now."""
    with subprocess.Popen(SLEEPER) as another:
        try:
            return process.start_time(another.pid)
        finally:
            another.kill()


def test_damaged_state_is_set_aside(keeper: Keeper, home: Path) -> None:
    """A keeper starts with nothing rather than with a guess, and keeps the damaged file for whoever looks."""
    (home / "run" / "keeper.json").write_text('{"format": 1, "children": [{"pid": -1}]}')
    keeper.ensure()
    assert keeper.children() == ()
    assert (home / "run" / "keeper.json.unreadable").exists()
    assert "state file set aside" in (home / "logs" / "keeper.log").read_text()
