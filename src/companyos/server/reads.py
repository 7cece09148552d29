"""Reads are counted by who reads what: every allowed ``….read`` passes the authorizer, so it is counted there."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Protocol

from companyos.core.access import NO_FACTS, Authorizer, Caller, Verdict

_READ = ".read"


class Counter(Protocol):
    """What keeps the counts; the journal's read counter does."""

    def count(self, actor: str, action: str) -> None:
        """Count one read."""
        ...


class CountedReads:
    """An authorizer that asks another one and counts the reads that it allows."""

    def __init__(self, inner: Authorizer, counter: Counter) -> None:
        """Take what decides and what counts."""
        self._inner = inner
        self._counter = counter

    def decide(self, caller: Caller, action: str, resource: str, facts: Mapping[str, Any] = NO_FACTS) -> Verdict:
        """Return the verdict of the inner authorizer."""
        verdict = self._inner.decide(caller, action, resource, facts)
        if verdict.allowed and action.endswith(_READ):
            self._counter.count(caller.subject, action)
        return verdict
