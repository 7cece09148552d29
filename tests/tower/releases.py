"""Releases for the tests of the Tower, made by hand, in every phase."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

import msgspec

from companyos.delivery.model import (
    PUBLIC_PHASE,
    Baseline,
    Cause,
    FlagChange,
    Forecast,
    Held,
    Indicator,
    Phase,
    Totals,
    Weight,
)
from companyos.delivery.policy import ReleasePolicy
from companyos.delivery.view import (
    Detail,
    Diagnostics,
    FailedRequest,
    RollbackPlan,
    StepState,
    StepView,
    Summary,
    Transition,
)
from tests.tower.rows import NOW

DIGEST = "sha256:" + "4f1c" * 16
LONG_NAME = "settlement-reconciliation-export-worker"
"""As long as the name of a service may be."""
SICK = (
    "Rolled back to 2.3.1: 24 of 26 errors came from the canary, which carried 10 % of the traffic; error rate 4.8 % "
    "against a limit of 1 % and 0.29 % on the stable version."
)


def id_of(number: int) -> str:
    """A UUIDv7 that grows with the number."""
    return str(UUID(int=(0x019A_0000_0000 + number) << 80 | 0x7 << 76 | 0x2 << 62 | number))


def indicators(*, sick: bool = False, slow: bool = False, empty: bool = False) -> tuple[Indicator, ...]:
    """The five measures, healthy unless said otherwise."""
    if empty:
        return (
            Indicator(name="error_rate", value=None, threshold=0.01, baseline=0.0029, e_value=1.0, e_limit=300),
            Indicator(name="latency_p95", value=None, threshold=300, baseline=201, e_value=1.0, e_limit=300),
        )
    return (
        Indicator(
            name="error_rate",
            value=0.048 if sick else 0.0031,
            threshold=0.01,
            baseline=0.0029,
            samples=1204,
            breached=sick,
            e_value=4812.3 if sick else 0.42,
            e_limit=300,
            rejected=sick,
        ),
        Indicator(
            name="latency_p95",
            value=386.0 if slow else 212.4,
            threshold=300,
            baseline=201.0,
            samples=1204,
            breached=slow,
            e_value=37.5 if slow else 1.3,
            e_limit=300,
            forecast=Forecast(requests=900, seconds=180) if slow else None,
        ),
        Indicator(name="saturation", value=0.41, threshold=0.7, baseline=0.38, samples=60),
        Indicator(name="synthetic", value=0, threshold=2, samples=14, e_value=0.1, e_limit=300),
        Indicator(name="sample_ratio", value=0.0992, threshold=0.1, samples=12_040, e_value=1.0, e_limit=1000),
    )


def steps(stood: int, state: StepState = "current", *, at: datetime = NOW, **shown: bool) -> tuple[StepView, ...]:
    """The ladder 1, 10, 50, 100 with the release on the step of this place; -1 is before the first."""
    made = []
    for place, percent in enumerate((1.0, 10.0, 50.0, 100.0)):
        entered = at - timedelta(minutes=10 * (stood - place) + 4)
        if place < stood:
            step = StepView(
                percent=percent,
                state="done",
                entered_at=entered,
                left_at=entered + timedelta(minutes=10),
                indicators=indicators(),
            )
        elif place == stood:
            step = StepView(percent=percent, state=state, entered_at=entered, indicators=indicators(**shown))
        else:
            step = StepView(percent=percent, state="next")
        made.append(step)
    return tuple(made)


def summary(
    service: str = "checkout", phase: Phase = "canary", *, number: int = 1, now: datetime = NOW, **values: Any
) -> Summary:
    """A release in a phase that was looked at a second ago, with some fields changed."""
    back = phase in {"rolled_back", "rollback_pending"}
    over = phase in {"steady", "rolled_back"}
    given: dict[str, Any] = {
        "version": "2.4.0",
        "environment": "production",
        "digest": DIGEST,
        "commit": "9c1f0e2b7d",
        "baseline": Baseline(release_id=id_of(900_000 + number), version="2.3.1", digest=DIGEST[:-2] + "00"),
        "weight_ratio": {"pending": 0.0, "canary": 0.1, "held": 0.01, "promoted": 0.98, "steady": 1.0}.get(phase, 0.0),
        "verdict": _VERDICTS[phase],
        "steps": _steps(phase, now),
        "indicators": () if phase == "pending" else indicators(sick=back),
        "totals": Totals(canary_requests=1204 if phase != "pending" else 0, canary_errors=58 if back else 3),
        "since": now - timedelta(minutes=4),
        "observed_at": now - timedelta(seconds=1),
        "created_at": now - timedelta(minutes=20),
        "created_by": "user:ana",
        "ended_at": now - timedelta(minutes=4) if over else None,
        "seconds_to_rollback": 0.62 if phase == "rolled_back" else None,
        "held": Held(
            reason="no_data", sentence="Too little traffic to judge.", forecast=Forecast(requests=1200, seconds=360)
        )
        if phase == "held"
        else None,
        "cause": Cause(trigger="error_rate", sentence=SICK) if back else None,
    } | values
    return Summary(
        id=id_of(number),
        service=service,
        name=f"{service}@{given['version']}",
        state=phase,
        phase=PUBLIC_PHASE[phase],
        **given,
    )


def detail(release: Summary, **values: Any) -> Detail:
    """All about a release."""
    back = release.state == "rolled_back"
    shown = {name: getattr(release, name) for name in Summary.__struct_fields__}
    given: dict[str, Any] = {
        "policy": msgspec.to_builtins(ReleasePolicy()),
        "policy_digest": "sha256:" + "ab" * 32,
        "flags": (FlagChange(key="new-checkout"),),
        "weights": (
            Weight(number=1, canary_ratio=0.01, at=release.created_at + timedelta(minutes=1)),
            Weight(number=2, canary_ratio=0.1, at=release.created_at + timedelta(minutes=11)),
        ),
        "transitions": transitions(release),
        "plan": RollbackPlan(
            previous=release.baseline,
            flags=(FlagChange(key="new-checkout"),),
            previous_starts=True,
            proof="checkout@2.3.1 is the stable release and was last seen running at 2026-11-22 11:40 UTC.",
        ),
        "changelog": {
            "commits": [f"{n:07x} Change number {n} of the checkout, in one sentence" for n in range(30)],
            "dependencies": {"httpx": "0.27.0 → 0.28.1", "msgspec": "0.18.6 → 0.19.0"},
            "files": ["src/handlers/charge.py", "src/services/tax.py", "config/schema.json"],
        },
        "diagnostics": msgspec.to_builtins(diagnostics(release)) if back else None,
        "attestations": ("sha256:" + "5e" * 32,) if back else (),
        "actions_open": () if back else ("set_weight", "record_running"),
    } | values
    return Detail(**shown, **given)


def transitions(release: Summary) -> tuple[Transition, ...]:
    """What happened to it up to now."""
    made: list[tuple[str, Phase, float, str]] = [
        ("release.start", "canary", 1, "Started beside 2.3.1; it gets 1 % of the traffic."),
        ("release.advance", "canary", 10, "1 % was held for 10 min: 302 requests, nothing speaks against it."),
    ]
    if release.state == "held":
        made.append(("release.hold", "held", 10, "Too little traffic to judge."))
    if release.state == "rolled_back":
        made += [
            ("release.rollback", "rollback_pending", 10, SICK),
            ("release.rolled_back", "rolled_back", 10, "All traffic is on 2.3.1 again; 7 requests failed."),
        ]
    return tuple(
        Transition(
            number=number,
            at=release.created_at + timedelta(minutes=number),
            verb=verb,
            phase=phase,
            percent=percent,
            sentence=sentence,
            entry_id=id_of(800_000 + number),
        )
        for number, (verb, phase, percent, sentence) in enumerate(made, 1)
    )


def diagnostics(release: Summary) -> Diagnostics:
    """What its rollback captured."""
    return Diagnostics(
        captured_at=release.since,
        failed_requests=tuple(
            FailedRequest(
                at=release.since - timedelta(milliseconds=90 * n),
                status=500 if n else 0,
                duration_ms=12.3 + n,
                method="POST",
                path="/v1/carts/8f1c/charge",
                trace_id=f"{n:032x}",
                arm="canary",
            )
            for n in range(7)
        ),
        log_tail=("INFO started", "ERROR unhandled error in charge: KeyError: 'iban' <script>alert(1)</script>"),
        counters={"canary": {"upstream_rq_5xx": 58, "upstream_rq_total": 1204}, "stable": {"upstream_rq_5xx": 3}},
        process={"state": "ready", "restarts": 0, "memory_mb": 88.25, "cpu_ratio": 0.21},
    )


def ticks(count: int, *, now: datetime = NOW) -> list[dict[str, Any]]:
    """Recorded ticks of a canary that begins to fail half-way."""
    return [
        {
            "number": number,
            "at": msgspec.to_builtins(now - timedelta(seconds=count - number)),
            "elapsed_s": 1.0,
            "canary": {"requests": 100, "errors": max(0, number - count // 2) // 4, "p95_ms": 210.0 + number % 7},
            "stable": {"requests": 900, "errors": 3, "p95_ms": 200.0},
            "evidence": {},
        }
        for number in range(1, count + 1)
    ]


def in_every_phase(*, now: datetime = NOW, first: int = 1) -> list[Summary]:
    """Twelve releases in flight: healthy, held, stale, baking and being brought back, some with long names."""
    slow = Held(
        reason="unconfirmed",
        sentence="p95 386 ms is over the limit of 300 ms and 92 % above the baseline's 201 ms, but the test has not "
        "confirmed it: needs about 900 more requests, 3 min at this rate.",
        forecast=Forecast(requests=900, seconds=180),
    )
    made = [
        summary("checkout", "canary", number=first, now=now),
        summary("payments", "held", number=first + 1, now=now),
        summary(
            LONG_NAME,
            "held",
            number=first + 2,
            now=now,
            version="2026.11.22-rc.1+build.4711",
            verdict=f"Held: {slow.sentence}",
            held=slow,
            steps=steps(1, at=now, slow=True),
            indicators=indicators(slow=True),
            policy_changes={"hold_s": 3.0, "steps": [5.0, 100.0]},
        ),
        summary("search", "canary", number=first + 3, now=now, observed_at=now - timedelta(minutes=3)),
        summary("ledger-export", "pending", number=first + 4, now=now, baseline=None),
        summary("profile", "promoted", number=first + 5, now=now),
        summary("fraud-score", "rollback_pending", number=first + 6, now=now),
        summary("mail", "held", number=first + 7, now=now, held=Held(reason="manual", sentence="user:ana: lunch.")),
    ]
    made += [summary(f"rank-{n}", "canary", number=first + 8 + n, now=now) for n in range(4)]
    return made


def ended(count: int, *, now: datetime = NOW, first: int = 1000) -> list[Summary]:
    """Finished releases: one in seven was rolled back, and one service has a long name."""
    return [
        summary(
            LONG_NAME if n % 5 == 0 else f"service-{n % 40:02}",
            "rolled_back" if n % 7 == 0 else "steady",
            number=first + n,
            now=now - timedelta(hours=count - n),
            version=f"1.{n}.0",
        )
        for n in range(count)
    ]


def over(release: Summary) -> bool:
    """Whether a release has ended."""
    return release.state in {"steady", "rolled_back"}


def _steps(phase: Phase, now: datetime) -> tuple[StepView, ...]:
    if phase == "pending":
        return steps(-1, at=now)
    if phase in {"promoted", "steady"}:
        return steps(3, "done" if phase == "steady" else "current", at=now)
    if phase in {"rolled_back", "rollback_pending"}:
        return steps(1, "left", at=now, sick=True)
    return steps(0, at=now, empty=True) if phase == "held" else steps(1, at=now)


_VERDICTS: dict[Phase, str] = {
    "pending": "Accepted; waits for the controller to start it.",
    "canary": "Healthy so far: 0.31 % errors against 0.29 % on stable; next step in about 6 min.",
    "held": "Held: too little traffic to judge.",
    "promoted": "Promoted; 2 % stay on 2.3.1 while it bakes, for about 6 min more.",
    "steady": "Promoted: 12,040 requests, no evidence against it.",
    "rollback_pending": "Going back to 2.3.1: 24 of 26 errors came from the canary.",
    "rolled_back": SICK,
}
