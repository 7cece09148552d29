"""The values of operations: holds, approvals, incidents and their timelines, notifications, alerts."""

from __future__ import annotations

from datetime import datetime
from typing import Any, Literal, TypeAlias

import msgspec

from companyos.core.fields import Line, Url

ApprovalKind: TypeAlias = Literal["promotion", "waiver", "exception", "freeze_override", "require_approval"]
ApprovalStatus: TypeAlias = Literal["pending", "approved", "rejected", "expired"]
Decision: TypeAlias = Literal["approve", "reject"]
Severity: TypeAlias = Literal["sev1", "sev2", "sev3", "sev4"]
IncidentStatus: TypeAlias = Literal["open", "mitigated", "closed"]
TimelineKind: TypeAlias = Literal["opened", "note", "status", "severity", "link"]
NotificationStatus: TypeAlias = Literal["waiting", "delivered", "gave_up"]
AlertStatus: TypeAlias = Literal["firing", "resolved"]


class Hold(msgspec.Struct, frozen=True, kw_only=True):
    """A stop on a subject: while it is active, delivery does not move what it covers."""

    id: str
    subject: str
    """See ``subject.check_subject`` for the forms."""
    reason: str
    source: str
    """Who found the reason: ``user:<name>``, or the part of the platform, for example ``slo:budget``."""
    evidence: dict[str, str] = {}
    """What the reason rests on: names of measurements, digests and links."""
    placed_by: str
    placed_at: datetime
    until: datetime | None = None
    """When it ends by itself; None means that somebody lifts it."""
    lifted_at: datetime | None = None
    lifted_by: str | None = None
    lift_reason: str | None = None


class Approval(msgspec.Struct, frozen=True, kw_only=True):
    """A question to people and, once there is one, their answer."""

    id: str
    subject: str
    kind: ApprovalKind
    reason: str
    requested_by: str
    requested_by_id: str | None
    """The id of the author's subject, by which a second token of the author is recognised."""
    requested_at: datetime
    expires_at: datetime
    """The question and its answer both end here."""
    status: ApprovalStatus = "pending"
    decided_by: str | None = None
    decided_by_id: str | None = None
    decided_at: datetime | None = None
    decision_reason: str | None = None


class IncidentLink(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """An address that belongs to an incident: a trace, a chat, a dashboard."""

    url: Url
    title: Line = ""


class Incident(msgspec.Struct, frozen=True, kw_only=True):
    """Something that went wrong and that people work on."""

    id: str
    severity: Severity
    title: str
    subject: str
    status: IncidentStatus = "open"
    opened_by: str
    opened_at: datetime
    mitigated_at: datetime | None = None
    closed_at: datetime | None = None
    links: tuple[IncidentLink, ...] = ()


class TimelineEntry(msgspec.Struct, frozen=True, kw_only=True):
    """What happened in an incident, when, and who wrote it down. Entries are only ever added."""

    id: str
    incident_id: str
    at: datetime
    actor: str
    kind: TimelineKind
    text: str


class Notification(msgspec.Struct, frozen=True, kw_only=True):
    """Something that people outside are told once; it is in the outbox until their receiver has taken it."""

    id: str
    """What the receiver sees as ``webhook-id``, the same in every attempt."""
    key: str
    """What makes it the same notification when it is asked for again."""
    kind: str
    """What happened, as ``release.rolled_back``."""
    subject: str
    payload: dict[str, Any]
    created_at: datetime
    attempts: int = 0
    """How often somebody began to send it."""
    next_at: datetime | None = None
    """When the next attempt is due, or the end of the claim of one that goes on; None when nothing is left to do."""
    delivered_at: datetime | None = None
    gave_up_at: datetime | None = None
    last_error: str | None = None
    """Why the last attempt failed, in one sentence of ours."""


class Alert(msgspec.Struct, frozen=True, kw_only=True):
    """The newest that was heard of an alert."""

    fingerprint: str
    service: str
    name: str
    status: AlertStatus
    labels: dict[str, str]
    annotations: dict[str, str]
    starts_at: datetime
    """When it began to fire, by the clock of whoever watches; each new beginning is newer."""
    ends_at: datetime | None = None
    received_at: datetime
    """When this was heard last, by our clock."""
    generator_url: str = ""


class AlertReceipt(msgspec.Struct, frozen=True, kw_only=True):
    """What became of the alerts of one delivery, in numbers."""

    changed: int
    """Began or ceased to fire."""
    repeated: int
    """Said what was known."""
    outdated: int
    """Older than what was known."""
    ignored: int
    """Named no service."""
    truncated: int
    """Left out by the sender."""
