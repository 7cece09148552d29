"""What every ``Runtime`` does: one suite, on real processes and on the twin."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from companyos.delivery.environments import Environments
from tests.delivery.running import LocalWorld, MemoryWorld, World

WORLDS = ["memory", "local"]


@pytest.fixture(scope="module", params=WORLDS)
def world(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    """Return one world for all tests of the module; every test has releases of its own."""
    if request.param == "memory":
        made: World = MemoryWorld()
    else:
        made = LocalWorld(tmp_path_factory.mktemp("home"), Environments(tmp_path_factory.mktemp("environments")))
    yield made
    made.close()


def test_a_release_becomes_ready(world: World) -> None:
    """With an address, a process and a time since when."""
    launch = world.run("runs")
    assert world.see(launch).state in {"preparing", "starting"}
    ready = world.until_state(launch, "ready")
    assert ready.address is not None
    assert ready.address[0] == "127.0.0.1"
    assert ready.pid is not None
    assert ready.since is not None
    assert (ready.failure, ready.reason, ready.restarts) == ("", "", 0)


def test_start_returns_before_anything_is_prepared(world: World) -> None:
    """A controller must not wait for packages."""
    launch = world.run("runs")
    assert world.see(launch).state == "preparing"
    assert world.see(launch).address is None


def test_a_slow_start_is_no_failure(world: World) -> None:
    """It is starting for a while, and says so."""
    launch = world.run("slow_start")
    assert world.until_state(launch, "starting", "ready").state == "starting"
    assert world.until_state(launch, "ready", "failed").state == "ready"


def test_the_second_start_changes_nothing(world: World) -> None:
    """The same process goes on."""
    launch = world.run("runs")
    world.runtime.start(launch)
    before = world.until_state(launch, "ready")
    world.runtime.start(launch)
    after = world.until_state(launch, "ready")
    assert (after.pid, after.address, after.since) == (before.pid, before.address, before.since)


def test_one_that_is_never_ready_is_given_up(world: World) -> None:
    """After the time that a start may take, with what its readiness said."""
    launch = world.run("never_ready", start_timeout_s=1.0)
    failed = world.until_state(launch, "failed", "ready")
    assert failed.failure == "not_ready"
    assert "Not ready within 1 s: GET /ready answered 503" in failed.reason
    assert failed.address is None


def test_one_that_exits_at_once_is_a_crash_loop(world: World) -> None:
    """Long before the time that a start may take."""
    launch = world.run("exits", start_timeout_s=600.0)
    failed = world.until_state(launch, "failed", "ready")
    assert failed.failure == "crash_loop"
    assert failed.restarts == launch.crash_loop_restarts
    assert "exit" in failed.reason


def test_one_that_takes_too_much_memory_is_ended(world: World) -> None:
    """And the reason says how much it may take."""
    launch = world.run("out_of_memory")
    failed = world.until_state(launch, "failed")
    assert failed.failure == "out_of_memory"
    assert "its limit is 96 MB" in failed.reason


def test_an_altered_artifact_is_refused(world: World) -> None:
    """Nothing of it runs."""
    launch = world.run("refused")
    failed = world.until_state(launch, "failed", "ready")
    assert failed.failure == "refused"
    assert f"The artifact {launch.digest} is damaged" in failed.reason
    assert failed.pid is None


def test_a_failed_release_stays_failed_until_it_is_stopped(world: World) -> None:
    """A second start does not try again by itself; a stop makes room for one that does."""
    launch = world.run("refused")
    world.until_state(launch, "failed")
    world.runtime.start(launch)
    assert world.see(launch).state == "failed"
    world.runtime.stop(launch.release_id, 1.0)
    world.until_state(launch, "absent")
    world.runtime.start(launch)
    assert world.see(launch).state in {"preparing", "failed"}, "it is tried again, and may have failed again already"


def test_a_stopped_release_is_gone(world: World) -> None:
    """Also from the list; stopping it again, or one that never was, is fine."""
    launch = world.run("runs")
    world.until_state(launch, "ready")
    world.runtime.stop(launch.release_id, 5.0)
    world.until_state(launch, "absent")
    world.runtime.stop(launch.release_id, 5.0)
    world.runtime.stop(world.launch("runs").release_id, 5.0)
    assert launch.release_id not in world.runtime.instances()


def test_one_that_does_not_end_is_killed_after_its_drain(world: World) -> None:
    """Meanwhile it is ``stopping`` and keeps its address, because it still answers."""
    launch = world.run("stubborn")
    address = world.until_state(launch, "ready").address
    world.runtime.stop(launch.release_id, 600.0)
    assert world.see(launch).state == "stopping"
    assert world.see(launch).address == address
    world.runtime.stop(launch.release_id, 0.2)
    world.until_state(launch, "absent")


def test_one_that_is_wanted_again_while_it_stops_runs_anew(world: World) -> None:
    """The rollback after a promotion starts what was just stopped."""
    launch = world.run("stubborn")
    before = world.until_state(launch, "ready")
    world.runtime.stop(launch.release_id, 0.3)
    world.runtime.start(launch)
    assert world.see(launch).state == "stopping"
    world.until(lambda: world.see(launch).state != "stopping", "the end of the first run")
    after = world.until_state(launch, "ready", "absent", "failed")
    assert after.state == "ready"
    assert after.since != before.since


def test_readiness_is_asked_for_ever(world: World) -> None:
    """A ready release whose probe fails is unready, with the reason, and ready once it answers again."""
    launch = world.run("runs")
    world.until_state(launch, "ready")
    world.break_readiness(launch.release_id, broken=True)
    unready = world.until_state(launch, "unready")
    assert unready.reason == "GET /ready answered 503."
    world.break_readiness(launch.release_id, broken=False)
    assert world.until_state(launch, "ready").reason == ""


def test_one_that_hangs_does_not_hold_up_the_others(world: World) -> None:
    """It fails alone."""
    hanging = [world.run("hangs", start_timeout_s=600.0) for _ in range(6)]
    world.until(lambda: all(world.see(one).state == "starting" for one in hanging), "the start of the others")
    launch = world.run("runs", start_timeout_s=4.0)
    assert world.until_state(launch, "ready", "failed").state == "ready"
    assert {world.see(one).state for one in hanging} == {"starting"}
    for one in hanging:
        world.runtime.stop(one.release_id, 0.0)


def test_one_that_hangs_is_given_up(world: World) -> None:
    """It accepts connections and never answers."""
    failed = world.until_state(world.run("hangs", start_timeout_s=1.5), "failed", "ready")
    assert failed.failure == "not_ready"
    assert "Not ready within 1.5 s" in failed.reason


def test_usage_is_measured(world: World) -> None:
    """Memory as megabytes and as a share of the limit, CPU as a share of a core."""
    launch = world.run("runs")
    world.until(lambda: world.see(launch).cpu_ratio is not None, "a sample")
    seen = world.see(launch)
    assert seen.memory_mb is not None
    assert 1 < seen.memory_mb < 96
    assert seen.memory_ratio == pytest.approx(seen.memory_mb / 96, abs=0.01)
    assert seen.cpu_ratio is not None
    assert 0 <= seen.cpu_ratio < 2


def test_the_log_is_kept(world: World) -> None:
    """The last lines, oldest first; none for a release that never was."""
    launch = world.run("runs")
    world.until_state(launch, "ready")
    assert len(world.runtime.log_tail(launch.release_id, 5)) == 1
    assert "listens" in world.runtime.log_tail(launch.release_id, 5)[-1]
    assert world.runtime.log_tail(launch.release_id, 0) == ()
    assert world.runtime.log_tail(world.launch("runs").release_id, 5) == ()
