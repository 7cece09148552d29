from __future__ import annotations

import threading
from collections.abc import Callable, Mapping
from datetime import timedelta
from typing import Any

import pytest

from companyos.core.access import Caller
from companyos.core.clock import ManualClock
from companyos.core.errors import CompanyOSError, Denied, InvalidInput
from companyos.identity import Identity, IssuedToken, RoleBinding
from companyos.identity.errors import (
    CredentialRefused,
    RoleBeyondCaller,
    SubjectExists,
    SubjectNotFound,
    SubjectSuspended,
    TokenNotFound,
)
from companyos.identity.secret import read_token
from companyos.ledger import Journal
from tests.pillar import person, records

NOBODY = "019a0000-0000-7000-8000-000000000000"


@pytest.fixture
def identity(journal: Journal) -> Identity:
    """Return the use cases over an empty database."""
    return Identity(journal)


def test_the_first_start_makes_an_admin_once(identity: Identity, journal: Journal) -> None:
    """The token is in the home, for its owner alone, and works; a second start changes nothing."""
    issued = identity.bootstrap_admin()
    assert issued is not None
    file = journal.settings.folder.admin_token_file
    assert file.read_text() == issued.secret + "\n"
    assert file.stat().st_mode & 0o777 == 0o600
    assert identity.authenticate(issued.secret).roles == {"admin"}
    assert identity.bootstrap_admin() is None
    assert [record.verb for record in records(journal)] == ["subject.create", "role.bind", "token.issue"]


