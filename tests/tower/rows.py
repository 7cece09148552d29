"""Rows for the tests of the Tower: one that is fine, and strategies for any."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import msgspec
from hypothesis import strategies as st

from companyos.tower.board import Board, Fleet, judged
from companyos.tower.model import Arm, HoldMark, IncidentMark, TowerRow

NOW = datetime(2026, 11, 22, 12, 0, tzinfo=UTC)
DAY = timedelta(days=1)


def ago(**span: float) -> datetime:
    """A moment before NOW."""
    return NOW - timedelta(**span)


def arm(name: str = "stable", *, version: str = "1.4.2", seen: datetime | None = None, **values: Any) -> Arm:
    """What runs in an arm of production, seen a minute ago."""
    given = {"environment": "production", "since": ago(hours=3), "source": "runtime:keeper", **values}
    return Arm(arm=name, version=version, observed_at=seen or ago(minutes=1), **given)


def fine(name: str = "checkout", **values: Any) -> TowerRow:
    """A service that was seen running a minute ago and has nothing against it, with some fields changed."""
    row = TowerRow(
        name=name,
        domain="commerce",
        owner="team-commerce",
        oncall="rota-commerce",
        tier="critical",
        regions=("eu-west-1",),
        environment="production",
        arms=(arm(),),
        deployed_at=ago(hours=3),
        observed_at=ago(minutes=1),
        recorded_at=ago(days=9),
        sources=("manual", "runtime:keeper"),
        revision=1,
    )
    return msgspec.structs.replace(row, **values)


def held(*, until: datetime | None = None, since: datetime | None = None, reason: str = "CVE over budget") -> HoldMark:
    """A hold on releases."""
    return HoldMark(id="h1", reason=reason, source="evidence", since=since or ago(hours=1), until=until)


def incident(severity: str = "sev2", *, title: str = "Checkout answers 502", mitigated: bool = False) -> IncidentMark:
    """An incident that was opened ten minutes ago."""
    return IncidentMark(id="i1", title=title, severity=severity, mitigated=mitigated, opened_at=ago(minutes=10))


def board_of(*rows: TowerRow, now: datetime = NOW) -> Board:
    """The board of some rows."""
    return judged(fleet_of(*rows), now, DAY)


def fleet_of(*rows: TowerRow) -> Fleet:
    """A fleet of some rows."""
    return Fleet({row.name: row for row in rows}, max((row.revision for row in rows), default=-1))


moments = st.integers(-200_000, 200_000).map(lambda seconds: NOW + timedelta(seconds=seconds))
_words = st.one_of(st.none(), st.sampled_from(["alpha", "beta", "gamma"]))


@st.composite
def any_row(draw: st.DrawFn, names: st.SearchStrategy[str] | None = None) -> TowerRow:
    """A row in any condition, sensible or not."""
    arms = tuple(
        arm(name, version=draw(st.sampled_from(["1.0", "2.0"])), seen=draw(moments), since=draw(moments))
        for name in draw(st.lists(st.sampled_from(["stable", "canary"]), max_size=2))
    )
    return TowerRow(
        name=draw(names or st.from_regex(r"[a-z][a-z0-9-]{1,8}", fullmatch=True)),
        domain=draw(_words),
        owner=draw(_words),
        oncall=draw(_words),
        tier=draw(_words),
        regions=tuple(draw(st.lists(st.sampled_from(["eu", "us"]), max_size=2, unique=True))),
        environment="production" if arms else None,
        arms=arms,
        holds=tuple(held(until=draw(st.one_of(st.none(), moments))) for _ in range(draw(st.integers(0, 2)))),
        incidents=tuple(
            incident(draw(st.sampled_from(["sev1", "sev3"])), mitigated=draw(st.booleans()))
            for _ in range(draw(st.integers(0, 2)))
        ),
        deployed_at=max((one.since for one in arms), default=None),
        observed_at=min((one.observed_at for one in arms), default=None),
        recorded_at=draw(st.one_of(st.none(), moments)),
    )


any_rows = st.lists(any_row(), max_size=30, unique_by=lambda row: row.name)
