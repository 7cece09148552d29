"""The ``Prober`` of tests: a clock says when checks are due, and a script how they go."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from companyos.core.clock import Clock
from companyos.delivery.ports import CheckResult


@dataclass(slots=True)
class _Watched:
    address: tuple[str, int]
    interval_s: float
    due: float


class MemoryProber:
    """Checks that pass at once, unless ``fails`` says something else."""

    def __init__(self, clock: Clock) -> None:
        """Take the clock that says when a check is due."""
        self._clock = clock
        self._watched: dict[str, _Watched] = {}
        self._failures: dict[str, str] = {}

    def fails(self, release_id: str, failure: str) -> None:
        """Have the checks of a release fail from now on with this sentence; an empty one has them pass again."""
        self._failures[release_id] = failure

    def watched(self) -> Sequence[str]:
        """Return the releases that are checked."""
        return tuple(self._watched)

    def watch(self, release_id: str, address: tuple[str, int], digest: str, interval_s: float) -> None:
        """Check this release from now on."""
        del digest
        known = self._watched.get(release_id)
        if known is None or (known.address, known.interval_s) != (address, interval_s):
            self._watched[release_id] = _Watched(address, interval_s, self._clock.monotonic())

    def forget(self, release_id: str) -> None:
        """Check this release no more."""
        self._watched.pop(release_id, None)

    def results(self) -> Sequence[CheckResult]:
        """Return one result of each check that came due; of several that did since the last call only the last."""
        now = self._clock.monotonic()
        found = []
        for release_id, watched in self._watched.items():
            if watched.due <= now:
                watched.due = now + watched.interval_s
                failure = self._failures.get(release_id, "")
                found.append(
                    CheckResult(
                        release_id=release_id,
                        at=self._clock.now(),
                        passed=not failure,
                        failure=failure,
                        duration_ms=1.0,
                    )
                )
        return tuple(found)

    def close(self) -> None:
        """End nothing; there is no thread."""
