"""Which routes and which running versions the written-down releases ask for. Pure.

The controller makes the world look like this again and again, so a restart of any part needs no rule of its own.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Final

from companyos.delivery.model import Instance, InstanceState
from companyos.delivery.ports import Route, Target

if TYPE_CHECKING:
    from companyos.delivery.store import Stored

_TAKES_REQUESTS: Final[frozenset[InstanceState]] = frozenset({"ready", "unready"})
"""An instance that was ready once keeps its place: taking it away at a failed probe would hide its failures."""


def desired_routes(
    live: Iterable[Stored],
    instances: Mapping[str, Instance],
    known: Sequence[Route],
    *,
    leaving: Collection[str] = (),
) -> tuple[Route, ...]:
    """Return the routes of all services, by name.

    A service whose instances are not there yet keeps the route that it has (``known``): a router that answers 503 for
    a moment is better than one that has forgotten the service. ``leaving`` are releases that must get nothing more.
    """
    by_service: dict[str, list[Stored]] = {}
    for stored in live:
        by_service.setdefault(stored.release.service, []).append(stored)
    before = {route.service: route for route in known}
    routes = []
    for service in sorted(by_service):
        stable = next((one for one in by_service[service] if one.stable), None)
        moving = next((one for one in by_service[service] if one.in_flight and one.state.weights), None)
        route = _route(stable, moving, instances, leaving)
        if route is None and (stable is not None or _is_first(moving)):
            route = before.get(service)
        if route is not None:
            routes.append(route)
    return tuple(routes)


def should_run(live: Iterable[Stored]) -> tuple[Stored, ...]:
    """Return the releases that must be running: the stable ones, and the candidates that were started.

    A candidate on its way back is not started again: it goes on running until it is stopped.
    """
    return tuple(
        one
        for one in live
        if one.stable or (one.in_flight and one.state.started and one.state.phase != "rollback_pending")
    )


def may_run(live: Iterable[Stored]) -> frozenset[str]:
    """Return the ids of the releases that are nobody's leftovers."""
    return frozenset(one.id for one in live if one.stable or one.in_flight)


def applied_number(routes: Iterable[Route], release_id: str) -> int | None:
    """Return the interval of the weight with which the router works for a release, None when it does not."""
    return next((route.number for route in routes if route.rollout == release_id), None)


def _route(
    stable: Stored | None, moving: Stored | None, instances: Mapping[str, Instance], leaving: Collection[str]
) -> Route | None:
    if moving is None or moving.stable:
        # A stable release that is being taken back while there is nothing to go back to keeps what it has.
        return _alone(stable, instances) if moving is None else None
    weight = moving.state.weights[-1]
    canary = None if moving.id in leaving else _target(moving.id, instances)
    if stable is None:
        if canary is None or weight.canary_ratio == 0:
            return None
        return _of(moving, weight.number, canary)
    old = _target(stable.id, instances)
    if old is None:
        return None
    if canary is None:
        return _of(moving, weight.number, old)
    return _of(moving, weight.number, old, canary, weight.canary_ratio)


def _alone(stable: Stored | None, instances: Mapping[str, Instance]) -> Route | None:
    target = _target(stable.id, instances) if stable is not None else None
    if stable is None or target is None:
        return None
    return _of(stable, stable.state.weights[-1].number if stable.state.weights else 0, target)


def _of(rollout: Stored, number: int, stable: Target, canary: Target | None = None, ratio: float = 0.0) -> Route:
    release = rollout.release
    return Route(
        service=release.service,
        rollout=release.id,
        number=number,
        stable=stable,
        canary=canary,
        canary_ratio=ratio,
        timeout_s=release.policy.route_timeout_s,
    )


def _is_first(moving: Stored | None) -> bool:
    return moving is not None and moving.release.baseline is None and moving.state.weights[-1].canary_ratio > 0


def _target(release_id: str, instances: Mapping[str, Instance]) -> Target | None:
    instance = instances.get(release_id)
    if instance is None or instance.address is None or instance.state not in _TAKES_REQUESTS:
        return None
    return Target(release_id=release_id, host=instance.address[0], port=instance.address[1])
