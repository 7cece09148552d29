"""What an open page does by itself: it follows changes, says when it cannot, and never looks fresher than it is."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import msgspec
import pytest

from companyos.tower.model import IncidentMark, TowerRow
from tests.browser.conftest import Site, Visitor
from tests.fleet import fleet
from tests.needs import needs
from tests.tower.rows import arm, fine

if TYPE_CHECKING:
    from playwright.sync_api import Page

pytestmark = needs("chromium")


def fresh(name: str, **values: Any) -> TowerRow:
    """A service that was seen running this minute."""
    now = datetime.now(UTC)
    return fine(name, observed_at=now, deployed_at=now, recorded_at=now, arms=(arm(seen=now, since=now),), **values)


def burning(row: TowerRow) -> TowerRow:
    """The service with an incident."""
    mark = IncidentMark(id="i", title="Slow", severity="sev2", opened_at=datetime.now(UTC))
    return msgspec.structs.replace(row, incidents=(mark,))


def live(page: Page) -> Page:
    """The page once its stream is open."""
    page.locator("html[data-link=live]").wait_for()
    return page


MARK = "for (const node of document.querySelectorAll('tr[data-name], a.tile, .stat')) node.wasHere = true"


def names_of_new(page: Page, selector: str) -> list[str]:
    """The elements that were not there when they were marked."""
    script = "nodes => nodes.filter(node => !node.wasHere).map(node => node.dataset.name || node.ariaLabel)"
    found: list[str] = page.locator(selector).evaluate_all(script)
    return found


def test_only_what_changed_is_replaced(site: Site, visit: Visitor) -> None:
    """Of a hundred rows one changes; the others are the very same nodes, and the strip counts anew."""
    rows = [fresh(f"service-{n:03}") for n in range(100)]
    site.show(*rows)
    page = live(visit(site, "/?view=table&sort=name"))
    page.evaluate(MARK)
    site.show(burning(rows[7]))
    page.locator("tr[data-name=service-007] .badge.burning").wait_for()
    assert names_of_new(page, "tr[data-name]") == ["service-007"]
    assert page.locator(".stat.burning b").inner_text() == "1"
    assert page.locator(".stat.ok b").inner_text() == "99"
    assert names_of_new(page, ".stat") == []


def test_a_tile_and_its_domain_follow(site: Site, visit: Visitor) -> None:
    """On the map one tile changes, and what is new comes into the list of what needs attention."""
    rows = [fresh(f"service-{n:03}") for n in range(60)]
    site.show(*rows)
    page = live(visit(site, "/"))
    assert page.locator("#attention-card table").count() == 0
    page.evaluate(MARK)
    site.show(burning(rows[3]))
    page.locator("a.tile.burning").wait_for()
    page.locator("tr[data-name=service-003]").wait_for()
    assert names_of_new(page, "a.tile") == ["service-003: Burning"]
    assert page.locator("[data-domain] h3 .dim").inner_text() == "1 of 60"


def test_the_worst_row_comes_first_while_one_looks(site: Site, visit: Visitor) -> None:
    """A row that gets worse moves up; focus stays where it was."""
    rows = [burning(fresh(f"service-{n}")) for n in range(4)]
    site.show(*rows)
    page = live(visit(site, "/"))
    page.locator("tr[data-name=service-2] .name").focus()
    worse = IncidentMark(id="j", title="Gone", severity="sev1", opened_at=datetime.now(UTC))
    site.show(msgspec.structs.replace(rows[1], incidents=(worse,)))
    page.locator("tbody tr:first-child[data-name=service-1] .badge.down").wait_for()
    assert page.evaluate("document.activeElement.textContent") == "service-2"


def test_a_first_service_appears_on_an_empty_page(site: Site, visit: Visitor) -> None:
    """As the page promises: without a reload by hand."""
    page = live(visit(site, "/"))
    site.show(fresh("checkout"))
    page.locator("a.tile[href='/services/checkout']").wait_for()
    assert page.locator("#empty").count() == 0


def test_services_that_come_and_go_change_the_map(site: Site, visit: Visitor) -> None:
    """A new domain gets its place, a removed service leaves."""
    site.show(fresh("checkout"), fresh("search"))
    page = live(visit(site, "/"))
    site.show(fresh("ledger", domain="finance"), gone=("search",))
    page.locator("[data-domain=finance] a.tile").wait_for()
    page.locator("a.tile[href='/services/search']").wait_for(state="detached")


def test_a_service_page_follows_its_service(site: Site, visit: Visitor) -> None:
    """Whoever looks at one service sees its state change."""
    from companyos.catalog import Catalog
    from companyos.operations import Operations
    from tests.browser.conftest import ANA

    Catalog(site.journal).add(ANA, "checkout", {})
    site.project()
    page = live(visit(site, "/services/checkout"))
    Operations(site.journal).place_hold(ANA, "service:checkout", reason="quarter-end freeze")
    site.project()
    page.locator(".verdict.held").wait_for()
    assert "quarter-end freeze" in page.locator(".says").inner_text()


def test_a_lost_server_is_said_and_found_again(site: Site, visit: Visitor) -> None:
    """Reconnecting at once; after a minute without an answer nothing is green; then live again, and caught up."""
    row = fresh("checkout")
    site.show(row)
    page = live(visit(site, "/", clock=True))
    site.stop()
    page.locator("html[data-link=reconnecting]").wait_for()
    green = page.locator(".stat.ok .glyph").evaluate("node => getComputedStyle(node).color")
    page.clock.run_for(61_000)
    page.locator("html[data-link=offline]").wait_for()
    assert page.locator("#offline").is_visible()
    assert page.locator(".stat.ok .glyph").evaluate("node => getComputedStyle(node).color") != green
    site.show(burning(row))
    site.app.streams.__init__()  # type: ignore[misc] # a server that starts again has a register of its own
    site.start()
    page.clock.resume()
    page.locator("html[data-link=live]").wait_for()
    page.locator("a.tile.burning").wait_for()
    assert page.locator("#offline").is_hidden()
    visit.faults.clear()  # the browser reports the refused connections itself


def test_an_observation_that_grows_old_turns_stale_by_itself(site: Site, visit: Visitor) -> None:
    """Also without a server: the row says Stale when its moment has come, and is never green after it."""
    now = datetime.now(UTC)
    old = now - timedelta(seconds=site.journal.settings.tower_stale_after_s - 300)
    site.show(fine("checkout", observed_at=old, arms=(arm(seen=old),)))
    page = live(visit(site, "/?view=table", clock=True))
    assert page.locator("tr .badge").inner_text().endswith("OK")
    page.route("**/*", lambda route: route.abort())
    page.clock.run_for(310_000)
    assert page.locator("tr .badge.stale").all_text_contents() == ["?Stale"]
    visit.faults.clear()  # the browser reports the requests that were cut off


def test_ages_tick(site: Site, visit: Visitor) -> None:
    """A page that stays open goes on saying how old its data is."""
    site.show(fresh("checkout"))
    page = live(visit(site, "/?view=table", clock=True))
    seen = page.locator("tr[data-name=checkout] td:last-child time")
    assert seen.inner_text().endswith(" s")
    page.clock.run_for(180_000)
    assert seen.inner_text() in {"3 min", "2 min"}


def test_without_a_stream_the_page_asks_every_half_minute(site: Site, visit: Visitor) -> None:
    """A proxy that breaks streams still lets the page follow; the table keeps the rows that did not change."""
    rows = [fresh(f"service-{n}") for n in range(5)]
    site.show(*rows)
    page = visit(site, "/sign-in", clock=True)
    page.route("**/events*", lambda route: route.fulfill(status=502, body="no"))
    page.goto(site.url + "/?view=table&sort=name")
    page.locator("html[data-link=reconnecting]").wait_for()
    page.evaluate(MARK)
    site.show(burning(rows[2]))
    page.clock.run_for(31_000)
    page.locator("tr[data-name=service-2] .badge.burning").wait_for()
    assert names_of_new(page, "tr[data-name]") == ["service-2"]
    assert page.locator(".stat.burning b").inner_text() == "1"
    visit.faults.clear()  # the browser reports the 502 itself


def test_a_hidden_page_rests(site: Site, visit: Visitor) -> None:
    """In the background it holds no stream; when it comes back it catches up."""
    row = fresh("checkout")
    site.show(row)
    page = live(visit(site, "/"))
    hide = "hidden => { Object.defineProperty(document, 'hidden', {value: hidden, configurable: true});"
    page.evaluate(f"{hide} document.dispatchEvent(new Event('visibilitychange')) }}", True)
    page.wait_for_function("() => performance.now() > 0")
    site.show(burning(row))
    page.evaluate(f"{hide} document.dispatchEvent(new Event('visibilitychange')) }}", False)
    page.locator("a.tile.burning").wait_for()


@pytest.mark.parametrize("changes", [10])
def test_many_changes_come_as_one_update(site: Site, visit: Visitor, changes: int) -> None:
    """Ten writes within a look of the poller make one event, not ten."""
    rows = fleet(200, datetime.now(UTC))
    site.show(*rows)
    page = live(visit(site, "/"))
    page.evaluate(
        "() => { window.updates = 0; new MutationObserver(() => window.updates++)"
        ".observe(document.querySelector('.strip'), {subtree: true, characterData: true, childList: true}) }"
    )
    fine_ones = [row for row in rows if not row.incidents and not row.holds][:changes]
    site.show(*(burning(row) for row in fine_ones))
    expected = str(int(page.locator(".stat.burning b").inner_text()) + changes)
    page.locator(".stat.burning b", has_text=expected).wait_for()
    assert page.evaluate("window.updates") <= 2
