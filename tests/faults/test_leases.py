"""Two controllers: of one home the second one ends, of two homes with one database the second one waits."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import msgspec
import pytest

from companyos.core.leases import Lease, Leases
from companyos.server.controlling import LEASE, TTL_S
from tests.faults.platform import QUICK, Platform, Users, opened
from tests.needs import needs

pytestmark = [needs("envoy"), pytest.mark.timeout(120)]

PATIENT = msgspec.structs.replace(QUICK, hold_s=600.0)


def test_a_second_controller_of_a_home_ends_with_a_sentence(platform: Platform) -> None:
    """And the first one goes on as if nothing had been."""
    platform.until(lambda: platform.address, "the first one")
    second = subprocess.run(
        [sys.executable, "-m", "companyos.server.controller"],
        env={**os.environ, **platform.environment},
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )
    assert second.returncode == 3
    assert "Another controller follows the releases of this home." in second.stderr
    platform.steady("shop")
    assert platform.show(platform.delivery.of_service("shop")[0].id).state == "steady"


@pytest.mark.parametrize("kind", ["sqlite", pytest.param("postgresql", marks=needs("postgres"))])
def test_of_two_machines_one_acts_and_the_other_takes_over(
    request: pytest.FixtureRequest, tmp_path: Path, environments: Path, kind: str
) -> None:
    """The second one has a router and processes of its own, and finishes what the first one had begun."""
    url = f"sqlite:///{tmp_path}/shared.db" if kind == "sqlite" else request.getfixturevalue("postgres_url")
    with opened(Platform(tmp_path / "one", environments, database_url=url)) as one:
        one.start()
        first = one.steady("shop")
        _share(one, tmp_path / "two")
        with opened(Platform(tmp_path / "two", environments, database_url=url)) as two:
            second = one.deploy("shop", "1.1", policy=PATIENT)
            one.until_phase(second, "canary")
            two.start()
            two.until(lambda: "controller waits" in two.log(), "the second one")
            holder = _lease(one).holder
            one.ask(second, "hold")
            one.until_phase(second, "held")
            assert _lease(one).holder == holder
            assert two.running(first, second) == set()
            assert two.arms("shop") == {}
            began = time.monotonic()
            one.stop(signal.SIGKILL)
            two.until(lambda: _holders(two) - {holder}, "another holder", within_s=TTL_S + 5)
            assert time.monotonic() - began > 1.0
            _same_moves(one, second)
            two.until(lambda: two.running(first, second) == {first, second}, "both versions on the second machine")
            two.ask(second, "abort")
            two.until_phase(second, "rolled_back")
            assert two.arms("shop") == {first: 1.0}
            with Users(two.address, ["shop"]) as users:
                two.until(lambda: len(users.answers) > 20, "answers")
            assert set(users.versions()) == {"1.0"}
            fence = _lease(two).fence
            one.start()
            one.until(_says_again(one), "the first one, which waits now")
            assert _lease(two).fence == fence
            moves = [step.verb for step in two.show(second).transitions]
            assert moves.count("release.rollback") == moves.count("release.rolled_back") == 1


def _share(one: Platform, path: Path) -> None:
    """Give another machine what machines that share a database share: the keys and the artifacts."""
    path.mkdir(mode=0o700)
    shutil.copytree(one.home.keys, path / one.home.keys.name)
    (path / one.home.artifacts.name).symlink_to(one.home.artifacts)


def _leases(platform: Platform) -> list[Lease]:
    held = Leases(platform.journal.database, platform.journal.clock).held()
    return [lease for lease in held if lease.name == LEASE]


def _lease(platform: Platform) -> Lease:
    (lease,) = _leases(platform)
    return lease


def _holders(platform: Platform) -> set[str]:
    return {lease.holder for lease in _leases(platform)}


def _same_moves(platform: Platform, release_id: str) -> None:
    told = [
        entry.id
        for entry in platform.ledger()
        if entry.details.get("release_id") == release_id and "sentence" in entry.details
    ]
    assert told == [step.entry_id for step in platform.show(release_id).transitions]


def _says_again(platform: Platform) -> Callable[[], bool]:
    return lambda: "controller waits" in platform.log()
