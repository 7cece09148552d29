"""A real server process on a free port, for what only sockets and signals can show."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx

from tests.waiting import until


class ServerProcess:
    """A server that was started and answers."""

    def __init__(self, home: Path, process: subprocess.Popen[str], url: str) -> None:
        """Take the process and where it listens."""
        self.home = home
        self.process = process
        self.url = url
        self.port = int(url.rpartition(":")[2])

    @property
    def token(self) -> str:
        """The token of the first start."""
        return (self.home / "admin.token").read_text().strip()

    def client(self, **options: Any) -> httpx.Client:
        """Return a client with the admin's token."""
        return httpx.Client(
            base_url=self.url, headers={"authorization": f"Bearer {self.token}"}, trust_env=False, timeout=30, **options
        )

    def connect(self) -> socket.socket:
        """Return a plain connection, for what no client would send."""
        return socket.create_connection(("127.0.0.1", self.port), timeout=30)

    def stop(self, number: int) -> tuple[int, str, str]:
        """Send a signal and return the exit code and what the process wrote; it must end within 30 s."""
        self.process.send_signal(number)
        out, err = self.process.communicate(timeout=30)
        return self.process.returncode, out, err


def environment(home: Path, **settings: str) -> dict[str, str]:
    """Return the environment of a process that works on this home."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("COMPANYOS_")}
    return {
        **kept,
        "COMPANYOS_HOME": str(home),
        **{f"COMPANYOS_{name.upper()}": text for name, text in settings.items()},
    }


@contextmanager
def serving(home: Path, **settings: str) -> Iterator[ServerProcess]:
    """Give a server over this home that answers, and end it if the test did not."""
    process = subprocess.Popen(
        [sys.executable, "-m", "companyos.server", "--host", "127.0.0.1", "--port", "0"],
        env=environment(home, **settings),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        note = home / "run" / "server.json"

        def answers() -> str | None:
            assert process.poll() is None, process.communicate()[1]
            if not note.exists() or (found := json.loads(note.read_text()))["pid"] != process.pid:
                return None
            try:
                httpx.get(found["url"] + "/health", trust_env=False)
            except httpx.TransportError:
                return None
            return str(found["url"])

        yield ServerProcess(home, process, until(answers, "the server answers"))
    finally:
        if process.poll() is None:
            process.kill()
        process.communicate()
