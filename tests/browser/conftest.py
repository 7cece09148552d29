"""A real server with real sessions, and Debian's Chromium to look at it."""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec
import pytest
import uvicorn

from companyos.core.access import Caller
from companyos.core.settings import Settings
from companyos.ledger import open_journal
from companyos.server.app import Application, create_app
from companyos.tower import store
from companyos.tower.model import Removed, TowerRow
from companyos.tower.releases import Releases
from companyos.tower.service import Tower
from tests.needs import chromium_path
from tests.waiting import until

if TYPE_CHECKING:
    from playwright.sync_api import Browser, BrowserContext, Page

ANA = Caller(subject="user:ana", roles=frozenset({"admin"}))


class Site:
    """A running server, and a hand on its projection."""

    def __init__(self, settings: Settings, releases: Releases | None = None) -> None:
        """Start on a free port; ``releases`` takes the place of delivery."""
        self.journal = open_journal(settings)
        with pytest.MonkeyPatch.context() as patched:
            if releases is not None:
                patched.setattr("companyos.server.app.Tower", lambda journal, *_: Tower(journal, releases))
            self.app: Application = create_app(settings, journal=self.journal)
        self._server: uvicorn.Server | None = None
        self._thread: threading.Thread | None = None
        self.port = 0
        self.start()

    @property
    def url(self) -> str:
        """Where it listens."""
        return f"http://127.0.0.1:{self.port}"

    def start(self) -> None:
        """Listen, on the same port as before where there was one."""
        config = uvicorn.Config(self.app, host="127.0.0.1", port=self.port, log_level="critical", lifespan="off")
        self._server = uvicorn.Server(config)
        self._thread = threading.Thread(target=self._server.run, daemon=True)
        self._thread.start()
        until(lambda: self._server is not None and self._server.started, "the start of the server")
        self.port = self._server.servers[0].sockets[0].getsockname()[1]

    def stop(self) -> None:
        """Stop listening; open streams end."""
        assert self._server is not None
        assert self._thread is not None
        self.app.streams.close_all()
        self._server.should_exit = True
        self._thread.join(20)

    def show(self, *rows: TowerRow, gone: tuple[str, ...] = ()) -> None:
        """Put rows into the projection, as the projector would; the next revision is theirs."""
        with self.journal.database.write() as connection:
            cursor = store.lock_cursor(connection)
            revision = cursor.revision + 1
            store.replace(
                connection,
                [msgspec.structs.replace(row, revision=revision) for row in rows],
                [Removed(name, revision) for name in gone],
            )
            store.move_cursor(connection, store.Cursor(cursor.position, revision))

    def project(self) -> None:
        """Let the projector look once; the background loops of this server do not run."""
        Tower(self.journal).projector.advance()

    def sign_in_url(self) -> str:
        """A link that signs in once."""
        self.app.identity.bootstrap_admin()
        return f"{self.url}/sign-in?code={self.app.identity.issue_login_code(ANA).code}"

    def close(self) -> None:
        """Stop everything."""
        self.stop()
        self.app.close()


@contextmanager
def serving(home: Path, releases: Releases | None = None) -> Iterator[Site]:
    """Give a server without services."""
    site = Site(Settings(home=str(home), port=0), releases)
    try:
        yield site
    finally:
        site.close()


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Site]:
    """Return a server without services, for one test."""
    with serving(tmp_path / "home") as site:
        yield site


@pytest.fixture(scope="module")
def chromium() -> Iterator[Browser]:
    """Return a browser for the tests of one module.

    Not one for the session: as long as it is there, Playwright's event loop counts as running in this thread, and every
    other test that runs a loop of its own would fail.
    """
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium_path(), headless=True, args=["--no-sandbox"])
        yield browser
        browser.close()


class Visitor:
    """Opens pages of a site, signed in, and keeps every fault that the browser reports."""

    def __init__(self, browser: Browser) -> None:
        """Take the browser."""
        self._browser = browser
        self._contexts: list[BrowserContext] = []
        self.faults: list[str] = []

    def __call__(self, site: Site, path: str = "/", *, clock: bool = False, **options: Any) -> Page:
        """Return the page; ``options`` are those of a browser context. With ``clock`` the test moves its time."""
        settings: dict[str, Any] = {"viewport": {"width": 1280, "height": 900}, "reduced_motion": "reduce"}
        context = self._browser.new_context(**settings | options)
        self._contexts.append(context)
        page = context.new_page()
        if clock:
            page.clock.install()
        page.on("console", lambda message: self.faults.append(message.text) if message.type == "error" else None)
        page.on("pageerror", lambda fault: self.faults.append(str(fault)))
        page.goto(site.sign_in_url())
        page.goto(site.url + path)
        return page

    def leave(self) -> None:
        """Close every page."""
        for context in self._contexts:
            context.close()


@pytest.fixture
def visit(chromium: Browser) -> Iterator[Visitor]:
    """Return what opens pages; a fault in the console, a breach of the content security policy too, fails the test."""
    visitor = Visitor(chromium)
    yield visitor
    visitor.leave()
    assert visitor.faults == []


@pytest.fixture(scope="session")
def screenshots(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the folder for screenshots: that of the variable SCREENSHOTS, or a temporary one."""
    folder = Path(os.environ.get("SCREENSHOTS") or tmp_path_factory.mktemp("screenshots"))
    folder.mkdir(parents=True, exist_ok=True)
    return folder
