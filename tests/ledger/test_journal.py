from __future__ import annotations

from pathlib import Path

import msgspec
import pytest
from sqlalchemy import text

from companyos.core import access, schema
from companyos.core.access import Caller, Verdict
from companyos.core.clock import ManualClock
from companyos.core.database import Database
from companyos.core.errors import Denied, InvalidInput, NewerSchema, Unavailable
from companyos.core.settings import Settings
from companyos.ledger import Filter, Journal, LedgerReader, Record, open_journal
from companyos.ledger.journal import NothingRecorded
from tests.ledger.conftest import ANA, GUEST


def records(journal: Journal) -> list[Record]:
    """Return all records, oldest first."""
    return LedgerReader(journal).entries(ANA, Filter(), after=-1).items


@pytest.fixture
def notes(journal: Journal) -> Journal:
    """Return the journal with a table that stands for what a pillar writes."""
    with journal.database.write() as connection:
        connection.execute(text("CREATE TABLE notes (body text)"))
    return journal


def count(journal: Journal) -> int:
    """Return how many notes were committed."""
    with journal.read() as connection:
        return int(connection.execute(text("SELECT count(*) FROM notes")).scalar_one())


def test_a_change_and_its_records_are_committed_together(notes: Journal) -> None:
    """What a change writes is there with its records, which say who, from where, by which rule, for which request."""
    verdict = Verdict(allowed=True, policy="roles:operator", reason="", obligations=("log_event",))
    with notes.write(ANA) as change:
        change.connection.execute(text("INSERT INTO notes VALUES ('one')"))
        entry = change.record(
            verb="note.add",
            target="note:1",
            verdict=verdict,
            service="checkout",
            release="checkout@1.0.0",
            details={"size": 3},
            personal={"email": "ana@example.com"},
        )
        change.record(verb="note.count", target="notes")
    first, second = records(notes)
    assert count(notes) == 1
    assert msgspec.structs.asdict(first) == {
        "index": 0,
        "id": entry.id,
        "time": notes.clock.now(),
        "actor": "user:ana",
        "verb": "note.add",
        "target": "note:1",
        "policy": "roles:operator",
        "decision": "allow",
        "obligations": ("log_event",),
        "ip": "192.0.2.7",
        "device": "curl/8.5",
        "service": "checkout",
        "release": "checkout@1.0.0",
        "request_id": "request-1",
        "details": {"size": 3},
        "personal": {"email": "ana@example.com"},
        "erased": (),
        "signature": None,
    }
    assert (second.index, second.verb, second.policy) == (1, "note.count", None)


def test_an_exception_takes_the_change_and_its_records_back(notes: Journal) -> None:
    """When the work fails after it was recorded, neither it nor the record exists."""

    def fails() -> None:
        with notes.write(ANA) as change:
            change.connection.execute(text("INSERT INTO notes VALUES ('one')"))
            change.record(verb="note.add", target="note:1")
            raise RuntimeError("stop")

    with pytest.raises(RuntimeError):
        fails()
    assert (count(notes), records(notes)) == (0, [])


def test_a_change_without_a_record_is_undone(notes: Journal) -> None:
    """Writing and recording nothing is a mistake: it raises, and what was written is gone."""
    with pytest.raises(NothingRecorded), notes.write(ANA) as change:
        change.connection.execute(text("INSERT INTO notes VALUES ('one')"))
    assert (count(notes), records(notes)) == (0, [])


def test_a_record_that_is_refused_takes_the_change_back(notes: Journal) -> None:
    """When what is to be recorded breaks a limit, the change does not happen either."""

    def refused() -> None:
        with notes.write(ANA) as change:
            change.connection.execute(text("INSERT INTO notes VALUES ('one')"))
            change.record(verb="note.add", target="note:1", details={"size": float("nan")})

    with pytest.raises(InvalidInput):
        refused()
    assert (count(notes), records(notes)) == (0, [])


def test_reading_cannot_write(notes: Journal) -> None:
    """The connection of a read refuses to change anything, so no change goes around the ledger that way."""
    with pytest.raises(Exception, match=r"read.?only|query_only|write"), notes.read() as connection:
        connection.execute(text("INSERT INTO notes VALUES ('one')"))
    assert count(notes) == 0


def test_a_denial_is_recorded_with_its_rule_and_reason(journal: Journal) -> None:
    """A denied attempt is a record of its own, with the decision deny."""
    with pytest.raises(Denied) as caught:
        access.require(GUEST, "service.write", "service:checkout")
    index = journal.deny(GUEST, "service.write", "service:checkout", caught.value)
    (record,) = records(journal)
    assert (record.index, record.decision, record.policy) == (index, "deny", "test:ana")
    assert (record.actor, record.verb, record.target) == ("user:guest", "service.write", "service:checkout")
    assert "Only ana may" in record.details["reason"]


