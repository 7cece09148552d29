"""What the use cases do within a transaction: each step writes one thing and notes it for the ledger.

Names and addresses of people go into the ledger as personal values, which can be erased without breaking a proof.
"""

from __future__ import annotations

from types import MappingProxyType
from typing import TYPE_CHECKING

import msgspec

from companyos.core.clock import rfc3339
from companyos.core.ids import uuid7
from companyos.identity import attribute_store, store
from companyos.identity.attribute import printable
from companyos.identity.errors import RoleBeyondCaller
from companyos.identity.model import IssuedToken, RoleBinding, Subject, SubjectStatus, SubjectType, Token
from companyos.identity.roles import beyond
from companyos.identity.secret import hash_secret, new_secret, write_token
from companyos.ledger.body import MAX_PERSONAL

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence
    from datetime import datetime

    from companyos.core.access import Caller, Verdict
    from companyos.core.canonical import JsonValue
    from companyos.identity.attribute import Attribute
    from companyos.ledger import Change


def create(
    change: Change,
    verdict: Verdict,
    type: SubjectType,
    name: str,
    now: datetime,
    facts: Mapping[str, str | None] = MappingProxyType({}),
) -> Subject:
    """Return the new subject, active and without roles, or raise SubjectExists.

    ``facts`` may hold ``display_name``, ``email``, ``org_id`` and ``workspace_id``.
    """
    subject = Subject(
        id=uuid7(),
        type=type,
        name=name,
        status="active",
        created_at=now,
        display_name=facts.get("display_name"),
        email=facts.get("email"),
        org_id=facts.get("org_id"),
        workspace_id=facts.get("workspace_id"),
    )
    subject = store.insert_subject(change.connection, subject)
    change.record(
        verb="subject.create",
        target=subject.actor,
        verdict=verdict,
        details={"subject_id": subject.id, **_place(subject)},
        personal=_names(subject),
    )
    return subject


def describe(change: Change, verdict: Verdict, before: Subject, after: Subject) -> Subject:
    """Return the subject with another org, workspace, name for people or address."""
    store.place_subject(change.connection, after)
    after = store.touch_subject(change.connection, after)
    fields = ("org_id", "workspace_id", "display_name", "email")
    changed: list[JsonValue] = [field for field in fields if getattr(before, field) != getattr(after, field)]
    change.record(
        verb="subject.change",
        target=after.actor,
        verdict=verdict,
        details={"subject_id": after.id, "changed": changed, **_place(after)},
        personal=_names(after),
    )
    return after


def set_status(change: Change, verdict: Verdict, subject: Subject, status: SubjectStatus) -> Subject:
    """Return the subject with its new status; suspending ends its browser sessions and login codes."""
    store.set_status(change.connection, subject.id, status)
    subject = store.touch_subject(change.connection, subject)
    if status == "suspended":
        store.delete_entrances(change.connection, subject.id)
    verb = "subject.suspend" if status == "suspended" else "subject.activate"
    change.record(verb=verb, target=subject.actor, verdict=verdict, details={"subject_id": subject.id})
    return msgspec.structs.replace(subject, status=status)


def bind(change: Change, verdict: Verdict, subject: Subject, binding: RoleBinding) -> Subject:
    """Return the subject with the binding, which replaces one of the same role in the same place."""
    store.bind(change.connection, subject.id, binding)
    subject = store.touch_subject(change.connection, subject)
    details = _binding(binding)
    if binding.expires_at is not None:
        details["expires_at"] = rfc3339(binding.expires_at)
    change.record(verb="role.bind", target=subject.actor, verdict=verdict, details=details)
    return msgspec.structs.replace(subject, bindings=(*_without(subject, binding), binding))


def unbind(change: Change, verdict: Verdict, subject: Subject, binding: RoleBinding) -> Subject:
    """Return the subject without the binding."""
    store.unbind(change.connection, subject.id, binding)
    subject = store.touch_subject(change.connection, subject)
    change.record(verb="role.unbind", target=subject.actor, verdict=verdict, details=_binding(binding))
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


def set_attributes(
    change: Change, verdict: Verdict, target: str, attributes: Sequence[Attribute], *, verb: str = "attribute.set"
) -> None:
    """Write what is said of one subject, org or workspace; values that are said of a subject are personal."""
    attribute_store.put(change.connection, attributes)
    for part in _chunks(attributes):
        change.record(
            verb=verb,
            target=target,
            verdict=verdict,
            details={"attributes": [_said(one, at) for at, one in enumerate(part)]},
            personal={_value_name(at): printable(one) for at, one in enumerate(part) if one.scope == "subject"},
        )


def remove_attributes(change: Change, verdict: Verdict, target: str, attributes: Sequence[Attribute]) -> None:
    """Remove what is said of one subject, org or workspace."""
    attribute_store.remove(change.connection, [one.id for one in attributes])
    for part in _chunks(attributes):
        removed: list[JsonValue] = [{"name": one.name, "source": one.source} for one in part]
        change.record(verb="attribute.remove", target=target, verdict=verdict, details={"attributes": removed})


def _chunks(attributes: Sequence[Attribute]) -> Iterator[Sequence[Attribute]]:
    for start in range(0, len(attributes), MAX_PERSONAL):
        yield attributes[start : start + MAX_PERSONAL]


def _said(attribute: Attribute, at: int) -> dict[str, JsonValue]:
    said: dict[str, JsonValue] = {"name": attribute.name, "source": attribute.source, "ttl": attribute.ttl}
    if attribute.scope == "subject":
        return said | {"personal": _value_name(at)}
    return said | {"value": attribute.value}


def _value_name(at: int) -> str:
    return f"value_{at}"


def _place(subject: Subject) -> dict[str, JsonValue]:
    return {field: value for field in ("org_id", "workspace_id") if (value := getattr(subject, field)) is not None}


def _names(subject: Subject) -> dict[str, str]:
    return {field: value for field in ("display_name", "email") if (value := getattr(subject, field))}


def _binding(binding: RoleBinding) -> dict[str, JsonValue]:
    details: dict[str, JsonValue] = {"role": binding.role}
    if binding.workspace_id is not None:
        details["workspace_id"] = binding.workspace_id
    return details


def _without(subject: Subject, binding: RoleBinding) -> tuple[RoleBinding, ...]:
    place = (binding.role_id, binding.workspace_id)
    return tuple(other for other in subject.bindings if (other.role_id, other.workspace_id) != place)
