"""What a benchmark is made of.

Each module in `bench/` that has `run(scale: float) -> Iterable[Row]` is a benchmark; its name is the name of the room.
`scale` is 1.0 for the numbers of the documentation; a smaller one does proportionally less work, for a quick look.
A benchmark yields each row as soon as it is measured, works in a temporary folder and stops what it started.
"""

from __future__ import annotations

import math
import os
import platform
import re
import sqlite3
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Iterable, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Protocol, TypeVar

import msgspec

_T = TypeVar("_T")


class AtLeast(msgspec.Struct, frozen=True, tag="at_least"):
    """A target that a larger value reaches too."""

    value: float

    def reached_by(self, measured: float) -> bool:
        """Whether a measurement is good enough."""
        return measured >= self.value

    def __str__(self) -> str:
        return f"≥ {number(self.value)}"


class AtMost(msgspec.Struct, frozen=True, tag="at_most"):
    """A target that a smaller value reaches too."""

    value: float

    def reached_by(self, measured: float) -> bool:
        """Whether a measurement is good enough."""
        return measured <= self.value

    def __str__(self) -> str:
        return f"≤ {number(self.value)}"


class Row(msgspec.Struct, frozen=True, kw_only=True):
    """One measured number.

    `target` is None where a number is shown for information; `peer` says what comparable systems do, `note` under
    which conditions of its own this number was taken ("2,000 services", "fsync on").
    """

    room: str
    name: str
    value: float
    unit: str
    target: AtLeast | AtMost | None = None
    peer: str = ""
    note: str = ""

    @property
    def verdict(self) -> str:
        """`pass` or `miss` against the target, empty without one."""
        if self.target is None:
            return ""
        return "pass" if self.target.reached_by(self.value) else "miss"


class Benchmark(Protocol):
    """A module in `bench/`."""

    def run(self, scale: float) -> Iterable[Row]:
        """Rows in the order of measuring."""
        ...


class Conditions(msgspec.Struct, frozen=True, kw_only=True):
    """Under which circumstances numbers were taken; without them no two tables can be compared."""

    measured_at: str
    system: str
    processor: str
    cores: int
    load_1m: float
    python: str
    sqlite: str
    fsync_ms: float
    scale: float


def conditions(scale: float) -> Conditions:
    """The circumstances of this moment; takes some milliseconds, because it measures what one fsync costs."""
    return Conditions(
        measured_at=datetime.now(UTC).isoformat(timespec="seconds").replace("+00:00", "Z"),
        system=f"{platform.system()} {platform.release()} {platform.machine()}",
        processor=_processor(),
        cores=os.cpu_count() or 1,
        load_1m=round(os.getloadavg()[0], 2),
        python=f"{platform.python_implementation()} {platform.python_version()}",
        sqlite=sqlite3.sqlite_version,
        fsync_ms=round(fsync_cost_s() * 1000, 3),
        scale=scale,
    )


def fsync_cost_s(times: int = 50) -> float:
    """The median cost in seconds of writing 4 KiB and forcing it to the disk that holds temporary files."""
    samples = []
    with tempfile.TemporaryFile() as file:
        for _ in range(times):
            began = time.perf_counter()
            file.write(b"\0" * 4096)
            file.flush()
            os.fsync(file.fileno())
            samples.append(time.perf_counter() - began)
    return statistics.median(samples)


def best_of(times: int, measure: Callable[[], _T], key: Callable[[_T], float]) -> _T:
    """The best of several results: the one with the smallest key, because noise only ever adds."""
    return min((measure() for _ in range(times)), key=key)


def elapsed_s(work: Callable[[], object]) -> float:
    """How long one call takes, in seconds."""
    began = time.perf_counter()
    work()
    return time.perf_counter() - began


def percentile(samples: Sequence[float], share: float) -> float:
    """The smallest sample that at least this share (0..1) of all samples do not exceed (nearest rank)."""
    if not samples:
        raise ValueError("A percentile needs at least one sample.")
    return sorted(samples)[max(0, math.ceil(share * len(samples)) - 1)]


def resident_mb(pid: int | str = "self") -> float | None:
    """The resident memory of a process in MB (10^6 bytes), or None where the system does not tell it by /proc."""
    try:
        status = Path(f"/proc/{pid}/status").read_text(encoding="utf-8")
    except OSError:
        return None
    found = re.search(r"^VmRSS:\s+(\d+) kB", status, re.MULTILINE)
    return int(found[1]) * 1024 / 1e6 if found else None


def number(value: float) -> str:
    """A number as people read it: three significant digits, whole thousands separated by commas."""
    if value == int(value):
        return f"{value:,.0f}"
    return f"{value:,.{max(0, 2 - math.floor(math.log10(abs(value))))}f}"


def _processor() -> str:
    if sys.platform.startswith("linux"):
        try:
            found = re.search(
                r"^model name\s*:\s*(.+)$", Path("/proc/cpuinfo").read_text(encoding="utf-8"), re.MULTILINE
            )
        except OSError:
            found = None
        if found:
            return found[1].strip()
    return platform.processor() or platform.machine()
