"""What came of the story, and whether all of it happened. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Final

import msgspec

from companyos.delivery.policy import ReleasePolicy

if TYPE_CHECKING:
    from companyos.cli.story.cast import Fate
    from companyos.delivery.load import Summary
    from companyos.delivery.view import Detail

POLICY: Final = ReleasePolicy(hold_s=4.0, bake_s=4.0)
"""Only how long a step and the bake last is the story's own."""
SHORTENED: Final = frozenset({"hold_s", "bake_s"})
_EXPECTED: Final[Mapping[Fate, tuple[str, str | None]]] = {
    "promoted": ("steady", None),
    "rolled_back": ("rolled_back", "error_rate"),
    "slow": ("rolled_back", "latency"),
}


class Sent(msgspec.Struct, frozen=True, kw_only=True):
    """The load of a story."""

    rates: Mapping[str, float]
    """Requests per second that were asked for, by service."""
    total: Summary | None
    """What the generator says in the end; None when it says nothing."""


def document(
    found: Mapping[Fate, Detail | None], *, sent: Sent, ledger: Mapping[str, Any] | None, seconds: float
) -> dict[str, Any]:
    """Return the story as one JSON object; ``not_happened`` is empty only if all of it happened.

    ``found`` holds the releases as they stood at last, None where there is none. ``ledger`` is the report of its
    verification, ``seconds`` what everything took.
    """
    verified = ledger is not None and ledger.get("ok") is True
    lacking = [sentence for fate in _EXPECTED for sentence in faults(fate, found.get(fate))]
    if sent.total is None:
        lacking.append("The load generator did not say what it sent.")
    if not verified:
        lacking.append("The ledger was not verified.")
    return {
        "promoted": _promoted(found.get("promoted")),
        "rolled_back": _back(found.get("rolled_back")),
        "slow": _back(found.get("slow")),
        "ledger_verified": verified,
        "ledger": {"records": 0 if ledger is None else ledger.get("size", 0)},
        "load": _load(sent),
        "holds_shortened": shortened(),
        "seconds_total": round(seconds, 1),
        "not_happened": lacking,
    }


def faults(fate: Fate, release: Detail | None) -> list[str]:
    """Return what did not happen as the story has it, each in one sentence; none when all did."""
    if release is None:
        return [f"There is no release that should be {fate.replace('_', ' ')}."]
    state, trigger = _EXPECTED[fate]
    found = []
    if release.state != state:
        found.append(f"{release.name} should be {state.replace('_', ' ')} and is {release.state.replace('_', ' ')}.")
    elif trigger is not None and (release.cause is None or release.cause.trigger != trigger):
        found.append(
            f"{release.name} should come back for its {trigger.replace('_', ' ')} and did for "
            f"{release.cause.trigger.replace('_', ' ') if release.cause else 'no reason'}."
        )
    elif trigger is None and climbed(release) != [step.percent for step in release.steps]:
        found.append(f"{release.name} should climb every step and climbed {climbed(release)}.")
    if other := sorted(set(release.policy_changes) - SHORTENED):
        found.append(f"{release.name} ran under a policy with other values of {', '.join(other)}.")
    return found


def climbed(release: Detail) -> list[float]:
    """Return the steps that a release has reached, in percent."""
    return [step.percent for step in release.steps if step.entered_at is not None]


def shortened() -> dict[str, dict[str, float]]:
    """Return what the story's policy changes: for each field the product's own value and the one used here."""
    usual = ReleasePolicy()
    return {
        name: {"usual": getattr(usual, name), "here": getattr(POLICY, name)}
        for name in ("hold_s", "bake_s")
        if getattr(usual, name) != getattr(POLICY, name)
    }


def _promoted(release: Detail | None) -> dict[str, Any] | None:
    if release is None:
        return None
    return {**_facts(release), "climbed_percent": climbed(release), "seconds": _lasted(release)}


def _back(release: Detail | None) -> dict[str, Any] | None:
    if release is None:
        return None
    p95 = next((shown for shown in release.indicators if shown.name == "latency_p95"), None)
    return {
        **_facts(release),
        "seconds_to_rollback": release.seconds_to_rollback,
        "trigger": None if release.cause is None else release.cause.trigger,
        "cause": "" if release.cause is None else release.cause.sentence,
        "reached_percent": max(climbed(release), default=0.0),
        "p95_ms": None if p95 is None else p95.value,
        "p95_ms_baseline": None if p95 is None else p95.baseline,
        "incident": release.incident_id,
    }


def _facts(release: Detail) -> dict[str, Any]:
    return {
        "release": release.name,
        "id": release.id,
        "state": release.state,
        "requests": release.totals.canary_requests,
        "failed_requests": release.totals.canary_errors,
    }


def _lasted(release: Detail) -> float | None:
    return None if release.ended_at is None else round((release.ended_at - release.created_at).total_seconds(), 1)


def _load(sent: Sent) -> dict[str, Any] | None:
    total = sent.total
    if total is None:
        return None
    return {
        "asked_per_s": dict(sent.rates),
        "seconds": total.t,
        "sent": total.sent,
        "sent_per_s": round(total.sent / max(total.t, 0.001), 1),
        "ok": total.ok,
        "failed": total.failed,
        "skipped": total.skipped,
        "p50_ms": total.p50_ms,
        "p95_ms": total.p95_ms,
    }
