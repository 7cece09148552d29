"""SIGKILL to the real controller at every point of a release: the next one finishes, and nothing is done twice."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from types import MappingProxyType
from typing import Final, NamedTuple

import msgspec
import pytest

from companyos.catalog.tables import deployments
from companyos.delivery.model import Phase
from companyos.evidence.tables import artifact_denials
from companyos.flags.tables import flag_changes
from companyos.operations.tables import incidents, notifications
from tests.delivery.lives import pairs
from tests.faults.platform import QUICK, Platform, Users
from tests.needs import needs

pytestmark = [needs("envoy"), pytest.mark.timeout(240)]

PATIENT: Final = msgspec.structs.replace(QUICK, hold_s=600.0, bake_s=600.0)
"""It stays in its first step, and then in its bake, until somebody asks for more."""
AT_ONCE: Final = msgspec.structs.replace(QUICK, steps=(100.0,))
ROUTED: Final = ("route.before", "route.after")
WAITS: Final = {"release.hold", "release.resume"}
"""A controller that begins anew knows no windows, so it may hold for a moment."""


def around(phase: Phase, *actions: str) -> list[str]:
    """Return the points around these actions of a phase."""
    return [f"{phase}.{action}.{place}" for action in actions for place in ("before", "effect", "done")]


BACK: Final = [
    "rollback_pending.decided",
    *ROUTED,
    *around(
        "rollback_pending",
        "set_weight",
        "mark_unhealthy",
        "turn_back_flags",
        "capture_diagnostics",
        "open_incident",
        "notify_on_call",
        "record_running",
        "attest",
        "stop_candidate",
    ),
    "rolled_back.decided",
]
BACK_FROM_STEADY: Final = [
    "rollback_pending.decided",
    "rollback_pending.start_baseline.before",
    "rollback_pending.set_weight.before",
    *ROUTED,
    "rollback_pending.start_baseline.effect",
    "rollback_pending.start_baseline.done",
    "rollback_pending.set_weight.effect",
    "rollback_pending.set_weight.done",
    *around("rollback_pending", "record_running", "attest", "stop_candidate"),
    "rolled_back.decided",
]
MEANWHILE: Final = [
    "rollback_pending.decided",
    *around(
        "rollback_pending",
        "mark_unhealthy",
        "turn_back_flags",
        "capture_diagnostics",
        "open_incident",
        "notify_on_call",
    ),
]
"""What is done while the version before is still being started."""


class Life(NamedTuple):
    """A release, the points at which its controller is killed, and what must come of it."""

    live: Callable[[Platform, str], str]
    """Lets it live to its end as a release of this service, and returns its id."""
    points: Sequence[str]
    moves: tuple[str, ...]
    starts: tuple[int, int] = (1, 1)
    """How often the process of the version before was started, and its own."""


def _first(platform: Platform, service: str) -> str:
    return platform.deploy(service, "1.0", flags=True)


def _climbs(platform: Platform, service: str) -> str:
    return platform.deploy(service, "1.1", flags=True)


def _at_once(platform: Platform, service: str) -> str:
    return platform.deploy(service, "1.1", policy=AT_ONCE, flags=True)


def _canary(platform: Platform, service: str) -> str:
    made = platform.deploy(service, "1.1", policy=PATIENT, flags=True)
    platform.until_phase(made, "canary")
    platform.ask(made, "abort")
    return made


def _held(platform: Platform, service: str) -> str:
    made = platform.deploy(service, "1.1", policy=PATIENT, flags=True)
    platform.until_phase(made, "canary")
    platform.ask(made, "hold")
    platform.until_phase(made, "held")
    with Users(platform.address, [service]):
        platform.until(lambda: len(platform.show(made).weights) > 1, "another interval, which knows what is slow")
        platform.until_phase(made, "held")
    platform.ask(made, "rollback")
    return made


def _promoted(platform: Platform, service: str) -> str:
    made = platform.deploy(service, "1.1", policy=PATIENT, flags=True)
    platform.until_phase(made, "canary")
    platform.ask(made, "promote")
    platform.until_phase(made, "promoted")
    platform.ask(made, "abort")
    return made


def _steady(platform: Platform, service: str) -> str:
    made = platform.deploy(service, "1.1", flags=True)
    platform.until_phase(made, "steady")
    platform.until(lambda: _old_has_ended(platform, made), "the end of the old version")
    platform.ask(made, "rollback")
    return made


def _old_has_ended(platform: Platform, made: str) -> bool:
    baseline = platform.show(made).baseline
    return baseline is not None and not platform.running(baseline.release_id)


LIVES: Final = MappingProxyType(
    {
        "first": Life(
            _first,
            [
                "pending.decided",
                *around("pending", "start_candidate"),
                "steady.decided",
                *ROUTED,
                *around("steady", "set_weight", "turn_on_flags", "attest", "record_running"),
            ],
            ("settle",),
            (0, 1),
        ),
        "climbs": Life(
            _climbs,
            [
                "canary.decided",
                *ROUTED,
                *around("canary", "set_weight", "turn_on_flags", "record_running"),
                "promoted.decided",
                *around("promoted", "set_weight", "record_running"),
                "steady.decided",
                *around("steady", "set_weight", "stop_baseline", "attest", "record_running"),
            ],
            ("start", "promote", "settle"),
        ),
        "at once": Life(_at_once, around("promoted", "set_weight", "turn_on_flags"), ("promote", "settle")),
        "back from canary": Life(_canary, BACK, ("start", "rollback", "rolled_back")),
        "back from held": Life(
            _held, ["held.decided", *around("held", "set_weight"), *BACK], ("start", "rollback", "rolled_back")
        ),
        "back from promoted": Life(_promoted, BACK, ("start", "promote", "rollback", "rolled_back")),
        "back from steady": Life(
            _steady, BACK_FROM_STEADY, ("start", "promote", "settle", "rollback", "rolled_back"), (2, 1)
        ),
        "meanwhile": Life(_steady, MEANWHILE, ("start", "promote", "settle", "rollback", "rolled_back"), (2, 1)),
    }
)


def test_every_pair_of_state_and_action_has_its_kills() -> None:
    """So that an action which is new needs a kill here."""
    wanted = {point for phase, tag in pairs() for point in around(phase, tag)}
    phases = ("pending", "canary", "held", "promoted", "steady", "rollback_pending", "rolled_back")
    wanted |= {f"{phase}.decided" for phase in phases} | set(ROUTED)
    assert {point for life in LIVES.values() for point in life.points} == wanted


@pytest.mark.parametrize("name", LIVES)
def test_a_killed_controller_is_as_if_nothing_had_happened(platform: Platform, name: str) -> None:
    """A chain of deaths, one at each point; users lose no request, and everything is there once."""
    life, service = LIVES[name], name.replace(" ", "-")
    before = platform.steady(service) if name != "first" else ""
    used = [service] if name not in {"first", "back from held"} else []
    platform.killed.clear()
    with Users(platform.address, used) as users:
        platform.kill_at(life.points)
        made = life.live(platform, service)
        back = life.moves[-1] == "rolled_back"
        platform.until_phase(made, "rolled_back" if back else "steady")
        platform.until_killed()
        now, gone = (before, made) if back else (made, before)
        platform.until(lambda: platform.running(before, made) == {now}, f"the end of {gone}")
    assert platform.killed == list(life.points)
    assert set(users.statuses()) <= {200}
    _check(platform, life, service, made)
    assert platform.arms(service) == {now: 1.0}
    with Users(platform.address, [service]) as later:
        platform.until(lambda: len(later.answers) > 20, "answers")
    assert set(later.versions()) == {"1.0" if back or name == "first" else "1.1"}
    listens = tuple(_starts(platform, one) for one in (before, made))
    assert listens == life.starts


def _check(platform: Platform, life: Life, service: str, made: str) -> None:
    """Check that everything which follows from the release is there once."""
    shown, ledger = platform.show(made), platform.ledger()
    back, settled = life.moves[-1] == "rolled_back", "settle" in life.moves
    moves = [one for one in shown.transitions if one.verb not in WAITS]
    assert [one.verb for one in moves] == [f"release.{move}" for move in life.moves]
    told = [one.id for one in ledger if "sentence" in one.details and one.details["release_id"] == made]
    assert told == [one.entry_id for one in shown.transitions]
    verbs = Counter(one.verb for one in ledger if one.release == shown.name)
    counted = {
        "incidents": sum(row.subject == f"release:{shown.name}" for row in platform.all(incidents)),
        "notifications": sum(row.subject == f"release:{shown.name}" for row in platform.all(notifications)),
        "denials": sum(row.digest == shown.digest for row in platform.all(artifact_denials)),
        "flags": [(row.before, row.after) for row in platform.all(flag_changes) if row.release_id == made],
        "signed": verbs["attestation.sign"],
        "attested": len(shown.attestations),
    }
    assert counted == {
        "incidents": int(back),
        "notifications": int(back),
        "denials": int(back),
        "flags": [(None, True), (True, None)] if back else [(None, True)],
        "signed": int(back) + int(settled),
        "attested": int(back) + int(settled),
    }
    assert len(set(shown.attestations)) == len(shown.attestations)
    runs = [row for row in platform.all(deployments) if row.service == service and row.until is None]
    assert [(row.arm, row.version, row.weight_ratio) for row in runs] == [
        ("stable", "1.0" if back else shown.version, 1.0)
    ]


def _starts(platform: Platform, release_id: str) -> int:
    file = platform.home.logs / f"release-{release_id}.log"
    return file.read_text().count("listens") if release_id and file.exists() else 0
