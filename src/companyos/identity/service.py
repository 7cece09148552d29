"""The use cases of identity: subjects, roles and tokens. Signing in is in ``sign_in``.

Each change is one transaction that ends with its ledger rows. Names and addresses of people go into the ledger as
personal values, which can be erased without breaking a proof.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Final

import msgspec

from companyos.core import durable
from companyos.core.access import Caller, Verdict, require
from companyos.core.clock import in_utc
from companyos.core.errors import InvalidInput, Unavailable
from companyos.core.ids import check_name, is_uuid
from companyos.core.paging import DEFAULT_LIMIT, Page, after_id, check_limit, page_by_id
from companyos.identity import steps, store
from companyos.identity.errors import (
    SubjectExists,
    SubjectNotFound,
    SubjectSuspended,
    TokenNotFound,
)
from companyos.identity.model import (
    ADMIN_NAME,
    IssuedToken,
    RoleBinding,
    Subject,
    SubjectStatus,
    SubjectType,
    Token,
)
from companyos.identity.roles import check_roles
from companyos.identity.sign_in import SignIn

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from sqlalchemy import Connection


DEFAULT_TTL_S: Final = 30 * 86_400
MIN_TTL_S: Final = 60
MAX_TTL_S: Final = 366 * 86_400
_LABEL_LIMIT: Final = 200


class Identity(SignIn):
    """Subjects, roles, tokens and, from ``SignIn``, credentials and sessions."""

    # --- first start --------------------------------------------------------------------------------------------------

    def bootstrap_admin(self) -> IssuedToken | None:
        """Make the user ``admin`` with the role admin and a token that does not expire; None when there is one already.

        The token is kept at ``admin.token`` in the home (0600) before the transaction commits: a crash between the two
        leaves a file that the next start writes anew, never an admin whose token nobody has. Of several starters that
        race, one makes the admin.
        """
        system = Caller(subject="system:bootstrap", roles=frozenset({"admin"}))
        verdict = Verdict(allowed=True, policy="identity:first-start", reason="The first start makes an admin.")
        with self.journal.read() as connection:
            if store.subject_by_name(connection, "user", ADMIN_NAME):
                return None
        now = self.journal.clock.now()
        try:
            with self.journal.write(system) as change:
                subject = steps.create(change, verdict, "user", ADMIN_NAME, now)
                subject = steps.bind(change, verdict, subject, RoleBinding(role="admin"))
                issued = steps.issue(change, verdict, subject, now, expires_at=None, label="first start")
                self._keep(issued.secret)
        except SubjectExists:
            return None
        return issued

    def _keep(self, secret: str) -> None:
        path = self.journal.settings.folder.admin_token_file
        try:
            durable.write(path, f"{secret}\n".encode())
        except OSError as fault:
            raise Unavailable(
                f"The admin's token cannot be kept at {path}: {fault.strerror}.",
                next_step="Set COMPANYOS_HOME to a folder that you can write.",
            ) from fault

    # --- subjects and roles -------------------------------------------------------------------------------------------

    def create_subject(
        self,
        caller: Caller,
        name: str,
        *,
        type: SubjectType = "user",
        display_name: str | None = None,
        email: str | None = None,
    ) -> Subject:
        """Return the new subject, active and without roles. Raises SubjectExists, InvalidInput or Denied."""
        check_name(name, what="subject", field="name")
        verdict = require(caller, "identity.write", f"{type}:{name}")
        with self.journal.write(caller) as change:
            now = self.journal.clock.now()
            return steps.create(change, verdict, type, name, now, display_name=display_name, email=email)

    def list_subjects(self, caller: Caller, *, cursor: str | None = None, limit: int = DEFAULT_LIMIT) -> Page[Subject]:
        """Return a page of subjects with their bindings, oldest first."""
        require(caller, "identity.read", "subjects")
        check_limit(limit)
        with self.journal.read() as connection:
            found = store.subjects_page(connection, after=after_id(cursor), limit=limit + 1)
        return page_by_id(found, limit, lambda subject: subject.id)

    def get_subject(self, caller: Caller, id: str) -> Subject:
        """Return a subject with its bindings, or raise SubjectNotFound."""
        require(caller, "identity.read", f"subject:{id}")
        with self.journal.read() as connection:
            return _subject(connection, id)

    def change_subject(
        self,
        caller: Caller,
        id: str,
        *,
        status: SubjectStatus | None = None,
        roles: Sequence[RoleBinding] | None = None,
    ) -> Subject:
        """Return the subject after its status and its set of bindings are made what is given; None leaves a part alone.

        Suspending ends all browser sessions; tokens work again when the subject is made active. What is so already is
        not recorded again. Raises SubjectNotFound or RoleBeyondCaller.
        """
        verdict = require(caller, "identity.write", f"subject:{id}")
        wanted = None if roles is None else _bindings(roles)
        with self.journal.write(caller, unchanged_ok=True) as change:
            subject = _subject(change.connection, id, lock=True)
            if status is not None and status != subject.status:
                subject = steps.set_status(change, verdict, subject, status)
            if wanted is not None:
                steps.check_grant(caller, subject, [binding.role for binding in wanted], action="identity.write")
                held = {binding for binding in subject.bindings if binding.workspace_id is None}
                for gone in sorted(held - wanted, key=_role):
                    subject = steps.unbind(change, verdict, subject, gone)
                for new in sorted(wanted - held, key=_role):
                    subject = steps.bind(change, verdict, subject, new)
            return subject

    def suspend(self, caller: Caller, id: str) -> Subject:
        """Return the suspended subject: every token and session of it is refused from now on."""
        return self.change_subject(caller, id, status="suspended")

    def bind_role(self, caller: Caller, id: str, role: str, *, expires_at: datetime | None = None) -> Subject:
        """Return the subject with the role; a binding of that role is replaced."""
        (known,) = check_roles([role])
        (binding,) = _bindings([RoleBinding(role=known, expires_at=expires_at)])
        return self._rebind(caller, id, known, binding)

    def unbind_role(self, caller: Caller, id: str, role: str) -> Subject:
        """Return the subject without the role."""
        (known,) = check_roles([role])
        return self._rebind(caller, id, known, None)

    # --- tokens -------------------------------------------------------------------------------------------------------

    def issue_token(
        self,
        caller: Caller,
        name: str,
        *,
        roles: Iterable[str] = (),
        type: SubjectType = "service",
        ttl_s: int = DEFAULT_TTL_S,
        label: str = "",
    ) -> IssuedToken:
        """Return a new token for the named subject, which is made when it is missing and gains the given roles.

        Nobody but an admin gets a token that may more than they may: the roles that the subject has already count too.
        Raises InvalidInput, RoleBeyondCaller or SubjectSuspended.
        """
        check_name(name, what="subject", field="name")
        asked = check_roles(roles)
        if not MIN_TTL_S <= ttl_s <= MAX_TTL_S:
            raise InvalidInput(
                f"A token lives {MIN_TTL_S} to {MAX_TTL_S} seconds, not {ttl_s}.",
                next_step="Change the time to live.",
                field="ttl_s",
            )
        if len(label) > _LABEL_LIMIT or not label.isprintable():
            raise InvalidInput(
                f"A label has up to {_LABEL_LIMIT} printable characters.", next_step="Shorten it.", field="label"
            )
        verdict = require(caller, "token.issue", f"{type}:{name}")
        with self.journal.write(caller) as change:
            now = self.journal.clock.now()
            subject = store.subject_by_name(change.connection, type, name, lock=True)
            if subject is None:
                subject = steps.create(change, verdict, type, name, now)
            if subject.status != "active":
                raise SubjectSuspended(subject.actor)
            steps.check_grant(caller, subject, subject.roles(now) | set(asked), action="token.issue")
            for role in asked:
                if role not in subject.roles(now):
                    subject = steps.bind(change, verdict, subject, RoleBinding(role=role))
            return steps.issue(
                change, verdict, subject, now, expires_at=now + timedelta(seconds=ttl_s), label=label or name
            )

    def list_tokens(
        self,
        caller: Caller,
        *,
        subject_id: str | None = None,
        cursor: str | None = None,
        limit: int = DEFAULT_LIMIT,
    ) -> Page[Token]:
        """Return a page of tokens, oldest first, revoked and expired ones included; never a secret."""
        require(caller, "token.read", "tokens")
        check_limit(limit)
        with self.journal.read() as connection:
            found = store.tokens_page(connection, subject_id=subject_id, after=after_id(cursor), limit=limit + 1)
        return page_by_id(found, limit, lambda token: token.id)

    def revoke_token(self, caller: Caller, id: str) -> Token:
        """Return the revoked token; revoking it again changes nothing. Raises TokenNotFound."""
        verdict = require(caller, "token.revoke", f"token:{id}")
        with self.journal.write(caller, unchanged_ok=True) as change:
            found = store.token_by_id(change.connection, id, lock=True) if is_uuid(id) else None
            if found is None:
                raise TokenNotFound(id)
            token, _ = found
            if token.revoked_at is not None:
                return token
            now = self.journal.clock.now()
            store.revoke_token(change.connection, id, now)
            change.record(
                verb="token.revoke", target=f"token:{id}", verdict=verdict, details={"subject": token.subject}
            )
            return msgspec.structs.replace(token, revoked_at=now)

    def _rebind(self, caller: Caller, id: str, role: str, binding: RoleBinding | None) -> Subject:
        verdict = require(caller, "identity.write", f"subject:{id}")
        with self.journal.write(caller, unchanged_ok=True) as change:
            subject = _subject(change.connection, id, lock=True)
            steps.check_grant(caller, subject, [role], action="identity.write")
            if binding is not None and binding not in subject.bindings:
                return steps.bind(change, verdict, subject, binding)
            if binding is None:
                for bound in subject.bindings:
                    if bound.role == role and bound.workspace_id is None:
                        return steps.unbind(change, verdict, subject, bound)
            return subject


def _role(binding: RoleBinding) -> str:
    return binding.role


def _subject(connection: Connection, id: str, *, lock: bool = False) -> Subject:
    """Return the subject with this id, or raise SubjectNotFound."""
    subject = store.subject_by_id(connection, id, lock=lock) if is_uuid(id) else None
    if subject is None:
        raise SubjectNotFound(id)
    return subject


def _bindings(asked: Iterable[RoleBinding]) -> set[RoleBinding]:
    """Return the bindings with their ends in UTC, or raise InvalidInput when a role stands there twice."""
    found: dict[str, RoleBinding] = {}
    for binding in asked:
        ends = binding.expires_at and in_utc(binding.expires_at, field="roles.expires_at")
        if binding.role in found:
            raise InvalidInput(
                f"The role {binding.role} is given twice.", next_step="Name each role once.", field="roles"
            )
        found[binding.role] = RoleBinding(role=binding.role, expires_at=ends)
    return set(found.values())
