from __future__ import annotations

from typing import Any

import msgspec
import pytest

from companyos.delivery.model import Forecast, Indicator
from companyos.delivery.policy import ReleasePolicy
from companyos.tower import measures
from companyos.tower.ladder import exceptions
from tests.tower.releases import indicators


def indicator(**values: Any) -> Indicator:
    """An error rate with some fields."""
    given: dict[str, Any] = {"name": "error_rate", "value": 0.004, "threshold": 0.01} | values
    return Indicator(**given)


@pytest.mark.parametrize(
    ("name", "value", "said"),
    [
        ("error_rate", 0.0031, "0.31 %"),
        ("error_rate", 0.0, "0 %"),
        ("error_rate", 1.0, "100 %"),
        ("latency_p95", 1212.4, "1,212 ms"),
        ("synthetic", 3.0, "3"),
        ("sample_ratio", None, "\N{EN DASH}"),
    ],
)
def test_a_value_is_said_with_its_unit(name: Any, value: float | None, said: str) -> None:
    """A ratio in percent, a duration in milliseconds, nothing as a dash and never as zero."""
    assert measures.amount(name, value) == said


def test_without_a_value_an_indicator_is_neither_kept_nor_over() -> None:
    """No data is the third outcome."""
    assert measures.judged(indicator(value=None)) == "no data"
    assert measures.judged(indicator()) == "kept"
    assert measures.judged(indicator(breached=True)) == "over"
    assert measures.judged(indicator(breached=True, rejected=True)) == "worse"


def test_the_sign_of_a_judgement_is_not_its_colour_alone() -> None:
    """Each judgement has a sign and words of its own."""
    shown = [measures.measure(one) for one in (*indicators(sick=True, slow=True), indicator(value=None))]
    assert {(one.glyph, one.says) for one in shown} == {
        ("✕", "worse, proven"),
        ("!", "over the limit, not proven"),
        ("✓", "kept"),
        ("?", "no data"),
    }


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({}, None),
        ({"e_value": 0.4, "e_limit": 300}, "Nothing speaks against it: evidence 0.4; at 300 it is rolled back."),
        (
            {"e_value": 37.5, "e_limit": 300},
            "Evidence 38; at 300 it is rolled back. A release that is no worse gets this far in at most 1 of 38 cases.",
        ),
        (
            {"e_value": 4812.3, "e_limit": 300, "rejected": True},
            (
                "Proven worse than the baseline: evidence 4,812. "
                "A release that is no worse gets to 300 in at most 1 of 300 cases."
            ),
        ),
        (
            {"name": "sample_ratio", "e_value": 0.4, "e_limit": 1000},
            "Nothing speaks against it: evidence 0.4; at 1,000 it is held.",
        ),
        (
            {"name": "sample_ratio", "e_value": 4812.3, "e_limit": 1000, "rejected": True},
            "The traffic is not divided as assigned: evidence 4,812.",
        ),
        ({"e_value": 5.0}, "Evidence 5. A release that is no worse gets this far in at most 1 of 5 cases."),
    ],
)
def test_evidence_is_a_sentence(given: dict[str, Any], said: str | None) -> None:
    """A person who knows no e-value reads how often chance alone would do this."""
    assert measures.evidence(indicator(**given)) == said


def test_the_bar_of_evidence_ends_at_its_limit() -> None:
    """Nothing is empty, the limit and beyond are full, and without a limit there is no bar."""
    ratios = [measures.proven_ratio(indicator(e_value=value, e_limit=256)) for value in (0.2, 16, 256, 1e9)]
    assert ratios == [0.0, 0.5, 1.0, 1.0]
    assert measures.proven_ratio(indicator(e_value=3.0)) is None


@pytest.mark.parametrize(
    ("expected", "said"),
    [
        (None, None),
        (Forecast(), None),
        (Forecast(requests=1200, seconds=360), "Needs about 1,200 more requests, about 6 min at this rate."),
        (Forecast(requests=40), "Needs about 40 more requests, and none come now."),
        (Forecast(seconds=45), "Takes about 45 s more."),
    ],
)
def test_a_forecast_is_a_sentence(expected: Forecast | None, said: str | None) -> None:
    """It says so when nothing comes."""
    assert measures.forecast(expected) == said


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({}, None),
        ({"hold_s": 3.0}, "a shortened hold of 3 s instead of 10 min"),
        ({"bake_s": 3600.0}, "a longer bake of 60 min instead of 10 min"),
        ({"steps": [5.0, 100.0]}, "steps 5 % → 100 % instead of 1 % → 10 % → 50 % → 100 %"),
        ({"triggers": "literal"}, "triggers literal instead of guarded"),
        ({"error_ratio_max": 0.05}, "a limit of 5 % for error instead of 1 %"),
        (
            {"hold_s": 0.5, "min_requests": 5, "memory_mb": 64},
            (
                "a shortened hold of 0.50 s instead of 10 min, a minimum of 5 requests instead of 20 "
                "and a memory of 64 MB instead of 512 MB"
            ),
        ),
    ],
)
def test_a_policy_that_is_not_the_products_is_named(changes: dict[str, Any], said: str | None) -> None:
    """Any field, with both values and their unit."""
    assert exceptions(changes) == said


def test_every_field_of_a_policy_can_be_named() -> None:
    """No field that a later policy gets makes a page fail."""
    usual = msgspec.to_builtins(ReleasePolicy())
    for name, value in usual.items():
        assert " instead of " in str(exceptions({name: value}))
    assert exceptions({"unheard_of": 3}) == "an unheard of of 3 instead of None"
