"""What stories about bundles have in common: what was decided, what tests say, and the way of a version."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from typing import Any

import msgspec

from companyos.core.access import Caller
from companyos.policy.model import Checked, Promotion, Published
from companyos.policy.promoting import Order
from companyos.policy.replay import RecordedDecision
from companyos.policy.service import Policies
from companyos_sdk.bundle import Bundle
from companyos_sdk.policy.decision import Obligation
from tests.policy.bundles import BUNDLE_ID, built

Run = Callable[..., Any]
"""Runs a command and gives its JSON."""

WHOLE: tuple[tuple[str, ...], ...] = ((),)
"""A record that holds the whole input."""


def record(
    action: str,
    answer: dict[str, Any],
    *,
    number: int = 0,
    paths: tuple[tuple[str, ...], ...] = WHOLE,
    values: tuple[Any, ...] | None = None,
) -> RecordedDecision:
    """A recorded decision with this answer of a policy."""
    return RecordedDecision(
        audit_id=f"audit-{number}",
        action=action,
        allowed=answer["decision"] == "allow",
        reason=answer["reason"],
        obligations=tuple(Obligation(one["id"], one["type"], one["properties"]) for one in answer["obligations"]),
        paths=paths,
        values=({"action": action},) if values is None else values,
    )


class Decided:
    """Recorded decisions of one bundle, in whichever stage."""

    def __init__(self) -> None:
        self.of: dict[str, list[RecordedDecision]] = {}
        self.asked: list[tuple[str, str]] = []

    def add(self, stage: str, action: str, answer: dict[str, Any], times: int = 1, **more: Any) -> None:
        """Record the same decision some times."""
        known = self.of.setdefault(stage, [])
        known += [record(action, answer, number=len(known) + number, **more) for number in range(times)]

    def records(self, bundle_id: str, stage: str) -> Iterator[RecordedDecision]:
        """Yield what was recorded."""
        self.asked.append((bundle_id, stage))
        yield from self.of.get(stage, [])


class Checks:
    """What the platform finds when it runs the tests of a bundle."""

    def __init__(self) -> None:
        self.found: Checked | None = Checked(
            passed=3, failed=0, coverage_ratio=1.0, at=datetime(2026, 1, 1, tzinfo=UTC)
        )

    def __call__(self, bundle: Bundle, now: datetime) -> Checked | None:
        """Return what was set."""
        del bundle, now
        return self.found

    def change(self, **values: Any) -> None:
        """Let the next bundle be found otherwise."""
        assert self.found is not None
        self.found = msgspec.structs.replace(self.found, **values)


def publish(
    policies: Policies, author: Caller, rules: dict[str, Any], version: str = "1.0.0", **more: Any
) -> Published:
    """Publish a bundle as its author does: built, signed for dev, sent."""
    return policies.publish(author, policies.sign(author, built(rules, version, **more), "dev").bundle)


def promote(policies: Policies, caller: Caller, version: str, stage: Any, **more: Any) -> Promotion:
    """Promote a version, or try to."""
    dry_run = more.pop("dry_run", False)
    order = Order(bundle_id=BUNDLE_ID, version=version, stage=stage, reason="It is time.", **more)
    return policies.promote(caller, order, dry_run=dry_run)


def bring(policies: Policies, author: Caller, approver: Caller, rules: dict[str, Any], version: str) -> None:
    """Bring a version all the way to prod, where nothing stands against it but that there is nothing to replay."""
    publish(policies, author, rules, version)
    for stage in ("dev", "staging", "prod"):
        told = promote(policies, approver if stage == "prod" else author, version, stage, without_replay=True)
        assert told.outcome == "promoted", told


def codes(promotion: Promotion) -> list[str]:
    """The codes of all that stands in the way."""
    return [block.code for block in promotion.blocks]
