"""Policies as a person sees them: the list, a bundle with its next promotion, and a decision that is looked up."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from companyos.core import access
from companyos.policy.errors import BundleRefused
from companyos.policy.model import Stage
from companyos.policy.promoting import Order
from companyos.policy.service import Policies
from tests.browser.conftest import ANA, Site, Visitor, serving
from tests.browser.test_tower_pages import CUT_OFF, RULES
from tests.needs import needs
from tests.policy.bundles import BUNDLE_ID
from tests.policy.log.lines import MASK, decision, fulfilment
from tests.policy.people import Checks, Decided, publish
from tests.tower.policies import ANN, CLOSED, HERE, bring_up

pytestmark = needs("chromium")

PATHS = {
    "list": "/policies",
    "bundle": HERE,
    "preview": f"{HERE}?to=prod",
    "blocked": "/policies/shop/billing?to=staging",
    "platform": "/policies/companyos/platform",
    "lookup": "/policies/decisions",
    "allowed": "/policies/decisions?id={allowed}",
    "denied": "/policies/decisions?id={denied}",
    "why": "/policies/decisions?id={why}",
}


@contextmanager
def lived_in(home: Path) -> Iterator[Site]:
    """Give a site with bundles in every state, and decisions."""
    decided, checks = Decided(), Checks()
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr("companyos.server.app.Policies", lambda journal, _: Policies(journal, decided, checks))
        with serving(home) as site:
            bring_up(site.app, decided)
            checks.change(failed=2, coverage_ratio=0.412, failures=("data.shop.billing.test_a_refund says false.",))
            publish(site.app.policies, ANN, CLOSED, "1.0.0", bundle_id="shop/billing")
            _fail_in_staging(site.app.policies, "shop/billing")
            yield site


def _fail_in_staging(policies: Policies, bundle_id: str) -> None:
    """Bring a bundle to dev, and let its activation in staging fail."""

    def order(stage: Stage) -> Order:
        return Order(bundle_id=bundle_id, version="1.0.0", stage=stage, reason="For review.")

    assert policies.promote(ANN, order("dev")).outcome == "promoted"
    sentence = f"The signature of {'x' * 60} does not hold."

    def refuse(*_: Any, **__: Any) -> None:
        raise BundleRefused("bad-signature", sentence, "Sign it again.")

    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(policies, "_ready", refuse)
        with pytest.raises(BundleRefused):
            policies.promote(ANN, order("staging"))


@pytest.fixture(scope="module")
def quiet(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    """Return a site for tests that change nothing."""
    with lived_in(tmp_path_factory.mktemp("policies") / "home") as site:
        yield site


@pytest.fixture(scope="module")
def paths(quiet: Site) -> dict[str, str]:
    """Return the addresses of all kinds of pages, with audit ids of decisions that are in the log."""
    allowed, denied = decision("ana", obligations=(MASK,)), decision("bea-with-a-name-" + "x" * 80, allow=False)
    ids = {name: json.loads(line)["audit_id"] for name, line in (("allowed", allowed), ("denied", denied))}
    ids["why"] = access.ask(ANA, "service.write", "service:checkout").audit_id or ""
    log = quiet.app.decision_log
    for line in (allowed, denied, fulfilment(ids["allowed"])):
        log.record(line)
    log.flush()
    return {name: path.format(**ids) for name, path in PATHS.items()}


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("name", PATHS)
def test_no_accessibility_fault(quiet: Site, visit: Visitor, paths: dict[str, str], name: str, scheme: str) -> None:
    """Axe finds nothing against WCAG 2.2 A and AA, with every fold open."""
    from axe_playwright_python.sync_playwright import Axe

    page = visit(quiet, paths[name], color_scheme=scheme)
    page.evaluate("for (const fold of document.querySelectorAll('main details')) fold.open = true")
    options = {"resultTypes": ["violations"], "runOnly": {"type": "tag", "values": RULES}}
    found = Axe().run(page, options=options).response["violations"]
    assert [(one["id"], [node["html"] for node in one["nodes"]][:3]) for one in found] == []


def test_nothing_is_wider_than_the_window(quiet: Site, visit: Visitor, paths: dict[str, str]) -> None:
    """Down to 320 px, with digests, long names and long sentences, nothing is cut off."""
    page = visit(quiet, "/policies")
    for path in paths.values():
        page.goto(quiet.url + path)
        page.evaluate("for (const fold of document.querySelectorAll('main details')) fold.open = true")
        for width in (320, 360, 768, 1440):
            page.set_viewport_size({"width": width, "height": 800})
            assert page.evaluate("document.documentElement.scrollWidth") <= width, (path, width)
            assert page.evaluate(CUT_OFF) == [], (path, width)


def test_a_promotion_without_javascript(tmp_path: Path, visit: Visitor) -> None:
    """From the list to the replay, to a decision and back; one tick is forgotten, nothing typed is lost; then made."""
    with lived_in(tmp_path / "home") as site:
        page = visit(site, "/policies", java_script_enabled=False)
        assert "The signature of" in page.locator(".verdict.down").inner_text()
        page.get_by_role("link", name=BUNDLE_ID, exact=True).click()
        page.get_by_role("link", name="What would 1.1.0 change in prod?").click()
        boxes = page.locator("input[name=acknowledged]")
        assert boxes.count() == 2
        boxes.first.check()
        page.get_by_label("Reason").fill("The transfer is wanted.")
        page.get_by_role("button", name="Promote 1.1.0 to prod").click()
        assert "does not go to prod, for 1 reason" in page.locator("#told").inner_text()
        assert (boxes.first.is_checked(), boxes.last.is_checked()) == (True, False)
        assert page.get_by_label("Reason").input_value() == "The transfer is wanted."
        boxes.last.check()
        page.get_by_role("button", name="Promote 1.1.0 to prod").click()
        assert "1.1.0 is active in prod." in page.locator("#told").inner_text()
        assert page.url.endswith("?done=prod")
        visit.faults.clear()  # the browser reports the 409 itself


def test_a_promotion_with_the_keyboard(tmp_path: Path, visit: Visitor) -> None:
    """Every control is reached and used with Tab, Space and Enter."""
    with lived_in(tmp_path / "home") as site:
        page = visit(site, f"{HERE}?to=prod")
        page.locator("input[name=acknowledged]").first.focus()
        page.keyboard.press("Space")
        page.locator("input[name=acknowledged]").last.focus()
        page.keyboard.press("Space")
        page.get_by_label("Reason").focus()
        page.keyboard.type("The transfer is wanted.")
        page.keyboard.press("Enter")
        page.locator("#told", has_text="1.1.0 is active in prod.").wait_for()


@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("light", {"viewport": {"width": 1440, "height": 1000}, "color_scheme": "light"}),
        ("dark", {"viewport": {"width": 1440, "height": 1000}, "color_scheme": "dark"}),
        ("phone", {"viewport": {"width": 320, "height": 800}, "color_scheme": "light"}),
    ],
)
def test_screenshots(
    quiet: Site, visit: Visitor, paths: dict[str, str], screenshots: Path, name: str, options: dict[str, Any]
) -> None:
    """Every page of policies in both themes and on a phone, for people to look at."""
    page = visit(quiet, "/policies", **options)
    for shot, path in paths.items():
        page.goto(quiet.url + path)
        page.screenshot(path=screenshots / f"policy-{shot}-{name}.png", full_page=True)
        assert (screenshots / f"policy-{shot}-{name}.png").stat().st_size > 10_000
