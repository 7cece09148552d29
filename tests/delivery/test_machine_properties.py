"""What is true of every release, whatever is seen of it, in whatever order."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

import msgspec
from hypothesis import given, settings
from hypothesis import strategies as st

from companyos.delivery import machine, verdict
from companyos.delivery.actions import SetWeight
from companyos.delivery.machine import State, Step
from companyos.delivery.model import ArmWindow, CommandKind, Instance, Interval, Observation, Synthetic
from companyos.delivery.policy import ReleasePolicy
from tests.delivery.looks import NOW, OLD, READY, command, release

POLICIES = st.builds(
    ReleasePolicy,
    triggers=st.sampled_from(["guarded", "literal"]),
    steps=st.sampled_from([(1, 10, 50, 100), (50, 100), (100,), (0.1, 99.9, 100)]),
    hold_s=st.sampled_from([0, 2, 7]),
    bake_s=st.sampled_from([0, 2, 7]),
    min_requests=st.sampled_from([0, 1, 20]),
    resume_after_s=st.sampled_from([0, 1, 5]),
    start_timeout_s=st.sampled_from([3, 60]),
)
WINDOWS = st.builds(
    ArmWindow,
    requests=st.sampled_from([0, 1, 19, 20, 1000]),
    errors=st.sampled_from([0, 0, 0, 1, 10, 60]),
    p95_ms=st.sampled_from([None, 3.0, 100.0, 250.0, 400.0]),
)
COUNTS = st.sampled_from([0, 0, 0, 1, 5, 40])
CHECKS = st.none() | st.builds(Synthetic, passed=COUNTS, failed=COUNTS, consecutive_failures=st.integers(0, 5))
INSTANCES = st.sampled_from([READY] * 12 + [None, msgspec.structs.replace(READY, cpu_ratio=0.95)]) | st.builds(
    Instance,
    release_id=st.just("new"),
    state=st.sampled_from(["absent", "preparing", "starting", "ready", "unready", "failed", "stopping"]),
    failure=st.sampled_from(["", "", "", "", "refused", "crash_loop", "not_ready", "out_of_memory"]),
)
KINDS: tuple[CommandKind, ...] = ("hold", "resume", "resume", "promote", "abort", "rollback")
COMMANDS = st.sampled_from([command(kind) for kind in KINDS])


@st.composite
def looks(draw: st.DrawFn) -> list[dict[str, Any]]:
    """Looks, most of them at a healthy release; the numbers of intervals count back from the newest."""
    found = []
    for _ in range(draw(st.integers(1, 25))):
        look: dict[str, Any] = {"elapsed_s": draw(st.sampled_from([0.25, 1.0, 1.0, 3.0]))}
        healthy = draw(st.integers(0, 3)) > 0
        look["intervals"] = [(draw(st.integers(0, 2)), [draw(COUNTS) if not healthy else 30 for _ in range(2)])]
        if not healthy:
            look["bad"] = [draw(COUNTS) for _ in range(4)]
            for name, values in (
                ("canary", WINDOWS),
                ("stable", WINDOWS),
                ("recent", WINDOWS),
                ("synthetic", CHECKS),
                ("synthetic_baseline", CHECKS),
                ("candidate", INSTANCES),
                ("baseline", st.sampled_from([OLD, OLD, OLD, None])),
                ("lost_source", st.sampled_from([None, None, None, "the log is gone"])),
                ("alerts", st.sampled_from([(), (), ("HighErrors",)])),
                ("operations_hold", st.sampled_from([None, None, "freeze"])),
                ("commands", st.lists(COMMANDS, max_size=2).map(tuple)),
                ("in_flight", st.sampled_from([None, 0, 100])),
                ("applied", st.booleans()),
                ("actions_open", st.integers(0, 2)),
                ("jump", st.sampled_from([0.0, 0.0, 0.0, -60.0, 60.0])),
            ):
                if draw(st.booleans()):
                    look[name] = draw(values)
        found.append(look)
    return found


def seen(look: dict[str, Any], state: State) -> Observation:
    """The observation of one look at a release in this state."""
    given = dict(look)
    given.pop("jump", None)
    bad = given.pop("bad", [0, 0, 0, 0])
    applied = given.pop("applied", True)
    names = ("canary_errors", "stable_errors", "canary_slow", "stable_slow")
    intervals = [
        Interval(
            number=max(0, state.number - back),
            canary_requests=counts[0],
            stable_requests=counts[1],
            **dict(zip(names, bad, strict=True)),
        )
        for back, counts in given.pop("intervals")
    ]
    usual: dict[str, Any] = {
        "intervals": tuple(intervals),
        "canary": ArmWindow(requests=1000, p95_ms=100.0),
        "stable": ArmWindow(requests=1000, p95_ms=100.0),
        "candidate": READY,
        "baseline": OLD,
        "applied_interval": state.number if applied else None,
    }
    return Observation(**{**usual, **given})


Taken = tuple[State, Observation, Step, datetime]


def drive(policy: ReleasePolicy, script: list[dict[str, Any]], *, first: bool = False) -> list[Taken]:
    """Each look with the state before it and what came of it."""
    state, now, taken = machine.begin(release(policy, first=first, flags=True), NOW), NOW, []
    for look in script:
        now += timedelta(seconds=look["elapsed_s"] + look.get("jump", 0.0))
        observation = seen(look, state)
        step = machine.step(state, observation, policy, now)
        taken.append((state, observation, step, now))
        state = step.state
    return taken


@settings(max_examples=80, deadline=None)
@given(POLICIES, looks(), st.booleans())
def test_a_release_goes_on_only_with_its_time_its_data_and_a_router_that_obeys(
    policy: ReleasePolicy, script: list[dict[str, Any]], first: bool
) -> None:
    """Or because a person says so, and no test rejects."""
    for before, observation, step, _ in drive(policy, script, first=first):
        asked = {command.kind for command in observation.commands}
        verb = step.move.verb if step.move is not None else ""
        if verb not in {"release.advance", "release.promote", "release.settle"} or before.phase == "pending":
            continue
        if "promote" in asked:
            assert not before.tests.errors.rejects(3 / policy.false_rollback_ratio) or before.tests.share.skewed
            assert observation.operations_hold is None
            continue
        needed = policy.bake_s if before.phase == "promoted" else policy.hold_s
        fresh = [one for one in observation.intervals if one.number >= before.step_number]
        assert before.phase in {"canary", "promoted"}
        assert before.clean_s + observation.elapsed_s >= needed
        assert before.step_requests + sum(one.canary_requests for one in fresh) >= policy.min_requests
        assert observation.canary.requests >= min(1, policy.min_requests)
        assert (observation.canary.error_ratio or 0) < policy.error_ratio_max
        assert (observation.canary.p95_ms or 0) < policy.p95_ms_max
        assert observation.applied_interval == before.number
        assert observation.lost_source is None
        assert observation.candidate is not None
        assert observation.candidate.state == "ready"
        assert observation.baseline is not None


@settings(max_examples=80, deadline=None)
@given(POLICIES, looks(), st.booleans())
def test_weights_only_grow_until_a_rollback_sets_them_to_nothing(
    policy: ReleasePolicy, script: list[dict[str, Any]], first: bool
) -> None:
    """And the router is told each of them once."""
    taken = drive(policy, script, first=first)
    weights = taken[-1][2].state.weights
    given_back = taken[-1][2].state.phase in {"rollback_pending", "rolled_back"}
    ratios = [weight.canary_ratio for weight in weights]
    growing = ratios[:-1] if given_back else ratios
    assert growing == sorted(growing)
    assert not given_back or ratios[-1] == 0
    assert all(ratio > 0 for ratio in growing)
    assert [weight.number for weight in weights] == list(range(1, len(weights) + 1))
    told = [action for _, _, step, _ in taken for action in step.actions if isinstance(action, SetWeight)]
    assert [(action.number, action.canary_ratio) for action in told] == [(w.number, w.canary_ratio) for w in weights]


@settings(max_examples=80, deadline=None)
@given(POLICIES, looks(), st.booleans())
def test_only_a_move_changes_the_phase_and_final_phases_are_final(
    policy: ReleasePolicy, script: list[dict[str, Any]], first: bool
) -> None:
    """A rollback always ends once its actions are done."""
    for before, observation, step, _ in drive(policy, script, first=first):
        after = step.state
        if step.move is None:
            assert (after.phase, after.step) == (before.phase, before.step)
        if before.phase == "rolled_back":
            assert (step.state, step.actions, step.move) == (before, (), None)
        if before.phase == "steady":
            back = any(command.kind == "rollback" for command in observation.commands) and before.has_baseline
            assert after.phase == ("rollback_pending" if back else "steady")
        if before.phase == "rollback_pending":
            assert after.phase == ("rolled_back" if observation.actions_open == 0 else "rollback_pending")
            assert step.actions == ()
        assert (after.phase == "held") == (after.held is not None)
        assert (after.phase in {"rollback_pending", "rolled_back"}) == (after.cause is not None)


@settings(max_examples=80, deadline=None)
@given(POLICIES, looks())
def test_nothing_is_concluded_while_requests_are_missing_or_the_clock_jumps(
    policy: ReleasePolicy, script: list[dict[str, Any]]
) -> None:
    """Facts and orders still count."""
    for before, observation, step, _ in drive(policy, script):
        if before.phase not in {"canary", "held", "promoted"}:
            continue
        if observation.lost_source is None and step.state.jumped_s is None:
            continue
        verb = step.move.verb if step.move is not None else ""
        if verb == "release.rollback":
            assert step.state.cause is not None
            trigger = step.state.cause.trigger
            assert trigger not in {"error_rate", "latency", "synthetic"}
            assert trigger != "alert" or policy.triggers == "literal"
        elif not any(command.kind == "promote" for command in observation.commands):
            assert verb in {"", "release.hold"}
            assert step.state.phase == "held"


@settings(max_examples=80, deadline=None)
@given(POLICIES, looks(), st.booleans())
def test_a_state_that_went_through_json_decides_the_same(
    policy: ReleasePolicy, script: list[dict[str, Any]], first: bool
) -> None:
    """So does an observation; and each can be shown."""
    shown = release(policy, first=first)
    for before, observation, step, now in drive(policy, script, first=first):
        known = msgspec.json.decode(msgspec.json.encode(before), type=State)
        told = msgspec.json.decode(msgspec.json.encode(observation), type=Observation)
        assert known == before
        assert machine.step(known, told, policy, now) == step
        sentence = verdict.sentence(step.state, observation, policy, shown)
        assert sentence.endswith(".")
        assert len(verdict.indicators(step.state, observation, policy)) == 5


@settings(max_examples=60, deadline=None)
@given(POLICIES, looks())
def test_guarded_goes_back_for_users_only_when_a_test_rejects(
    policy: ReleasePolicy, script: list[dict[str, Any]]
) -> None:
    """Whatever the windows show."""
    policy = msgspec.structs.replace(policy, triggers="guarded")
    for _, _, step, _ in drive(policy, script):
        cause = step.state.cause
        if cause is None or step.move is None or step.move.verb != "release.rollback":
            continue
        tests, limit = step.state.tests, 3 / policy.false_rollback_ratio
        proof = {
            "error_rate": tests.errors.e_max,
            "latency": tests.slow.e_max,
            "synthetic": tests.synthetic.e_max,
            "alert": max(tests.errors.e_max, tests.slow.e_max, tests.synthetic.e_max),
        }
        assert proof.get(cause.trigger, limit) >= limit
