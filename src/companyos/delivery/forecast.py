"""What a held release waits for: how many more requests, and how long they take at the present rate. Pure."""

from __future__ import annotations

import math
from typing import Final

from companyos.delivery import sequential
from companyos.delivery.model import Forecast
from companyos.delivery.sequential import CoinFlip

_HORIZON: Final = 1e12
"""Nobody waits for so many requests: a forecast beyond it is none."""
_MINUTE_S: Final = 60.0
_HOUR_S: Final = 3600.0
_DAY_S: Final = 86_400.0
_SMALL: Final = 120
"""So many seconds, minutes or hours are told as such; more in the next larger unit."""


def requests_needed(test: CoinFlip, limit: float, ratio: float) -> int | None:
    """Return how many further bad requests, all of them the candidate's, make the test reject at this weight.

    0 when it has rejected; None when no request is evidence (weight 0 or 1).
    """
    if test.rejects(limit):
        return 0
    needed = sequential.nats_needed(test, limit, ratio)
    return min((math.ceil(nats / canary) for nats, canary, _ in needed), default=None)


def for_minimum(missing_canary: int, ratio: float, requests_per_s: float | None) -> Forecast:
    """Return when the candidate will have served so many more requests at this weight."""
    if missing_canary <= 0:
        return Forecast(requests=0, seconds=0.0)
    if ratio <= 0:
        return Forecast()
    return _forecast(missing_canary / ratio, requests_per_s)


def for_evidence(
    test: CoinFlip,
    *,
    limit: float,
    ratio: float,
    canary_error_ratio: float,
    stable_error_ratio: float,
    requests_per_s: float | None,
) -> Forecast | None:
    """Return when the test will reject if both arms go on to be as bad as this.

    None when it never will: the weight compares nothing, nothing is bad, or the candidate is not bad enough.
    """
    if test.rejects(limit):
        return Forecast(requests=0, seconds=0.0)
    of_canary, of_stable = ratio * canary_error_ratio, (1 - ratio) * stable_error_ratio
    bad = of_canary + of_stable
    if bad <= 0:
        return None
    waits: list[float] = []
    for nats, canary, stable in sequential.nats_needed(test, limit, ratio):
        growth = (of_canary * canary + of_stable * stable) / bad
        if growth > 0:
            waits.append(nats / growth / bad)
    if not waits or min(waits) > _HORIZON:
        return None
    return _forecast(min(waits), requests_per_s)


def sentence(forecast: Forecast) -> str:
    """Return a forecast as the end of a sentence, for example "needs about 1,200 more requests, 6 min at this rate"."""
    if forecast.requests is None:
        return "needs requests of the candidate, and it gets none"
    if forecast.requests == 0:
        return "needs no more requests"
    many = _two_figures(forecast.requests)
    needs = f"needs about {many:,} more request{'' if many == 1 else 's'}"
    if forecast.seconds is None:
        return f"{needs}, and none comes"
    return f"{needs}, {_span(forecast.seconds)} at this rate"


def _forecast(requests: float, requests_per_s: float | None) -> Forecast:
    count = math.ceil(requests - 1e-9)
    return Forecast(requests=count, seconds=count / requests_per_s if requests_per_s else None)


def _span(seconds: float) -> str:
    """Return a length of time for a person, to two figures, at least one second."""
    for unit, size in (("s", 1.0), ("min", _MINUTE_S), ("h", _HOUR_S)):
        count = _two_figures(max(1, round(seconds / size)))
        if count < _SMALL:
            return f"{count} {unit}"
    return f"{_two_figures(round(seconds / _DAY_S)):,} days"


def _two_figures(count: int) -> int:
    unit: int = 10 ** max(0, len(str(count)) - 2)
    return (count + unit // 2) // unit * unit
