from __future__ import annotations

from datetime import UTC, datetime
from typing import Any, Final

import pytest
from hypothesis import given
from hypothesis import strategies as st

from companyos.evidence import Artifact, Denial, Facts, Invalid, Missing, Verified, admit

AT: Final = datetime(2026, 1, 1, tzinfo=UTC)
DIGEST: Final = "sha256:" + "a" * 64
ARTIFACT: Final = Artifact(
    digest=DIGEST,
    id="0",
    service="shop",
    version="1.1",
    commit="c" * 40,
    committed_at=AT,
    dependencies_digest="sha256:" + "d" * 64,
    size_bytes=1,
    files=2,
    built_by="user:olga",
    built_at=AT,
)
DENIAL: Final = Denial(
    digest=DIGEST, reason="it failed", release="shop@1.1", release_id="r", denied_by="system:delivery", denied_at=AT
)
FINE: Final[dict[str, Any]] = {
    "digest": DIGEST,
    "artifact": ARTIFACT,
    "signature": Verified(key_id="k", at=AT),
    "denial": None,
    "running": None,
    "in_flight": None,
    "holds": (),
    "service_known": True,
}
BROKEN: Final[list[tuple[str, dict[str, Any], str]]] = [
    ("unknown-artifact", {"artifact": None}, "no artifact sha256:aaa"),
    ("unsigned", {"signature": Missing()}, "is not signed"),
    ("bad-signature", {"signature": Invalid(reason="It was altered.")}, "does not hold: It was altered."),
    ("denied-digest", {"denial": DENIAL}, "denied after shop@1.1: it failed"),
    ("unknown-service", {"service_known": False}, "shop is not in the catalog"),
    ("duplicate", {"running": "shop@1.1"}, "shop@1.1 is running there already"),
    ("in-flight", {"in_flight": "shop@1.0"}, "shop@1.0 is on its way"),
    ("hold", {"holds": ("freeze", "other")}, "A hold stops this: freeze"),
]
"""In the order in which the rules are asked."""


def test_what_is_fine_is_admitted() -> None:
    """All rules together have a name too."""
    answer = admit(Facts(**FINE))
    assert (answer.allowed, answer.policy, answer.next_step) == (True, "admission:all", "")


@pytest.mark.parametrize(("rule", "facts", "reason"), BROKEN, ids=[rule for rule, _, _ in BROKEN])
def test_each_rule_says_no_by_its_name(rule: str, facts: dict[str, Any], reason: str) -> None:
    """With one sentence on why, and one on what to do."""
    answer = admit(Facts(**FINE | facts))
    assert (answer.allowed, answer.policy) == (False, f"admission:{rule}")
    assert reason in answer.reason
    assert answer.next_step


@given(st.sets(st.integers(0, len(BROKEN) - 1), min_size=1))
def test_the_first_rule_that_is_broken_is_the_answer(broken: set[int]) -> None:
    """Whatever else is wrong; of two signatures the second fault replaces the first."""
    facts = dict(FINE)
    for place in sorted(broken, reverse=True):
        facts |= BROKEN[place][1]
    assert admit(Facts(**facts)).policy == f"admission:{BROKEN[min(broken)][0]}"


def test_it_fails_closed() -> None:
    """A signature that nobody has looked at, and an artifact of another digest, are refused."""
    assert admit(Facts(**FINE | {"signature": None})).policy == "admission:bad-signature"
    assert admit(Facts(**FINE | {"digest": "sha256:" + "b" * 64})).policy == "admission:unknown-artifact"
