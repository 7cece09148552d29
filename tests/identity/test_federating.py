from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

import pytest

from companyos.core.access import Caller
from companyos.core.clock import ManualClock
from companyos.core.errors import Unavailable
from companyos.core.settings import Settings
from companyos.identity import DirectoryCache, Identity
from companyos.identity.errors import CredentialRefused
from companyos.identity.federating import Accepted, Remembered, name_of
from companyos.identity.issuers import FILE, Issuer
from companyos.identity.jwt import TokenRefused
from companyos.ledger import Journal
from companyos.server.app import create_app
from tests.identity.signing import AUDIENCE, ISSUER, ec_key, jwk, jwks, token
from tests.pillar import records
from tests.server.web import Web, problem

CONFIGURED = f"""\
issuers:
  - name: okta
    issuer: {ISSUER}
    audience: {AUDIENCE}
    jwks_file: keys.json
    algorithms: [RS256, PS256, ES256, EdDSA]
    attributes: {{clearance: clearance, groups: groups}}
"""
NOBODY = TokenRefused


def configure(settings: Settings, text: str = CONFIGURED) -> None:
    """Write the issuers and their keys into a home."""
    home = settings.folder.path
    home.mkdir(exist_ok=True)
    for name, data in ((FILE, text.encode()), ("keys.json", jwks())):
        (home / name).write_bytes(data)
        (home / name).chmod(0o600)


@pytest.fixture
def identity(quick: Journal) -> Identity:
    """Return use cases that know an issuer."""
    configure(quick.settings)
    return Identity(quick)


@pytest.fixture
def signed(clock: ManualClock) -> Callable[..., str]:
    """Return what signs a token now."""
    return lambda **claims: token(clock.now().timestamp(), **claims)


def verbs(journal: Journal) -> list[str]:
    """What the ledger holds."""
    return [record.verb for record in records(journal)]


def test_a_token_makes_its_subject_once(journal: Journal, clock: ManualClock, admin: Caller) -> None:
    """The first token makes a subject without roles and says what it is; later ones find it. On both databases."""
    configure(journal.settings)
    identity = Identity(journal)
    first = token(clock.now().timestamp(), clearance="high", name="Pat", email="pat@example.org")
    caller = identity.authenticate(first, ip="192.0.2.1", device="curl", request_id="r1")
    assert (caller.subject, caller.roles, caller.ip, caller.device) == (
        "user:okta.pat",
        frozenset(),
        "192.0.2.1",
        "curl",
    )
    profile = identity.profile(admin, "user:okta.pat")
    assert (profile.subject.id, profile.subject.display_name, profile.subject.email) == (
        caller.subject_id,
        "Pat",
        "pat@example.org",
    )
    assert profile.attributes == {"clearance": "high"}
    assert profile.said[0].source == f"jwt:{ISSUER}"
    assert profile.said[0].expires_at is not None
    assert profile.said[0].expires_at.timestamp() == clock.now().timestamp() + 3540
    assert verbs(journal) == ["subject.create", "token.accept", "attribute.set"]
    assert records(journal)[1].personal["sub"] == "pat"
    size = journal.size()
    for again in (identity, Identity(journal)):
        assert again.authenticate(first).subject_id == caller.subject_id
    assert journal.size() == size, "neither from memory nor by another process is a token taken over twice"
    identity.bind_role(admin, "user:okta.pat", "viewer")
    assert identity.authenticate(first).roles == {"viewer"}


def test_what_a_token_says_ends_with_it(
    identity: Identity, quick: Journal, clock: ManualClock, admin: Caller, signed: Callable[..., str]
) -> None:
    """After its end the token is refused, and its claims are stale."""
    text = signed(clearance="high")
    identity.authenticate(text)
    clock.advance(3540)
    assert identity.profile(admin, "user:okta.pat").stale == ["clearance"]
    clock.advance(30)
    with pytest.raises(CredentialRefused):
        identity.authenticate(text)
    identity.authenticate(signed(clearance="low"))
    assert identity.profile(admin, "user:okta.pat").attributes == {"clearance": "low"}
    assert DirectoryCache(quick).refresh().attributes_of("user:okta.pat", None, clock.now()).values == {
        "clearance": "low"
    }


