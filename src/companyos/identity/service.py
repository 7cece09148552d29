"""The use cases of identity: subjects and tokens; the others are in ``sign_in``, ``granting`` and ``attributing``.

Each change is one transaction that ends with its ledger rows. Names and addresses of people go into the ledger as
personal values, which can be erased without breaking a proof.
"""

from __future__ import annotations

from datetime import timedelta
from types import MappingProxyType
from typing import TYPE_CHECKING, Final

import msgspec

from companyos.core import durable
from companyos.core.access import Caller, Verdict, require
from companyos.core.errors import InvalidInput, Unavailable
from companyos.core.ids import check_name, is_uuid
from companyos.core.paging import DEFAULT_LIMIT, Page, after_id, check_limit, page_by_id
from companyos.identity import steps, store
from companyos.identity.attribute import check_place_id
from companyos.identity.attributing import Attributing
from companyos.identity.errors import SubjectExists, SubjectSuspended, TokenNotFound
from companyos.identity.federating import Federating
from companyos.identity.granting import Granting, asked_bindings, check_count, find_subject, known_bindings
from companyos.identity.importing import Importing
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

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence


DEFAULT_TTL_S: Final = 30 * 86_400
MIN_TTL_S: Final = 60
MAX_TTL_S: Final = 366 * 86_400
_LABEL_LIMIT: Final = 200


class Identity(Granting, Attributing, Importing, Federating):
    """Subjects and tokens; from the others roles, attributes, imports and tokens of other issuers.

    All of them stand on ``SignIn``: credentials and sessions.
    """

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
        org_id: str | None = None,
        workspace_id: str | None = None,
    ) -> Subject:
        """Return the new subject, active and without roles. Raises SubjectExists, InvalidInput or Denied."""
        check_name(name, what="subject", field="name")
        for field, place in (("org_id", org_id), ("workspace_id", workspace_id)):
            if place is not None:
                check_place_id(place, field=field)
        verdict = require(caller, "identity.write", f"{type}:{name}")
        with self.journal.write(caller) as change:
            now = self.journal.clock.now()
            return steps.create(
                change,
                verdict,
                type,
                name,
                now,
                facts={
                    "display_name": display_name,
                    "email": email,
                    "org_id": org_id,
                    "workspace_id": workspace_id,
                },
            )

    def list_subjects(self, caller: Caller, *, cursor: str | None = None, limit: int = DEFAULT_LIMIT) -> Page[Subject]:
        """Return a page of subjects with their bindings, oldest first."""
        require(caller, "identity.read", "subjects")
        check_limit(limit)
        with self.journal.read() as connection:
            found = store.subjects_page(connection, after=after_id(cursor), limit=limit + 1)
        return page_by_id(found, limit, lambda subject: subject.id)

    def get_subject(self, caller: Caller, id: str) -> Subject:
        """Return the subject of this id, or of ``user:<name>``, with its bindings; raises SubjectNotFound."""
        require(caller, "identity.read", f"subject:{id[:80]}")
        with self.journal.read() as connection:
            return find_subject(connection, id)

    def present(self, id: str) -> Caller | None:
        """Return a subject as an asker with its roles of this moment, for loops; None where there is no such row.

        One that is suspended has no roles.
        """
        with self.journal.read() as connection:
            subject = store.subject_by_id(connection, id)
        if subject is None:
            return None
        if subject.status != "active":
            return Caller(subject=subject.actor, subject_id=subject.id)
        return subject.caller(self.journal.clock.now())

    def change_subject(
        self,
        caller: Caller,
        id: str,
        *,
        status: SubjectStatus | None = None,
        roles: Sequence[RoleBinding] | None = None,
        places: Mapping[str, str | None] = MappingProxyType({}),
    ) -> Subject:
        """Return the subject after its status and its set of bindings are made what is given; None leaves a part alone.

        ``places`` may hold ``org_id`` and ``workspace_id``, None to leave an org or a workspace.
        Suspending ends all browser sessions; tokens work again when the subject is made active. What is so already is
        not recorded again. Raises SubjectNotFound or RoleBeyondCaller.
        """
        verdict = require(caller, "identity.write", f"subject:{id[:80]}")
        asked = None if roles is None else asked_bindings(roles)
        for field, place in places.items():
            if place is not None:
                check_place_id(place, field=field)
        with self.journal.write(caller, unchanged_ok=True) as change:
            subject = find_subject(change.connection, id, lock=True)
            if status is not None and status != subject.status:
                subject = steps.set_status(change, verdict, subject, status)
            moved = msgspec.structs.replace(subject, **places)
            if moved != subject:
                subject = steps.describe(change, verdict, subject, moved)
            if asked is not None:
                wanted = set(known_bindings(change.connection, subject, asked))
                steps.check_grant(caller, subject, [binding.role for binding in wanted], action="identity.write")
                held = {binding for binding in subject.bindings if binding.workspace_id is None}
                check_count(subject, len(wanted - held))
                for gone in sorted(held - wanted, key=_place):
                    subject = steps.unbind(change, verdict, subject, gone)
                for new in sorted(wanted - held, key=_place):
                    subject = steps.bind(change, verdict, subject, new)
            if places:  # Roles that belong to the org that it leaves must go in the same change.
                known_bindings(change.connection, subject, subject.bindings)
            return subject

    def suspend(self, caller: Caller, id: str) -> Subject:
        """Return the suspended subject: every token and session of it is refused from now on."""
        return self.change_subject(caller, id, status="suspended")

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


def _place(binding: RoleBinding) -> tuple[str, str]:
    return binding.role, binding.workspace_id or ""
