"""``LocalRuntime`` and what only real processes can show: adoption, ends, drains, limits and the environment."""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from companyos.core.errors import InvalidInput, Unavailable
from companyos.core.ids import uuid7
from companyos.core.keeper import process
from companyos.delivery.environments import Environments
from tests.delivery.running import COMMIT, LocalWorld, artifact, get, launch_of
from tests.program import end_all
from tests.waiting import until

HOLDER = """
import sys, time
from pathlib import Path
import msgspec
from companyos.core.artifacts import ArtifactStore
from companyos.core.clock import SystemClock
from companyos.core.home import Home
from companyos.core.keeper import Keeper
from companyos.delivery.adapters.local import LocalRuntime
from companyos.delivery.environments import Environments
from companyos.delivery.ports import Launch
home = Home(Path(sys.argv[1]))
keeper, environments = Keeper(home.run, home.logs), Environments(Path(sys.argv[2]))
runtime = LocalRuntime(home, ArtifactStore(home.artifacts), keeper, SystemClock(), environments)
launch = msgspec.json.decode(sys.argv[3], type=Launch)
runtime.start(launch)
while runtime.instances()[launch.release_id].state != sys.argv[4]:
    time.sleep(0.01)
print("there", flush=True)
time.sleep(600)
"""


@pytest.fixture(scope="module")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder for the environments of all tests here."""
    return tmp_path_factory.mktemp("environments")


@pytest.fixture
def world(tmp_path: Path, cache: Path) -> Iterator[LocalWorld]:
    """Return a world of its own for each test."""
    made = LocalWorld(tmp_path / "home", Environments(cache))
    yield made
    made.close()


def test_the_next_adapter_adopts_what_runs(world: LocalWorld) -> None:
    """The process goes on, ready from the first look on, and is stopped by the adapter that adopted it."""
    launch = world.run("runs")
    before = world.until_state(launch, "ready")
    world.runtime.close()
    world.runtime = world.adapter()
    assert world.see(launch).state == "ready"
    assert world.see(launch).pid == before.pid
    assert world.see(launch).since == before.since
    world.runtime.stop(launch.release_id, 5.0)
    world.until_state(launch, "absent")
    assert process.start_time(before.pid or 0) is None


@pytest.mark.parametrize("moment", ["preparing", "starting", "ready"])
def test_a_killed_holder_loses_nothing(world: LocalWorld, cache: Path, moment: str) -> None:
    """SIGKILL at any moment: the next process finishes the start, and there is one process of the release."""
    world.runtime.close()
    launch = world.launch("slow_start")
    arguments = (str(world.home.path), str(cache), repr_of(launch), moment)
    with subprocess.Popen([sys.executable, "-c", HOLDER, *arguments], stdout=subprocess.PIPE) as holder:
        assert holder.stdout is not None
        assert holder.stdout.readline() == b"there\n"
        holder.send_signal(signal.SIGKILL)
    world.runtime = world.adapter()
    ready = world.until_state(launch, "ready", "failed")
    assert ready.state == "ready"
    assert get(ready, "/limits")[0] == 200
    assert [child.pid for child in world.keeper.children()] == [ready.pid]


def test_a_stop_that_was_interrupted_goes_on(world: LocalWorld) -> None:
    """What was asked is on record before ``stop`` returns."""
    launch = world.run("runs")
    world.until_state(launch, "ready")
    world.runtime.stop(launch.release_id, 5.0)
    world.runtime.close()
    world.runtime = world.adapter()
    world.until_state(launch, "absent")
    assert world.keeper.children() == ()


def test_of_two_adapters_one_acts_and_both_obey(world: LocalWorld) -> None:
    """Whoever holds the lease may ask, also when another process acts for the home."""
    other = world.adapter()
    try:
        launch = world.launch("runs")
        other.start(launch)
        first = world.until_state(launch, "ready")
        until(lambda: other.instances()[launch.release_id].state == "ready", "the same in the other")
        assert other.instances()[launch.release_id].pid == first.pid
        until(lambda: other.instances()[launch.release_id].memory_mb, "a sample in the other")
        world.runtime.close()
        other.stop(launch.release_id, 5.0)
        until(lambda: not other.instances(), "the stop by the other")
        assert world.keeper.children() == ()
    finally:
        other.close()


def test_a_killed_release_is_started_again(world: LocalWorld) -> None:
    """By the keeper, at its old address; it is unready meanwhile and the restart is counted."""
    launch = world.run("runs")
    before = world.until_state(launch, "ready")
    os.kill(before.pid or 0, signal.SIGKILL)
    unready = world.until_state(launch, "unready")
    assert "signal SIGKILL" in unready.reason
    after = world.until_state(launch, "ready", "failed")
    assert (after.state, after.restarts, after.address) == ("ready", 1, before.address)
    assert after.pid != before.pid


def test_one_that_dies_again_and_again_is_a_crash_loop(world: LocalWorld) -> None:
    """Also when it is ready in between; the reason quotes its log."""
    launch = world.run("runs", crash_loop_restarts=3)
    world.until_state(launch, "ready")
    for count in range(3):
        ready = world.until_state(launch, "ready")
        with contextlib.suppress(OSError, ValueError):
            get(ready, "/die")
        until(lambda: world.see(launch).restarts > count or world.see(launch).state == "failed", "the end")  # noqa: B023 - asked in this turn
    failed = world.until_state(launch, "failed")
    assert failed.failure == "crash_loop"
    assert "It ended 3 times within" in failed.reason
    assert "last with exit 7; its log ends with: runs listens" in failed.reason


def test_the_reason_of_a_crash_loop_is_in_its_log(world: LocalWorld) -> None:
    """A person sees at once what was wrong; the process is gone and the log stays."""
    launch = world.run("exits")
    failed = world.until_state(launch, "failed")
    assert failed.reason.endswith("last with exit 4; its log ends with: No settings file was found")
    until(lambda: world.keeper.children() == (), "its end")
    assert world.runtime.log_tail(launch.release_id, 1) == ("No settings file was found",)


def test_a_killed_keeper_takes_nothing_down(world: LocalWorld) -> None:
    """Without a keeper the release is still ready; the next one adopts it, and it can be stopped."""
    launch = world.run("runs")
    before = world.until_state(launch, "ready")
    os.kill(world.keeper.pid(), signal.SIGKILL)
    until(lambda: not world.keeper.runs(), "the end of the keeper")
    assert get(world.see(launch), "/limits")[0] == 200
    second = world.run("runs")
    until(lambda: "No keeper runs" in world.see(second).reason, "the reason why nothing starts")
    assert world.see(launch).state == "ready"
    world.keeper.ensure()
    assert world.until_state(second, "ready", "failed").state == "ready"
    assert world.see(launch).pid == before.pid
    assert world.see(launch).state == "ready"


def test_after_a_crash_of_the_machine_everything_is_started_again(world: LocalWorld) -> None:
    """The keeper comes back without children; what is on record as wanted runs again."""
    launch = world.run("runs")
    before = world.until_state(launch, "ready")
    world.runtime.close()
    end_all(world.home.path)
    (world.home.run / "keeper.json").unlink(missing_ok=True)
    world.keeper.ensure()
    world.runtime = world.adapter()
    until(lambda: world.see(launch).state == "ready" and world.see(launch).pid != before.pid, "the second start")
    assert world.see(launch).restarts == 1


def test_a_stopped_release_finishes_what_it_has_begun(world: LocalWorld) -> None:
    """The request that runs gets its answer, and the files of the release are gone afterwards, its log is not."""
    launch = world.run("runs")
    ready = world.until_state(launch, "ready")
    answers: list[int] = []
    asker = threading.Thread(target=lambda: answers.append(get(ready, "/slow")[0]))
    asker.start()
    until((world.work(launch.release_id) / "began").exists, "the request")
    world.runtime.stop(launch.release_id, 10.0)
    asker.join()
    world.until_state(launch, "absent")
    assert answers == [200]
    assert not world.work(launch.release_id).parent.exists()
    assert world.runtime.log_tail(launch.release_id, 1) == ("ended as asked",)


def test_the_release_is_told_who_it_is_and_nothing_else(world: LocalWorld, monkeypatch: pytest.MonkeyPatch) -> None:
    """No variable of the platform's own process reaches it."""
    monkeypatch.setenv("SECRET_OF_THE_PLATFORM", "1")
    launch = world.run("runs")
    _, seen = get(world.until_state(launch, "ready"), "/environment")
    assert seen["COMPANYOS_SERVICE"] == "shop"
    assert seen["COMPANYOS_RELEASE"] == "shop@1.0.0"
    assert seen["COMPANYOS_RELEASE_ID"] == launch.release_id
    assert seen["COMPANYOS_VERSION"] == "1.0.0"
    assert seen["COMPANYOS_ENVIRONMENT"] == "production"
    assert seen["COMPANYOS_DIGEST"] == launch.digest
    assert seen["COMPANYOS_COMMIT"] == COMMIT
    assert seen["HOME"] == str(world.work(launch.release_id))
    assert "SECRET_OF_THE_PLATFORM" not in seen