def test_of_several_first_starts_one_makes_the_admin(identity: Identity, journal: Journal) -> None:
    """The file holds the token of the one that won."""
    made: list[IssuedToken | None] = []
    threads = [threading.Thread(target=lambda: made.append(identity.bootstrap_admin())) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    (winner,) = [issued for issued in made if issued]
    assert len(made) == 4
    assert journal.settings.folder.admin_token_file.read_text().strip() == winner.secret


def test_a_first_start_that_cannot_keep_the_token_leaves_no_admin(identity: Identity, journal: Journal) -> None:
    """An admin whose token nobody has would lock everybody out."""
    journal.settings.folder.admin_token_file.mkdir()
    with pytest.raises(CompanyOSError):
        identity.bootstrap_admin()
    journal.settings.folder.admin_token_file.rmdir()
    assert identity.bootstrap_admin() is not None


def test_a_token_makes_its_subject_and_works(identity: Identity, admin: Caller) -> None:
    """Who comes with it is that subject with its roles, and brings where the request came from."""
    issued = identity.issue_token(admin, "ci", roles=["operator"])
    caller = identity.authenticate(issued.secret, ip="192.0.2.1", device="curl", request_id="r1")
    assert (caller.subject, caller.roles, caller.subject_id) == (
        "service:ci",
        frozenset({"operator"}),
        issued.token.subject_id,
    )
    assert (caller.ip, caller.device, caller.request_id) == ("192.0.2.1", "curl", "r1")


def test_a_secret_is_nowhere_but_in_its_answer(identity: Identity, journal: Journal, admin: Caller) -> None:
    """Neither lists nor the ledger nor the database hold it."""
    issued = identity.issue_token(admin, "ci")
    credential = read_token(issued.secret)
    assert credential is not None
    secret = credential.secret
    with journal.read() as connection:
        rows = connection.exec_driver_sql("SELECT * FROM tokens").fetchall()
    told = [str(identity.list_tokens(admin)), str(records(journal)), str(rows)]
    assert all(secret not in text for text in told)


def refusals(identity: Identity, clock: ManualClock, admin: Caller) -> dict[str, str]:
    """Return a credential for each way to be wrong."""
    good = identity.issue_token(admin, "ci", ttl_s=3600)
    revoked = identity.issue_token(admin, "ci", ttl_s=3600)
    identity.revoke_token(admin, revoked.token.id)
    suspended = identity.issue_token(admin, "gone", ttl_s=3600)
    identity.suspend(admin, suspended.token.subject_id)
    expired = identity.issue_token(admin, "ci", ttl_s=60)
    clock.advance(60)
    identity.authenticate(good.secret)
    head, secret = good.secret[:-43], good.secret[-43:]
    forged = f"{head}{secret[1:]}{'B' if secret[0] == 'A' else 'A'}"
    return {
        "expired": expired.secret,
        "revoked": revoked.secret,
        "suspended": suspended.secret,
        "forged": forged,
        "unknown": f"cos_{NOBODY}_{secret}",
        "malformed": "cos_",
        "empty": "",
        "with a NUL": good.secret + "\0",
    }


def test_every_bad_credential_gets_the_same_answer(identity: Identity, clock: ManualClock, admin: Caller) -> None:
    """The answer does not tell a guesser how near the guess was."""
    answers = set()
    for why, credential in refusals(identity, clock, admin).items():
        with pytest.raises(CredentialRefused) as caught:
            identity.authenticate(credential)
        answers.add((str(caught.value), caught.value.next_step))
        assert len(answers) == 1, why


def test_use_is_noted_once_an_hour(identity: Identity, journal: Journal, clock: ManualClock, admin: Caller) -> None:
    """A busy token costs one write an hour, and none in the ledger."""
    issued = identity.issue_token(admin, "ci")
    before = journal.size()

    def used() -> object:
        (token,) = identity.list_tokens(admin).items
        return token.last_used_at

    assert used() is None
    first = clock.now()
    identity.authenticate(issued.secret)
    clock.advance(3599)
    identity.authenticate(issued.secret)
    assert used() == first
    clock.advance(1)
    identity.authenticate(issued.secret)
    assert used() == clock.now()
    assert journal.size() == before


def test_roles_count_until_they_end(identity: Identity, clock: ManualClock, admin: Caller) -> None:
    """A role with an end is gone at that moment, without anybody's doing."""
    issued = identity.issue_token(admin, "ci", roles=["viewer"])
    end = clock.now() + timedelta(minutes=5)
    identity.bind_role(admin, issued.token.subject_id, "operator", expires_at=end)
    assert identity.authenticate(issued.secret).roles == {"viewer", "operator"}
    clock.advance(300)
    assert identity.authenticate(issued.secret).roles == {"viewer"}


def test_a_role_in_a_workspace_gives_nothing_outside(identity: Identity, journal: Journal, admin: Caller) -> None:
    """Until something asks for a workspace, a binding in one must not count everywhere."""
    from companyos.identity import store

    issued = identity.issue_token(admin, "ci")
    with journal.database.write() as connection:
        store.bind(connection, issued.token.subject_id, RoleBinding(role="admin", workspace_id="w1"))
    assert identity.authenticate(issued.secret).roles == frozenset()


def test_nobody_issues_a_token_above_themselves(identity: Identity, admin: Caller, journal: Journal) -> None:
    """Neither by asking for a role they lack, nor for a subject that has one already."""
    from companyos.core import access

    class IssuerRules:
        def decide(
            self, caller: Caller, action: str, resource: str, facts: Mapping[str, Any] = access.NO_FACTS
        ) -> access.Verdict:
            return access.Verdict(allowed=f"{caller.subject}{action}{resource}{facts}" != "", policy="test", reason="")

    identity.issue_token(admin, "deployer", roles=["sre_lead"])
    access.bind(IssuerRules())
    issuer, before = person("ivo", "viewer"), journal.size()
    with pytest.raises(RoleBeyondCaller, match="operator"):
        identity.issue_token(issuer, "ci", roles=["operator"])
    with pytest.raises(RoleBeyondCaller, match="sre_lead"):
        identity.issue_token(issuer, "deployer")
    with pytest.raises(RoleBeyondCaller, match="admin"):
        identity.bind_role(issuer, identity.issue_token(issuer, "x", roles=["viewer"]).token.subject_id, "admin")
    assert journal.size() == before + 3
    assert identity.issue_token(issuer, "x2", roles=["viewer"]).token.subject == "service:x2"


def test_only_an_admin_touches_tokens_and_subjects(identity: Identity, operator: Caller, journal: Journal) -> None:
    """Every use case asks before it looks."""
    attempts: list[Callable[[], object]] = [
        lambda: identity.issue_token(operator, "x"),
        lambda: identity.list_tokens(operator),
        lambda: identity.revoke_token(operator, NOBODY),
        lambda: identity.create_subject(operator, "x"),
        lambda: identity.list_subjects(operator),
        lambda: identity.get_subject(operator, NOBODY),
        lambda: identity.suspend(operator, NOBODY),
        lambda: identity.bind_role(operator, NOBODY, "admin"),
        lambda: identity.unbind_role(operator, NOBODY, "admin"),
        lambda: identity.issue_login_code(operator),
    ]
    for attempt in attempts:
        with pytest.raises(Denied):
            attempt()
    assert journal.size() == 0


def test_names_of_people_can_be_erased_from_the_ledger(identity: Identity, journal: Journal, admin: Caller) -> None:
    """They are personal values, never details."""
    identity.create_subject(admin, "m.ortiz", display_name="María Ortiz", email="m@example.org")
    (record,) = records(journal)
    assert record.personal == {"display_name": "María Ortiz", "email": "m@example.org"}
    assert "Ortiz" not in str(record.details)


def test_a_name_is_taken_once_for_each_type(identity: Identity, admin: Caller) -> None:
    """A user and a service may share a name; two users may not."""
    identity.create_subject(admin, "pat")
    identity.create_subject(admin, "pat", type="service")
    with pytest.raises(SubjectExists, match="user:pat"):
        identity.create_subject(admin, "pat")


def test_a_bad_name_is_refused(identity: Identity, admin: Caller) -> None:
    """A name is safe in paths, in the ledger and on a terminal."""
    for name in ("", "Pat", "a b", "a/b", "../x", "a\n", "x" * 64, "-x", "ä", "a\0"):
        for attempt in (identity.create_subject, identity.issue_token):
            with pytest.raises(InvalidInput) as caught:
                attempt(admin, name)
            assert caught.value.field == "name"


def test_a_token_lives_a_minute_to_a_year(identity: Identity, admin: Caller) -> None:
    """A token without an end is made by the first start alone."""
    for ttl_s in (-1, 0, 59, 366 * 86_400 + 1):
        with pytest.raises(InvalidInput) as caught:
            identity.issue_token(admin, "ci", ttl_s=ttl_s)
        assert caught.value.field == "ttl_s"


def test_suspending_refuses_everything_and_activating_gives_tokens_back(
    identity: Identity, journal: Journal, admin: Caller
) -> None:
    """Sessions end for good, because nobody can tell who sits before an old one."""
    user = identity.issue_token(admin, "pat", type="user", roles=["viewer"])
    session = identity.open_session(user.secret)
    code = identity.issue_login_code(admin, user="pat").code
    suspended = identity.suspend(admin, user.token.subject_id)
    assert suspended.status == "suspended"
    for attempt in (
        lambda: identity.authenticate(user.secret),
        lambda: identity.session(session.secret),
        lambda: identity.redeem_login_code(code),
        lambda: identity.open_session(user.secret),
    ):
        with pytest.raises(CredentialRefused):
            attempt()
    with pytest.raises(SubjectSuspended):
        identity.issue_token(admin, "pat", type="user")
    with pytest.raises(SubjectSuspended):
        identity.issue_login_code(admin, user="pat")
    identity.change_subject(admin, user.token.subject_id, status="active")
    assert identity.authenticate(user.secret).subject == "user:pat"
    with pytest.raises(CredentialRefused):
        identity.session(session.secret)
    with pytest.raises(CredentialRefused):
        identity.redeem_login_code(code)
    assert [record.verb for record in records(journal)][-2:] == ["subject.suspend", "subject.activate"]


def test_what_is_so_already_is_not_recorded_again(identity: Identity, journal: Journal, admin: Caller) -> None:
    """A repeated request has no effect and leaves no row."""
    issued = identity.issue_token(admin, "ci", roles=["viewer"])
    identity.revoke_token(admin, issued.token.id)
    identity.suspend(admin, issued.token.subject_id)
    before = journal.size()
    assert identity.revoke_token(admin, issued.token.id).revoked_at is not None
    assert identity.suspend(admin, issued.token.subject_id).status == "suspended"
    assert identity.bind_role(admin, issued.token.subject_id, "viewer").roles(journal.clock.now()) == {"viewer"}
    assert identity.unbind_role(admin, issued.token.subject_id, "operator").bindings
    assert journal.size() == before


def test_roles_are_set_as_a_whole(identity: Identity, journal: Journal, clock: ManualClock, admin: Caller) -> None:
    """What is not named is taken away, what is new is given, and each has its row."""
    issued = identity.issue_token(admin, "ci", roles=["viewer", "operator"])
    wanted = [RoleBinding(role="operator"), RoleBinding(role="sre_lead", expires_at=clock.now() + timedelta(days=1))]
    subject = identity.change_subject(admin, issued.token.subject_id, roles=wanted)
    assert subject.roles(clock.now()) == {"operator", "sre_lead"}
    assert identity.get_subject(admin, subject.id) == subject
    assert [(record.verb, record.details["role"]) for record in records(journal)[-2:]] == [
        ("role.unbind", "viewer"),
        ("role.bind", "sre_lead"),
    ]


def test_a_role_stands_once_in_a_set(identity: Identity, clock: ManualClock, admin: Caller) -> None:
    """Two ends for one role contradict each other."""
    issued = identity.issue_token(admin, "ci")
    twice = [RoleBinding(role="viewer"), RoleBinding(role="viewer", expires_at=clock.now())]
    with pytest.raises(InvalidInput, match="twice"):
        identity.change_subject(admin, issued.token.subject_id, roles=twice)


def test_unknown_ids_are_not_found(identity: Identity, admin: Caller) -> None:
    """Also those that are no ids at all, which must not reach the database."""
    for wrong in (NOBODY, "x", "", "a\0b", "'; --"):
        with pytest.raises(SubjectNotFound):
            identity.get_subject(admin, wrong)
        with pytest.raises(TokenNotFound):
            identity.revoke_token(admin, wrong)


def test_lists_come_in_pages(identity: Identity, admin: Caller) -> None:
    """Each item stands on one page, whatever is added behind them meanwhile."""
    names = [f"s{number}" for number in range(7)]
    for name in names:
        identity.issue_token(admin, name)
    seen: list[str] = []
    cursor = None
    while True:
        page = identity.list_tokens(admin, cursor=cursor, limit=3)
        seen += [token.label for token in page.items]
        cursor = page.next_cursor
        if cursor is None:
            break
    assert seen == names
    assert len(identity.list_subjects(admin, limit=7).items) == 7
    assert identity.list_subjects(admin, limit=7).next_cursor is None


def test_a_made_up_cursor_is_refused(identity: Identity, admin: Caller) -> None:
    """It is bad input, not a fault of ours."""
    for cursor in ("", "x", "WzFd", "WyJhXHUwMDAwIl0", "é"):
        with pytest.raises(InvalidInput) as caught:
            identity.list_tokens(admin, cursor=cursor)
        assert caught.value.field == "cursor"
