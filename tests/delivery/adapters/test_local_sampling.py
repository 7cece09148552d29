"""CPU and memory of process groups, from what Linux and others say about processes."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

from companyos.delivery.adapters.local.sampling import Usage, parse_proc, parse_ps, sampled, usages
from tests.waiting import until

TICKS, PAGE = os.sysconf("SC_CLK_TCK"), os.sysconf("SC_PAGE_SIZE")


def stat(pid: int, group: int, *, ticks: int, pages: int, command: str = "python") -> str:
    """Return a line as /proc/PID/stat has it."""
    return f"{pid} ({command}) S 1 {group} {group} 0 -1 0 0 0 0 0 {ticks} {ticks} 0 0 20 0 1 0 100 1000000 {pages} 0 0"


def test_a_group_is_the_sum_of_its_processes() -> None:
    """Others are left out."""
    lines = [
        stat(10, 10, ticks=TICKS, pages=1024),
        stat(11, 10, ticks=TICKS, pages=1024),
        stat(12, 12, ticks=5, pages=5),
    ]
    megabytes = 1024 * PAGE / 1024 / 1024
    assert parse_proc(lines, frozenset({10})) == {10: Usage(4.0, 2 * megabytes)}


def test_a_name_with_brackets_and_spaces_confuses_nobody() -> None:
    """A service chooses its name itself."""
    line = stat(10, 10, ticks=TICKS, pages=0, command="x) S 1 99 99 (y")
    assert parse_proc([line], frozenset({10, 99})) == {10: Usage(2.0, 0.0)}


@pytest.mark.parametrize("line", ["", "1 (x) S 1", "nonsense"])
def test_half_a_line_is_left_out(line: str) -> None:
    """The process ended while it was read."""
    assert parse_proc([line], frozenset({1})) == {}


def test_ps_gives_the_same() -> None:
    """On systems without /proc; what is not understood is left out."""
    text = " 10  2048   0:01.50\n 10  1024   1:00.00\n 11 1 1-01:00:00\n PGID RSS TIME\n x y z\n"
    assert parse_ps(text, frozenset({10, 11})) == {10: Usage(61.5, 3.0), 11: Usage(90_000.0, 1 / 1024)}


def test_cpu_is_what_was_spent_between_two_samples() -> None:
    """None for the first; a group whose busy process ended counts as idle, not as less than nothing."""
    first = sampled(None, Usage(5.0, 1.0), 10.0)
    assert first.cpu_ratio is None
    second = sampled(first, Usage(5.5, 1.0), 12.0)
    assert second.cpu_ratio == 0.25
    assert sampled(second, Usage(1.0, 1.0), 13.0).cpu_ratio == 0.0
    assert sampled(second, Usage(9.0, 1.0), 12.0).cpu_ratio is None


def test_a_real_group_is_found_with_its_children() -> None:
    """A program and what it has started."""
    held = "x = 'x' * 30_000_000; input()"
    code = f"import subprocess, sys; subprocess.run([sys.executable, '-c', {held!r}])"
    with subprocess.Popen([sys.executable, "-c", code], stdin=subprocess.PIPE, start_new_session=True) as leader:
        try:
            until(lambda: usages([leader.pid, 2**22])[leader.pid].memory_mb > 35, "the memory of the child")
            assert set(usages([leader.pid, 2**22])) == {leader.pid}
        finally:
            leader.communicate(b"\n")
    assert usages([]) == {}
