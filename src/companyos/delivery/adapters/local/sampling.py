"""How much CPU and memory process groups take: from ``/proc`` on Linux, from ``ps`` elsewhere.

A release is a process group, because the keeper makes each child the leader of its own session. Memory is the resident
set of all its processes; pages that they share count once for each.
"""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Final, NamedTuple

_PROC: Final = Path("/proc")
_HAS_PROC: Final = (_PROC / "self/stat").exists()
_PS: Final = ("ps", "-axo", "pgid=,rss=,time=")
_PS_ENVIRONMENT: Final = {"PATH": "/bin:/usr/bin", "LC_ALL": "C"}
_PS_TIMEOUT_S: Final = 5.0
_GROUP, _USER, _SYSTEM, _RESIDENT = 2, 11, 12, 21
"""Places in /proc/PID/stat after the command in brackets (proc(5): fields 5, 14, 15 and 24)."""
_MB: Final = 1024 * 1024
_SECONDS_PER: Final = (1, 60, 3600)
_DAY_S: Final = 86_400


class Usage(NamedTuple):
    """What a process group takes."""

    cpu_s: float
    """Since its processes began."""
    memory_mb: float


class Sample(NamedTuple):
    """A usage and what changed since the one before."""

    usage: Usage
    at: float
    cpu_ratio: float | None
    """Of one core, None for the first sample."""


def usages(groups: Iterable[int]) -> Mapping[int, Usage]:
    """Return the usage of those of the process groups that exist, in one pass over the processes."""
    wanted = frozenset(groups)
    if not wanted:
        return {}
    return parse_proc(_stat_lines(), wanted) if _HAS_PROC else parse_ps(_ps(), wanted)


def sampled(before: Sample | None, usage: Usage, now: float) -> Sample:
    """Return the sample of a usage at a monotonic time. A group whose processes were replaced counts from 0."""
    if before is None or now <= before.at:
        return Sample(usage, now, None)
    spent = usage.cpu_s - before.usage.cpu_s
    return Sample(usage, now, round(max(spent, 0.0) / (now - before.at), 4))


def parse_proc(lines: Iterable[str], wanted: frozenset[int]) -> dict[int, Usage]:
    """Return the usages in the texts of ``/proc/PID/stat``."""
    ticks, page = os.sysconf("SC_CLK_TCK"), os.sysconf("SC_PAGE_SIZE")
    found: dict[int, Usage] = {}
    for line in lines:
        # The command may hold spaces and brackets itself; what follows the last one is plain.
        fields = line.rpartition(")")[2].split()
        if len(fields) > _RESIDENT and (group := int(fields[_GROUP])) in wanted:
            cpu_s = (int(fields[_USER]) + int(fields[_SYSTEM])) / ticks
            found[group] = _plus(found.get(group), cpu_s, int(fields[_RESIDENT]) * page / _MB)
    return found


def parse_ps(text: str, wanted: frozenset[int]) -> dict[int, Usage]:
    """Return the usages in the output of ``ps -axo pgid=,rss=,time=``; lines that are not understood are left out."""
    found: dict[int, Usage] = {}
    for line in text.splitlines():
        try:
            group, kilobytes, spent = line.split()
            if int(group) in wanted:
                found[int(group)] = _plus(found.get(int(group)), _seconds(spent), int(kilobytes) / 1024)
        except ValueError:
            continue
    return found


def _plus(usage: Usage | None, cpu_s: float, memory_mb: float) -> Usage:
    return Usage(cpu_s, memory_mb) if usage is None else Usage(usage.cpu_s + cpu_s, usage.memory_mb + memory_mb)


def _seconds(text: str) -> float:
    """Return the seconds in ``[days-][hours:]minutes:seconds[.hundredths]``."""
    days, _, rest = text.rpartition("-")
    parts = [float(part) for part in reversed(rest.split(":"))]
    return int(days or 0) * _DAY_S + sum(part * unit for part, unit in zip(parts, _SECONDS_PER, strict=False))


def _stat_lines() -> Iterable[str]:
    for entry in os.listdir(_PROC):  # noqa: PTH208 - hundreds of names each second; paths of them take longer
        if entry.isdigit():
            try:
                yield (_PROC / entry / "stat").read_text(encoding="utf-8", errors="replace")
            except OSError:
                continue  # It ended meanwhile.


def _ps() -> str:
    try:
        answer = subprocess.run(  # noqa: S603 - a fixed command
            _PS, env=_PS_ENVIRONMENT, stdin=subprocess.DEVNULL, capture_output=True, timeout=_PS_TIMEOUT_S, check=False
        )
    except (OSError, subprocess.TimeoutExpired):
        return ""
    return answer.stdout.decode("ascii", "replace")
