"""Policies of the tests, as programs: what a compiled bundle is to the decision point."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from companyos.policy.active import ActiveBundle
from companyos_sdk.policy.decision import BundleIdentity

Policy = Callable[[dict[str, Any]], dict[str, Any]]


class Program:
    """A policy in Python that can read the whole input, or the given paths of it."""

    def __init__(self, policy: Policy, paths: tuple[tuple[str, ...], ...] = ((),)) -> None:
        """Take the function, and what it reads."""
        self._policy = policy
        self.input_paths = paths

    def observe(self, input: Any) -> tuple[Any, tuple[Any, ...]]:
        """Return what the policy says, and what it read."""
        return self._policy(input), tuple(_at(input, path) for path in self.input_paths)


def _at(value: Any, path: tuple[str, ...]) -> Any:
    for part in path:
        value = value.get(part) if isinstance(value, dict) else None
    return value


def said(decision: str, reason: str, *obligations: dict[str, Any]) -> dict[str, Any]:
    """Return what a policy answers."""
    return {"decision": decision, "reason": reason, "obligations": list(obligations)}


def bundle(program: Program, name: str = "acme/records", version: str = "1.0.0") -> ActiveBundle:
    """Return an active bundle around a program."""
    identity = BundleIdentity(id=name, version=version, stage="prod", digest="sha256:" + "a" * 64)
    return ActiveBundle(identity=identity, program=program)


def _records(asked: dict[str, Any]) -> dict[str, Any]:
    """Decide as the certification scenario of AuthZEN wants it (its section "Required Policy Behaviour")."""
    who, action, record = asked["subject"], asked["action"], asked["resource"]
    if action == "read":
        return said("allow", "records.read")
    if action == "write":
        if who["attributes"].get("role") == "admin":
            return said("allow", "records.admin")
        allowed = who["id"] == "alice" and record.get("status") != "archived"
        return said("allow" if allowed else "deny", "records.write")
    soft = asked["context"].get("action", {}).get("soft")
    return said("allow" if soft is True else "deny", "records.delete")


FIXTURE = Program(_records)
