"""Writing a decision down: the release, its transition with a ledger row, what is to be done, and what pages show."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any, NamedTuple

import msgspec

from companyos.core.errors import Conflict
from companyos.delivery import action_store, planning, store, ticks, verdict
from companyos.delivery.actions import CaptureDiagnostics, MarkUnhealthy
from companyos.delivery.looking import Look, Watch
from companyos.delivery.model import FINAL, Observation
from companyos.delivery.view import Transition

if TYPE_CHECKING:
    from sqlalchemy import Connection

    from companyos.core.access import Verdict
    from companyos.delivery.machine import Step
    from companyos.ledger import Change

_log = logging.getLogger(__name__)


class Overtaken(Conflict):
    """Somebody else decided about a release meanwhile: another controller, which must not be."""


class Decided(NamedTuple):
    """What one look at a release decided."""

    watch: Watch
    step: Step
    observation: Observation
    verdict: Verdict | None = None
    """What the policy said of this promotion."""


def write(connection: Connection, change: Change | None, one: Decided, look: Look) -> None:
    """Write one decision, all of it or nothing; ``change`` is there when it moves the release. Raises Overtaken."""
    watch, step, seen, verdict = one
    before, state = watch.stored, step.state
    release = before.release
    moved = step.move is not None
    settled = state.phase == "steady" and (before.stable or moved)
    back = before.stable and state.phase == "rollback_pending"
    after = msgspec.structs.replace(
        shown(watch, msgspec.structs.replace(before, state=state), look, moved=moved),
        in_flight=state.phase not in FINAL,
        stable=settled,
        revision=before.revision + 1,
    )
    if (settled and not before.stable) or back:
        store.leave_stable(connection, release.service, release.environment)
    if not store.save(connection, after):
        raise Overtaken(f"{release.name} was decided by somebody else.", next_step="Run one controller.")
    if back and release.baseline is not None:
        _make_stable_again(connection, release.baseline.release_id, after)
    if step.move is not None and change is not None:
        _record(change, before, after, step, seen, verdict)
    known = {str(CaptureDiagnostics.__struct_config__.tag): watch.evidence_of_failure()}
    action_store.add_actions(connection, release.id, step.actions, look.at, known=known)
    said = step.answer or (step.move.sentence if step.move is not None else after.snapshot.verdict)
    action_store.answer(connection, [command.id for command in seen.commands], look.at, said)
    watch.stored = after


def replaced(old: store.Stored, new: store.Stored) -> store.Stored:
    """Return a release after another one was decided about: a stable one that is replaced has no traffic any more."""
    same = (old.release.service, old.release.environment) == (new.release.service, new.release.environment)
    if not (same and old.stable and new.stable and old.id != new.id):
        return old
    snapshot = msgspec.structs.replace(old.snapshot, weight_ratio=0.0, verdict=f"Replaced by {new.release.version}.")
    return msgspec.structs.replace(old, stable=False, snapshot=snapshot)


def _make_stable_again(connection: Connection, id: str, instead_of: store.Stored) -> None:
    known = store.get(connection, id)
    if known is not None:
        store.make_stable(connection, id)
        said = f"Takes the traffic again, because {instead_of.release.version} went back."
        snapshot = msgspec.structs.replace(known.snapshot, weight_ratio=1.0, verdict=said)
        store.save_snapshot(connection, msgspec.structs.replace(known, snapshot=snapshot))


def _record(
    change: Change,
    before: store.Stored,
    after: store.Stored,
    step: Step,
    seen: Observation,
    allowed: Verdict | None,
) -> None:
    release, state, move = after.release, after.state, step.move
    assert move is not None  # noqa: S101 - the caller has looked
    percent = round(planning.weight_of(state) * 100, 1)
    details: dict[str, Any] = {
        "release_id": release.id,
        "phase": state.phase,
        "before": before.state.phase,
        "percent": percent,
        "sentence": move.sentence,
        "evidence": ticks.evidence(state),
    }
    if state.cause is not None:
        details["trigger"] = state.cause.trigger
    if state.held is not None:
        details["held"] = state.held.reason
    if seen.commands:
        details["commands"] = [command.id for command in seen.commands]
    if any(isinstance(action, MarkUnhealthy) for action in step.actions):
        details["digest"] = release.digest
    entry = change.record(
        verb=move.verb,
        target=f"service:{release.service}",
        verdict=allowed,
        service=release.service,
        release=release.name,
        details=details,
    )
    store.add_transition(
        change.connection,
        release.id,
        Transition(
            number=store.next_transition(change.connection, release.id),
            at=entry.time,
            verb=move.verb,
            phase=state.phase,
            percent=percent,
            sentence=move.sentence,
            entry_id=str(entry.id),
        ),
        after.snapshot.indicators,
    )
    _log.info(move.verb, extra={"release": release.name, "release_id": release.id, "sentence": move.sentence})


def shown(watch: Watch, stored: store.Stored, look: Look, *, moved: bool = False) -> store.Stored:
    """Return the release with what pages show of it after this look."""
    release, state = stored.release, stored.state
    if state.phase in FINAL and not moved:
        instance = look.instances.get(stored.id)
        if instance is None or instance.state != "ready":
            return stored
        return msgspec.structs.replace(stored, snapshot=msgspec.structs.replace(stored.snapshot, observed_at=look.at))
    snapshot = planning.summary(
        stored.snapshot,
        release,
        state,
        indicators=verdict.indicators(state, watch.observation, release.policy),
        verdict=verdict.sentence(state, watch.observation, release.policy, release),
        totals=watch.totals,
        now=look.at,
        moved=moved,
    )
    return msgspec.structs.replace(stored, snapshot=snapshot)
