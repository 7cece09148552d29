"""A delivery that plays a script: releases that never ran, in the states that a test wants to see, one per look."""

# ruff: noqa: ARG002, D102 - the methods are those of Delivery, and are described there

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

import msgspec

from companyos.core.access import Caller
from companyos.core.errors import CompanyOSError
from companyos.core.paging import DEFAULT_LIMIT, Page
from companyos.delivery.errors import ReleaseNotFound
from companyos.delivery.model import PUBLIC_PHASE, Baseline, CommandKind, FlagChange, Indicator, Phase
from companyos.delivery.policy import ReleasePolicy, changed
from companyos.delivery.service import Delivery
from companyos.delivery.view import Detail, Difference, State, StepState, StepView, Summary, Transition

ID = "01a202e7-0000-7000-8000-000000000001"
EARLIER = "01a202e7-0000-7000-8000-000000000000"
DIGEST = "sha256:" + "a" * 64
AT = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
STEPS = (1.0, 10.0, 50.0, 100.0)
ERRORS = Indicator(
    name="error_rate",
    value=0.0231,
    threshold=0.01,
    baseline=0.001,
    samples=1234,
    breached=True,
    e_value=412.7,
    e_limit=400.0,
    rejected=True,
)
LATENCY = Indicator(name="latency_p95", value=None, threshold=300.0)


def transition(number: int, phase: Phase, percent: float, sentence: str) -> Transition:
    """Return a row of the history."""
    verb = "release.advance"
    return Transition(number=number, at=AT, verb=verb, phase=phase, percent=percent, sentence=sentence, entry_id=ID)


def release(state: Phase = "canary", *, rung: int = 1, **values: Any) -> Detail:
    """Return a release in a state, on a rung of the ladder (0 is 1 %), with other values as they are given."""
    back = state in {"rollback_pending", "rolled_back"}
    policy = values.pop("rules", ReleasePolicy())
    here: StepState = "left" if back else "current"
    words: list[StepState] = [*["done"] * rung, here, *["next"] * (len(STEPS) - rung - 1)]  # type: ignore[list-item] # see StepState
    usual: dict[str, Any] = {
        "id": ID,
        "service": "shop",
        "version": "1.1",
        "name": "shop@1.1",
        "environment": "production",
        "digest": DIGEST,
        "commit": "c" * 40,
        "state": state,
        "phase": PUBLIC_PHASE[state],
        "baseline": Baseline(release_id=EARLIER, version="1.0", digest="sha256:" + "b" * 64),
        "weight_ratio": 0.0 if back else STEPS[rung] / 100,
        "verdict": f"It is {state}.",
        "steps": tuple(StepView(percent=percent, state=word) for percent, word in zip(STEPS, words, strict=True)),
        "indicators": (ERRORS, LATENCY),
        "since": AT,
        "observed_at": AT,
        "created_at": AT,
        "created_by": "user:olga",
        "policy": msgspec.to_builtins(policy),
        "policy_digest": policy.digest,
        "policy_changes": changed(policy),
    }
    return Detail(**{**usual, **values})


class ScriptedDelivery(Delivery):
    """Shows the next state with each look, the last one for ever; a fault in the script is raised instead."""

    def __init__(self, *script: Detail | CompanyOSError | type[BaseException]) -> None:
        self.script = list(script)
        self.calls: list[tuple[str, Any]] = []
        """What was called, with its arguments."""
        self.known: list[Detail] = []
        """What a list of releases holds."""
        self.differences: list[Difference] = []
        self.refusal: CompanyOSError | None = None

    def _look(self) -> Detail:
        found = self.script.pop(0) if len(self.script) > 1 else self.script[0]
        if isinstance(found, Detail):
            return found
        raise found

    def deploy(
        self,
        caller: Caller,
        *,
        digest: str,
        environment: str = "production",
        flags: tuple[FlagChange, ...] = (),
        policy: ReleasePolicy | None = None,
    ) -> Detail:
        self.calls.append(("deploy", (digest, environment, flags, policy)))
        if self.refusal is not None:
            raise self.refusal
        return self._look()

    def list_releases(
        self,
        caller: Caller,
        *,
        service: str | None = None,
        name: str | None = None,
        in_flight: bool | None = None,
        cursor: str | None = None,
        limit: int = DEFAULT_LIMIT,
    ) -> Page[Summary]:
        self.calls.append(("list", (service, name, in_flight, cursor, limit)))
        found = [known for known in self.known if name in (None, known.name) and service in (None, known.service)]
        start = int(cursor or 0)
        more = start + limit < len(found)
        items: list[Summary] = list(found[start : start + limit])
        return Page(items=items, next_cursor=str(start + limit) if more else None)

    def get_release(self, caller: Caller, id: str) -> Detail:
        self.calls.append(("get", id))
        if id not in {ID, EARLIER}:
            raise ReleaseNotFound(id)
        return self._look()

    def command(
        self,
        caller: Caller,
        id: str,
        kind: CommandKind,
        *,
        reason: str,
        metrics_snapshot: Mapping[str, Any] | None = None,
    ) -> Detail:
        self.calls.append((kind, (id, reason, metrics_snapshot)))
        if id != ID:
            raise ReleaseNotFound(id)
        if self.refusal is not None:
            raise self.refusal
        return self._look()

    def rollback(
        self, caller: Caller, deployment_id: str, *, reason: str, metrics_snapshot: Mapping[str, Any] | None = None
    ) -> State:
        self.command(caller, deployment_id, "rollback", reason=reason, metrics_snapshot=metrics_snapshot)
        return self.state(caller, deployment_id)

    def state(self, caller: Caller, deployment_id: str) -> State:
        shown = self.get_release(caller, deployment_id)
        return State(
            deployment_id=shown.id,
            phase=shown.phase,
            indicators=shown.indicators,
            state=shown.state,
            service=shown.service,
            release=shown.name,
            weight_ratio=shown.weight_ratio,
            verdict=shown.verdict,
            since=shown.since,
        )

    def ticks(
        self, caller: Caller, id: str, *, cursor: str | None = None, limit: int = DEFAULT_LIMIT
    ) -> Page[dict[str, Any]]:
        self.calls.append(("ticks", (id, cursor, limit)))
        self.get_release(caller, id)
        return Page(items=[{"number": 1, "at": AT}])

    def replay(
        self, caller: Caller, policy: ReleasePolicy, *, service: str | None = None, limit: int = 200
    ) -> list[Difference]:
        self.calls.append(("replay", (policy, service, limit)))
        return self.differences[:limit]
