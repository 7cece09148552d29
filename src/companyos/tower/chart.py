"""Charts of a release from its recorded ticks: lines as numbers that a template draws, with the table behind them."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from typing import Any, Final

import msgspec

from companyos.delivery.model import ArmWindow
from companyos.delivery.view import Detail
from companyos.tower import measures

WIDTH: Final = 300
HEIGHT: Final = 76
_POINTS: Final = 120
"""More points than this on 300 units of width are drawn over each other."""
_ROWS: Final = 12
"""How many rows the table behind a chart has."""
_HEADROOM: Final = 1.15


class Chart(msgspec.Struct, frozen=True, kw_only=True):
    """One chart."""

    title: str
    now: str
    """The newest value of the candidate, with its unit."""
    beside: str
    """The newest value of the baseline, and the limit."""
    canary: str
    """Points for ``<polyline>``."""
    stable: str
    limit_y: float | None
    """Where the line of the limit is; None when it lies above the chart."""
    rows: tuple[tuple[datetime, str, str], ...]
    """Moment, candidate, baseline: some of the points, oldest first."""


class _Tick(msgspec.Struct, frozen=True):
    at: datetime
    canary: ArmWindow = ArmWindow()
    stable: ArmWindow = ArmWindow()


def charts(ticks: Sequence[Mapping[str, Any]], release: Detail) -> tuple[Chart, ...]:
    """Return charts of errors and of p95; none with fewer than two ticks, or of what has no value in any tick."""
    limits = {indicator.name: indicator.threshold for indicator in release.indicators}
    samples = _thinned([msgspec.convert(tick, _Tick) for tick in ticks])
    found = (
        _chart("Errors", samples, lambda arm: arm.error_ratio, measures.percent, limits.get("error_rate")),
        _chart("p95", samples, lambda arm: arm.p95_ms, lambda value: f"{value:,.0f} ms", limits.get("latency_p95")),
    )
    return tuple(one for one in found if one is not None)


def _chart(
    title: str,
    ticks: Sequence[_Tick],
    value: Callable[[ArmWindow], float | None],
    said: Callable[[float], str],
    limit: float | None,
) -> Chart | None:
    canary = [(tick.at, value(tick.canary)) for tick in ticks]
    stable = [(tick.at, value(tick.stable)) for tick in ticks]
    known = [one for _, one in (*canary, *stable) if one is not None]
    if len(ticks) < 2 or not any(one is not None for _, one in canary):  # noqa: PLR2004 - a line has two ends
        return None
    top = max((*known, min(limit or 0.0, 2 * max(known)))) * _HEADROOM or 1.0
    begin, end = ticks[0].at.timestamp(), ticks[-1].at.timestamp()

    def points(line: Sequence[tuple[datetime, float | None]]) -> str:
        return " ".join(
            f"{(at.timestamp() - begin) / ((end - begin) or 1) * WIDTH:.1f},{_y(one, top):.1f}"
            for at, one in line
            if one is not None
        )

    def words(one: float | None) -> str:
        return measures.UNKNOWN if one is None else said(one)

    last = next((one for _, one in reversed(stable) if one is not None), None)
    beside = [f"stable {words(last)}", *([f"limit {said(limit)}"] if limit is not None else [])]
    each = max(1, -(-len(ticks) // _ROWS))
    return Chart(
        title=title,
        now=words(next((one for _, one in reversed(canary) if one is not None), None)),
        beside=", ".join(beside),
        canary=points(canary),
        stable=points(stable),
        limit_y=round(_y(limit, top), 1) if limit is not None and limit <= top else None,
        rows=tuple(
            (ticks[place].at, words(canary[place][1]), words(stable[place][1])) for place in range(0, len(ticks), each)
        ),
    )


def _y(value: float, top: float) -> float:
    return HEIGHT - 1 - value / top * (HEIGHT - 2)


def _thinned(ticks: Sequence[_Tick]) -> Sequence[_Tick]:
    each = max(1, -(-len(ticks) // _POINTS))
    return [*ticks[:-1:each], ticks[-1]] if ticks else []
