"""The HTTP face of operations: holds, approvals, incidents; alerts and notifications are in ``messages_http``."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Annotated, Final

import msgspec
from litestar import Router, get, patch, post
from litestar.di import NamedDependency
from litestar.params import FromQuery, JSONBody, QueryParameter
from litestar.types import ControllerRouterHandler
from msgspec import Meta

from companyos.core.access import Caller
from companyos.core.fields import Key, Line, Sentence, Text
from companyos.core.paging import DEFAULT_LIMIT, Page
from companyos.operations import messages_http
from companyos.operations.model import (
    Approval,
    ApprovalKind,
    ApprovalStatus,
    Decision,
    Hold,
    Incident,
    IncidentLink,
    IncidentStatus,
    Severity,
    TimelineEntry,
)
from companyos.operations.parameters import Cursor, Id, Limit, SubjectFilter
from companyos.operations.service import Operations

SubjectText = Annotated[
    str, Meta(min_length=1, max_length=200, description="fleet, service:<name>, release:<name>@<version>, …")
]
Moment = Annotated[datetime, Meta(tz=True)]
Links = Annotated[list[IncidentLink], Meta(max_length=32)]


class NewHold(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What shall be stopped, and why."""

    subject: SubjectText
    reason: Sentence
    evidence: Annotated[dict[Key, Text], Meta(max_length=8)] = {}
    until: Moment | None = None


