"""When a hold stops something, and what may happen to it."""

from __future__ import annotations

from datetime import datetime

import msgspec

from companyos.core.errors import Conflict, InvalidInput
from companyos.operations.model import Hold


def is_active(hold: Hold, now: datetime) -> bool:
    """Tell whether the hold stops its subject at this moment."""
    return hold.lifted_at is None and (hold.until is None or now < hold.until)


def check_until(until: datetime | None, now: datetime) -> None:
    """Return when a hold may end then, or raise InvalidInput when that moment has passed."""
    if until is not None and until <= now:
        raise InvalidInput("A hold cannot end in the past.", next_step="Choose a later moment.", field="until")


def same_stop(hold: Hold, other: Hold) -> bool:
    """Tell whether two holds say the same, so that a loop that finds the same thing again places nothing new."""
    return all(getattr(hold, field) == getattr(other, field) for field in ("subject", "reason", "source", "until"))


def lift(hold: Hold, *, by: str, reason: str, now: datetime) -> Hold:
    """Return the lifted hold, or raise Conflict when it stops nothing any more."""
    if hold.lifted_at is not None:
        raise Conflict(f"{hold.lifted_by} has lifted this hold already.", next_step="Nothing is left to do.")
    if not is_active(hold, now):
        raise Conflict("This hold has ended by itself.", next_step="Nothing is left to do.")
    return msgspec.structs.replace(hold, lifted_at=now, lifted_by=by, lift_reason=reason)
