"""A recorded release decided again under another policy. Pure.

The record holds what happened under the weights that the release really had. The replay decides with it as far as it
goes, and is open about where it ends: once the other policy would have given another weight, later counts are still
those of the recorded weights (the tests are told so, and stay valid), and where the record ends before the other policy
has come to a decision, what follows is unknown. A request stays as slow as it was judged when it was recorded.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Final

import msgspec
from msgspec.structs import replace

from companyos.delivery import machine, sentences
from companyos.delivery.model import Observation, Phase, Release
from companyos.delivery.policy import ReleasePolicy
from companyos.delivery.state import State
from companyos.delivery.view import Difference, Summary

_ENDED: Final[frozenset[Phase]] = frozenset({"steady", "rollback_pending", "rolled_back"})
_SAME_S: Final = 1.0
"""Decisions that are no further apart are the same."""


class _Run(msgspec.Struct, frozen=True, kw_only=True):
    """One of the two policies on its way through the record."""

    state: State
    ended_at: datetime | None = None
    held_s: float = 0.0

    @property
    def ended(self) -> bool:
        return self.ended_at is not None


class _Course(msgspec.Struct, frozen=True, kw_only=True):
    """Both policies at the end of the record."""

    recorded: _Run
    replayed: _Run
    parted_at: datetime | None = None
    """When the other policy would have given another weight for the first time."""
    parted: tuple[float, float] = (0.0, 0.0)
    """The recorded and the replayed weight at that moment."""
    until: datetime


def compare(
    release: Release, snapshot: Summary, policy: ReleasePolicy, record: Sequence[tuple[datetime, Observation]]
) -> Difference:
    """Return what would have been different for this release under ``policy``.

    ``snapshot`` is how it really ended (or stands); ``record`` is what was seen of it, oldest first. What people asked
    for is replayed as it came.
    """
    course = _run(release, policy, record)
    recorded = _outcome(snapshot.state)
    replayed = _outcome(course.replayed.state.phase)
    same = _outcome(course.recorded.state.phase) == recorded
    recorded_at = (course.recorded.ended_at or snapshot.since) if same else snapshot.since
    replayed_at = course.replayed.ended_at or course.replayed.state.since
    apart = (replayed_at - recorded_at).total_seconds()
    changed = recorded != replayed or (course.replayed.ended and abs(apart) > _SAME_S)
    if not course.replayed.ended and not course.recorded.ended and recorded == replayed:
        changed = course.parted_at is not None
    said = _said(course, recorded, recorded_at, replayed, replayed_at, changed=changed)
    return Difference(
        release_id=release.id,
        name=release.name,
        recorded=recorded,
        recorded_at=recorded_at,
        replayed=replayed,
        replayed_at=replayed_at,
        changed=changed,
        sentence=said,
    )


def _run(release: Release, policy: ReleasePolicy, record: Sequence[tuple[datetime, Observation]]) -> _Course:
    """Decide the record under both policies side by side: the recorded one tells which weight each interval had."""
    other = replace(release, policy=policy)
    recorded = _Run(state=machine.begin(release, release.created_at))
    replayed = _Run(state=machine.begin(other, release.created_at))
    course = _Course(recorded=recorded, replayed=replayed, until=release.created_at)
    for at, observation in record:
        if recorded.ended:
            break
        routed = {weight.number: weight.canary_ratio for weight in recorded.state.weights}
        applied = observation.applied_interval == recorded.state.number
        recorded = _look(recorded, observation, release.policy, at, None)
        if not replayed.ended:
            seen = replace(observation, applied_interval=replayed.state.number if applied else None)
            replayed = _look(replayed, seen, policy, at, routed)
        course = replace(course, recorded=recorded, replayed=replayed, until=at)
        if course.parted_at is None and recorded.state.ratio != replayed.state.ratio:
            course = replace(course, parted_at=at, parted=(recorded.state.ratio, replayed.state.ratio))
    return course


def _look(
    run: _Run, observation: Observation, policy: ReleasePolicy, at: datetime, routed: dict[int, float] | None
) -> _Run:
    after = machine.step(run.state, observation, policy, at, routed=routed).state
    held = run.held_s + (observation.elapsed_s if after.phase == "held" else 0.0)
    return _Run(state=after, ended_at=at if after.phase in _ENDED else None, held_s=held)


def _outcome(phase: Phase) -> Phase:
    """Return a phase as an outcome: a rollback that was decided always ends."""
    return "rolled_back" if phase == "rollback_pending" else phase


def _said(
    course: _Course, recorded: Phase, recorded_at: datetime, replayed: Phase, replayed_at: datetime, *, changed: bool
) -> str:
    state = course.replayed.state
    if not changed:
        return (
            f"The same: {_word(replayed)} at {replayed_at:%H:%M:%S}." if course.replayed.ended else "The same so far."
        )
    if course.replayed.ended and recorded == replayed:
        apart = replayed_at - recorded_at
        when = "earlier" if apart < timedelta(0) else "later"
        first = (
            f"{_word(replayed).capitalize()} {sentences.seconds(abs(apart.total_seconds()))} {when}: at "
            f"{replayed_at:%H:%M:%S} instead of {recorded_at:%H:%M:%S}."
        )
    elif course.replayed.ended:
        cause = f": {state.cause.sentence}" if state.cause is not None else "."
        first = f"{_word(replayed).capitalize()} at {replayed_at:%H:%M:%S} instead of {_word(recorded)}{cause}"
    else:
        held = f" ({state.held.sentence.rstrip('.')})" if state.held is not None else ""
        first = (
            f"Not {_word(recorded)}: at {course.until:%H:%M:%S} it would have been {_word(replayed)} with "
            f"{sentences.percent(state.ratio)} of the traffic{held}; unknown after {course.until:%H:%M:%S}, where the "
            "record ends."
        )
    return first + _honest(course)


def _honest(course: _Course) -> str:
    """Say from when on the counts are those of other weights, when a decision rests on them."""
    end = course.replayed.ended_at or course.until
    if course.parted_at is None or course.parted_at >= end:
        return ""
    was, would = course.parted
    return (
        f" From {course.parted_at:%H:%M:%S} on it would have had {sentences.percent(would)} instead of "
        f"{sentences.percent(was)}; what was counted after that is what the recorded weights brought."
    )


def _word(phase: Phase) -> str:
    return {"canary": "a canary", "pending": "not started"}.get(phase, phase.replace("_", " "))
