"""Releases over HTTP, through the whole server: pages, permissions, and commands as a form sends them."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from companyos.core.access import Caller
from companyos.core.clock import ManualClock
from companyos.core.settings import Settings
from companyos.identity import IssuedToken
from companyos.server.app import Application, create_app
from companyos.tower import store
from companyos.tower.service import Tower
from tests.server.web import ORIGIN, Web, problem
from tests.tower.fake_delivery import FakeDelivery
from tests.tower.releases import ended, id_of, in_every_phase, summary, ticks
from tests.tower.rows import NOW, fine
from tests.tower.test_render import Page, assert_harmless

ANA = Caller(subject="user:ana", roles=frozenset({"admin"}))
BACK = 500
PAGE = {"accept": "text/html"}
FORM = {"content-type": "application/x-www-form-urlencoded", "origin": ORIGIN, "sec-fetch-site": "same-origin", **PAGE}


@pytest.fixture
def delivery() -> FakeDelivery:
    """Return releases in every phase and many that have ended."""
    known = FakeDelivery([*in_every_phase(), *ended(300)], ticks(60))
    known.put(summary("checkout", "rolled_back", number=BACK))
    return known


@pytest.fixture
def app(tmp_path: Path, delivery: FakeDelivery, monkeypatch: pytest.MonkeyPatch) -> Iterator[Application]:
    """Return a server with this delivery and one service."""
    monkeypatch.setattr("companyos.server.app.Tower", lambda journal, *_: Tower(journal, delivery))
    app = create_app(Settings(home=str(tmp_path / "home")), ManualClock(NOW))
    with app.journal.database.write() as connection:
        store.replace(connection, [fine(), fine("payments")])
    yield app
    app.close()


@pytest.fixture
def admin(app: Application) -> Web:
    """Return an admin with a token."""
    issued = app.identity.bootstrap_admin()
    assert isinstance(issued, IssuedToken)
    return Web(app, issued.secret)


def caller(app: Application, *roles: str) -> Web:
    """Somebody with some roles."""
    return Web(app, app.identity.issue_token(ANA, f"with-{'-'.join(roles) or 'none'}", roles=list(roles)).secret)


def signed_in(app: Application, *roles: str) -> Web:
    """Somebody with a browser session."""
    token = app.identity.issue_token(ANA, f"with-{'-'.join(roles)}", roles=list(roles), type="user").secret
    visitor = Web(app)
    answer = visitor("POST", "/sign-in", data={"token": token}, headers=FORM)
    assert answer.status_code == 303
    return visitor


def token_on(visitor: Web, path: str) -> str:
    """The form token that a page carries."""
    found = re.search(r'name="csrf" value="([^"]+)"', visitor("GET", path, headers=PAGE).text)
    assert found is not None
    return found[1]


def test_the_list_says_all_that_a_card_must(admin: Web) -> None:
    """Ladder, verdict, value beside limit and baseline, totals, a hold's forecast, age, and other rules."""
    text = Page(admin("GET", "/releases").text).text
    for said in (
        "went back here",
        "held here",
        "Healthy so far: 0.31 % errors against 0.29 % on stable",
        "Needs about 1,200 more requests, about 6 min at this rate.",
        "1,204 requests, 3 failed",
        "No controller has looked for 3 min",
        "This release uses a shortened hold of 3 s instead of 10 min and steps 5 % → 100 % instead of",
    ):
        assert said in text


@pytest.mark.parametrize(
    "path", ["/releases", "/releases?outcome=rolled_back", f"/releases/{id_of(3)}", f"/releases/{id_of(BACK)}", "/"]
)
def test_pages_hold_nothing_that_runs(admin: Web, path: str) -> None:
    """A log line with a script in it is text."""
    assert_harmless(admin("GET", path).text)


