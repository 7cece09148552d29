"""All subjects in memory, for a decision point that has no time to ask the database.

A ``Directory`` is one moment and never changes. ``DirectoryCache.refresh`` looks at the counters of ``revision``, loads
the subjects that have changed since, and puts a new directory in the place of the old one; who still decides with the
old one is not disturbed.
"""

from __future__ import annotations

import threading
from collections.abc import Iterable, Iterator, Mapping
from datetime import datetime
from itertools import groupby
from typing import TYPE_CHECKING, Any, Final, TypeVar

import msgspec
from sqlalchemy import Row, select

from companyos.identity.attribute import NOTHING, Attributes, read_value
from companyos.identity.revision import revisions
from companyos.identity.roles import BUILT_IN
from companyos.identity.tables import attributes, role_bindings, roles, subjects

if TYPE_CHECKING:
    from sqlalchemy import Connection

    from companyos.ledger import Journal

T = TypeVar("T")
_ROWS: Final = 1000
"""How many rows are read at a time."""


class Said(msgspec.Struct, frozen=True, gc=False):
    """What is said of one subject, org or workspace: columns, of which holders with the same names share the first."""

    names: tuple[str, ...]
    values: tuple[Any, ...]
    """Texts, numbers, booleans, None, or a tuple of these."""
    ends: tuple[float, ...] | None
    """Seconds since 1970 at which each ends, infinity for never; None when all hold for ever."""


class Bound(msgspec.Struct, frozen=True, gc=False):
    """A role of a subject."""

    role: str
    workspace_id: str | None
    ends: float
    """Seconds since 1970, infinity for never."""


class Member(msgspec.Struct, frozen=True, gc=False):
    """One subject."""

    id: str
    type: str
    name: str
    active: bool
    org_id: str | None
    workspace_id: str | None
    said: Said
    bindings: tuple[Bound, ...]

    @property
    def actor(self) -> str:
        """``user:<name>`` or ``service:<name>``."""
        return f"{self.type}:{self.name}"


class Directory:
    """All subjects at one moment; threads may share it."""

    __slots__ = ("_actors", "_members", "_places", "revisions")

    def __init__(
        self,
        members: Mapping[str, Member],
        actors: Mapping[str, str],
        places: Mapping[tuple[str, str], Said],
        known: Mapping[str, int],
    ) -> None:
        """Take members by id, ids by actor, what is said of places as ``("org", id)``, and the revisions."""
        self._members = members
        self._actors = actors
        self._places = places
        self.revisions = known

    def __len__(self) -> int:
        """Return how many subjects there are."""
        return len(self._members)

    def find(self, named: str) -> Member | None:
        """Return the subject of this id, or of ``user:<name>``; None when there is none."""
        return self._members.get(named) or self._members.get(self._actors.get(named, ""))

    def roles_of(self, named: str, workspace: str | None, now: datetime) -> frozenset[str]:
        """Return the names of the roles that count for a subject now, everywhere and in the workspace.

        For None it is the subject's own workspace. Nothing counts for who is unknown or suspended.
        """
        member = self.find(named)
        if member is None or not member.active:
            return frozenset()
        where, moment = workspace or member.workspace_id, now.timestamp()
        return frozenset(one.role for one in member.bindings if one.workspace_id in (None, where) and moment < one.ends)

    def attributes_of(self, named: str, workspace: str | None, now: datetime) -> Attributes:
        """Return what ``identity.attributes_of`` says, from memory; nothing in it is shared with the directory."""
        member = self.find(named)
        if member is None or not member.active:
            return NOTHING
        moment = now.timestamp()
        where = workspace or member.workspace_id
        sources = [self._places.get(("org", member.org_id))] if member.org_id is not None else []
        if where is not None and _is_in(member, where, moment):
            sources.append(self._places.get(("workspace", where)))
        values: dict[str, Any] = {}
        stale: set[str] = set()
        for said in (*sources, member.said):
            if said is None:
                continue
            if said.ends is None:
                values.update(zip(said.names, said.values, strict=True))
                stale.difference_update(said.names)
                continue
            for name, value, ends in zip(said.names, said.values, said.ends, strict=True):
                if moment < ends:
                    values[name] = value
                    stale.discard(name)
                else:
                    values.pop(name, None)
                    stale.add(name)
        for name, value in values.items():
            if type(value) is tuple:
                values[name] = list(value)
        return Attributes(values, frozenset(stale))


EMPTY: Final = Directory({}, {}, {}, {})


class DirectoryCache:
    """The present directory of this process."""

    def __init__(self, journal: Journal) -> None:
        """Work on the database of this journal; nothing is loaded yet."""
        self._journal = journal
        self._lock = threading.Lock()
        self._present = EMPTY

    @property
    def present(self) -> Directory:
        """The directory of the last refresh."""
        return self._present

    def refresh(self) -> Directory:
        """Return the directory as the database is now, after loading what has changed; raises Unavailable."""
        with self._lock:
            with self._journal.read() as connection:
                self._present = refreshed(connection, self._present)
            return self._present


