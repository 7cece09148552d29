import threading
from collections.abc import Iterator

import pytest
from hypothesis import given
from sqlalchemy import event

from companyos.core.clock import ManualClock
from companyos.core.database import Database
from companyos.tower import store
from companyos.tower.fleet import FleetReader
from companyos.tower.model import Removed, TowerRow
from companyos.tower.store import Cursor
from tests.fleet import fleet
from tests.tower.rows import DAY, NOW, any_rows, arm, fine, held, incident


def test_a_row_comes_back_as_it_was_written(database: Database) -> None:
    """Every field survives, lists of structs and empty ones too."""
    full = fine(
        depends_on=("payments",),
        arms=(arm(), arm("canary", version="2.0.0-rc.1+ünïcode")),
        holds=(held(until=NOW),),
        incidents=(incident("sev1", title="<b>“注文”</b>", mitigated=True),),
    )
    bare = TowerRow(name="bare", revision=2)
    with database.write() as connection:
        store.replace(connection, [full, bare])
    with database.read() as connection:
        assert store.rows_since(connection, -1) == [full, bare]
        assert store.rows(connection, {"bare", "unknown"}) == {"bare": bare}
        assert store.owned_by(connection, {"team-commerce"}) == {"checkout"}


def test_a_reader_gets_only_what_is_newer(database: Database) -> None:
    """Rows of the revision it knows are not read again; a removed one comes as a mark."""
    with database.write() as connection:
        store.replace(connection, [fine("a"), fine("b", revision=2)])
    with database.write() as connection:
        store.replace(connection, [fine("a", tier="standard", revision=3)], [Removed("b", 4)])
    with database.read() as connection:
        assert store.rows_since(connection, 2) == [fine("a", tier="standard", revision=3), Removed("b", 4)]
        assert store.rows_since(connection, 4) == []
        assert store.rows(connection) == {"a": fine("a", tier="standard", revision=3)}


def test_projectors_take_turns(database: Database) -> None:
    """Whoever holds the cursor keeps the others waiting, so revisions become visible in their order."""
    taken, overtaken, order = threading.Event(), threading.Event(), []
    with database.write() as connection:
        assert store.lock_cursor(connection) == Cursor(0, 0)

    def second() -> None:
        taken.wait()
        with database.write() as connection:
            cursor = store.lock_cursor(connection)
            overtaken.set()
            order.append(cursor)
            store.move_cursor(connection, Cursor(cursor.position, cursor.revision + 1))

    thread = threading.Thread(target=second)
    thread.start()
    with database.write() as connection:
        assert store.lock_cursor(connection) == Cursor(0, 0)
        taken.set()
        assert not overtaken.wait(0.3)
        store.move_cursor(connection, Cursor(7, 5))
    thread.join(30)
    assert order == [Cursor(7, 5)]
    with database.read() as connection:
        assert store.cursor(connection) == Cursor(7, 6)


def test_the_board_costs_one_query_each_time(database: Database) -> None:
    """Two thousand services are read once; after that only what is newer is, in a single query."""
    with database.write() as connection:
        store.replace(connection, fleet(500, NOW))
    statements: list[str] = []
    event.listen(
        database.reader, "before_cursor_execute", lambda _c, _cursor, statement, *_: statements.append(statement)
    )
    reader = FleetReader(database, ManualClock(NOW), DAY)
    first = reader.board()
    assert len(first.cards) == 500
    assert reader.board() is first
    with database.write() as connection:
        store.replace(connection, [fine("a0", revision=501)], [Removed(list(first.cards)[-1], 501)])
    second = reader.board()
    assert (len(second.cards), second.revision) == (499, 501)
    selects = [statement for statement in statements if statement.startswith("SELECT")]
    assert len(selects) == 3


def test_time_alone_makes_a_new_board(database: Database) -> None:
    """Nothing was written, yet a hold has ended."""
    clock = ManualClock(NOW)
    with database.write() as connection:
        store.replace(connection, [fine(holds=(held(until=NOW + DAY / 24),))])
    reader = FleetReader(database, clock, DAY)
    assert reader.board().cards["checkout"].state == "held"
    clock.advance(3600)
    assert reader.board().cards["checkout"].state == "ok"


@pytest.fixture(scope="module")
def memory(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Database]:
    """Return a database for many examples."""
    from companyos.core import schema

    database = Database.open(f"sqlite:///{tmp_path_factory.mktemp('tower')}/examples.db")
    schema.upgrade(database)
    yield database
    database.close()


@given(any_rows)
def test_any_row_can_be_stored(memory: Database, rows: list[TowerRow]) -> None:
    """What the model allows, the table holds."""
    with memory.write() as connection:
        store.replace(connection, rows)
    with memory.read() as connection:
        found = store.rows(connection, {row.name for row in rows})
    assert found == {row.name: row for row in rows}
