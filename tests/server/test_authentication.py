from __future__ import annotations

import asyncio
from datetime import timedelta
from typing import Any

import pytest

from companyos.core.access import Caller
from companyos.core.clock import ManualClock
from companyos.core.settings import Settings
from companyos.server.app import Application, create_app
from companyos.server.asgi import CALLER, Message
from tests.server.conftest import SYSTEM
from tests.server.web import ORIGIN, Web, problem

OWN = {"origin": ORIGIN}


@pytest.mark.parametrize(
    "path", ["/api/tokens", "/", "/schema", "/events", "/nothing", "/health/", "/Health", "//health"]
)
def test_nobody_gets_nothing(nobody: Web, path: str) -> None:
    """Without a credential every address but the open ones is a 401 that says how to come in, known or not."""
    answer = nobody("GET", path)
    problem(answer, 401, "unauthenticated")
    assert answer.headers["www-authenticate"].startswith("Bearer")


@pytest.mark.parametrize("path", ["/health", "/.well-known/companyos-keys.json", "/sign-in", "/status"])
def test_open_addresses_need_no_credential(nobody: Web, path: str) -> None:
    """These answer to everybody."""
    assert nobody("GET", path).status_code != 401


def test_a_person_is_sent_to_the_sign_in_page(nobody: Web) -> None:
    """A browser that asks for a page is led to /sign-in; a script that changes something is not."""
    answer = nobody("GET", "/", headers={"accept": "text/html,*/*"})
    assert (answer.status_code, answer.headers["location"]) == (303, "/sign-in")
    assert nobody("POST", "/api/tokens", headers={"accept": "text/html"}, json={}).status_code == 401


def test_a_token_says_who_asks(admin: Web, stranger: Web) -> None:
    """The admin may list tokens; somebody without a role is known and denied."""
    assert admin("GET", "/api/tokens").status_code == 200
    problem(stranger("GET", "/api/tokens"), 403, "denied")


@pytest.mark.parametrize(
    "header",
    ["Bearer", "Bearer ", "Basic YTpi", "cos_x_y", "Bearer cos_x_y", "Bearer " + "a" * 5000, "Bearer cos_\u00e9"],
)
def test_credentials_that_are_none_are_refused(app: Application, header: str) -> None:
    """Another scheme, no token, or something that is no token of ours is a 401."""
    answer = Web(app)("GET", "/api/tokens", headers={"authorization": header.encode("latin-1")})
    problem(answer, 401, "unauthenticated")


def test_forged_expired_and_revoked_tokens_are_refused_alike(app: Application, admin: Web, clock: ManualClock) -> None:
    """The answer does not tell which of them it was."""
    good = app.identity.issue_token(SYSTEM, "ci", roles=["viewer"], ttl_s=3600)
    script = Web(app, good.secret)
    assert script("GET", "/api/services").status_code == 200
    forged = Web(app, good.secret[:-1] + ("a" if good.secret[-1] != "a" else "b"))
    answers = [problem(forged("GET", "/api/services"), 401, "unauthenticated")]
    clock.advance(3601)
    answers.append(problem(script("GET", "/api/services"), 401, "unauthenticated"))
    other = app.identity.issue_token(SYSTEM, "ci", ttl_s=3600)
    assert admin("DELETE", f"/api/tokens/{other.token.id}").status_code == 204
    clock.advance(120)
    answers.append(problem(Web(app, other.secret)("GET", "/api/services"), 401, "unauthenticated"))
    assert len({answer["detail"] for answer in answers}) == 1


def test_failed_tokens_are_throttled_and_good_ones_are_not(app: Application, admin: Web, clock: ManualClock) -> None:
    """After the allowed failures an address must wait; a good token at the same address goes through meanwhile."""
    guesser = Web(app, "cos_00000000-0000-7000-8000-000000000000_" + "a" * 43)
    for _ in range(3):
        problem(guesser("GET", "/api/tokens"), 401, "unauthenticated")
    answer = guesser("GET", "/api/tokens")
    problem(answer, 429, "too-many-requests")
    assert 1 <= int(answer.headers["retry-after"]) <= 60
    assert admin("GET", "/api/tokens").status_code == 200
    clock.advance(int(answer.headers["retry-after"]))
    problem(guesser("GET", "/api/tokens"), 401, "unauthenticated")


def test_one_token_is_throttled_over_many_addresses(app: Application) -> None:
    """Guessing the secret of one token from many addresses is throttled by the token's id."""
    token = "cos_00000000-0000-7000-8000-000000000000_" + "a" * 43
    for number in range(3):
        problem(Web(app, token, address=f"192.0.2.{number}")("GET", "/api/tokens"), 401, "unauthenticated")
    problem(Web(app, token, address="192.0.2.99")("GET", "/api/tokens"), 429, "too-many-requests")


def test_a_stale_cookie_is_forgotten_and_not_counted(browser: Web, clock: ManualClock, settings: Settings) -> None:
    """When the session is over, a page leads to /sign-in, the cookie goes, and nobody has to wait for it."""
    clock.advance(settings.session_ttl_s + 1)
    cookies = dict(browser.cookies)
    for _ in range(10):
        browser.cookies = dict(cookies)
        problem(browser("GET", "/api/tokens"), 401, "unauthenticated")
    answer = browser("GET", "/", headers={"accept": "text/html"})
    assert answer.headers["location"] == "/sign-in"
    assert "max-age=0" in answer.headers["set-cookie"].lower()


