"""Whoever can write to the database and cannot sign is found out: each kind of tampering, at each place of a ledger.

Each change is made in a transaction, verified in it, and rolled back.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from itertools import combinations
from typing import Any

import pytest
from sqlalchemy import Connection, text

from companyos.core import schema
from companyos.core.clock import ManualClock
from companyos.core.database import Database
from companyos.core.keys import KeyStore
from companyos.core.settings import Settings
from companyos.ledger import Journal, Ledger, erasure, raw, store
from companyos.ledger.checkpoint import Checkpoint, sign
from companyos.ledger.merkle import leaf_hash
from companyos.ledger.model import Report
from companyos.ledger.tiles import Frontier
from tests.ledger.conftest import ANA, ORIGIN, entry

SIZE = 37
"""Two full tiles and five records behind them."""
LARGE = 16 * 16 + 2 * 16 + 3
"""A full tile on the second level too."""

Damage = Callable[[Connection], None]


class _UndoError(Exception):
    def __init__(self, report: Report) -> None:
        super().__init__()
        self.report = report


def verified(journal: Journal, damage: Damage, older: tuple[Checkpoint, ...] = ()) -> Report:
    """Return the report on the damaged ledger, and undo the damage."""
    try:
        with journal.database.write() as connection:
            damage(connection)
            *_, last = journal.ledger.verify(connection, older)
            assert isinstance(last, Report)
            raise _UndoError(last)
    except _UndoError as undo:
        return undo.report


def sql(statement: str, **values: Any) -> Damage:
    """Return damage that one statement does."""
    return lambda connection: check_one(connection.execute(text(statement), values).rowcount)


def check_one(changed: int) -> None:
    """Fail when a statement touched nothing."""
    assert changed > 0, "the damage must change something"


def found(journal: Journal, damage: Damage, older: tuple[Checkpoint, ...] = ()) -> tuple[str, int, int]:
    """Return kind and range of the fault that the damage is reported as."""
    report = verified(journal, damage, older)
    assert not report.ok
    assert report.fault is not None
    assert report.first_bad_index == report.fault.index
    return report.fault.kind, report.fault.index, report.fault.through


def made(folder: Any, batches: tuple[int, ...]) -> Journal:
    """Return a ledger that grew in these batches."""
    database = Database.open(f"sqlite:///{folder}/ledger.db")
    schema.upgrade(database)
    clock = ManualClock()
    journal = Journal(database, Ledger(KeyStore(folder / "keys", clock), ORIGIN), clock, Settings(home=str(folder)))
    number = 0
    for count in batches:
        with database.write() as connection:
            entries = [entry(clock.now(), number + more, personal={"email": "a@b.c"}) for more in range(count)]
            journal.ledger.append_all(connection, entries)
        number += count
    return journal


@pytest.fixture(scope="module")
def small(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Journal]:
    """Return a ledger with tiles on one level."""
    journal = made(tmp_path_factory.mktemp("small"), (1,) * 7 + (SIZE - 7,))
    yield journal
    journal.database.close()


@pytest.fixture(scope="module")
def large(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Journal]:
    """Return a ledger with tiles on two levels."""
    journal = made(tmp_path_factory.mktemp("large"), (LARGE,))
    yield journal
    journal.database.close()


@pytest.fixture(scope="module")
def seventh(tmp_path_factory: pytest.TempPathFactory, small: Journal) -> Checkpoint:
    """Return a checkpoint that the small ledger had when it was seven records long."""
    with small.read() as connection:
        leaves = [leaf_hash(body or b"") for _, body in raw.bodies(connection, 0, 7)]
    return Checkpoint(ORIGIN, 7, Frontier().extend(leaves)[0].root())


def test_an_untouched_ledger_is_sound(small: Journal, large: Journal, seventh: Checkpoint) -> None:
    """Without damage nothing is reported, also against an older checkpoint."""
    for journal, size in ((small, SIZE), (large, LARGE)):
        report = verified(journal, lambda _connection: None, (seventh,) if journal is small else ())
        assert (report.ok, report.fault, report.first_bad_index) == (True, None, None)
        assert (report.size, report.checked) == (size, size)


@pytest.mark.parametrize("index", range(SIZE))
def test_a_changed_record_is_named(small: Journal, index: int) -> None:
    """A record whose body says something else is the first bad one, wherever it is."""
    damage = sql("UPDATE ledger_entries SET body = replace(body, 'ana', 'eve') WHERE idx = :i", i=index)
    assert found(small, damage) == ("record", index, index)


def test_every_byte_of_a_record_counts(small: Journal) -> None:
    """Flipping a bit in any single byte of a body is noticed, whether or not it is still JSON or even text."""
    with small.read() as connection:
        body = raw.body_at(connection, 20)
    assert body is not None
    for place in range(len(body)):
        flipped = body[:place] + bytes([body[place] ^ 1]) + body[place + 1 :]
        damage = sql("UPDATE ledger_entries SET body = CAST(:b AS TEXT) WHERE idx = 20", b=flipped)
        assert found(small, damage) == ("record", 20, 20), place


@pytest.mark.parametrize("body", [b"", b"garbage", b"\xff\xfe", b"{}", b"null"])
def test_a_record_that_is_no_record_any_more_is_named(small: Journal, body: bytes) -> None:
    """Verification does not stumble over what cannot be parsed or decoded."""
    for kind in ("TEXT", "BLOB"):
        damage = sql(f"UPDATE ledger_entries SET body = CAST(:b AS {kind}) WHERE idx = 9", b=body)
        assert found(small, damage) == ("record", 9, 9)


def test_appended_bytes_and_other_spellings_count(small: Journal) -> None:
    """A body that means the same as JSON and has other bytes is another record."""
    for new in ("body || ' '", "replace(body, ',', ', ')", "body || char(0)"):
        assert found(small, sql(f"UPDATE ledger_entries SET body = {new} WHERE idx = 33")) == ("record", 33, 33)


def test_any_two_swapped_records_are_named(small: Journal) -> None:
    """When two bodies change places, the lower of the two is the first bad one: for every pair."""
    for low, high in combinations(range(SIZE), 2):
        damage = sql(
            "UPDATE ledger_entries SET body = (SELECT body FROM ledger_entries AS other"
            " WHERE other.idx = :sum - ledger_entries.idx) WHERE idx IN (:low, :high)",
            sum=low + high,
            low=low,
            high=high,
        )
        assert found(small, damage) == ("record", low, low), (low, high)


@pytest.mark.parametrize("index", range(SIZE))
def test_a_removed_record_is_named(small: Journal, index: int) -> None:
    """A record that is gone leaves a gap that is named."""
    assert found(small, sql("DELETE FROM ledger_entries WHERE idx = :i", i=index)) == ("missing", index, index)


@pytest.mark.parametrize("index", range(SIZE))
def test_a_cut_end_is_named(small: Journal, index: int) -> None:
    """When all records from one on are gone, that one is the first bad index."""
    assert found(small, sql("DELETE FROM ledger_entries WHERE idx >= :i", i=index)) == ("missing", index, index)


@pytest.mark.parametrize("index", range(SIZE - 1))
def test_a_removed_record_whose_gap_was_closed_is_named(small: Journal, index: int) -> None:
    """When the records behind a removed one move up, the first that moved is bad."""

    def damage(connection: Connection) -> None:
        connection.execute(text("DELETE FROM ledger_entries WHERE idx = :i"), {"i": index})
        connection.execute(text("UPDATE ledger_entries SET idx = -idx WHERE idx > :i"), {"i": index})
        connection.execute(text("UPDATE ledger_entries SET idx = -idx - 1 WHERE idx < 0"))

    assert found(small, damage) == ("record", index, index)


@pytest.mark.parametrize("index", [-1, SIZE, SIZE + 5, 2**40])
def test_a_record_that_the_tree_does_not_cover_is_named(small: Journal, index: int) -> None:
    """A record beyond the head, or before the first, was never appended."""
    damage = sql("INSERT INTO ledger_entries (idx, body) SELECT :i, body FROM ledger_entries WHERE idx = 3", i=index)
    assert found(small, damage) == ("extra", index, index)


def test_of_several_changed_records_the_first_is_named(small: Journal) -> None:
    """More damage further on hides nothing."""

    def damage(connection: Connection) -> None:
        connection.execute(text("UPDATE ledger_entries SET body = body || ' ' WHERE idx IN (11, 22, 35)"))
        connection.execute(text("DELETE FROM ledger_entries WHERE idx = 30"))

    assert found(small, damage) == ("record", 11, 11)


def test_a_changed_record_before_a_gap_is_named_first(small: Journal) -> None:
    """A record between the last full tile and the first missing one is compared too."""

    def damage(connection: Connection) -> None:
        connection.execute(text("UPDATE ledger_entries SET body = body || ' ' WHERE idx = 18"))
        connection.execute(text("DELETE FROM ledger_entries WHERE idx >= 21"))

    assert found(small, damage) == ("record", 18, 18)


@pytest.mark.parametrize("field", ["ip", "device", "email"])
@pytest.mark.parametrize("change", ["value = value || 'x'", "salt = zeroblob(32)", "value = NULL", "salt = NULL"])
def test_a_changed_personal_value_is_named(small: Journal, field: str, change: str) -> None:
    """A personal value or salt that does not open its commitment belongs to a bad record."""
    for index in (0, 15, 16, 30, SIZE - 1):
        damage = sql(f"UPDATE ledger_personal SET {change} WHERE idx = :i AND field = :f", i=index, f=field)
        assert found(small, damage) == ("personal", index, index)


@pytest.mark.parametrize("index", range(SIZE))
def test_a_personal_value_that_vanished_without_a_record_is_named(small: Journal, index: int) -> None:
    """A value that is gone although nothing says that it was erased is a fault."""
    assert found(small, sql("DELETE FROM ledger_personal WHERE idx = :i AND field = 'ip'", i=index)) == (
        "personal",
        index,
        index,
    )


def test_a_value_that_claims_to_be_erased_is_not_believed(small: Journal) -> None:
    """A row that names as its erasure a record which erased nothing, something else or does not exist is a fault."""
    for erased_by in (3, 12, SIZE - 1, SIZE, -1):
        damage = sql(
            "UPDATE ledger_personal SET salt = NULL, value = NULL, erased_by = :e WHERE idx = 5 AND field = 'ip'",
            e=erased_by,
        )
        assert found(small, damage) == ("personal", 5, 5)


def test_a_value_beside_a_record_that_has_none_is_named(small: Journal) -> None:
    """A personal value that no commitment is for was put there by somebody else."""
    damage = sql("INSERT INTO ledger_personal (idx, field, salt, value) VALUES (4, 'phone', zeroblob(32), '1')")
    assert found(small, damage) == ("personal", 4, 4)
    for index in (-1, SIZE, 2**40):
        damage = sql(
            "INSERT INTO ledger_personal (idx, field, salt, value) VALUES (:i, 'ip', zeroblob(32), '1')", i=index
        )
        assert found(small, damage) == ("extra", index, index)


@pytest.mark.parametrize("index", range(32))
def test_a_changed_tile_is_named_and_the_records_are_not_blamed(small: Journal, index: int) -> None:
    """A stored hash that was changed is told from a changed record, because the signed root decides."""

    def damage(connection: Connection) -> None:
        tile, offset = divmod(index, 16)
        data = bytearray(raw.tile(connection, 0, tile) or b"")
        data[offset * 32 + 7] ^= 4
        connection.execute(
            text("UPDATE ledger_tiles SET hashes = :h WHERE level = 0 AND idx = :i"), {"h": bytes(data), "i": tile}
        )

    assert found(small, damage) == ("tree", index, index)


def test_missing_short_long_and_stray_tiles_are_named(small: Journal) -> None:
    """Tiles that are gone, cut short, too long or should not be there are faults of the tree."""
    assert found(small, sql("DELETE FROM ledger_tiles WHERE idx = 1")) == ("tree", 16, 16)
    short = sql("UPDATE ledger_tiles SET hashes = substr(hashes, 1, 96) WHERE idx = 1")
    assert found(small, short) == ("tree", 19, 19)
    long = sql("UPDATE ledger_tiles SET hashes = hashes || zeroblob(32) WHERE idx = 0")
    assert found(small, long)[0:2] == ("tree", 16)
    stray = sql("INSERT INTO ledger_tiles (level, idx, hashes) VALUES (0, 2, zeroblob(512))")
    assert found(small, stray)[0] == "extra"
    for level, index in ((1, 0), (5, 0), (0, -1), (-1, 0)):
        stray = sql("INSERT INTO ledger_tiles (level, idx, hashes) VALUES (:l, :i, zeroblob(512))", l=level, i=index)
        assert found(small, stray)[0] == "extra"


@pytest.mark.parametrize("wrong", ["CAST(x'ff00' AS TEXT)", "'text'", "17", "1.5", "x''", "zeroblob(70000)"])
def test_values_of_another_type_are_named_too(small: Journal, wrong: str) -> None:
    """SQLite takes any value in any column; whatever is put there is a fault with an index, never a crash."""
    for column in ("salt", "value", "field", "erased_by"):
        damage = sql(f"UPDATE ledger_personal SET {column} = {wrong} WHERE idx = 8 AND field = 'ip'")
        assert found(small, damage)[:2] == ("personal", 8), column
    assert found(small, sql(f"UPDATE ledger_tiles SET hashes = {wrong} WHERE idx = 1")) == ("tree", 16, 16)
    for column, kind in (("frontier", "head"), ("size", "head"), ("checkpoint", "checkpoint")):
        assert found(small, sql(f"UPDATE ledger_head SET {column} = {wrong}"))[0] == kind, column
    for table in ("tiles", "personal"):
        damage = sql(f"UPDATE OR REPLACE ledger_{table} SET idx = {wrong} WHERE idx = 1")
        assert found(small, damage)[0] in {"tree", "personal", "extra"}, table


@pytest.mark.parametrize("place", range(7))
def test_a_changed_frontier_is_named(small: Journal, place: int) -> None:
    """The hashes behind the last full tile are compared: five of level 0, then two of level 1."""

    def damage(connection: Connection) -> None:
        head = raw.head(connection)
        assert head is not None
        data = bytearray(head.frontier)
        data[place * 32] ^= 1
        connection.execute(text("UPDATE ledger_head SET frontier = :f"), {"f": bytes(data)})

    expected = ("tree", 32 + place, 32 + place) if place < 5 else ("tree", (place - 5) * 16, (place - 5) * 16 + 15)
    assert found(small, damage) == expected


def test_a_changed_head_is_named(small: Journal) -> None:
    """A head with another size, without its frontier or without its checkpoint contradicts itself."""
    assert found(small, sql("UPDATE ledger_head SET size = size - 1"))[0] == "head"
    assert found(small, sql("UPDATE ledger_head SET size = size + 1"))[0] == "head"
    assert found(small, sql("UPDATE ledger_head SET size = -1"))[0] == "head"
    assert found(small, sql("UPDATE ledger_head SET frontier = zeroblob(0)"))[0] == "head"
    assert found(small, sql("UPDATE ledger_head SET checkpoint = ''")) == ("checkpoint", 0, SIZE - 1)
    assert found(small, sql("DELETE FROM ledger_head")) == ("extra", 0, 0)
    assert found(small, sql("DELETE FROM ledger_head"), (Checkpoint(ORIGIN, 7, bytes(32)),))[1] == 0


def test_a_forged_checkpoint_vouches_for_nothing(small: Journal, seventh: Checkpoint) -> None:
    """A checkpoint that is not signed by a key of the ledger leaves all records that no older one covers unproven."""
    from companyos.core.signing import LocalSigner

    with small.read() as connection:
        head = raw.head(connection)
    assert head is not None
    root = head.tree().root()
    forged = sign(Checkpoint(ORIGIN, SIZE, root), LocalSigner.generate("ed25519"))
    assert found(small, sql("UPDATE ledger_head SET checkpoint = :c", c=forged)) == ("checkpoint", 0, SIZE - 1)
    assert found(small, sql("UPDATE ledger_head SET checkpoint = :c", c=forged), (seventh,)) == (
        "checkpoint",
        7,
        SIZE - 1,
    )
    elsewhere = sign(Checkpoint("elsewhere", SIZE, root), small.ledger.keys.signer("ledger"))
    assert found(small, sql("UPDATE ledger_head SET checkpoint = :c", c=elsewhere))[0] == "checkpoint"


def test_every_character_of_the_checkpoint_counts(small: Journal) -> None:
    """A checkpoint with any one character changed is not ours any more."""
    with small.read() as connection:
        head = raw.head(connection)
    assert head is not None
    note = head.checkpoint
    for place in range(len(note)):
        changed = note[:place] + ("A" if note[place] != "A" else "B") + note[place + 1 :]
        assert found(small, sql("UPDATE ledger_head SET checkpoint = :c", c=changed))[0] == "checkpoint", place


def changed_with_tree(index: int, *, through_level: int) -> Damage:
    """Return the damage of somebody who changes a record and then mends the stored tree over it, up to a level."""

    def damage(connection: Connection) -> None:
        head = raw.head(connection)
        assert head is not None
        connection.execute(text("UPDATE ledger_entries SET body = body || ' ' WHERE idx = :i"), {"i": index})
        bodies = [body or b"" for _, body in raw.bodies(connection, 0, head.size)]
        frontier, tiles = Frontier().extend([leaf_hash(body) for body in bodies])
        for tile in tiles:
            if tile.level <= through_level:
                connection.execute(
                    text("UPDATE ledger_tiles SET hashes = :h WHERE level = :l AND idx = :i"),
                    {"h": tile.hashes, "l": tile.level, "i": tile.index},
                )
        old = head.tree()
        levels = tuple(
            new if level <= through_level else known
            for level, (new, known) in enumerate(zip(frontier.levels, old.levels, strict=True))
        )
        mended = Frontier(head.size, levels)
        connection.execute(text("UPDATE ledger_head SET frontier = :f"), {"f": mended.encode()})

    return damage


def test_a_record_changed_together_with_its_tiles_is_still_found(large: Journal) -> None:
    """The higher the stored tree was mended, the wider is the range that can be named; the root is never fooled."""
    assert found(large, changed_with_tree(77, through_level=-1)) == ("record", 77, 77)
    assert found(large, changed_with_tree(77, through_level=0)) == ("record", 64, 79)
    assert found(large, changed_with_tree(77, through_level=1)) == ("record", 0, 255)
    assert found(large, changed_with_tree(77, through_level=2)) == ("record", 0, LARGE - 1)
    assert found(large, changed_with_tree(LARGE - 1, through_level=0)) == ("record", 0, LARGE - 1)


def test_a_false_trail_in_the_tiles_is_not_followed(large: Journal) -> None:
    """A stored hash is believed only when its whole level leads to the signed root, however low its own level is."""

    def damage(connection: Connection) -> None:
        changed_with_tree(77, through_level=0)(connection)
        connection.execute(text("UPDATE ledger_tiles SET hashes = zeroblob(512) WHERE level = 0 AND idx = 1"))

    assert found(large, damage) == ("record", 64, 79)


def test_an_older_checkpoint_narrows_what_may_be_wrong(small: Journal, seventh: Checkpoint) -> None:
    """Records that an older checkpoint covers are out of the question when the whole stored tree was mended."""
    assert found(small, changed_with_tree(20, through_level=9), (seventh,)) == ("record", 7, SIZE - 1)


@pytest.mark.parametrize("index", range(SIZE))
def test_a_changed_record_is_named_also_against_older_checkpoints(
    small: Journal, seventh: Checkpoint, index: int
) -> None:
    """Older checkpoints that cover a changed record do not blur which one it is."""
    seen = Checkpoint(ORIGIN, SIZE, _root_of(small, SIZE))
    damage = sql("UPDATE ledger_entries SET body = body || ' ' WHERE idx = :i", i=index)
    assert found(small, damage, (seventh, seen)) == ("record", index, index)
    removed = sql("DELETE FROM ledger_entries WHERE idx = :i", i=index)
    assert found(small, removed, (seventh, seen)) == ("missing", index, index)


def test_a_rewritten_and_signed_history_fails_against_an_older_checkpoint(small: Journal, seventh: Checkpoint) -> None:
    """Whoever can sign too may rewrite everything into a sound ledger; only an older checkpoint tells."""

    def damage(index: int) -> Damage:
        def rewrite(connection: Connection) -> None:
            changed_with_tree(index, through_level=9)(connection)
            head = raw.head(connection)
            assert head is not None
            note = sign(Checkpoint(ORIGIN, head.size, head.tree().root()), small.ledger.keys.signer("ledger"))
            connection.execute(text("UPDATE ledger_head SET checkpoint = :c"), {"c": note})

        return rewrite

    for index in range(SIZE):
        rewritten = verified(small, damage(index))
        assert rewritten.ok, "without an older checkpoint nothing can be known"
        if index < 7:
            assert found(small, damage(index), (seventh,)) == ("history", 0, 6)
        else:
            assert verified(small, damage(index), (seventh,)).ok
    fifth = Checkpoint(ORIGIN, 5, _root_of(small, 5))
    assert found(small, damage(6), (fifth, seventh)) == ("history", 5, 6)


def test_a_shortened_and_signed_ledger_fails_against_an_older_checkpoint(small: Journal) -> None:
    """A ledger cut back to an earlier state, head included, is sound in itself and too short for what was seen."""

    def cut(connection: Connection) -> None:
        connection.execute(text("DELETE FROM ledger_entries WHERE idx >= 21"))
        connection.execute(text("DELETE FROM ledger_personal WHERE idx >= 21"))
        connection.execute(text("DELETE FROM ledger_tiles WHERE idx >= 1"))
        bodies = [body or b"" for _, body in raw.bodies(connection, 0, 21)]
        frontier, _ = Frontier().extend([leaf_hash(body) for body in bodies])
        note = sign(Checkpoint(ORIGIN, 21, frontier.root()), small.ledger.keys.signer("ledger"))
        connection.execute(
            text("UPDATE ledger_head SET size = 21, frontier = :f, checkpoint = :c"),
            {"f": frontier.encode(), "c": note},
        )

    seen = Checkpoint(ORIGIN, SIZE, _root_of(small, SIZE))
    assert verified(small, cut).ok
    assert found(small, cut, (seen,)) == ("history", 21, SIZE - 1)

    def empty(connection: Connection) -> None:
        for table in ("entries", "personal", "tiles", "head"):
            connection.execute(text(f"DELETE FROM ledger_{table}"))

    assert verified(small, empty).ok
    assert found(small, empty, (seen,)) == ("history", 0, SIZE - 1)


def test_the_same_holds_on_every_database(journal: Journal) -> None:
    """On PostgreSQL as on SQLite the first bad index is named for each class of damage."""
    with journal.database.write() as connection:
        journal.ledger.append_all(connection, [entry(journal.clock.now(), number) for number in range(40)])
    change = "UPDATE ledger_entries SET body = replace(body, 'ana', 'eve') WHERE idx = 21"
    assert found(journal, sql(change)) == ("record", 21, 21)
    assert found(journal, sql("DELETE FROM ledger_entries WHERE idx = 21")) == ("missing", 21, 21)
    assert found(journal, sql("DELETE FROM ledger_entries WHERE idx >= 21")) == ("missing", 21, 21)
    value = "UPDATE ledger_personal SET value = '192.0.2.8' WHERE idx = 21 AND field = 'ip'"
    assert found(journal, sql(value)) == ("personal", 21, 21)
    assert found(journal, sql("DELETE FROM ledger_tiles WHERE idx = 1")) == ("tree", 16, 16)
    assert found(journal, sql("UPDATE ledger_head SET checkpoint = ''"))[0] == "checkpoint"
    assert found(journal, sql("UPDATE ledger_head SET size = 39"))[0] == "head"


def test_erasures_that_the_ledger_records_are_no_damage(sqlite_journal: Journal) -> None:
    """Erased and expired values leave a ledger that verifies, and tampering beside them is still found."""
    journal, clock = sqlite_journal, sqlite_journal.clock
    assert isinstance(clock, ManualClock)
    with journal.database.write() as connection:
        old = [entry(clock.now(), number) for number in range(20)]
        journal.ledger.append_all(connection, old)
    moment = clock.now()
    clock.advance(3600)
    with journal.database.write() as connection:
        young = [entry(clock.now(), number) for number in range(20)]
        journal.ledger.append_all(connection, young)
    erasure.erase(journal, ANA, young[3].id, "ip", "asked by the person")
    clock.advance(1)
    assert erasure.erase_personal_before(journal, clock.now()) > 0
    erasure.erase_personal_before(journal, moment)
    assert verified(journal, lambda _connection: None).ok
    newest = 41
    with journal.read() as connection:
        assert store.first_personal(connection) is None or store.first_personal(connection) >= 40  # type: ignore[operator]
    with journal.database.write() as connection:
        journal.ledger.append_all(connection, [entry(clock.now(), number) for number in range(3)])
    gone = sql("DELETE FROM ledger_personal WHERE idx = :i AND field = 'ip'", i=newest + 2)
    assert found(journal, gone) == ("personal", newest + 2, newest + 2)


def _root_of(journal: Journal, size: int) -> bytes:
    with journal.read() as connection:
        leaves = [leaf_hash(body or b"") for _, body in raw.bodies(connection, 0, size)]
    return Frontier().extend(leaves)[0].root()
