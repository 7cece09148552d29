"""The use cases of attributes, and what a decision point asks: what holds of a subject right now."""

from __future__ import annotations

from hashlib import sha256
from typing import TYPE_CHECKING, Final

import msgspec

from companyos.core.access import Caller, require
from companyos.core.errors import InvalidInput, PreconditionFailed
from companyos.core.ids import uuid7
from companyos.core.paging import DEFAULT_LIMIT, Page, after_id, check_limit, page_by_id
from companyos.identity import attribute_store, steps, store
from companyos.identity.attribute import (
    NOTHING,
    SCOPES,
    Attribute,
    Attributes,
    Place,
    Scope,
    Value,
    check_attribute_name,
    check_place_id,
    check_source,
    check_ttl,
    resolve,
    same,
    write_value,
)
from companyos.identity.errors import AttributeNotFound
from companyos.identity.granting import find_subject
from companyos.identity.model import Subject
from companyos.identity.revision import bump
from companyos.identity.sign_in import SignIn

if TYPE_CHECKING:
    from datetime import datetime

    from sqlalchemy import Connection

MAX_ATTRIBUTES: Final = 256
"""How much may be said of one subject, org or workspace."""


class Profile(msgspec.Struct, frozen=True, kw_only=True):
    """A subject as a policy sees it at one moment, with where each attribute comes from."""

    subject: Subject
    workspace_id: str | None
    """The workspace that was asked for, or the subject's own."""
    roles: list[str]
    """The names of the roles that count there now, sorted; empty while the subject is suspended."""
    attributes: dict[str, Value]
    """What holds now; empty while the subject is suspended."""
    stale: list[str]
    """The names of attributes that are undefined because their most specific statement has expired."""
    said: list[Attribute]
    """All that is said of the subject, its workspace and its org, expired or not."""


class Attributing(SignIn):
    """Attributes of subjects, orgs and workspaces."""

    def set_attribute(
        self,
        caller: Caller,
        scope: str,
        holder: str,
        name: str,
        value: object,
        *,
        ttl: int | None = None,
        source: str | None = None,
        if_match: str | None = None,
    ) -> Attribute:
        """Return the attribute as it is said from now on, in place of what was said before under this name.

        ``holder`` is the id of a subject, or ``user:<name>``, or the id of an org or a workspace; ``source`` is the
        caller unless it is given. The clock of ``ttl`` starts anew each time; one that says the same for ever changes
        nothing. ``if_match`` is the ETag of the attribute that is replaced. Raises InvalidInput, SubjectNotFound or
        PreconditionFailed.
        """
        verdict = require(caller, "identity.write", f"{scope[:20]}:{holder[:80]}")
        check_attribute_name(name)
        write_value(value)
        check_ttl(ttl)
        source = caller.subject if source is None else check_source(source)
        with self.journal.write(caller, unchanged_ok=True) as change:
            place, target = self._place(change.connection, scope, holder, lock=True)
            known = self._known(change.connection, place)
            before = known.get(name)
            check_tag(if_match, before)
            said = Attribute(
                id=before.id if before else uuid7(),
                name=name,
                value=value,  # type: ignore[arg-type] # write_value has checked it
                scope=place.scope,
                **place.columns,
                source=source,
                ttl=ttl,
                set_at=self.journal.clock.now(),
            )
            if before is not None and ttl is None and same(before, said):
                return before
            if before is None and len(known) >= MAX_ATTRIBUTES:
                raise InvalidInput(
                    f"There are {MAX_ATTRIBUTES} attributes of {target} already.", next_step="Remove some."
                )
            steps.set_attributes(change, verdict, target, [said])
            raise_revision(change.connection, place)
        return said

    def remove_attribute(
        self, caller: Caller, scope: str, holder: str, name: str, *, if_match: str | None = None
    ) -> None:
        """Remove what is said; a more general statement of that name counts from now on.

        Raises AttributeNotFound, SubjectNotFound, InvalidInput or PreconditionFailed.
        """
        verdict = require(caller, "identity.write", f"{scope[:20]}:{holder[:80]}")
        check_attribute_name(name)
        with self.journal.write(caller) as change:
            place, target = self._place(change.connection, scope, holder, lock=True)
            before = self._known(change.connection, place).get(name)
            if before is None:
                raise AttributeNotFound(name, target)
            check_tag(if_match, before)
            steps.remove_attributes(change, verdict, target, [before])
            raise_revision(change.connection, place)

    def get_attribute(self, caller: Caller, scope: str, holder: str, name: str) -> Attribute:
        """Return what is said of one subject, org or workspace, expired or not; raises AttributeNotFound."""
        require(caller, "identity.read", f"{scope[:20]}:{holder[:80]}")
        with self.journal.read() as connection:
            place, target = self._place(connection, scope, holder)
            found = self._known(connection, place).get(name)
        if found is None:
            raise AttributeNotFound(name, target)
        return found

    def list_attributes(
        self,
        caller: Caller,
        *,
        scope: Scope | None = None,
        holder: str | None = None,
        name: str | None = None,
        cursor: str | None = None,
        limit: int = DEFAULT_LIMIT,
    ) -> Page[Attribute]:
        """Return a page of attributes that match, oldest first, expired ones included; ``holder`` needs ``scope``."""
        require(caller, "identity.read", "attributes")
        check_limit(limit)
        if holder is not None and scope is None:
            raise InvalidInput(
                "A holder needs a scope.", next_step="Add scope=subject, org or workspace.", field="scope"
            )
        if name is not None:
            check_attribute_name(name)
        with self.journal.read() as connection:
            place = self._place(connection, scope, holder)[0] if scope is not None and holder is not None else None
            found = attribute_store.page(
                connection, place=place, scope=scope, name=name, after=after_id(cursor), limit=limit + 1
            )
        return page_by_id(found, limit, lambda attribute: attribute.id)

    def profile(self, caller: Caller, id: str, *, workspace_id: str | None = None) -> Profile:
        """Return a subject as a policy sees it now, in its own workspace or the given one. Raises SubjectNotFound."""
        require(caller, "identity.read", f"subject:{id[:80]}")
        if workspace_id is not None:
            check_place_id(workspace_id, field="workspace_id")
        now = self.journal.clock.now()
        with self.journal.read() as connection:
            subject = find_subject(connection, id)
            where = workspace_id or subject.workspace_id
            said = _said_of(connection, subject, where, now)
        active = subject.status == "active"
        found = resolve(said, now) if active else NOTHING
        return Profile(
            subject=subject,
            workspace_id=where,
            roles=sorted(subject.roles(now, where)) if active else [],
            attributes=found.values,
            stale=sorted(found.stale),
            said=said,
        )

    def _place(self, connection: Connection, scope: str, holder: str, *, lock: bool = False) -> tuple[Place, str]:
        """Return what attributes are said of, and its name in the ledger; a subject stays as it is with ``lock``."""
        if scope == "subject":
            subject = find_subject(connection, holder, lock=lock)
            return Place("subject", subject.id), subject.actor
        if scope not in SCOPES:
            raise InvalidInput(
                f"There is no scope {scope[:40]!r}.", next_step=f"Use one of {', '.join(SCOPES)}.", field="scope"
            )
        check_place_id(holder, field="holder")
        return Place("org" if scope == "org" else "workspace", holder), f"{scope}:{holder}"

    def _known(self, connection: Connection, place: Place) -> dict[str, Attribute]:
        return {one.name: one for one in attribute_store.of_places(connection, [place])}


