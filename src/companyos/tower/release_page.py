"""The page of one release as a value: a pure function of what delivery knows of it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Any, Final

import msgspec

from companyos.core.paging import Page
from companyos.delivery.changes import for_people
from companyos.delivery.view import Detail, Diagnostics, Transition
from companyos.operations import Incident
from companyos.tower import chart, measures
from companyos.tower.asking import Offer
from companyos.tower.chart import Chart
from companyos.tower.ladder import PHASES, PhaseLook, ReleaseCard, card
from companyos.tower.measures import Measure

SHOWN: Final = 7
"""How many lines of a long list stand open; the others are folded away."""
_DEPTH: Final = 4
_CUT: Final = 2_000


class Group(msgspec.Struct, frozen=True):
    """Some lines under a title; what is beyond ``SHOWN`` is folded."""

    title: str
    lines: tuple[str, ...]
    """Those that stand open."""
    folded: tuple[str, ...] = ()


class Step(msgspec.Struct, frozen=True):
    """One transition with how it is shown."""

    made: Transition
    look: PhaseLook
    percent: str


class Asking(msgspec.Struct, frozen=True, kw_only=True):
    """The commands on the page, and what came of the last one."""

    may: bool = False
    """Whether this reader may steer releases at all."""
    offers: tuple[Offer, ...] = ()
    said: str | None = None
    """The sentence about a command that was taken up."""
    fault: str | None = None
    """The sentence about one that was not."""
    kind: str = ""
    """The command that was refused: its form stands open."""
    reason: str = ""
    """What was typed into it."""


class ReleasePage(msgspec.Struct, frozen=True, kw_only=True):
    """Everything that the page of a release shows."""

    now: datetime
    card: ReleaseCard
    release: Detail
    measures: tuple[Measure, ...]
    """As they stand now, or stood when the release ended."""
    steps: tuple[Step, ...]
    """The transitions, newest first."""
    weights: tuple[tuple[datetime, str], ...]
    """When which share was assigned, newest first."""
    changelog: tuple[Group, ...]
    diagnostics: Diagnostics | None
    captured: tuple[Group, ...]
    """Counters, process and what else a rollback captured."""
    incident: Incident | None
    charts: tuple[Chart, ...]
    charts_end_early: bool
    """Whether there are more ticks than the charts were drawn from."""
    asking: Asking


def release_page(
    release: Detail,
    now: datetime,
    *,
    asking: Asking,
    incident: Incident | None = None,
    ticks: Page[dict[str, Any]] | None = None,
) -> ReleasePage:
    """Return the page of a release at a moment."""
    diagnostics, rest = _diagnostics(release.diagnostics)
    return ReleasePage(
        now=now,
        card=card(release, now),
        release=release,
        measures=tuple(measures.measure(indicator) for indicator in release.indicators),
        steps=tuple(Step(made, PHASES[made.phase], f"{made.percent:g} %") for made in reversed(release.transitions)),
        weights=tuple((weight.at, measures.percent(weight.canary_ratio)) for weight in reversed(release.weights)),
        changelog=groups(for_people(release.changelog)),
        diagnostics=diagnostics,
        captured=rest,
        incident=incident,
        charts=chart.charts(ticks.items if ticks else (), release),
        charts_end_early=ticks is not None and ticks.next_cursor is not None,
        asking=asking,
    )


def groups(values: Mapping[str, Any]) -> tuple[Group, ...]:
    """Return anything that is known as groups of lines: nested parts get titles of their own, empty ones go."""
    plain: list[str] = []
    found: list[Group] = []
    for name, value in values.items():
        label = name.replace("_", " ")
        if isinstance(value, Mapping):
            lines = [f"{_words(key)}: {_flat(item)}" for key, item in value.items() if item not in (None, "", [], {})]
        elif isinstance(value, list | tuple):
            lines = [_flat(item) for item in value]
        else:
            plain += [f"{label}: {_flat(value)}"] if value not in (None, "") else []
            continue
        if lines:
            found.append(_group(f"{label[:1].upper()}{label[1:]}", lines))
    return (*((_group("", plain),) if plain else ()), *found)


def _diagnostics(captured: Mapping[str, Any] | None) -> tuple[Diagnostics | None, tuple[Group, ...]]:
    """Return what a rollback captured; what has another shape than the usual is shown as lines."""
    if captured is None:
        return None, ()
    try:
        known = msgspec.convert(captured, Diagnostics)
    except msgspec.ValidationError:
        return None, groups(captured)
    rest = {"process": known.process, "router": known.counters, "metrics sent along": known.metrics_snapshot}
    return known, groups(rest)


def _group(title: str, lines: Iterable[str]) -> Group:
    every = tuple(lines)
    # One line more is no reason to fold.
    cut = len(every) if len(every) <= SHOWN + 1 else SHOWN
    return Group(title, every[:cut], every[cut:])


def _words(name: Any) -> str:  # noqa: ANN401 - a key of JSON
    return str(name).replace("_", " ")


def _flat(value: Any, depth: int = 0) -> str:  # noqa: ANN401 - any JSON
    if depth == _DEPTH:
        return "…"
    if isinstance(value, Mapping):
        return ", ".join(f"{_words(name)} {_flat(item, depth + 1)}" for name, item in value.items())
    if isinstance(value, list | tuple):
        return ", ".join(_flat(item, depth + 1) for item in value)
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, float):
        return f"{value:,.6g}"
    return f"{value:,}" if isinstance(value, int) else str(value)[:_CUT]
