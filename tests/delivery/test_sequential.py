"""The tests keep their promise while nothing is wrong, and find what is wrong after a handful of requests."""

from __future__ import annotations

import math
import random
from collections.abc import Iterator

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from companyos.delivery.model import Interval, Synthetic
from companyos.delivery.policy import ReleasePolicy
from companyos.delivery.sequential import GRID, SKEW_LIMIT, CoinFlip, ShareTest, Sprt, Tests, limit, nats_needed

LIMIT = 300.0
LOOKS = st.lists(
    st.tuples(st.integers(0, 50), st.integers(0, 50), st.sampled_from((0.001, 0.01, 0.1, 0.5, 0.98))), max_size=30
)


def _binomial(rng: random.Random, count: int, share: float) -> int:
    return sum(rng.random() < share for _ in range(count))


def _fair(rho: float, ratio: float) -> float:
    return ratio * rho / (ratio * rho + 1 - ratio)


def _ramp(rng: random.Random, looks: int) -> Iterator[tuple[float, int]]:
    """A weight and a number of bad requests per look; the weight changes, and so does how bad it is in general."""
    for ratio in (0.01, 0.1, 0.5, 0.98):
        for _ in range(looks // 4):
            yield ratio, rng.choice((0, 0, 1, 1, 2, 3, 8))


# --- the promise ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("rho", [1.0, 1.5])
def test_a_candidate_as_bad_as_allowed_is_seldom_rejected(rho: float) -> None:
    """Over 3,000 whole ramps, whose weight and common failure rate change, Ville's bound holds (with slack)."""
    rng = random.Random(20260101)
    runs, bounds = 3000, (10.0, 100.0)
    rejected = dict.fromkeys(bounds, 0)
    for _ in range(runs):
        test = CoinFlip.begin(rho)
        for ratio, bad in _ramp(rng, 120):
            canary = _binomial(rng, bad, _fair(rho, ratio))
            test = test.add(canary, bad - canary, ratio)
        for bound in bounds:
            rejected[bound] += test.rejects(bound)
    for bound in bounds:
        assert rejected[bound] / runs <= 1 / bound + 3 * math.sqrt(1 / bound / runs)


@pytest.mark.parametrize("ratio", [0.001, 0.01, 0.1, 0.5, 0.98])
@given(past=LOOKS, bad=st.integers(1, 6), rho=st.sampled_from((1.0, 1.5)))
def test_no_look_gains_on_average_while_the_candidate_is_as_bad_as_allowed(
    ratio: float, past: list[tuple[int, int, float]], bad: int, rho: float
) -> None:
    """The exact mean over all outcomes of one look, after any past: the reason why looking often costs nothing."""
    test = CoinFlip.begin(rho)
    for canary, stable, before in past:
        test = test.add(canary, stable, before)
    fair = _fair(rho, ratio)
    mean = sum(
        math.comb(bad, canary)
        * fair**canary
        * (1 - fair) ** (bad - canary)
        * test.add(canary, bad - canary, ratio).e_value
        for canary in range(bad + 1)
    )
    assert mean <= test.e_value * (1 + 1e-9)


@given(past=st.lists(st.tuples(st.integers(0, 9), st.integers(0, 3))), count=st.integers(1, 5))
def test_no_check_gains_on_average_while_the_service_is_healthy(past: list[tuple[int, int]], count: int) -> None:
    """The same for checks that fail as often as a healthy service's may."""
    test = Sprt.begin()
    for passed, failed in past:
        test = test.add(passed, failed)
    mean = sum(
        math.comb(count, failed) * 0.01**failed * 0.99 ** (count - failed) * test.add(count - failed, failed).e_value
        for failed in range(count + 1)
    )
    assert mean <= test.e_value * (1 + 1e-9)


@given(past=st.lists(st.tuples(st.integers(0, 500), st.integers(0, 500)), max_size=10), count=st.integers(1, 8))
def test_no_split_gains_on_average_while_requests_are_divided_as_assigned(
    past: list[tuple[int, int]], count: int
) -> None:
    """The same for the shares, exact for the weight that was assigned."""
    test, ratio = ShareTest.begin(), 0.1
    for canary, stable in past:
        test = test.add(canary, stable, ratio)
    mean = sum(
        math.comb(count, canary)
        * ratio**canary
        * (1 - ratio) ** (count - canary)
        * test.add(canary, count - canary, ratio).e_value
        for canary in range(count + 1)
    )
    assert mean <= test.e_value * (1 + 1e-9)


@pytest.mark.parametrize("ratio", [0.01, 0.1, 0.5])
def test_an_outage_of_both_arms_is_no_evidence(ratio: float) -> None:
    """Twenty thousand failures that fall on the arms as the weight says reject nothing."""
    rng = random.Random(7)
    test = CoinFlip.begin(1.0)
    for _ in range(400):
        canary = _binomial(rng, 50, ratio)
        test = test.add(canary, 50 - canary, ratio)
    assert test.canary + test.stable == 20_000
    assert not test.rejects(LIMIT)


def test_a_candidate_that_is_better_is_never_rejected() -> None:
    """The test is one-sided: failures of the baseline alone only lower the evidence."""
    test = CoinFlip.begin(1.0)
    for _ in range(1000):
        test = test.add(0, 3, 0.5)
    assert test.e_max == 1.0
    assert 0 <= test.e_value < 1


# --- power ------------------------------------------------------------------------------------------------------------


def _until(test: CoinFlip, ratio: float) -> int:
    """How many bad requests, all of the candidate, reject."""
    for count in range(1, 2000):
        test = test.add(1, 0, ratio)
        if test.rejects(LIMIT):
            return count
    raise AssertionError("It never rejects.")


@pytest.mark.parametrize(
    ("ratio", "past", "most"),
    [
        (0.01, 0, 2),
        (0.01, 3, 3),
        (0.01, 10, 3),
        (0.01, 30, 3),
        (0.01, 100, 4),
        (0.01, 1000, 5),
        (0.1, 0, 4),
        (0.1, 10, 5),
        (0.1, 1000, 9),
        (0.5, 0, 11),
        (0.5, 1000, 28),
        (0.98, 0, 340),
    ],
)
def test_a_candidate_that_turns_bad_is_rejected_after_a_few_bad_requests(ratio: float, past: int, most: int) -> None:
    """So many failures, all the candidate's, are enough after so many that were all the baseline's."""
    test = CoinFlip.begin(1.0)
    for _ in range(past):
        test = test.add(0, 1, ratio)
    assert _until(test, ratio) <= most


def test_a_good_past_at_one_weight_costs_little_at_the_next() -> None:
    """Three hundred fair failures at 1 % do not hide eight bad ones at 10 %."""
    test = CoinFlip.begin(1.0)
    rng = random.Random(3)
    for _ in range(300):
        canary = _binomial(rng, 1, 0.01)
        test = test.add(canary, 1 - canary, 0.01)
    assert not test.rejects(LIMIT)
    assert _until(test, 0.1) <= 8


def test_seconds_without_a_bad_request_cost_nothing() -> None:
    """Only bad requests are looks: a quiet past leaves the test as it was."""
    test = CoinFlip.begin(1.0)
    for _ in range(1000):
        test = test.add(0, 0, 0.01)
    assert test == CoinFlip.begin(1.0)


@pytest.mark.parametrize(("passed", "most"), [(0, 3), (1, 3), (120, 3), (500, 3), (720, 4), (5000, 5)])
def test_checks_that_turn_bad_are_rejected_after_three_in_a_row(passed: int, most: int) -> None:
    """Three in a row within the first 512 checks, some more much later; never less than said."""
    test = Sprt.begin()
    for _ in range(passed):
        test = test.add(1, 0)
    for _ in range(most):
        assert not test.add(1, 0).rejects(LIMIT)
        test = test.add(0, 1)
    assert test.rejects(LIMIT)


def test_two_failed_checks_in_a_row_do_not_reject() -> None:
    """The playbook's rule needs more than two, and so does the evidence."""
    assert not Sprt.begin().add(0, 1).add(0, 1).rejects(LIMIT)


def test_a_failed_check_now_and_then_does_not_reject() -> None:
    """One failed check in a hundred is a healthy service."""
    test = Sprt.begin()
    for number in range(5000):
        test = test.add(0, 1) if number % 100 == 50 else test.add(1, 0)
    assert not test.rejects(LIMIT)


# --- the share --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("ratio", [0.001, 0.01, 0.1, 0.5, 0.98])
def test_shares_as_assigned_are_not_skewed(ratio: float) -> None:
    """A million and a half requests at each weight, from rare to nearly all."""
    rng = random.Random(11)
    test = ShareTest.begin()
    for _ in range(300):
        canary = max(0, min(5000, round(rng.gauss(5000 * ratio, math.sqrt(5000 * ratio * (1 - ratio))))))
        test = test.add(canary, 5000 - canary, ratio)
        assert not test.skewed


def test_a_deviation_of_two_percent_is_not_reported() -> None:
    """Ten million requests prove that 10.2 % is not 10 %, and it harms nobody."""
    test = ShareTest.begin()
    for _ in range(1000):
        test = test.add(1020, 8980, 0.1)
    assert not test.skewed


@pytest.mark.parametrize("share", [0.0, 0.05, 0.2, 1.0])
def test_a_wrong_share_is_found_and_a_repaired_one_is_forgotten(share: float) -> None:
    """Skewed after 2,000 wrong requests, not any more after 5,000 right ones, and found again."""
    test = ShareTest.begin()
    for _ in range(200):
        test = test.add(10, 90, 0.1)
    for _ in range(20):
        test = test.add(round(100 * share), round(100 * (1 - share)), 0.1)
    assert test.skewed
    for _ in range(50):
        test = test.add(10, 90, 0.1)
    assert not test.skewed
    for _ in range(20):
        test = test.add(round(100 * share), round(100 * (1 - share)), 0.1)
    assert test.skewed


# --- form -------------------------------------------------------------------------------------------------------------


@given(past=LOOKS)
def test_every_number_stays_finite_and_survives_json(past: list[tuple[int, int, float]]) -> None:
    """Any counts, also absurd ones, leave finite evidence that is the same after JSON."""
    tests = Tests.begin(ReleasePolicy())
    for number, (canary, stable, ratio) in enumerate(past):
        intervals = (
            Interval(
                number=number,
                canary_requests=canary * 10**6,
                stable_requests=stable * 10**6,
                canary_errors=canary * 10**4,
                stable_errors=stable * 10**4,
                canary_slow=canary,
                stable_slow=stable,
            ),
        )
        tests = tests.observe(intervals, {number: ratio}, Synthetic(passed=canary, failed=stable))
        for test in (tests.errors, tests.slow, tests.synthetic):
            assert 0 <= test.e_value <= 1.01e100
            assert 1 <= test.e_max <= 1.01e100
        assert 0 <= tests.share.e_value <= 1.01e6
    assert msgspec.json.decode(msgspec.json.encode(tests), type=Tests) == tests


def test_the_state_does_not_grow() -> None:
    """Five thousand looks take the room of one."""
    test = CoinFlip.begin(1.0)
    for number in range(5000):
        test = test.add(number % 7 == 0, 1, 0.1)
    assert len(test.wealth) == len(GRID)
    assert len(msgspec.json.encode(test)) < 500


@pytest.mark.parametrize("ratio", [0.0, 1.0, -0.5, 2.0, math.nan])
def test_a_weight_that_compares_nothing_tests_nothing(ratio: float) -> None:
    """Weights of 0 and 1 have one arm; what is no weight at all is treated like them."""
    assert CoinFlip.begin(1.0).add(5, 5, ratio) == CoinFlip.begin(1.0)
    assert ShareTest.begin().add(5, 5, ratio) == ShareTest.begin()
    assert nats_needed(CoinFlip.begin(1.0), LIMIT, ratio) == []


def test_an_interval_of_unknown_weight_tests_nothing() -> None:
    """Without its weight a request says nothing about its arm."""
    begun = Tests.begin(ReleasePolicy())
    seen = begun.observe((Interval(number=3, canary_requests=9, canary_errors=9, canary_slow=9),), {2: 0.1}, None)
    assert seen == begun


def test_each_kind_of_evidence_reaches_its_own_test() -> None:
    """Errors, slow requests, all requests and checks are not mixed up."""
    begun = Tests.begin(ReleasePolicy())
    intervals = (Interval(number=1, canary_requests=7, stable_requests=5, canary_errors=3, stable_slow=2),)
    seen = begun.observe(intervals, {1: 0.1}, Synthetic(passed=4, failed=1))
    assert (seen.errors.canary, seen.errors.stable) == (3, 0)
    assert (seen.slow.canary, seen.slow.stable) == (0, 2)
    assert (seen.share.canary_requests, seen.share.stable_requests) == (7, 5)
    assert (seen.synthetic.passed, seen.synthetic.failed) == (4, 1)


def test_evidence_once_given_is_not_taken_back() -> None:
    """The largest value counts, so a rejection stands even when later evidence speaks for the candidate."""
    test = CoinFlip.begin(1.0).add(5, 0, 0.1)
    later = test.add(0, 100, 0.1)
    assert later.e_value < LIMIT <= later.e_max
    assert later.rejects(LIMIT)


def test_three_tests_share_the_allowance() -> None:
    """1 % over three tests is 1/300 each; the share, which only holds, has its own 0.1 %."""
    assert limit(ReleasePolicy()) == pytest.approx(300)
    assert limit(ReleasePolicy(false_rollback_ratio=0.003)) == pytest.approx(1000)
    assert pytest.approx(1000) == SKEW_LIMIT
