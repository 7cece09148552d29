"""Every query of identity."""

from __future__ import annotations

from collections import defaultdict
from typing import TYPE_CHECKING, Any, Final

import msgspec
from sqlalchemy import delete, exc, insert, select, update

from companyos.identity.errors import SubjectExists
from companyos.identity.model import RoleBinding, StoredSession, Subject, SubjectStatus, SubjectType, Token
from companyos.identity.revision import bump
from companyos.identity.roles import BUILT_IN
from companyos.identity.tables import EVERYWHERE, login_codes, role_bindings, roles, sessions, subjects, tokens

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    from sqlalchemy import Connection, RowMapping, Select, Table


_CHUNK: Final = 500

# --- subjects ---------------------------------------------------------------------------------------------------------


def insert_subject(connection: Connection, subject: Subject) -> Subject:
    """Add the row of a subject without its bindings and return it with its revision, or raise SubjectExists."""
    subject = msgspec.structs.replace(subject, revision=bump(connection, "subjects"))
    row = {field: getattr(subject, field) for field in subject.__struct_fields__ if field != "bindings"}
    try:
        connection.execute(insert(subjects).values(row))
    except exc.IntegrityError as fault:
        raise SubjectExists(subject.actor) from fault
    return subject


def touch_subject(connection: Connection, subject: Subject) -> Subject:
    """Return the subject with the next revision."""
    revision = bump(connection, "subjects")
    touch(connection, [subject.id], revision)
    return msgspec.structs.replace(subject, revision=revision)


def touch(connection: Connection, ids: Sequence[str], revision: int) -> None:
    """Write at which revision these subjects have changed."""
    connection.execute(update(subjects).where(subjects.c.id.in_(ids)).values(revision=revision))


def place_subject(connection: Connection, subject: Subject) -> None:
    """Write where a subject belongs and what it is called."""
    row = {field: getattr(subject, field) for field in ("org_id", "workspace_id", "display_name", "email")}
    connection.execute(update(subjects).where(subjects.c.id == subject.id).values(row))


def subject_by_id(connection: Connection, id: str, *, lock: bool = False) -> Subject | None:
    """Return a subject, or None. With ``lock`` nobody else changes it until the transaction ends."""
    return _one_subject(connection, select(subjects).where(subjects.c.id == id), lock=lock)


def subject_by_name(connection: Connection, type: SubjectType, name: str, *, lock: bool = False) -> Subject | None:
    """Return the subject of this type with this name, or None."""
    query = select(subjects).where(subjects.c.type == type, subjects.c.name == name)
    return _one_subject(connection, query, lock=lock)


def subjects_by_names(
    connection: Connection, names: Sequence[tuple[SubjectType, str]], *, lock: bool = False
) -> dict[str, Subject]:
    """Return the subjects of these types and names, as far as they exist, by ``user:<name>``."""
    found: dict[str, Subject] = {}
    for start in range(0, len(names), _CHUNK):
        wanted = set(names[start : start + _CHUNK])
        query = select(subjects).where(subjects.c.name.in_({name for _, name in wanted})).order_by(subjects.c.id)
        rows = connection.execute(query.with_for_update() if lock else query).mappings().all()
        found |= {
            subject.actor: subject for subject in _subjects(connection, rows) if (subject.type, subject.name) in wanted
        }
    return found


def subjects_page(connection: Connection, *, after: str | None, limit: int) -> list[Subject]:
    """Return up to ``limit`` subjects in the order of their ids (oldest first), behind the id ``after``."""
    query = select(subjects).order_by(subjects.c.id).limit(limit)
    rows = connection.execute(query.where(subjects.c.id > after) if after else query).mappings().all()
    return _subjects(connection, rows)


def set_status(connection: Connection, id: str, status: SubjectStatus) -> None:
    """Write the status of a subject."""
    connection.execute(update(subjects).where(subjects.c.id == id).values(status=status))


def bind(connection: Connection, subject_id: str, binding: RoleBinding) -> None:
    """Write a binding in place of one for the same role and workspace."""
    unbind(connection, subject_id, binding)
    connection.execute(
        insert(role_bindings).values(
            subject_id=subject_id,
            role_id=binding.role_id,
            workspace_id=binding.workspace_id or EVERYWHERE,
            expires_at=binding.expires_at,
        )
    )


def unbind(connection: Connection, subject_id: str, binding: RoleBinding) -> None:
    """Take away the binding of a role in a workspace; nothing happens when there is none."""
    connection.execute(
        delete(role_bindings).where(
            role_bindings.c.subject_id == subject_id,
            role_bindings.c.role_id == binding.role_id,
            role_bindings.c.workspace_id == (binding.workspace_id or EVERYWHERE),
        )
    )


def _one_subject(connection: Connection, query: Select[Any], *, lock: bool) -> Subject | None:
    rows = connection.execute(query.with_for_update() if lock else query).mappings().all()
    return next(iter(_subjects(connection, rows)), None)