def test_every_link_of_the_release_pages_leads_somewhere(app: Application, admin: Web, delivery: FakeDelivery) -> None:
    """Each address of ours answers, apart from ledger records, which this delivery has not written."""
    from companyos.catalog import Catalog

    for name in sorted({release.service for release in delivery.releases.values()}):
        Catalog(app.journal).add(ANA, name, {})
    Tower(app.journal).projector.rebuild(ANA)
    delivery.put(*(summary("checkout", "steady", number=900_000 + n, version="2.3.1") for n in (1, BACK)))
    seen: set[str] = set()
    for start in ("/releases", f"/releases/{id_of(1)}", f"/releases/{id_of(BACK)}", "/services/checkout", "/"):
        for _tag, attributes in Page(admin("GET", start).text).elements:
            if (link := attributes.get("href")) and link.startswith("/"):
                seen.add(link.partition("#")[0])
    seen = {link for link in seen if "/api/ledger/" not in link}
    assert len(seen) > 40
    for link in sorted(seen):
        assert admin("GET", link).status_code == 200, link


@pytest.mark.parametrize(
    ("path", "status", "slug", "field"),
    [
        ("/releases?outcome=won", 400, "invalid-input", "outcome"),
        ("/releases?service=Nope!", 400, "invalid-input", "service"),
        ("/releases?cursor=nonsense", 400, "invalid-input", "cursor"),
        ("/releases?page=2", 400, "invalid-input", "page"),
        (f"/releases/{id_of(1)}?tab=all", 400, "invalid-input", "tab"),
        (f"/releases/{id_of(77)}", 404, "not-found", None),
        ("/releases/checkout", 404, "not-found", None),
        ("/releases/%3Cscript%3E", 404, "not-found", None),
    ],
)
def test_a_bad_address_gives_one_clear_problem(
    admin: Web, path: str, status: int, slug: str, field: str | None
) -> None:
    """Never a 500, and the field at fault is named."""
    found = problem(admin("GET", path), status, slug)
    assert found["next_step"]
    assert found.get("field") == field


@pytest.mark.parametrize(
    ("roles", "method", "path", "status"),
    [
        ((), "GET", "/releases", 403),
        ((), "GET", f"/releases/{id_of(1)}", 403),
        (("viewer",), "GET", "/releases", 200),
        (("viewer",), "GET", f"/releases/{id_of(1)}", 200),
        (("viewer",), "POST", f"/releases/{id_of(1)}/commands", 403),
        (("operator",), "POST", f"/releases/{id_of(1)}/commands", 303),
    ],
)
def test_pages_and_commands_need_their_permission(
    app: Application, roles: tuple[str, ...], method: str, path: str, status: int
) -> None:
    """Whoever may look may not yet steer."""
    sent = {"data": {"kind": "hold", "reason": "x"}} if method == "POST" else {}
    assert caller(app, *roles)(method, path, **sent).status_code == status


def test_a_viewer_sees_no_buttons(app: Application) -> None:
    """A form that would be refused is not shown; an operator has those of the phase."""
    path = f"/releases/{id_of(1)}"
    assert "commands-title" not in signed_in(app, "viewer")("GET", path).text
    page = signed_in(app, "operator")("GET", path).text
    assert re.findall(r'name="kind" value="(\w+)"', page) == ["hold", "promote", "abort"]
    assert "All traffic goes back to 2.3.1 at once." in page


def test_a_command_goes_back_to_the_page_that_says_so(app: Application, delivery: FakeDelivery) -> None:
    """A form with a reason and the token of the session; then a redirect, so that a reload sends nothing again."""
    visitor = signed_in(app, "operator")
    path = f"/releases/{id_of(1)}"
    sent = {"csrf": token_on(visitor, path), "kind": "abort", "reason": " p95 doubled "}
    answer = visitor("POST", f"{path}/commands", data=sent, headers=FORM)
    assert (answer.status_code, answer.headers["location"]) == (303, f"{path}?asked=abort")
    assert delivery.commands == [(id_of(1), "abort", "p95 doubled")]
    assert "You asked to abort this release." in visitor("GET", answer.headers["location"]).text


