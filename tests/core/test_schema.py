import re
import subprocess
import sys
from importlib import import_module

import pytest
from sqlalchemy import Connection, inspect, text

from companyos.core import schema
from companyos.core.database import Database, metadata
from companyos.core.errors import NewerSchema, Unavailable

for pillar in (
    "core.leases",
    "ledger.tables",
    "catalog.tables",
    "identity.tables",
    "operations.tables",
    "policy.log.tables",
    "policy.tables",
    "evidence.tables",
    "flags.tables",
    "delivery.tables",
    "tower.tables",
):
    import_module(f"companyos.{pillar}")


SQLITE_OBJECTS = "SELECT type, name, sql FROM sqlite_master WHERE name NOT LIKE 'sqlite_%'"
POSTGRESQL_OBJECTS = """
    SELECT 'column', table_name || '.' || column_name,
           concat_ws(' ', data_type, character_maximum_length, is_nullable, column_default)
      FROM information_schema.columns WHERE table_schema = 'public'
    UNION ALL SELECT 'index', indexname, indexdef FROM pg_indexes WHERE schemaname = 'public'
    UNION ALL SELECT 'constraint', conname, pg_get_constraintdef(oid) FROM pg_constraint
     WHERE connamespace = 'public'::regnamespace AND contype <> 'n'
"""


def test_the_migrations_make_exactly_the_tables_of_all_pillars(empty_database: Database) -> None:
    """What the whole chain makes and what the pillars declare is the same, to the last column, key, check and index."""
    with empty_database.write() as connection:
        metadata.create_all(connection)
        declared = objects(connection)
        metadata.drop_all(connection)
    schema.upgrade(empty_database)
    with empty_database.read() as connection:
        migrated = {key: made for key, made in objects(connection).items() if "alembic_version" not in key[1]}
    assert migrated == declared
    assert len(declared) > 40


def objects(connection: Connection) -> dict[tuple[str, str], str]:
    """Return what a schema consists of, as the database itself describes it."""
    if connection.dialect.name == "postgresql":
        return {(kind, name): sql for kind, name, sql in connection.execute(text(POSTGRESQL_OBJECTS))}
    return {(kind, name): parts(sql) for kind, name, sql in connection.execute(text(SQLITE_OBJECTS))}


def parts(sql: str) -> str:
    """Return a statement with its parts sorted, because the order of constraints says nothing."""
    without_spaces = re.sub(r"\s+", "", sql)
    inside = re.sub(r"\)(WITHOUTROWID)?$", r",\1", without_spaces)
    return ",".join(sorted(inside.split(",")))


def test_upgrading_twice_changes_nothing(empty_database: Database) -> None:
    """The first upgrade does all that was pending, the second finds nothing to do."""
    first = schema.upgrade(empty_database)
    assert (first.current, first.pending) == (None, schema.revisions())
    second = schema.upgrade(empty_database)
    assert (second.current, second.pending) == (schema.head(), ())
    schema.check(empty_database)


def test_a_dry_run_shows_the_statements_and_does_nothing(empty_database: Database) -> None:
    """A dry run prints the SQL of what is pending and leaves the database empty."""
    plan = schema.upgrade(empty_database, dry_run=True)
    assert plan.pending == schema.revisions()
    assert "CREATE TABLE leases" in plan.sql
    with empty_database.read() as connection:
        assert inspect(connection).get_table_names() == []


def test_an_empty_database_is_made_ready(empty_database: Database) -> None:
    """Only checking an empty database names the command; starting on it makes the schema."""
    with pytest.raises(Unavailable, match="of nothing yet") as fault:
        schema.check(empty_database)
    assert "companyos db upgrade" in fault.value.next_step
    schema.ensure(empty_database)
    schema.check(empty_database)


def test_an_older_schema_is_named_and_not_touched(database: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    """A release that has one revision more refuses to start on the old schema, and does not upgrade it unasked."""
    present = schema.head()
    newest = f"{int(present) + 1:04d}"
    with_next = (*schema.revisions(), f"{newest}_next")
    monkeypatch.setattr(schema, "revisions", lambda: with_next)
    with pytest.raises(Unavailable, match=f"this release needs {newest}") as fault:
        schema.ensure(database)
    assert "companyos db upgrade" in fault.value.next_step
    with database.read() as connection:
        assert schema.current(connection) == present


@pytest.mark.parametrize("act", [schema.check, schema.ensure, schema.upgrade])
def test_a_newer_schema_is_refused(database: Database, act: object) -> None:
    """A database of a newer release is neither used nor upgraded, and the sentence names both versions."""
    with database.write() as connection:
        connection.execute(text("UPDATE alembic_version SET version_num = '9999'"))
    with pytest.raises(NewerSchema, match="9999, which is newer"):
        act(database)  # type: ignore[operator] # one of the three functions above


START = """
import sys
from companyos.core import schema
from companyos.core.database import Database
schema.ensure(Database.open(sys.argv[1]))
"""


def test_starters_that_race_make_one_schema(empty_database: Database, database_url: str) -> None:
    """Four processes that start at once on an empty database all come up, on one complete schema."""
    children = [
        subprocess.Popen([sys.executable, "-c", START, database_url], stderr=subprocess.PIPE, text=True)
        for _ in range(4)
    ]
    assert [child.communicate(timeout=60)[1] for child in children] == [""] * 4
    schema.check(empty_database)


def test_an_upgrade_that_dies_leaves_the_schema_as_it_was(empty_database: Database, database_url: str) -> None:
    """A process that is killed within an upgrade leaves an empty database, and the next one upgrades it."""
    dies = START.replace(
        "schema.ensure(",
        "import os, signal\nfrom alembic import op\n"
        "create = op.create_index\n"
        "op.create_index = lambda *a, **k: os.kill(os.getpid(), signal.SIGKILL)\n"
        "schema.ensure(",
    )
    child = subprocess.run([sys.executable, "-c", dies, database_url], capture_output=True, timeout=60, check=False)
    assert child.returncode == -9, child.stderr
    with empty_database.read() as connection:
        assert inspect(connection).get_table_names() == []
    schema.ensure(empty_database)
