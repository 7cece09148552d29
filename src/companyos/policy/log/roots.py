"""The root of each closed segment becomes a row of the ledger, whose signature then covers every record in it."""

from __future__ import annotations

from datetime import datetime
from typing import Final, NamedTuple

from sqlalchemy import Connection, insert, select

from companyos.core.access import Caller, Verdict
from companyos.ledger import Journal
from companyos.policy.log.appending import Closed, Known
from companyos.policy.log.tables import decision_segments

VERB: Final = "decision.segment"
_SYSTEM: Final = Caller(subject="system:decisions")
_RULE: Final = Verdict(allowed=True, policy="decisions:close", reason="The log closes its segments itself.")


class Root(NamedTuple):
    """A closed segment as the database has it."""

    stream: str
    number: int
    records: int
    bytes: int
    first_id: str | None
    last_id: str | None
    head: str
    closed_at: datetime
    ledger_id: str


def target(stream: str, number: int) -> str:
    """Return how the ledger names a segment."""
    return f"decisions:{stream}/{number}"


def record(journal: Journal, closed: Closed) -> None:
    """Write the ledger row and the row of the table; a segment that has them already is left alone.

    Raises Unavailable.
    """
    with journal.write(_SYSTEM, unchanged_ok=True) as change:
        if known(change.connection, closed.stream).get(closed.number) is not None:
            return
        entry = change.record(
            verb=VERB,
            target=target(closed.stream, closed.number),
            verdict=_RULE,
            details={
                "stream": closed.stream,
                "number": closed.number,
                "records": closed.records,
                "bytes": closed.bytes,
                "first_id": closed.first_id,
                "last_id": closed.last_id,
                "head": closed.head,
                "torn_bytes": closed.torn_bytes,
                "broken": closed.broken,
            },
        )
        change.connection.execute(
            insert(decision_segments).values(
                stream=closed.stream,
                number=closed.number,
                records=closed.records,
                bytes=closed.bytes,
                first_id=closed.first_id,
                last_id=closed.last_id,
                head=closed.head,
                closed_at=entry.time,
                ledger_id=entry.id,
            )
        )


def known(connection: Connection, stream: str) -> dict[int, Known]:
    """Return the closed segments of a stream by number."""
    query = select(decision_segments.c.number, decision_segments.c.head).where(decision_segments.c.stream == stream)
    return {number: Known(head) for number, head in connection.execute(query)}


def roots(connection: Connection) -> dict[tuple[str, int], Root]:
    """Return all closed segments by stream and number."""
    columns = (
        decision_segments.c.stream,
        decision_segments.c.number,
        decision_segments.c.records,
        decision_segments.c.bytes,
        decision_segments.c.first_id,
        decision_segments.c.last_id,
        decision_segments.c.head,
        decision_segments.c.closed_at,
        decision_segments.c.ledger_id,
    )
    return {(row[0], row[1]): Root(*row) for row in connection.execute(select(*columns))}
