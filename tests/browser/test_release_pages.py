"""Releases as a person sees them: on the list, on their own page, on the service page and on the landing page."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec
import pytest
from sqlalchemy import Connection

from companyos.delivery.model import FINAL
from companyos.delivery.view import Detail, Summary
from companyos.operations import Operations
from tests.browser.conftest import ANA, Site, Visitor, serving
from tests.browser.test_tower_pages import CUT_OFF, RULES, furnish
from tests.needs import needs
from tests.tower.fake_delivery import FakeDelivery
from tests.tower.releases import ended, id_of, in_every_phase, summary, ticks
from tests.tower.rows import arm, fine

if TYPE_CHECKING:
    from playwright.sync_api import Page

pytestmark = needs("chromium")

BACK = 500
"""The number of a release of checkout that was rolled back."""
PATHS = {
    "releases": "/releases",
    "promoted": "/releases?outcome=promoted",
    "none": "/releases?service=nobody",
    "canary": f"/releases/{id_of(1)}",
    "held": f"/releases/{id_of(3)}",
    "back": f"/releases/{id_of(BACK)}",
    "service": "/services/checkout",
    "tower": "/",
}


class Street(FakeDelivery):
    """A delivery with twelve releases in flight, of which all but one are looked at, and some that have ended."""

    def __init__(self, count: int) -> None:
        """Make them."""
        now = datetime.now(UTC)
        super().__init__([*in_every_phase(now=now), *ended(count, now=now)], ticks(240, now=now))
        self.put(summary("checkout", "rolled_back", number=BACK, now=now, version="2.3.9"))

    def in_flight(self, *, connection: Connection | None = None) -> tuple[Summary, ...]:
        """Return those on their way as a controller keeps them that looks several times a second."""
        self._look()
        return super().in_flight(connection=connection)

    def detail_for_page(self, id: str, *, connection: Connection | None = None) -> Detail | None:
        """Return one of them, looked at just now."""
        self._look()
        return super().detail_for_page(id, connection=connection)

    def of_service(self, service: str, *, limit: int = 10, connection: Connection | None = None) -> tuple[Summary, ...]:
        """Return those of a service, looked at just now."""
        self._look()
        return super().of_service(service, limit=limit, connection=connection)

    def _look(self) -> None:
        now = datetime.now(UTC)
        for release in list(self.releases.values()):
            if release.service != "search" and release.state not in FINAL:
                self.put(msgspec.structs.replace(release, observed_at=now))


@pytest.fixture(scope="module")
def street(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    """Return a site with releases in every phase, for tests that change nothing."""
    with serving(tmp_path_factory.mktemp("street") / "home", Street(40)) as site:
        furnish(site, 50)
        incident = Operations(site.journal).open_incident(ANA, "service:checkout", title="Rolled back", severity="sev2")
        delivery: Any = site.app._tower._known  # noqa: SLF001 - the delivery that this test has put there
        delivery.put(
            summary(
                "checkout", "rolled_back", number=BACK, now=datetime.now(UTC), version="2.3.9", incident_id=incident.id
            )
        )
        site.project()
        yield site


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("path", PATHS.values(), ids=PATHS)
def test_no_accessibility_fault(street: Site, visit: Visitor, path: str, scheme: str) -> None:
    """Axe finds nothing against WCAG 2.2 A and AA, with every fold and every form open."""
    from axe_playwright_python.sync_playwright import Axe

    page = visit(street, path, color_scheme=scheme)
    page.evaluate("for (const fold of document.querySelectorAll('main details')) fold.open = true")
    options = {"resultTypes": ["violations"], "runOnly": {"type": "tag", "values": RULES}}
    found = Axe().run(page, options=options).response["violations"]
    assert [(one["id"], [node["html"] for node in one["nodes"]][:3]) for one in found] == []


@pytest.mark.parametrize("path", PATHS.values(), ids=PATHS)
def test_nothing_is_wider_than_the_window(street: Site, visit: Visitor, path: str) -> None:
    """Down to 320 px, with names of 39 characters and long sentences, nothing is cut off."""
    page = visit(street, path)
    page.evaluate("for (const fold of document.querySelectorAll('main details')) fold.open = true")
    for width in (320, 360, 768, 1440):
        page.set_viewport_size({"width": width, "height": 800})
        assert page.evaluate("document.documentElement.scrollWidth") <= width
        assert page.evaluate(CUT_OFF) == []


@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("light", {"viewport": {"width": 1440, "height": 1000}, "color_scheme": "light"}),
        ("dark", {"viewport": {"width": 1440, "height": 1000}, "color_scheme": "dark"}),
        ("phone", {"viewport": {"width": 360, "height": 800}, "color_scheme": "light"}),
    ],
)
def test_screenshots(street: Site, visit: Visitor, screenshots: Path, name: str, options: dict[str, Any]) -> None:
    """Every page with releases in both themes and on a phone, for people to look at."""
    page = visit(street, "/", **options)
    for shot, path in PATHS.items():
        page.goto(street.url + path)
        page.locator("html[data-link=live]").wait_for()
        if shot == "canary":
            page.locator("#ask-abort summary").click()
        page.screenshot(path=screenshots / f"release-{shot}-{name}.png")
        page.screenshot(path=screenshots / f"release-{shot}-{name}-whole.png", full_page=True)
        assert (screenshots / f"release-{shot}-{name}-whole.png").stat().st_size > 10_000


@pytest.fixture
def delivery() -> Street:
    """Return the delivery of the site below."""
    return Street(5)


@pytest.fixture
def busy(tmp_path: Path, delivery: Street) -> Iterator[Site]:
    """Return a site whose releases a test may change."""
    with serving(tmp_path / "home", delivery) as site:
        now = datetime.now(UTC)
        site.show(*(fine(name, observed_at=now, arms=(arm(seen=now),)) for name in ("checkout", "payments", "search")))
        yield site


def followed(page: Page) -> Page:
    """The page once it follows its releases."""
    page.locator("html[data-link=live]").wait_for()
    return page


def test_the_list_follows_without_a_reload(busy: Site, visit: Visitor, delivery: Street) -> None:
    """A new verdict and a new release appear; the cards that did not change are the very same nodes."""
    page = followed(visit(busy, "/releases"))
    page.evaluate("for (const card of document.querySelectorAll('article')) card.wasHere = true")
    now = datetime.now(UTC)
    delivery.put(
        summary("payments", "held", number=2, now=now, verdict="Held: the access log is lost."),
        summary("brand-new", "pending", number=600, now=now),
    )
    page.locator("article", has_text="the access log is lost").wait_for()
    page.locator("article", has_text="brand-new").wait_for()
    assert page.locator("article").evaluate_all("cards => cards.filter(card => !card.wasHere).length") == 1


def test_what_a_person_does_is_not_disturbed(busy: Site, visit: Visitor, delivery: Street) -> None:
    """An open form, a half-typed reason, the focus and an open fold survive each refresh."""
    page = followed(visit(busy, f"/releases/{id_of(1)}"))
    page.locator("#ask-abort summary").click()
    page.locator("#ask-abort input[name=reason]").type("p95 dou")
    page.locator("#changes details").first.evaluate("fold => { fold.open = true }")
    for verdict in ("Still healthy.", "Getting worse."):
        delivery.put(summary("checkout", number=1, now=datetime.now(UTC), verdict=verdict))
        page.locator("#verdict", has_text=verdict).wait_for()
    assert page.evaluate("document.activeElement.name") == "reason"
    page.keyboard.type("bled")
    assert page.locator("#ask-abort input[name=reason]").input_value() == "p95 doubled"
    assert page.locator("#changes details").first.evaluate("fold => fold.open")
    delivery.put(summary("checkout", "rolled_back", number=1, now=datetime.now(UTC)))
    page.locator("#verdict.down").wait_for()
    assert page.locator("#ask-abort input[name=reason]").input_value() == "p95 doubled"
    assert page.locator("#ask-hold").count() == 0


def test_a_release_is_aborted_with_the_keyboard(busy: Site, visit: Visitor, delivery: Street) -> None:
    """Open the step, type a reason, send it; the page says what was asked."""
    page = followed(visit(busy, f"/releases/{id_of(1)}"))
    page.locator("#ask-abort summary").focus()
    page.keyboard.press("Enter")
    page.keyboard.press("Tab")
    page.keyboard.type("p95 doubled")
    page.keyboard.press("Enter")
    page.locator("#told", has_text="You asked to abort this release.").wait_for()
    assert delivery.commands == [(id_of(1), "abort", "p95 doubled")]
    delivery.put(summary("checkout", number=1, now=datetime.now(UTC), verdict="On its way back."))
    page.locator("#verdict", has_text="On its way back.").wait_for()
    assert page.locator("#told").is_visible()


def test_everything_works_without_javascript(busy: Site, visit: Visitor, delivery: Street) -> None:
    """Filter, drill in, and hold a release, with links and forms alone."""
    page = visit(busy, "/releases", java_script_enabled=False)
    assert page.locator("#follow").is_hidden()
    assert page.locator("article").count() == 12
    page.locator("input[name=service]").fill("checkout")
    page.get_by_role("button", name="Filter").click()
    assert "service=checkout" in page.url
    page.locator("article h3 a").first.click()
    assert page.locator("h1").inner_text() == "checkout 2.4.0"
    page.locator("#ask-hold summary").click()
    page.locator("#ask-hold input[name=reason]").fill("waits for the audit")
    page.locator("#ask-hold button").click()
    assert "You asked to hold this release." in page.locator("#told").inner_text()
    assert delivery.commands == [(id_of(1), "hold", "waits for the audit")]


def test_a_command_needs_a_reason(busy: Site, visit: Visitor, delivery: Street) -> None:
    """The browser does not send the form without one."""
    page = followed(visit(busy, f"/releases/{id_of(1)}"))
    page.locator("#ask-promote summary").click()
    page.locator("#ask-promote button").click()
    assert page.locator("#ask-promote input:invalid").count() == 1
    assert delivery.commands == []


def test_the_landing_page_follows_what_is_moving(busy: Site, visit: Visitor, delivery: Street) -> None:
    """The strip and the row of the service change without a reload and keep the focus; at the end it goes."""
    page = followed(visit(busy, "/"))
    page.locator("#moving a.name").first.focus()
    before = page.evaluate("document.activeElement.id")
    delivery.put(summary("payments", "held", number=2, now=datetime.now(UTC), verdict="Held: no data at all."))
    page.locator("#moving li", has_text="no data at all").wait_for()
    assert page.evaluate("document.activeElement.id") == before
    delivery.releases.clear()
    page.locator("#moving").wait_for(state="hidden")
    page.locator("a.tile.ok[href='/services/checkout']").wait_for()


def test_a_hidden_list_asks_for_nothing(busy: Site, visit: Visitor, delivery: Street) -> None:
    """In the background it rests; when it comes back it looks at once."""
    page = followed(visit(busy, "/releases", clock=True))
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url))
    hide = "hidden => { Object.defineProperty(document, 'hidden', {value: hidden, configurable: true});"
    page.evaluate(f"{hide} document.dispatchEvent(new Event('visibilitychange')) }}", True)
    asked.clear()
    page.clock.run_for(30_000)
    assert asked == []
    delivery.put(summary("payments", "held", number=2, now=datetime.now(UTC), verdict="Held: changed meanwhile."))
    page.evaluate(f"{hide} document.dispatchEvent(new Event('visibilitychange')) }}", False)
    page.locator("article", has_text="changed meanwhile").wait_for()


def test_a_lost_server_is_said(busy: Site, visit: Visitor) -> None:
    """Reconnecting at once; after ten seconds the page says that it may not be true."""
    page = followed(visit(busy, "/releases", clock=True))
    page.route("**/releases*", lambda route: route.abort())
    page.clock.run_for(3_000)
    page.locator("html[data-link=reconnecting]").wait_for()
    page.clock.run_for(12_000)
    page.locator("html[data-link=offline]").wait_for()
    assert page.locator("#offline").is_visible()
    visit.faults.clear()  # the browser reports the refused requests itself


def test_the_service_page_follows_its_release(tmp_path: Path, visit: Visitor) -> None:
    """Who looks at one service sees the step and the verdict of its release change."""
    from companyos.catalog import Catalog

    delivery = Street(2)
    with serving(tmp_path / "home", delivery) as mine:
        Catalog(mine.journal).add(ANA, "checkout", {})
        mine.project()
        page = followed(visit(mine, "/services/checkout"))
        page.locator("#releases", has_text="Healthy so far").wait_for()
        delivery.put(summary("checkout", number=1, now=datetime.now(UTC), verdict="Getting worse."))
        page.locator("#releases", has_text="Getting worse.").wait_for()
        page.locator(".verdict.canary", has_text="Getting worse.").first.wait_for()
