"""What is moving: a release in flight, reduced to what the landing page says of it. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime

import msgspec

from companyos.delivery.model import Phase
from companyos.delivery.view import Summary
from companyos.tower import ladder, measures
from companyos.tower.ladder import PhaseLook, Stood


class ReleaseMark(msgspec.Struct, frozen=True, kw_only=True):
    """A release in flight. Two marks are equal as long as the page would say the same."""

    id: str
    service: str
    version: str
    environment: str
    phase: Phase
    look: PhaseLook
    rungs: tuple[tuple[str, Stood], ...]
    """Each step in percent, with where the release stands on it."""
    rung: str | None
    """The step that it stands on; None before the first."""
    weight: str
    verdict: str
    why: str | None
    """The reason of a hold, or of a rollback."""
    since: datetime
    unwatched_since: datetime | None


def mark(release: Summary, now: datetime) -> ReleaseMark:
    """Return what the landing page says of a release at a moment."""
    unwatched = ladder.unwatched_since(release, now)
    return ReleaseMark(
        id=release.id,
        service=release.service,
        version=release.version,
        environment=release.environment,
        phase=release.state,
        look=ladder.PHASES[release.state] if unwatched is None else ladder.STALE,
        rungs=tuple((f"{step.percent:g} %", ladder.stood_on(step, release.state)) for step in release.steps),
        rung=next((f"{step.percent:g} %" for step in release.steps if step.state in {"current", "left"}), None),
        weight=measures.percent(release.weight_ratio),
        verdict=release.verdict,
        why=release.held.sentence if release.held else release.cause.sentence if release.cause else None,
        since=release.since,
        unwatched_since=unwatched,
    )


def marks(releases: Iterable[Summary], now: datetime) -> tuple[ReleaseMark, ...]:
    """Return the marks of releases in flight: first what nobody watches or what needs a person, then the oldest."""
    order = ("stale", "burning", "held", "canary", "ok", "down")
    return tuple(sorted((mark(one, now) for one in releases), key=lambda one: (order.index(one.look.tone), one.id)))


def of_service(found: Sequence[ReleaseMark], environment: str | None) -> ReleaseMark | None:
    """Return which of a service's releases its state is about: that in the judged environment, else the first."""
    return next((one for one in found if one.environment == environment), found[0] if found else None)
