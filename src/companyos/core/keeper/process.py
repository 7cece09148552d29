"""Which process a process id means: ids are used again, so an id counts only together with its start time."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
from pathlib import Path

_PROC = Path("/proc")
_HAS_PROC = (_PROC / "self/stat").exists()
_PS_ENVIRONMENT = {"PATH": "/bin:/usr/bin", "LC_ALL": "C", "TZ": "UTC"}
_PS_TIMEOUT_S = 5.0
_STATE, _START_TICKS = 0, 19
"""Places in /proc/PID/stat after the command in brackets (proc(5): fields 3 and 22)."""


def start_time(pid: int) -> str | None:
    """Return what tells this process from a later one with the same id, or None when no such process runs.

    On Linux it is the boot and the clock tick of the start (``/proc``), elsewhere the second (``ps``). A zombie has
    ended: it holds an id and nothing else. Compare the text only with another one of the same machine.
    """
    return _from_proc(pid) if _HAS_PROC else _from_ps(pid)


def runs(pid: int | None, started: str | None) -> bool:
    """Return whether the process that had this id at this start time still runs."""
    return pid is not None and started is not None and start_time(pid) == started


def initial_environment(pid: int) -> dict[str, str] | None:
    """Return the environment a process was started with, or None where the system does not show it."""
    try:
        block = (_PROC / str(pid) / "environ").read_bytes()
    except OSError:
        return None
    pairs = (entry.split(b"=", 1) for entry in block.split(b"\0") if b"=" in entry)
    return {os.fsdecode(name): os.fsdecode(value) for name, value in pairs}


def send(pid: int, number: signal.Signals) -> None:
    """Send a signal to a living child and its process group.

    A child between fork and ``setsid`` leads no group yet and gets the signal alone.
    """
    if not send_group(pid, number):
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, number)


def send_group(pid: int, number: signal.Signals) -> bool:
    """Send a signal to the process group that was led by this process, and return whether there is one."""
    try:
        os.killpg(pid, number)
    except ProcessLookupError:
        return False
    except PermissionError:
        # macOS answers so for a group that holds nothing but zombies.
        return True
    return True


def _from_proc(pid: int) -> str | None:
    try:
        text = (_PROC / str(pid) / "stat").read_text(encoding="utf-8", errors="replace")
        boot = (_PROC / "sys/kernel/random/boot_id").read_text(encoding="ascii").strip()
    except OSError:
        return None
    # The command may hold spaces and brackets itself; what follows the last one is plain.
    fields = text.rpartition(")")[2].split()
    if len(fields) <= _START_TICKS or fields[_STATE] in {"Z", "X", "x"}:
        return None
    return f"{boot}:{fields[_START_TICKS]}"


def _from_ps(pid: int) -> str | None:
    try:
        answer = subprocess.run(  # noqa: S603 - a fixed command and a number
            ["ps", "-o", "stat=,lstart=", "-p", str(pid)],  # noqa: S607 - found on the fixed PATH given below
            env=_PS_ENVIRONMENT,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=_PS_TIMEOUT_S,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired):
        return None
    return parse_ps(answer.stdout.decode("ascii", "replace"))


def parse_ps(text: str) -> str | None:
    """Return the start in the output of ``ps -o stat=,lstart=``, None for no process and for a zombie."""
    state, _, started = text.strip().partition(" ")
    return started.strip() if started and not state.startswith("Z") else None
