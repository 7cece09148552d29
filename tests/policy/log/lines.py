"""Records as the SDK makes them, for tests that need some."""

from __future__ import annotations

import time
from typing import Any

import msgspec

from companyos_sdk.policy.decider import Decider
from companyos_sdk.policy.decision import BundleIdentity, Obligation
from companyos_sdk.policy.ids import stamp
from companyos_sdk.policy.record import MemoryRecorder, Outcome, receipt
from companyos_sdk.rego.values import UNDEFINED

PATHS = (
    ("subject", "id"),
    ("subject", "attributes", "clearance"),
    ("action",),
    ("resource", "region"),
    ("context", "t"),
)
BUNDLE = BundleIdentity(
    id="acme/documents",
    version="1.0.0",
    stage="prod",
    digest="sha256:" + "a" * 64,
    data_digest="sha256:" + "b" * 64,
)
MASK = Obligation("mask_fields", "mask_fields", {"fields": ["iban"]})


class _Program:
    """A policy that answers what the test wants."""

    input_paths = PATHS

    def __init__(self, allow: bool, obligations: tuple[Obligation, ...], seen: tuple[Any, ...]) -> None:
        owed = [{"id": one.id, "type": one.type, "properties": one.properties} for one in obligations]
        reason = "role.bound" if allow else "residency.eu"
        self._value = {"decision": "allow" if allow else "deny", "reason": reason, "obligations": owed}
        self._seen = seen

    def observe(self, input: Any) -> tuple[Any, tuple[Any, ...]]:
        del input
        return self._value, self._seen


def decision(
    subject: str = "ana", *, allow: bool = True, obligations: tuple[Obligation, ...] = (), clearance: Any = "high"
) -> bytes:
    """Return the record of a decision about this subject."""
    recorder = MemoryRecorder()
    program = _Program(allow, obligations, (subject, clearance, "read", "eu", UNDEFINED))
    resource = {"id": "dossier-7", "type": "document"}
    Decider(program, BUNDLE, recorder).authorize({"id": subject, "type": "user"}, "read", resource, {})
    return recorder.lines[-1]


def fulfilment(audit_id: str) -> bytes:
    """Return a receipt for a decision."""
    done = (Outcome(id="log_event", type="log_event", outcome="done", properties={"event": "ana-exported"}),)
    return receipt(stamp(time.time_ns()), audit_id, BUNDLE, "before", done, granted=True)


def id_of(line: bytes) -> str:
    """Return the audit id of a record."""
    found: str = msgspec.json.decode(line)["audit_id"]
    return found
