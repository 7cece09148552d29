"""Numbers of a release in words: values with their unit, limits, evidence and forecasts. Pure."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from types import MappingProxyType
from typing import Any, Final, Literal, TypeAlias

import msgspec

from companyos.delivery.model import Forecast, Indicator, IndicatorName

Judged: TypeAlias = Literal["kept", "over", "worse", "no data"]

LABELS: Final[Mapping[IndicatorName, str]] = MappingProxyType(
    {
        "error_rate": "Errors",
        "latency_p95": "p95",
        "saturation": "Saturation",
        "synthetic": "Smoke",
        "sample_ratio": "Share",
    }
)
MEANINGS: Final[Mapping[IndicatorName, str]] = MappingProxyType(
    {
        "error_rate": "failed requests of all requests",
        "latency_p95": "duration that 95 of 100 requests keep within",
        "saturation": "the fullest of CPU, memory and requests in flight",
        "synthetic": "smoke checks that failed in a row",
        "sample_ratio": "share of the traffic that arrived",
    }
)
_JUDGED: Final[Mapping[Judged, tuple[str, str]]] = MappingProxyType(
    {
        "kept": ("✓", "kept"),
        "over": ("!", "over the limit, not proven"),
        "worse": ("✕", "worse, proven"),
        "no data": ("?", "no data"),
    }
)
UNKNOWN: Final = "\N{EN DASH}"
"""What stands for a value that nobody knows."""
_MINUTE_S: Final = 60
_HOUR_S: Final = 3600
_DAY_S: Final = 86_400
_BARELY: Final = 2
"""Less evidence than this is what one healthy release in two comes to."""
_SURE: Final = 100
"""From here on evidence is said without a fraction."""


class Measure(msgspec.Struct, frozen=True, kw_only=True):
    """One indicator as a page shows it."""

    label: str
    meaning: str
    value: str
    limit: str
    baseline: str
    samples: int
    judged: Judged
    evidence: str | None
    """One sentence on what the test knows; None where nothing is tested."""
    proven_ratio: float | None
    """How far the evidence is on its way to the limit, 0..1; None where nothing is tested."""
    forecast: str | None

    @property
    def glyph(self) -> str:
        """Return the sign that says the same as the colour."""
        return _JUDGED[self.judged][0]

    @property
    def says(self) -> str:
        """Return the judgement in words."""
        return _JUDGED[self.judged][1]


def measure(indicator: Indicator) -> Measure:
    """Return an indicator in words."""
    return Measure(
        label=LABELS[indicator.name],
        meaning=MEANINGS[indicator.name],
        value=amount(indicator.name, indicator.value),
        limit=amount(indicator.name, indicator.threshold),
        baseline=amount(indicator.name, indicator.baseline),
        samples=indicator.samples,
        judged=judged(indicator),
        evidence=evidence(indicator),
        proven_ratio=proven_ratio(indicator),
        forecast=forecast(indicator.forecast),
    )


def judged(indicator: Indicator) -> Judged:
    """Return what an indicator comes to; without a value it is neither kept nor over."""
    if indicator.rejected:
        return "worse"
    if indicator.value is None:
        return "no data"
    return "over" if indicator.breached else "kept"


def amount(name: IndicatorName, value: float | None) -> str:
    """Return a value of an indicator with its unit, a dash for None."""
    if value is None:
        return UNKNOWN
    if name == "latency_p95":
        return f"{value:,.0f} ms"
    return f"{value:g}" if name == "synthetic" else percent(value)


def percent(ratio: float) -> str:
    """Return a ratio 0..1 as percent, with the digits that tell it from its limit."""
    value = ratio * 100
    return f"{value:.2f}".rstrip("0").rstrip(".") + " %"


def duration(seconds: float) -> str:
    """Return a span of time in its largest sensible unit, as ``2.5 s`` or ``10 min``."""
    if seconds < 1:
        return f"{seconds:.2f} s"
    if seconds < _MINUTE_S:
        return f"{seconds:.1f}".removesuffix(".0") + " s"
    for limit, divisor, unit in ((2 * _HOUR_S, _MINUTE_S, "min"), (2 * _DAY_S, _HOUR_S, "h")):
        if seconds < limit:
            return f"{seconds / divisor:.1f}".removesuffix(".0") + f" {unit}"
    return f"{seconds / _DAY_S:.1f}".removesuffix(".0") + " d"


def forecast(expected: Forecast | None) -> str | None:
    """Return what is waited for as one sentence, or None when nothing is known of it."""
    if expected is None:
        return None
    if expected.requests is None:
        return None if expected.seconds is None else f"Takes about {duration(expected.seconds)} more."
    wait = f"about {duration(expected.seconds)} at this rate" if expected.seconds is not None else "and none come now"
    return f"Needs about {expected.requests:,} more requests, {wait}."


def evidence(indicator: Indicator) -> str | None:
    """Return what the anytime-valid test says, in a sentence; None where nothing is tested.

    An e-value of x or more is seen in at most one of x releases that are no worse than their baseline (Ville's
    inequality), however often one looks.
    """
    value, limit = indicator.e_value, indicator.e_limit
    if value is None:
        return None
    # A wrong share proves nothing about the release itself.
    follows = "held" if indicator.name == "sample_ratio" else "rolled back"
    bar = f"; at {_rounded(limit)} it is {follows}" if limit is not None else ""
    if indicator.rejected and indicator.name == "sample_ratio":
        return f"The traffic is not divided as assigned: evidence {_rounded(value)}."
    if indicator.rejected:
        reached = limit if limit is not None else value
        return (
            f"Proven worse than the baseline: evidence {_rounded(value)}. "
            f"A release that is no worse gets to {_rounded(reached)} in at most 1 of {_rounded(reached)} cases."
        )
    if value < _BARELY:
        return f"Nothing speaks against it: evidence {_rounded(value)}{bar}."
    return (
        f"Evidence {_rounded(value)}{bar}. A release that is no worse gets this far in at most "
        f"1 of {_rounded(value)} cases."
    )


def proven_ratio(indicator: Indicator) -> float | None:
    """Return how far the evidence is on the way to its limit; both count as doublings, as evidence multiplies."""
    value, limit = indicator.e_value, indicator.e_limit
    if value is None or limit is None or limit <= 1:
        return None
    doublings = max(0, int(value).bit_length() - 1)
    return min(1.0, doublings / max(1, int(limit).bit_length() - 1))


_UNITS: Final[Mapping[str, Callable[[float], str]]] = MappingProxyType(
    {
        "_ms": lambda value: f"{value:g} ms",
        "_s": duration,
        "_ratio": percent,
        "_percent": lambda value: f"{value:g} %",
        "_mb": lambda value: f"{value:g} MB",
    }
)
"""How the value of a rule is said, by the unit at the end of its name."""


def exceptions(changes: Mapping[str, Any], defaults: Mapping[str, Any]) -> tuple[str, ...]:
    """Return in which rules a release differs from the product's, as clauses.

    For example ``a shortened hold of 3 s instead of 10 min``.
    """
    return tuple(
        f"{_rule(name, value, defaults.get(name))} instead of {_value(name, defaults.get(name))}"
        for name, value in changes.items()
    )


def enumerated(parts: Iterable[str]) -> str:
    """Return parts as one phrase: ``a, b and c``."""
    *head, last = parts
    return f"{', '.join(head)} and {last}" if head else last


def _rule(name: str, value: Any, usual: Any) -> str:  # noqa: ANN401 - the value of any field of a policy
    words = name.removesuffix("_max")
    for unit in _UNITS:
        words = words.removesuffix(unit)
    words = words.replace("_", " ")
    said = _value(name, value)
    if isinstance(value, bool) or not isinstance(value, int | float):
        return f"{words} {said}"
    if words.startswith("min "):
        return f"a minimum of {said} {words.removeprefix('min ')}"
    if name.endswith("_max"):
        return f"a limit of {said} for {words}"
    if name.endswith("_s") and isinstance(usual, int | float):
        return f"a {'shortened' if value < usual else 'longer'} {words} of {said}"
    return f"{'an' if words[0] in 'aeiou' else 'a'} {words} of {said}"


def _value(name: str, value: Any) -> str:  # noqa: ANN401 - the value of any field of a policy
    if isinstance(value, list | tuple):
        return " → ".join(f"{item:g} %" if isinstance(item, int | float) else str(item) for item in value)
    if isinstance(value, bool) or not isinstance(value, int | float):
        return str(value)
    base = name.removesuffix("_max")
    unit = next((unit for unit in _UNITS if base.endswith(unit)), "")
    return _UNITS[unit](value) if unit else f"{value:,}"


def _rounded(value: float) -> str:
    return f"{value:,.0f}" if value >= _SURE else f"{value:.2g}"
