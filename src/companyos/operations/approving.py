"""The use cases of approvals."""

from __future__ import annotations

from typing import TYPE_CHECKING

from companyos.core.access import Caller, require
from companyos.core.clock import in_utc, rfc3339
from companyos.core.ids import is_uuid, uuid7
from companyos.core.paging import DEFAULT_LIMIT, Page, after_id, check_limit, page_by_id
from companyos.operations import approval as rules
from companyos.operations import store
from companyos.operations.errors import ApprovalNotFound
from companyos.operations.model import Approval, ApprovalKind, ApprovalStatus, Decision
from companyos.operations.subject import check_subject, named

if TYPE_CHECKING:
    from datetime import datetime

    from companyos.ledger import Journal


class Approving:
    """Questions to people: promotion, waiver, exception, freeze override, or an obligation of a policy."""

    def __init__(self, journal: Journal) -> None:
        """Work on the database, clock and ledger of this journal."""
        self.journal = journal

    def request_approval(
        self, caller: Caller, subject: str, *, kind: ApprovalKind, reason: str, expires_at: datetime | None = None
    ) -> Approval:
        """Return the new request, whose author is the caller. Raises as ``approval.request`` does."""
        check_subject(subject)
        end = in_utc(expires_at, field="expires_at") if expires_at is not None else None
        verdict = require(caller, "approval.request", subject)
        with self.journal.write(caller) as change:
            now = self.journal.clock.now()
            asked = rules.request(
                caller, id=uuid7(), subject=subject, kind=kind, reason=reason, expires_at=end, now=now
            )
            store.add(change.connection, asked)
            about = named(subject)
            change.record(
                verb="approval.request",
                target=subject,
                verdict=verdict,
                service=about.service,
                release=about.release,
                details={
                    "approval_id": asked.id,
                    "kind": kind,
                    "reason": reason,
                    "expires_at": rfc3339(asked.expires_at),
                },
            )
            return asked

    def decide_approval(self, caller: Caller, id: str, decision: Decision, *, reason: str) -> Approval:
        """Return the decided approval; the approver is the caller. Raises what ``approval.decide`` raises."""
        verdict = require(caller, "approval.decide", f"approval:{id}")
        with self.journal.write(caller) as change:
            known = store.get(change.connection, Approval, id, lock=True) if is_uuid(id) else None
            if known is None:
                raise ApprovalNotFound(id)
            decided = rules.decide(known, caller, decision, reason=reason, now=self.journal.clock.now())
            store.put(change.connection, decided)
            about = named(decided.subject)
            change.record(
                verb=f"approval.{decision}",
                target=decided.subject,
                verdict=verdict,
                service=about.service,
                release=about.release,
                details={
                    "approval_id": id,
                    "kind": decided.kind,
                    "reason": reason,
                    "requested_by": decided.requested_by,
                },
            )
            return decided

    def get_approval(self, caller: Caller, id: str) -> Approval:
        """Return an approval with the status it has now, or raise ApprovalNotFound."""
        require(caller, "approval.read", f"approval:{id}")
        with self.journal.read() as connection:
            found = store.get(connection, Approval, id) if is_uuid(id) else None
        if found is None:
            raise ApprovalNotFound(id)
        return rules.as_of(found, self.journal.clock.now())

    def list_approvals(
        self,
        caller: Caller,
        *,
        subject: str | None = None,
        kind: ApprovalKind | None = None,
        status: ApprovalStatus | None = None,
        cursor: str | None = None,
        limit: int = DEFAULT_LIMIT,
    ) -> Page[Approval]:
        """Return a page of approvals, newest first, each with the status it has now."""
        require(caller, "approval.read", subject or "approvals")
        check_limit(limit)
        if subject is not None:
            check_subject(subject)
        now = self.journal.clock.now()
        with self.journal.read() as connection:
            found = store.approvals_page(
                connection,
                subject=subject,
                kind=kind,
                status=status,
                now=now,
                after=after_id(cursor),
                limit=limit + 1,
            )
        return page_by_id([rules.as_of(approval, now) for approval in found], limit, lambda approval: approval.id)

    def standing_approval(self, subject: str, kind: ApprovalKind, now: datetime | None = None) -> Approval | None:
        """Return the newest approval of this kind that is in force for the subject at the moment, or None.

        Other pillars ask this before they act; it needs no permission. Raises InvalidInput.
        """
        check_subject(subject)
        moment = now or self.journal.clock.now()
        with self.journal.read() as connection:
            found = store.approvals_page(
                connection, subject=subject, kind=kind, status="approved", now=moment, after=None, limit=1
            )
        return found[0] if found else None
