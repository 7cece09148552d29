"""The command line as a person starts it: a process, its exit code, and what it wrote."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

from companyos.core.errors import Unavailable
from companyos.core.keeper import Keeper, process

COMMAND = (sys.executable, "-m", "companyos")


class Result(NamedTuple):
    """What one run gave."""

    code: int
    out: str
    err: str

    @property
    def document(self) -> Any:
        """Standard output, which must be exactly one JSON document."""
        return json.loads(self.out)

    @property
    def problem(self) -> Any:
        """The problem object at the end of standard error; progress lines may stand before it."""
        return json.loads(self.err[self.err.index("{") :])


class Program(NamedTuple):
    """The command line for one home."""

    home: Path
    settings: Mapping[str, str] = {}

    @property
    def environment(self) -> dict[str, str]:
        """The environment of every run: this process's own without any setting of the platform, and the home."""
        own = {name: value for name, value in os.environ.items() if not name.startswith("COMPANYOS_")}
        return {**own, "COMPANYOS_HOME": str(self.home), "COMPANYOS_TRAFFIC_PORT": "0", **self.settings}

    def run(self, *arguments: str, within_s: float = 100.0, **settings: str) -> Result:
        """Run a command to its end; ``settings`` are environment variables of this run."""
        done = subprocess.run(
            [*COMMAND, *arguments],
            env={**self.environment, **settings},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=within_s,
            check=False,
        )
        return Result(done.returncode, done.stdout, done.stderr)

    @contextlib.contextmanager
    def start(self, *arguments: str, **settings: str) -> Iterator[subprocess.Popen[str]]:
        """Start a command that stays; its output is collected, and it is killed when the test leaves it running."""
        with subprocess.Popen(
            [*COMMAND, *arguments],
            env={**self.environment, **settings},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        ) as process:
            try:
                yield process
            finally:
                process.kill()


def end_all(home: Path) -> None:
    """End the keeper of a home and everything on its record by process id, however a test left them."""
    with contextlib.suppress(Unavailable):
        Keeper(home / "run", home / "logs").shutdown(grace_s=2.0)
    with contextlib.suppress(OSError, ValueError):
        pid, started = (home / "run" / "keeper.lock").read_text().split(maxsplit=1)
        _kill(int(pid), started.strip())
    with contextlib.suppress(OSError, ValueError, KeyError, TypeError):
        for child in json.loads((home / "run" / "keeper.json").read_text())["children"]:
            _kill(child["pid"], child["started"])


def _kill(pid: int, started: str) -> None:
    if process.runs(pid, started):
        os.kill(pid, signal.SIGKILL)
