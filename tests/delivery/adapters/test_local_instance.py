"""What an instance is, from what was seen of it; without a process."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from companyos.delivery.adapters.local import instance
from companyos.delivery.adapters.local.instance import CRASH_WINDOW_S, PROBE_FAILURES, Seen, Watch, look, started
from tests.delivery.running import launch_of

LAUNCH = launch_of(f"sha256:{'ab' * 32}", start_timeout_s=10.0, crash_loop_restarts=3, memory_mb=100)
STARTING = started(Watch(began=0.0), 0.0)


def ready(now: float = 1.0) -> Watch:
    """Return an instance that has just become ready."""
    return look(STARTING, Seen(runs=True, probe=""), LAUNCH, now)


def test_the_first_answer_makes_it_ready() -> None:
    """And remembers since when."""
    watch = ready(1.5)
    assert (watch.state, watch.began, watch.reason, watch.ever_ready) == ("ready", 1.5, "", True)


def test_a_probe_that_was_not_asked_changes_nothing() -> None:
    """There are looks between two probes."""
    assert look(ready(), Seen(runs=True), LAUNCH, 2.0) == ready()


def test_only_failures_in_a_row_make_it_unready() -> None:
    """One lost answer is no reason to move users."""
    watch = ready()
    for count in range(PROBE_FAILURES - 1):
        watch = look(watch, Seen(runs=True, probe="no"), LAUNCH, 2.0 + count)
    assert watch.state == "ready"
    assert (
        look(look(watch, Seen(runs=True, probe=""), LAUNCH, 5.0), Seen(runs=True, probe="no"), LAUNCH, 6.0).failures
        == 1
    )
    watch = look(watch, Seen(runs=True, probe="GET /ready answered 503"), LAUNCH, 7.0)
    assert (watch.state, watch.reason, watch.began) == ("unready", "GET /ready answered 503.", 7.0)


@pytest.mark.parametrize("age", [10.0, 10.1])
def test_a_start_has_its_time_and_no_more(age: float) -> None:
    """At the limit it may still become ready."""
    watch = look(STARTING, Seen(runs=True, probe="GET /ready answered 503", last_line="busy"), LAUNCH, age)
    if age == 10.0:
        assert watch.state == "starting"
    else:
        assert (watch.state, watch.failure) == ("failed", "not_ready")
        assert watch.reason == "Not ready within 10 s: GET /ready answered 503; its log ends with: busy"


def test_an_unready_one_is_given_up_after_the_same_time() -> None:
    """Counted from when it became unready."""
    watch = ready(100.0)
    for _ in range(PROBE_FAILURES):
        watch = look(watch, Seen(runs=True, probe="no"), LAUNCH, 101.0)
    assert look(watch, Seen(runs=True, probe="no"), LAUNCH, 111.0).state == "unready"
    late = look(watch, Seen(runs=True, probe="no"), LAUNCH, 111.1)
    assert (late.failure, late.reason) == ("not_ready", "Not ready any more for 10 s: no.")


def test_an_answer_to_an_earlier_process_does_not_count() -> None:
    """It was asked before the restart."""
    watch = look(ready(), Seen(runs=True, restarts=1, last_exit="exit 1", probe=""), LAUNCH, 2.0)
    assert (watch.state, watch.reason) == ("unready", "It ended (exit 1) and was started again.")
    assert look(watch, Seen(runs=True, restarts=1, probe=""), LAUNCH, 2.1).state == "ready"


def test_restarts_within_a_minute_are_a_crash_loop() -> None:
    """Also of one that is ready in between."""
    watch = ready()
    for count in (1, 2):
        watch = look(watch, Seen(runs=True, restarts=count), LAUNCH, 10.0 * count)
        watch = look(watch, Seen(runs=True, restarts=count, probe=""), LAUNCH, 10.0 * count)
    assert watch.state == "ready"
    failed = look(watch, Seen(runs=True, restarts=3, last_exit="signal SIGSEGV"), LAUNCH, 30.0)
    assert (failed.failure, failed.restarts) == ("crash_loop", 3)
    assert failed.reason == "It ended 3 times within 20 s, last with signal SIGSEGV."


def test_restarts_over_hours_are_none() -> None:
    """The window moves on."""
    watch = ready()
    for count in range(1, 20):
        watch = look(watch, Seen(runs=True, restarts=count), LAUNCH, count * (CRASH_WINDOW_S + 1) / 2)
        watch = look(watch, Seen(runs=True, restarts=count, probe=""), LAUNCH, count * (CRASH_WINDOW_S + 1) / 2)
    assert (watch.state, watch.restarts) == ("ready", 19)


def test_one_that_was_never_ready_is_a_crash_loop_however_slowly_it_crashes() -> None:
    """A start that takes half a minute to fail must not go on for ever."""
    launch = launch_of(LAUNCH.digest, start_timeout_s=3600.0, crash_loop_restarts=3)
    watch = STARTING
    for count in (1, 2, 3):
        watch = look(watch, Seen(runs=True, restarts=count, last_exit="exit 1"), launch, count * 100.0)
    assert (watch.failure, watch.reason) == ("crash_loop", "It ended 3 times and was never ready, last with exit 1.")


def test_the_counter_of_a_new_child_begins_anew() -> None:
    """Restarts of the release add up all the same."""
    watch = look(ready(), Seen(runs=True, restarts=2), launch_of(LAUNCH.digest, crash_loop_restarts=9), 2.0)
    watch = look(started(watch, 3.0), Seen(runs=True, restarts=1), launch_of(LAUNCH.digest, crash_loop_restarts=9), 4.0)
    assert (watch.restarts, watch.counted, len(watch.ends)) == (3, 1, 3)


@pytest.mark.parametrize(("memory_mb", "state"), [(100.0, "ready"), (100.1, "failed")])
def test_memory_has_a_limit(memory_mb: float, state: str) -> None:
    """At the limit is not above it."""
    watch = look(ready(), Seen(runs=True, probe="", memory_mb=memory_mb), LAUNCH, 2.0)
    assert watch.state == state
    assert watch.failure == ("out_of_memory" if state == "failed" else "")


def test_what_is_lost_again_and_again_is_a_crash_loop() -> None:
    """When it is not the keeper that starts it again."""
    watch = instance.lost(instance.lost(ready(), "gone", LAUNCH, 2.0), "gone", LAUNCH, 3.0)
    assert (watch.state, watch.reason, watch.restarts) == ("preparing", "gone", 2)
    assert instance.lost(watch, "gone", LAUNCH, 4.0).failure == "crash_loop"


SEEN = st.builds(
    Seen,
    runs=st.booleans(),
    restarts=st.integers(0, 4),
    last_exit=st.sampled_from(["", "exit 1"]),
    probe=st.sampled_from([None, "", "GET /ready answered 503"]),
    memory_mb=st.sampled_from([None, 50.0, 101.0]),
)


@given(st.lists(st.tuples(SEEN, st.floats(0, 30)), max_size=40))
def test_whatever_is_seen_the_rules_hold(looks: list[tuple[Seen, float]]) -> None:
    """Failed is for good and has a reason; ready means that the last probe was answered; only time and ends fail it."""
    watch, now, restarts = STARTING, 0.0, 0
    for seen, pause in looks:
        now += pause
        before, watch = watch, look(watch, seen, LAUNCH, now)
        if before.state == "failed":
            assert watch == before
        assert (watch.state == "failed") == (watch.failure != "")
        assert watch.restarts >= restarts
        restarts = watch.restarts
        if watch.state == "ready":
            assert watch.ever_ready
            assert watch.failures < PROBE_FAILURES
            assert watch.reason == ""
        else:
            assert watch.reason
        if before.state != "ready" and watch.state == "ready":
            assert seen.probe == ""
            assert seen.runs
        assert watch.began <= now