def test_files_and_folder_are_those_of_the_launch(world: LocalWorld, cache: Path) -> None:
    """The limit on open files holds, and its own Python runs it in its own folder."""
    launch = world.run("runs", open_files=128)
    _, (files, folder, python) = get(world.until_state(launch, "ready"), "/limits")
    assert files == 128
    assert folder == str(world.work(launch.release_id).with_name("app"))
    assert python.startswith(str(cache))


def test_a_busy_release_shows_it(world: LocalWorld) -> None:
    """CPU is measured of the whole process group, as a share of one core."""
    launch = world.run("runs")
    ready = world.until_state(launch, "ready")
    until(lambda: (ratio := world.see(launch).cpu_ratio) is not None and ratio < 0.03, "an idle second")
    asker = threading.Thread(target=lambda: get(ready, "/busy"))
    asker.start()
    until(lambda: (world.see(launch).cpu_ratio or 0) > 0.06, "a busy second")
    (world.work(launch.release_id) / "enough").touch()
    asker.join()


def test_a_port_that_was_taken_meanwhile_is_given_up(world: LocalWorld) -> None:
    """While a release does not run somebody may take its port; it comes back on another one."""
    launch = world.run("runs", crash_loop_restarts=10)
    before = world.until_state(launch, "ready")
    assert before.address is not None
    with socket.socket() as taker:
        taker.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        os.kill(before.pid or 0, signal.SIGKILL)
        until(lambda: not _fails(lambda: taker.bind(before.address or ("", 0))), "the port", within_s=5.0)
        taker.listen()
        until(lambda: world.see(launch).address not in {None, before.address}, "another port")
        assert world.until_state(launch, "ready", "failed").state == "ready"


