"""What every ``Prober`` does: one suite, on real HTTP and on the twin; and what only HTTP can show."""

from __future__ import annotations

import asyncio
import json
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from companyos.core.artifacts import ArtifactStore
from companyos.core.clock import ManualClock, SystemClock
from companyos.core.ids import uuid7
from companyos.delivery.adapters.memory_prober import MemoryProber
from companyos.delivery.adapters.prober import HttpProber
from companyos.delivery.ports import CheckResult, Prober
from companyos.evidence import archive
from tests.delivery.running import artifact
from tests.waiting import until

SMOKE = """
apiVersion: companyos.dev/v1
kind: Smoke
checks:
  - name: health
    request: {method: GET, path: /health}
    expect: {status: 200, json: {/status: up}}
    capture: {version: /version}
    readOnly: true
  - name: the version is described
    request: {method: GET, path: "/versions/{version}", headers: {x-asked: "for {version}"}}
    expect: {status: 200}
    readOnly: true
  - name: something is written
    request: {method: POST, path: /documents, json: {a: 1}}
    expect: {status: 201}
"""
EVERY_S = 0.1
TIMEOUT_S = 1.0


class Service:
    """One HTTP server in a thread; a test says what it does."""

    def __init__(self) -> None:
        self.seen: Counter[str] = Counter()
        self.status = 200
        self.body = json.dumps({"status": "up", "version": "1.2"}).encode()
        self.hangs = False
        self.endless = False
        self.head = ""
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)
        self._thread.start()
        server = asyncio.run_coroutine_threadsafe(asyncio.start_server(self._serve, "127.0.0.1", 0), self._loop).result(
            5
        )
        self._server = server
        self.address: tuple[str, int] = server.sockets[0].getsockname()

    def close(self) -> None:
        """Stop it."""
        asyncio.run_coroutine_threadsafe(self._end(), self._loop).result(5)
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    async def _end(self) -> None:
        self._server.close()
        tasks = asyncio.all_tasks() - {asyncio.current_task()}
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            head = (await reader.readuntil(b"\r\n\r\n")).decode()
            self.seen[" ".join(head.split(" ", 2)[:2])] += 1
            self.head = head
            if self.hangs:
                await asyncio.sleep(60)
            while self.endless:
                writer.write(b"HTTP/1.1 200 OK\r\n\r\n" + b"x" * 65_536)
                await writer.drain()
            writer.write(b"HTTP/1.1 %d X\r\ncontent-length: %d\r\n\r\n" % (self.status, len(self.body)) + self.body)
            await writer.drain()
        except (OSError, asyncio.IncompleteReadError):
            pass
        finally:
            writer.close()


class World:
    """A prober and one release."""

    prober: Prober
    address = ("127.0.0.1", 9)

    def __init__(self) -> None:
        self.release_id = uuid7()
        self.digest = f"sha256:{'ab' * 32}"

    def watch(self, every_s: float = EVERY_S) -> None:
        """Watch the release."""
        self.prober.watch(self.release_id, self.address, self.digest, every_s)

    def fail(self, *, failing: bool) -> None:
        """Have the release fail its checks, or pass them."""
        raise NotImplementedError

    def results(self, condition: Callable[[list[CheckResult]], bool]) -> list[CheckResult]:
        """Return results once they are what is waited for."""
        raise NotImplementedError

    def let_pass(self, seconds: float) -> None:
        """Let so much time pass."""
        raise NotImplementedError

    def close(self) -> None:
        """End everything."""
        self.prober.close()


class MemoryWorld(World):
    """The twin."""

    def __init__(self) -> None:
        super().__init__()
        self.clock = ManualClock()
        self.prober: MemoryProber = MemoryProber(self.clock)

    def fail(self, *, failing: bool) -> None:
        """Say so."""
        self.prober.fails(self.release_id, "Smoke check 'health': expected status 200, got 500." if failing else "")

    def results(self, condition: Callable[[list[CheckResult]], bool]) -> list[CheckResult]:
        """Let time pass."""
        found = list(self.prober.results())
        for _ in range(100):
            if condition(found):
                return found
            self.clock.advance(EVERY_S)
            found += self.prober.results()
        raise AssertionError(found)

    def let_pass(self, seconds: float) -> None:
        """Move the clock."""
        self.clock.advance(seconds)


class HttpWorld(World):
    """A real service, and the prober of real releases."""

    def __init__(self, path: Path) -> None:
        super().__init__()
        self.service = Service()
        self.address = self.service.address
        self.artifacts = ArtifactStore(path)
        self.digest = self.put(SMOKE)
        self.prober: HttpProber = HttpProber(self.artifacts, SystemClock(), timeout_s=TIMEOUT_S)

    def put(self, smoke: str) -> str:
        """Keep an artifact with this smoke file."""
        return str(self.artifacts.put(artifact(smoke_yaml=smoke), archive.MAX_BYTES))

    def fail(self, *, failing: bool) -> None:
        """Answer so."""
        self.service.status = 500 if failing else 200

    def results(self, condition: Callable[[list[CheckResult]], bool]) -> list[CheckResult]:
        """Wait."""
        found: list[CheckResult] = []

        def enough() -> bool:
            found.extend(self.prober.results())
            return condition(found)

        until(enough, "the results", within_s=10.0)
        return found

    def let_pass(self, seconds: float) -> None:
        """Wait."""
        deadline = time.monotonic() + seconds
        until(lambda: time.monotonic() > deadline, "time")

    def close(self) -> None:
        """End the service too."""
        super().close()
        self.service.close()


