"""Looking at what a keeper runs."""

from __future__ import annotations

from companyos.core.keeper import ChildStatus, Keeper
from companyos.core.keeper.process import start_time


def only(keeper: Keeper) -> ChildStatus:
    """The one child."""
    (child,) = keeper.children()
    return child


def pid_of(keeper: Keeper) -> int:
    """The process id of the one child."""
    pid = only(keeper).pid
    assert pid is not None
    return pid


def alive(pid: int) -> bool:
    """Whether a process runs."""
    return start_time(pid) is not None
