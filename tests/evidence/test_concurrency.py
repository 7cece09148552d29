from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

from companyos.core.access import Caller
from companyos.evidence import Denial, Evidence, Verified
from companyos.ledger import Journal
from tests.evidence.artifacts import tar
from tests.pillar import person, records

T = TypeVar("T")
MANY = 8


def together(ask: Callable[[int], T]) -> list[T]:
    """Ask from many threads at once."""
    with ThreadPoolExecutor(MANY) as pool:
        return list(pool.map(ask, range(MANY)))


def test_the_same_artifact_from_many_is_one(journal: Journal, operator: Caller) -> None:
    """Stored once, signed once, and everybody gets the same answer."""
    data = tar()
    made = together(lambda _: Evidence(journal).put_artifact(operator, data))
    assert len(set(made)) == 1
    signed = together(lambda _: Evidence(journal).sign_artifact(operator, made[0].digest))
    assert len({one.envelope_digest for one in signed}) == 1
    assert isinstance(Evidence(journal).signature_of(made[0].digest), Verified)
    assert [record.verb for record in records(journal)] == ["artifact.store", "artifact.sign"]


def test_the_same_denial_from_many_is_one(journal: Journal) -> None:
    """Whoever is first says why."""
    evidence, digest = Evidence(journal), "sha256:" + "a" * 64

    def deny(number: int) -> Denial:
        caller = person(f"p{number}", "operator")
        with journal.write(caller, unchanged_ok=True) as change:
            return evidence.deny_in(
                change, caller, digest, reason=f"r{number}", release="shop@1.0", release_id=f"r{number}"
            )

    assert len(set(together(deny))) == 1
    assert len(records(journal)) == 1
