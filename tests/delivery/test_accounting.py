"""What single requests become: counts per interval, evidence without repetitions, and windows that forget."""

from __future__ import annotations

import math
import random
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from companyos.delivery import accounting
from companyos.delivery.accounting import REPEAT_S, Accounting
from companyos.delivery.model import RECENT_S, ArmWindow, Interval, Totals, Weight
from companyos.delivery.policy import ReleasePolicy
from companyos.delivery.ports import Request

NOW = 1_800_000_000.0
NEW, OLD = "rel-new", "rel-old"
WEIGHTS = {
    number: Weight(number=number, canary_ratio=ratio, slow_ms=slow_ms, at=datetime.fromtimestamp(NOW, UTC))
    for number, ratio, slow_ms in ((1, 0.01, None), (2, 0.1, 200.0), (3, 0.5, 200.0))
}


def _request(
    arm: str = NEW,
    at: float = NOW,
    status: int = 200,
    duration_ms: float = 20.0,
    key: str = "",
    number: int = 2,
    rollout: str = NEW,
    forced: bool = False,
) -> Request:
    return Request(
        at=at,
        service="orders",
        rollout=rollout,
        number=number,
        release_id=arm,
        forced=forced,
        status=status,
        duration_ms=duration_ms,
        key=key or str(random.random()),
        trace_id="t",
        method="GET",
        path="/",
    )


def _accounting(**policy: float) -> Accounting:
    return Accounting(NEW, OLD, ReleasePolicy(**policy))  # type: ignore[arg-type]  # only numbers are changed here


def test_requests_are_counted_under_the_weight_that_routed_them() -> None:
    """Late lines of an earlier interval stay with it, and each ``take`` returns only what is new."""
    counts = _accounting()
    counts.add([_request(number=3), _request(OLD, number=2), _request(number=2, status=503)], WEIGHTS, NOW)
    assert counts.take(NOW).intervals == (
        Interval(number=2, canary_requests=1, stable_requests=1, canary_errors=1),
        Interval(number=3, canary_requests=1),
    )
    counts.add([_request(OLD, number=2, status=0)], WEIGHTS, NOW)
    assert counts.take(NOW).intervals == (Interval(number=2, stable_requests=1, stable_errors=1),)
    assert counts.take(NOW).intervals == ()


def test_an_interval_that_is_not_known_counts_in_the_windows_alone() -> None:
    """Without a weight a request is no evidence, but its user has felt it."""
    counts = _accounting()
    counts.add([_request(number=9, status=500)], WEIGHTS, NOW)
    taken = counts.take(NOW)
    assert taken.intervals == ()
    assert (taken.canary.errors, taken.totals.canary_errors) == (1, 1)


def test_forced_requests_count_nowhere() -> None:
    """Whoever chooses an arm by ``x-canary`` draws no coin, and a tester's errors are no user's."""
    counts = _accounting()
    counts.add([_request(forced=True, status=500), _request(OLD, forced=True)], WEIGHTS, NOW)
    taken = counts.take(NOW)
    assert (taken.intervals, taken.canary, taken.stable, taken.recent) == ((), ArmWindow(), ArmWindow(), ArmWindow())
    assert (taken.totals, taken.requests_per_s) == (Totals(), 0.0)


def test_other_releases_and_other_rollouts_count_nowhere() -> None:
    """Neither a third release nor what the candidate served under somebody else's route is this rollout's."""
    counts = _accounting()
    counts.add([_request("rel-third"), _request(NEW, rollout="rel-third"), _request(OLD, rollout="x")], WEIGHTS, NOW)
    taken = counts.take(NOW)
    assert (taken.intervals, taken.canary.requests, taken.stable.requests) == ((), 0, 0)


def test_the_baseline_is_known_before_the_candidate_has_traffic() -> None:
    """Requests of the baseline's own route fill its window, and are in no interval of the candidate."""
    counts = _accounting()
    counts.add([_request(OLD, rollout=OLD, number=2, duration_ms=100) for _ in range(50)], WEIGHTS, NOW)
    taken = counts.take(NOW)
    assert taken.intervals == ()
    assert (taken.stable.requests, taken.requests_per_s) == (50, 50)
    assert taken.stable.p95_ms == pytest.approx(100, rel=0.05)


def test_a_first_release_has_no_other_arm() -> None:
    """Without a baseline only the candidate is counted."""
    counts = Accounting(NEW, None, ReleasePolicy())
    counts.add([_request(), _request(OLD)], WEIGHTS, NOW)
    taken = counts.take(NOW)
    assert (taken.canary.requests, taken.stable.requests) == (1, 0)


