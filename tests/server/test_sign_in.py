from __future__ import annotations

import pytest

from companyos.core.clock import ManualClock
from companyos.server.app import Application
from tests.server.conftest import SYSTEM
from tests.server.web import ORIGIN, Web, problem

PAGE = {"accept": "text/html"}
OWN = {"origin": ORIGIN}


def link(app: Application) -> str:
    """Return the path of a fresh one-time link for the admin."""
    return f"/sign-in?code={app.identity.issue_login_code(SYSTEM).code}"


def test_a_link_opens_a_session_once(app: Application, admin: Web, nobody: Web) -> None:
    """The first visit gets a cookie that scripts and other sites cannot use, the second a page that says why not."""
    del admin
    path = link(app)
    answer = nobody("GET", path, headers=PAGE)
    assert (answer.status_code, answer.headers["location"]) == (303, "/")
    flags = answer.headers["set-cookie"].split("; ")
    assert flags[0].startswith("companyos_session=")
    assert {"HttpOnly", "SameSite=Lax", "Path=/", "Max-Age=43200"} <= set(flags[1:])
    assert "Secure" not in flags
    assert nobody("GET", "/api/tokens").status_code == 200
    again = Web(app)("GET", path, headers=PAGE)
    assert again.status_code == 401
    assert "used already" in again.text
    assert "set-cookie" not in again.headers


@pytest.mark.parametrize("code", ["", "x", "a" * 43, "../..", "<script>alert(1)</script>"])
def test_a_forged_code_gets_a_clear_page(nobody: Web, code: str) -> None:
    """A code that was never made opens nothing, and nothing of it comes back."""
    answer = nobody("GET", "/sign-in", params={"code": code}, headers=PAGE)
    assert answer.status_code == 401
    assert "Make a new one" in answer.text
    assert "alert(1)" not in answer.text
    assert nobody.cookies == {}


def test_an_old_link_is_refused(app: Application, admin: Web, nobody: Web, clock: ManualClock) -> None:
    """A link ends with its time."""
    del admin
    path = link(app)
    clock.advance(app.settings.login_code_ttl_s + 1)
    assert nobody("GET", path, headers=PAGE).status_code == 401


def test_a_script_gets_a_problem(nobody: Web) -> None:
    """Whoever does not ask for a page gets a problem document."""
    problem(nobody("GET", "/sign-in?code=x"), 401, "unauthenticated")


def test_looking_ahead_does_not_use_the_link(app: Application, admin: Web, nobody: Web) -> None:
    """HEAD and a browser's prefetch leave the code good."""
    del admin
    path = link(app)
    assert nobody("HEAD", path).status_code == 200
    assert nobody("GET", path, headers={"sec-purpose": "prefetch", **PAGE}).status_code == 200
    assert nobody.cookies == {}
    assert nobody("GET", path, headers=PAGE).status_code == 303


def test_failed_links_are_throttled(app: Application, admin: Web, nobody: Web) -> None:
    """Guessing codes ends in 429 with a time to wait; a good link at the same address still works."""
    del admin
    for _ in range(3):
        assert nobody("GET", "/sign-in?code=x", headers=PAGE).status_code == 401
    answer = nobody("GET", "/sign-in?code=x")
    problem(answer, 429, "too-many-requests")
    assert int(answer.headers["retry-after"]) >= 1
    assert nobody("GET", link(app), headers=PAGE).status_code == 303


def test_a_pasted_token_opens_a_session(app: Application, admin: Web, nobody: Web) -> None:
    """The form takes a token, from our own page only."""
    token = admin.headers["authorization"].removeprefix("Bearer ")
    problem(nobody("POST", "/sign-in", data={"token": token}), 403, "cross-site")
    problem(
        nobody("POST", "/sign-in", data={"token": token}, headers={"origin": "http://evil.example"}), 403, "cross-site"
    )
    assert nobody.cookies == {}
    answer = nobody("POST", "/sign-in", data={"token": f" {token}\n"}, headers=OWN)
    assert (answer.status_code, answer.headers["location"]) == (303, "/")
    assert nobody("GET", "/api/tokens").status_code == 200


def test_a_pasted_token_that_is_bad_says_so(nobody: Web) -> None:
    """The page comes back with the sentence, and the failure counts."""
    for _ in range(3):
        answer = nobody("POST", "/sign-in", data={"token": "cos_x"}, headers={**OWN, **PAGE})
        assert answer.status_code == 401
        assert "not valid" in answer.text
    problem(nobody("POST", "/sign-in", data={"token": "cos_x"}, headers=OWN), 429, "too-many-requests")


@pytest.mark.parametrize("form", [{}, {"token": ""}, {"token": "a" * 201}, {"other": "x"}])
def test_a_form_without_a_token_names_the_field(nobody: Web, form: dict[str, str]) -> None:
    """A form that lacks the token, or has far too much of it, is invalid input."""
    found = problem(nobody("POST", "/sign-in", data={**form, "x": "y"}, headers=OWN), 400, "invalid-input")
    assert found["field"] == "token"


def test_the_session_ends_with_its_token(app: Application, clock: ManualClock, nobody: Web) -> None:
    """A session that a short-lived token opened is over when the token is."""
    token = app.identity.issue_token(SYSTEM, "short", type="user", roles=["admin"], ttl_s=60).secret
    assert nobody("POST", "/sign-in", data={"token": token}, headers=OWN).status_code == 303
    assert nobody("GET", "/api/tokens").status_code == 200
    clock.advance(61)
    problem(nobody("GET", "/api/tokens"), 401, "unauthenticated")


def test_signing_out_ends_the_session_and_the_cookie(app: Application, browser: Web) -> None:
    """After signing out the cookie is gone, and a copy of it opens nothing."""
    copy = Web(app)
    copy.cookies = dict(browser.cookies)
    csrf = app.identity.session(browser.cookies["companyos_session"]).csrf
    answer = browser("POST", "/sign-out", data={"csrf": csrf}, headers=OWN)
    assert (answer.status_code, answer.headers["location"]) == (303, "/sign-in")
    assert browser.cookies == {}
    problem(copy("GET", "/api/tokens"), 401, "unauthenticated")


def test_a_token_cannot_sign_out(admin: Web) -> None:
    """There is no session to end with a bearer token, and the answer says what to do instead."""
    found = problem(admin("POST", "/sign-out"), 400, "invalid-input")
    assert "Revoke" in found["next_step"]


def test_the_page_knows_who_is_signed_in(browser: Web, nobody: Web) -> None:
    """The page names the person, and carries the form token only for a session."""
    assert "user:admin" in browser("GET", "/sign-in", headers=PAGE).text
    page = nobody("GET", "/sign-in", headers=PAGE).text
    assert "signed in as" not in page
    assert 'name="csrf"' not in page


def test_the_page_has_nothing_inline(nobody: Web) -> None:
    """No script, no style and no handler stands in the page, so the strict policy stops nothing."""
    page = nobody("GET", "/sign-in", headers=PAGE).text.lower()
    assert "<script" not in page
    assert "style=" not in page
    assert "<style" not in page
    assert " on" not in page.replace(" on the machine", "").replace(" once", "").replace(" one ", "")
