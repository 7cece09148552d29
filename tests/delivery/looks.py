"""Releases and looks for the tests of the machine: everything is well unless a test says otherwise."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any, Self

import msgspec

from companyos.delivery import machine
from companyos.delivery.machine import State, Step
from companyos.delivery.model import (
    ArmWindow,
    Baseline,
    Command,
    CommandKind,
    FlagChange,
    Instance,
    Interval,
    Observation,
    Release,
    Synthetic,
)
from companyos.delivery.policy import ReleasePolicy

NOW = datetime(2026, 11, 28, 12, tzinfo=UTC)
POLICY = ReleasePolicy(hold_s=10, bake_s=8)
WELL = ArmWindow(requests=1000, errors=1, p95_ms=100.0)
FAILING = ArmWindow(requests=1000, errors=52, p95_ms=100.0)
SLOW = ArmWindow(requests=1000, errors=1, p95_ms=200.0)
NOTHING = ArmWindow()
READY = Instance(release_id="new", state="ready", cpu_ratio=0.1, memory_ratio=0.2)
OLD = Instance(release_id="old", state="ready", cpu_ratio=0.1, memory_ratio=0.3)


def release(policy: ReleasePolicy = POLICY, *, first: bool = False, flags: bool = False) -> Release:
    """A release of the shop."""
    return Release(
        id="new",
        service="shop",
        version="1.1",
        environment="production",
        digest="sha256:" + "a" * 64,
        commit="c" * 40,
        baseline=None if first else Baseline(release_id="old", version="1.0", digest="sha256:" + "b" * 64),
        policy=policy,
        flags=(FlagChange(key="new-checkout"),) if flags else (),
        created_at=NOW,
        created_by="user:olga",
    )


def command(kind: CommandKind, reason: str = "it looks odd") -> Command:
    """What Olga asks for."""
    return Command(id=f"{kind}-1", release_id="new", kind=kind, reason=reason, actor="user:olga", created_at=NOW)


def failed_checks(in_a_row: int, *, new: int | None = None) -> Synthetic:
    """Smoke checks of which so many in a row failed, by default all of them since the last look."""
    failed = in_a_row if new is None else new
    return Synthetic(failed=failed, consecutive_failures=in_a_row, last_failure="GET / answered 500.")


class Ride:
    """Takes a release through looks; its state goes through JSON before every one of them."""

    def __init__(self, policy: ReleasePolicy = POLICY, *, first: bool = False, flags: bool = False) -> None:
        self.release = release(policy, first=first, flags=flags)
        self.policy = policy
        self.now = NOW
        self.state: State = machine.begin(self.release, NOW)
        self.moves: list[str] = []
        self.last = Observation(elapsed_s=0.0)

    def look(self, elapsed: float = 1.0, *, jump: float = 0.0, canary_requests: int = 5, **seen: Any) -> Step:
        """Look once; the keywords change what is seen. Requests come for the newest interval, without a bad one."""
        self.now += timedelta(seconds=elapsed + jump)
        number, ratio = self.state.number, self.state.ratio
        stable = round(canary_requests * (1 - ratio) / ratio) if ratio else 0
        counted = Interval(number=number, canary_requests=canary_requests, stable_requests=stable)
        usual: dict[str, Any] = {
            "elapsed_s": elapsed,
            "intervals": (counted,) if number and canary_requests else (),
            "canary": WELL,
            "stable": WELL,
            "recent": WELL,
            "requests_per_s": 100.0,
            "candidate": READY,
            "baseline": None if self.release.baseline is None else OLD,
            "in_flight": 1,
            "applied_interval": number or None,
        }
        self.last = Observation(**{**usual, **seen})
        return self.take(self.last)

    def take(self, observation: Observation) -> Step:
        """Decide this observation now."""
        known = msgspec.json.decode(msgspec.json.encode(self.state), type=State)
        step = machine.step(known, observation, self.policy, self.now)
        self.state = step.state
        if step.move is not None:
            self.moves.append(step.move.verb.removeprefix("release."))
        return step

    def bad(self, *, canary: int = 0, stable: int = 0, slow: bool = False) -> tuple[Interval, ...]:
        """So many bad requests of the newest interval, in one look, divided as its weight says otherwise."""
        names = ("canary_slow", "stable_slow") if slow else ("canary_errors", "stable_errors")
        return (Interval(number=self.state.number, **dict(zip(names, (canary, stable), strict=True))),)

    def prove(self, *, slow: bool = False) -> None:
        """Give the tests all the evidence that they need, without a breach of any window in sight."""
        self.look(intervals=self.bad(canary=30, slow=slow))

    def to(self, phase: str, *, step: int = 0) -> Self:
        """Go there in good health; ``held`` is by a person, in the first step."""
        for _ in range(200):
            if self.state.phase == phase and (phase != "canary" or self.state.step == step):
                return self
            asked: dict[str, Any] = {}
            if phase == "held" and self.state.phase == "canary":
                asked["commands"] = (command("hold"),)
            if phase == "rollback_pending" and self.state.phase == "canary":
                asked["commands"] = (command("abort"),)
            if phase == "rolled_back" and self.state.phase == "canary":
                asked["commands"] = (command("abort"),)
            self.look(**asked)
        raise AssertionError(f"never came to {phase}")


def kinds(step: Step) -> list[str]:
    """The actions of a step by their names, a weight with its share."""
    return [
        f"set_weight {action.canary_ratio:g}" if hasattr(action, "canary_ratio") else str(action.__struct_config__.tag)
        for action in step.actions
    ]
