"""How long users meet a canary that has turned bad: real Envoy, the product's own controller, real services and load.

A canary answers well for some seconds, then a file that only this benchmark writes makes it fail. Times and counts are
those of Envoy's access log, so they are what users got; from the turn to the end of the last request on the canary.
"""

from __future__ import annotations

import json
import os
import secrets
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from typing import Any, Final, NamedTuple, TypeVar

import httpx

from bench.harness import AtMost, Row, percentile
from companyos.delivery.adapters.envoy import access_log
from companyos.delivery.model import RECENT_S
from companyos.delivery.policy import ReleasePolicy
from companyos.delivery.ports import Request
from companyos.delivery.sequential import RHO_ERRORS, CoinFlip, limit
from companyos.evidence import archive
from companyos.evidence.archive import Archive, Entry

ROOM: Final = "rollback"
_COMMAND: Final = str(Path(sys.executable).with_name("companyos"))
_TIMES: Final = 20
_FLOOR_MS: Final = 5000.0
"""Only failures bring a canary back here: on a machine that others keep busy, a new process can be slower for real."""
_PATIENCE_S: Final = 60.0
_POLL_S: Final = 0.1
_LOG_S: Final = 0.2
"""After so long Envoy has written what had ended; it flushes every 25 ms."""
_RUNS_OUT_S: Final = 0.02
"""A request that ended so shortly before the turn may have been answered after it."""
_MANIFEST: Final = """
apiVersion: companyos.dev/v1
kind: Service
metadata: {name: %s}
spec:
  run: {command: [python, -B, app.py]}
"""
_PROGRAM: Final = r"""
import asyncio, os, random
BAD = os.path.join(os.environ["HOME"], "bad")
GOOD = b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok"
FAILED = b"HTTP/1.1 500 Internal Server Error\r\ncontent-length: 2\r\n\r\nno"
failing = 0.0
def answer(path):
    global failing
    if path in (b"/ready", b"/health"):
        return GOOD
    if not failing and os.path.exists(BAD):
        with open(BAD) as file:
            failing = float(file.read())
    return FAILED if failing and random.random() < failing else GOOD
class Server(asyncio.Protocol):
    def connection_made(self, transport):
        self.transport, self.rest = transport, b""
    def data_received(self, data):
        *heads, self.rest = (self.rest + data).split(b"\r\n\r\n")
        self.transport.write(b"".join(answer(head.split(b" ", 2)[1]) for head in heads))
async def main():
    server = await asyncio.get_running_loop().create_server(Server, "127.0.0.1", int(os.environ["PORT"]))
    await server.serve_forever()
asyncio.run(main())
"""
_T = TypeVar("_T")


class _Case(NamedTuple):
    """One line of the targets."""

    service: str
    rate: int
    percent: int
    failing: float
    """The share 0..1 of the canary's requests that fail."""
    good_s: float
    """How long the canary serves well before it turns bad."""
    seconds: float
    failed: int | None

    @property
    def title(self) -> str:
        """As the targets name it."""
        return f"{self.rate} rps, {self.percent} %, {self.failing * 100:g} % failing"

    @property
    def needed(self) -> int:
        """How many failed requests it takes, when none of the baseline fails: for the evidence, and for a breach too.

        The breach is one of the last ``RECENT_S`` seconds, which do not always have as many requests as they should.
        """
        test, proven, policy = CoinFlip.begin(RHO_ERRORS), 0, ReleasePolicy()
        while not test.rejects(limit(policy)):
            test, proven = test.add(1, 0, self.percent / 100), proven + 1
        requests = self.rate * self.percent / 100 * min(RECENT_S, self.good_s)
        return max(proven, int(policy.error_ratio_max * requests) + 1)


_CASES: Final = (
    (_Case("plenty", 500, 10, 0.5, RECENT_S + 0.5, 0.5, 10),),
    (_Case("narrow", 200, 1, 0.5, 4.0, 2.5, 4), _Case("faint", 200, 10, 0.05, 4.0, 5.0, None)),
)
"""Those in one group run beside each other; together they have fewer requests than the first one alone.

Good requests are no evidence, but the breach that must be there too is a share of the last ``RECENT_S`` seconds. Only
with many requests can that take more failures than the evidence, so there all these seconds are good at first.
"""


class _Run(NamedTuple):
    """One canary: seconds since it turned bad, and what users met."""

    last: float
    """The end of the last request on the canary."""
    proof: float
    """The end of the failed request with which there were enough of them."""
    decided: float
    moved: float
    """The begin of the first request that was routed by the rollback's weight."""
    failed: int


