"""The use cases of roles: those of a company's own, and who has which role, where and until when."""

from __future__ import annotations

import re
from datetime import datetime
from typing import TYPE_CHECKING, Final

import msgspec

from companyos.core.access import Caller, require
from companyos.core.clock import in_utc
from companyos.core.errors import InvalidInput
from companyos.core.ids import check_name, is_uuid, uuid7
from companyos.identity import role_store, steps, store
from companyos.identity.attribute import check_place_id
from companyos.identity.errors import RoleExists, RoleInUse, RoleNotFound, SubjectNotFound
from companyos.identity.model import RoleBinding, RoleRecord, Subject
from companyos.identity.roles import BUILT_IN
from companyos.identity.sign_in import SignIn

if TYPE_CHECKING:
    from collections.abc import Iterable

    from sqlalchemy import Connection

MAX_ROLES: Final = 1000
"""How many roles of its own a company has at most."""
MAX_BINDINGS: Final = 64
"""How many bindings a subject has at most."""
_DESCRIPTION_LIMIT: Final = 500
_NAMED: Final = 5
_ACTOR: Final = re.compile(r"(user|service):([a-z0-9][a-z0-9._-]{0,62})")


class Granting(SignIn):
    """Roles and bindings."""

    def list_roles(self, caller: Caller) -> list[RoleRecord]:
        """Return the built-in roles, least powerful first, and behind them the others by name."""
        require(caller, "identity.read", "roles")
        with self.journal.read() as connection:
            return [*BUILT_IN.values(), *role_store.load(connection)]

    def create_role(self, caller: Caller, name: str, *, description: str = "", org_id: str | None = None) -> RoleRecord:
        """Return the new role, which means what policies say of it. Raises RoleExists or InvalidInput."""
        check_name(name, what="role", field="name")
        if len(description) > _DESCRIPTION_LIMIT or not (description.isprintable()):
            raise InvalidInput(
                f"A description has up to {_DESCRIPTION_LIMIT} printable characters.",
                next_step="Shorten it.",
                field="description",
            )
        if org_id is not None:
            check_place_id(org_id, field="org_id")
        verdict = require(caller, "identity.write", f"role:{name}")
        with self.journal.write(caller) as change:
            if name in BUILT_IN:
                raise RoleExists(name)
            if len(role_store.load(change.connection)) >= MAX_ROLES:
                raise InvalidInput(f"There are {MAX_ROLES} roles already.", next_step="Delete one that nobody has.")
            role = RoleRecord(id=uuid7(), name=name, org_id=org_id, description=description)
            role_store.add(change.connection, role, self.journal.clock.now())
            details = {"role_id": role.id, "org_id": org_id, "description": description}
            change.record(verb="role.create", target=f"role:{name}", verdict=verdict, details=details)
        return role

    def delete_role(self, caller: Caller, named: str) -> None:
        """Remove the role of this id or name, and bindings of it that have expired.

        Raises RoleNotFound, or RoleInUse while somebody has it.
        """
        verdict = require(caller, "identity.write", f"role:{named[:80]}")
        with self.journal.write(caller) as change:
            if named in BUILT_IN:
                raise RoleInUse(named, "it is built in", "Unbind it from whom shall not have it.")
            role = role_store.find(change.connection, named, lock=True)
            if role is None:
                raise RoleNotFound(named)
            if held := role_store.holders(change.connection, role.id, self.journal.clock.now(), limit=_NAMED + 1):
                count = f"more than {_NAMED}" if len(held) > _NAMED else str(len(held))
                raise RoleInUse(role.name, f"{count} subjects have it", "Unbind it first.")
            role_store.remove(change.connection, role.id)
            change.record(verb="role.delete", target=f"role:{role.name}", verdict=verdict, details={"role_id": role.id})

    def bind_role(
        self,
        caller: Caller,
        id: str,
        role: str,
        *,
        workspace_id: str | None = None,
        expires_at: datetime | None = None,
    ) -> Subject:
        """Return the subject with the role, everywhere or in a workspace; a binding of it in that place is replaced.

        ``id`` is that of the subject, or ``user:<name>``. Raises SubjectNotFound, InvalidInput, RoleBeyondCaller.
        """
        wanted = RoleBinding(role=role, workspace_id=workspace_id, expires_at=expires_at)
        return self._rebind(caller, id, wanted, bound=True)

    def unbind_role(self, caller: Caller, id: str, role: str, *, workspace_id: str | None = None) -> Subject:
        """Return the subject without the role in that place; other places keep it."""
        return self._rebind(caller, id, RoleBinding(role=role, workspace_id=workspace_id), bound=False)

    def _rebind(self, caller: Caller, id: str, wanted: RoleBinding, *, bound: bool) -> Subject:
        verdict = require(caller, "identity.write", f"subject:{id[:80]}")
        asked = asked_bindings([wanted])
        with self.journal.write(caller, unchanged_ok=True) as change:
            subject = find_subject(change.connection, id, lock=True)
            (binding,) = known_bindings(change.connection, subject, asked)
            steps.check_grant(caller, subject, [binding.role], action="identity.write")
            if bound and binding not in subject.bindings:
                check_count(subject, 1)
                return steps.bind(change, verdict, subject, binding)
            place = (binding.role_id, binding.workspace_id)
            if not bound and place in {(one.role_id, one.workspace_id) for one in subject.bindings}:
                return steps.unbind(change, verdict, subject, binding)
            return subject