def test_what_repeats_is_one_piece_of_evidence_but_is_felt_each_time() -> None:
    """A client that tries again and again is one error for the tests, and every try is one for the window."""
    counts = _accounting()
    counts.add([_request(key="ana", status=500, at=NOW + try_ / 10) for try_ in range(10)], WEIGHTS, NOW)
    taken = counts.take(NOW)
    assert taken.intervals == (Interval(number=2, canary_requests=10, canary_errors=1),)
    assert (taken.canary.errors, taken.totals.canary_errors) == (10, 10)


def test_the_first_bad_request_of_a_key_counts_whichever_arm_the_next_fall_on() -> None:
    """One per key and arm would give the smaller arm more than its share of a client that fails everywhere."""
    counts = _accounting()
    counts.add([_request(arm, key="ana", status=500) for arm in (OLD, NEW, NEW, OLD)], WEIGHTS, NOW)
    (interval,) = counts.take(NOW).intervals
    assert (interval.canary_errors, interval.stable_errors) == (0, 1)


def test_a_retrying_client_that_fails_everywhere_is_a_fair_coin() -> None:
    """Of 4,000 clients that fail ten times on either arm, the candidate's share is its weight."""
    rng, counts = random.Random(5), _accounting()
    for client in range(4000):
        arms = [NEW if rng.random() < 0.1 else OLD for _ in range(10)]
        counts.add([_request(arm, key=f"client-{client}", status=500) for arm in arms], WEIGHTS, NOW)
    (interval,) = counts.take(NOW).intervals
    assert interval.canary_errors + interval.stable_errors == 4000
    assert interval.canary_errors / 4000 == pytest.approx(0.1, abs=0.015)


def test_a_key_counts_again_after_a_while_and_each_kind_for_itself() -> None:
    """A long session is not used up by its first error, and an error does not hide that it was slow."""
    counts = _accounting()
    later = [0.0, REPEAT_S - 1, REPEAT_S, REPEAT_S + 1]
    counts.add([_request(key="ana", status=504, duration_ms=900, at=NOW + s) for s in later], WEIGHTS, NOW + REPEAT_S)
    (interval,) = counts.take(NOW + REPEAT_S).intervals
    assert (interval.canary_errors, interval.canary_slow) == (2, 2)


def test_a_line_that_comes_late_is_no_new_evidence() -> None:
    """A request that began before the one that was counted belongs to the same fault."""
    counts = _accounting()
    counts.add([_request(key="ana", status=500, at=NOW), _request(key="ana", status=500, at=NOW - 90)], WEIGHTS, NOW)
    assert counts.take(NOW).intervals[0].canary_errors == 1


def test_the_memory_of_keys_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    """The oldest key is forgotten first, and counts again then; a newer one is still known."""
    monkeypatch.setattr(accounting, "KEYS_LIMIT", 3)
    counts = _accounting()
    counts.add([_request(key=key, status=500) for key in ("a", "b", "c", "d", "d", "a")], WEIGHTS, NOW)
    assert counts.take(NOW).intervals[0].canary_errors == 5


def test_slow_is_what_takes_longer_than_the_interval_allows() -> None:
    """Each interval has its own bound, the bound itself is not slow, and without one none is."""
    counts = _accounting()
    counts.add([_request(number=2, duration_ms=ms) for ms in (199, 200, 200.1, 5000)], WEIGHTS, NOW)
    counts.add([_request(OLD, number=2, duration_ms=300), _request(number=1, duration_ms=5000)], WEIGHTS, NOW)
    first, second = counts.take(NOW).intervals
    assert (first.number, first.canary_slow) == (1, 0)
    assert (second.canary_slow, second.stable_slow) == (2, 1)


