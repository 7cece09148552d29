"""How many records the ledger takes and verifies in a second, beside a plain table that promises nothing."""

from __future__ import annotations

import sqlite3
import tempfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

from sqlalchemy import Column, Integer, MetaData, String, Table, insert

from bench.harness import AtLeast, Row, best_of, elapsed_s
from companyos.core import access
from companyos.core.access import NO_FACTS, Caller, Verdict
from companyos.core.settings import Settings
from companyos.ledger import Journal, LedgerReader, open_journal
from companyos.ledger.model import Report

_BATCH = 100
_SERVICES = 500
_ROUNDS = 5
_CALLER = Caller(subject="user:ana", ip="192.0.2.7", device="companyos/0.1.0", request_id="01a202ca-c29d-7361-b79c")
_business = Table("bench_business", MetaData(), Column("id", Integer, primary_key=True), Column("name", String(40)))


def run(scale: float) -> Iterator[Row]:
    """Rows for appends one by one, appends in batches, proofs and verification."""
    with tempfile.TemporaryDirectory(prefix="companyos-bench-") as folder, _journal(Path(folder)) as journal:
        single, batches = max(50, round(1500 * scale)), max(3, round(100 * scale))
        note = "SQLite, fsync, checkpoint signed per transaction, ip and device committed, one business row each"
        yield Row(
            room="ledger",
            name="appends, one a transaction",
            value=_best(single, lambda: _append(journal, single, 1)),
            unit="/s",
            target=AtLeast(1000),
            peer=f"plain table, same bytes, fsync: {_best(single, lambda: _plain(Path(folder), single, 1)):,.0f} /s",
            note=note,
        )
        count = batches * _BATCH
        plain = _best(count, lambda: _plain(Path(folder), batches, _BATCH))
        yield Row(
            room="ledger",
            name=f"appends, {_BATCH} a transaction",
            value=_best(count, lambda: _append(journal, batches, _BATCH)),
            unit="/s",
            target=AtLeast(20_000),
            peer=f"plain table, same bytes, fsync: {plain:,.0f} /s",
            note=note,
        )
        size = journal.size()
        yield Row(
            room="ledger",
            name="verify: leaves, tree, commitments, signature",
            value=_best(size, lambda: _verify(journal)),
            unit="records/s",
            target=AtLeast(100_000),
            note=f"{size:,} records",
        )
        proofs = max(20, round(500 * scale))
        yield Row(
            room="ledger",
            name="records with their proof",
            value=_best(proofs, lambda: _prove(journal, proofs, size)),
            unit="/s",
            note=f"one query after the other, {size:,} records",
        )


@contextmanager
def _journal(folder: Path) -> Iterator[Journal]:
    access.bind(_Everything())
    with closing(open_journal(Settings(home=str(folder / "home")))) as journal:
        with journal.database.write() as connection:
            _business.create(connection)
        yield journal


class _Everything:
    def decide(self, caller: Caller, action: str, resource: str, facts: Mapping[str, Any] = NO_FACTS) -> Verdict:
        del caller, action, resource, facts
        return Verdict(allowed=True, policy="bench:all", reason="A benchmark.")


def _best(count: int, work: Callable[[], object]) -> float:
    """How often a second, in the best of some rounds."""
    return count / best_of(_ROUNDS, lambda: elapsed_s(work), key=float)


def _append(journal: Journal, transactions: int, batch: int) -> None:
    for number in range(transactions):
        with journal.write(_CALLER) as change:
            change.connection.execute(insert(_business).values(name=f"row {number}"))
            for place in range(batch):
                service = f"service-{(number * batch + place) % _SERVICES}"
                change.record(
                    verb="service.update",
                    target=f"service:{service}",
                    service=service,
                    details={"changed": ["owner", "tier"], "source": "catalog-info.yaml", "revision": number},
                )


def _plain(folder: Path, transactions: int, batch: int) -> None:
    """Insert texts as long as our records into a table of the same settings, with the same business row."""
    with closing(sqlite3.connect(folder / "plain.db", isolation_level=None)) as database:
        database.execute("PRAGMA journal_mode = WAL")
        database.execute("PRAGMA synchronous = FULL")
        database.execute("CREATE TABLE IF NOT EXISTS business (id INTEGER PRIMARY KEY, name TEXT)")
        database.execute("CREATE TABLE IF NOT EXISTS entries (idx INTEGER PRIMARY KEY, body TEXT)")
        body = "x" * 750
        for number in range(transactions):
            database.execute("BEGIN IMMEDIATE")
            database.execute("INSERT INTO business (name) VALUES (?)", (f"row {number}",))
            database.executemany("INSERT INTO entries (body) VALUES (?)", [(body,)] * batch)
            database.execute("COMMIT")


def _verify(journal: Journal) -> None:
    *_, report = LedgerReader(journal).verify(_CALLER)
    assert isinstance(report, Report)
    assert report.ok


def _prove(journal: Journal, count: int, size: int) -> None:
    reader = LedgerReader(journal)
    for number in range(count):
        assert reader.entry(_CALLER, str(number * 7919 % size)).signature is not None
