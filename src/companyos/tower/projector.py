"""Keeps the projection: reads what is new in the ledger and projects the services that it speaks of anew.

The ledger says which services changed; what is true of them is read from the pillars. So an entry that is read twice,
late or out of order does no harm, and a rebuild gives the same rows.
"""

from __future__ import annotations

from collections.abc import Collection
from typing import Final

import msgspec
from sqlalchemy import Connection

from companyos.catalog import Catalog
from companyos.core.access import Caller, require
from companyos.core.paging import MAX_LIMIT
from companyos.ledger import Filter, Journal, LedgerReader
from companyos.operations import Operations
from companyos.tower import store
from companyos.tower.findings import WIDE, findings
from companyos.tower.model import Removed, TowerRow
from companyos.tower.projection import project
from companyos.tower.store import Cursor

READER: Final = Caller(subject="system:tower", roles=frozenset({"operator"}))
"""Who reads the ledger for the projection."""

CATCH_UP_LIMIT: Final = 5_000
"""With more unread entries than this, everything is projected anew instead of following them one by one."""


class Rebuilt(msgspec.Struct, frozen=True, kw_only=True):
    """What a rebuild did."""

    services: int
    changed: int
    """Rows that were wrong, missing or too many before."""
    position: int
    """How many ledger entries the projection knows."""


class Touched(msgspec.Struct, frozen=True):
    """What must be projected anew."""

    services: frozenset[str] | None = None
    """None for all of them."""
    teams: frozenset[str] = frozenset()
    """Teams that changed: their services show who is on call."""


_EVERYTHING: Final = Touched()


class Projector:
    """Writes the projection; one process at a time does it well, several do no harm."""

    def __init__(self, journal: Journal, catalog: Catalog, operations: Operations) -> None:
        """Take where to read what is new, and whom to ask what is true."""
        self._journal = journal
        self._ledger = LedgerReader(journal)
        self._catalog = catalog
        self._operations = operations

    def advance(self) -> int:
        """Project what changed since the last time and return how many rows are different now.

        While nothing changed this reads two numbers and writes nothing. Raises Unavailable.
        """
        size = self._journal.size()
        with self._journal.read() as connection:
            cursor = store.cursor(connection)
        if size == cursor.position:
            return 0
        if cursor.position == 0 or not 0 < size - cursor.position <= CATCH_UP_LIMIT:
            # Never projected, far behind, or a ledger that was restored from an older copy.
            touched = _EVERYTHING
        else:
            touched = self._touched(cursor.position, size)
        with self._journal.database.write() as connection:
            if store.lock_cursor(connection) != cursor:
                return 0  # Another process was quicker; the next look continues from where it got.
            names = touched.services
            if names is not None and touched.teams:
                names = names | store.owned_by(connection, touched.teams)
            return self._project(connection, names, cursor, size)

    def rebuild(self, caller: Caller) -> Rebuilt:
        """Project every service anew, record in the ledger who asked for it, and return what was different.

        Raises Denied or Unavailable.
        """
        verdict = require(caller, "database.upgrade", "tower:projection")
        with self._journal.write(caller) as change:
            cursor = store.lock_cursor(change.connection)
            size = self._journal.ledger.size(change.connection)
            changed = self._project(change.connection, None, cursor, size)
            services = len(store.rows(change.connection))
            change.record(
                verb="tower.rebuild",
                target="tower:projection",
                verdict=verdict,
                details={"services": services, "changed": changed},
            )
        return Rebuilt(services=services, changed=changed, position=size)

    def _touched(self, position: int, size: int) -> Touched:
        """Return what the unread entries speak of."""
        names: set[str] = set()
        teams: set[str] = set()
        after = position - 1
        while after < size - 1:
            page = self._ledger.entries(READER, Filter(), after=after, limit=min(MAX_LIMIT, size - 1 - after))
            if not page.items:
                break
            for record in page.items:
                kind, _, name = record.target.partition(":")
                if record.service is not None:
                    names.add(record.service)
                if kind == "team":
                    teams.add(name)
                if kind in WIDE:
                    return _EVERYTHING
            after = page.items[-1].index
        return Touched(frozenset(names), frozenset(teams))

    def _project(self, connection: Connection, names: Collection[str] | None, cursor: Cursor, position: int) -> int:
        """Bring the rows of the named services, or of all, in line with the pillars; return how many were not."""
        revision = max(position, cursor.revision + 1)
        before = store.rows(connection, names)
        against = findings(
            self._operations.active_holds_by_subject(connection=connection),
            self._operations.open_incidents_by_subject(connection=connection),
        )
        after = [
            project(known, against, revision=revision)
            for known in self._catalog.services_for_projection(names, connection=connection)
        ]
        different = [row for row in after if not _says_the_same(before.get(row.name), row)]
        gone = [Removed(name, revision) for name in before.keys() - {row.name for row in after}]
        store.replace(connection, different, gone)
        changed = len(different) + len(gone)
        store.move_cursor(connection, Cursor(position, revision if changed else cursor.revision))
        return changed


def _says_the_same(before: TowerRow | None, after: TowerRow) -> bool:
    return before is not None and msgspec.structs.replace(before, revision=after.revision) == after
