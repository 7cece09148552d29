from __future__ import annotations

from pathlib import Path

import pytest
from sqlalchemy import text

from companyos.core.errors import IntegrityFault, Unavailable
from companyos.core.settings import Settings
from companyos.ledger import Journal, LedgerReader, open_journal
from companyos.ledger.model import Report
from tests.ledger.conftest import ANA, fill


def last_report(journal: Journal) -> Report:
    """Return the report of a verification that uses the pin."""
    *_, report = LedgerReader(journal).verify(ANA)
    assert isinstance(report, Report)
    return report


def shortened(journal: Journal, size: int) -> None:
    """Put the ledger back to how it was with ``size`` records: what an attacker or an old backup would do."""
    fresh = [(index, body) for index, body in _bodies(journal) if index < size]
    with journal.database.write() as connection:
        for table in ("entries", "personal", "tiles", "head"):
            connection.execute(text(f"DELETE FROM ledger_{table}"))
    from companyos.ledger import append
    from companyos.ledger.body import Sealed
    from companyos.ledger.checkpoint import Checkpoint, sign

    def note(count: int, root: bytes) -> str:
        return sign(Checkpoint(journal.ledger.origin, count, root), journal.ledger.keys.signer("ledger"))

    with journal.database.write() as connection:
        append.append(connection, [Sealed(body, ()) for _, body in fresh], note)


def _bodies(journal: Journal) -> list[tuple[int, bytes]]:
    from companyos.ledger import raw

    with journal.read() as connection:
        return [(index, body or b"") for index, body in raw.bodies(connection, 0, 1000)]


def test_the_pin_follows_the_ledger(sqlite_journal: Journal) -> None:
    """The pin moves to the newest checkpoint as the ledger grows; nothing is pinned while it is empty."""
    pin = sqlite_journal.pin
    assert pin.advance() is None
    assert pin.read() is None
    for size in (3, 20, 40):
        fill(sqlite_journal, size - sqlite_journal.size())
        moved = pin.advance()
        assert moved is not None
        assert moved.size == size
        note = pin.read()
        assert note is not None
        assert sqlite_journal.ledger.verify_checkpoint(note)[0] == moved
    assert pin.path.stat().st_mode & 0o077 == 0


def test_a_shortened_ledger_does_not_move_the_pin(sqlite_journal: Journal) -> None:
    """After a cut the pin stays where it was, and verification names where the ledger now ends."""
    fill(sqlite_journal, 20)
    sqlite_journal.pin.advance()
    before = sqlite_journal.pin.read()
    shortened(sqlite_journal, 12)
    with pytest.raises(IntegrityFault, match="20 records"):
        sqlite_journal.pin.advance()
    assert sqlite_journal.pin.read() == before
    fault = last_report(sqlite_journal).fault
    assert fault is not None
    assert (fault.kind, fault.index) in {("history", 12), ("personal", 0)}


def test_an_emptied_ledger_does_not_move_the_pin(sqlite_journal: Journal) -> None:
    """Deleting everything, head included, leaves the pin as the witness."""
    fill(sqlite_journal, 5)
    sqlite_journal.pin.advance()
    with sqlite_journal.database.write() as connection:
        for table in ("entries", "personal", "tiles", "head"):
            connection.execute(text(f"DELETE FROM ledger_{table}"))
    with pytest.raises(IntegrityFault, match="empty"):
        sqlite_journal.pin.advance()
    fault = last_report(sqlite_journal).fault
    assert fault is not None
    assert (fault.kind, fault.index) == ("history", 0)


def test_a_rewritten_ledger_does_not_move_the_pin(sqlite_journal: Journal) -> None:
    """A ledger that was written anew, with the right key, grew to another tree than the pinned one."""
    fill(sqlite_journal, 5)
    sqlite_journal.pin.advance()
    before = sqlite_journal.pin.read()
    with sqlite_journal.database.write() as connection:
        for table in ("entries", "personal", "tiles", "head"):
            connection.execute(text(f"DELETE FROM ledger_{table}"))
    fill(sqlite_journal, 30)
    with pytest.raises(IntegrityFault, match="rewritten"):
        sqlite_journal.pin.advance()
    assert sqlite_journal.pin.read() == before
    report = last_report(sqlite_journal)
    assert not report.ok
    assert report.fault is not None
    assert (report.fault.kind, report.fault.index, report.fault.through) == ("history", 0, 4)


def test_a_verification_that_passes_moves_the_pin(sqlite_journal: Journal) -> None:
    """After a whole verification the newest checkpoint is pinned."""
    fill(sqlite_journal, 9)
    assert last_report(sqlite_journal).ok
    note = sqlite_journal.pin.read()
    assert note is not None
    assert sqlite_journal.ledger.verify_checkpoint(note)[0].size == 9


def test_a_pin_that_is_not_ours_is_a_fault(sqlite_journal: Journal) -> None:
    """A pinned file that somebody replaced, or whose key is gone, is never passed over."""
    fill(sqlite_journal, 9)
    sqlite_journal.pin.advance()
    note = sqlite_journal.pin.read() or ""
    sqlite_journal.pin.path.write_text(note.replace("\n9\n", "\n8\n"))
    with pytest.raises(IntegrityFault):
        sqlite_journal.pin.advance()
    with pytest.raises(IntegrityFault):
        LedgerReader(sqlite_journal).verify(ANA)
    sqlite_journal.pin.path.write_bytes(b"\xff\xff")
    with pytest.raises(Unavailable):
        sqlite_journal.pin.read()
    sqlite_journal.pin.path.unlink()
    sqlite_journal.pin.path.symlink_to("/etc/hostname")
    with pytest.raises(IntegrityFault):
        sqlite_journal.pin.read()


def test_each_database_has_its_own_pin(tmp_path_factory: pytest.TempPathFactory) -> None:
    """Moving on to another database is no cut history."""
    home = tmp_path_factory.mktemp("home")
    paths: set[Path] = set()
    for name in ("one", "two"):
        journal = open_journal(Settings(home=str(home), database_url=f"sqlite:///{home}/{name}.db"))
        if name == "one":
            fill(journal, 3)
        journal.pin.advance()
        paths.add(journal.pin.path)
        journal.close()
    assert len(paths) == 2


def test_a_damaged_history_does_not_keep_the_journal_from_opening(tmp_path_factory: pytest.TempPathFactory) -> None:
    """Opening goes on with a ledger that contradicts its pin, so that verification can name the fault."""
    settings = Settings(home=str(tmp_path_factory.mktemp("home")))
    journal = open_journal(settings)
    fill(journal, 5)
    journal.close()
    journal = open_journal(settings)
    with journal.database.write() as connection:
        for table in ("entries", "personal", "tiles", "head"):
            connection.execute(text(f"DELETE FROM ledger_{table}"))
    journal.close()
    journal = open_journal(settings)
    assert not last_report(journal).ok
    journal.close()
