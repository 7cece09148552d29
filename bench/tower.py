"""How fast the Tower's landing page is made, how large it is, and what a live update costs in the browser."""

from __future__ import annotations

import asyncio
import gzip
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path

import httpx
import msgspec
import uvicorn
from sqlalchemy import event

from bench.harness import AtMost, Row, percentile
from companyos.core.access import Caller
from companyos.core.settings import Settings
from companyos.server.app import Application, create_app
from companyos.tower import store
from companyos.tower.assets import assets
from companyos.tower.model import IncidentMark, TowerRow
from tests.fleet import fleet
from tests.needs import chromium_path, missing

SERVICES = 2000
CHANGES = 10
_ADMIN = Caller(subject="system:bench", roles=frozenset({"admin"}))
_ORIGIN = "http://127.0.0.1:8700"


def run(scale: float) -> Iterator[Row]:
    """Rows for the server, the wire and, where Chromium is there, the browser."""
    times = max(20, round(200 * scale))
    with tempfile.TemporaryDirectory(prefix="companyos-bench-", ignore_cleanup_errors=True) as folder:
        settings = Settings(home=str(Path(folder) / "home"))
        app = create_app(settings)
        try:
            rows = fleet(SERVICES, datetime.now(UTC))
            _show(app, rows)
            yield from asyncio.run(_server(app, rows, times))
            if missing("chromium") is None:
                yield from _browser(app, rows, max(3, round(10 * scale)))
        finally:
            app.close()


async def _server(app: Application, rows: list[TowerRow], times: int) -> list[Row]:
    """The page as the whole server makes it: layers, token, query, template and gzip."""
    issued = app.identity.bootstrap_admin()
    assert issued is not None
    headers = {"authorization": f"Bearer {issued.secret}", "accept-encoding": "gzip"}
    queries: list[str] = []
    event.listen(app.journal.database.reader, "before_cursor_execute", lambda _c, _x, sql, *_: queries.append(sql))
    transport = httpx.ASGITransport(app)
    async with httpx.AsyncClient(transport=transport, base_url=_ORIGIN, headers=headers) as client:

        async def once(path: str) -> float:
            began = time.perf_counter()
            async with client.stream("GET", path) as answer:
                assert answer.status_code == 200
                async for _ in answer.aiter_raw():
                    pass
            return (time.perf_counter() - began) * 1000

        first = await once("/")
        queries.clear()
        await once("/")
        asked = len([sql for sql in queries if "tower_" in sql])
        landing = [await once("/") for _ in range(times)]
        table = [await once("/?view=table&sort=-seen&page=7") for _ in range(times)]
        written = []
        for number in range(times // 4):
            _show(app, [_burning(rows[number])])
            written.append(await once("/"))
        html = (await client.get("/")).content
    files = {name: gzip.compress(asset.content, 6) for name, asset in assets().items()}
    total_kb = (len(gzip.compress(html, 6)) + sum(map(len, files.values()))) / 1000
    note = f"{SERVICES:,} services, in process with token and gzip, {times} requests"
    return [
        _row("landing page, p95", percentile(landing, 0.95), "ms", AtMost(100), note, "Argo CD: 35 s at 8,000 apps"),
        _row("table page, sorted, p95", percentile(table, 0.95), "ms", AtMost(100), note),
        _row("landing page after a write, p95", percentile(written, 0.95), "ms", AtMost(100), note),
        _row("landing page, first of the process", first, "ms", None, note),
        _row("landing page with style and script", total_kb, "KB", AtMost(50), "gzip -6", "Backstage: 10 MB at 12,000"),
        _row("queries on the projection for a landing page", asked, "", AtMost(1), note),
    ]


def _browser(app: Application, rows: list[TowerRow], times: int) -> Iterator[Row]:
    """Ten rows that change on a table of a hundred: handling the event and laying the page out again."""
    from playwright.sync_api import sync_playwright

    link = f"/sign-in?code={app.identity.issue_login_code(_ADMIN).code}"
    samples = []
    with _listening(app) as url, sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium_path(), headless=True, args=["--no-sandbox"])
        page = browser.new_page(viewport={"width": 1440, "height": 900}, reduced_motion="reduce")
        page.add_init_script(_TIMED)
        page.goto(url + link)
        page.goto(url + "/?view=table&sort=name")
        page.locator("html[data-link=live]").wait_for()
        shown = sorted(rows, key=lambda row: row.name)[:100]
        for number in range(times):
            chosen = shown[:CHANGES]
            _show(app, chosen if number % 2 else [_burning(row) for row in chosen])
            page.wait_for_function(f"() => window.times.length > {number}")
        samples = page.evaluate("window.times")
        swap = page.evaluate(_SWAP, times)
        browser.close()
    yield _row(
        f"live update of {CHANGES} rows, median",
        percentile(samples, 0.5),
        "ms",
        AtMost(16),
        f"script and layout, 100 rows on the page, {times} updates",
        f"swapping the whole table: {percentile(swap, 0.5):.0f} ms",
    )


_TIMED = """
window.times = [];
const listen = EventSource.prototype.addEventListener;
EventSource.prototype.addEventListener = function (name, handler) {
  listen.call(this, name, (event) => {
    const began = performance.now();
    handler(event);
    document.body.offsetHeight;
    if (name === "update") window.times.push(performance.now() - began);
  });
};
"""
_SWAP = """(times) => {
  const table = document.querySelector("[data-rows]");
  const html = table.innerHTML;
  return Array.from({ length: times }, () => {
    const began = performance.now();
    table.innerHTML = html;
    document.body.offsetHeight;
    return performance.now() - began;
  });
}"""


@contextmanager
def _listening(app: Application) -> Iterator[str]:
    server = uvicorn.Server(uvicorn.Config(app, port=0, log_level="critical", lifespan="off"))
    thread = threading.Thread(target=server.run, daemon=True)
    thread.start()
    while not server.started:
        time.sleep(0.01)
    try:
        yield f"http://127.0.0.1:{server.servers[0].sockets[0].getsockname()[1]}"
    finally:
        app.streams.close_all()
        server.should_exit = True
        thread.join(10)


def _show(app: Application, rows: list[TowerRow]) -> None:
    """Put rows into the projection with the next revision, as the projector does."""
    with app.journal.database.write() as connection:
        cursor = store.lock_cursor(connection)
        store.replace(connection, [msgspec.structs.replace(row, revision=cursor.revision + 1) for row in rows])
        store.move_cursor(connection, store.Cursor(cursor.position, cursor.revision + 1))


def _burning(row: TowerRow) -> TowerRow:
    mark = IncidentMark(id="i", title="Slow", severity="sev2", opened_at=datetime.now(UTC))
    return msgspec.structs.replace(row, incidents=(mark,))


def _row(name: str, value: float, unit: str, target: AtMost | None, note: str, peer: str = "") -> Row:
    return Row(room="tower", name=name, value=value, unit=unit, target=target, note=note, peer=peer)
