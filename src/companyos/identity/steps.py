"""What the use cases do within a transaction: each step writes one thing and notes it for the ledger.

Names and addresses of people go into the ledger as personal values, which can be erased without breaking a proof.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from companyos.core.clock import rfc3339
from companyos.core.ids import uuid7
from companyos.identity import store
from companyos.identity.errors import RoleBeyondCaller
from companyos.identity.model import IssuedToken, RoleBinding, Subject, SubjectStatus, SubjectType, Token
from companyos.identity.roles import beyond
from companyos.identity.secret import hash_secret, new_secret, write_token

if TYPE_CHECKING:
    from collections.abc import Iterable
    from datetime import datetime

    from companyos.core.access import Caller, Verdict
    from companyos.core.canonical import JsonValue
    from companyos.ledger import Change


def create(
    change: Change,
    verdict: Verdict,
    type: SubjectType,
    name: str,
    now: datetime,
    *,
    display_name: str | None = None,
    email: str | None = None,
) -> Subject:
    """Return the new subject, active and without roles, or raise SubjectExists."""
    subject = Subject(
        id=uuid7(),
        type=type,
        name=name,
        status="active",
        created_at=now,
        display_name=display_name,
        email=email,
    )
    store.insert_subject(change.connection, subject)
    personal = {"display_name": display_name, "email": email}
    change.record(
        verb="subject.create",
        target=subject.actor,
        verdict=verdict,
        details={"subject_id": subject.id},
        personal={key: value for key, value in personal.items() if value},
    )
    return subject


def set_status(change: Change, verdict: Verdict, subject: Subject, status: SubjectStatus) -> Subject:
    """Return the subject with its new status; suspending ends its browser sessions and login codes."""
    store.set_status(change.connection, subject.id, status)
    if status == "suspended":
        store.delete_entrances(change.connection, subject.id)
    verb = "subject.suspend" if status == "suspended" else "subject.activate"
    change.record(verb=verb, target=subject.actor, verdict=verdict, details={"subject_id": subject.id})
    return msgspec.structs.replace(subject, status=status)


def bind(change: Change, verdict: Verdict, subject: Subject, binding: RoleBinding) -> Subject:
    """Return the subject with the binding, which replaces one of the same role in the same place."""
    store.bind(change.connection, subject.id, binding)
    details: dict[str, JsonValue] = {"role": binding.role}
    if binding.expires_at is not None:
        details["expires_at"] = rfc3339(binding.expires_at)
    change.record(verb="role.bind", target=subject.actor, verdict=verdict, details=details)
    return msgspec.structs.replace(subject, bindings=(*_without(subject, binding), binding))


def unbind(change: Change, verdict: Verdict, subject: Subject, binding: RoleBinding) -> Subject:
    """Return the subject without the binding."""
    store.unbind(change.connection, subject.id, binding)
    change.record(verb="role.unbind", target=subject.actor, verdict=verdict, details={"role": binding.role})
    return msgspec.structs.replace(subject, bindings=_without(subject, binding))


def issue(
    change: Change, verdict: Verdict, subject: Subject, now: datetime, *, expires_at: datetime | None, label: str
) -> IssuedToken:
    """Return a new token of the subject with its secret, of which only the hash is written."""
    secret = new_secret()
    token = Token(
        id=uuid7(),
        subject_id=subject.id,
        subject=subject.actor,
        label=label,
        created_at=now,
        expires_at=expires_at,
    )
    store.insert_token(change.connection, token, hash_secret(secret))
    details: dict[str, JsonValue] = {"subject": subject.actor, "roles": sorted(subject.roles(now))}
    if expires_at is not None:
        details["expires_at"] = rfc3339(expires_at)
    change.record(verb="token.issue", target=f"token:{token.id}", verdict=verdict, details=details)
    return IssuedToken(token=token, secret=write_token(token.id, secret))


def check_grant(caller: Caller, subject: Subject, roles: Iterable[str], *, action: str) -> None:
    """Return when the caller may hand these roles out, or raise RoleBeyondCaller."""
    if missing := beyond(caller, set(roles)):
        raise RoleBeyondCaller(caller.subject, missing, action=action, resource=subject.actor)


def _without(subject: Subject, binding: RoleBinding) -> tuple[RoleBinding, ...]:
    place = (binding.role, binding.workspace_id)
    return tuple(other for other in subject.bindings if (other.role, other.workspace_id) != place)
