"""Policies over HTTP, through the whole server: pages, permissions, and a promotion as a form sends it."""

from __future__ import annotations

import html
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from companyos.core.clock import ManualClock
from companyos.core.settings import Settings
from companyos.ledger import Filter, LedgerReader
from companyos.policy.service import Policies
from companyos.server.app import Application, create_app
from tests.policy.bundles import BUNDLE_ID, deny
from tests.policy.people import Checks, Decided, publish
from tests.server.web import Web, problem
from tests.tower.policies import ADMIN, ANN, CLOSED, FORM, HERE, PAGE, bring_up, promote, signed_in, text_of, token_on
from tests.tower.policies import OPENED as OPENED_RULES
from tests.tower.rows import NOW
from tests.tower.test_render import Page, assert_harmless

LOST = "obligation_lost:read:log_event"
OPENED = "deny_to_allow:transfer:residency.eu"
SIGNED = [f"{LOST}=3", f"{OPENED}=2"]
UNKNOWN = "01a202e7-0000-7000-8000-0000000000aa"


@pytest.fixture
def decided() -> Decided:
    """Return the recorded decisions that promotions replay."""
    return Decided()


@pytest.fixture
def checks() -> Checks:
    """Return what the platform finds when it runs tests."""
    return Checks()


@pytest.fixture
def app(tmp_path: Path, decided: Decided, checks: Checks, monkeypatch: pytest.MonkeyPatch) -> Iterator[Application]:
    """Return a server that has no bundle yet."""
    monkeypatch.setattr("companyos.server.app.Policies", lambda journal, _: Policies(journal, decided, checks))
    app = create_app(Settings(home=str(tmp_path / "home")), ManualClock(NOW))
    app.identity.bootstrap_admin()
    yield app
    app.close()


@pytest.fixture
def lived_in(app: Application, decided: Decided) -> Application:
    """Return the server with 1.0.0 in prod and 1.1.0, which opens two things, in staging."""
    bring_up(app, decided)
    return app


@pytest.fixture
def bob(lived_in: Application) -> Web:
    """Return a colleague who may approve, with a browser session."""
    return signed_in(lived_in, "bob", "security_approver")


def send(visitor: Web, **fields: Any) -> Any:
    """Send the form of a promotion to prod."""
    token = token_on(visitor("GET", "/policies", headers=PAGE).text)
    filled = {"csrf": token, "stage": "prod", "version": "1.1.0", "reason": "Looked at.", **fields}
    return visitor("POST", f"{HERE}/promotions", data=filled, headers=FORM)


def test_without_any_bundle_the_list_says_how_to_begin(app: Application) -> None:
    """The policy that ships is a row, and the commands stand below."""
    said = text_of(signed_in(app, "vic", "viewer")("GET", "/policies", headers=PAGE))
    assert "Shipped companyos/platform Shipped with the platform; no bundle is active in prod" in said
    assert "companyos policy promote shop-orders-1.0.0.tar.gz" in said
    platform = text_of(signed_in(app, "vic", "viewer")("GET", "/policies/companyos/platform", headers=PAGE))
    assert "No bundle was published in place of what ships." in platform


def test_the_list_shows_versions_per_stage(lived_in: Application, bob: Web) -> None:
    """And in the navigation there is a way to it."""
    answer = bob("GET", "/policies", headers=PAGE)
    assert "1.1.0 0 s · user:ann 1.1.0 0 s · user:ann 1.0.0 0 s · user:bob" in text_of(answer)
    links = [attributes.get("href") for tag, attributes in Page(answer.text).elements if tag == "a"]
    assert {"/policies", HERE} <= set(links)
    assert 'href="/policies" aria-current="page"' in bob("GET", HERE, headers=PAGE).text
    del lived_in


def test_a_preview_shows_what_would_change_and_changes_nothing(lived_in: Application, bob: Web) -> None:
    """What opens something comes first, with examples that lead to their decisions."""
    before = text_of(bob("GET", HERE, headers=PAGE))
    assert "What would 1.1.0 change in prod?" in before
    assert "10 of 10 recorded decisions" not in before
    ledger = LedgerReader(lived_in.journal)
    newest = ledger.entries(ADMIN, Filter(), limit=1).items
    answer = bob("GET", f"{HERE}?to=prod", headers=PAGE)
    assert ledger.entries(ADMIN, Filter(), limit=1).items == newest, "not even an attempt is recorded"
    said = text_of(answer)
    assert "10 of 10 recorded decisions (100 %) were decided again: 2 would be allowed instead of denied" in said
    assert said.index(LOST) < said.index("Reason")
    assert "companyos/documents@1.1.0 can go to prod once somebody signs off what it changes." in said
    links = [attributes.get("href") for tag, attributes in Page(answer.text).elements if tag == "a"]
    assert "/policies/decisions?id=audit-3" in links
    boxes = [values for tag, values in Page(answer.text).elements if values.get("name") == "acknowledged"]
    assert [box["value"] for box in boxes] == SIGNED
    assert not any("checked" in box for box in boxes)
    active = lived_in.policies.active(BUNDLE_ID, "prod")
    assert active is not None
    assert active.version == "1.0.0"


