import os
import subprocess
import sys
import textwrap
import threading
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path

import pytest
from sqlalchemy import Column, Integer, MetaData, String, Table, exc, insert, select, text, update

from companyos.core.database import Database, Json, UtcDateTime
from companyos.core.errors import InvalidInput, Unavailable

notes = Table(
    "notes",
    MetaData(),
    Column("id", Integer, primary_key=True),
    Column("body", String(100)),
    Column("at", UtcDateTime),
    Column("more", Json),
)


@pytest.fixture
def noted(empty_database: Database) -> Database:
    """Return a database with one note whose body is a zero."""
    with empty_database.write() as connection:
        notes.metadata.create_all(connection)
        connection.execute(insert(notes).values(id=1, body="0"))
    return empty_database


def test_a_write_commits_while_a_read_is_open(noted: Database) -> None:
    """A reader in the middle of its transaction neither blocks a writer nor sees what it writes."""
    with noted.read() as reader:
        assert reader.execute(select(notes.c.body)).scalar_one() == "0"
        with noted.write() as writer:
            writer.execute(update(notes).values(body="1"))
        assert reader.execute(select(notes.c.body)).scalar_one() == "0"
    with noted.read() as reader:
        assert reader.execute(select(notes.c.body)).scalar_one() == "1"


def test_a_read_cannot_write(noted: Database) -> None:
    """The reading engine refuses statements that change anything."""
    with pytest.raises((exc.DBAPIError, Unavailable)), noted.read() as reader:
        reader.execute(insert(notes).values(id=2))
    with noted.read() as reader:
        assert reader.execute(select(notes.c.id)).scalars().all() == [1]


def test_an_exception_rolls_everything_back(noted: Database) -> None:
    """A write transaction that ends in an exception leaves nothing behind."""

    def fails() -> None:
        with noted.write() as writer:
            writer.execute(insert(notes).values(id=2))
            raise RuntimeError("stop")

    with pytest.raises(RuntimeError, match="stop"):
        fails()
    with noted.read() as reader:
        assert reader.execute(select(notes.c.id)).scalars().all() == [1]


def test_moments_and_json_come_back_as_they_went_in(noted: Database) -> None:
    """An aware moment of any zone comes back in UTC to the microsecond, JSON as the same value, None as NULL."""
    moment = datetime(2026, 7, 1, 12, 0, 0, 123456, tzinfo=timezone(timedelta(hours=2)))
    with noted.write() as writer:
        writer.execute(insert(notes).values(id=2, at=moment, more={"a": [1, None, "ü"]}))
        writer.execute(insert(notes).values(id=3, at=moment - timedelta(days=300_000), more=None))
    with noted.read() as reader:
        rows = reader.execute(select(notes.c.at, notes.c.more).order_by(notes.c.at)).all()
        nulls = reader.execute(text("SELECT count(*) FROM notes WHERE more IS NULL")).scalar_one()
    assert [row.at for row in rows if row.at][1:] == [datetime(2026, 7, 1, 10, 0, 0, 123456, tzinfo=UTC)]
    assert [row.more for row in rows if row.more] == [{"a": [1, None, "ü"]}]
    assert nulls == 2


def test_a_naive_moment_is_refused(noted: Database) -> None:
    """A moment without a zone never reaches the database."""
    with pytest.raises(exc.StatementError, match="time zone"), noted.write() as writer:
        writer.execute(insert(notes).values(id=2, at=datetime(2026, 1, 1)))  # noqa: DTZ001 - the naive one is the point


def test_threads_that_read_and_then_write_lose_nothing(noted: Database) -> None:
    """Eight threads that each add one 25 times, by reading and writing back, add 200."""

    def add(_: int) -> None:
        for _ in range(25):
            with noted.write() as connection:
                value = int(connection.execute(select(notes.c.body).with_for_update()).scalar_one() or "")
                connection.execute(update(notes).values(body=str(value + 1)))

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(add, range(8)))
    with noted.read() as reader:
        assert reader.execute(select(notes.c.body)).scalar_one() == "200"


ADD = textwrap.dedent("""
    import sys
    from sqlalchemy import text
    from companyos.core.database import Database
    database = Database.open(sys.argv[1])
    lock = " FOR UPDATE" if database.dialect == "postgresql" else ""
    for _ in range(50):
        with database.write() as connection:
            value = int(connection.execute(text("SELECT body FROM notes WHERE id = 1" + lock)).scalar_one())
            connection.execute(text("UPDATE notes SET body = :body WHERE id = 1"), {"body": str(value + 1)})
""")


def test_processes_that_read_and_then_write_lose_nothing(noted: Database, database_url: str) -> None:
    """Four processes that each add one 50 times at once add 200, and none of them meets a lock error."""
    children = [
        subprocess.Popen([sys.executable, "-c", ADD, database_url], stderr=subprocess.PIPE, text=True) for _ in range(4)
    ]
    assert [child.communicate(timeout=60)[1] for child in children] == [""] * 4
    with noted.read() as reader:
        assert reader.execute(select(notes.c.body)).scalar_one() == "200"


def test_a_second_writer_waits_for_the_first(noted: Database) -> None:
    """A write transaction holds its lock from its first statement, so a second one sees all that the first wrote."""
    begun, seen = threading.Event(), []

    def second() -> None:
        begun.wait()
        with noted.write() as connection:
            seen.append(connection.execute(select(notes.c.body).with_for_update()).scalar_one())

    thread = threading.Thread(target=second)
    thread.start()
    with noted.write() as connection:
        connection.execute(update(notes).values(body="first"))
        begun.set()
    thread.join()
    assert seen == ["first"]


@pytest.mark.parametrize("url", ["", "nonsense", "mysql://x/y", "sqlite://", "sqlite:///:memory:"])
def test_an_address_of_another_kind_is_refused(url: str) -> None:
    """Databases that the platform does not know are refused with what it does know."""
    with pytest.raises(InvalidInput) as fault:
        Database.open(url)
    assert "sqlite:///path" in fault.value.next_step


def test_a_database_that_cannot_be_reached_is_neither_yes_nor_no(tmp_path: Path) -> None:
    """A missing folder or a closed port is Unavailable, with the cause in one line and no password."""
    for url in (f"sqlite:///{tmp_path}/no/such/folder.db", "postgresql://u:secret@127.0.0.1:1/x"):
        with pytest.raises(Unavailable) as fault:
            Database.open(url).ping()
        assert "secret" not in str(fault.value)
        assert "\n" not in str(fault.value)


def test_the_file_of_a_new_database_is_private(tmp_path: Path) -> None:
    """The SQLite file and its log are readable by their owner alone, whatever the umask says."""
    before = os.umask(0)
    try:
        database = Database.open(f"sqlite:///{tmp_path}/new.db")
        with database.write() as connection:
            notes.metadata.create_all(connection)
            modes = {path.name: path.stat().st_mode & 0o777 for path in tmp_path.iterdir()}
        database.close()
    finally:
        os.umask(before)
    assert modes == {"new.db": 0o600, "new.db-wal": 0o600, "new.db-shm": 0o600}
