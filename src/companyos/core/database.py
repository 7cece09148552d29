"""The database: SQLAlchemy Core over SQLite (WAL) or PostgreSQL, with one engine that writes and one that only reads.

SQLite takes a write lock when a transaction first writes, and a reader that turns writer fails at once when another
process wrote meanwhile (SQLITE_BUSY_SNAPSHOT), however long the busy timeout is. So every write transaction begins
``IMMEDIATE``. The same event on a shared engine would make reads take that lock too; hence two engines.
"""

from __future__ import annotations

import os
import sqlite3
import time
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Final

from sqlalchemy import JSON, Connection, Dialect, Engine, MetaData, String, create_engine, event, exc, make_url, text
from sqlalchemy.dialects import postgresql
from sqlalchemy.pool import QueuePool
from sqlalchemy.types import TypeDecorator, TypeEngine

from companyos.core.clock import rfc3339
from companyos.core.errors import InvalidInput, Unavailable

if TYPE_CHECKING:
    from collections.abc import Iterator

BUSY_TIMEOUT_MS: Final = 30_000
"""How long a writer waits for another process's transaction before it gives up."""

metadata: Final = MetaData(
    naming_convention={
        "ix": "ix_%(table_name)s_%(column_0_N_name)s",
        "uq": "uq_%(table_name)s_%(column_0_N_name)s",
        "ck": "ck_%(table_name)s_%(constraint_name)s",
        "fk": "fk_%(table_name)s_%(column_0_N_name)s",
        "pk": "pk_%(table_name)s",
    }
)
"""The tables of all pillars; a test proves them equal to what the migrations make."""

Json: Final = JSON(none_as_null=True).with_variant(postgresql.JSONB(none_as_null=True), "postgresql")
"""A column for a JSON value; SQL NULL stands for None."""


class UtcDateTime(TypeDecorator[datetime]):
    """An aware moment: ``timestamptz`` on PostgreSQL, RFC 3339 text of one width on SQLite, where it sorts as text."""

    impl = String(27)
    cache_ok = True

    def load_dialect_impl(self, dialect: Dialect) -> TypeEngine[Any]:
        """Choose the column's type for the dialect."""
        if dialect.name == "postgresql":
            return dialect.type_descriptor(postgresql.TIMESTAMP(timezone=True))
        return dialect.type_descriptor(String(27))

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> Any:  # noqa: ANN401 - the driver's type
        """Refuse a naive moment and write an aware one."""
        if value is None:
            return None
        if value.tzinfo is None:
            raise ValueError("a moment needs a time zone")
        return value if dialect.name == "postgresql" else rfc3339(value)

    def process_result_value(self, value: Any, dialect: Dialect) -> datetime | None:  # noqa: ANN401 - the driver's type
        """Return the moment in UTC."""
        if value is None:
            return None
        moment = value if dialect.name == "postgresql" else datetime.fromisoformat(value)
        return moment.astimezone(UTC)


class Database:
    """Two engines over one database; threads and processes may share it."""

    def __init__(self, writer: Engine, reader: Engine) -> None:
        """Take the engines that ``open`` has made."""
        self.writer = writer
        self.reader = reader

    @classmethod
    def open(cls, url: str) -> Database:
        """Return the database at ``sqlite:///path`` or ``postgresql://…``; nothing is connected yet.

        Raises InvalidInput for an address of another kind.
        """
        try:
            address = make_url(url)
        except exc.ArgumentError as fault:
            raise InvalidInput(
                "The database address cannot be read.", next_step="Use sqlite:///path or postgresql://…"
            ) from fault
        if address.get_backend_name() == "sqlite" and address.database not in (None, "", ":memory:"):
            return cls(_sqlite(url, writes=True), _sqlite(url, writes=False))
        if address.get_backend_name() == "postgresql":
            address = address.set(drivername="postgresql+psycopg")
            return cls(_postgresql(address, writes=True), _postgresql(address, writes=False))
        raise InvalidInput(
            f"The database address of kind {address.drivername!r} is not supported.",
            next_step="Use sqlite:///path or postgresql://user@host/name.",
        )

    @property
    def dialect(self) -> str:
        """``sqlite`` or ``postgresql``."""
        return self.writer.dialect.name

    @contextmanager
    def write(self) -> Iterator[Connection]:
        """Give a connection in a write transaction that commits at the end and rolls back on an exception.

        Raises Unavailable when the database cannot be reached or stays locked for ``BUSY_TIMEOUT_MS``.
        """
        with _translated(self.dialect), self.writer.begin() as connection:
            yield connection

    @contextmanager
    def read(self) -> Iterator[Connection]:
        """Give a connection that sees one moment of the database and cannot write."""
        with _translated(self.dialect), self.reader.begin() as connection:
            yield connection

    def ping(self) -> None:
        """Return when the database answers, or raise Unavailable."""
        with self.read() as connection:
            connection.execute(text("SELECT 1"))

    def close(self) -> None:
        """Close all pooled connections."""
        self.reader.dispose()
        self.writer.dispose()


