"""Erasing personal values: one on request, or all that are older than the retention; the ledger records both."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Final

from companyos.core.access import Caller, require
from companyos.core.clock import rfc3339
from companyos.core.errors import Conflict, InvalidInput, NotFound
from companyos.ledger import body as bodies
from companyos.ledger import raw, store
from companyos.ledger.journal import Journal
from companyos.ledger.model import Entry
from companyos.ledger.personal import ERASE, EXPIRE

MAX_REASON_CHARACTERS: Final = 500

_RETENTION: Final = Caller(subject="system:retention")
_CHUNK: Final = 5_000


def erase(journal: Journal, caller: Caller, record_id: str, field: str, reason: str) -> Entry:
    """Erase one personal value of a record and return the entry that says so; every proof stays valid.

    Raises Denied, InvalidInput for a missing reason, NotFound for a record or value that never was, Conflict for one
    that is erased already.
    """
    verdict = require(caller, ERASE, f"ledger:{record_id}")
    if not 0 < len(reason.strip()) <= MAX_REASON_CHARACTERS:
        raise InvalidInput(
            f"An erasure needs a reason of 1 to {MAX_REASON_CHARACTERS} characters.",
            next_step="Say who asked for it and why, without the value itself.",
            field="reason",
        )
    with journal.write(caller) as change:
        # Taking the next index keeps it: nobody else can append before this transaction ends.
        erased_by = store.next_index(change.connection)
        found = store.find(change.connection, record_id)
        if found is None:
            raise NotFound(f"The ledger has no record {record_id}.", next_step="Use the id that `tail` shows.")
        index, data = found
        body = bodies.read(index, data)
        if field not in bodies.commitments(body):
            raise NotFound(f"Record {record_id} has no personal value {field[:60]!r}.", next_step="See `ledger show`.")
        if not store.erase_value(change.connection, index, field, erased_by=erased_by):
            raise Conflict(f"The value {field} of record {record_id} is erased already.")
        return change.record(
            verb=ERASE,
            target=f"ledger:{body.id}",
            verdict=verdict,
            service=body.service,
            details={"index": index, "field": field, "reason": reason.strip()},
        )


def expire_personal(journal: Journal) -> int:
    """Remove the personal values that are older than the setting ``ledger_personal_days``; for a background loop."""
    return erase_personal_before(journal, journal.clock.now() - timedelta(days=journal.settings.ledger_personal_days))


def erase_personal_before(journal: Journal, moment: datetime) -> int:
    """Remove all personal values of records older than ``moment`` and return how many there were.

    Works in chunks, each recorded as ``ledger.expire``, so that a long backlog never holds the ledger for long.
    """
    removed = 0
    while (through := _last_before(journal, moment)) is not None:
        with journal.write(_RETENTION) as change:
            count = store.erase_through(change.connection, through)
            change.record(
                verb=EXPIRE,
                target="ledger",
                details={"before": rfc3339(moment), "through_index": through, "values": count},
            )
        removed += count
    return removed


def _last_before(journal: Journal, moment: datetime) -> int | None:
    """Return the last index of the next chunk to expire, or None when the oldest value left is young enough.

    Times follow the indexes only nearly (a long transaction appends late), so the first young record ends the chunk.
    """
    with journal.read() as connection:
        first = store.first_personal(connection)
        if first is None:
            return None
        last: int | None = None
        for index, data in raw.bodies(connection, first, _CHUNK):
            if data is None or bodies.read(index, data).time >= moment:
                break
            last = index
        return last