def run(scale: float) -> Iterator[Row]:
    """Rows of each case: how long, how many failed requests, and where the time goes."""
    times = max(3, round(_TIMES * scale))
    with (
        tempfile.TemporaryDirectory(prefix="companyos-bench-", ignore_cleanup_errors=True) as folder,
        _platform(Path(folder) / "home") as platform,
    ):
        for cases in _CASES:
            for case in cases:
                platform.settle(case)
            with platform.load(cases) as total, ThreadPoolExecutor(len(cases)) as pool:
                found = list(pool.map(lambda case: [platform.turn(case) for _ in range(times)], cases))
            _check(total(), cases, found)
            for case, runs in zip(cases, found, strict=True):
                yield from _rows(case, runs, beside=len(cases) > 1)


def _check(total: Mapping[str, Any], cases: Sequence[_Case], found: Sequence[Sequence[_Run]]) -> None:
    """Stop where users met something else than what was counted, or where there were fewer of them than promised."""
    assert total["final"], "the load did not end by itself"
    assert not total["skipped"], f"{total['skipped']} requests were not sent"
    counted = sum(one.failed for runs in found for one in runs)
    assert total["failed"] == counted, f"users met {total['failed']} failed requests, and the canaries had {counted}"
    promised = total["t"] * sum(case.rate for case in cases)
    assert total["sent"] > 0.95 * promised, f"only {total['sent']} of {promised:.0f} requests were sent"


def _rows(case: _Case, runs: Sequence[_Run], *, beside: bool) -> Iterator[Row]:
    lasts, fails = [one.last for one in runs], [one.failed for one in runs]
    note = f"{len(runs)} canaries, bad after {case.good_s:g} s"
    note += "; beside the other case of 200 rps" if beside else ""
    note += f"; p90 {percentile(lasts, 0.9):.2f} s, slowest {max(lasts):.2f} s"
    yield Row(
        room=ROOM, name=f"{case.title}: from bad to the last request on the canary, median",
        value=statistics.median(lasts), unit="s", target=AtMost(case.seconds), note=note,
    )  # fmt: skip
    yield Row(
        room=ROOM, name=f"{case.title}: failed requests, median", value=statistics.median(fails), unit="",
        target=None if case.failed is None else AtMost(case.failed),
        note=f"p90 {percentile(fails, 0.9):g}, most {max(fails)}; it takes {case.needed}",
    )  # fmt: skip
    for name, parts in (
        ("from bad to enough failures", [one.proof for one in runs]),
        ("from these to the decision", [one.decided - one.proof for one in runs]),
        ("from the decision to the traffic moved", [one.moved - one.decided for one in runs]),
    ):
        yield Row(
            room=ROOM, name=f"{case.title}: {name}, median", value=statistics.median(parts) * 1000, unit="ms",
            note=f"p90 {percentile(parts, 0.9) * 1000:,.0f} ms",
        )  # fmt: skip