@contextmanager
def _translated(dialect: str) -> Iterator[None]:
    try:
        yield
    except (exc.OperationalError, exc.InterfaceError, exc.TimeoutError) as fault:
        cause = str(getattr(fault, "orig", None) or fault).strip().splitlines()[0]
        raise Unavailable(
            f"The {dialect} database did not answer: {cause}.",
            next_step="Run `companyos doctor`; it says what the database needs.",
        ) from fault


def _sqlite(url: str, *, writes: bool) -> Engine:
    # One write connection a process: its threads queue for it in order, which SQLite's own busy loop does not promise.
    sizes = {"pool_size": 1, "max_overflow": 0} if writes else {"pool_size": 4, "max_overflow": 12}
    engine = create_engine(
        url,
        poolclass=QueuePool,
        pool_timeout=BUSY_TIMEOUT_MS / 1000,
        connect_args={"check_same_thread": False, "timeout": BUSY_TIMEOUT_MS / 1000},
        **sizes,
    )

    @event.listens_for(engine, "do_connect")
    def create(*_: object) -> None:
        # SQLite would make the file with the umask's mode; its log and shared memory take the mode of the file.
        # Only a file that is not there yet is opened (O_EXCL): closing one drops every POSIX lock that SQLite holds on
        # it in this process, and the next process to end would delete the log that we still write to.
        with suppress(OSError):
            os.close(os.open(str(engine.url.database), os.O_RDONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600))

    @event.listens_for(engine, "connect")
    def connect(connection: sqlite3.Connection, _record: object) -> None:
        connection.isolation_level = None  # The begin event below opens transactions, not the driver.
        connection.execute(f"PRAGMA busy_timeout = {BUSY_TIMEOUT_MS}")
        _ensure_wal(connection)
        connection.execute("PRAGMA synchronous = FULL")
        connection.execute("PRAGMA foreign_keys = ON")
        if not writes:
            connection.execute("PRAGMA query_only = ON")

    @event.listens_for(engine, "begin")
    def begin(connection: Connection) -> None:
        connection.exec_driver_sql("BEGIN IMMEDIATE" if writes else "BEGIN")

    return engine


def _ensure_wal(connection: sqlite3.Connection) -> None:
    """Turn on the write-ahead log; SQLite does not wait for its lock here, so starters that race try again."""
    deadline = time.monotonic() + BUSY_TIMEOUT_MS / 1000
    while connection.execute("PRAGMA journal_mode").fetchone()[0] != "wal":
        try:
            connection.execute("PRAGMA journal_mode = WAL")
        except sqlite3.OperationalError:
            if time.monotonic() > deadline:
                raise
            time.sleep(0.005)


def _postgresql(address: Any, *, writes: bool) -> Engine:  # noqa: ANN401 - SQLAlchemy's URL
    options = f"-c lock_timeout={BUSY_TIMEOUT_MS} -c statement_timeout={2 * BUSY_TIMEOUT_MS} -c timezone=UTC"
    if not writes:
        options += " -c default_transaction_read_only=on"
    return create_engine(
        address,
        isolation_level="READ COMMITTED" if writes else "REPEATABLE READ",
        pool_pre_ping=True,
        pool_size=4,
        max_overflow=12,
        pool_timeout=BUSY_TIMEOUT_MS / 1000,
        connect_args={"options": options, "connect_timeout": 5},
    )
