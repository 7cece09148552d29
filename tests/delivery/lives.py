"""The lives of releases that the tests of killed controllers play, and every action that a phase can ask for."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator, Mapping
from datetime import UTC, datetime, timedelta
from types import MappingProxyType
from typing import Final, NamedTuple, get_args

import msgspec

from companyos.delivery import moving
from companyos.delivery.actions import Action
from companyos.delivery.machine import begin
from companyos.delivery.model import ArmWindow, Baseline, Cause, FlagChange, Held, Observation, Phase, Release
from companyos.delivery.policy import ReleasePolicy
from companyos.delivery.state import State, Step
from tests.delivery.controlling import FLAG, Platform

QUICK: Final = ReleasePolicy(
    steps=(50.0, 100.0),
    hold_s=0.4,
    bake_s=0.4,
    bake_old_percent=10.0,
    resume_after_s=0.2,
    min_requests=5,
    start_timeout_s=1.0,
    drain_s=0.1,
)
AT_ONCE: Final = msgspec.structs.replace(QUICK, steps=(100.0,))
SLOWLY: Final = msgspec.structs.replace(QUICK, hold_s=600.0, bake_s=600.0)
"""It stays in its first step, and then in its bake, until somebody asks for more."""


class Life(NamedTuple):
    """A release whose controller is killed again and again."""

    live: Callable[[Platform], str]
    """Lets it live to its end and returns its id."""
    moves: tuple[str, ...]
    """What the ledger says of it, holds left out: a controller that begins anew knows no windows."""


def _first(platform: Platform) -> str:
    made = platform.deploy("1.0", policy=QUICK, flags=True)
    platform.until_phase(made, "steady")
    return made


def _climbs(platform: Platform) -> str:
    platform.steady(policy=QUICK)
    made = platform.deploy("1.1", policy=QUICK, flags=True)
    platform.until_phase(made, "steady")
    return made


def _at_once(platform: Platform) -> str:
    platform.steady(policy=QUICK)
    made = platform.deploy("1.1", policy=AT_ONCE, flags=True)
    platform.until_phase(made, "steady")
    return made


def _fails(platform: Platform) -> str:
    platform.steady(policy=QUICK)
    made = platform.deploy("1.1", policy=SLOWLY, flags=True)
    platform.until_phase(made, "canary", "held")
    platform.fails(made)
    platform.until_phase(made, "rolled_back")
    return made


def _held(platform: Platform) -> str:
    """It is held before the baseline has shown what is slow, so that its interval changes while it is held."""
    platform.steady(policy=QUICK)
    platform.rate = 0.0
    made = platform.deploy("1.1", policy=SLOWLY, flags=True)
    platform.until_phase(made, "canary")
    platform.ask(made, "hold")
    platform.until_phase(made, "held")
    platform.rate = 400.0
    platform.until(lambda: len(platform.show(made).weights) > 1, "another interval")
    platform.until_phase(made, "held")
    platform.ask(made, "abort")
    platform.until_phase(made, "rolled_back")
    return made


def _bakes(platform: Platform) -> str:
    """It is promoted without traffic, so that what is slow shows while it bakes; then it is brought back."""
    platform.steady(policy=QUICK)
    made = platform.deploy("1.1", policy=SLOWLY, flags=True)
    platform.until_phase(made, "canary")
    platform.ask(made, "promote")
    platform.until_phase(made, "promoted")
    platform.ask(made, "rollback")
    platform.until_phase(made, "rolled_back")
    return made


def _settled(platform: Platform) -> str:
    platform.steady(policy=QUICK)
    made = platform.deploy("1.1", policy=QUICK, flags=True)
    platform.until_phase(made, "steady")
    platform.until(lambda: platform.running() == {made}, "the end of the baseline")
    platform.ask(made, "rollback")
    platform.until_phase(made, "rolled_back")
    return made


LIVES: Final[Mapping[str, Life]] = MappingProxyType(
    {
        "first": Life(_first, ("settle",)),
        "climbs": Life(_climbs, ("start", "promote", "settle")),
        "at_once": Life(_at_once, ("promote", "settle")),
        "fails": Life(_fails, ("start", "rollback", "rolled_back")),
        "held": Life(_held, ("start", "rollback", "rolled_back")),
        "bakes": Life(_bakes, ("start", "promote", "rollback", "rolled_back")),
        "settled": Life(_settled, ("start", "promote", "settle", "rollback", "rolled_back")),
    }
)


# --- what the code can ask for ----------------------------------------------------------------------------------------

_NOW: Final = datetime(2026, 1, 1, tzinfo=UTC)
_KNOWN: Final = frozenset(
    {"start", "advance", "promote", "settle", "hold", "resume", "roll_back", "end_rollback", "judge_slowness"}
)
"""The moves that ``steps`` makes; a new one without a line there is found by ``unknown_moves``."""


def unknown_moves() -> set[str]:
    """Return the functions of ``moving`` that make a step and of which nothing is known here."""
    made = {
        name
        for name, function in inspect.getmembers(moving, inspect.isfunction)
        if function.__module__ == moving.__name__ and "Step" in str(function.__annotations__["return"])
    }
    return made ^ _KNOWN


def pairs() -> set[tuple[Phase, str]]:
    """Return every phase with each action that a step into it asks for."""
    found = {(step.state.phase, str(action.__struct_config__.tag)) for step in _steps() for action in step.actions}
    return found | {("pending", "start_candidate")}


def tags() -> set[str]:
    """Return the names of all actions."""
    return {str(action.__struct_config__.tag) for action in get_args(Action)}


def _steps() -> Iterator[Step]:
    seen = Observation(elapsed_s=0.0, stable=ArmWindow(requests=1000, p95_ms=20.0))
    release = Release(
        id="01a202e7-0000-7000-8000-000000000001",
        service="shop",
        version="1.1",
        environment="production",
        digest="sha256:" + "a" * 64,
        commit="c" * 40,
        baseline=Baseline(release_id="01a202e7-0000-7000-8000-000000000000", version="1.0", digest="sha256:b"),
        policy=QUICK,
        flags=(FlagChange(key=FLAG),),
        created_at=_NOW,
        created_by="user:olga",
    )
    pending = begin(release, _NOW)
    yield moving.start(pending, seen, AT_ONCE, _NOW)
    yield moving.start(begin(msgspec.structs.replace(release, baseline=None), _NOW), seen, QUICK, _NOW)
    canary = moving.start(pending, Observation(elapsed_s=0.0), QUICK, _NOW)
    promoted = moving.promote(canary.state, Observation(elapsed_s=0.0), QUICK, _NOW, "")
    steady = moving.settle(promoted.state, _NOW, "")
    yield from (canary, promoted, steady)
    yield moving.advance(canary.state, seen, msgspec.structs.replace(QUICK, steps=(50.0, 75.0, 100.0)), _NOW)
    for before in (pending, canary.state, promoted.state, steady.state):
        yield from _around(before, seen)


def _around(before: State, seen: Observation) -> Iterator[Step]:
    back = moving.roll_back(before, Cause(trigger="manual", sentence=""), _NOW)
    yield back
    yield moving.end_rollback(back.state, _NOW + timedelta(seconds=1))
    if before.phase in {"canary", "promoted"}:
        held = moving.hold(before, Held(reason="manual", sentence=""), _NOW)
        yield from (held, moving.resume(held.state, _NOW, ""))
        yield from filter(None, (moving.judge_slowness(one, seen, QUICK, _NOW) for one in (before, held.state)))
