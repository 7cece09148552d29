"""The one place that says what state a service is in: a pure function of its row and the hour.

Nothing is green by default. ``ok`` needs an observation that is recent; without one the answer is ``stale``, the third
outcome beside good and bad.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime, timedelta
from typing import Final

from companyos.tower.ages import spoken
from companyos.tower.model import Arm, Condition, HoldMark, State, TowerRow
from companyos.tower.moving import ReleaseMark

CLOCK_SKEW: Final = timedelta(minutes=5)
"""How far ahead the clock of a source may be; beyond it, what it says is not counted as recent."""


def judge(row: TowerRow, now: datetime, stale_after: timedelta, release: ReleaseMark | None = None) -> Condition:
    """Return the verdict on a service: worst finding first, with one sentence that says why.

    An open incident of severity ``sev1`` is ``down``, any other ``burning``; then an active hold, a ``release`` in
    flight, and ``ok`` for what was seen running within ``stale_after`` and has nothing against it.
    """
    holds = active_holds(row.holds, now)
    until, to_stale = _lapse(row, holds, now, stale_after)
    state, label, why, since = _finding(row, holds, now, stale_after, release)
    return Condition(
        state=state,
        label=label,
        why=why,
        since=since,
        holds=len(holds),
        incidents=len(row.incidents),
        until=until,
        lapses_to_stale=to_stale and release is None and state in {State.OK, State.CANARY},
    )


def active_holds(holds: Iterable[HoldMark], now: datetime) -> tuple[HoldMark, ...]:
    """Return the holds that have not ended by themselves."""
    return tuple(hold for hold in holds if hold.until is None or hold.until > now)


def _finding(
    row: TowerRow, holds: tuple[HoldMark, ...], now: datetime, stale_after: timedelta, release: ReleaseMark | None
) -> tuple[State, str, str, datetime | None]:
    if row.incidents:
        worst = min(row.incidents, key=lambda one: (not one.critical, one.mitigated, one.severity, one.opened_at))
        others = f" and {len(row.incidents) - 1} more" if len(row.incidents) > 1 else ""
        kind = f"{worst.severity.capitalize()} incident{', mitigated' if worst.mitigated else ''}"
        state, label = (State.DOWN, "Down") if worst.critical else (State.BURNING, "Burning")
        return state, label, f"{kind}: {worst.title}{others}.", worst.opened_at
    if holds:
        first = min(holds, key=lambda hold: hold.since)
        others = f" and {len(holds) - 1} more" if len(holds) > 1 else ""
        return State.HELD, "Held", f"Releases held: {first.reason}{others}.", first.since
    return _observed(row, now, stale_after) if release is None else _moving(release)


def _moving(release: ReleaseMark) -> tuple[State, str, str, datetime | None]:
    """Return the verdict while a release is on its way: the controller looks at it several times a second."""
    if release.unwatched_since is not None:
        seen = spoken(release.unwatched_since)
        return State.STALE, "Stale", f"No controller has looked at {release.version} since {seen}.", release.since
    at = f" at {release.rung}" if release.rung else ""
    if release.phase == "held":
        return State.HELD, "Held", f"Held: {release.version}{at}. {release.why or release.verdict}", release.since
    label = "Canary" if release.phase == "canary" else release.look.label
    return State.CANARY, label, f"{label}: {release.version}{at}. {release.verdict}", release.since


def _observed(row: TowerRow, now: datetime, stale_after: timedelta) -> tuple[State, str, str, datetime | None]:
    if row.observed_at is None or not row.arms:
        return State.STALE, "No data", "Nothing has reported a deployment yet.", row.recorded_at
    running = _running(row.arms)
    if row.observed_at > now + CLOCK_SKEW:
        return State.STALE, "Stale", f"{running} was reported with a time in the future, which is not trusted.", None
    lapsed_at = row.observed_at + stale_after
    if lapsed_at <= now:
        return State.STALE, "Stale", f"{running} was seen last; nothing has been reported since.", lapsed_at
    canary = _in_arm(row.arms, "canary")
    if canary is not None:
        stable = _in_arm(row.arms, "stable")
        beside = f" beside {stable.version}" if stable else ""
        return State.CANARY, "Canary", f"{canary.version} runs as canary{beside} in {row.environment}.", canary.since
    return State.OK, "OK", f"{running} runs in {row.environment}; no incident and no hold.", row.deployed_at


def _running(arms: tuple[Arm, ...]) -> str:
    return (_in_arm(arms, "stable") or arms[0]).version


def _in_arm(arms: tuple[Arm, ...], name: str) -> Arm | None:
    found = [arm for arm in arms if arm.arm == name]
    return max(found, key=lambda arm: arm.since) if found else None


def _lapse(
    row: TowerRow, holds: tuple[HoldMark, ...], now: datetime, stale_after: timedelta
) -> tuple[datetime | None, bool]:
    """Return when time alone changes the verdict next, and whether that is an observation growing old."""
    hold_ends = min((hold.until for hold in holds if hold.until is not None), default=None)
    ages = None
    if row.observed_at is not None:
        turns = (row.observed_at - CLOCK_SKEW, row.observed_at + stale_after)
        ages = next((turn for turn in turns if turn > now), None)
    if ages is None or (hold_ends is not None and hold_ends < ages):
        return hold_ends, False
    return ages, row.observed_at is not None and ages > row.observed_at