def test_the_newest_token_says_what_holds(
    identity: Identity, quick: Journal, clock: ManualClock, admin: Caller, signed: Callable[..., str]
) -> None:
    """An older one that is still good signs in, and brings back nothing that the issuer has taken back since."""
    old = signed(clearance="high", groups=["a"])
    clock.advance(10)
    identity.authenticate(signed(clearance="low"))
    size = quick.size()
    assert identity.authenticate(old).subject == "user:okta.pat"
    assert identity.profile(admin, "user:okta.pat").attributes == {"clearance": "low"}
    assert quick.size() == size
    clock.advance(10)
    identity.authenticate(signed())
    assert identity.profile(admin, "user:okta.pat").said == []
    assert verbs(quick)[-2:] == ["token.accept", "attribute.remove"]


def test_a_token_replaces_nothing_that_others_said(
    identity: Identity, clock: ManualClock, admin: Caller, signed: Callable[..., str]
) -> None:
    """What an admin has said stands until the admin takes it back."""
    identity.authenticate(signed(clearance="high"))
    identity.set_attribute(admin, "subject", "user:okta.pat", "clearance", "low")
    clock.advance(10)
    identity.authenticate(signed(clearance="high", groups=["a"]))
    assert identity.profile(admin, "user:okta.pat").attributes == {"clearance": "low", "groups": ["a"]}
    identity.remove_attribute(admin, "subject", "user:okta.pat", "clearance")
    clock.advance(10)
    identity.authenticate(signed(clearance="high"))
    assert identity.profile(admin, "user:okta.pat").attributes == {"clearance": "high"}


def test_nobody_becomes_somebody_who_is_there(identity: Identity, admin: Caller, signed: Callable[..., str]) -> None:
    """A sub is never matched with the name of a subject that an admin has made."""
    identity.create_subject(admin, "okta.pat")
    with pytest.raises(TokenRefused) as caught:
        identity.authenticate(signed())
    assert caught.value.why == "its subject cannot be made"
    assert identity.authenticate(signed(sub="admin")).subject == "user:okta.admin"


def test_a_sub_of_any_form_has_a_name_of_its_own() -> None:
    """Names fit everywhere, differ where subs do, and a sub cannot pretend to be the hash of another one."""
    issuer = Issuer(name="okta", issuer=ISSUER, audience="x", jwks_file="x")
    subs = ["pat", "Pat", "pät", "auth0|5f7c", "x" * 33, "x" * 255, "a b", "-", "", "PAT"]
    names = [name_of(issuer, sub) for sub in subs]
    assert names[0] == "okta.pat"
    assert len(set(names)) == len(subs)
    from companyos.core.ids import NAME

    assert all(NAME.fullmatch(name) for name in names)
    long = Issuer(name="x" * 63, issuer=ISSUER, audience="x", jwks_file="x")
    assert NAME.fullmatch(name_of(long, "pat"))


def test_a_suspended_subject_is_kept_out(
    identity: Identity, clock: ManualClock, admin: Caller, signed: Callable[..., str]
) -> None:
    """With the token that it has and with every new one, until it is made active."""
    text = signed()
    subject = identity.authenticate(text).subject_id or ""
    identity.suspend(admin, subject)
    clock.advance(1)
    for attempt in (text, signed(), signed(clearance="high")):
        with pytest.raises(CredentialRefused):
            identity.authenticate(attempt)
    identity.change_subject(admin, subject, status="active")
    assert identity.authenticate(text).subject_id == subject


def test_a_key_that_is_taken_back_ends_what_it_vouched_for(
    identity: Identity, quick: Journal, signed: Callable[..., str]
) -> None:
    """Also of tokens that were accepted and are remembered."""
    text = signed()
    identity.authenticate(text)
    path = quick.settings.folder.path / "keys.json"
    path.write_bytes(jwks(jwk(ec_key("other"), "ec")))
    with pytest.raises(TokenRefused) as caught:
        identity.authenticate(text)
    assert caught.value.why == "the signature is wrong"
    path.unlink()
    with pytest.raises(Unavailable):
        identity.authenticate(text)


