from __future__ import annotations

from datetime import UTC, datetime, timedelta

import msgspec
import pytest

from companyos.core.errors import Conflict, InvalidInput
from companyos.operations import Hold
from companyos.operations.hold import check_until, is_active, lift, same_stop

NOW = datetime(2026, 5, 1, 12, tzinfo=UTC)
HOLD = Hold(
    id="h1",
    subject="service:shop",
    reason="budget spent",
    source="slo:budget",
    placed_by="system:slo",
    placed_at=NOW,
    until=NOW + timedelta(hours=1),
)


def test_a_hold_stops_until_its_end() -> None:
    """The end itself is free."""
    assert is_active(HOLD, NOW + timedelta(minutes=59))
    assert not is_active(HOLD, NOW + timedelta(hours=1))
    assert is_active(msgspec.structs.replace(HOLD, until=None), NOW + timedelta(days=999))


def test_a_lifted_hold_stops_nothing() -> None:
    """It says who lifted it and why."""
    lifted = lift(HOLD, by="user:ann", reason="fixed", now=NOW)
    assert (lifted.lifted_at, lifted.lifted_by, lifted.lift_reason) == (NOW, "user:ann", "fixed")
    assert not is_active(lifted, NOW)
    with pytest.raises(Conflict, match="user:ann has lifted"):
        lift(lifted, by="user:bob", reason="x", now=NOW)


def test_a_hold_that_ended_cannot_be_lifted() -> None:
    """Its end is a fact already."""
    with pytest.raises(Conflict, match="by itself"):
        lift(HOLD, by="user:ann", reason="x", now=NOW + timedelta(hours=1))


def test_a_hold_ends_in_the_future() -> None:
    """Or never by itself."""
    check_until(None, NOW)
    check_until(NOW + timedelta(seconds=1), NOW)
    with pytest.raises(InvalidInput):
        check_until(NOW, NOW)


@pytest.mark.parametrize("field", ["subject", "reason", "source", "until"])
def test_another_reason_is_another_hold(field: str) -> None:
    """What a loop finds again is the same only when it says the same."""
    assert same_stop(
        HOLD, msgspec.structs.replace(HOLD, id="h2", placed_at=NOW + timedelta(hours=9), evidence={"a": "b"})
    )
    assert not same_stop(HOLD, msgspec.structs.replace(HOLD, **{field: None}))
