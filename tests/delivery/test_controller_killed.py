"""A controller that is killed at every point of a release: it is started again, finishes, and nothing is done twice."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from itertools import count
from pathlib import Path
from typing import Any

import pytest

from companyos.catalog.tables import deployments
from companyos.delivery.tables import release_actions, release_commands
from companyos.evidence.tables import artifact_denials
from companyos.flags.tables import flag_changes
from companyos.operations.tables import incident_timeline, incidents, notifications
from tests.delivery.controlling import Platform, alone
from tests.delivery.lives import LIVES, pairs, tags, unknown_moves
from tests.pillar import bound

__all__ = ["bound"]

ONCE = (deployments, artifact_denials, flag_changes, incidents, incident_timeline, notifications, release_commands)
"""Tables that look the same however often a controller was killed."""
WAITS = {"hold", "resume"}
"""A controller that begins anew knows no windows, so it may hold for a moment."""


@pytest.fixture
def platforms(migrated_sqlite: Path, tmp_path: Path) -> Iterator[Callable[[], Platform]]:
    """Return what makes platforms on which nothing runs yet."""
    with ExitStack() as opened:
        numbers = count()

        def make() -> Platform:
            folder = tmp_path / str(next(numbers))
            folder.mkdir()
            platform = opened.enter_context(alone(migrated_sqlite, folder))
            platform.rate = 400.0
            return platform

        yield make


@pytest.mark.parametrize("name", LIVES)
def test_whatever_kills_the_controller_is_as_if_nothing_had(platforms: Callable[[], Platform], name: str) -> None:
    """Killed once at each point, or at every second one, it comes to the same as one that lives."""
    life = LIVES[name]
    spared = platforms()
    expected = _outcome(spared, life.live(spared))
    assert expected["moves"] == list(life.moves)
    for every in (1, 2):
        killed = platforms()
        seen: dict[str, None] = {}
        killed.kills = lambda point, seen=seen, every=every: (  # type: ignore[misc]  # defaults bind
            point not in seen and seen.setdefault(point) is None and len(seen) % every == 0
        )
        assert _outcome(killed, life.live(killed)) == expected
        assert len(killed.killed) == len(seen) // every
        assert {point for point in spared.points if not point.startswith("held.")} <= set(seen)


def test_every_pair_of_state_and_action_is_lived_through(platforms: Callable[[], Platform]) -> None:
    """So that an action or a move that is new needs a life here, and is killed above."""
    assert unknown_moves() == set()
    assert {tag for _, tag in pairs()} == tags()
    lived: set[str] = set()
    for life in LIVES.values():
        platform = platforms()
        life.live(platform)
        lived |= set(platform.points)
    wanted = {f"{phase}.{tag}.{where}" for phase, tag in pairs() for where in ("before", "effect", "done")}
    phases = ("pending", "canary", "held", "promoted", "steady", "rollback_pending", "rolled_back")
    wanted |= {f"{phase}.decided" for phase in phases} | {"route.before", "route.after"}
    assert wanted <= lived


def _outcome(platform: Platform, made: str) -> dict[str, Any]:
    """Return everything that must be the same, once it has settled."""
    platform.kills = lambda _point: False
    platform.pass_time(6.0)
    transitions = platform.show(made).transitions
    assert [one.entry_id for one in transitions] == platform.ledger_of(made), "a ledger row per transition"
    names = platform.names()
    verbs = Counter({verb: count for verb, count in platform.verbs().items() if verb.split(".")[-1] not in WAITS})
    return {
        "moves": [move for move in platform.moves(made) if move not in WAITS],
        "verbs": verbs,
        "rows": {table.name: platform.rows(table) for table in ONCE},
        "actions": Counter(row.kind for row in platform.all(release_actions)),
        "attested": len(platform.show(made).attestations),
        "open": platform.show(made).actions_open,
        "arms": {names[one]: share for one, share in platform.arms().items()},
        "running": {names[one] for one in platform.running()},
        "started": [names[one] for one in platform.runtime.started],
        "stopped": [names[one] for one, _ in platform.runtime.stopped],
        "probed": {names[one] for one in platform.prober.watched()},
    }
