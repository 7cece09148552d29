"""What a person sees: in both themes, on a phone, with a keyboard, without JavaScript."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from companyos.catalog import Catalog, Observed
from companyos.operations import Operations
from tests.browser.conftest import ANA, Site, Visitor, serving
from tests.fleet import fleet
from tests.needs import needs
from tests.tower.rows import fine

pytestmark = needs("chromium")

RULES = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa"]
PATHS = ["/", "/?view=table&sort=-name", "/?state=down&domain=nowhere", "/services/checkout", "/ledger"]


CUT_OFF = """() => [...document.querySelectorAll('main, main *')]
    .filter(node => node.scrollWidth > node.clientWidth + 1 && getComputedStyle(node).overflowX === 'clip')
    .map(node => node.outerHTML)"""
"""What is wider than its box and cut off there, where nobody can scroll to it."""


@pytest.fixture(scope="module")
def lived_in(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    """Return a site with fifty services and more, for tests that change nothing."""
    with serving(tmp_path_factory.mktemp("lived-in") / "home") as site:
        furnish(site, 50)
        yield site


def furnish(site: Site, services: int) -> None:
    """Give a site that many services in every state, and one that has a history."""
    catalog, operations = Catalog(site.journal), Operations(site.journal)
    catalog.put_team(ANA, "team-commerce", title="Commerce", oncall="rota-commerce")
    for name in ("payments", "storefront"):
        catalog.add(ANA, name, {"owner": "team-commerce", "domain": "commerce", "tier": "critical"})
    catalog.add(
        ANA,
        "checkout",
        {
            "description": "Takes a cart to a paid order. „Überweisung“ inbegriffen.",
            "owner": "team-commerce",
            "domain": "commerce",
            "tier": "critical",
            "regions": ["eu-west-1", "us-east-1"],
            "environments": ["production", "staging"],
            "depends_on": ["payments", "ghost"],
        },
    )
    catalog.update(ANA, "storefront", {"depends_on": ["checkout"]}, if_match='"1"')
    digest = "sha256:" + "4f1c" * 16
    for environment, arm, version, weight in (
        ("production", "stable", "2.3.1", 0.9),
        ("production", "canary", "2.4.0", 0.1),
        ("staging", "stable", "2.4.0", None),
    ):
        seen = Observed(environment=environment, arm=arm, digest=digest, version=version, weight_ratio=weight)  # type: ignore[arg-type] # one of the two arms
        catalog.record_deployment(ANA, "checkout", seen)
    operations.place_hold(
        ANA,
        "service:checkout",
        reason="CVE-2026-1187 in urllib3 is over the budget of the team",
        source="evidence",
        evidence={"scan": "sha256:9c1f0e2"},
    )
    incident = operations.open_incident(ANA, "service:checkout", title="Checkout answers 502", severity="sev2")
    operations.add_timeline(ANA, incident.id, "One in five requests fails; the canary carries them.")
    operations.change_incident(ANA, incident.id, severity="sev1", text="Payments are lost.")
    site.project()
    site.show(*fleet(services, datetime.now(UTC)))


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("path", PATHS)
def test_no_accessibility_fault(lived_in: Site, visit: Visitor, path: str, scheme: str) -> None:
    """Axe finds nothing against WCAG 2.2 A and AA on any page in either theme."""
    from axe_playwright_python.sync_playwright import Axe

    page = visit(lived_in, path, color_scheme=scheme)
    options = {"resultTypes": ["violations"], "runOnly": {"type": "tag", "values": RULES}}
    found = Axe().run(page, options=options).response["violations"]
    assert [(one["id"], [node["html"] for node in one["nodes"]][:3]) for one in found] == []


@pytest.mark.parametrize("path", PATHS)
def test_nothing_is_wider_than_the_window(lived_in: Site, visit: Visitor, path: str) -> None:
    """The page never scrolls sideways; wide tables scroll inside their card."""
    page = visit(lived_in, path)
    for width in (320, 360, 768, 1440):
        page.set_viewport_size({"width": width, "height": 800})
        assert page.evaluate("document.documentElement.scrollWidth") <= width
        assert page.evaluate(CUT_OFF) == []


def test_a_new_platform_says_how_to_begin(site: Site, visit: Visitor) -> None:
    """The empty page names the two commands."""
    page = visit(site, "/")
    commands = page.locator("pre code").all_inner_texts()
    assert [command.split()[:3] for command in commands] == [
        ["companyos", "service", "add"],
        ["companyos", "service", "import"],
    ]


def test_everything_can_be_done_with_the_keyboard(lived_in: Site, visit: Visitor) -> None:
    """Skip link, search, rows and a service, without a mouse."""
    page = visit(lived_in, "/")
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.textContent") == "Skip to content"
    page.keyboard.press("Enter")
    assert page.evaluate("document.activeElement.id") == "main"
    page.keyboard.press("/")
    page.keyboard.type("checkout")
    page.keyboard.press("Enter")
    page.wait_for_url("**/?view=table&q=checkout")
    page.keyboard.press("j")
    assert page.evaluate("document.activeElement.className") == "name"
    page.keyboard.press("j")
    page.keyboard.press("k")
    page.keyboard.press("Enter")
    page.wait_for_url("**/services/**")


def test_the_map_is_one_stop_of_the_tab_key(lived_in: Site, visit: Visitor) -> None:
    """Two thousand tiles must not stand between a keyboard and the end of the page; arrows move among them."""
    page = visit(lived_in, "/")
    assert page.locator("a.tile[tabindex='0']").count() == 1
    page.locator("a.tile").first.focus()
    page.keyboard.press("ArrowRight")
    assert page.evaluate("document.activeElement === document.querySelectorAll('a.tile')[1]")
    page.keyboard.press("ArrowDown")
    page.keyboard.press("ArrowUp")
    page.keyboard.press("ArrowLeft")
    assert page.evaluate("document.activeElement.matches('a.tile')")
    assert page.locator("a.tile[tabindex='0']").count() == 1


def test_keys_do_not_act_while_somebody_types(lived_in: Site, visit: Visitor) -> None:
    """A j in the search box is a letter."""
    page = visit(lived_in, "/")
    page.locator("input[type=search]").fill("j")
    page.keyboard.press("j")
    page.keyboard.press("?")
    assert page.locator("input[type=search]").input_value() == "jj?"
    assert not page.locator("dialog").is_visible()


def test_the_list_of_keys_opens_and_closes(lived_in: Site, visit: Visitor) -> None:
    """The question mark shows them, Escape hides them."""
    page = visit(lived_in, "/")
    page.keyboard.press("?")
    assert page.locator("dialog").is_visible()
    page.keyboard.press("Escape")
    assert not page.locator("dialog").is_visible()


def test_everything_can_be_read_without_javascript(lived_in: Site, visit: Visitor) -> None:
    """Filter, sort, page and drill in are links and forms."""
    page = visit(lived_in, "/", java_script_enabled=False)
    assert page.locator("#live").is_hidden()
    assert page.locator("#theme").is_hidden()
    page.locator(".stat.stale").click()
    assert "state=stale" in page.url
    rows = page.locator("tbody tr")
    assert rows.count() == int(page.locator(".stat.stale b").inner_text())
    page.get_by_role("link", name="Service", exact=True).click()
    names = page.locator("tbody .name").all_inner_texts()
    assert names == sorted(names)
    page.locator("select[name=domain]").select_option("commerce")
    page.get_by_role("button", name="Filter").click()
    assert "domain=commerce" in page.url
    page.goto(page.url.partition("?")[0])
    page.get_by_role("searchbox").fill("checkout")
    page.get_by_role("searchbox").press("Enter")
    page.get_by_role("rowheader").get_by_role("link", name="checkout", exact=True).click()
    assert page.locator("h1").inner_text() == "checkout"


def test_the_theme_is_chosen_and_kept(lived_in: Site, visit: Visitor) -> None:
    """A page in the chosen theme comes from the server, so that it never flashes in the other one."""
    page = visit(lived_in, "/", color_scheme="light")
    button = page.locator("#theme")
    button.click()
    button.click()
    assert page.locator("html").get_attribute("data-theme") == "dark"
    dark = page.evaluate("getComputedStyle(document.body.parentElement).backgroundColor")
    page.goto(page.url, wait_until="commit")
    assert page.locator("html").get_attribute("data-theme") == "dark"
    assert page.evaluate("getComputedStyle(document.body.parentElement).backgroundColor") == dark


def test_a_bad_filter_gives_a_page_that_says_so(site: Site, visit: Visitor) -> None:
    """A person sees a sentence and a way back, not a stack trace or raw JSON."""
    page = visit(site, "/")
    answer = page.goto(site.url + "/?colour=red")
    assert answer is not None
    assert answer.status == 400
    assert "colour" in page.locator("main").inner_text()
    visit.faults.clear()  # the browser reports the 400 itself


def test_signing_out_ends_the_session(lived_in: Site, visit: Visitor) -> None:
    """The form carries the token of the session; afterwards the page asks to sign in."""
    page = visit(lived_in, "/")
    page.get_by_role("button", name="Sign out").click()
    page.goto(lived_in.url + "/")
    assert "/sign-in" in page.url


def test_the_tooltip_of_a_tile_shows_on_focus(lived_in: Site, visit: Visitor) -> None:
    """Name and state of a tile can be read without hearing them."""
    page = visit(lived_in, "/")
    page.locator("a.tile").first.focus()
    page.keyboard.press("ArrowRight")
    shown = page.evaluate("getComputedStyle(document.activeElement, '::after').content")
    assert shown.strip('"') == page.evaluate("document.activeElement.getAttribute('aria-label')")


@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("light", {"viewport": {"width": 1440, "height": 1000}, "color_scheme": "light"}),
        ("dark", {"viewport": {"width": 1440, "height": 1000}, "color_scheme": "dark"}),
        ("phone", {"viewport": {"width": 360, "height": 800}, "color_scheme": "light"}),
    ],
)
def test_screenshots(site: Site, visit: Visitor, screenshots: Path, name: str, options: dict[str, Any]) -> None:
    """Every page in both themes and on a phone, for people to look at: on two thousand services."""
    page = visit(site, "/", **options)
    page.locator("html[data-link=live]").wait_for()
    page.screenshot(path=screenshots / f"empty-{name}.png")
    furnish(site, 2000)
    page.reload()
    page.locator("html[data-link=live]").wait_for()
    for shot, path in (
        ("tower", "/"),
        ("table", "/?view=table"),
        ("service", "/services/checkout"),
        ("ledger", "/ledger"),
    ):
        page.goto(site.url + path)
        page.screenshot(path=screenshots / f"{shot}-{name}.png")
        page.screenshot(path=screenshots / f"{shot}-{name}-whole.png", full_page=True)
        assert (screenshots / f"{shot}-{name}-whole.png").stat().st_size > 10_000


def test_a_hostile_name_is_shown_as_it_is(site: Site, visit: Visitor) -> None:
    """Nothing in a row runs, on load or in a live update."""
    text = '"><img src=x onerror="document.title=1">'
    site.show(fine(owner=text, domain=text), fine("other", tier=text))
    page = visit(site, "/?view=table")
    page.locator("html[data-link=live]").wait_for()
    site.show(fine(owner=text, domain=text, tier=text))
    page.locator("tr[data-name=checkout] td:nth-child(5) .under", has_text="onerror").wait_for()
    assert page.locator("img").count() == 0
    assert page.title() == "Services · CompanyOS"