@given(
    times=st.lists(st.tuples(st.floats(0, 100), st.booleans(), st.booleans(), st.floats(0.02, 60_000)), max_size=80),
    looks=st.lists(st.floats(0, 30), min_size=1, max_size=8),
)
def test_a_window_holds_exactly_its_seconds(times: list[tuple[float, bool, bool, float]], looks: list[float]) -> None:
    """Running sums equal a recount of the last seconds, and p95 is within 5 % of the exact one."""
    counts, now = _accounting(window_s=30), NOW
    times.sort()
    done = 0
    for pause in looks:
        now += pause
        new = [entry for entry in times[done:] if NOW + entry[0] <= now]
        done += len(new)
        counts.add([_row(entry) for entry in new], WEIGHTS, now)
        taken = counts.take(now)
        for arm, window, span in (
            (True, taken.canary, 30),
            (False, taken.stable, 30),
            (True, taken.recent, RECENT_S),
        ):
            inside = [e for e in times[:done] if e[1] is arm and int(NOW + e[0]) > int(now) - span]
            assert (window.requests, window.errors) == (len(inside), sum(e[2] for e in inside))
            if inside:
                exact = sorted(e[3] for e in inside)[math.ceil(0.95 * len(inside)) - 1]
                assert window.p95_ms == pytest.approx(exact, rel=0.05)
            else:
                assert window.p95_ms is None


def _row(entry: tuple[float, bool, bool, float]) -> Request:
    at, is_canary, failed, duration_ms = entry
    return _request(NEW if is_canary else OLD, at=NOW + at, status=500 if failed else 200, duration_ms=duration_ms)


@pytest.mark.parametrize(("count", "place"), [(1, 0), (19, 18), (20, 18), (40, 37), (100, 94)])
def test_p95_is_the_nearest_rank(count: int, place: int) -> None:
    """Of twenty durations it is the nineteenth; the neighbours here are a tenth apart."""
    counts = _accounting()
    counts.add([_request(duration_ms=1.1**number) for number in range(count)], WEIGHTS, NOW)
    assert counts.take(NOW).canary.p95_ms == pytest.approx(1.1**place, rel=0.045)


@pytest.mark.parametrize("duration_ms", [-1.0, 0.0, 1e-9, 1e12, math.inf, math.nan])
def test_absurd_durations_are_kept_at_the_edges(duration_ms: float) -> None:
    """A wrong clock in a log line is a request all the same."""
    counts = _accounting()
    counts.add([_request(duration_ms=duration_ms)], WEIGHTS, NOW)
    taken = counts.take(NOW)
    assert taken.canary.requests == 1
    assert taken.canary.p95_ms is not None
    assert math.isfinite(taken.canary.p95_ms)


def test_a_clock_that_jumps_ahead_and_back_leaves_nothing_in_the_future() -> None:
    """What was booked an hour ahead does not stay in the window for an hour after the clock is right again."""
    counts = _accounting()
    counts.add([_request(at=NOW + 3600, status=500)], WEIGHTS, NOW + 3600)
    assert counts.take(NOW + 3600).canary.errors == 1
    counts.add([_request()], WEIGHTS, NOW)
    window = counts.take(NOW).canary
    assert (window.requests, window.errors) == (1, 0)


def test_a_request_from_the_future_is_booked_as_now() -> None:
    """A router whose clock is an hour ahead cannot keep a request in the window for an hour."""
    counts = _accounting(window_s=10)
    counts.add([_request(at=NOW + 3600)], WEIGHTS, NOW)
    taken = counts.take(NOW + 5)
    assert taken.canary.requests == 1
    assert taken.totals.last_request_at == datetime.fromtimestamp(NOW + 1, UTC)
    assert counts.take(NOW + 20).canary.requests == 0


def test_the_rate_is_that_of_both_arms_over_ten_seconds() -> None:
    """None before anything is known, a fair value in the first seconds, and zero once nothing comes."""
    counts = _accounting()
    assert counts.take(NOW).requests_per_s is None
    for second in range(30):
        now = NOW + second
        counts.add([_request(at=now)] + [_request(OLD, at=now)] * 9, WEIGHTS, now)
        assert counts.take(now + 0.99).requests_per_s == pytest.approx(10, rel=0.12 if second else 0.01)
    assert counts.take(NOW + 60).requests_per_s == 0


def test_totals_go_on_after_a_restart() -> None:
    """What a former process has counted is added to, and its first error stays the first."""
    first = datetime.fromtimestamp(NOW - 100, UTC)
    before = Totals(canary_requests=10, canary_errors=2, first_error_at=first, last_request_at=first)
    counts = Accounting(NEW, OLD, ReleasePolicy(), totals=before)
    assert counts.take(NOW).totals == before
    counts.add([_request(status=500, at=NOW - 3), _request(OLD, status=500), _request(at=NOW - 5)], WEIGHTS, NOW)
    assert counts.take(NOW).totals == Totals(
        canary_requests=12,
        canary_errors=3,
        first_error_at=first,
        last_request_at=datetime.fromtimestamp(NOW - 3, UTC),
    )