def refreshed(connection: Connection, before: Directory) -> Directory:
    """Return the directory of now, ``before`` itself when nothing has changed."""
    known = revisions(connection)
    first = before is EMPTY  # A home of the release before has subjects, and counters that never counted.
    if known == before.revisions and not first:
        return before
    if any(known.get(part, 0) < count for part, count in before.revisions.items()):
        return refreshed(connection, EMPTY)  # Somebody has put an older database in the place of this one.
    pool = _Pool()
    places = before._places  # noqa: SLF001 - one class in two parts
    if first or known.get("places") != before.revisions.get("places"):
        places = dict(_places(connection, pool))
    since = before.revisions.get("subjects", 0)
    if first or known.get("roles") != before.revisions.get("roles"):
        since = -1  # A role was deleted or added, so that bindings of anybody may mean something else.
    if known.get("subjects", 0) <= since:
        return Directory(before._members, before._actors, places, known)  # noqa: SLF001 - see above
    members = dict(before._members)  # noqa: SLF001 - see above
    actors = dict(before._actors)  # noqa: SLF001 - see above
    for member in _members(connection, since, pool):
        members[member.id] = member
        actors[member.actor] = member.id
    return Directory(members, actors, places, known)


def _members(connection: Connection, since: int, pool: _Pool) -> Iterator[Member]:
    """Yield the subjects that changed after a revision, with one pass over each table in the order of their ids."""
    changed = subjects.c.revision > since
    ids = select(subjects.c.id).where(changed)
    bound = _Groups(
        _streamed(
            connection,
            select(role_bindings, roles.c.name)
            .where(role_bindings.c.subject_id.in_(ids))
            .outerjoin(roles, roles.c.id == role_bindings.c.role_id)
            .order_by(role_bindings.c.subject_id),
        )
    )
    said = _Groups(
        _streamed(
            connection,
            select(*_SAID, attributes.c.subject_id)
            .where(attributes.c.subject_id.in_(ids))
            .order_by(attributes.c.subject_id, attributes.c.name),
        )
    )
    for row in _streamed(connection, select(subjects).where(changed).order_by(subjects.c.id)):
        yield Member(
            row.id,
            pool.same(row.type),
            row.name,
            row.status == "active",
            pool.same(row.org_id),
            pool.same(row.workspace_id),
            _said(said.of(row.id), pool),
            tuple(_bound(one, pool) for one in bound.of(row.id) if one.name is not None or one.role_id in BUILT_IN),
        )


_SAID: Final = (attributes.c.name, attributes.c.value, attributes.c.ttl, attributes.c.set_at)


def _places(connection: Connection, pool: _Pool) -> Iterator[tuple[tuple[str, str], Said]]:
    for scope in ("org", "workspace"):
        holder = attributes.c[f"{scope}_id"]
        query = select(*_SAID, holder.label("holder")).where(holder.is_not(None)).order_by(holder, attributes.c.name)
        for place, rows in groupby(_streamed(connection, query), key=lambda row: row.holder):
            yield (scope, place), _said(rows, pool)


class _Pool:
    """Keeps equal things once: a word that thousands have, a list of names, a binding."""

    def __init__(self) -> None:
        self._same: dict[Any, Any] = {}
        self._values: dict[str, Any] = {}

    def same(self, thing: T) -> T:
        """Return the first thing that was equal to this one."""
        kept: T = self._same.setdefault(thing, thing)
        return kept

    def value(self, text: str) -> Any:  # noqa: ANN401 - JSON
        """Return the value of an attribute, a list as a tuple; equal texts give the same object."""
        if text not in self._values:
            value = read_value(text)
            self._values[text] = tuple(value) if isinstance(value, list) else value
        return self._values[text]


class _Groups:
    """Rows in the order of their subject, taken subject by subject in the same order."""

    def __init__(self, rows: Iterator[Row[Any]]) -> None:
        self._groups = groupby(rows, key=lambda row: row.subject_id)
        self._next = next(self._groups, None)

    def of(self, id: str) -> Iterable[Row[Any]]:
        """Return the rows of this subject; subjects must be asked for in their order."""
        if self._next is None or self._next[0] != id:
            return ()
        rows = list(self._next[1])
        self._next = next(self._groups, None)
        return rows


def _said(rows: Iterable[Row[Any]], pool: _Pool) -> Said:
    names, values, ends = [], [], []
    for row in rows:
        names.append(row.name)
        values.append(pool.value(row.value))
        ends.append(float("inf") if row.ttl is None else row.set_at.timestamp() + row.ttl)
    holds = all(end == float("inf") for end in ends)
    return Said(pool.same(tuple(names)), tuple(values), None if holds else tuple(ends))


def _bound(row: Row[Any], pool: _Pool) -> Bound:
    ends = float("inf") if row.expires_at is None else row.expires_at.timestamp()
    return pool.same(Bound(pool.same(row.name or row.role_id), pool.same(row.workspace_id or None), ends))


def _streamed(connection: Connection, query: Any) -> Iterator[Row[Any]]:  # noqa: ANN401 - SQLAlchemy's Select
    return iter(connection.execute(query, execution_options={"yield_per": _ROWS}))


def _is_in(member: Member, workspace: str, moment: float) -> bool:
    own = member.workspace_id == workspace
    return own or any(one.workspace_id == workspace and moment < one.ends for one in member.bindings)
