"""Erasing personal values, on every database: values go, proofs stay."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

import pytest
from sqlalchemy import text

from companyos.core.clock import ManualClock
from companyos.core.errors import Conflict, Denied, InvalidInput, NotFound
from companyos.ledger import Filter, Journal, LedgerReader, expire_personal
from companyos.ledger.erasure import erase, erase_personal_before
from companyos.ledger.model import Entry, Report
from companyos.ledger.offline import check
from tests.ledger.conftest import ANA, GUEST, entry, fill


@pytest.fixture
def one(journal: Journal) -> Entry:
    """Return an entry with three personal values, in the middle of a ledger."""
    fill(journal, 5)
    made = entry(journal.clock.now(), personal={"email": "ana@example.com"})
    with journal.database.write() as connection:
        journal.ledger.append(connection, made)
    fill(journal, 5)
    return made


def is_sound(journal: Journal) -> bool:
    """Tell whether the whole ledger verifies."""
    *_, report = LedgerReader(journal).verify(ANA)
    assert isinstance(report, Report)
    return report.ok


def test_an_erased_value_is_gone_and_every_proof_stays(journal: Journal, reader: LedgerReader, one: Entry) -> None:
    """After an erasure readers see that there was a value; the record's proof from before is as good as the new one."""
    import msgspec

    before = msgspec.json.encode(reader.proof(ANA, one.id))
    erase(journal, ANA, one.id, "email", "asked by the person")
    erase(journal, ANA, one.id, "ip", "asked by the person")
    record = reader.entry(ANA, one.id)
    assert (record.ip, record.device, record.personal) == (None, "curl/8.5", {"email": None})
    assert record.erased == ("email", "ip")
    assert set(reader.proof(ANA, one.id).personal) == {"device"}
    for document in (before, msgspec.json.encode(reader.proof(ANA, one.id))):
        assert check([document]).index == 5
    assert is_sound(journal)
    with journal.read() as connection:
        left = connection.execute(text("SELECT count(*) FROM ledger_personal WHERE value LIKE '%example%'"))
        assert left.scalar_one() == 0
        salts = connection.execute(text("SELECT count(*) FROM ledger_personal WHERE idx = 5 AND salt IS NOT NULL"))
        assert salts.scalar_one() == 1


def test_an_erasure_is_recorded(journal: Journal, reader: LedgerReader, one: Entry) -> None:
    """Who erased what and why is in the ledger, without the value."""
    said = erase(journal, ANA, one.id, "email", "  asked by the person ")
    record = reader.entry(ANA, said.id)
    assert (record.verb, record.target, record.actor) == ("ledger.erase", f"ledger:{one.id}", "user:ana")
    assert record.details == {"index": 5, "field": "email", "reason": "asked by the person"}
    assert record.policy == "test:ana"


def test_a_value_is_erased_once(journal: Journal, one: Entry) -> None:
    """A second erasure of the same value is a conflict, and nothing is recorded."""
    erase(journal, ANA, one.id, "email", "asked")
    size = journal.size()
    with pytest.raises(Conflict, match="already"):
        erase(journal, ANA, one.id, "email", "asked")
    assert journal.size() == size


def test_what_was_never_there_cannot_be_erased(journal: Journal, one: Entry) -> None:
    """Unknown records and fields are not found, a missing reason is refused, and nobody else may."""
    with pytest.raises(NotFound, match="no record"):
        erase(journal, ANA, "01a202ca-c29d-7361-b79c-264cc132f7ec", "ip", "asked")
    with pytest.raises(NotFound, match="no personal value"):
        erase(journal, ANA, one.id, "actor", "asked")
    for reason in ("", "  ", "x" * 501):
        with pytest.raises(InvalidInput, match="reason"):
            erase(journal, ANA, one.id, "ip", reason)
    with pytest.raises(Denied):
        erase(journal, GUEST, one.id, "ip", "asked")
    assert journal.size() == 11


def test_retention_removes_what_is_old_and_nothing_else(
    journal: Journal, reader: LedgerReader, clock: ManualClock
) -> None:
    """Values older than the moment go, younger ones stay, and the ledger says how many and up to where."""
    fill(journal, 20)
    clock.advance(3600)
    moment = clock.now()
    fill(journal, 10)
    assert erase_personal_before(journal, moment) == 40
    assert erase_personal_before(journal, moment) == 0
    (said,) = reader.entries(ANA, Filter(verb="ledger.expire")).items
    assert said.actor == "system:retention"
    assert said.details == {"before": "2026-01-01T01:00:00.000000Z", "through_index": 19, "values": 40}
    assert reader.entry(ANA, "19").erased == ("device", "ip")
    assert reader.entry(ANA, "20").erased == ()
    assert is_sound(journal)


def test_retention_works_in_chunks(
    journal: Journal, reader: LedgerReader, clock: ManualClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A long backlog is removed in several transactions, each of them recorded."""
    from companyos.ledger import erasure

    monkeypatch.setattr(erasure, "_CHUNK", 6)
    fill(journal, 20)
    clock.advance(1)
    assert erase_personal_before(journal, clock.now()) == 40
    said = reader.entries(ANA, Filter(verb="ledger.expire")).items
    assert [record.details["through_index"] for record in said] == [19, 17, 11, 5]
    assert is_sound(journal)


def test_the_loop_uses_the_setting(journal: Journal, reader: LedgerReader, clock: ManualClock) -> None:
    """Values are kept as many days as the setting says."""
    fill(journal, 2)
    days = journal.settings.ledger_personal_days
    clock.advance(timedelta(days=days).total_seconds())
    assert expire_personal(journal) == 0
    clock.advance(1)
    assert expire_personal(journal) == 4
    assert reader.entry(ANA, "0").ip is None


def test_an_erased_value_may_expire_too(journal: Journal, clock: ManualClock, one: Entry) -> None:
    """Retention also removes what is left of values that were erased one by one."""
    erase(journal, ANA, one.id, "ip", "asked")
    clock.advance(10)
    assert erase_personal_before(journal, clock.now()) > 0
    assert is_sound(journal)
    with pytest.raises(Conflict):
        erase(journal, ANA, one.id, "device", "asked")


def test_erased_values_leave_no_trace_in_the_file(sqlite_journal: Journal, clock: ManualClock) -> None:
    """On SQLite the bytes of erased and expired values are overwritten in the database file, not only unlinked."""
    path = sqlite_journal.database.writer.url.database
    assert path is not None

    def on_disk() -> int:
        _pragma(sqlite_journal, "wal_checkpoint(TRUNCATE)")
        return Path(path).read_bytes().count(b"very.unusual")

    entries = fill(sqlite_journal, 20, personal={"email": "very.unusual@example.com"})
    assert on_disk() == 20
    _pragma(sqlite_journal, "secure_delete = OFF")  # Some systems turn it on for every program.
    erase(sqlite_journal, ANA, entries[-1].id, "email", "asked")
    assert on_disk() == 19
    _pragma(sqlite_journal, "secure_delete = OFF")
    clock.advance(1)
    assert erase_personal_before(sqlite_journal, clock.now()) > 0
    assert on_disk() == 0


def _pragma(journal: Journal, statement: str) -> None:
    """Say something to the one connection that writes."""
    with journal.database.writer.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        connection.connection.driver_connection.execute(f"PRAGMA {statement}")  # type: ignore[union-attr] # it is open
