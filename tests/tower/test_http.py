"""The pages over HTTP, through the whole server: layers, sessions and all."""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest

from companyos.catalog import Catalog
from companyos.core.access import Caller
from companyos.core.clock import ManualClock
from companyos.core.settings import Settings
from companyos.identity import IssuedToken
from companyos.server.app import Application, create_app
from companyos.tower import store
from companyos.tower.model import TowerRow
from companyos.tower.service import Tower
from tests.fleet import fleet
from tests.server.web import Web, problem
from tests.tower.test_render import Page

NOW = datetime(2026, 11, 22, 12, 0, tzinfo=UTC)
ANA = Caller(subject="user:ana", roles=frozenset({"admin"}))


@pytest.fixture
def clock() -> ManualClock:
    """Return the clock of the server."""
    return ManualClock(NOW)


@pytest.fixture
def app(tmp_path: Path, clock: ManualClock) -> Iterator[Application]:
    """Return a server with a fleet in its projection."""
    settings = Settings(home=str(tmp_path / "home"))
    app = create_app(settings, clock)
    with app.journal.database.write() as connection:
        store.replace(connection, fleet(250, NOW))
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


def test_the_landing_page_is_small_and_whole(admin: Web) -> None:
    """One page of HTML, compressed, that names its files by their content."""
    answer = admin("GET", "/", headers={"accept-encoding": "gzip"})
    assert answer.status_code == 200
    assert answer.headers["content-type"] == "text/html; charset=utf-8"
    assert answer.headers["content-encoding"] == "gzip"
    page = Page(answer.text)
    assert len([tag for tag, attributes in page.elements if "tile" in (attributes.get("class") or "").split()]) > 250
    for tag, attributes in page.elements:
        if tag in {"link", "script"}:
            path = attributes.get("href") or attributes.get("src") or ""
            asset = Web(admin.app)("GET", path)
            assert asset.status_code == 200
            assert asset.headers["cache-control"] == "public, max-age=31536000, immutable"


def test_every_link_of_the_pages_leads_somewhere(app: Application, admin: Web) -> None:
    """No dead links: each address of ours on each page answers."""
    catalog = Catalog(app.journal)
    catalog.add(ANA, "checkout", {"depends_on": ("payments",), "domain": "commerce"})
    catalog.add(ANA, "payments", {})
    Tower(app.journal).projector.rebuild(ANA)
    seen: set[str] = set()
    for start in ("/", "/?view=table", "/services/checkout", "/ledger"):
        for _tag, attributes in Page(admin("GET", start).text).elements:
            if (link := attributes.get("href")) and link.startswith("/"):
                seen.add(link.partition("#")[0])
    assert len(seen) > 20
    for link in sorted(seen):
        assert admin("GET", link).status_code == 200, link


def test_a_page_that_is_known_is_not_sent_again(admin: Web, clock: ManualClock, app: Application) -> None:
    """The same page gives 304; another minute, another filter, another row or another reader does not."""
    tag = admin("GET", "/").headers["etag"]
    asked = {"if-none-match": tag}
    same = admin("GET", "/", headers=asked)
    assert (same.status_code, same.content, same.headers["etag"]) == (304, b"", tag)
    assert admin("GET", "/?view=table", headers=asked).status_code == 200
    assert caller(app, "viewer")("GET", "/", headers=asked).status_code == 200
    with app.journal.database.write() as connection:
        store.replace(connection, [TowerRow(name="a0", revision=999)])
    assert admin("GET", "/", headers=asked).status_code == 200
    asked = {"if-none-match": admin("GET", "/").headers["etag"]}
    clock.advance(60)
    assert admin("GET", "/", headers=asked).status_code == 200