class _Platform:
    """A platform that runs, and what the benchmark does with it."""

    def __init__(self, home: Path, client: httpx.Client, port: int) -> None:
        self._home = home
        self._client = client
        self._port = port
        self._log = access_log.Files(home / "traffic" / "access.log")

    def settle(self, case: _Case) -> None:
        """Put the service into the catalog and have a first version take its traffic."""
        self._ask(
            "POST", "/api/services/import", params={"path": f"/{case.service}/companyos.yaml"},
            content=(_MANIFEST % case.service).encode(), headers={"content-type": "application/yaml"},
        )  # fmt: skip
        self._until(self._deploy(case), {"steady"})

    def turn(self, case: _Case) -> _Run:
        """Have one canary serve, turn bad and be brought back."""
        release_id = self._deploy(case)
        self._until(release_id, {"canary", "held"})
        time.sleep(case.good_s)  # not a wait for a condition: the canary serves well for so long
        before = self._until(release_id, {"canary", "held"})
        position = self._log.end()
        turned = self._spoil(release_id, case.failing)
        detail = self._until(release_id, {"rolled_back"})
        time.sleep(_LOG_S)  # not a wait for a condition: the log has what had ended
        requests = [one for one in self._read(position) if one.rollout == release_id]
        served = [one for one in requests if one.release_id == release_id and one.at > turned - _RUNS_OUT_S]
        failures = [one for one in served if one.failed]
        assert detail["cause"]["trigger"] == "error_rate", detail["cause"]
        assert not before["totals"]["canary_errors"], f"{detail['name']} failed before it turned bad"
        weight = detail["weights"][-1]
        assert not weight["canary_ratio"], weight
        at = next(move["at"] for move in detail["transitions"] if move["verb"] == "release.rollback")
        return _Run(
            last=max(map(_end, served)) - turned,
            proof=sorted(map(_end, failures))[: case.needed][-1] - turned,
            decided=datetime.fromisoformat(at).timestamp() - turned,
            moved=min(one.at for one in requests if one.number == weight["number"]) - turned,
            failed=len(failures),
        )

    @contextmanager
    def load(self, cases: Sequence[_Case]) -> Iterator[Callable[[], dict[str, Any]]]:
        """Send each case its requests from a process of its own; afterwards gives that process's last summary."""
        streams = [word for case in cases for word in ("--service", f"{case.service}={case.rate}")]
        command = [sys.executable, "-m", "companyos.delivery.load", "--port", str(self._port), *streams]
        output = self._home.with_name(f"load-{cases[0].service}.log")
        with output.open("wb") as file:
            process = subprocess.Popen(command, stdout=file)
        try:
            yield lambda: _last_summary(output)
        finally:
            process.terminate()
            process.wait(timeout=_PATIENCE_S)

    def _deploy(self, case: _Case) -> str:
        """Return the release of a version that is like the one before it and has a digest of its own."""
        word = secrets.token_hex(20)
        texts = {"app.py": f"# {word}{_PROGRAM}", "companyos.yaml": _MANIFEST % case.service, "requirements.lock": ""}
        entries = tuple(Entry(path=path, data=text.encode()) for path, text in texts.items())
        notes = {"comment": word, "COMPANYOS.version": f"1.0.{int(word[:8], 16)}"}
        data = archive.write(Archive(entries=entries, time=1_700_000_000, notes=notes))
        stored = self._ask("POST", "/api/artifacts", content=data, headers={"content-type": "application/x-tar"})
        self._ask("POST", f"/api/artifacts/{stored['digest']}/signature")
        policy = {"steps": [case.percent, 100], "hold_s": 86_400, "drain_s": 0, "p95_floor_ms": _FLOOR_MS}
        body = {"digest": stored["digest"], "environment": "production", "policy": policy}
        return str(self._ask("POST", "/api/deployments", json=body)["id"])

    def _spoil(self, release_id: str, failing: float) -> float:
        """Make a release fail such a share of its requests, and return since when."""
        file = self._home / "releases" / release_id / "work" / "bad"
        aside = file.with_name("aside")
        aside.write_text(str(failing))
        turned = time.time()
        aside.rename(file)
        return turned

    def _until(self, release_id: str, states: Collection[str]) -> dict[str, Any]:
        """Return a release that is in one of these states, with everything done that this takes."""
        deadline = time.monotonic() + _PATIENCE_S
        while True:
            detail: dict[str, Any] = self._ask("GET", f"/api/releases/{release_id}")
            if detail["state"] in states and not detail["actions_open"]:
                return detail
            if time.monotonic() > deadline:
                raise RuntimeError(f"{detail['name']} is {detail['state']}: {detail['verdict']}")
            time.sleep(_POLL_S)

    def _read(self, position: access_log.Position) -> list[Request]:
        requests: list[Request] = []
        while True:
            chunk = self._log.read(position)
            assert chunk.lost is None, chunk.lost
            requests += access_log.decode(chunk.data)[0]
            if chunk.end:
                return requests
            position = chunk.position

    def _ask(self, method: str, path: str, **words: Any) -> Any:  # noqa: ANN401 - what httpx takes, and JSON
        answer = self._client.request(method, path, **words)
        if answer.is_error:
            raise RuntimeError(f"{method} {path} answered {answer.status_code}: {answer.text[:300]}")
        return answer.json()


@contextmanager
def _platform(home: Path) -> Iterator[_Platform]:
    own = {name: value for name, value in os.environ.items() if not name.startswith("COMPANYOS_")}
    environment = {**own, "COMPANYOS_HOME": str(home), "COMPANYOS_TRAFFIC_PORT": "0", "NO_COLOR": "1"}
    try:
        _run(environment, "up", "--detach", "--port", "0")
        server = json.loads((home / "run" / "server.json").read_bytes())
        controller = _awaited(lambda: json.loads((home / "run" / "controller.json").read_bytes()))
        token = (home / "admin.token").read_text(encoding="ascii").strip()
        headers = {"authorization": f"Bearer {token}"}
        with httpx.Client(base_url=server["url"], headers=headers, trust_env=False, timeout=_PATIENCE_S) as client:
            yield _Platform(home, client, httpx.URL(controller["traffic"]).port or 80)
    finally:
        _run(environment, "down")


def _run(environment: Mapping[str, str], *words: str) -> None:
    done = subprocess.run(
        [_COMMAND, *words], env=environment, stdin=subprocess.DEVNULL, capture_output=True, text=True,
        timeout=_PATIENCE_S, check=False,
    )  # fmt: skip
    if done.returncode:
        raise RuntimeError(f"companyos {words[0]} ended with {done.returncode}: {done.stderr[-500:]}")


def _end(request: Request) -> float:
    return request.at + request.duration_ms / 1000


def _awaited(look: Callable[[], _T]) -> _T:
    """Return what a look gives once its file is there."""
    deadline = time.monotonic() + _PATIENCE_S
    while True:
        try:
            return look()
        except FileNotFoundError:
            if time.monotonic() > deadline:
                raise
            time.sleep(_POLL_S)


def _last_summary(output: Path) -> dict[str, Any]:
    summary: dict[str, Any] = json.loads(output.read_text(encoding="utf-8").splitlines()[-1])
    return summary
