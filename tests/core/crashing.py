"""Crash everywhere: run an action again and again, each time killed one file operation later, until it ends by itself.

    python -m tests.core.crashing ACTION FOLDER

ACTION is ``module:function`` and takes a folder. Run n works in FOLDER/n and is killed by SIGKILL just before its nth
change of a file (open, make a folder, rename, delete). Prints how many runs were killed; each is to be looked at.
"""

from __future__ import annotations

import importlib
import os
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

from tests.needs import ROOT

_CHANGES = frozenset({"open", "os.mkdir", "os.rename", "os.remove"})


def crash_everywhere(action: str, folder: Path) -> list[Path]:
    """Return the folders that the killed runs of the action left behind, one for each moment of death."""
    done = subprocess.run(
        [sys.executable, "-m", "tests.core.crashing", action, str(folder)],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return [folder / str(number) for number in range(1, int(done.stdout) + 1)]


def _run_killed_at(action: Callable[[Path], object], folder: Path, last: int) -> int:
    """Fork, let the child live until its given change, and return its wait status."""
    if child := os.fork():
        return os.waitpid(child, 0)[1]
    changes = 0

    def count(event: str, arguments: tuple[object, ...]) -> None:
        nonlocal changes
        if event in _CHANGES and str(arguments[0]).startswith(str(folder)):
            changes += 1
            if changes == last:
                os.kill(os.getpid(), signal.SIGKILL)

    sys.addaudithook(count)
    action(folder)
    os._exit(0)


def main(name: str, folder: Path) -> None:
    """Kill the action at its first change, its second, and so on; print how often it was killed."""
    module, _, function = name.partition(":")
    action = getattr(importlib.import_module(module), function)
    for number in range(1, 200):
        place = folder / str(number)
        status = _run_killed_at(action, place, number)
        if status == 0:
            sys.stdout.write(str(number - 1))
            return
        if os.waitstatus_to_exitcode(status) != -signal.SIGKILL:
            raise SystemExit(f"Run {number} ended with status {status} instead of being killed.")
    raise SystemExit("The action never came to its end.")


if __name__ == "__main__":
    main(sys.argv[1], Path(sys.argv[2]))
