"""What may be asked of a release as it stands, and the short answer about it. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING

from companyos.core.errors import Conflict
from companyos.delivery import verdict
from companyos.delivery.model import FINAL, PUBLIC_PHASE, CommandKind, Observation
from companyos.delivery.view import State

if TYPE_CHECKING:
    from companyos.delivery.store import Stored


def check(stored: Stored, kind: CommandKind, *, others: Stored | None) -> None:
    """Raise Conflict when the release is past the point where this means anything.

    ``others`` is the release of the service that is on its way, if any: it goes back to the one that runs.
    """
    phase, name = stored.state.phase, stored.release.name
    if kind == "rollback" and phase == "steady" and stored.stable:
        if stored.release.baseline is None:
            raise Conflict(f"{name} is the first release, so there is nothing to go back to.", next_step="Ship a fix.")
        if others is not None:
            raise Conflict(
                f"{others.release.name} is on its way and would go back to {name}.",
                next_step=f"Abort it first: companyos release abort {others.id}",
            )
        return
    if phase in FINAL:
        raise Conflict(f"{name} is {phase.replace('_', ' ')} already.", next_step="See: companyos release show")
    if kind in {"abort", "rollback"}:
        return
    if phase == "rollback_pending":
        raise Conflict(f"{name} is being rolled back.", next_step="Wait for its end, then deploy again.")
    if kind == "promote" and phase not in {"canary", "held"}:
        raise Conflict(f"{name} is {phase}, which cannot be promoted by hand.", next_step="Wait until it is a canary.")


def state_of(stored: Stored) -> State:
    """Return the answer to the playbook's ``GET /state/{deployment_id}``."""
    shown = stored.snapshot
    return State(
        deployment_id=stored.id,
        phase=PUBLIC_PHASE[stored.state.phase],
        indicators=shown.indicators
        or verdict.indicators(stored.state, Observation(elapsed_s=0.0), stored.release.policy),
        state=stored.state.phase,
        service=stored.release.service,
        release=stored.release.name,
        weight_ratio=shown.weight_ratio,
        verdict=shown.verdict,
        held=stored.state.held,
        cause=stored.state.cause,
        since=stored.state.since,
        observed_at=shown.observed_at,
    )