@pytest.mark.parametrize(
    ("number", "kind", "reason", "status", "said"),
    [
        (1, "abort", "  ", 400, "Say why: the reason stands in the ledger beside your name."),
        (1, "explode", "boom", 400, "A release knows no command &#39;explode&#39;."),
        (BACK, "abort", 'too "late"', 409, "checkout@2.4.0 is rolled back already. Deploy again."),
    ],
)
def test_a_command_that_makes_no_sense_says_why_on_the_page(
    app: Application, delivery: FakeDelivery, number: int, kind: str, reason: str, status: int, said: str
) -> None:
    """Nothing happens, and the page has the sentence."""
    visitor = signed_in(app, "operator")
    path = f"/releases/{id_of(number)}"
    sent = {"csrf": token_on(visitor, path), "kind": kind, "reason": reason}
    answer = visitor("POST", f"{path}/commands", data=sent, headers=FORM)
    assert answer.status_code == status
    assert said in answer.text
    assert f'data-follows="{path}"' in answer.text
    assert delivery.commands == []


def test_a_refused_form_keeps_what_was_typed(app: Application, delivery: FakeDelivery) -> None:
    """The form stands open with the reason in it."""
    visitor = signed_in(app, "operator")
    path = f"/releases/{id_of(1)}"
    long = "because " * 80
    sent = {"csrf": token_on(visitor, path), "kind": "hold", "reason": long}
    page = visitor("POST", f"{path}/commands", data=sent, headers=FORM).text
    assert 'id="ask-hold" open' in page
    assert f'value="{long}"' in page
    assert delivery.commands == []


def test_a_program_gets_a_problem_instead_of_the_page(app: Application) -> None:
    """Without text/html among what is accepted, the answer is a problem document."""
    sent = {"kind": "hold", "reason": ""}
    problem(caller(app, "operator")("POST", f"/releases/{id_of(1)}/commands", data=sent), 400, "invalid-input")
    problem(
        caller(app, "operator")("POST", f"/releases/{id_of(77)}/commands", data=sent | {"reason": "x"}),
        404,
        "not-found",
    )


@pytest.mark.parametrize("token", [None, "forged"])
def test_a_form_of_another_site_is_refused(app: Application, delivery: FakeDelivery, token: str | None) -> None:
    """Without the token of the session nothing is asked of a release."""
    visitor = signed_in(app, "operator")
    sent = {"kind": "abort", "reason": "x"} | ({"csrf": token} if token else {})
    assert visitor("POST", f"/releases/{id_of(1)}/commands", data=sent, headers=FORM).status_code == 403
    assert delivery.commands == []


def test_a_page_that_is_known_is_not_sent_again(admin: Web, delivery: FakeDelivery) -> None:
    """The same page gives 304, so that looking every second costs little; a new verdict does not."""
    for path in ("/releases", f"/releases/{id_of(1)}"):
        asked = {"if-none-match": admin("GET", path).headers["etag"]}
        assert admin("GET", path, headers=asked).status_code == 304
        delivery.put(summary("checkout", verdict=f"Worse on {path}."))
        assert admin("GET", path, headers=asked).status_code == 200


def test_only_what_a_person_may_open_stands_in_the_navigation(app: Application) -> None:
    """Releases for whoever may read them."""
    assert 'href="/releases"' in caller(app, "viewer")("GET", "/").text


def test_the_landing_page_shows_what_is_moving(admin: Web, delivery: FakeDelivery) -> None:
    """The first few, what needs a person first, and the state of the services follows."""
    text = admin("GET", "/").text
    assert text.index("No controller has looked for") < text.index("Going back to 2.3.1")
    assert "4 of 12" in text
    assert 'aria-label="payments: Held"' in text
    assert 'aria-label="checkout: Canary"' in text
    delivery.releases.clear()
    text = admin("GET", "/").text
    assert re.search(r'<section class="moving" id="moving"[^>]* hidden>', text)
    assert 'aria-label="checkout: OK"' in text
