"""Every process of the platform is killed while users are served; what was theirs is found again."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import msgspec
import pytest

from companyos.core.client import noted_controller, noted_server
from tests.faults.platform import QUICK, Platform, Users, opened
from tests.needs import needs
from tests.program import Program
from tests.waiting import until

pytestmark = [needs("envoy"), pytest.mark.timeout(180)]

PATIENT = msgspec.structs.replace(QUICK, hold_s=600.0)


class Processes(NamedTuple):
    """The process ids of one moment, None for what does not run."""

    keeper: int | None
    server: int | None
    controller: int | None
    envoy: int | None
    releases: tuple[int, ...]


class Whole(NamedTuple):
    """A platform that ``companyos up`` has brought up, and the program."""

    platform: Platform
    program: Program


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory, environments: Path, bound: None) -> Iterator[Whole]:
    """Return a platform with everything that it has, and one service with a stable release and a canary."""
    path = tmp_path_factory.mktemp("home")
    program = Program(path, {"COMPANYOS_TRAFFIC_PORT": "0", "XDG_CACHE_HOME": str(environments)})
    with opened(Platform(path, environments, keeper=False)) as platform:
        up(program)
        platform.steady("shop")
        canary = platform.deploy("shop", "1.1", policy=PATIENT)
        platform.until_phase(canary, "canary")
        yield Whole(platform, program)


def up(program: Program) -> None:
    """Bring everything up and return."""
    done = program.run("up", "--detach", "--port", "0", "--json")
    assert done.code == 0, done.err


def processes(platform: Platform) -> Processes:
    """Return what runs."""
    children = {child.name: child.pid for child in platform.keeper.children()} if platform.keeper.runs() else {}
    releases = tuple(sorted(pid for name, pid in children.items() if name.startswith("release-") and pid is not None))
    keeper = platform.keeper.pid() if children else None
    named = (children.get("server"), children.get("controller"), children.get("envoy"))
    return Processes(keeper, *named, releases)


def works(platform: Platform) -> bool:
    """Return whether everything runs and the server and the controller say that they do."""
    seen = processes(platform)
    server, controller = noted_server(platform.home), noted_controller(platform.home)
    told = (server.pid if server else None, controller.pid if controller else None)
    return None not in seen and told == (seen.server, seen.controller) and len(seen.releases) == 2


def test_users_notice_nothing_when_up_itself_is_killed(whole: Whole) -> None:
    """The terminal is gone; the next ``up`` finds everything as it was."""
    platform, program = whole
    up(program)
    until(lambda: works(platform), "everything")
    before = processes(platform)
    with Users(platform.address, ["shop"] * 2) as users:
        with program.start("up", "--port", "0") as follower:
            assert follower.stdout is not None
            until(lambda: "Ctrl-C ends it" in follower.stdout.readline(), "the last word of up")  # type: ignore[union-attr]  # checked above
            follower.kill()
            follower.wait(10)
        seen = len(users.answers)
        until(lambda: len(users.answers) > seen + 50, "answers")
        up(program)
    assert processes(platform) == before
    assert set(users.statuses()) == {200}


def test_users_notice_nothing_when_server_and_controller_are_killed(whole: Whole) -> None:
    """The keeper starts both again; the router and the releases never stop."""
    platform, program = whole
    up(program)
    until(lambda: works(platform), "everything")
    before = processes(platform)
    arms = platform.arms("shop")
    with Users(platform.address, ["shop"] * 2) as users:
        for pid in (before.server, before.controller):
            assert pid is not None
            os.kill(pid, signal.SIGKILL)
        until(lambda: works(platform) and processes(platform).server != before.server, "everything again", within_s=60)
        seen = len(users.answers)
        until(lambda: len(users.answers) > seen + 50, "answers")
    after = processes(platform)
    assert (after.keeper, after.envoy, after.releases) == (before.keeper, before.envoy, before.releases)
    assert after.controller != before.controller
    assert set(users.statuses()) == {200}
    assert platform.arms("shop") == arms


def test_users_notice_nothing_when_all_of_the_control_plane_is_killed(whole: Whole) -> None:
    """Keeper, server and controller at once; the next ``up`` adopts the router and the releases."""
    platform, program = whole
    up(program)
    until(lambda: works(platform), "everything")
    before = processes(platform)
    arms = platform.arms("shop")
    with Users(platform.address, ["shop"] * 2) as users:
        for pid in (before.keeper, before.server, before.controller):
            assert pid is not None
            os.kill(pid, signal.SIGKILL)
        until(lambda: not platform.keeper.runs(), "the end of the keeper")
        seen = len(users.answers)
        until(lambda: len(users.answers) > seen + 50, "answers without a control plane")
        up(program)
        until(lambda: works(platform), "everything again", within_s=60)
    after = processes(platform)
    assert (after.envoy, after.releases) == (before.envoy, before.releases)
    assert after.keeper != before.keeper
    assert set(users.statuses()) == {200}
    assert platform.arms("shop") == arms


def test_a_killed_router_comes_back_with_the_same_weights(whole: Whole) -> None:
    """The keeper starts it again; the release is not blamed for what users got meanwhile."""
    platform, program = whole
    up(program)
    until(lambda: works(platform), "everything")
    arms, killed = platform.arms("shop"), processes(platform).envoy
    assert sorted(arms.values()) == [0.5, 0.5]
    assert killed is not None
    with Users(platform.address, ["shop"] * 2) as users:
        os.kill(killed, signal.SIGKILL)
        until(lambda: processes(platform).envoy not in {None, killed}, "another router")
        until(lambda: users.answers and users.answers[-1][1] == 200, "an answer")
        seen = len(users.answers)
        until(lambda: len(users.answers) > seen + 400, "answers")
        versions = users.versions(since=seen)
        assert {status for _, status, _ in users.answers[seen:]} == {200}
    assert platform.arms("shop") == arms
    assert 0.35 < versions["1.1"] / versions.total() < 0.65
    canary = next(one for one in platform.delivery.in_flight() if one.service == "shop")
    platform.until_phase(canary.id, "canary", "held")
    assert not [one for one in platform.show(canary.id).transitions if one.verb == "release.rollback"]


def test_a_killed_release_is_started_again(whole: Whole) -> None:
    """The stable one; users see the other version or, for a moment, an error."""
    platform, program = whole
    up(program)
    until(lambda: works(platform), "everything")
    before = processes(platform)
    os.kill(before.releases[0], signal.SIGKILL)
    until(lambda: works(platform) and processes(platform).releases != before.releases, "the release again")
    with Users(platform.address, ["shop"]) as users:
        until(lambda: len(users.answers) > 50, "answers")
        until(lambda: {status for _, status, _ in users.answers[-20:]} == {200}, "good answers")
