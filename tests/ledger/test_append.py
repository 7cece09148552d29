"""The append, on every database: what is stored is the tree over the bodies."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from sqlalchemy import text

from companyos.core.clock import ManualClock
from companyos.core.database import Database
from companyos.core.errors import IntegrityFault, InvalidInput, Unavailable
from companyos.ledger import Journal, Ledger, raw
from companyos.ledger.checkpoint import Checkpoint
from companyos.ledger.merkle import leaf_hash, perfect_root, root_hash
from companyos.ledger.model import Report
from companyos.ledger.raw import Head
from tests.ledger.conftest import entry, fill


def stored_root(journal: Journal, size: int) -> bytes:
    """Return the root over the stored bodies, computed from nothing else."""
    with journal.read() as connection:
        leaves = [leaf_hash(body or b"") for _, body in raw.bodies(connection, 0, size)]
    return root_hash(lambda level, index: perfect_root(leaves[index << level : (index + 1) << level]), size)


def head(journal: Journal) -> Head:
    """Return the stored head."""
    with journal.read() as connection:
        found = raw.head(connection)
    assert found is not None
    return found


def report(journal: Journal) -> Report:
    """Return the report of a verification."""
    with journal.read() as connection:
        steps = list(journal.ledger.verify(connection))
    assert isinstance(steps[-1], Report)
    return steps[-1]


@pytest.mark.parametrize("batches", [[1] * 40, [100, 1, 300], [0, 5, 0], [16, 16, 1], [257]])
def test_each_append_signs_the_tree_over_all_bodies(journal: Journal, batches: list[int]) -> None:
    """After every batch the indexes have no gap, and the checkpoint is the signed root over the stored bodies."""
    size = 0
    for count in batches:
        with journal.database.write() as connection:
            indexes = journal.ledger.append_all(
                connection, [entry(journal.clock.now(), number) for number in range(count)]
            )
        assert indexes == tuple(range(size, size + count))
        size += count
        if size:
            checkpoint, _ = journal.ledger.verify_checkpoint(head(journal).checkpoint)
            assert checkpoint == Checkpoint(journal.ledger.origin, size, stored_root(journal, size))
    assert report(journal).ok


def test_one_append_returns_its_index(journal: Journal) -> None:
    """Entries appended one by one get the indexes 0, 1 and 2."""
    found = []
    for number in range(3):
        with journal.database.write() as connection:
            found.append(journal.ledger.append(connection, entry(journal.clock.now(), number)))
    assert found == [0, 1, 2]


def test_a_rolled_back_append_leaves_nothing(journal: Journal) -> None:
    """An exception after the append takes rows, tiles and head back, and the next append takes the index again."""
    fill(journal, 15)

    def fails() -> None:
        with journal.database.write() as connection:
            journal.ledger.append(connection, entry(journal.clock.now()))
            raise RuntimeError("stop")

    with pytest.raises(RuntimeError):
        fails()
    assert head(journal).size == 15
    with journal.read() as connection:
        assert raw.tile(connection, 0, 0) is None
    fill(journal, 2)
    assert report(journal).ok
    assert head(journal).size == 17


def test_a_refused_entry_appends_none_of_its_batch(journal: Journal) -> None:
    """One entry that cannot be recorded keeps the whole batch out."""
    with pytest.raises(InvalidInput), journal.database.write() as connection:
        journal.ledger.append_all(connection, [entry(journal.clock.now()), entry(journal.clock.now(), actor="")])
    with journal.read() as connection:
        assert raw.head(connection) is None
        assert raw.bodies(connection, 0, 10) == []


def test_appends_go_on_across_tiles(journal: Journal) -> None:
    """A ledger that grows past 16 and 256 records stores one full tile for every 16 hashes of each level."""
    fill(journal, 250)
    for number in range(10):
        with journal.database.write() as connection:
            journal.ledger.append(connection, entry(journal.clock.now(), number))
    with journal.read() as connection:
        rows = connection.execute(text("SELECT level, count(*) FROM ledger_tiles GROUP BY level ORDER BY level"))
        assert [tuple(row) for row in rows] == [(0, 16), (1, 1)]
    assert report(journal).ok


@pytest.mark.parametrize(
    "damage",
    [
        "DELETE FROM ledger_head",
        "UPDATE ledger_head SET size = 3",
        "UPDATE ledger_head SET size = size - 1",
    ],
)
def test_an_append_to_a_broken_ledger_is_refused(journal: Journal, damage: str) -> None:
    """A head that does not fit the records stops every append, instead of overwriting or forking history."""
    fill(journal, 20)
    with journal.database.write() as connection:
        connection.execute(text(damage))
    with pytest.raises(IntegrityFault), journal.database.write() as connection:
        journal.ledger.append(connection, entry(journal.clock.now()))
    with journal.read() as connection:
        assert len(raw.bodies(connection, 0, 100)) == 20


def test_a_database_that_takes_no_writes_is_unavailable(journal: Journal) -> None:
    """An append on a connection that only reads is answered with Unavailable, not with the driver's exception."""
    fill(journal, 1)
    with pytest.raises(Unavailable, match="ledger record"), journal.read() as connection:
        journal.ledger.append(connection, entry(journal.clock.now()))


def test_ledger_keys_rotate_and_old_checkpoints_stay_ours(journal: Journal, clock: ManualClock) -> None:
    """After a rotation new checkpoints carry the new key, and a checkpoint of the old one is still verified."""
    fill(journal, 3)
    old = head(journal).checkpoint
    journal.ledger.keys.rotate("ledger")  # type: ignore[attr-defined] # the store of this test can
    clock.advance(60)
    fill(journal, 3)
    new = head(journal).checkpoint
    _, old_key = journal.ledger.verify_checkpoint(old)
    _, new_key = journal.ledger.verify_checkpoint(new)
    assert old_key != new_key
    assert report(journal).ok


def test_a_retired_key_signs_nothing_that_happened_later(journal: Journal, ledger: Ledger, clock: ManualClock) -> None:
    """A checkpoint of a retired key over records that are younger than its window is not accepted."""
    fill(journal, 3)
    old_signer = ledger.keys.signer("ledger")
    ledger.keys.rotate("ledger")  # type: ignore[attr-defined] # the store of this test can
    clock.advance(2 * 86_400)

    class Thief:
        """Somebody who kept the old private key."""

        def signer(self, _purpose: object) -> object:
            return old_signer

        def public_keys(self, _purpose: object) -> object:
            return ledger.keys.public_keys("ledger")

    with journal.database.write() as connection:
        Ledger(Thief(), ledger.origin).append(connection, entry(clock.now()))  # type: ignore[arg-type] # on purpose
    found = report(journal)
    assert not found.ok
    assert found.fault is not None
    assert "retired" in found.fault.detail


@pytest.fixture
def two(database: Database, ledger: Ledger, clock: ManualClock, journal: Journal) -> Iterator[tuple[Journal, Journal]]:
    """Return two journals over the same tables, each with connections of its own."""
    address = database.writer.url.render_as_string(hide_password=False)
    other = Journal(Database.open(address), ledger, clock, journal.settings)
    yield journal, other
    other.close()


def test_two_processes_worth_of_engines_append_to_one_tree(two: tuple[Journal, Journal]) -> None:
    """Two pools of connections that take turns never give an index twice."""
    for number in range(10):
        for journal in two:
            with journal.database.write() as connection:
                journal.ledger.append(connection, entry(journal.clock.now(), number))
    assert head(two[0]).size == 20
    assert report(two[1]).ok