@pytest.mark.parametrize(
    ("path", "field"),
    [
        ("/?colour=red", "colour"),
        ("/?state=purple", "state"),
        ("/?page=0", "page"),
        ("/?page=99999999999999999999", "page"),
        ("/?sort=mood", "sort"),
        ("/?tier=a&tier=b", "tier"),
        ("/?q=%00", "q"),
        ("/?" + "&".join(f"a{n}=1" for n in range(60)), None),
        ("/?q=%FF%FE", None),
        ("/services/checkout?tab=all", "tab"),
        ("/services/Nope!", None),
        ("/services/%3Cscript%3E", None),
        ("/ledger?page=2", "page"),
        ("/ledger?cursor=nonsense", "cursor"),
        ("/ledger?service=NOPE", None),
        ("/events?since=yesterday", "since"),
        ("/events", "since"),
        ("/events?since=1-1&colour=red", "colour"),
    ],
)
def test_a_bad_address_gives_one_clear_problem(admin: Web, path: str, field: str | None) -> None:
    """Never a 500, and the field at fault is named."""
    found = problem(admin("GET", path), 400, "invalid-input")
    assert found["next_step"]
    if field:
        assert found["field"] == field


@pytest.mark.parametrize(
    "path", ["/services/unknown", "/static/../tower.js", "/static/tower.js", "/static/tower.000.css"]
)
def test_what_is_not_there_is_not_found(admin: Web, path: str) -> None:
    """Paths lead to what is listed and nowhere else."""
    problem(admin("GET", path), 404, "not-found")


@pytest.mark.parametrize(
    ("roles", "path", "status"),
    [
        ((), "/", 403),
        ((), "/services/a0", 403),
        ((), "/events?since=1-1", 403),
        ((), "/ledger", 403),
        (("viewer",), "/", 200),
        (("viewer",), "/ledger", 403),
        (("operator",), "/ledger", 200),
    ],
)
def test_pages_need_their_permission(app: Application, roles: tuple[str, ...], path: str, status: int) -> None:
    """Each page asks for its own action, also the stream."""
    assert caller(app, *roles)("GET", path).status_code == status


def test_the_navigation_shows_only_what_one_may_open(app: Application) -> None:
    """A viewer has no link to the ledger."""
    assert 'href="/ledger"' not in caller(app, "viewer")("GET", "/").text
    assert 'href="/ledger"' in caller(app, "operator")("GET", "/").text


def test_only_an_admin_rebuilds(app: Application, admin: Web) -> None:
    """Rebuilding drops rows of services that are not in the catalog, and says so."""
    problem(caller(app, "sre_lead")("POST", "/api/tower/rebuild"), 403, "denied")
    answer = admin("POST", "/api/tower/rebuild")
    assert answer.status_code == 200
    assert answer.json() == {"services": 0, "changed": 250, "position": answer.json()["position"]}


def test_a_page_asks_the_projection_once(app: Application, admin: Web) -> None:
    """One query on the Tower's table for a landing page, also for the first one of two thousand services."""
    from sqlalchemy import event

    statements: list[str] = []
    event.listen(
        app.journal.database.reader,
        "before_cursor_execute",
        lambda _c, _cursor, statement, *_: statements.append(statement),
    )
    for path in ("/", "/?view=table&page=2", "/?domain=commerce"):
        statements.clear()
        assert admin("GET", path).status_code == 200
        assert len([statement for statement in statements if "tower_" in statement]) == 1


def test_the_page_of_a_list_is_the_state_of_its_services(app: Application, admin: Web) -> None:
    """The number on the list and the word on the service page never differ."""
    catalog = Catalog(app.journal)
    for name in ("alpha", "beta"):
        catalog.add(ANA, name, {})
    Tower(app.journal).projector.rebuild(ANA)
    listed = dict(re.findall(r'aria-label="([a-z0-9-]+): ([^"]+)"', admin("GET", "/").text))
    assert set(listed) == {"alpha", "beta"}
    for name, label in listed.items():
        assert label in Page(admin("GET", f"/services/{name}").text).text


def test_the_theme_of_the_cookie_is_that_of_the_page(admin: Web) -> None:
    """An unknown one falls back to that of the system."""
    for cookie, theme in (("dark", "dark"), ("light", "light"), ("<b>", "auto")):
        admin.cookies["companyos_theme"] = cookie
        assert f'data-theme="{theme}"' in admin("GET", "/").text
