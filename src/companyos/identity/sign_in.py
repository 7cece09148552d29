"""Who comes with which credential: tokens, one-time login codes and browser sessions.

All refusals are one exception with one sentence. A subject's status and roles are read on every request, so a
suspension or a role that is taken away counts at once.
"""

from __future__ import annotations

from contextlib import suppress
from datetime import timedelta
from typing import TYPE_CHECKING, Final

from companyos.core.access import Caller, Verdict, require
from companyos.core.errors import InvalidInput, NotFound, Unavailable
from companyos.identity import store
from companyos.identity.errors import CredentialRefused, RoleBeyondCaller, SubjectNotFound, SubjectSuspended
from companyos.identity.model import ADMIN_NAME, LoginCode, OpenedSession, Session, StoredSession
from companyos.identity.roles import beyond
from companyos.identity.secret import csrf_token, hash_secret, is_secret, matches, new_secret, read_token

if TYPE_CHECKING:
    from datetime import datetime

    from companyos.identity.model import Subject, Token
    from companyos.ledger import Change, Journal

USE_PRECISION: Final = timedelta(hours=1)
"""How far ``last_used_at`` may be behind."""


class SignIn:
    """Turns credentials into callers, and opens and closes browser sessions."""

    def __init__(self, journal: Journal) -> None:
        """Work on the database, clock, settings and ledger of this journal."""
        self.journal = journal

    # --- tokens -------------------------------------------------------------------------------------------------------

    def authenticate(
        self, token: str, *, ip: str | None = None, device: str | None = None, request_id: str | None = None
    ) -> Caller:
        """Return the caller behind a token, or raise CredentialRefused, which never says why."""
        now = self.journal.clock.now()
        found, subject = self._verified(token, now)
        self._note_use(found, now)
        return subject.caller(now, ip=ip, device=device, request_id=request_id)

    def _verified(self, token: str, now: datetime) -> tuple[Token, Subject]:
        """Return the token that this text is, and whose it is, or raise CredentialRefused."""
        credential = read_token(token)
        if credential is None:
            raise CredentialRefused
        with self.journal.read() as connection:
            found = store.token_by_id(connection, credential.id)
            genuine = matches(credential.secret, found[1] if found else None)
            subject = store.subject_by_id(connection, found[0].subject_id) if found else None
        if found is None or subject is None or not genuine or not _usable(found[0], subject, now):
            raise CredentialRefused
        return found[0], subject

    def _note_use(self, token: Token, now: datetime) -> None:
        """Write the coarse time of use.

        It decides nothing, so it is the one write without a ledger row, and a database that is busy keeps nobody out.
        """
        if token.last_used_at is None or now - token.last_used_at >= USE_PRECISION:
            with suppress(Unavailable), self.journal.database.write() as connection:
                store.touch_token(connection, token.id, now)

    # --- login codes --------------------------------------------------------------------------------------------------

    def issue_login_code(self, caller: Caller, *, user: str | None = None) -> LoginCode:
        """Return a code that signs a user in once, within ``login_code_ttl_s``.

        Without ``user`` it is for the caller itself, or for the first admin when the caller works on the files and so
        is no subject. Nobody but an admin gets a code for somebody who may more than they may. Raises SubjectNotFound,
        SubjectSuspended, RoleBeyondCaller, or InvalidInput for a caller that is a program.
        """
        if user is None and caller.subject.startswith("service:"):
            raise InvalidInput("A service has no browser to sign in with.", next_step="Name a user.", field="user")
        if user is None:
            user = caller.subject.removeprefix("user:") if caller.subject_id else ADMIN_NAME
        verdict = require(caller, "token.issue", f"user:{user}")
        code = new_secret()
        with self.journal.write(caller) as change:
            now = self.journal.clock.now()
            expires_at = now + timedelta(seconds=self.journal.settings.login_code_ttl_s)
            subject = store.subject_by_name(change.connection, "user", user, lock=True)
            if subject is None and not caller.subject_id and user == ADMIN_NAME:
                raise NotFound("There is no admin yet.", next_step="Start the platform once: companyos up")
            if subject is None:
                raise SubjectNotFound(f"user:{user}")
            if subject.status != "active":
                raise SubjectSuspended(subject.actor)
            if missing := beyond(caller, subject.roles(now)):
                raise RoleBeyondCaller(caller.subject, missing, action="token.issue", resource=subject.actor)
            store.prune(change.connection, now)
            store.insert_login_code(change.connection, hash_secret(code), subject.id, now, expires_at)
            change.record(verb="login_code.issue", target=subject.actor, verdict=verdict)
        return LoginCode(code=code, subject=subject.actor, expires_at=expires_at)

    def redeem_login_code(
        self, code: str, *, ip: str | None = None, device: str | None = None, request_id: str | None = None
    ) -> OpenedSession:
        """Return a new browser session for a code that is good and now used up, or raise CredentialRefused."""
        if not is_secret(code):
            raise CredentialRefused
        now = self.journal.clock.now()
        code_hash = hash_secret(code)
        # This read tells who asks, and keeps guesses away from the write lock; it is the delete below that decides.
        with self.journal.read() as connection:
            subject_id = store.login_code_subject(connection, code_hash, now)
            subject = store.subject_by_id(connection, subject_id) if subject_id else None
        if subject is None or subject.status != "active":
            raise CredentialRefused
        caller = subject.caller(now, ip=ip, device=device, request_id=request_id)
        with self.journal.write(caller) as change:
            if not store.take_login_code(change.connection, code_hash, now):
                raise CredentialRefused
            verdict = Verdict(allowed=True, policy="identity:login-code", reason="The login code is good.")
            return self._open(change, verdict, caller, now)

    # --- sessions -----------------------------------------------------------------------------------------------------

    def open_session(
        self, token: str, *, ip: str | None = None, device: str | None = None, request_id: str | None = None
    ) -> OpenedSession:
        """Return a new browser session for the user who has this token; it ends when the token does, or is revoked.

        Raises CredentialRefused, also for the token of a service, which has no browser.
        """
        now = self.journal.clock.now()
        found, subject = self._verified(token, now)
        if subject.type != "user":
            raise CredentialRefused
        caller = subject.caller(now, ip=ip, device=device, request_id=request_id)
        with self.journal.write(caller) as change:
            verdict = Verdict(allowed=True, policy="identity:token", reason="The token is good.")
            return self._open(change, verdict, caller, now, token=found)

    def _open(
        self, change: Change, verdict: Verdict, caller: Caller, now: datetime, *, token: Token | None = None
    ) -> OpenedSession:
        secret = new_secret()
        expires_at = now + timedelta(seconds=self.journal.settings.session_ttl_s)
        if token is not None and token.expires_at is not None:
            expires_at = min(expires_at, token.expires_at)
        session = StoredSession(
            secret_hash=hash_secret(secret),
            subject_id=caller.subject_id or "",
            token_id=token.id if token else None,
            created_at=now,
            expires_at=expires_at,
        )
        store.prune(change.connection, now)
        store.insert_session(change.connection, session)
        details = {"token_id": token.id} if token else {}
        change.record(verb="session.open", target=caller.subject, verdict=verdict, details=details)
        return OpenedSession(secret=secret, csrf=csrf_token(secret), expires_at=expires_at, caller=caller)

    def session(
        self, secret: str, *, ip: str | None = None, device: str | None = None, request_id: str | None = None
    ) -> Session:
        """Return the session of a cookie, or raise CredentialRefused when it ended or its subject is suspended."""
        if not is_secret(secret):
            raise CredentialRefused
        now = self.journal.clock.now()
        with self.journal.read() as connection:
            found = store.session_by_hash(connection, hash_secret(secret), now)
            subject = store.subject_by_id(connection, found[0]) if found else None
        if found is None or subject is None or subject.status != "active":
            raise CredentialRefused
        caller = subject.caller(now, ip=ip, device=device, request_id=request_id)
        return Session(caller=caller, csrf=csrf_token(secret), expires_at=found[1])

    def close_session(self, caller: Caller, secret: str) -> None:
        """End the caller's session; nothing happens when it has ended already. Raises Denied for a stranger."""
        verdict = require(caller, "session.close", caller.subject)
        if not is_secret(secret):
            raise CredentialRefused
        with self.journal.write(caller, unchanged_ok=True) as change:
            if store.delete_session(change.connection, hash_secret(secret), caller.subject_id):
                change.record(verb="session.close", target=caller.subject, verdict=verdict)


def _usable(token: Token, subject: Subject, now: datetime) -> bool:
    in_time = token.expires_at is None or now < token.expires_at
    return in_time and token.revoked_at is None and subject.status == "active"
