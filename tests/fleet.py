"""A fleet to design and measure on: as mixed, as badly kept and as large as a real one, and the same each time."""

from __future__ import annotations

import random
from datetime import datetime, timedelta
from typing import Any

import msgspec

from companyos.tower.model import Arm, HoldMark, IncidentMark, TowerRow

DOMAINS = {
    "commerce": 18,
    "payments": 12,
    "identity": 7,
    "search": 9,
    "logistics": 14,
    "data-platform": 13,
    "internal-tools": 8,
    "machine-learning": 6,
    "customer-support": 5,
    "marketing-automation": 5,
    "risk-and-compliance": 6,
    "observability": 4,
    "mobile": 5,
    "partner-integrations": 7,
}
"""Domains and how much of the fleet each has."""

_WORDS = """
cart checkout order price promo stock ship route label return invoice refund charge payout ledger fraud login session
token profile consent search suggest rank index crawl feed image video mail push sms chat ticket report export import
sync stream event metric trace audit rate quote tax customs fleet driver depot slot
"""
_FIRST = tuple(_WORDS.split())
_SECOND = (
    "api",
    "worker",
    "gateway",
    "sync",
    "store",
    "cache",
    "export",
    "planner",
    "engine",
    "hub",
    "proxy",
    "indexer",
)
_REGIONS = ("eu-west-1", "eu-central-1", "us-east-1", "us-west-2", "ap-south-1", "sa-east-1")
_TIERS = ("critical", "standard", "standard", "standard", "experimental")
_TITLES = (
    "Checkout answers 502 for one in five requests",
    "Latency p95 above 2 s since the index rebuild",
    "Zahlungen über Klarna schlagen fehl, Rückfall aktiv",
    "Заказы подтверждаются с задержкой",
    "Queue grows: consumers restart in a loop",
)
_REASONS = (
    "CVE-2026-1187 in urllib3 is over the budget of the team",
    "the error budget is spent",
    "quarter-end freeze of the finance domain",
    "residency breach: events of EU customers were read in us-east-1",
)


def fleet(count: int, now: datetime, *, seed: int = 7) -> list[TowerRow]:
    """Return that many rows, sorted by name, with revisions from 1 on.

    In a hundred about three burn (one in ten of these is down), two are held and two in canary, five are stale, four
    were never seen running and three have no owner.
    """
    dice = random.Random(seed)
    names = _names(count, dice)
    return [_row(name, revision, now, dice) for revision, name in enumerate(names, start=1)]


def _names(count: int, dice: random.Random) -> list[str]:
    names: set[str] = {"a0", "customer-lifetime-value-batch-exporter"}
    while len(names) < count:
        name = f"{dice.choice(_FIRST)}-{dice.choice(_SECOND)}"
        names.add(name if name not in names else f"{name}-{dice.randrange(2, 40)}")
    return sorted(names)[:count]


def _row(name: str, revision: int, now: datetime, dice: random.Random) -> TowerRow:
    domain = dice.choices(list(DOMAINS), list(DOMAINS.values()))[0]
    luck = dice.random()
    owner = None if dice.random() < 0.03 else f"team-{domain}"
    recorded_at = now - timedelta(days=dice.uniform(0.01, 300))
    bare = TowerRow(
        name=name,
        domain=None if dice.random() < 0.01 else domain,
        owner=owner,
        oncall=f"rota-{domain}" if owner else None,
        tier=dice.choice(_TIERS),
        regions=tuple(sorted(dice.sample(_REGIONS, dice.choice((1, 1, 1, 2, 4))))),
        recorded_at=recorded_at,
        sources=("manual",),
        revision=revision,
    )
    if luck < 0.04:
        return bare
    return msgspec.structs.replace(bare, **_running(luck, now, dice), **_against(luck, now, dice))


def _running(luck: float, now: datetime, dice: random.Random) -> dict[str, Any]:
    """What runs: stale for some, with a canary for others."""
    age_s = dice.uniform(2, 80_000) if luck >= 0.09 else dice.uniform(90_000, 90 * 86_400)
    observed_at = now - timedelta(seconds=age_s)
    deployed_at = observed_at - timedelta(seconds=dice.uniform(60, 40 * 86_400))
    source = dice.choice(("runtime:kubernetes", "runtime:keeper", "manual"))
    version = f"{dice.randrange(0, 9)}.{dice.randrange(0, 30)}.{dice.randrange(0, 12)}"
    said: dict[str, Any] = {"environment": "production", "observed_at": observed_at, "source": source}
    arms = [Arm(arm="stable", version=version, since=deployed_at, **said)]
    if 0.09 <= luck < 0.11:
        deployed_at = observed_at - timedelta(seconds=dice.uniform(10, 3000))
        arms.append(Arm(arm="canary", version=f"{version}-rc.1", since=deployed_at, **said))
    return {
        "environment": "production",
        "arms": tuple(arms),
        "deployed_at": deployed_at,
        "observed_at": observed_at,
        "sources": ("manual", source) if source != "manual" else ("manual",),
    }


def _against(luck: float, now: datetime, dice: random.Random) -> dict[str, Any]:
    """What is wrong with it: open incidents for some, holds for others."""
    if 0.11 <= luck < 0.14:
        incident = IncidentMark(
            id=f"incident-{dice.randrange(1000)}",
            title=dice.choice(_TITLES),
            severity="sev1" if luck < 0.1125 else dice.choice(("sev2", "sev3")),
            opened_at=now - timedelta(seconds=dice.uniform(60, 90_000)),
        )
        return {"incidents": (incident,)}
    if 0.14 <= luck < 0.16:
        hold = HoldMark(
            id=f"hold-{dice.randrange(1000)}",
            reason=dice.choice(_REASONS),
            source=dice.choice(("evidence", "slo", "user:m.ortiz")),
            since=now - timedelta(seconds=dice.uniform(60, 200_000)),
            until=dice.choice((None, now + timedelta(seconds=dice.uniform(600, 200_000)))),
        )
        return {"holds": (hold,)}
    return {}