def test_an_issuer_may_bring_nobody_new(quick: Journal, admin: Caller, signed: Callable[..., str]) -> None:
    """With ``create_subjects: false`` only subs that are known come in."""
    configure(quick.settings, CONFIGURED + "    create_subjects: false\n")
    with pytest.raises(TokenRefused) as caught:
        Identity(quick).authenticate(signed())
    assert caught.value.why == "its subject is not known"
    assert quick.size() == 0


@pytest.mark.parametrize(
    ("claims", "why"),
    [({"iss": "https://evil.example"}, "its issuer is not known"), ({"iss": None}, "its issuer is not known")],
)
def test_strangers_get_the_answer_that_everybody_gets(
    identity: Identity, quick: Journal, signed: Callable[..., str], claims: dict[str, Any], why: str
) -> None:
    """The reason is logged, and is not in the answer."""
    with pytest.raises(TokenRefused) as caught:
        identity.authenticate(signed(**claims))
    assert (caught.value.why, str(caught.value)) == (why, str(CredentialRefused()))
    assert quick.size() == 0


def test_tokens_of_ours_work_beside_them(identity: Identity, admin: Caller, signed: Callable[..., str]) -> None:
    """And without issuers a token of somebody else is just a bad credential."""
    issued = identity.issue_token(admin, "ci")
    assert identity.authenticate(issued.secret).subject == "service:ci"
    assert identity.authenticate(signed()).subject == "user:okta.pat"
    with pytest.raises(CredentialRefused):
        identity.open_session(signed())


def test_without_issuers_no_such_token_is_read(quick: Journal, signed: Callable[..., str]) -> None:
    """A platform that knows no issuer takes none."""
    with pytest.raises(CredentialRefused):
        Identity(quick).authenticate(signed())


def test_a_crowd_with_one_token_makes_one_subject(journal: Journal, clock: ManualClock, admin: Caller) -> None:
    """First requests that race, in several processes even, end with one subject and one record. On both databases."""
    configure(journal.settings)
    text = token(clock.now().timestamp(), clearance="high")
    found: list[str | None] = []
    threads = [
        threading.Thread(target=lambda: found.append(Identity(journal).authenticate(text).subject_id)) for _ in range(6)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert (len(found), len(set(found))) == (6, 1)
    assert verbs(journal) == ["subject.create", "token.accept", "attribute.set"]
    assert len(Identity(journal).list_subjects(admin).items) == 1


def test_few_tokens_are_remembered_and_none_past_its_end(clock: ManualClock) -> None:
    """The one that was used least recently goes first."""
    kept = Remembered(limit=2)
    until = clock.now().replace(year=2027)
    for name in ("a", "b"):
        kept.add(name, Accepted(name, until, ISSUER, "d"))
    assert kept.get("a", clock.now()) is not None
    kept.add("c", Accepted("c", until, ISSUER, "d"))
    assert [kept.get(name, clock.now()) is not None for name in "abc"] == [True, False, True]
    assert kept.get("a", until) is None
    assert len(kept) == 1


def test_the_platform_takes_it_as_a_bearer_credential(settings_of: Settings, clock: ManualClock) -> None:
    """Over HTTP it is a caller like any other: known, denied without a role, let in with one, throttled when bad."""
    configure(settings_of)
    app = create_app(settings_of, clock)
    try:
        now = clock.now().timestamp()
        good = Web(app, token(now))
        problem(good("GET", "/api/services"), 403, "denied")
        root = Caller(subject="system:test", roles=frozenset({"admin"}))
        app.identity.bind_role(root, "user:okta.pat", "viewer")
        assert good("GET", "/api/services").status_code == 200
        bad = Web(app, token(now, aud="other"))
        answers = {problem(bad("GET", "/api/services"), 401, "unauthenticated")["detail"] for _ in range(3)}
        assert answers == {"The credential is not valid."}
        problem(bad("GET", "/api/services"), 429, "too-many-requests")
        assert good("GET", "/api/services").status_code == 200
    finally:
        app.close()


@pytest.fixture
def settings_of(quick: Journal) -> Settings:
    """Return settings of the same home that allow three failures."""
    return Settings(home=str(quick.settings.folder.path), sign_in_attempts=3)