def test_a_promotion_with_its_sign_offs_is_made(lived_in: Application, bob: Web) -> None:
    """The answer leads back to the page, which says what is active now, and the history who signed off what."""
    answer = send(bob, acknowledged=SIGNED)
    assert (answer.status_code, answer.headers["location"]) == (303, f"{HERE}?done=prod")
    said = text_of(bob("GET", answer.headers["location"], headers=PAGE))
    assert "1.1.0 is active in prod." in said
    assert f"Signed off: {LOST} (3), {OPENED} (2)" in said
    active = lived_in.policies.active(BUNDLE_ID, "prod")
    assert active is not None
    assert (active.version, active.approver, active.reason) == ("1.1.0", "user:bob", "Looked at.")


def test_what_stands_against_it_is_shown_with_what_was_typed(lived_in: Application, bob: Web) -> None:
    """One sign-off is missing: nothing is promoted, and neither the reason nor the other tick is lost."""
    answer = send(bob, acknowledged=f"{LOST}=3", reason='Say "so" & <go>')
    assert answer.status_code == 409
    page = Page(answer.text)
    boxes = {
        values["value"]: "checked" in values for _, values in page.elements if values.get("name") == "acknowledged"
    }
    assert boxes == {SIGNED[0]: True, SIGNED[1]: False}
    assert html.escape('Say "so" & <go>', quote=True).replace("&quot;", "&#34;") in answer.text
    assert "does not go to prod, for 1 reason; the active version stays. What is left to sign off" in page.text
    active = lived_in.policies.active(BUNDLE_ID, "prod")
    assert active is not None
    assert active.version == "1.0.0"


def test_a_sign_off_holds_for_no_more_than_was_seen(bob: Web, decided: Decided) -> None:
    """What grew since the page was made blocks again, and its box is not ticked."""
    decided.add("prod", "transfer", deny("residency.eu"))
    answer = send(bob, acknowledged=SIGNED)
    assert answer.status_code == 409
    boxes = {values["value"]: "checked" in values for _, values in Page(answer.text).elements if "value" in values}
    assert boxes[f"{OPENED}=3"] is False
    assert boxes[SIGNED[0]] is True


@pytest.mark.parametrize(
    ("fields", "status", "said"),
    [
        ({"reason": "  "}, 400, "Say why: the reason stands in the ledger beside your name."),
        ({"reason": "x" * 501}, 400, "A reason is one line of at most 500 characters."),
        ({"version": "one"}, 400, "'one' is no version."),
        (
            {"version": "1.0.9", "acknowledged": SIGNED},
            404,
            "There is no published bundle 'companyos/documents@1.0.9'.",
        ),
        ({"stage": "live"}, 400, "There is no stage 'live'."),
        ({"acknowledged": "all"}, 400, "'all' names no difference with its count."),
        ({"acknowledged": f"{LOST}=-3"}, 400, "names no difference with its count."),
        ({"version": "v" * 33}, 400, ""),
        ({"acknowledged": ["x" * 321, "y"]}, 400, ""),
        ({"csrf": "guess"}, 403, ""),
    ],
)
def test_a_form_that_makes_no_sense_changes_nothing(
    lived_in: Application, bob: Web, fields: dict[str, Any], status: int, said: str
) -> None:
    """It gives a sentence, never a fault of the server."""
    answer = send(bob, **fields)
    assert answer.status_code == status, answer.text
    assert said in text_of(answer)
    active = lived_in.policies.active(BUNDLE_ID, "prod")
    assert active is not None
    assert active.version == "1.0.0"


def test_a_script_gets_problems_and_no_pages(lived_in: Application) -> None:
    """Whoever asks for no HTML is told in JSON."""
    admin = Web(lived_in, lived_in.identity.issue_token(ADMIN, "eve", roles=["admin"]).secret)
    path, form = f"{HERE}/promotions", {"stage": "prod", "version": "1.1.0", "reason": "r"}
    assert "does not go to prod" in problem(admin("POST", path, data=form), 409, "conflict")["detail"]
    problem(admin("POST", path, data={**form, "reason": ""}), 400, "invalid-input")
    problem(admin("GET", f"/policies/decisions?id={UNKNOWN}"), 404, "not-found")


@pytest.mark.parametrize(
    ("roles", "method", "path", "status"),
    [
        ((), "GET", "/policies", 403),
        ((), "GET", HERE, 403),
        (("viewer",), "GET", "/policies", 200),
        (("viewer",), "GET", f"{HERE}?to=prod", 200),
        (("viewer",), "GET", "/policies/decisions", 403),
        (("operator",), "GET", f"/policies/decisions?id={UNKNOWN}", 403),
        (("sre_lead",), "GET", "/policies/decisions", 200),
        (("operator",), "POST", f"{HERE}/promotions", 403),
        (("viewer",), "POST", f"{HERE}/promotions", 403),
    ],
)
def test_who_may_what(lived_in: Application, roles: tuple[str, ...], method: str, path: str, status: int) -> None:
    """The use cases are asked, whichever way somebody comes."""
    visitor = Web(lived_in, lived_in.identity.issue_token(ADMIN, "somebody", roles=list(roles)).secret)
    options = {"data": {"stage": "prod", "version": "1.1.0", "reason": "r"}} if method == "POST" else {}
    assert visitor(method, path, **options).status_code == status


