"""Who may decide a request, and when: four eyes, whatever tokens they come with.

The approver is the authenticated caller and never an argument. It is a person with a subject of their own: of a
program, or of somebody who works on the files, nobody can say whether the author stands behind it.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Final

import msgspec

from companyos.core.access import Caller
from companyos.core.errors import Conflict, Denied, InvalidInput
from companyos.operations.model import Approval, ApprovalKind, ApprovalStatus, Decision

DEFAULT_LIFE: Final = timedelta(days=7)
MAX_LIFE: Final = timedelta(days=90)
_POLICY: Final = "approvals:four-eyes"


def request(
    caller: Caller,
    *,
    id: str,
    subject: str,
    kind: ApprovalKind,
    reason: str,
    expires_at: datetime | None,
    now: datetime,
) -> Approval:
    """Return the new request of this caller; it lives ``DEFAULT_LIFE`` unless said otherwise.

    Raises InvalidInput for an end outside of ``MAX_LIFE``, and Denied for an author whom nobody could tell from the
    approver: a caller who works on the files.
    """
    end = expires_at or now + DEFAULT_LIFE
    if not now < end <= now + MAX_LIFE:
        raise InvalidInput(
            f"A request ends within {MAX_LIFE.days} days.", next_step="Change when it ends.", field="expires_at"
        )
    if caller.subject_id is None and not caller.subject.startswith("system:"):
        raise Denied(
            f"{caller.subject} is no subject, so nobody could be proven to be somebody else.",
            next_step="Sign in with a token.",
            action="approval.request",
            resource=subject,
            policy=_POLICY,
        )
    return Approval(
        id=id,
        subject=subject,
        kind=kind,
        reason=reason,
        requested_by=caller.subject,
        requested_by_id=caller.subject_id,
        requested_at=now,
        expires_at=end,
    )


def status_at(approval: Approval, now: datetime) -> ApprovalStatus:
    """Return the status at this moment: a request nobody answered, and an approval, both expire; a refusal stays."""
    if approval.status in {"pending", "approved"} and now >= approval.expires_at:
        return "expired"
    return approval.status


def as_of(approval: Approval, now: datetime) -> Approval:
    """Return the approval with the status that it has at this moment."""
    return msgspec.structs.replace(approval, status=status_at(approval, now))


def is_author(approval: Approval, caller: Caller) -> bool:
    """Tell whether the caller asked for this approval, under whichever token."""
    same_subject = approval.requested_by_id is not None and approval.requested_by_id == caller.subject_id
    return same_subject or approval.requested_by == caller.subject


def decide(approval: Approval, caller: Caller, decision: Decision, *, reason: str, now: datetime) -> Approval:
    """Return the decided approval.

    Raises Denied when the caller is the author, a program, or no subject; Conflict when it is decided or has expired.
    """
    if is_author(approval, caller):
        raise _denied(approval, f"{caller.subject} asked for this approval, so somebody else decides it.")
    if caller.subject_id is None or not caller.subject.startswith("user:"):
        raise _denied(approval, f"{caller.subject} is not a signed-in person, and only people decide approvals.")
    status = status_at(approval, now)
    if status == "expired":
        raise Conflict("This request has expired.", next_step="Ask again.")
    if status != "pending":
        raise Conflict(f"{approval.decided_by} has {status} this already.", next_step="Ask again if that has changed.")
    return msgspec.structs.replace(
        approval,
        status="approved" if decision == "approve" else "rejected",
        decided_by=caller.subject,
        decided_by_id=caller.subject_id,
        decided_at=now,
        decision_reason=reason,
    )


def _denied(approval: Approval, sentence: str) -> Denied:
    return Denied(
        sentence,
        next_step="Ask a colleague who may decide approvals.",
        action="approval.decide",
        resource=approval.subject,
        policy=_POLICY,
    )
