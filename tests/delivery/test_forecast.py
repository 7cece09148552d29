"""What a person is told about waiting: true enough to plan by, and never a promise that cannot be kept."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from companyos.delivery import forecast
from companyos.delivery.model import Forecast
from companyos.delivery.sequential import CoinFlip

LIMIT = 300.0


@pytest.mark.parametrize(
    ("known", "expected"),
    [
        (Forecast(requests=1200, seconds=360), "needs about 1,200 more requests, 6 min at this rate"),
        (Forecast(requests=1234, seconds=12.4), "needs about 1,200 more requests, 12 s at this rate"),
        (Forecast(requests=1, seconds=0.01), "needs about 1 more request, 1 s at this rate"),
        (Forecast(requests=98_765, seconds=119), "needs about 99,000 more requests, 2 min at this rate"),
        (Forecast(requests=55, seconds=7200), "needs about 55 more requests, 2 h at this rate"),
        (Forecast(requests=55, seconds=86_400 * 9), "needs about 55 more requests, 9 days at this rate"),
        (Forecast(requests=996, seconds=60), "needs about 1,000 more requests, 60 s at this rate"),
        (Forecast(requests=40), "needs about 40 more requests, and none comes"),
        (Forecast(requests=0, seconds=0), "needs no more requests"),
        (Forecast(), "needs requests of the candidate, and it gets none"),
    ],
)
def test_a_forecast_is_told_to_two_figures(known: Forecast, expected: str) -> None:
    """Units that a person waits in, a thousands separator, one request in the singular, and the truth about none."""
    assert forecast.sentence(known) == expected


def test_the_candidates_missing_requests_are_counted_for_the_whole_service() -> None:
    """Twelve at 1 % are 1,200 of the service; at 10 per second that is two minutes."""
    assert forecast.for_minimum(12, 0.01, 10.0) == Forecast(requests=1200, seconds=120)
    assert forecast.for_minimum(12, 0.01, 0.0) == Forecast(requests=1200)
    assert forecast.for_minimum(12, 0.01, None) == Forecast(requests=1200)
    assert forecast.for_minimum(0, 0.01, None) == Forecast(requests=0, seconds=0)
    assert forecast.for_minimum(12, 0.0, 10.0) == Forecast()


@pytest.mark.parametrize(
    ("ratio", "canary", "stable"),
    [(0.5, 0.0, 0.0), (0.5, 0.01, 0.01), (0.1, 0.01, 0.05), (0.0, 0.5, 0.0), (1.0, 0.5, 0.0), (0.5, 0.0, 0.5)],
)
def test_no_forecast_is_made_of_what_never_comes(ratio: float, canary: float, stable: float) -> None:
    """Nothing bad, a candidate that is no worse, or one arm alone: the test will not reject."""
    found = forecast.for_evidence(
        CoinFlip.begin(1.0),
        limit=LIMIT,
        ratio=ratio,
        canary_error_ratio=canary,
        stable_error_ratio=stable,
        requests_per_s=10,
    )
    assert found is None


def test_what_has_rejected_waits_for_nothing() -> None:
    """Nothing more is needed, at any rate."""
    test = CoinFlip.begin(1.0).add(9, 0, 0.1)
    assert forecast.requests_needed(test, LIMIT, 0.1) == 0
    found = forecast.for_evidence(
        test, limit=LIMIT, ratio=0.1, canary_error_ratio=0.1, stable_error_ratio=0.0, requests_per_s=None
    )
    assert found == Forecast(requests=0, seconds=0)


@given(
    past=st.lists(st.tuples(st.integers(0, 1), st.integers(0, 5)), max_size=20),
    ratio=st.sampled_from((0.01, 0.1, 0.5)),
)
def test_so_many_bad_requests_are_needed_as_is_said(past: list[tuple[int, int]], ratio: float) -> None:
    """With that many of the candidate's in a row the test rejects, and not with far fewer."""
    test = CoinFlip.begin(1.0)
    for canary, stable in past:
        test = test.add(canary, stable, ratio)
    needed = forecast.requests_needed(test, LIMIT, ratio)
    assert needed is not None
    counted = 0
    while not test.rejects(LIMIT):
        test = test.add(1, 0, ratio)
        counted += 1
    assert needed - 4 <= counted <= needed


@pytest.mark.parametrize(("ratio", "canary", "stable"), [(0.01, 0.5, 0.001), (0.1, 0.05, 0.005), (0.5, 0.02, 0.01)])
def test_evidence_comes_about_when_it_is_said(ratio: float, canary: float, stable: float) -> None:
    """Under exactly these failure rates the test rejects within a factor of two of the forecast."""
    test = CoinFlip.begin(1.0)
    found = forecast.for_evidence(
        test, limit=LIMIT, ratio=ratio, canary_error_ratio=canary, stable_error_ratio=stable, requests_per_s=100.0
    )
    assert found is not None
    assert found.requests is not None
    assert found.seconds == pytest.approx(found.requests / 100)
    of_canary = of_stable = requests = 0
    while not test.rejects(LIMIT):
        requests += 10
        new_canary = int(requests * ratio * canary) - of_canary
        new_stable = int(requests * (1 - ratio) * stable) - of_stable
        of_canary, of_stable = of_canary + new_canary, of_stable + new_stable
        test = test.add(new_canary, new_stable, ratio)
    assert found.requests / 2 <= requests <= found.requests * 2


def test_no_bad_request_is_enough_without_a_second_arm() -> None:
    """At a weight of 0 or 1 no number of requests rejects."""
    assert forecast.requests_needed(CoinFlip.begin(1.0), LIMIT, 1.0) is None