def test_a_session_reads_without_and_changes_only_with_both_proofs(app: Application, browser: Web) -> None:
    """A change with a cookie needs our origin and the token of the session; with either missing nothing changes."""
    assert browser("GET", "/api/tokens").status_code == 200
    csrf = app.identity.session(browser.cookies["companyos_session"]).csrf
    body = {"name": "robot"}
    before = app.journal.size()
    refused: list[dict[str, str]] = [
        {},
        OWN,
        {"x-csrf-token": csrf},
        {"x-csrf-token": csrf, "origin": "http://evil.example"},
        {"x-csrf-token": csrf, "origin": "null"},
        {"x-csrf-token": csrf, "sec-fetch-site": "cross-site", **OWN},
        {"x-csrf-token": csrf[:-1], **OWN},
    ]
    for headers in refused:
        problem(browser("POST", "/api/subjects", json=body, headers=headers), 403, "cross-site")
    names = [subject["name"] for subject in browser("GET", "/api/subjects").json()["items"]]
    assert "robot" not in names
    assert app.journal.size() > before, "the first refusal is recorded"
    answer = browser("POST", "/api/subjects", json=body, headers={"x-csrf-token": csrf, **OWN})
    assert answer.status_code == 201


def test_a_form_carries_the_token_as_a_field(app: Application, browser: Web) -> None:
    """A plain form works: its field ``csrf`` is the token, and the handler gets the form as it was sent."""
    csrf = app.identity.session(browser.cookies["companyos_session"]).csrf
    assert browser("POST", "/sign-out", data={"csrf": csrf}, headers=OWN).status_code == 303


def test_a_token_needs_no_proof_of_origin(admin: Web) -> None:
    """No other site can make a browser send a bearer token."""
    answer = admin("POST", "/api/subjects", json={"name": "robot"}, headers={"origin": "http://other.example"})
    assert answer.status_code == 201


def test_a_bearer_token_goes_before_a_cookie(browser: Web, stranger: Web) -> None:
    """With both, the token decides who asks."""
    problem(browser("GET", "/api/tokens", headers=stranger.headers), 403, "denied")


def test_the_network_cannot_name_a_caller(nobody: Web) -> None:
    """The in-process caller is no header, cookie or query of a request."""
    for place in ({"headers": {CALLER: "os:root"}}, {"params": {CALLER: "os:root"}}):
        problem(nobody("GET", "/api/tokens", **place), 401, "unauthenticated")


def test_a_caller_in_the_scope_needs_no_credential(app: Application, admin: Web) -> None:
    """The command line's transport puts the caller into the scope, and the ledger gets the id of this request."""
    caller = Caller(subject="os:ada", roles=frozenset({"admin"}), request_id="not this one")
    body = b'{"name": "robot"}'
    sent: list[Message] = []

    async def receive() -> Message:
        return {"type": "http.request", "body": body, "more_body": False}

    async def send(message: Message) -> None:
        sent.append(message)

    scope: dict[str, Any] = {
        "type": "http",
        "asgi": {"version": "3.0"},
        "http_version": "1.1",
        "method": "POST",
        "scheme": "http",
        "path": "/api/subjects",
        "raw_path": b"/api/subjects",
        "root_path": "",
        "query_string": b"",
        "headers": [(b"content-type", b"application/json"), (b"content-length", str(len(body)).encode())],
        "client": None,
        "server": None,
        "state": {},
        CALLER: caller,
    }
    asyncio.run(app(scope, receive, send))
    assert sent[0]["status"] == 201
    request_id = dict(sent[0]["headers"])[b"x-request-id"].decode()
    last = admin("GET", "/api/ledger/entries").json()["items"][0]
    assert (last["actor"], last["verb"], last["request_id"]) == ("os:ada", "subject.create", request_id)


def test_a_denial_is_recorded_with_who_and_from_where(app: Application, admin: Web, stranger: Web) -> None:
    """The ledger says who was denied what, by which rule, from which address, in which request."""
    answer = stranger("GET", "/api/tokens", headers={"user-agent": "curl/8"})
    record = admin("GET", "/api/ledger/entries", params={"decision": "deny"}).json()["items"][0]
    assert record["actor"] == "user:stranger"
    assert record["verb"] == "token.read"
    assert record["decision"] == "deny"
    assert record["policy"] == "roles:deny"
    assert record["ip"] == stranger.address
    assert record["device"] == "curl/8"
    assert record["request_id"] == answer.headers["x-request-id"]


def test_somebody_who_insists_cannot_fill_the_ledger(app: Application, admin: Web, stranger: Web) -> None:
    """Hundreds of denials make a few records, and the count of the rest is kept for the next one."""
    del admin
    before = app.journal.size()
    for number in range(100):
        stranger("GET", f"/api/subjects/{number}")
    assert app.journal.size() - before <= 20


def test_a_proxy_by_https_makes_cookies_secure(home: Any, clock: ManualClock) -> None:
    """Behind https the cookie is Secure, and the public name is an origin and a host of ours."""
    settings = Settings(home=str(home), public_url="https://company.example")
    app = create_app(settings, clock)
    try:
        app.identity.bootstrap_admin()
        person = Web(app)
        code = app.identity.issue_login_code(SYSTEM).code
        answer = person("GET", f"/sign-in?code={code}", headers={"host": "company.example"})
        assert "; Secure" in answer.headers["set-cookie"]
        assert answer.headers["strict-transport-security"]
    finally:
        app.close()


def test_roles_that_end_count_no_more_at_the_next_request(app: Application, clock: ManualClock) -> None:
    """A role is looked up for every request, so a binding that has expired gives nothing."""
    issued = app.identity.issue_token(SYSTEM, "temp", ttl_s=7200)
    app.identity.bind_role(SYSTEM, issued.token.subject_id, "admin", expires_at=clock.now() + timedelta(seconds=60))
    temp = Web(app, issued.secret)
    assert temp("GET", "/api/tokens").status_code == 200
    clock.advance(61)
    problem(temp("GET", "/api/tokens"), 403, "denied")