@pytest.fixture(params=["memory", "http"])
def world(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[World]:
    """Return a world of each kind."""
    made: World = MemoryWorld() if request.param == "memory" else HttpWorld(tmp_path)
    yield made
    made.close()


@pytest.fixture
def http_world(tmp_path: Path) -> Iterator[HttpWorld]:
    """Return a world with a real service."""
    made = HttpWorld(tmp_path)
    yield made
    made.close()


def test_a_watched_release_gives_results(world: World) -> None:
    """Again and again, oldest first, each once."""
    world.watch()
    found = world.results(lambda found: len(found) >= 3)
    assert all(result.passed and result.failure == "" and result.release_id == world.release_id for result in found)
    assert [result.at for result in found] == sorted({result.at for result in found})
    assert all(result.duration_ms >= 0 for result in found)


def test_a_failure_says_which_check_and_why(world: World) -> None:
    """And a release that is mended passes again."""
    world.fail(failing=True)
    world.watch()
    failed = world.results(lambda found: len(found) >= 2)
    assert {result.failure for result in failed} == {"Smoke check 'health': expected status 200, got 500."}
    world.fail(failing=False)
    world.results(lambda found: any(result.passed for result in found))


def test_a_release_that_is_forgotten_gives_nothing_any_more(world: World) -> None:
    """Also no result that was not fetched; forgetting again, or an unknown one, is fine."""
    world.watch()
    world.results(lambda found: len(found) >= 1)
    world.let_pass(3 * EVERY_S)
    world.prober.forget(world.release_id)
    world.prober.forget(world.release_id)
    world.prober.forget(uuid7())
    world.let_pass(3 * EVERY_S)
    assert world.prober.results() == ()


def test_watching_again_changes_nothing(world: World) -> None:
    """The next check is due when it was."""
    world.watch(600.0)
    world.results(lambda found: len(found) == 1)
    world.watch(600.0)
    world.let_pass(3 * EVERY_S)
    assert world.prober.results() == ()


def test_only_read_only_checks_run(http_world: HttpWorld) -> None:
    """With what an earlier one captured."""
    http_world.watch(600.0)
    http_world.results(lambda found: len(found) == 1)
    assert set(http_world.service.seen) == {"GET /health", "GET /versions/1.2"}
    assert "x-asked: for 1.2\r\n" in http_world.service.head
    assert "user-agent: companyos-smoke\r\n" in http_world.service.head


def test_one_that_hangs_fails_in_time_and_alone(http_world: HttpWorld) -> None:
    """Another release is checked as often as before."""
    http_world.service.hangs = True
    http_world.watch()
    healthy = Service()
    http_world.prober.watch(uuid7(), healthy.address, http_world.digest, EVERY_S)
    try:
        found = http_world.results(lambda found: sum(not result.passed for result in found) >= 2)
        failed = [result for result in found if not result.passed]
        assert {(result.release_id, result.failure) for result in failed} == {
            (http_world.release_id, "Smoke check 'health': expected status 200, got no answer within 1 s.")
        }
        assert all(result.duration_ms >= 990 for result in failed)
        assert sum(result.passed for result in found) >= len(failed)
    finally:
        healthy.close()


def test_one_that_is_gone_fails(http_world: HttpWorld) -> None:
    """Nobody listens."""
    http_world.address = ("127.0.0.1", 9)
    http_world.watch()
    found = http_world.results(lambda found: len(found) >= 1)
    assert found[0].failure == "Smoke check 'health': expected status 200, got ConnectError."


def test_an_endless_answer_is_cut(http_world: HttpWorld) -> None:
    """It is no JSON then."""
    http_world.service.endless = True
    http_world.watch()
    found = http_world.results(lambda found: len(found) >= 1)
    assert "expected a JSON document" in found[0].failure


def test_a_smoke_file_that_cannot_be_read_fails(http_world: HttpWorld) -> None:
    """Nothing about the release can be told to work."""
    http_world.digest = http_world.put(SMOKE.replace("status: 201", "status: many"))
    http_world.watch()
    found = http_world.results(lambda found: len(found) >= 2)
    assert found[0].failure.startswith("The smoke checks cannot be run: smoke.yaml, checks[2].expect.status")


@pytest.mark.parametrize("kept", [SMOKE.replace("readOnly: true", "readOnly: false"), None])
def test_without_read_only_checks_there_are_no_results(http_world: HttpWorld, kept: str | None) -> None:
    """No news is neither good nor bad."""
    data = artifact() if kept is None else artifact(smoke_yaml=kept)
    http_world.digest = str(http_world.artifacts.put(data, archive.MAX_BYTES))
    http_world.watch()
    http_world.let_pass(3 * EVERY_S)
    assert http_world.prober.results() == ()
    assert not http_world.service.seen


def test_a_release_that_moved_is_checked_where_it_is(http_world: HttpWorld) -> None:
    """It came back on another port."""
    http_world.address = ("127.0.0.1", 9)
    http_world.watch()
    http_world.results(lambda found: any(not result.passed for result in found))
    http_world.address = http_world.service.address
    http_world.watch()
    http_world.results(lambda found: bool(found) and found[-1].passed)
