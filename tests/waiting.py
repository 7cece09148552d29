"""Waiting for what another process does: a condition and a deadline, never a pause of a guessed length."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Literal, TypeVar

T = TypeVar("T")


def until(condition: Callable[[], T | Literal[False] | None], what: str, *, within_s: float = 30.0) -> T:
    """Return the first true answer of the condition, or fail and say what did not happen."""
    deadline = time.monotonic() + within_s
    while not (answer := condition()):
        if time.monotonic() > deadline:
            raise AssertionError(f"{what} did not happen within {within_s:.0f} s")
        time.sleep(0.02)
    return answer