def test_only_who_may_promote_sees_the_form(lived_in: Application) -> None:
    """A viewer sees the replay and no form, a token without a session the command to type."""
    publish(lived_in.policies, ANN, OPENED_RULES, "1.2.0")
    promote(lived_in, ANN, "1.2.0", "dev", reason="The same again.")
    viewer, lead = signed_in(lived_in, "vic", "viewer"), signed_in(lived_in, "lea", "sre_lead")
    for stage in ("staging", "prod"):
        path = f"{HERE}?to={stage}"
        assert f"{HERE}/promotions" not in viewer("GET", path, headers=PAGE).text
        assert f"{HERE}/promotions" in lead("GET", path, headers=PAGE).text
    assert "10 of 10 recorded decisions" in viewer("GET", f"{HERE}?to=prod", headers=PAGE).text
    assert "You may look at this, not promote it." in text_of(viewer("GET", f"{HERE}?to=staging", headers=PAGE))
    script = Web(lived_in, lived_in.identity.issue_token(ADMIN, "lea", roles=["sre_lead"]).secret)
    said = text_of(script("GET", f"{HERE}?to=staging"))
    assert "Sign in with a browser to use forms, or: companyos policy promote companyos/documents@1.2.0" in said


def test_an_author_sees_who_else_is_needed(lived_in: Application) -> None:
    """Everything that stands against it is counted, the differences too; the form is left to a colleague."""
    author = signed_in(lived_in, "ann", "sre_lead")
    said = text_of(author("GET", f"{HERE}?to=prod", headers=PAGE))
    assert "does not go to prod, for 3 reasons; the active version stays." in said
    assert "Nobody but its author user:ann has approved" in said
    assert "2 differences open something and have to be signed off, see below." in said
    answer = send(author, acknowledged=SIGNED)
    assert answer.status_code == 409
    assert "is signed off by a signed-in person other than its author" in text_of(answer)
    assert f"{HERE}/promotions" in answer.text, "what was typed stays"


def test_what_has_to_be_mended_first_takes_the_place_of_the_form(
    lived_in: Application, bob: Web, checks: Checks
) -> None:
    """A version whose tests fail is not offered: the page says what to do."""
    checks.change(failed=1, failures=("data.companyos.documents.test_eu says false.",))
    publish(lived_in.policies, ANN, CLOSED, "1.2.0")
    promote(lived_in, ANN, "1.2.0", "dev", reason="Broken.")
    answer = bob("GET", f"{HERE}?to=staging", headers=PAGE)
    said = text_of(answer)
    assert "Of companyos/documents@1.2.0 1 of 4 tests fail" in said
    assert "Mend that and publish a higher version." in said
    assert "data.companyos.documents.test_eu says false." in said
    assert "Nothing to replay" in said
    assert "There is nothing to replay: companyos/documents has decided nothing in staging so far." in said
    assert f"{HERE}/promotions" not in answer.text


@pytest.mark.parametrize(
    ("path", "status", "field"),
    [
        ("/policies?stage=prod", 400, "stage"),
        (f"{HERE}?to=live", 400, "to"),
        (f"{HERE}?cursor=nonsense", 400, "cursor"),
        (f"{HERE}?tab=all", 400, "tab"),
        ("/policies/shop/nothing", 404, None),
        ("/policies/Shop/nothing", 400, "bundle_id"),
        ("/policies/%3Cscript%3E/x", 400, "bundle_id"),
        ("/policies/decisions?audit=1", 400, "audit"),
    ],
)
def test_a_bad_address_gives_one_clear_problem(
    lived_in: Application, path: str, status: int, field: str | None
) -> None:
    """Never a 500, and the field at fault is named."""
    admin = Web(lived_in, lived_in.identity.issue_token(ADMIN, "eve", roles=["admin"]).secret)
    found = problem(admin("GET", path), status, "not-found" if status == 404 else "invalid-input")
    assert found["next_step"]
    assert found.get("field") == field


@pytest.mark.parametrize("path", ["/policies", HERE, f"{HERE}?to=prod", "/policies/companyos/platform"])
def test_pages_hold_nothing_that_runs_and_are_sent_once(bob: Web, path: str) -> None:
    """Nothing inline, and 304 for who has the page already."""
    answer = bob("GET", path, headers=PAGE)
    assert_harmless(answer.text)
    again = bob("GET", path, headers={**PAGE, "if-none-match": answer.headers["etag"]})
    assert again.status_code == 304
