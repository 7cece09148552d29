from __future__ import annotations

from collections.abc import Callable

import pytest

from companyos.core.access import Caller
from companyos.core.clock import ManualClock
from companyos.core.errors import Denied, InvalidInput
from companyos.evidence import Artifact, Evidence
from companyos.evidence.errors import ArtifactNotFound, DenialNotFound
from companyos.ledger import Journal
from tests.pillar import person, records

UNKNOWN = "sha256:" + "0" * 64


def test_a_denial_is_written_once_and_lifted(
    evidence: Evidence, stored: Callable[..., Artifact], journal: Journal, operator: Caller, clock: ManualClock
) -> None:
    """In the controller's transaction; the second time answers with the first."""
    made, lead = stored(), person("lea", "sre_lead")
    loop = Caller(subject="system:delivery")
    denials = []
    for reason in ("it failed", "it failed again"):
        with journal.write(loop, unchanged_ok=True) as change:
            denials.append(
                evidence.deny_in(change, loop, made.digest, reason=reason, release="shop@1.0", release_id="r1")
            )
        clock.advance(5)
    assert denials[0] == denials[1]
    assert (denials[0].reason, denials[0].denied_by, denials[0].release_id) == ("it failed", "system:delivery", "r1")
    with journal.read() as connection:
        assert evidence.denial(connection, made.digest) == denials[0]
    assert evidence.get_artifact(lead, made.digest).denial == denials[0]
    with pytest.raises(Denied):
        evidence.lift_denial(operator, made.digest, "no")
    evidence.lift_denial(lead, made.digest, "it was the network")
    with pytest.raises(DenialNotFound):
        evidence.lift_denial(lead, made.digest, "again")
    with journal.read() as connection:
        assert evidence.denial(connection, made.digest) is None
    found = records(journal)
    assert [record.verb for record in found] == ["artifact.store", "artifact.deny", "artifact.allow"]
    assert found[2].details["denied_because"] == "it failed"
    with journal.write(loop) as change:
        evidence.deny_in(change, loop, made.digest, reason="anew", release="shop@1.0", release_id="r2")


def test_a_denial_belongs_to_its_transaction(evidence: Evidence, journal: Journal) -> None:
    """When the rollback is not written down, neither is the denial; a digest that nobody has stored can be denied."""
    loop = Caller(subject="system:delivery")

    def fail() -> None:
        with journal.write(loop) as change:
            evidence.deny_in(change, loop, UNKNOWN, reason="x", release="shop@1.0", release_id="r")
            raise RuntimeError

    with pytest.raises(RuntimeError):
        fail()
    with journal.read() as connection:
        assert evidence.denial(connection, UNKNOWN) is None
    assert journal.size() == 0
    with pytest.raises(InvalidInput), journal.write(loop) as change:
        evidence.deny_in(change, loop, "shop", reason="x", release="shop@1.0", release_id="r")


def test_a_person_denies_what_no_release_has_shown(
    evidence: Evidence, stored: Callable[..., Artifact], journal: Journal, viewer: Caller
) -> None:
    """A flaw that became known later; the record names who and by which role."""
    made, approver = stored(), person("sam", "security_approver")
    with pytest.raises(Denied):
        evidence.deny(viewer, made.digest, "x")
    denied = evidence.deny(approver, made.digest, "it holds a known flaw")
    assert (denied.release, denied.release_id, denied.denied_by) == ("shop@1.0", "", "user:sam")
    assert evidence.deny(approver, made.digest, "again") == denied
    assert [(record.verb, record.policy) for record in records(journal)][1:] == [
        ("artifact.deny", "roles:security_approver")
    ]
    with pytest.raises(ArtifactNotFound):
        evidence.deny(approver, UNKNOWN, "x")
