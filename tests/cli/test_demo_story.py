"""The story as a person starts it: real processes, real traffic, and nothing left behind."""

from __future__ import annotations

import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.needs import needs
from tests.program import COMMAND, Program, end_all

pytestmark = needs("envoy", "template")


@pytest.fixture
def program(tmp_path: Path) -> Iterator[Program]:
    """The command line with a folder of its own for temporary homes; whatever is left in there is ended."""
    temporary = tmp_path / "t"
    temporary.mkdir()
    yield Program(tmp_path / "home", {"TMPDIR": str(temporary)})
    for home in temporary.glob("companyos-demo-*"):
        end_all(home)


def left(program: Program) -> list[str]:
    """What is left of a story: its home, and processes that were started for it."""
    temporary = program.settings["TMPDIR"]
    shown = subprocess.run(["ps", "-A", "-ww", "-o", "pid=,args="], capture_output=True, text=True, check=True).stdout
    found = [line for line in shown.splitlines() if temporary in line]
    if sys.platform == "linux":
        for process in Path("/proc").glob("[0-9]*"):
            try:
                folder = str((process / "cwd").readlink())
            except OSError:
                continue
            if folder.startswith(temporary):
                found.append(f"{process.name} in {folder}")
    return [*found, *(str(path) for path in Path(temporary).glob("companyos-demo-*"))]


def test_the_whole_story(program: Program) -> None:
    """One good release is promoted, a bad and a slow one come back, the ledger is verified, and all processes end."""
    told = program.run("demo", "--headless", "--json", within_s=400)
    assert told.code == 0, (told.out, told.err)
    document = told.document
    assert document["not_happened"] == []
    assert document["promoted"]["climbed_percent"] == [1, 10, 50, 100]
    assert document["promoted"]["state"] == "steady"
    assert document["rolled_back"]["trigger"] == "error_rate"
    assert document["rolled_back"]["failed_requests"] >= 1
    assert document["rolled_back"]["seconds_to_rollback"] > 0
    assert document["slow"]["trigger"] == "latency"
    assert document["ledger_verified"] is True
    assert document["ledger"]["records"] > 20
    assert set(document["holds_shortened"]) == {"hold_s", "bake_s"}
    assert document["load"]["sent"] > 1000
    assert "sets out" in told.err
    assert left(program) == []
    assert not program.home.exists(), "the home of the user was touched"


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_broken_off(program: Program, number: signal.Signals, code: int) -> None:
    """Ctrl-C and SIGTERM in the middle end every process and remove the home."""
    with subprocess.Popen(
        [*COMMAND, "demo", "--headless", "--json"],
        env=program.environment,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        try:
            assert process.stderr is not None
            seen = []
            for line in process.stderr:
                seen.append(line)
                if "Three services" in line:
                    break
            assert left(program), seen
            process.send_signal(number)
            out, err = process.communicate(timeout=100)
        finally:
            process.kill()
    assert (process.returncode, out) == (code, ""), err
    assert "Traceback" not in err
    assert left(program) == []
