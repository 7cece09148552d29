"""The queries of what is to be done: actions that were decided, and commands of people."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Any

import msgspec
from sqlalchemy import Connection, RowMapping, func, insert, select, update

from companyos.delivery.actions import Action
from companyos.delivery.model import Command
from companyos.delivery.tables import release_actions, release_commands


class Owed(msgspec.Struct, frozen=True, kw_only=True):
    """An action that was decided, with what became of it."""

    release_id: str
    number: int
    action: Action
    decided_at: datetime
    done_at: datetime | None = None
    result: dict[str, Any] = {}


def add_actions(
    connection: Connection,
    release_id: str,
    actions: Iterable[Action],
    at: datetime,
    *,
    known: Mapping[str, dict[str, Any]] | None = None,
) -> None:
    """Write down what is to be done, behind what was to be done before.

    ``known`` is what the decision knew already of the result of a kind of action, so that a crash does not lose it.
    """
    newest = select(func.max(release_actions.c.number)).where(release_actions.c.release_id == release_id)
    first = (connection.execute(newest).scalar() or 0) + 1
    rows = [
        {
            "release_id": release_id,
            "number": number,
            "kind": action.__struct_config__.tag,
            "action": msgspec.to_builtins(action),
            "decided_at": at,
            "done_at": None,
            "result": (known or {}).get(str(action.__struct_config__.tag), {}),
        }
        for number, action in enumerate(actions, first)
    ]
    if rows:
        connection.execute(insert(release_actions), rows)


def owed(connection: Connection) -> list[Owed]:
    """Return every action that is not done yet, in the order of the decisions of each release."""
    query = select(release_actions).where(release_actions.c.done_at.is_(None))
    return _owed(connection, query.order_by(release_actions.c.release_id, release_actions.c.number))


def actions(connection: Connection, release_id: str) -> list[Owed]:
    """Return all actions of a release, done or not, in their order."""
    query = select(release_actions).where(release_actions.c.release_id == release_id)
    return _owed(connection, query.order_by(release_actions.c.number))


def finish(connection: Connection, debt: Owed, at: datetime, result: dict[str, Any] | None = None) -> bool:
    """Write that an action is done and return True; False when somebody else has done it."""
    done = connection.execute(
        update(release_actions)
        .where(
            release_actions.c.release_id == debt.release_id,
            release_actions.c.number == debt.number,
            release_actions.c.done_at.is_(None),
        )
        .values(done_at=at, **({} if result is None else {"result": result}))
    )
    return done.rowcount == 1


def add_command(connection: Connection, command: Command) -> None:
    """Write down what a person asks."""
    connection.execute(insert(release_commands).values(handled_at=None, answer=None, **msgspec.structs.asdict(command)))


def open_commands(connection: Connection) -> list[Command]:
    """Return what was asked and not answered yet, oldest first."""
    query = select(release_commands).where(release_commands.c.handled_at.is_(None)).order_by(release_commands.c.id)
    return [_command(row) for row in connection.execute(query).mappings()]


def answer(connection: Connection, ids: Iterable[str], at: datetime, said: str) -> None:
    """Write that commands have been taken up, and what came of them."""
    connection.execute(
        update(release_commands)
        .where(release_commands.c.id.in_(list(ids)), release_commands.c.handled_at.is_(None))
        .values(handled_at=at, answer=said)
    )


def command(connection: Connection, id: str) -> Command | None:
    """Return one command, or None."""
    row = connection.execute(select(release_commands).where(release_commands.c.id == id)).mappings().first()
    return _command(row) if row else None


def _owed(connection: Connection, query: Any) -> list[Owed]:  # noqa: ANN401 - SQLAlchemy's type of a select
    return [
        Owed(
            release_id=row.release_id,
            number=row.number,
            action=msgspec.convert(row.action, Action),
            decided_at=row.decided_at,
            done_at=row.done_at,
            result=row.result,
        )
        for row in connection.execute(query)
    ]


def _command(row: RowMapping) -> Command:
    return Command(**{name: row[name] for name in Command.__struct_fields__})