@pytest.mark.parametrize(
    ("files", "reason"),
    [
        ({"companyos_yaml": "kind: Service\nspec: {run: {command: [bash]}}\n"}, "not with 'bash'"),
        ({"companyos_yaml": "kind: Service\nspec: {run: {command: [./run]}}\n"}, "The artifact holds no ./run"),
        ({"companyos_yaml": "[1"}, "companyos.yaml"),
        ({"requirements_lock": "left-pad==1.0\n"}, "pins left-pad without a hash"),
        ({"requirements_lock": "--index-url http://elsewhere\n"}, "holds the option '--index-url'"),
    ],
)
def test_what_is_not_understood_is_refused(world: LocalWorld, files: dict[str, str], reason: str) -> None:
    """With the sentence that says what is wrong."""
    launch = launch_of(world.put(artifact(**files)))
    world.runtime.start(launch)
    failed = world.until_state(launch, "failed", "ready")
    assert failed.failure == "refused"
    assert reason in failed.reason


def test_an_unknown_artifact_is_refused(world: LocalWorld) -> None:
    """Nothing is known that could run."""
    launch = launch_of(f"sha256:{'ab' * 32}")
    world.runtime.start(launch)
    failed = world.until_state(launch, "failed")
    assert (failed.failure, failed.reason) == ("refused", f"There is no artifact {launch.digest}.")


def test_a_changed_environment_is_refused(tmp_path: Path) -> None:
    """Somebody put something into it."""
    environments = Environments(tmp_path / "environments")
    made = environments.ensure(b"")
    site = next(made.path.glob("lib/python*/site-packages"))
    (site / "evil-1.0.dist-info").mkdir()
    world = LocalWorld(tmp_path / "home", environments)
    try:
        failed = world.until_state(world.run("runs"), "failed", "ready")
        assert failed.failure == "refused"
        assert "does not match its dependency list" in failed.reason
    finally:
        world.close()


def test_an_id_that_is_none_is_refused(world: LocalWorld) -> None:
    """It would become a path."""
    with pytest.raises(InvalidInput, match="no id of a release"):
        world.runtime.start(launch_of(f"sha256:{'ab' * 32}", release_id="../../evil"))
    world.runtime.stop("../../evil", 1.0)
    assert world.runtime.log_tail("../../evil", 5) == ()


def test_a_record_that_cannot_be_understood_is_set_aside(world: LocalWorld) -> None:
    """Nothing in it is acted on, and the rest goes on."""
    bad = world.home.run / "releases" / f"{uuid7()}.json"
    bad.parent.mkdir(exist_ok=True)
    bad.write_text('{"launch": {}}')
    launch = world.run("runs")
    world.until_state(launch, "ready")
    assert not bad.exists()
    assert bad.with_name(f"{bad.name}.unreadable").exists()


def test_a_home_that_cannot_be_used_is_unavailable(tmp_path: Path, cache: Path) -> None:
    """At the start, with its path."""
    (tmp_path / "run").write_text("in the way")
    (tmp_path / "logs").mkdir()
    from companyos.core.artifacts import ArtifactStore
    from companyos.core.clock import SystemClock
    from companyos.core.home import Home
    from companyos.core.keeper import Keeper
    from companyos.delivery.adapters.local import LocalRuntime

    home = Home(tmp_path)
    keeper = Keeper(home.run, home.logs)
    with pytest.raises(Unavailable, match="cannot be used"):
        LocalRuntime(home, ArtifactStore(home.artifacts), keeper, SystemClock(), Environments(cache))


def repr_of(launch: object) -> str:
    """Return a launch as JSON."""
    import msgspec

    return msgspec.json.encode(launch).decode()


def _fails(action: object) -> bool:
    try:
        action()  # type: ignore[operator]  # a function without arguments
    except OSError:
        return True
    return False
