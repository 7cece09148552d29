from __future__ import annotations

from companyos.core.access import Caller
from companyos.identity import RoleAuthorizer
from companyos.server.reads import CountedReads


class Counts:
    """Keeps what was counted."""

    def __init__(self) -> None:
        """Start with nothing."""
        self.seen: list[tuple[str, str]] = []

    def count(self, actor: str, action: str) -> None:
        """Keep one read."""
        self.seen.append((actor, action))


def test_allowed_reads_are_counted_and_nothing_else() -> None:
    """A read that is denied, and a write, count nothing; the verdict is that of the rules."""
    counts = Counts()
    rules = CountedReads(RoleAuthorizer(), counts)
    viewer = Caller(subject="user:ada", roles=frozenset({"viewer"}))
    assert rules.decide(viewer, "catalog.read", "services").allowed
    assert not rules.decide(viewer, "token.read", "tokens").allowed
    assert not rules.decide(viewer, "catalog.write", "service:x").allowed
    assert counts.seen == [("user:ada", "catalog.read")]
