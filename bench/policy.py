"""Decisions: embedded and over HTTP, with their records, and recorded decisions decided again; beside other engines."""

from __future__ import annotations

import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from bench import _policy_http, _policy_peers
from bench._policy_mix import CASES, DATA, ENTRYPOINT, MODULES, REQUESTS, check
from bench.harness import AtLeast, AtMost, Row
from companyos_sdk import rego
from companyos_sdk.policy.decider import Decider
from companyos_sdk.policy.decision import BundleIdentity, Decision
from companyos_sdk.policy.record import Discard, MemoryRecorder
from companyos_sdk.policy.spool import Spool

_ROOM = "policy"
_CALLS = 20_000
_REPLAYED = 100_000
_RULES = 1_000
_THREADS = 16
_WAITING = 5_000
_EACH = 10_000
IDENTITY = BundleIdentity(id="bench/clinic", version="1.0.0", stage="prod", digest="sha256:" + "a" * 64)


def run(scale: float) -> Iterator[Row]:
    """Rows of the room, measured one after the other."""
    calls = max(_policy_peers.BLOCK * 4, int(_CALLS * scale))
    program = rego.compile(MODULES, DATA, ENTRYPOINT)
    yield from _embedded(program, calls)
    yield from _policy_http.rows(scale)
    yield from _replay(program, max(1_000, int(_REPLAYED * scale)))
    yield _compile()


