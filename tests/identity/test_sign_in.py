from __future__ import annotations

import threading
from datetime import timedelta

import pytest

from companyos.core.access import Caller
from companyos.core.clock import ManualClock
from companyos.core.errors import Denied, InvalidInput
from companyos.identity import Identity, OpenedSession
from companyos.identity.errors import CredentialRefused, SubjectNotFound
from companyos.ledger import Journal
from tests.pillar import records


@pytest.fixture
def identity(journal: Journal) -> Identity:
    """Return the use cases over a database with its first admin."""
    made = Identity(journal)
    made.bootstrap_admin()
    return made


def signed_in(identity: Identity, admin: Caller) -> OpenedSession:
    """Return a session of the first admin."""
    return identity.redeem_login_code(identity.issue_login_code(admin, user="admin").code)


def test_a_code_opens_one_session(identity: Identity, journal: Journal, admin: Caller) -> None:
    """The second to come with it is refused."""
    code = identity.issue_login_code(admin, user="admin")
    opened = identity.redeem_login_code(code.code, ip="192.0.2.9")
    assert opened.caller.subject == "user:admin"
    with pytest.raises(CredentialRefused):
        identity.redeem_login_code(code.code)
    last = records(journal)[-1]
    assert (last.verb, last.actor, last.ip) == ("session.open", "user:admin", "192.0.2.9")


def test_of_those_who_race_with_a_code_one_gets_in(identity: Identity, admin: Caller) -> None:
    """One-time holds for threads too."""
    code = identity.issue_login_code(admin, user="admin").code
    outcomes: list[str] = []

    def redeem() -> None:
        try:
            identity.redeem_login_code(code)
            outcomes.append("in")
        except CredentialRefused:
            outcomes.append("refused")

    threads = [threading.Thread(target=redeem) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(outcomes) == ["in", "refused", "refused", "refused"]


def test_a_code_ends(identity: Identity, journal: Journal, clock: ManualClock, admin: Caller) -> None:
    """A link that lies about in a chat is worth nothing after a while."""
    code = identity.issue_login_code(admin, user="admin")
    assert code.expires_at == clock.now() + timedelta(seconds=journal.settings.login_code_ttl_s)
    clock.advance(journal.settings.login_code_ttl_s)
    with pytest.raises(CredentialRefused):
        identity.redeem_login_code(code.code)


def test_other_codes_are_refused(identity: Identity) -> None:
    """Whatever comes in the link or the cookie."""
    for text in ("", "x", "A" * 43, "A" * 44, "\0" * 43, "é" * 43):
        for attempt in (identity.redeem_login_code, identity.session):
            with pytest.raises(CredentialRefused):
                attempt(text)


def test_without_a_name_a_code_is_for_who_asks(identity: Identity, admin: Caller) -> None:
    """For somebody at the files, who is no subject, it is for the first admin; a service has no browser."""
    pat = identity.authenticate(identity.issue_token(admin, "pat", type="user", roles=["admin"]).secret)
    assert identity.issue_login_code(pat).subject == "user:pat"
    local = Caller(subject="os:pat", roles=frozenset({"admin"}))
    assert identity.issue_login_code(local).subject == "user:admin"
    robot = identity.authenticate(identity.issue_token(admin, "robot", roles=["admin"]).secret)
    with pytest.raises(InvalidInput, match="browser"):
        identity.issue_login_code(robot)
    with pytest.raises(SubjectNotFound):
        identity.issue_login_code(admin, user="nobody")


def test_a_session_is_found_by_its_secret(identity: Identity, admin: Caller) -> None:
    """It gives the caller as of now, and the same form token each time."""
    opened = signed_in(identity, admin)
    found = identity.session(opened.secret, request_id="r2")
    assert (found.csrf, found.expires_at) == (opened.csrf, opened.expires_at)
    assert (found.caller.subject, found.caller.roles, found.caller.request_id) == (
        "user:admin",
        frozenset({"admin"}),
        "r2",
    )


def test_roles_that_are_taken_away_count_at_once(identity: Identity, admin: Caller) -> None:
    """A session carries no roles of its own."""
    token = identity.issue_token(admin, "pat", type="user", roles=["operator"])
    opened = identity.open_session(token.secret)
    identity.unbind_role(admin, token.token.subject_id, "operator")
    assert identity.session(opened.secret).caller.roles == frozenset()


def test_a_session_ends_in_time(identity: Identity, journal: Journal, clock: ManualClock, admin: Caller) -> None:
    """Nobody has to sign out for it."""
    opened = signed_in(identity, admin)
    clock.advance(journal.settings.session_ttl_s - 1)
    identity.session(opened.secret)
    clock.advance(1)
    with pytest.raises(CredentialRefused):
        identity.session(opened.secret)


def test_signing_out_ends_the_own_session_only(identity: Identity, journal: Journal, admin: Caller) -> None:
    """Who knows another's secret cannot end it as themselves, and ending twice is quiet."""
    mine, other = signed_in(identity, admin), identity.issue_token(admin, "pat", type="user")
    stranger = identity.open_session(other.secret)
    before = journal.size()
    identity.close_session(stranger.caller, mine.secret)
    identity.session(mine.secret)
    assert journal.size() == before
    identity.close_session(mine.caller, mine.secret)
    with pytest.raises(CredentialRefused):
        identity.session(mine.secret)
    identity.close_session(mine.caller, mine.secret)
    assert records(journal)[-1].verb == "session.close"
    assert journal.size() == before + 1
    with pytest.raises(Denied):
        identity.close_session(Caller(subject="anonymous"), mine.secret)


def test_a_session_ends_with_the_token_that_opened_it(identity: Identity, clock: ManualClock, admin: Caller) -> None:
    """A leaked token that is revoked leaves no door open."""
    revoked = identity.issue_token(admin, "pat", type="user")
    opened = identity.open_session(revoked.secret)
    identity.revoke_token(admin, revoked.token.id)
    with pytest.raises(CredentialRefused):
        identity.session(opened.secret)
    short = identity.issue_token(admin, "pat", type="user", ttl_s=60)
    assert identity.open_session(short.secret).expires_at == clock.now() + timedelta(seconds=60)


def test_a_service_opens_no_session(identity: Identity, admin: Caller) -> None:
    """Its token is for the API."""
    with pytest.raises(CredentialRefused):
        identity.open_session(identity.issue_token(admin, "robot").secret)


def test_ended_sessions_and_codes_are_forgotten(
    identity: Identity, journal: Journal, clock: ManualClock, admin: Caller
) -> None:
    """The tables do not grow with every sign-in there ever was."""
    for _ in range(3):
        signed_in(identity, admin)
        identity.issue_login_code(admin, user="admin")
    clock.advance(journal.settings.session_ttl_s)
    signed_in(identity, admin)
    with journal.read() as connection:
        left = [connection.exec_driver_sql(f"SELECT count(*) FROM {t}").scalar() for t in ("sessions", "login_codes")]
    assert left == [1, 0]