def find_subject(connection: Connection, named: str, *, lock: bool = False) -> Subject:
    """Return the subject of this id, or of this name as ``user:<name>``; raises SubjectNotFound."""
    subject = None
    if is_uuid(named):
        subject = store.subject_by_id(connection, named, lock=lock)
    elif found := _ACTOR.fullmatch(named):
        subject = store.subject_by_name(connection, "user" if found[1] == "user" else "service", found[2], lock=lock)
    if subject is None:
        raise SubjectNotFound(named)
    return subject


def asked_bindings(asked: Iterable[RoleBinding]) -> list[RoleBinding]:
    """Return the bindings with their ends in UTC.

    Raises InvalidInput for an end or a workspace that is none, and for a role that stands twice in one place.
    """
    found: dict[tuple[str, str | None], RoleBinding] = {}
    for binding in asked:
        if binding.workspace_id is not None:
            check_place_id(binding.workspace_id, field="roles.workspace_id")
        ends = binding.expires_at and in_utc(binding.expires_at, field="roles.expires_at")
        place = (binding.role, binding.workspace_id)
        if place in found:
            raise InvalidInput(
                f"The role {binding.role[:63]} is given twice.", next_step="Name each role once.", field="roles"
            )
        found[place] = msgspec.structs.replace(binding, expires_at=ends)
    return list(found.values())


def known_bindings(connection: Connection, subject: Subject, asked: Iterable[RoleBinding]) -> list[RoleBinding]:
    """Return the bindings with the ids of their roles, which stay as they are until the transaction ends.

    Raises InvalidInput for a role that there is not, and for one of another org than the subject's.
    """
    wanted = list(asked)
    own = role_store.named(connection, {one.role for one in wanted} - set(BUILT_IN), lock=True)
    found: list[RoleBinding] = []
    for binding in wanted:
        role = BUILT_IN.get(binding.role) or own.get(binding.role)
        if role is None:
            raise InvalidInput(
                f"There is no role {binding.role[:60]!r}.",
                next_step=f"Use some of {', '.join(BUILT_IN)}, or create it.",
                field="roles",
            )
        if role.org_id not in (None, subject.org_id):
            raise InvalidInput(
                f"The role {role.name} is for subjects of {role.org_id}, and {subject.actor} is none.",
                next_step="Set the org of the subject first.",
                field="roles",
            )
        found.append(msgspec.structs.replace(binding, role_id=role.id))
    return found


def check_count(subject: Subject, more: int) -> None:
    """Return when the subject may get this many bindings more, or raise InvalidInput."""
    if len(subject.bindings) + more > MAX_BINDINGS:
        raise InvalidInput(
            f"{subject.actor} would have more than {MAX_BINDINGS} bindings.",
            next_step="Unbind some, or make one role of several.",
            field="roles",
        )
