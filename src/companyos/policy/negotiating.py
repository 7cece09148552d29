"""Programs around a policy: one that always denies, and one that knows what the enforcing side can fulfil."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final, TypeAlias

from companyos_sdk.policy.decider import Program
from companyos_sdk.policy.decision import normalised
from companyos_sdk.rego.values import UNDEFINED

UNSUPPORTED: Final = "obligation.unsupported"
"""The policy allows it under an obligation that the enforcing side has said it cannot fulfil."""

Supports: TypeAlias = Callable[[str, frozenset[str]], bool]
"""Tells whether an obligation of this type can be fulfilled by who supports these."""


class Always:
    """A program that reads nothing and denies for one reason."""

    input_paths: tuple[tuple[str, ...], ...] = ()

    def __init__(self, reason: str) -> None:
        """Take the reason."""
        self._value = {"decision": "deny", "reason": reason, "obligations": []}

    def observe(self, input: object) -> tuple[Any, tuple[Any, ...]]:
        """Return the denial."""
        del input
        return self._value, ()


class Negotiated:
    """A policy, for an enforcing side that fulfils certain obligations only: allowed under another one is denied."""

    def __init__(self, program: Program, supported: frozenset[str], supports: Supports) -> None:
        """Take the policy, and what the enforcing side supports."""
        self._program = program
        self._supported = supported
        self._supports = supports

    @property
    def input_paths(self) -> tuple[tuple[str, ...], ...]:
        """The paths that the policy can read."""
        return self._program.input_paths

    def observe(self, input: object) -> tuple[Any, tuple[Any, ...]]:
        """Return what the policy says, turned into a denial where that is due."""
        value, seen = self._program.observe(input)
        allowed, _, owed, _ = normalised(value, UNDEFINED)
        if not allowed or all(self._supports(one.type, self._supported) for one in owed):
            return value, seen
        return {**value, "decision": "deny", "reason": UNSUPPORTED}, seen