def attributes_of(read: Connection, subject_id: str, workspace: str | None, now: datetime) -> Attributes:
    """Return what holds of a subject now, in the given workspace or, for None, in its own.

    The most specific statement of a name counts: of the subject, then of the workspace, then of the org; when that one
    has expired, the name is stale and undefined. A workspace to which the subject does not belong says nothing of it.
    Of an unknown or suspended subject nothing is known.
    """
    subject = store.subject_by_id(read, subject_id)
    if subject is None or subject.status != "active":
        return NOTHING
    return resolve(_said_of(read, subject, workspace or subject.workspace_id, now), now)


def _said_of(read: Connection, subject: Subject, workspace: str | None, now: datetime) -> list[Attribute]:
    inside = workspace is not None and subject.is_in(workspace, now)
    return attribute_store.around(read, subject.id, org_id=subject.org_id, workspace_id=workspace if inside else None)


def raise_revision(connection: Connection, place: Place) -> None:
    """Let directories know that something else is said of a place."""
    if place.scope == "subject":
        store.touch(connection, [place.id], bump(connection, "subjects"))
    else:
        bump(connection, "places")


def tag_of(attribute: Attribute) -> str:
    """Return the strong entity tag of what is said: it changes with the value, its source and its time."""
    said = [write_value(attribute.value), attribute.source, attribute.ttl, attribute.set_at]
    return f'"{sha256(msgspec.json.encode(said)).hexdigest()[:32]}"'


def check_tag(if_match: str | None, before: Attribute | None) -> None:
    """Return when there is no ``If-Match``, or when it names what is said now; raises PreconditionFailed."""
    if if_match is None or (before is not None and if_match.strip() in ("*", tag_of(before))):
        return
    raise PreconditionFailed(
        "The attribute was changed meanwhile.", next_step="Read it again, then repeat the change.", field="If-Match"
    )
