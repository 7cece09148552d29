"""The journal: the one way in which any pillar changes anything, so that no change goes unrecorded."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from typing import Any, Final

from sqlalchemy import Connection

from companyos.core import schema
from companyos.core.access import Caller, Verdict
from companyos.core.clock import Clock, SystemClock
from companyos.core.database import Database
from companyos.core.errors import CompanyOSError, Denied
from companyos.core.keys import KeyStore
from companyos.core.settings import Settings
from companyos.ledger.body import MAX_CHARACTERS
from companyos.ledger.model import Entry, LogIndex
from companyos.ledger.pin import Pin
from companyos.ledger.reads import ReadCounter
from companyos.ledger.service import Ledger

_UNNAMED: Final = "unnamed"
_MAX_REASON_CHARACTERS: Final = 1000


class NothingRecorded(CompanyOSError):
    """A write transaction ended without a ledger record, so it was rolled back: a mistake in the program."""


class Change:
    """One write transaction and what it will be recorded as."""

    def __init__(self, connection: Connection, caller: Caller, clock: Clock) -> None:
        """Take the open transaction, who asked for it, and what tells the time."""
        self.connection = connection
        self.entries: list[Entry] = []
        self._origin = _origin(caller)
        self._clock = clock

    @property
    def actor(self) -> str:
        """Who asked for it, as the ledger names them."""
        return str(self._origin["actor"])

    def record(
        self,
        *,
        verb: str,
        target: str,
        verdict: Verdict | None = None,
        service: str | None = None,
        release: str | None = None,
        details: Mapping[str, Any] | None = None,
        personal: Mapping[str, str] | None = None,
    ) -> Entry:
        """Note what happened, to be appended when the transaction ends, and return the entry (its ``id`` is final).

        Actor, ip, device and request come from the caller. Policy and obligations come from the verdict, and so does
        the id of its own record, which becomes ``details.audit_id``.
        """
        known = dict(details or {})
        if verdict is not None and verdict.audit_id is not None:
            known["audit_id"] = verdict.audit_id
        entry = Entry(
            time=self._clock.now(),
            verb=verb,
            target=target,
            policy=verdict.policy if verdict else None,
            obligations=verdict.obligations if verdict else (),
            decision="allow" if verdict is None or verdict.allowed else "deny",
            service=service,
            release=release,
            details=known,
            personal=personal or {},
            **self._origin,
        )
        self.entries.append(entry)
        return entry


class Journal:
    """The database together with its ledger."""

    def __init__(self, database: Database, ledger: Ledger, clock: Clock, settings: Settings) -> None:
        """Take what ``open_journal`` has opened."""
        self.database = database
        self.ledger = ledger
        self.clock = clock
        self.settings = settings
        self.reads = ReadCounter(database, clock)
        self.pin = Pin.of(settings, database, ledger)

    @contextmanager
    def write(self, caller: Caller, *, unchanged_ok: bool = False) -> Iterator[Change]:
        """Give one write transaction; at its end all that was recorded is appended, and then it commits.

        An exception rolls everything back, and so does a change that records nothing (NothingRecorded). With
        ``unchanged_ok`` the latter is quiet: the change found, under the write lock, that everything is so already.
        """
        try:
            with self.database.write() as connection:
                change = Change(connection, caller, self.clock)
                yield change
                if not change.entries:
                    raise NothingRecorded("A change was made without a ledger record, so it was undone.")
                self.ledger.append_all(connection, change.entries)
        except NothingRecorded:
            if not unchanged_ok:
                raise

    @contextmanager
    def read(self) -> Iterator[Connection]:
        """Give a connection that sees one moment of the database and cannot write."""
        with self.database.read() as connection:
            yield connection

    def deny(self, caller: Caller, verb: str, target: str, denied: Denied) -> LogIndex:
        """Record a denial in a transaction of its own and return its index.

        Verb and target may be what an attacker sent, so they are cut and cleaned instead of refused.
        """
        entry = Entry(
            time=self.clock.now(),
            verb=verb,
            target=_cleaned(target, "target") or _UNNAMED,
            decision="deny",
            policy=_cleaned(denied.policy, "policy"),
            details={"reason": _printable(denied.detail[:_MAX_REASON_CHARACTERS])},
            **_origin(caller),
        )
        with self.database.write() as connection:
            return self.ledger.append(connection, entry)

    def size(self) -> int:
        """Return how many records there are; it grows with every change of any process, so it is the revision."""
        with self.database.read() as connection:
            return self.ledger.size(connection)

    def close(self) -> None:
        """Write down the counted reads and close the database."""
        with suppress(CompanyOSError):
            # A database that is gone has closed itself; counts of reads are not worth failing a shutdown for.
            self.reads.flush()
        self.database.close()


def open_journal(settings: Settings, clock: Clock | None = None) -> Journal:
    """Return the journal of a home: folder, database with its schema, keys and ledger; what is missing is made.

    Raises Unavailable, NewerSchema, or InvalidInput for a database address that is none.
    """
    clock = clock or SystemClock()
    home = settings.folder.create()
    database = Database.open(settings.resolved_database_url)
    try:
        schema.ensure(database)
        journal = Journal(database, Ledger(KeyStore(home.keys, clock), settings.ledger_origin), clock, settings)
        with suppress(CompanyOSError):
            # A history that was rewritten must not keep `verify` from running, which is what names the fault.
            journal.pin.advance()
    except BaseException:
        database.close()
        raise
    return journal


def _origin(caller: Caller) -> dict[str, Any]:
    """Return what the ledger keeps of a request; what a client claims is cut and cleaned, so that it never fails."""
    return {
        "actor": _cleaned(caller.subject, "actor") or _UNNAMED,
        "ip": _cleaned(caller.ip, "ip"),
        "device": _cleaned(caller.device, "device"),
        "request_id": _cleaned(caller.request_id, "request_id"),
    }


def _cleaned(text: str | None, field: str) -> str | None:
    """Return the text within the field's limit, with a question mark for what a terminal must not see."""
    if not text:
        return None
    return _printable(text[: MAX_CHARACTERS[field]])


def _printable(text: str) -> str:
    return text if text.isprintable() else "".join(one if one.isprintable() else "?" for one in text)
