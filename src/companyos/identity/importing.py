"""The use case of an import: a whole file becomes true in one transaction, or nothing of it does.

A dry run does the same work and then undoes it, so what it shows is what would happen.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, Literal, TypeAlias, cast

import msgspec

from companyos.core.access import Caller, Verdict, require
from companyos.core.errors import InvalidInput
from companyos.core.ids import uuid7
from companyos.identity import attribute_store, role_store, steps, store
from companyos.identity.attribute import Attribute, Place, same, write_value
from companyos.identity.attributing import MAX_ATTRIBUTES
from companyos.identity.document import BindingEntry, Document, RoleEntry, SubjectEntry, stated
from companyos.identity.errors import RoleExists
from companyos.identity.granting import MAX_ROLES, asked_bindings, check_count, known_bindings
from companyos.identity.model import RoleBinding, RoleRecord, Subject
from companyos.identity.revision import bump
from companyos.identity.roles import BUILT_IN
from companyos.identity.sign_in import SignIn

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from datetime import datetime

    from companyos.ledger import Change

Action: TypeAlias = Literal["create", "change", "suspend", "activate", "bind", "unbind", "set", "confirm", "remove"]
_FACTS: Final = ("org_id", "workspace_id", "display_name", "email")
_CHUNK: Final = 500


class Imported(msgspec.Struct, frozen=True, kw_only=True):
    """One thing that an import changes."""

    action: Action
    target: str
    """``user:pat``, ``role:buyer``, ``org:acme``, ``workspace:emea``."""
    what: str | None = None
    """The name of the role or the attribute; None for the target itself."""


class ImportReport(msgspec.Struct, frozen=True, kw_only=True):
    """What an import has changed, or would change."""

    dry_run: bool
    changes: list[Imported]
    unchanged: int
    """How many roles, subjects, bindings and attributes of the file were so already."""


class _Undone(Exception):
    """Rolls a dry run back."""


class Importing(SignIn):
    """Files of subjects, roles and attributes."""

    def import_document(self, caller: Caller, document: Document, *, dry_run: bool = False) -> ImportReport:
        """Return what the document has changed; a second import of it changes nothing while its attributes are fresh.

        An attribute that has expired is confirmed, which starts its time anew. Raises InvalidInput, RoleBeyondCaller or
        Conflict, and nothing is changed then.
        """
        verdict = require(caller, "identity.write", "subjects")
        run = _Run(caller, verdict, document, self.journal.clock.now())
        try:
            with self.journal.write(caller, unchanged_ok=True) as change:
                run.apply(change)
                if dry_run:
                    raise _Undone
        except _Undone:
            pass
        return ImportReport(dry_run=dry_run, changes=run.changes, unchanged=run.unchanged)


class _Run:
    """One import within its transaction."""

    def __init__(self, caller: Caller, verdict: Verdict, document: Document, now: datetime) -> None:
        self.changes: list[Imported] = []
        self.unchanged = 0
        self._caller = caller
        self._verdict = verdict
        self._document = document
        self._now = now
        self._source = f"import:{document.source}"

    def apply(self, change: Change) -> None:
        """Make the document true."""
        # Locks are taken in one order everywhere: subjects, roles, counters of revisions.
        known = store.subjects_by_names(
            change.connection, [(entry.type, entry.name) for entry in self._document.subjects], lock=True
        )
        self._roles(change)
        present = [self._subject(change, entry, known.get(entry.actor)) for entry in self._document.subjects]
        self._attributes_of_subjects(change, present)
        self._attributes_of_places(change)

    def _roles(self, change: Change) -> None:
        names = {entry.name for entry in self._document.roles}
        if built_in := sorted(names & set(BUILT_IN)):
            raise RoleExists(built_in[0])
        known = role_store.named(change.connection, names, lock=True)
        if len(role_store.load(change.connection)) + len(names - set(known)) > MAX_ROLES:
            raise InvalidInput(
                f"There would be more than {MAX_ROLES} roles.", next_step="Leave some out.", field="roles"
            )
        for entry in self._document.roles:
            before = known.get(entry.name)
            after = _role(entry, before)
            if before is None:
                role_store.add(change.connection, after, self._now)
                self._recorded_role(change, "create", after)
            elif before == after:
                self.unchanged += 1
            else:
                if before.org_id != after.org_id and role_store.holders(
                    change.connection, before.id, self._now, limit=1
                ):
                    raise InvalidInput(
                        f"The role {after.name} cannot move to another org while somebody has it.",
                        next_step="Unbind it first.",
                        field="roles.org_id",
                    )
                role_store.describe(change.connection, after)
                self._recorded_role(change, "change", after)

    def _recorded_role(self, change: Change, action: Literal["create", "change"], role: RoleRecord) -> None:
        details = {"role_id": role.id, "org_id": role.org_id, "description": role.description}
        change.record(verb=f"role.{action}", target=f"role:{role.name}", verdict=self._verdict, details=details)
        self._changed(action, f"role:{role.name}")

    def _subject(self, change: Change, entry: SubjectEntry, before: Subject | None) -> Subject:
        """Return the subject with the facts, the bindings and the status of its entry."""
        facts = {fact: value for fact in _FACTS if (value := getattr(entry, fact)) is not msgspec.UNSET}
        if before is None:
            subject = steps.create(change, self._verdict, entry.type, entry.name, self._now, facts)
            self._changed("create", subject.actor)
        else:
            subject = msgspec.structs.replace(before, **facts)
            if subject == before:
                self.unchanged += 1
            else:
                subject = steps.describe(change, self._verdict, before, subject)
                self._changed("change", subject.actor)
        subject = self._bindings(change, entry, subject, moved=before is not None and before.org_id != subject.org_id)
        if entry.status is not msgspec.UNSET and entry.status != subject.status:
            subject = steps.set_status(change, self._verdict, subject, entry.status)
            self._changed("suspend" if entry.status == "suspended" else "activate", subject.actor)
        return subject

    def _bindings(self, change: Change, entry: SubjectEntry, subject: Subject, *, moved: bool) -> Subject:
        if entry.roles is msgspec.UNSET:
            if moved:  # Roles that belong to the org that it leaves are no roles of it.
                known_bindings(change.connection, subject, subject.bindings)
            return subject
        wanted = set(
            known_bindings(change.connection, subject, asked_bindings(_binding(asked) for asked in entry.roles))
        )
        held = set(subject.bindings)
        changed = {binding.role for binding in wanted ^ held}
        steps.check_grant(self._caller, subject, changed, action="identity.write")
        self.unchanged += len(wanted & held)
        places = {_place(binding) for binding in wanted}
        for gone in sorted((one for one in held if _place(one) not in places), key=_place):
            subject = steps.unbind(change, self._verdict, subject, gone)
            self._changed("unbind", subject.actor, gone.role)
        check_count(subject, len(places - {_place(one) for one in subject.bindings}))
        for new in sorted(wanted - held, key=_place):
            subject = steps.bind(change, self._verdict, subject, new)
            self._changed("bind", subject.actor, new.role)
        return subject

    def _attributes_of_subjects(self, change: Change, present: list[Subject]) -> None:
        described = [
            (subject, entry.attributes)
            for subject, entry in zip(present, self._document.subjects, strict=True)
            if entry.attributes is not msgspec.UNSET
        ]
        touched: list[str] = []
        for start in range(0, len(described), _CHUNK):
            part = described[start : start + _CHUNK]
            known = _by_holder(
                attribute_store.of_places(change.connection, [Place("subject", subject.id) for subject, _ in part])
            )
            for subject, said in part:
                place = Place("subject", subject.id)
                if self._state(change, place, subject.actor, said, known.get(subject.id, {})):
                    touched.append(subject.id)
        if touched:
            revision = bump(change.connection, "subjects")
            for start in range(0, len(touched), _CHUNK):
                store.touch(change.connection, touched[start : start + _CHUNK], revision)

    def _attributes_of_places(self, change: Change) -> None:
        changed = False
        for scope, entries in (("org", self._document.orgs), ("workspace", self._document.workspaces)):
            places = [Place(cast("Literal['org', 'workspace']", scope), name) for name in sorted(entries)]
            known = _by_holder(attribute_store.of_places(change.connection, places))
            for place in places:
                said = entries[place.id].attributes
                changed |= self._state(change, place, f"{scope}:{place.id}", said, known.get(place.id, {}))
        if changed:
            bump(change.connection, "places")

    def _state(
        self, change: Change, place: Place, target: str, said: Mapping[str, Any], known: dict[str, Attribute]
    ) -> bool:
        """Write what is said of one holder, withdraw what this source said before; tell whether anything changed."""
        new: list[Attribute] = []
        for name, value in sorted(said.items()):
            before = known.get(name)
            attribute = self._attribute(place, name, value, before)
            if before is not None and same(before, attribute) and before.is_fresh(self._now):
                self.unchanged += 1
                continue
            new.append(attribute)
            self._changed("confirm" if before is not None and same(before, attribute) else "set", target, name)
        gone = [one for name, one in sorted(known.items()) if one.source == self._source and name not in said]
        if len(known) - len(gone) + sum(one.name not in known for one in new) > MAX_ATTRIBUTES:
            raise InvalidInput(
                f"There would be more than {MAX_ATTRIBUTES} attributes of {target}.", next_step="Leave some out."
            )
        if new:
            steps.set_attributes(change, self._verdict, target, new)
        if gone:
            steps.remove_attributes(change, self._verdict, target, gone)
            for one in gone:
                self._changed("remove", target, one.name)
        return bool(new or gone)

    def _attribute(self, place: Place, name: str, said: object, before: Attribute | None) -> Attribute:
        asked = stated(said)
        write_value(asked.value, field=f"attributes.{name}")
        return Attribute(
            id=before.id if before else uuid7(),
            name=name,
            value=cast("Any", asked.value),
            scope=place.scope,
            **place.columns,
            source=self._source,
            ttl=asked.ttl,
            set_at=self._now,
        )

    def _changed(self, action: Action, target: str, what: str | None = None) -> None:
        self.changes.append(Imported(action=action, target=target, what=what))


def _role(entry: RoleEntry, before: RoleRecord | None) -> RoleRecord:
    return RoleRecord(
        id=before.id if before else uuid7(), name=entry.name, org_id=entry.org_id, description=entry.description
    )


def _binding(asked: str | BindingEntry) -> RoleBinding:
    if isinstance(asked, str):
        return RoleBinding(role=asked)
    return RoleBinding(role=asked.role, workspace_id=asked.workspace_id, expires_at=asked.expires_at)


def _place(binding: RoleBinding) -> tuple[str, str]:
    return binding.role_id, binding.workspace_id or ""


def _by_holder(attributes: Iterable[Attribute]) -> dict[str, dict[str, Attribute]]:
    found: dict[str, dict[str, Attribute]] = {}
    for attribute in attributes:
        found.setdefault(attribute.holder, {})[attribute.name] = attribute
    return found
