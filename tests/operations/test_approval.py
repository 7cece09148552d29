from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from companyos.core.access import Caller
from companyos.core.errors import CompanyOSError, Conflict, Denied, InvalidInput
from companyos.operations import Approval
from companyos.operations.approval import DEFAULT_LIFE, MAX_LIFE, as_of, decide, request
from tests.pillar import person

NOW = datetime(2026, 5, 1, 12, tzinfo=UTC)
callers = st.builds(
    Caller,
    subject=st.sampled_from(["user:ann", "user:bob", "service:ci", "service:ann", "os:ann", "system:slo", "anonymous"]),
    roles=st.frozensets(st.sampled_from(["admin", "sre_lead"])),
    subject_id=st.sampled_from([None, "1", "2", "3"]),
)


def asked(caller: Caller, expires_at: datetime | None = None) -> Approval:
    """Return a request of this caller, made now."""
    return request(caller, id="a1", subject="service:shop", kind="waiver", reason="why", expires_at=expires_at, now=NOW)


@given(callers, callers, st.sampled_from(["approve", "reject"]), st.integers(0, 10 * 86_400))
def test_nobody_decides_what_they_asked_for(author: Caller, approver: Caller, decision: str, later_s: int) -> None:
    """Whatever tokens and roles they come with: another person with a subject decides, in time, or nobody does."""
    try:
        question = asked(author)
        decided = decide(question, approver, decision, reason="ok", now=NOW + timedelta(seconds=later_s))  # type: ignore[arg-type] # one of the two
    except CompanyOSError:
        return
    assert approver.subject_id is not None
    assert approver.subject_id != author.subject_id
    assert approver.subject != author.subject
    assert approver.subject.startswith("user:")
    assert decided.decided_by == approver.subject
    assert later_s < DEFAULT_LIFE.total_seconds()


def test_a_second_token_is_the_same_person() -> None:
    """The id of the subject decides, not the name that it goes by."""
    ann = person("ann", "sre_lead")
    renamed = Caller(subject="user:anna", roles=ann.roles, subject_id=ann.subject_id, ip="198.51.100.1")
    with pytest.raises(Denied, match="somebody else") as caught:
        decide(asked(ann), renamed, "approve", reason="ok", now=NOW)
    assert (caught.value.action, caught.value.resource) == ("approval.decide", "service:shop")
    assert caught.value.policy == "approvals:four-eyes"


def test_a_program_decides_nothing() -> None:
    """Nobody can say who stands behind it; the same holds for somebody at the files."""
    for approver in (person("ci", "admin", type="service"), Caller(subject="os:bob"), Caller(subject="system:slo")):
        with pytest.raises(Denied, match="only people"):
            decide(asked(person("ann")), approver, "approve", reason="ok", now=NOW)


def test_an_author_must_be_somebody() -> None:
    """A caller at the files could be the approver; the platform's own loops may ask."""
    with pytest.raises(Denied, match="no subject"):
        asked(Caller(subject="os:ann", roles=frozenset({"admin"})))
    assert asked(Caller(subject="system:slo")).requested_by == "system:slo"


def test_a_decision_is_made_once() -> None:
    """The second approver reads who was first."""
    decided = decide(asked(person("ann")), person("bob"), "reject", reason="no", now=NOW)
    assert (decided.status, decided.decided_by, decided.decision_reason) == ("rejected", "user:bob", "no")
    with pytest.raises(Conflict, match="user:bob has rejected"):
        decide(decided, person("eve"), "approve", reason="ok", now=NOW)


def test_questions_and_approvals_expire() -> None:
    """At the moment that was said, both; a refusal stays."""
    question = asked(person("ann"), NOW + timedelta(hours=1))
    just, late = NOW + timedelta(minutes=59), NOW + timedelta(hours=1)
    approved = decide(question, person("bob"), "approve", reason="ok", now=just)
    rejected = decide(question, person("bob"), "reject", reason="no", now=just)
    assert [as_of(one, just).status for one in (question, approved, rejected)] == ["pending", "approved", "rejected"]
    assert [as_of(one, late).status for one in (question, approved, rejected)] == ["expired", "expired", "rejected"]
    with pytest.raises(Conflict, match="expired"):
        decide(question, person("bob"), "approve", reason="ok", now=late)


def test_the_end_of_a_request_is_bounded() -> None:
    """Not in the past, and not for ever."""
    assert asked(person("ann")).expires_at == NOW + DEFAULT_LIFE
    assert asked(person("ann"), NOW + MAX_LIFE).expires_at == NOW + MAX_LIFE
    for wrong in (NOW, NOW - timedelta(seconds=1), NOW + MAX_LIFE + timedelta(seconds=1)):
        with pytest.raises(InvalidInput) as caught:
            asked(person("ann"), wrong)
        assert caught.value.field == "expires_at"
