"""The ``Traffic`` of tests: it divides requests as a router does, and a test says how each was answered."""

from __future__ import annotations

import random
import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Literal, TypeAlias

from companyos.core.errors import InvalidInput, NotFound, Unavailable
from companyos.delivery.ports import Batch, Request, Route, Target

Header: TypeAlias = Literal["always", "never"]
_THOUSANDTHS = 1000
_BATCH = 10_000


class MemoryTraffic:
    """A router without a network. What a release answers is a function of the release, set by ``answers``."""

    def __init__(self, *, seed: int = 1, now: Callable[[], float] = time.time) -> None:
        """Take the seed of the divisions and the clock of the requests, in seconds since the epoch."""
        self._random = random.Random(seed)  # noqa: S311 - divides traffic, keeps no secret
        self._now = now
        self._routes: tuple[Route, ...] = ()
        self._requests: list[Request] = []
        self._answers: dict[str, Callable[[random.Random], tuple[int, float]]] = {}
        self._counters: dict[str, Counter[str]] = {}
        self.in_flight: dict[str, int] = {}
        """What ``read`` says about requests in flight; a test sets it."""
        self.lost: str | None = None
        """What ``read`` says is missing; a test sets it."""
        self.reachable = True
        """Whether the router runs; False makes ``apply`` raise Unavailable, after it was told."""

    def apply(self, routes: Sequence[Route]) -> None:
        """Divide like this from now on. Raises InvalidInput for two routes of one service, Unavailable when told to."""
        wanted = tuple(sorted(routes, key=lambda route: route.service))
        if len({route.service for route in wanted}) != len(wanted):
            raise InvalidInput("A service has two routes.", field="service")
        if any(not 0 <= route.canary_ratio <= 1 for route in wanted):
            raise InvalidInput("A weight is out of range.", field="canary_ratio")
        self._routes = wanted
        if not self.reachable:
            raise Unavailable("The router does not run.", next_step="Start it.")

    def applied(self) -> tuple[Route, ...]:
        """Return what was applied last."""
        return self._routes

    def targets(self) -> Mapping[str, Target]:
        """Return the arms that a route names now, by release."""
        arms = [arm for route in self._routes for arm in (route.stable, route.canary) if arm is not None]
        return {arm.release_id: arm for arm in arms}

    def read(self, position: str | None) -> Batch:
        """Return what was answered since a position, which counts requests."""
        lost, count = self.lost, len(self._requests)
        start = count if position is None else int(position) if position.isdecimal() else -1
        if not 0 <= start <= count:
            lost = lost or "The position cannot be understood; reading goes on with what is new."
            start = count
        requests = tuple(self._requests[start : start + _BATCH])
        return Batch(requests=requests, position=str(start + len(requests)), lost=lost, in_flight=dict(self.in_flight))

    def counters(self) -> Mapping[str, Any]:
        """Return how many requests each release answered, by status class."""
        return {release: dict(counter) for release, counter in self._counters.items()} if self.reachable else {}

    def address(self) -> tuple[str, int] | None:
        """Return an address at which nobody listens, None while the router is said not to run."""
        return ("127.0.0.1", 9) if self.reachable else None

    def close(self) -> None:
        """End nothing; there is no thread."""

    def answers(self, release_id: str, answer: Callable[[random.Random], tuple[int, float]]) -> None:
        """Have a release answer with the status and the milliseconds that this function draws."""
        self._answers[release_id] = answer

    def answer(
        self, service: str, *, header: Header | None = None, key: str = "", method: str = "GET", path: str = "/"
    ) -> Request:
        """Send one request of a user to a service and return what the log has of it. Raises NotFound."""
        route = next((route for route in self._routes if route.service == service), None)
        if route is None:
            raise NotFound(f"No service {service} is routed.")
        forced = header is not None and route.canary is not None
        arm = self._arm(route, header if forced else None)
        status, duration_ms = self._answers.get(arm.release_id, _well)(self._random)
        if duration_ms > route.timeout_s * 1000:
            status, duration_ms = 504, route.timeout_s * 1000
        request = Request(
            at=self._now(),
            service=service,
            rollout=route.rollout,
            number=route.number,
            release_id=arm.release_id,
            forced=forced,
            status=status,
            duration_ms=duration_ms,
            key=key or f"request-{len(self._requests)}",
            trace_id=f"{self._random.getrandbits(128):032x}",
            method=method,
            path=path,
        )
        self._requests.append(request)
        self._counters.setdefault(arm.release_id, Counter())[f"{status // 100}xx"] += 1
        return request

    def _arm(self, route: Route, header: Header | None) -> Target:
        if route.canary is None or header == "never":
            return route.stable
        if header == "always":
            return route.canary
        weight = round(route.canary_ratio * _THOUSANDTHS)
        return route.canary if self._random.randrange(_THOUSANDTHS) < weight else route.stable


def _well(_: random.Random) -> tuple[int, float]:
    return 200, 3.0