def test_a_denial_of_hostile_text_is_recorded_too(journal: Journal) -> None:
    """Whatever a client sent as target, device, ip or request id cannot keep its denial out of the ledger."""
    hostile = Caller(
        subject="user:" + "x" * 500,
        ip="1" * 200,
        device="\x1b[31m\x00\u202e" + "d" * 5000,
        request_id="\n" * 400,
    )
    denied = Denied("no\x00\x1b" + "r" * 9000, policy="p\n" * 300)
    journal.deny(hostile, "service.write", "service:\x00\ud800" + "t" * 9000, denied)
    journal.deny(Caller(subject=""), "service.write", "", Denied(""))
    first, second = records(journal)
    for text_ in (first.actor, first.target, first.ip, first.device, first.request_id, first.policy):
        assert text_ is not None
        assert text_.isprintable()
    assert first.device is not None
    assert first.device.startswith("?[31m??ddd")
    assert (len(first.device), len(first.target)) == (512, 512)
    assert (second.actor, second.target, second.ip) == ("unnamed", "unnamed", None)


def test_size_grows_with_every_record(journal: Journal) -> None:
    """The number of records is the revision of the database, seen by every process."""
    assert journal.size() == 0
    for expected in (1, 2):
        with journal.write(ANA) as change:
            change.record(verb="note.add", target="note:1")
        assert journal.size() == expected


def test_ids_of_records_are_known_before_the_commit(journal: Journal) -> None:
    """What ``record`` returns is what readers find later."""
    with journal.write(ANA) as change:
        entry = change.record(verb="note.add", target="note:1")
    assert LedgerReader(journal).entry(ANA, entry.id).id == entry.id


def test_opening_makes_what_is_missing_and_keeps_what_is_there(database_url: str, tmp_path: Path) -> None:
    """A first start makes home, schema and key; a second one finds the same ledger, and the pin beside it."""
    settings = Settings(home=str(tmp_path / "new"), database_url=database_url)
    journal = open_journal(settings)
    with journal.write(ANA) as change:
        change.record(verb="note.add", target="note:1")
    key = journal.ledger.keys.signer("ledger").key_id
    journal.close()
    again = open_journal(settings)
    assert again.size() == 1
    assert again.ledger.keys.signer("ledger").key_id == key
    assert again.pin.path.exists()
    again.close()


def test_opening_refuses_a_schema_that_is_not_its_own(sqlite_journal: Journal) -> None:
    """A database of a newer release is refused as such."""
    url = str(sqlite_journal.database.writer.url)
    with sqlite_journal.database.write() as connection:
        connection.execute(text("UPDATE alembic_version SET version_num = '9999'"))
    with pytest.raises(NewerSchema):
        open_journal(Settings(home=sqlite_journal.settings.home, database_url=url))


def test_opening_an_unreachable_database_is_unavailable(tmp_path_factory: pytest.TempPathFactory) -> None:
    """No answer from the database is neither a yes nor a no."""
    home = tmp_path_factory.mktemp("home")
    with pytest.raises(Unavailable):
        open_journal(Settings(home=str(home), database_url=f"postgresql://localhost/x?host={home}/nothing"))


def test_counted_reads_are_written_when_the_journal_closes(sqlite_journal: Journal, clock: ManualClock) -> None:
    """Reads are counted per day, actor and action, in one write, and counts of several flushes add up."""
    for _ in range(3):
        sqlite_journal.reads.count("user:ana", "catalog.read")
    assert sqlite_journal.reads.flush() == 3
    sqlite_journal.reads.count("user:ana", "catalog.read")
    clock.advance(86_400)
    sqlite_journal.reads.count("user:ana", "catalog.read")
    sqlite_journal.reads.count("user:guest", "ledger.read")
    url = str(sqlite_journal.database.writer.url)
    sqlite_journal.close()
    reopened = Journal(Database.open(url), sqlite_journal.ledger, clock, sqlite_journal.settings)
    page = LedgerReader(reopened).reads(ANA)
    assert [(row.day, row.actor, row.action, row.count) for row in page.items] == [
        ("2026-01-02", "user:guest", "ledger.read", 1),
        ("2026-01-02", "user:ana", "catalog.read", 1),
        ("2026-01-01", "user:ana", "catalog.read", 4),
    ]
    first = LedgerReader(reopened).reads(ANA, limit=2)
    rest = LedgerReader(reopened).reads(ANA, limit=2, cursor=first.next_cursor)
    assert [row.count for row in (*first.items, *rest.items)] == [1, 1, 4]
    assert rest.next_cursor is None
    reopened.database.close()


def test_counts_of_reads_survive_a_failed_write(journal: Journal) -> None:
    """When the database does not take the counts, they are kept for the next try."""
    journal.reads.count("user:ana", "catalog.read")
    with journal.database.write() as connection:
        connection.execute(text("ALTER TABLE ledger_reads RENAME TO elsewhere"))
    with pytest.raises(Exception, match="ledger_reads"):
        journal.reads.flush()
    with journal.database.write() as connection:
        connection.execute(text("ALTER TABLE elsewhere RENAME TO ledger_reads"))
    assert journal.reads.flush() == 1
    assert journal.reads.flush() == 0


def test_the_schema_is_the_one_of_the_tables(sqlite_journal: Journal) -> None:
    """The tables that these tests use come from the migrations."""
    schema.check(sqlite_journal.database)
