"""Decisions: embedded and over HTTP, with their records, and recorded decisions decided again; beside other engines."""

from __future__ import annotations

import importlib.util
import json
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from bench import _policy_http, _policy_mix
from bench._policy_mix import CASES, DATA, ENTRYPOINT, MODULES, REQUESTS, check
from bench.harness import AtLeast, AtMost, Row
from companyos_sdk import rego
from companyos_sdk.policy.decider import Decider
from companyos_sdk.policy.decision import BundleIdentity
from companyos_sdk.policy.record import MemoryRecorder

_ROOM = "policy"
_CALLS = 20_000
_BLOCK = 160
_REPLAYED = 100_000
_RULES = 1_000
IDENTITY = BundleIdentity(id="bench/clinic", version="1.0.0", stage="prod", digest="sha256:" + "a" * 64)

Decide = Callable[[dict[str, Any]], Any]


def run(scale: float) -> Iterator[Row]:
    """Rows of the room, measured one after the other."""
    calls = max(_BLOCK * 4, int(_CALLS * scale))
    program = rego.compile(MODULES, DATA, ENTRYPOINT)
    floor = _closure_us(calls)
    ours = _embedded_us(program, calls)
    note = f"{len(CASES)} requests, dict in, decision and record out, CPU"
    yield Row(room=_ROOM, name="embedded decision", value=ours, unit="µs", target=AtMost(8), note=note)
    yield Row(
        room=_ROOM, name="plain Python closure", value=floor, unit="µs", note="the same policy by hand, no record"
    )
    yield Row(room=_ROOM, name="embedded / closure", value=ours / floor, unit="x", target=AtMost(8))
    for name, peer, least in (("cedarpy", _cedar_us(calls), 5.0), ("regopy", _regopy_us(calls // 10), 30.0)):
        if peer is not None:
            yield Row(room=_ROOM, name=name, value=peer, unit="µs", note="decision only, no record")
            yield Row(room=_ROOM, name=f"{name} / embedded", value=peer / ours, unit="x", target=AtLeast(least))
    yield from _policy_http.rows(scale)
    yield from _replay(program, max(1_000, int(_REPLAYED * scale)))
    yield _compile()


def _median_us(decide: Decide, calls: int) -> float:
    """The median over blocks of the CPU time of one call, in microseconds."""
    for request in REQUESTS * 20:
        decide(request)
    blocks = []
    for _ in range(max(3, calls // _BLOCK)):
        began = time.thread_time_ns()
        for request in REQUESTS * (_BLOCK // len(REQUESTS)):
            decide(request)
        blocks.append((time.thread_time_ns() - began) / _BLOCK / 1000)
    return sorted(blocks)[len(blocks) // 2]


def _said(value: dict[str, Any]) -> tuple[str, list[str]]:
    return value["decision"], [owed["id"] for owed in value["obligations"]]


def _closure_us(calls: int) -> float:
    decide = _policy_mix.closure()
    check("the closure", lambda request: _said(decide(request)))
    return _median_us(decide, calls)


def _embedded_us(program: rego.Program, calls: int) -> float:
    recorder = MemoryRecorder()
    decider = Decider(program, IDENTITY, recorder)

    def ids(request: dict[str, Any]) -> tuple[str, list[str]]:
        found = decider.decide(request)
        return "allow" if found.allow else "deny", [owed.id for owed in found.obligations]

    check("the engine", ids)

    def decide(asked: dict[str, Any]) -> None:
        decider.authorize(asked["subject"], asked["action"], asked["resource"], asked["environment"], asked["context"])
        if len(recorder.lines) > _BLOCK:
            recorder.lines.clear()

    return _median_us(decide, calls)


def _regopy_us(calls: int) -> float | None:
    if importlib.util.find_spec("regopy") is None:
        return None
    from regopy import Interpreter  # type: ignore[import-untyped] # it carries no types

    build = Interpreter()
    build.add_data(DATA)
    for name, text in MODULES.items():
        build.add_module(name, text)
    entry = ENTRYPOINT.removeprefix("data.").replace(".", "/")
    bundle = build.build(None, [entry])
    engine = Interpreter()

    def decide(request: dict[str, Any]) -> dict[str, Any]:
        engine.set_input(request)
        answer: dict[str, Any] = engine.query_bundle_entrypoint(bundle, entry).results[0].expressions[0]
        return answer

    check("regopy", lambda request: _said(decide(request)))
    return _median_us(decide, calls)


def _cedar_us(calls: int) -> float | None:
    if importlib.util.find_spec("cedarpy") is None:
        return None
    import cedarpy

    known = DATA["clinic"]
    policies = cedarpy.PolicySet.from_str(_policy_mix.CEDAR)

    def decide(asked: dict[str, Any]) -> tuple[bool, list[str]]:
        who, resource = asked["subject"], asked["resource"]
        roles = [{"type": "Role", "id": role} for role in known["staff"].get(who["id"], ())]
        about = {
            "region": resource["region"],
            "contains_pii": resource["contains_pii"],
            "sensitivity": resource["sensitivity"],
            "required": known["levels"].get(resource["required_clearance"], 99),
        }
        entities = [
            {"uid": {"type": "User", "id": who["id"]}, "attrs": {}, "parents": roles},
            {"uid": {"type": "File", "id": resource["id"]}, "attrs": about, "parents": []},
        ]
        question = {
            "principal": {"type": "User", "id": who["id"]},
            "action": {"type": "Action", "id": asked["action"]},
            "resource": {"type": "File", "id": resource["id"]},
            "context": {
                "ticket": asked["context"]["approval_ticket"],
                "auth": asked["environment"]["auth_strength"],
                "level": known["levels"].get(who["attributes"]["clearance"], 0),
            },
        }
        answer = cedarpy.is_authorized(question, policies, json.dumps(entities))
        return answer.allowed, list(answer.diagnostics.id_annotations_by_reason.values())

    owed = {"require_approval", "log_event", "require_mfa", "mask_fields"}

    def ids(request: dict[str, Any]) -> tuple[str, list[str]]:
        allowed, said = decide(request)
        return "allow" if allowed else "deny", [one for one in said if one in owed]

    check("cedarpy", ids)
    return _median_us(decide, calls)


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
