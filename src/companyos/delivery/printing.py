"""How releases are shown on a terminal: pure functions from values to lines, in sentences and with units."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any, Final

import msgspec

from companyos.core.console import safe
from companyos.delivery.changes import for_people
from companyos.delivery.model import Forecast, Indicator, IndicatorName, Phase
from companyos.delivery.view import Detail, Diagnostics, Difference, FailedRequest, RollbackPlan, StepView, Summary

COLUMNS: Final = ("RELEASE", "ENVIRONMENT", "STATE", "TRAFFIC", "SINCE", "VERDICT", "ID")
DIFFERENCE_COLUMNS: Final = ("RELEASE", "WAS", "WOULD BE", "WHAT IS DIFFERENT")
_INDICATOR_COLUMNS: Final = ("INDICATOR", "VALUE", "LIMIT", "BASELINE", "SAMPLES", "EVIDENCE", "JUDGED", "FORECAST")

_STATES: Final[Mapping[Phase, str]] = {
    "pending": "starting",
    "canary": "canary",
    "held": "held",
    "promoted": "promoted, bakes",
    "steady": "steady",
    "rollback_pending": "rolling back",
    "rolled_back": "rolled back",
}
_INDICATORS: Final[Mapping[IndicatorName, str]] = {
    "error_rate": "error rate",
    "latency_p95": "p95 duration",
    "saturation": "saturation",
    "synthetic": "smoke checks failed in a row",
    "sample_ratio": "share of the traffic",
}
_RUNGS: Final = {"done": "done", "current": "now", "left": "left here", "next": ""}
_SHORT_S: Final = 10
_MINUTE_S: Final = 60
_HOUR_S: Final = 3600
_SHOWN: Final = 10
"""How many lines of a list of diagnostics or changes are shown; the rest is counted, and `--json` has all."""


def state(phase: Phase) -> str:
    """Return a phase in words."""
    return _STATES[phase]


def moment(at: datetime) -> str:
    """Return a time to the second."""
    return f"{at:%Y-%m-%d %H:%M:%S}Z"


def duration(seconds: float) -> str:
    """Return a duration in the unit that a person would use."""
    if seconds < _SHORT_S:
        return f"{seconds:.1f} s"
    if seconds < 2 * _MINUTE_S:
        return f"{seconds:.0f} s"
    if seconds < 2 * _HOUR_S:
        return f"{seconds / _MINUTE_S:.0f} min"
    return f"{seconds / _HOUR_S:.1f} h"


def percent(ratio: float) -> str:
    """Return a ratio as percent, with as many digits as it needs to be told from its limit."""
    value = ratio * 100
    return f"{value:.2f}".rstrip("0").rstrip(".") + " %"


def forecast(expected: Forecast | None) -> str | None:
    """Return what is waited for, or None when nothing is known of it."""
    if expected is None:
        return None
    parts = []
    if expected.requests is not None:
        parts.append(f"about {expected.requests:,} more requests")
    if expected.seconds is not None:
        parts.append(f"{duration(expected.seconds)} at this rate")
    elif expected.requests:
        parts.append("and none come")
    return ", ".join(parts) or None


def ladder(steps: Iterable[StepView]) -> str:
    """Return the rungs in a line, with the one where the release stands."""
    return " → ".join(f"{step.percent:g} % {_RUNGS[step.state]}".rstrip() for step in steps) or "no steps"


def row(release: Summary) -> Sequence[object]:
    """Return a line of the list of releases."""
    return (
        release.name,
        release.environment,
        state(release.state),
        percent(release.weight_ratio),
        moment(release.since),
        release.verdict,
        release.id,
    )


def difference_row(difference: Difference) -> Sequence[object]:
    """Return a line of what another policy would have come to."""
    return (difference.name, state(difference.recorded), state(difference.replayed), difference.sentence)


def replayed(differences: Sequence[Difference]) -> str:
    """Return what a replay has shown, in one sentence."""
    changed = sum(difference.changed for difference in differences)
    if not differences:
        return "There is no recorded release to decide again."
    return f"{changed} of {len(differences)} releases would have ended differently."


def headline(release: Summary) -> str:
    """Return where a release stands, in one line."""
    share = percent(release.weight_ratio)
    return f"{release.name} in {release.environment}: {state(release.state)}, {share} of the traffic"


def reasons(release: Summary) -> list[str]:
    """Return why a release is held or was brought back, each in one line; none when it is neither."""
    found = []
    if release.held is not None:
        found.append(f"Held: {release.held.sentence}")
        if (expected := forecast(release.held.forecast)) and expected not in release.held.sentence:
            found.append(f"Needs {expected}.")
    if release.cause is not None:
        found.append(f"Cause: {release.cause.sentence}")
    return found


def indicators(shown: Sequence[Indicator]) -> list[str]:
    """Return the table of indicators: value against limit and baseline, with the evidence and what is waited for."""
    if not shown:
        return ["Nothing is measured yet."]
    return table(_INDICATOR_COLUMNS, [_indicator(indicator) for indicator in shown])


def board(release: Detail, *, history: int = 6) -> list[str]:
    """Return the live view: the ladder, the verdict, the indicators and the newest ``history`` transitions."""
    return [
        headline(release),
        "",
        ladder(release.steps),
        release.verdict,
        *(line for line in reasons(release) if line.partition(": ")[2] != release.verdict),
        "",
        *indicators(release.indicators),
        "",
        *transitions(release, newest=history),
    ]


def transitions(release: Detail, *, newest: int | None = None) -> list[str]:
    """Return the changes of phase or step, oldest first, or only the newest ones."""
    shown = release.transitions if newest is None else release.transitions[-newest:]
    return [
        f"{moment(change.at)}  {state(change.phase):<15}  {change.percent:>5g} %  {change.sentence}" for change in shown
    ]


def show(release: Detail) -> list[str]:
    """Return all that is known of a release."""
    lines = [headline(release), *pairs(_facts(release)), "", ladder(release.steps), release.verdict, *reasons(release)]
    lines += ["", *indicators(release.indicators)]
    if release.transitions:
        lines += ["", "History", *_indented(transitions(release))]
    if release.plan is not None:
        lines += ["", "Rollback plan", *_indented(plan(release.plan))]
    if release.changelog:
        lines += ["", "Changes since the baseline", *_indented(changelog(for_people(release.changelog)))]
    if release.diagnostics is not None:
        lines += ["", "Diagnostics", *_indented(diagnostics(release.diagnostics))]
    return lines


def plan(known: RollbackPlan) -> list[str]:
    """Return how the release would be brought back."""
    previous = known.previous
    lines = [f"Back to {previous.version}, {previous.digest}." if previous else "There is nothing to go back to."]
    lines += [f"The flag {flag.key} is set back from {'on' if flag.value else 'off'}." for flag in known.flags]
    return [*lines, known.proof]


def changelog(changes: Mapping[str, Any]) -> list[str]:
    """Return what is different from the baseline, long lists cut after some lines and counted."""
    lines: list[str] = []
    for name, value in changes.items():
        label = name.replace("_", " ")
        if isinstance(value, Mapping):
            lines += [label, *_indented(changelog(value))] if value else []
        elif isinstance(value, list | tuple):
            lines += [f"{label}: {len(value)}", *_indented(_cut([_flat(item) for item in value]))] if value else []
        elif value not in (None, ""):
            lines.append(f"{label}: {_flat(value)}")
    return lines


def diagnostics(captured: Mapping[str, Any]) -> list[str]:
    """Return what a rollback captured; what does not have the usual shape is shown as it is."""
    try:
        known = msgspec.convert(captured, Diagnostics)
    except msgspec.ValidationError:
        return changelog(captured)
    lines = [f"Captured at {moment(known.captured_at)}."]
    for title, requests in (("Failed requests", known.failed_requests), ("Slow requests", known.slow_requests)):
        if requests:
            lines += [title, *_indented(_cut([_request(request) for request in requests]))]
    for title, values in (
        ("Process", known.process),
        ("Router", known.counters),
        ("Metrics sent along", known.metrics_snapshot),
    ):
        if values:
            lines += [title, *_indented(changelog(values))]
    if known.log_tail:
        lines += ["End of the log", *_indented(known.log_tail[-_SHOWN:])]
    return lines


def pairs(values: Mapping[str, object]) -> list[str]:
    """Return names and values in two columns; what is None is left out."""
    known = {name: value for name, value in values.items() if value is not None}
    width = max((len(name) for name in known), default=0)
    return [f"{name:<{width}}  {value}" for name, value in known.items()]


def table(columns: Sequence[str], rows: Iterable[Sequence[object]]) -> list[str]:
    """Return lines with a header and aligned columns; None is shown as a hyphen."""
    lines = [list(columns), *([safe(value, cell=True) for value in cells] for cells in rows)]
    widths = [max(len(line[place]) for line in lines) for place in range(len(columns))]
    return ["  ".join(f"{text:<{width}}" for text, width in zip(line, widths, strict=True)).rstrip() for line in lines]


def _facts(release: Detail) -> dict[str, object]:
    return {
        "id": release.id,
        "digest": release.digest,
        "commit": release.commit or None,
        "baseline": f"{release.baseline.version}, {release.baseline.digest}" if release.baseline else "none",
        "deployed": f"{moment(release.created_at)} by {release.created_by}",
        "looked at": moment(release.observed_at) if release.observed_at else "not yet",
        "served": f"{release.totals.canary_requests:,} requests, {release.totals.canary_errors:,} failed",
        "flags": ", ".join(f"{flag.key} {'on' if flag.value else 'off'}" for flag in release.flags) or None,
        "policy": "; ".join(f"{field} {_flat(value)}" for field, value in release.policy_changes.items())
        or "the product's defaults",
        "rolled back in": None if release.seconds_to_rollback is None else duration(release.seconds_to_rollback),
        "incident": release.incident_id,
        "signed": ", ".join(release.attestations) or None,
        "to be done": ", ".join(kind.replace("_", " ") for kind in release.actions_open) or None,
    }


def _indicator(shown: Indicator) -> Sequence[object]:
    evidence = None
    if shown.e_value is not None:
        evidence = (
            f"{_rounded(shown.e_value)} of {_rounded(shown.e_limit)}" if shown.e_limit else _rounded(shown.e_value)
        )
    return (
        _INDICATORS[shown.name],
        _measure(shown.name, shown.value),
        _measure(shown.name, shown.threshold),
        _measure(shown.name, shown.baseline),
        f"{shown.samples:,}",
        evidence,
        _judged(shown),
        forecast(shown.forecast),
    )


def _measure(name: IndicatorName, value: float | None) -> str | None:
    if value is None:
        return None
    if name == "latency_p95":
        return f"{value:.0f} ms"
    return f"{value:g}" if name == "synthetic" else percent(value)


def _judged(shown: Indicator) -> str:
    if shown.value is None:
        return "no data"
    if shown.rejected:
        return "worse, proven" if shown.breached else "worse, within the limit"
    return "over the limit, unproven" if shown.breached else "kept"


def _rounded(value: float) -> str:
    return f"{value:,.0f}" if value >= 100 else f"{value:.2g}"  # noqa: PLR2004 - three digits say enough


def _request(request: FailedRequest) -> str:
    answer = str(request.status) if request.status else "no answer"
    return (
        f"{moment(request.at)}  {answer}  {request.duration_ms:.0f} ms  {request.method} {request.path}  "
        f"{request.arm}  trace {request.trace_id}"
    )


def _flat(value: object) -> str:
    if isinstance(value, Mapping):
        return " ".join(f"{name}={_flat(item)}" for name, item in value.items())
    if isinstance(value, list | tuple):
        return ", ".join(_flat(item) for item in value)
    return f"{value:g}" if isinstance(value, float) else safe(value, cell=True)


def _cut(lines: Sequence[str]) -> list[str]:
    left = len(lines) - _SHOWN
    return [*lines[:_SHOWN], f"and {left:,} more"] if left > 0 else list(lines)


def _indented(lines: Iterable[str]) -> list[str]:
    return [f"  {line}" for line in lines]
