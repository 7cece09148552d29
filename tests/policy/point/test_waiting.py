from __future__ import annotations

import asyncio

from companyos.core.errors import Unavailable
from companyos.policy.freshness import REFRESH_S, Watch


class Log:
    """A log that is full as long as a test says so."""

    full = False


class Clock:
    """Seconds that a test sets."""

    now = 100.0

    def __call__(self) -> float:
        """Return the present second."""
        return self.now


def test_it_looks_once_and_then_beside_the_requests() -> None:
    """The first request waits for the first look; later ones only start one when the last is a while ago."""
    looks: list[float] = []
    clock = Clock()
    watch = Watch(lambda: looks.append(clock.now), Log(), monotonic=clock)

    async def run() -> None:
        await asyncio.gather(*(watch.ready() for _ in range(10)))
        assert looks == [100.0]
        await watch.ready()
        assert looks == [100.0]
        clock.now += REFRESH_S
        await watch.ready()
        await watch.done()

    asyncio.run(run())
    assert looks == [100.0, 100.0 + REFRESH_S]


def test_a_database_that_is_gone_stops_no_decision() -> None:
    """What is known goes on deciding; it is the decision that says it is stale."""

    def gone() -> None:
        raise Unavailable("The database is gone.")

    asyncio.run(Watch(gone, Log(), monotonic=Clock()).ready())


def test_a_full_log_is_waited_for_where_that_is_wanted() -> None:
    """With ``block`` a request waits until there is room; with ``deny`` it goes on at once."""
    log = Log()
    log.full = True
    asyncio.run(Watch(lambda: None, log, on_full="deny").ready())
    waiting = Watch(lambda: None, log, on_full="block", block_s=30)

    async def run() -> None:
        task = asyncio.ensure_future(waiting.ready())
        await asyncio.sleep(0.02)
        assert not task.done()
        log.full = False
        await task

    asyncio.run(run())


def test_a_wait_for_room_has_an_end() -> None:
    """A log that stays full is not waited for for ever; the decision is a denial then."""
    log = Log()
    log.full = True
    asyncio.run(Watch(lambda: None, log, on_full="block", block_s=0.02).ready())