def _embedded(program: rego.Program, calls: int) -> Iterator[Row]:
    """One decision in the process that asks, beside other engines and beside Python by hand."""
    what = f"{len(REQUESTS)} requests, CPU"
    by_hand, by_hand_recorded = _policy_peers.closure_us(calls), _policy_peers.recording_closure_us(calls)
    evaluated = _policy_peers.median_us(program.evaluate, calls)
    observed = _policy_peers.median_us(program.observe, calls)
    ours, in_memory = _authorize_us(program, calls)
    # The same policy with its data under the root of its packages, where a path may mean a rule or data.
    mixed = {name: text.replace("data.house.", "data.clinic.") for name, text in MODULES.items()}
    entwined = rego.compile(mixed, {"clinic": DATA["house"]}, ENTRYPOINT)
    for name, value, note in (
        ("plain Python closure", by_hand, "the same policy by hand, no record"),
        ("plain Python closure, recording", by_hand_recorded, "uuid4, digest and line by json, kept in memory"),
        ("evaluate", evaluated, f"{what}, no record"),
        ("observe", observed, f"{what}, with what was read, no record"),
        (
            "observe, one root",
            _policy_peers.median_us(entwined.observe, calls),
            f"{what}, data and rules under one root",
        ),
        ("authorize into memory", in_memory, f"{what}, dict in, decision and record out"),
    ):
        yield Row(room=_ROOM, name=name, value=value, unit="µs", note=note)
    note = f"{what}, dict in, decision and record out; recorder: Spool"
    yield Row(room=_ROOM, name="authorize", value=ours, unit="µs", target=AtMost(8), note=note)
    for name, ratio in (
        ("evaluate / closure", evaluated / by_hand),
        ("authorize / closure", ours / by_hand),
        ("authorize / recording closure", ours / by_hand_recorded),
    ):
        yield Row(room=_ROOM, name=name, value=ratio, unit="x", target=AtMost(8))
    for name, peer, least, note in (
        ("cedarpy", _policy_peers.cedar_us(calls), 5.0, "decision only, no record"),
        ("regopy", _policy_peers.regopy_us(calls // 10), 30.0, "decision only, no record, in its own process"),
        ("opa bench", _policy_peers.opa_us(), None, "decision only, wall, in its own process"),
    ):
        if peer is not None:
            target = AtLeast(least) if least else None
            yield Row(room=_ROOM, name=name, value=peer, unit="µs", note=note)
            yield Row(room=_ROOM, name=f"{name} / authorize", value=peer / ours, unit="x", target=target)
    yield _threads(program)


def _authorize_us(program: rego.Program, calls: int) -> tuple[float, float]:
    """With a spool on the disk, whose thread writes meanwhile, and with a log in memory."""
    with tempfile.TemporaryDirectory() as folder:
        spool = Spool(Path(folder) / "spool")
        try:
            on_disk = _measured(
                Decider(program, IDENTITY, spool), calls, lambda: spool.status().waiting < _WAITING or spool.flush(30)
            )
            assert spool.status().refused == 0, "The spool refused records, so denials were measured"
        finally:
            spool.close()
    log = MemoryRecorder()
    return on_disk, _measured(Decider(program, IDENTITY, log), calls, log.lines.clear)


def _measured(decider: Decider, calls: int, between: Callable[[], object]) -> float:
    authorized = _asking(decider)
    check("the engine", lambda request: _ids(authorized(request)))
    return _policy_peers.median_us(authorized, calls, between)


def _asking(decider: Decider) -> Callable[[dict[str, Any]], Decision]:
    authorize = decider.authorize

    def authorized(asked: dict[str, Any]) -> Decision:
        return authorize(asked["subject"], asked["action"], asked["resource"], asked["environment"], asked["context"])

    return authorized


def _ids(found: Decision) -> tuple[str, list[str]]:
    return "allow" if found.allow else "deny", [owed.id for owed in found.obligations]


def _threads(program: rego.Program) -> Row:
    """Many threads at one decider, each of whose answers is looked at."""
    authorized = _asking(Decider(program, IDENTITY, Discard()))
    expected = [(decision, sorted(owed)) for _, decision, owed in CASES]
    together = threading.Barrier(_THREADS)

    def wrong(first: int) -> int:
        together.wait()
        count = 0
        for number in range(first, first + _EACH):
            decision, owed = _ids(authorized(REQUESTS[number % len(REQUESTS)]))
            count += (decision, sorted(owed)) != expected[number % len(REQUESTS)]
        return count

    with ThreadPoolExecutor(_THREADS) as pool:
        bad = sum(pool.map(wrong, range(_THREADS)))
    note = f"{_THREADS} threads x {_EACH:,} decisions at one decider"
    return Row(room=_ROOM, name="wrong answers", value=bad, unit="", target=AtMost(0), note=note)


def _replay(program: rego.Program, count: int) -> Iterator[Row]:
    """Write decisions into a log, read them back and decide them again."""
    from companyos.core import access
    from companyos.core.settings import Settings
    from companyos.identity import RoleAuthorizer
    from companyos.ledger import open_journal
    from companyos.policy.log import DecisionLog, Decisions, Limits
    from companyos.policy.replay import candidate, replay

    access.bind(RoleAuthorizer())
    with tempfile.TemporaryDirectory() as folder:
        journal = open_journal(Settings(home=str(Path(folder) / "home")))
        log = DecisionLog(journal, limits=Limits(queue_records=count + 1, queue_bytes=1 << 40))
        decider = Decider(program, IDENTITY, log)
        began = time.perf_counter()
        for number in range(count):
            decider.decide(REQUESTS[number % len(REQUESTS)])
        log.flush(120)
        written_s = time.perf_counter() - began
        log.rotate()
        reader = Decisions(journal, log, lambda _digest: program.input_paths).reader
        began = time.perf_counter()
        report = replay(reader.records(IDENTITY.id, IDENTITY.stage), candidate(program))
        replayed_s = time.perf_counter() - began
        assert (report.total, report.same, report.replayable) == (count, count, count)
        log.close()
        journal.close()
    note = f"{count:,} decisions, sealed, from the files"
    yield Row(room=_ROOM, name="replay", value=replayed_s, unit="s", target=AtMost(5), note=note)
    yield Row(
        room=_ROOM, name="decided and logged", value=count / written_s, unit="/s", note="sealed, chained, fsynced"
    )


def _compile() -> Row:
    """Compile a module with many rules."""
    rules = "\n".join(
        f'deny contains "r{number}" if {{ input.a == {number}; input.b != "x{number}"; input.c.d > {number} }}'
        for number in range(_RULES)
    )
    began = time.perf_counter()
    rego.compile({"many.rego": f"package many\n\n{rules}\n"}, {}, "data.many.deny")
    return Row(
        room=_ROOM,
        name=f"compile {_RULES:,} rules",
        value=time.perf_counter() - began,
        unit="s",
        target=AtMost(1),
        note="three expressions each",
    )
