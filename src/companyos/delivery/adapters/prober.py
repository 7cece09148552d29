"""The ``Prober`` of real releases: it calls their read-only smoke checks directly, past the router."""

from __future__ import annotations

import asyncio
import contextlib
import threading
import time
from collections import deque
from collections.abc import Sequence
from typing import TYPE_CHECKING, Final, NamedTuple

import msgspec

from companyos.core.artifacts import ArtifactStore
from companyos.core.clock import Clock
from companyos.core.errors import CompanyOSError
from companyos.delivery import smoke
from companyos.delivery.adapters.background import Background
from companyos.delivery.ports import CheckResult
from companyos.evidence import archive

if TYPE_CHECKING:
    import httpx

TIMEOUT_S: Final = 5.0
"""For one check; the same as in the runner that services bring along."""
KEPT: Final = 10_000
"""Results that nobody has fetched; the oldest give way."""


class _Watched(NamedTuple):
    address: tuple[str, int]
    digest: str
    interval_s: float


class HttpProber:
    """Checks each release in a task of its own, so that one that hangs holds up nothing but itself.

    A round of checks ends at the first that fails. A release whose artifact has no read-only checks gets no results;
    one whose smoke file cannot be read fails each round, because nothing about it can be told to work.
    """

    def __init__(self, artifacts: ArtifactStore, clock: Clock, *, timeout_s: float = TIMEOUT_S) -> None:
        """Take where smoke files are read from, the clock of the results, and the patience with one check."""
        self._artifacts = artifacts
        self._clock = clock
        self._timeout_s = timeout_s
        self._lock = threading.Lock()
        self._wanted: dict[str, _Watched] = {}
        self._results: deque[CheckResult] = deque(maxlen=KEPT)
        self._background = Background("prober", self._tend)
        self._background.start()

    def watch(self, release_id: str, address: tuple[str, int], digest: str, interval_s: float) -> None:
        """Check this release from now on; at another address or interval when those have changed."""
        with self._lock:
            self._wanted[release_id] = _Watched(address, digest, interval_s)
        self._background.hurry()

    def forget(self, release_id: str) -> None:
        """Check this release no more; results that were not fetched are dropped."""
        with self._lock:
            self._wanted.pop(release_id, None)
            kept = [result for result in self._results if result.release_id != release_id]
            self._results = deque(kept, maxlen=KEPT)
        self._background.hurry()

    def results(self) -> Sequence[CheckResult]:
        """Return the results since the last call, oldest first."""
        with self._lock:
            results = tuple(self._results)
            self._results.clear()
        return results

    def close(self) -> None:
        """End the thread; a check that is under way is given up."""
        self._background.close()

    async def _tend(self) -> None:
        """Keep one task for each release that is watched."""
        tasks: dict[str, tuple[_Watched, asyncio.Task[None]]] = {}
        while not self._background.ended:
            with self._lock:
                wanted = dict(self._wanted)
            for release_id, (watched, task) in tuple(tasks.items()):
                if wanted.get(release_id) != watched:
                    del tasks[release_id]
                    await _end(task)
            for release_id, watched in wanted.items():
                if release_id not in tasks:
                    tasks[release_id] = (watched, asyncio.create_task(self._check(release_id, watched)))
            await self._background.wait()
        for _, task in tasks.values():
            await _end(task)

    async def _check(self, release_id: str, watched: _Watched) -> None:
        import httpx

        checks, fault = await asyncio.to_thread(self._checks, watched.digest)
        if not checks and not fault:
            return
        host, port = watched.address
        limits = httpx.Limits(max_connections=1, max_keepalive_connections=0)
        async with httpx.AsyncClient(
            base_url=f"http://{host}:{port}",
            trust_env=False,
            timeout=self._timeout_s,
            limits=limits,
            headers={"user-agent": "companyos-smoke", "accept-encoding": "identity"},
        ) as client:
            while True:
                began = time.monotonic()
                failure = fault or await self._round(client, checks)
                self._keep(release_id, watched, failure, (time.monotonic() - began) * 1000)
                await asyncio.sleep(max(0.0, watched.interval_s - (time.monotonic() - began)))

    async def _round(self, client: httpx.AsyncClient, checks: Sequence[smoke.Check]) -> str:
        """Return why the first check of a round that failed did so, empty when all passed."""
        values: dict[str, str] = {}
        for check in checks:
            judged = await self._one(client, check, values)
            if judged.failure:
                return judged.failure
            values |= judged.captured
        return ""

    async def _one(self, client: httpx.AsyncClient, check: smoke.Check, values: dict[str, str]) -> smoke.Judged:
        import httpx

        asked = smoke.request_of(check, values)
        if isinstance(asked, smoke.Judged):
            return asked
        body = {} if asked.json is msgspec.UNSET else {"json": asked.json}
        try:
            async with (
                asyncio.timeout(self._timeout_s),
                client.stream(asked.method, asked.path, headers=asked.headers, **body) as response,
            ):
                answer = smoke.Answer(response.status_code, dict(response.headers), await _start_of(response))
        except (TimeoutError, httpx.TimeoutException):
            return smoke.unreachable(check, f"no answer within {self._timeout_s:g} s")
        except (httpx.HTTPError, httpx.InvalidURL, OSError, ValueError) as fault:
            return smoke.unreachable(check, f"{type(fault).__name__}")
        return smoke.judge(check, answer, values)

    def _checks(self, digest: str) -> tuple[Sequence[smoke.Check], str]:
        """Return the checks that are run, or why they cannot be known."""
        try:
            held = archive.read(self._artifacts.read(digest, archive.MAX_BYTES))
            text = held.file(smoke.FILE_NAME)
            return (smoke.read_only(smoke.read_checks(text)) if text is not None else ()), ""
        except CompanyOSError as fault:
            return (), f"The smoke checks cannot be run: {fault}"

    def _keep(self, release_id: str, watched: _Watched, failure: str, duration_ms: float) -> None:
        with self._lock:
            if self._wanted.get(release_id) == watched:
                result = CheckResult(
                    release_id=release_id,
                    at=self._clock.now(),
                    passed=not failure,
                    failure=failure,
                    duration_ms=round(duration_ms, 3),
                )
                self._results.append(result)


async def _start_of(response: httpx.Response) -> bytes:
    """Return the body of an answer as far as it is read."""
    body = bytearray()
    async for part in response.aiter_raw():
        body += part
        if len(body) > smoke.BODY_LIMIT_BYTES:
            break
    return bytes(body[: smoke.BODY_LIMIT_BYTES])


async def _end(task: asyncio.Task[None]) -> None:
    task.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await task
