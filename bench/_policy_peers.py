"""Other engines and Python by hand for the sixteen requests of the mix, in microseconds of CPU."""

from __future__ import annotations

import hashlib
import importlib.util
import json
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
import uuid
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from bench import _policy_mix
from bench._policy_mix import DATA, ENTRYPOINT, MODULES, REQUESTS, check

BLOCK = 160
"""Calls between two looks at the clock."""

Decide = Callable[[dict[str, Any]], Any]


def median_us(decide: Decide, calls: int, between: Callable[[], object] = lambda: None) -> float:
    """The median over blocks of the CPU time of one call of this thread; ``between`` blocks is not measured."""
    for request in REQUESTS * 20:
        decide(request)
    blocks = []
    for _ in range(max(3, calls // BLOCK)):
        between()
        began = time.thread_time_ns()
        for request in REQUESTS * (BLOCK // len(REQUESTS)):
            decide(request)
        blocks.append((time.thread_time_ns() - began) / BLOCK / 1000)
    return sorted(blocks)[len(blocks) // 2]


def closure_us(calls: int) -> float:
    """The policy by hand."""
    decide = _policy_mix.closure()
    check("the closure", lambda request: said(decide(request)))
    return median_us(decide, calls)


def recording_closure_us(calls: int) -> float:
    """The policy by hand with a record as one writes it by hand: an id, the time, the request's digest, one line."""
    decide = _policy_mix.closure()
    lines: list[bytes] = []

    def recorded(request: dict[str, Any]) -> dict[str, Any]:
        found = decide(request)
        record = {
            "audit_id": str(uuid.uuid4()),
            "at": datetime.now(UTC).isoformat(),
            "request": hashlib.sha256(json.dumps(request, sort_keys=True).encode()).hexdigest(),
            **found,
        }
        lines.append(json.dumps(record).encode())
        return found

    check("the closure with a record", lambda request: said(recorded(request)))
    return median_us(recorded, calls, lines.clear)


def said(value: dict[str, Any]) -> tuple[str, list[str]]:
    """The decision and the ids of its obligations."""
    return value["decision"], [owed["id"] for owed in value["obligations"]]


def cedar_us(calls: int) -> float | None:
    """The same decisions by Cedar with the policies parsed before, or None without cedarpy."""
    if importlib.util.find_spec("cedarpy") is None:
        return None
    import cedarpy

    known = DATA["house"]
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
    return median_us(decide, calls)


def regopy_us(calls: int) -> float | None:
    """The same policy in regopy, measured in a process of its own, or None without regopy.

    regopy and google-re2 cannot be in one process: each brings its own copy of RE2, and the process aborts.
    """
    if importlib.util.find_spec("regopy") is None:
        return None
    done = subprocess.run(
        [sys.executable, "-m", "bench._policy_peers", str(calls)],
        check=True,
        capture_output=True,
        text=True,
        timeout=300,
    )
    return float(done.stdout)


def opa_us() -> float | None:
    """The mean over the requests of what ``opa bench`` says, wall time, or None without an ``opa`` on the path."""
    program = shutil.which("opa")
    if program is None:
        return None
    with tempfile.TemporaryDirectory() as folder:
        place, question = Path(folder) / "policy", Path(folder) / "input.json"
        place.mkdir()
        for name, text in MODULES.items():
            (place / name).write_text(text, encoding="utf-8")
        (place / "data.json").write_text(json.dumps(DATA), encoding="utf-8")
        spent: list[float] = []
        for request in REQUESTS:
            question.write_text(json.dumps(request), encoding="utf-8")
            done = subprocess.run(
                [program, "bench", "--data", str(place), "--input", str(question), "--format", "json", ENTRYPOINT],
                check=True,
                capture_output=True,
                text=True,
                timeout=60,
            )
            found = json.loads(done.stdout)
            spent.append(found["T"] / found["N"] / 1000)
    return statistics.fmean(spent)


def _regopy(calls: int) -> float:
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

    check("regopy", lambda request: said(decide(request)))
    return median_us(decide, calls)


if __name__ == "__main__":
    print(_regopy(int(sys.argv[1])))
