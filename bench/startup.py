"""How long a person waits for the first answer, and how much memory an idle server takes."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx

from bench.harness import AtMost, Row, best_of, elapsed_s, resident_mb

_COMMAND = str(Path(sys.executable).with_name("companyos"))
_PATIENCE_S = 60.0
_SETTLE_S = 3.0


def run(scale: float) -> Iterator[Row]:
    """Rows for `--help`, the first and the second start, and the idle memory of the server."""
    times = max(3, round(10 * scale))
    yield Row(
        room="startup",
        name="companyos --help",
        value=best_of(times, lambda: elapsed_s(_help), key=float) * 1000,
        unit="ms",
        target=AtMost(400),
        note=f"best of {times}",
    )
    with tempfile.TemporaryDirectory(prefix="companyos-bench-", ignore_cleanup_errors=True) as folder:
        home = Path(folder) / "home"
        memory = None
        for name in ("first start, keys and database are made", "start on an existing home"):
            with _platform(home) as (seconds, pid):
                yield Row(
                    room="startup",
                    name=f"companyos up until /health answers: {name}",
                    value=seconds,
                    unit="s",
                    target=AtMost(5),
                    note="installed before",
                )
                time.sleep(_SETTLE_S)  # not a wait for a condition: idle means that time passes without a request
                memory = resident_mb(pid)
        if memory is not None:
            yield Row(
                room="startup",
                name="server, idle",
                value=memory,
                unit="MB",
                target=AtMost(120),
                note=f"resident, {_SETTLE_S:g} s after the start",
                peer="Backstage: 4.2 GB heap before it crashed (backstage#26776)",
            )


@contextmanager
def _platform(home: Path) -> Iterator[tuple[float, int]]:
    """A platform started on a free port: seconds until it answered, and the process id of its server."""
    port = _free_port()
    environment = {**os.environ, "COMPANYOS_HOME": str(home), "NO_COLOR": "1"}
    log = home.with_suffix(".log")
    began = time.perf_counter()
    with log.open("wb") as output:
        up = subprocess.Popen(
            [_COMMAND, "up", "--port", str(port)],
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
        )
    try:
        _wait_for_health(f"http://127.0.0.1:{port}/health", up, log)
        seconds = time.perf_counter() - began
        server = json.loads((home / "run" / "server.json").read_bytes())
        yield seconds, int(server["pid"])
    finally:
        subprocess.run([_COMMAND, "down"], env=environment, capture_output=True, check=False, timeout=_PATIENCE_S)
        up.terminate()
        up.wait(timeout=_PATIENCE_S)


def _wait_for_health(url: str, up: subprocess.Popen[bytes], log: Path) -> None:
    deadline = time.monotonic() + _PATIENCE_S
    with httpx.Client(timeout=1, trust_env=False) as client:
        while time.monotonic() < deadline:
            try:
                if client.get(url).status_code == httpx.codes.OK:
                    return
            except httpx.TransportError:
                pass  # Nothing listens yet.
            if up.poll() not in (None, 0):
                raise RuntimeError(f"companyos up ended with {up.returncode}: {log.read_text(errors='replace')[-500:]}")
            time.sleep(0.01)
    raise RuntimeError(f"{url} did not answer within {_PATIENCE_S:g} s: {log.read_text(errors='replace')[-500:]}")


def _help() -> None:
    subprocess.run([_COMMAND, "--help"], check=True, capture_output=True, stdin=subprocess.DEVNULL)


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port