class Lift(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Why a hold is lifted."""

    reason: Sentence


class NewApproval(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What somebody else shall decide."""

    subject: SubjectText
    kind: ApprovalKind
    reason: Sentence
    expires_at: Moment | None = None


class Answer(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The decision of the caller."""

    decision: Decision
    reason: Sentence


class NewIncident(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What went wrong."""

    subject: SubjectText
    title: Annotated[Line, Meta(min_length=1)]
    severity: Severity
    links: Links = []


class IncidentChange(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What is different now; ``links`` are added to those that are there, ``text`` goes into the timeline."""

    status: IncidentStatus | None = None
    severity: Severity | None = None
    links: Links = []
    text: Text = ""


class Note(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """An entry for the timeline."""

    text: Annotated[Text, Meta(min_length=1)]


@get("/holds", sync_to_thread=True)
def list_holds(
    caller: NamedDependency[Caller],
    operations: NamedDependency[Operations],
    subject: SubjectFilter = None,
    active: Annotated[bool, QueryParameter(description="Only those that stop something now.")] = True,  # noqa: FBT002 - a query parameter
    cursor: Cursor = None,
    limit: Limit = DEFAULT_LIMIT,
) -> Page[Hold]:
    """List holds, newest first."""
    return operations.list_holds(caller, subject=subject, active=active, cursor=cursor, limit=limit)


@post("/holds", sync_to_thread=True)
def place_hold(
    caller: NamedDependency[Caller], operations: NamedDependency[Operations], data: JSONBody[NewHold]
) -> Hold:
    """Stop a subject; its source is the caller."""
    return operations.place_hold(caller, data.subject, reason=data.reason, evidence=data.evidence, until=data.until)


@get("/holds/{id:str}", sync_to_thread=True)
def get_hold(caller: NamedDependency[Caller], operations: NamedDependency[Operations], id: Id) -> Hold:
    """Show a hold."""
    return operations.get_hold(caller, id)


@post("/holds/{id:str}/lift", status_code=200, sync_to_thread=True)
def lift_hold(
    caller: NamedDependency[Caller], operations: NamedDependency[Operations], id: Id, data: JSONBody[Lift]
) -> Hold:
    """Lift a hold that stops something now."""
    return operations.lift_hold(caller, id, reason=data.reason)


@get("/approvals", sync_to_thread=True)
def list_approvals(
    caller: NamedDependency[Caller],
    operations: NamedDependency[Operations],
    subject: SubjectFilter = None,
    kind: FromQuery[ApprovalKind | None] = None,
    status: FromQuery[ApprovalStatus | None] = None,
    cursor: Cursor = None,
    limit: Limit = DEFAULT_LIMIT,
) -> Page[Approval]:
    """List approvals, newest first, with the status they have now."""
    return operations.list_approvals(caller, subject=subject, kind=kind, status=status, cursor=cursor, limit=limit)


@post("/approvals", sync_to_thread=True)
def request_approval(
    caller: NamedDependency[Caller], operations: NamedDependency[Operations], data: JSONBody[NewApproval]
) -> Approval:
    """Ask for an approval; its author is the caller."""
    return operations.request_approval(
        caller, data.subject, kind=data.kind, reason=data.reason, expires_at=data.expires_at
    )


@get("/approvals/{id:str}", sync_to_thread=True)
def get_approval(caller: NamedDependency[Caller], operations: NamedDependency[Operations], id: Id) -> Approval:
    """Show an approval."""
    return operations.get_approval(caller, id)


@post("/approvals/{id:str}/decision", status_code=200, sync_to_thread=True)
def decide_approval(
    caller: NamedDependency[Caller], operations: NamedDependency[Operations], id: Id, data: JSONBody[Answer]
) -> Approval:
    """Approve or reject what somebody else has asked for; the approver is the caller."""
    return operations.decide_approval(caller, id, data.decision, reason=data.reason)


@get("/incidents", sync_to_thread=True)
def list_incidents(
    caller: NamedDependency[Caller],
    operations: NamedDependency[Operations],
    subject: SubjectFilter = None,
    status: FromQuery[IncidentStatus | None] = None,
    cursor: Cursor = None,
    limit: Limit = DEFAULT_LIMIT,
) -> Page[Incident]:
    """List incidents, newest first."""
    return operations.list_incidents(caller, subject=subject, status=status, cursor=cursor, limit=limit)


@post("/incidents", sync_to_thread=True)
def open_incident(
    caller: NamedDependency[Caller], operations: NamedDependency[Operations], data: JSONBody[NewIncident]
) -> Incident:
    """Open an incident."""
    return operations.open_incident(caller, data.subject, title=data.title, severity=data.severity, links=data.links)


@get("/incidents/{id:str}", sync_to_thread=True)
def get_incident(caller: NamedDependency[Caller], operations: NamedDependency[Operations], id: Id) -> Incident:
    """Show an incident."""
    return operations.get_incident(caller, id)


@patch("/incidents/{id:str}", sync_to_thread=True)
def change_incident(
    caller: NamedDependency[Caller], operations: NamedDependency[Operations], id: Id, data: JSONBody[IncidentChange]
) -> Incident:
    """Move an incident, grade it anew, or add links."""
    return operations.change_incident(
        caller, id, status=data.status, severity=data.severity, links=data.links, text=data.text
    )


@get("/incidents/{id:str}/timeline", sync_to_thread=True)
def get_timeline(
    caller: NamedDependency[Caller],
    operations: NamedDependency[Operations],
    id: Id,
    cursor: Cursor = None,
    limit: Limit = DEFAULT_LIMIT,
) -> Page[TimelineEntry]:
    """Show the timeline of an incident, oldest entry first."""
    return operations.timeline(caller, id, cursor=cursor, limit=limit)


@post("/incidents/{id:str}/timeline", sync_to_thread=True)
def add_timeline(
    caller: NamedDependency[Caller], operations: NamedDependency[Operations], id: Id, data: JSONBody[Note]
) -> TimelineEntry:
    """Add an entry to the timeline of an incident."""
    return operations.add_timeline(caller, id, data.text)


routes: Final[Sequence[ControllerRouterHandler]] = (
    Router(
        path="/api",
        tags=["operations"],
        route_handlers=[
            list_holds,
            place_hold,
            get_hold,
            lift_hold,
            list_approvals,
            request_approval,
            get_approval,
            decide_approval,
            list_incidents,
            open_incident,
            get_incident,
            change_incident,
            get_timeline,
            add_timeline,
            *messages_http.handlers,
        ],
    ),
)
