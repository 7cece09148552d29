"""What to do when a child has ended: restart it now, later, or leave it. Pure decisions; the caller brings the times.

The delay doubles with each failure in a row up to a limit, so that a server that cannot start does not eat the machine,
and falls back to the first delay once a run lasted long enough to be called healthy.
"""

from __future__ import annotations

from typing import Literal, NamedTuple

Restart = Literal["always", "never"]


class Backoff(NamedTuple):
    """The delays between restarts."""

    first_s: float = 0.25
    factor: float = 2.0
    limit_s: float = 30.0
    healthy_s: float = 20.0
    """A run of this length forgets the failures before it."""

    def delay_s(self, failures: int) -> float:
        """Return the wait before the restart that follows this many failures in a row (the first is 1)."""
        # The exponent is capped because a child may fail for weeks, and a float power overflows at 1024.
        return min(self.limit_s, self.first_s * self.factor ** min(max(failures, 1) - 1, 64))


class RestartAt(NamedTuple):
    """Start the child again at a monotonic time."""

    at: float
    failures: int


class Rest(NamedTuple):
    """Leave the child as it is until somebody starts it again."""

    reason: str


def after_exit(
    restart: Restart, *, failures: int, ran_s: float, now: float, startable: bool = True, backoff: Backoff | None = None
) -> RestartAt | Rest:
    """Return what to do with a child that ended on its own after ``ran_s`` seconds.

    ``failures`` is the number of failed runs in a row before this one.
    ``startable`` is False when its environment is not known (it was adopted where the system does not show it).
    """
    if restart == "never":
        return Rest("it is started once only")
    if not startable:
        return Rest("its environment is not known since the keeper was replaced")
    rule = backoff or Backoff()
    failures = 1 if ran_s >= rule.healthy_s else failures + 1
    return RestartAt(now + rule.delay_s(failures), failures)
