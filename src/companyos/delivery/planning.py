"""From a stored release to what is shown of it; and what is written when it is deployed. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any, Final

import msgspec

from companyos.delivery.actions import Attest, CaptureDiagnostics
from companyos.delivery.model import PUBLIC_PHASE, Baseline, Indicator, Release, Totals
from companyos.delivery.policy import changed
from companyos.delivery.view import Detail, RollbackPlan, StepState, StepView, Summary, Transition

if TYPE_CHECKING:
    from companyos.delivery.action_store import Owed
    from companyos.delivery.machine import State
    from companyos.delivery.store import Stored


SEEN_LATELY: Final = timedelta(minutes=5)
"""The controller looks at a stable release that is ready twice a minute."""


def baseline_of(current: Stored | None) -> Baseline | None:
    """Return what a new release is compared with, and goes back to."""
    if current is None:
        return None
    release = current.release
    return Baseline(release_id=release.id, version=release.version, digest=release.digest)


def plan(release: Release, current: Stored | None) -> RollbackPlan:
    """Return how this release would be brought back, with how it is known that the previous version starts."""
    if current is None:
        return RollbackPlan(previous=None, flags=release.flags, proof="There is no earlier release to go back to.")
    name, seen = current.release.name, current.snapshot.observed_at
    fresh = seen is not None and release.created_at - seen <= SEEN_LATELY
    if seen is None:
        proof = f"{name} is the stable release, and nobody has looked at it yet."
    elif fresh:
        proof = (
            f"{name} is the stable release and was seen running at {seen:%Y-%m-%d %H:%M} UTC; it goes on running "
            "beside the new one until that has baked."
        )
    else:
        proof = (
            f"{name} is the stable release, and was last seen running at {seen:%Y-%m-%d %H:%M} UTC, which is long ago."
        )
    return RollbackPlan(
        previous=baseline_of(current), flags=release.flags, previous_starts=True if fresh else None, proof=proof
    )


def first_summary(release: Release) -> Summary:
    """Return what is shown before the controller has looked for the first time."""
    return Summary(
        id=release.id,
        service=release.service,
        version=release.version,
        name=release.name,
        environment=release.environment,
        digest=release.digest,
        commit=release.commit,
        state="pending",
        phase=PUBLIC_PHASE["pending"],
        baseline=release.baseline,
        weight_ratio=0.0,
        verdict="Accepted; waits for the controller to start it.",
        steps=tuple(StepView(percent=percent, state="next") for percent in release.policy.steps),
        since=release.created_at,
        created_at=release.created_at,
        created_by=release.created_by,
        policy_changes=changed(release.policy),
    )


def summary(
    before: Summary,
    release: Release,
    state: State,
    *,
    indicators: tuple[Indicator, ...],
    verdict: str,
    totals: Totals,
    now: datetime,
    moved: bool,
) -> Summary:
    """Return what is shown after a look at ``now``; ``moved`` says that the phase or the step has just changed."""
    return msgspec.structs.replace(
        before,
        state=state.phase,
        phase=PUBLIC_PHASE[state.phase],
        weight_ratio=weight_of(state),
        verdict=verdict,
        held=state.held,
        cause=state.cause,
        indicators=indicators,
        steps=ladder(before.steps, release, state, indicators, now, moved=moved),
        totals=totals,
        since=state.since,
        observed_at=now,
        ended_at=before.ended_at or (now if state.phase in {"steady", "rolled_back"} else None),
    )


def weight_of(state: State) -> float:
    """Return the share of the traffic that the newest interval gives the candidate."""
    return state.weights[-1].canary_ratio if state.weights else 0.0


def rung(release: Release, state: State) -> int:
    """Return the place on ``policy.steps`` where the release stands: -1 before the first, the last when promoted."""
    return min(state.step, len(release.policy.steps) - 1)


def ladder(
    before: Sequence[StepView],
    release: Release,
    state: State,
    indicators: tuple[Indicator, ...],
    now: datetime,
    *,
    moved: bool,
) -> tuple[StepView, ...]:
    """Return the rungs; what a rung showed when it was left stays as it was."""
    here = rung(release, state)
    back = state.phase in {"rollback_pending", "rolled_back"}
    rungs = []
    for place, known in enumerate(before):
        step = known
        if place == here and known.left_at is None:
            ended = back or state.phase == "steady"
            word: StepState = "left" if back else "done" if state.phase == "steady" else "current"
            step = msgspec.structs.replace(
                known,
                state=word,
                entered_at=known.entered_at or now,
                left_at=now if ended else None,
                indicators=known.indicators if back and not moved else indicators,
            )
        elif place < here and known.state != "done":
            step = msgspec.structs.replace(known, state="done", left_at=known.left_at or now)
        rungs.append(step)
    return tuple(rungs)


def detail(stored: Stored, *, transitions: Sequence[Transition], owed: Sequence[Owed]) -> Detail:
    """Return all that is known of a release."""
    release = stored.release
    done = [debt for debt in owed if debt.done_at is not None]
    captured = next((debt.result for debt in done if isinstance(debt.action, CaptureDiagnostics)), None)
    signed = [debt.result.get("attestation") for debt in done if isinstance(debt.action, Attest)]
    shown: dict[str, Any] = {name: getattr(stored.snapshot, name) for name in Summary.__struct_fields__}
    return Detail(
        **shown,
        policy=msgspec.to_builtins(release.policy),
        policy_digest=release.policy.digest,
        flags=release.flags,
        weights=stored.state.weights,
        transitions=tuple(transitions),
        plan=stored.plan,
        changelog=stored.changelog,
        diagnostics=captured,
        attestations=tuple(digest for digest in signed if digest),
        actions_open=tuple(str(debt.action.__struct_config__.tag) for debt in owed if debt.done_at is None),
    )