def _subjects(connection: Connection, rows: Sequence[RowMapping]) -> list[Subject]:
    bindings: defaultdict[str, list[RoleBinding]] = defaultdict(list)
    query = (
        select(role_bindings, roles.c.name)
        .outerjoin(roles, roles.c.id == role_bindings.c.role_id)
        .where(role_bindings.c.subject_id.in_([row["id"] for row in rows]))
        .order_by(role_bindings.c.role_id, role_bindings.c.workspace_id)
    )
    for bound in connection.execute(query).mappings():
        name = bound["name"] or bound["role_id"]
        if bound["name"] is None and name not in BUILT_IN:
            continue  # The role is gone, so its binding gives nothing.
        bindings[bound["subject_id"]].append(
            RoleBinding(
                role=name,
                role_id=bound["role_id"],
                workspace_id=bound["workspace_id"] or None,
                expires_at=bound["expires_at"],
            )
        )
    return [Subject(**row, bindings=tuple(bindings[row["id"]])) for row in rows]


# --- tokens -----------------------------------------------------------------------------------------------------------


def insert_token(connection: Connection, token: Token, secret_hash: str) -> None:
    """Add a token with the hash of its secret."""
    row = {field: getattr(token, field) for field in token.__struct_fields__ if field != "subject"}
    connection.execute(insert(tokens).values(row | {"secret_hash": secret_hash}))


def token_by_id(connection: Connection, id: str, *, lock: bool = False) -> tuple[Token, str] | None:
    """Return a token and the hash of its secret, or None."""
    query = _tokens().where(tokens.c.id == id)
    row = connection.execute(query.with_for_update(of=tokens) if lock else query).mappings().first()
    return (_token(row), row["secret_hash"]) if row else None


def tokens_page(connection: Connection, *, subject_id: str | None, after: str | None, limit: int) -> list[Token]:
    """Return up to ``limit`` tokens in the order of their ids (oldest first), revoked and expired ones included."""
    query = _tokens().order_by(tokens.c.id).limit(limit)
    if subject_id is not None:
        query = query.where(tokens.c.subject_id == subject_id)
    if after is not None:
        query = query.where(tokens.c.id > after)
    return [_token(row) for row in connection.execute(query).mappings()]


def revoke_token(connection: Connection, id: str, now: datetime) -> None:
    """Write when a token was revoked."""
    connection.execute(update(tokens).where(tokens.c.id == id).values(revoked_at=now))


def touch_token(connection: Connection, id: str, now: datetime) -> None:
    """Write when a token was last seen."""
    connection.execute(update(tokens).where(tokens.c.id == id).values(last_used_at=now))


def _tokens() -> Select[Any]:
    owner = [subjects.c.type.label("subject_type"), subjects.c.name.label("subject_name")]
    return select(tokens, *owner).join(subjects, subjects.c.id == tokens.c.subject_id)


def _token(row: RowMapping) -> Token:
    return Token(
        id=row["id"],
        subject_id=row["subject_id"],
        subject=f"{row['subject_type']}:{row['subject_name']}",
        label=row["label"],
        created_at=row["created_at"],
        expires_at=row["expires_at"],
        revoked_at=row["revoked_at"],
        last_used_at=row["last_used_at"],
    )


# --- login codes and sessions -----------------------------------------------------------------------------------------


def insert_login_code(
    connection: Connection, code_hash: str, subject_id: str, created_at: datetime, expires_at: datetime
) -> None:
    """Add a login code."""
    connection.execute(
        insert(login_codes).values(
            code_hash=code_hash, subject_id=subject_id, created_at=created_at, expires_at=expires_at
        )
    )


def login_code_subject(connection: Connection, code_hash: str, now: datetime) -> str | None:
    """Return the id of the subject that a login code is for, or None when it is unknown, used or expired."""
    query = select(login_codes.c.subject_id).where(login_codes.c.code_hash == code_hash, login_codes.c.expires_at > now)
    found: str | None = connection.execute(query).scalar_one_or_none()
    return found


def take_login_code(connection: Connection, code_hash: str, now: datetime) -> bool:
    """Use up a login code; of several that race for it the database lets exactly one delete the row."""
    query = delete(login_codes).where(login_codes.c.code_hash == code_hash, login_codes.c.expires_at > now)
    return connection.execute(query).rowcount == 1


def insert_session(connection: Connection, session: StoredSession) -> None:
    """Add a browser session."""
    connection.execute(insert(sessions).values(msgspec.structs.asdict(session)))


def session_by_hash(connection: Connection, secret_hash: str, now: datetime) -> tuple[str, datetime] | None:
    """Return the subject's id and the end of a session, or None when it ended or its token was revoked."""
    query = (
        select(sessions.c.subject_id, sessions.c.expires_at)
        .outerjoin(tokens, tokens.c.id == sessions.c.token_id)
        .where(sessions.c.secret_hash == secret_hash, sessions.c.expires_at > now, tokens.c.revoked_at.is_(None))
    )
    row = connection.execute(query).first()
    return (row.subject_id, row.expires_at) if row else None


def delete_session(connection: Connection, secret_hash: str, subject_id: str | None) -> bool:
    """End a session of this subject; tell whether there was one."""
    query = delete(sessions).where(sessions.c.secret_hash == secret_hash, sessions.c.subject_id == subject_id)
    return connection.execute(query).rowcount == 1


def delete_entrances(connection: Connection, subject_id: str) -> None:
    """End all sessions of a subject and forget its unused login codes."""
    for table in (login_codes, sessions):  # In this order, a code that is being redeemed right now leaves no session.
        connection.execute(delete(table).where(table.c.subject_id == subject_id))


def prune(connection: Connection, now: datetime) -> None:
    """Forget login codes and sessions that have expired."""
    expired: tuple[Table, Table] = (sessions, login_codes)
    for table in expired:
        connection.execute(delete(table).where(table.c.expires_at <= now))
