"""The keys that seal what decisions looked at: one for each subject, so that deleting it erases the subject.

A key is made before the first record that needs it is written. The records of an erased subject stay in their chain
with everything but their values; nobody can read those again, and later records of the same subject get a new key.
"""

from __future__ import annotations

import hashlib
import secrets
import threading
from collections import OrderedDict
from collections.abc import Collection, Iterable, Mapping
from datetime import datetime
from functools import lru_cache
from typing import Final, NamedTuple

from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from sqlalchemy import Connection, func, select, text, update
from sqlalchemy.dialects import postgresql, sqlite

from companyos.core.access import Caller, require
from companyos.core.errors import InvalidInput, NotFound
from companyos.core.ids import uuid7
from companyos.ledger import Change, Journal
from companyos.policy.log.tables import decision_keys

KEY_BYTES: Final = 32
KEPT: Final = 50_000
"""How many keys a process remembers."""

MAX_REASON_CHARACTERS: Final = 500
ERASE: Final = "ledger.erase"
"""The permission, which is that of erasing personal values of the ledger."""

ERASED: Final = "decision.erase"
"""The verb of the ledger row that says so."""
_CHUNK: Final = 500


class SubjectKey(NamedTuple):
    """A key and the name under which records refer to it."""

    id: str
    cipher: AESGCM


@lru_cache(16_384)
def owner(subject_type: str, subject_id: str) -> str:
    """Return the digest under which a subject's key is kept; ids are of any length, and columns are not."""
    text_of = f"{len(subject_type)}:{subject_type}{subject_id}"
    return hashlib.sha256(text_of.encode("utf-8", "surrogatepass")).hexdigest()


class Keys:
    """The keys of a journal's database, remembered by this process until one of them is erased anywhere."""

    def __init__(self, journal: Journal) -> None:
        """Take the journal."""
        self._journal = journal
        self._by_owner: OrderedDict[str, SubjectKey] = OrderedDict()
        self._by_id: OrderedDict[str, AESGCM | None] = OrderedDict()
        self._erased = -1
        self._lock = threading.Lock()

    def refresh(self) -> None:
        """Forget everything when a key was erased since the last time, by this process or another one."""
        with self._journal.read() as connection:
            erased = connection.execute(
                select(func.count()).select_from(decision_keys).where(decision_keys.c.erased_at.is_not(None))
            ).scalar_one()
        with self._lock:
            if erased != self._erased:
                self._by_owner.clear()
                self._by_id.clear()
                self._erased = erased

    def of(self, owners: Collection[str]) -> Mapping[str, SubjectKey]:
        """Return the key of each owner; those that have none get one, in one transaction. Raises Unavailable."""
        with self._lock:
            known = {one: key for one in owners if (key := self._by_owner.get(one)) is not None}
        missing = sorted(set(owners) - known.keys())
        if not missing:
            return known
        found = self._stored(missing)
        if new := [one for one in missing if one not in found]:
            self._make(new)
            found |= self._stored(new)
        with self._lock:
            self._by_owner.update(found)
            while len(self._by_owner) > KEPT:
                self._by_owner.popitem(last=False)
        return known | found

    def ciphers(self, ids: Iterable[str]) -> Mapping[str, AESGCM | None]:
        """Return what opens the records of each key id; None where the key was erased, or never was."""
        wanted = set(ids)
        with self._lock:
            known = {one: self._by_id[one] for one in wanted if one in self._by_id}
        missing = sorted(wanted - known.keys())
        found: dict[str, AESGCM | None] = dict.fromkeys(missing)
        with self._journal.read() as connection:
            for start in range(0, len(missing), _CHUNK):
                query = select(decision_keys.c.id, decision_keys.c.key).where(
                    decision_keys.c.id.in_(missing[start : start + _CHUNK]), decision_keys.c.key.is_not(None)
                )
                found |= {one: AESGCM(key) for one, key in connection.execute(query)}
        with self._lock:
            self._by_id.update(found)
            while len(self._by_id) > KEPT:
                self._by_id.popitem(last=False)
        return known | found

    def erase(self, caller: Caller, subject_type: str, subject_id: str, reason: str) -> str:
        """Delete the key of a subject and return its id; what its decisions looked at can never be read again.

        Raises Denied, InvalidInput for a missing reason, NotFound for a subject that no decision was about.
        """
        verdict = require(caller, ERASE, f"subject:{owner(subject_type, subject_id)[:16]}")
        if not 0 < len(reason.strip()) <= MAX_REASON_CHARACTERS:
            raise InvalidInput(
                f"An erasure needs a reason of 1 to {MAX_REASON_CHARACTERS} characters.",
                next_step="Say who asked for it and why, without the name itself.",
                field="reason",
            )
        with self._journal.write(caller) as change:
            gone = _take(change, owner(subject_type, subject_id), self._journal.clock.now())
            details = {"key": gone, "reason": reason.strip()}
            change.record(verb=ERASED, target=f"decisions:{gone}", verdict=verdict, details=details)
        self.refresh()
        return gone

    def _stored(self, owners: list[str]) -> dict[str, SubjectKey]:
        found: dict[str, SubjectKey] = {}
        with self._journal.read() as connection:
            for start in range(0, len(owners), _CHUNK):
                query = select(decision_keys.c.subject, decision_keys.c.id, decision_keys.c.key).where(
                    decision_keys.c.subject.in_(owners[start : start + _CHUNK])
                )
                found |= {whose: SubjectKey(one, AESGCM(key)) for whose, one, key in connection.execute(query)}
        return found

    def _make(self, owners: list[str]) -> None:
        """Make the missing keys; of several processes that race for one, the first wins and the others read it."""
        now = self._journal.clock.now()
        rows = [
            {"id": uuid7(), "subject": one, "key": secrets.token_bytes(KEY_BYTES), "created_at": now} for one in owners
        ]
        # A key is made by chance and decides nothing, so it needs no record; that it is erased has one.
        with self._journal.database.write() as connection:
            dialect = postgresql.insert if connection.dialect.name == "postgresql" else sqlite.insert
            statement = dialect(decision_keys).on_conflict_do_nothing(index_elements=[decision_keys.c.subject])
            connection.execute(statement, rows)


def _take(change: Change, subject: str, now: datetime) -> str:
    connection: Connection = change.connection
    if connection.dialect.name == "sqlite":
        # Zeros go over what is deleted, instead of leaving it in free pages.
        connection.execute(text("PRAGMA secure_delete = ON"))
    query = select(decision_keys.c.id).where(decision_keys.c.subject == subject)
    found: str | None = connection.execute(query.with_for_update()).scalar_one_or_none()
    if found is None:
        raise NotFound(
            "No decision was ever about this subject, or it is erased already.",
            next_step="Give the type and the id with which decisions were asked.",
        )
    connection.execute(
        update(decision_keys).where(decision_keys.c.id == found).values(subject=None, key=None, erased_at=now)
    )
    return found
