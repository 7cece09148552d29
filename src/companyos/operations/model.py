"""The values of operations: holds, approvals, incidents and their timelines."""

from __future__ import annotations

from datetime import datetime
from typing import Literal, TypeAlias

import msgspec

from companyos.core.fields import Line, Url

ApprovalKind: TypeAlias = Literal["promotion", "waiver", "exception", "freeze_override", "require_approval"]
ApprovalStatus: TypeAlias = Literal["pending", "approved", "rejected", "expired"]
Decision: TypeAlias = Literal["approve", "reject"]
Severity: TypeAlias = Literal["sev1", "sev2", "sev3", "sev4"]
IncidentStatus: TypeAlias = Literal["open", "mitigated", "closed"]
TimelineKind: TypeAlias = Literal["opened", "note", "status", "severity", "link"]


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
