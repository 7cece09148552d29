// The Control Tower while it is open: rows, tiles and numbers that change, ages that tick, keys.
// Everything can be read, filtered and paged without this script. Fragments are HTML that the server has escaped.
"use strict";

(() => {
  const body = document.body;
  const root = document.documentElement;
  const POLL_MS = 30_000; // how often the page is asked for again while the stream is broken
  const OFFLINE_MS = 60_000; // after this long without an answer nothing on the page counts as current
  const GIVE_UP_MS = 10_000; // how long the stream may be silent at its start before polling begins
  const $ = (selector, from = document) => from.querySelector(selector);
  const $$ = (selector, from = document) => [...from.querySelectorAll(selector)];

  // --- ages ---------------------------------------------------------------------------------------------------------

  const age = (seconds) => {
    const s = Math.max(0, Math.floor(seconds));
    if (s < 60) return `${s} s`;
    if (s < 3600) return `${Math.floor(s / 60)} min`;
    if (s < 172_800) return `${Math.floor(s / 3600)} h`;
    return `${Math.floor(s / 86_400)} d`;
  };

  // The clock of this machine may be wrong, so ages are counted on the server's: its time at the last answer, plus
  // what has passed here since.
  let serverMs = Number((body.dataset.mark || body.dataset.at || "").split("-").pop()) || Date.now();
  let takenMs = performance.now();
  const now = () => serverMs + performance.now() - takenMs;
  const setClock = (ms) => {
    if (!ms) return;
    serverMs = ms;
    takenMs = performance.now();
  };

  const tick = () => {
    for (const time of $$("time[data-age]")) {
      const text = age((now() - Date.parse(time.dateTime)) / 1000);
      if (time.textContent !== text) time.textContent = text;
    }
    for (const row of $$("tr[data-lapses]")) if (Date.parse(row.dataset.lapses) <= now()) lapse(row);
  };

  // An observation that has grown old while no newer one came: the row says so by itself, also without a server.
  const lapse = (row) => {
    row.removeAttribute("data-lapses");
    const badge = $(".badge", row);
    badge.className = "badge stale";
    badge.replaceChildren(Object.assign(document.createElement("span"), { className: "glyph", textContent: "?" }), "Stale");
    $(".why", row).textContent = "The last observation is too old; nothing has been reported since.";
    const tile = tiles.get(row.dataset.name);
    if (!tile) return;
    tile.className = "tile stale";
    tile.textContent = "?";
    tile.setAttribute("aria-label", `${row.dataset.name}: Stale`);
  };

  // --- what changed -------------------------------------------------------------------------------------------------

  const tiles = new Map();
  const nameOf = (tile) => decodeURIComponent(tile.pathname.split("/").pop());
  const indexTiles = () => {
    tiles.clear();
    for (const tile of $$("a.tile")) tiles.set(nameOf(tile), tile);
  };
  // A tile that says the same on the other page stays the node that it is.
  const keepTiles = (part) => {
    for (const tile of $$("a.tile", part)) {
      const old = tiles.get(nameOf(tile));
      if (old?.className === tile.className && old.ariaLabel === tile.ariaLabel) tile.replaceWith(old);
    }
  };
  const element = (html) => {
    const template = document.createElement("template");
    template.innerHTML = html.trim();
    return template.content.firstElementChild;
  };
  const table = () => $("[data-rows]");
  const rowsByName = () => new Map($$("tr[data-name]").map((row) => [row.dataset.name, row]));

  // Takes the place of an element and keeps the focus that was inside it.
  const replace = (old, fresh) => {
    const focused = old.contains(document.activeElement);
    old.replaceWith(fresh);
    if (focused) (fresh.matches("a") ? fresh : $("a", fresh))?.focus({ preventScroll: true });
    return fresh;
  };

  const setNumbers = (counts) => {
    for (const [key, count] of Object.entries(counts)) {
      const number = $(`[data-count="${key}"]`);
      if (!number) continue;
      number.textContent = count.toLocaleString("en");
      number.parentElement.toggleAttribute("data-none", !count);
    }
  };

  const setTile = (name, html) => {
    const old = tiles.get(name);
    if (!old) return;
    const section = old.closest("[data-domain]");
    tiles.set(name, replace(old, element(html)));
    const all = $$("a.tile", section).length;
    const wrong = $$("a.tile:not(.ok)", section).length;
    $("h3 .dim", section).textContent = wrong ? `${wrong} of ${all}` : `${all}`;
  };

  // Rows that stay are the same nodes as before; only changed ones are replaced, new ones inserted, gone ones removed.
  const setRows = (fresh, order) => {
    const here = table();
    const known = rowsByName();
    for (const [name, html] of Object.entries(fresh)) {
      const row = element(html);
      row.dataset.fresh = "";
      known.set(name, known.has(name) ? replace(known.get(name), row) : row);
    }
    const keep = new Set(order);
    for (const [name, row] of known) if (!keep.has(name)) row.remove();
    let at = here.firstElementChild;
    for (const name of order) {
      const row = known.get(name);
      if (row === at) at = at.nextElementSibling;
      else if (row) here.insertBefore(row, at);
    }
  };

  // What is moving: only what differs is touched.
  const setMoving = (html) => {
    const old = $("#moving");
    if (html && old) morph(old, element(html));
  };

  const apply = (update) => {
    setClock(update.at);
    const service = $("[data-service]");
    if (service) {
      if (service.dataset.service in update.tiles) refetch();
      return;
    }
    setNumbers(update.counts);
    setMoving(update.moving);
    for (const [name, html] of Object.entries(update.tiles)) setTile(name, html);
    if (table() && update.order.length) setRows(update.rows, update.order);
    else if (Boolean(table()) !== Boolean(update.order.length)) refetch();
    tick();
  };

  // --- the page once more: at a change of structure, and instead of the stream while that is broken -------------------

  let etag = null;
  const refetch = async () => {
    let answer;
    try {
      answer = await fetch(location.href, { headers: { accept: "text/html", ...(etag && { "if-none-match": etag }) } });
    } catch {
      return; // The server does not answer; the clock of silence runs on.
    }
    if (answer.status === 401 || answer.redirected) return location.reload();
    if (answer.status === 304) return heard();
    if (!answer.ok) return;
    etag = answer.headers.get("etag");
    adopt(new DOMParser().parseFromString(await answer.text(), "text/html"));
    heard();
  };

  const settled = (html) => html.replaceAll(/(<time[^>]*>)[^<]*/g, "$1");
  const adopt = (page) => {
    setClock(Number((page.body.dataset.mark || "").split("-").pop()));
    const main = $("#main");
    if ($("[data-service]")) return morph(main, $("#main", page));
    const focused = document.activeElement;
    // Lists, because an element that is adopted leaves the other page.
    const [parts, others] = [main, $("#main", page)].map((one) => [...one.children]);
    const shape = (elements) => elements.map((element) => element.tagName + element.id).join();
    if (shape(parts) !== shape(others)) main.replaceChildren(...others);
    else for (const [index, part] of parts.entries()) {
      const other = others[index];
      // A form that a person is filling in is theirs.
      if (part.matches(".filters") || settled(part.outerHTML) === settled(other.outerHTML)) continue;
      const rows = $("[data-rows]", other);
      if (!rows || !$("[data-rows]", part)) {
        keepTiles(other);
        replace(part, other);
        continue;
      }
      const known = rowsByName();
      const changed = $$("tr[data-name]", rows).filter((row) => known.get(row.dataset.name)?.dataset.v !== row.dataset.v);
      setRows(Object.fromEntries(changed.map((row) => [row.dataset.name, row.outerHTML])), $$("tr[data-name]", rows).map((row) => row.dataset.name));
      replace($("header", part), $("header", other));
    }
    indexTiles();
    roam();
    tick();
    if (focused.isConnected && focused !== document.activeElement) focused.focus({ preventScroll: true });
  };

  // --- the stream ---------------------------------------------------------------------------------------------------

  let source = null;
  let poll = null;
  let heardMs = performance.now();
  let mark = body.dataset.mark;
  const live = $("#live");
  const show = (link, text) => {
    if (root.dataset.link === link) return;
    root.dataset.link = link;
    live.hidden = false;
    live.textContent = text;
    const banner = $("#offline");
    banner.hidden = link !== "offline";
    if (link === "offline") banner.textContent = "The server does not answer. What is shown here may no longer be true.";
  };
  const heard = () => { heardMs = performance.now(); };

  const open = () => {
    if (!body.dataset.stream || document.hidden || source) return;
    const address = new URL(body.dataset.stream, location.href);
    address.searchParams.set("since", mark);
    source = new EventSource(address);
    source.onopen = () => {
      heard();
      stopPolling();
      show("live", "live");
    };
    source.addEventListener("update", (event) => {
      heard();
      mark = event.lastEventId;
      apply(JSON.parse(event.data));
    });
    source.addEventListener("reload", (event) => {
      heard();
      mark = event.lastEventId;
      refetch();
    });
    source.onerror = () => {
      show("reconnecting", "reconnecting");
      startPolling();
      // A browser does not come back by itself after an answer that is no stream.
      if (source?.readyState === EventSource.CLOSED) { close(); setTimeout(open, 5000); }
    };
  };
  const close = () => {
    source?.close();
    source = null;
  };
  const startPolling = () => { poll ??= setInterval(refetch, POLL_MS); };
  const stopPolling = () => {
    clearInterval(poll);
    poll = null;
  };
  const watch = () => {
    if (source?.readyState === EventSource.OPEN) return heard();
    if (performance.now() - heardMs > GIVE_UP_MS) startPolling();
    if (performance.now() - heardMs > OFFLINE_MS) show("offline", "offline");
  };

  // --- keys ---------------------------------------------------------------------------------------------------------

  // The map is one stop for the Tab key; arrows move on it.
  const roam = () => {
    const all = $$(".fleet a.tile");
    for (const [index, tile] of all.entries()) tile.tabIndex = index ? -1 : 0;
  };
  const moveOnMap = (event, tile) => {
    const all = $$(".fleet a.tile");
    const here = tile.getBoundingClientRect();
    let next = null;
    if (event.key === "ArrowRight") next = all[all.indexOf(tile) + 1];
    if (event.key === "ArrowLeft") next = all[all.indexOf(tile) - 1];
    if (event.key === "ArrowDown" || event.key === "ArrowUp") {
      const down = event.key === "ArrowDown" ? 1 : -1;
      const far = (box) => (box.top - here.top) * down * 4 + Math.abs(box.left - here.left);
      next = all.map((other) => [other, other.getBoundingClientRect()])
        .filter(([, box]) => (box.top - here.top) * down > 12)
        .reduce((best, one) => (!best || far(one[1]) < far(best[1]) ? one : best), null)?.[0];
    }
    if (!next) return;
    event.preventDefault();
    tile.tabIndex = -1;
    next.tabIndex = 0;
    next.focus();
  };
  const moveInTable = (step) => {
    const links = $$("tbody th a");
    const at = links.findIndex((link) => link.closest("tr").contains(document.activeElement));
    links[Math.min(links.length - 1, Math.max(0, at + step))]?.focus();
  };

  document.addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    const target = event.target;
    if (target.matches("input, select, textarea")) {
      if (event.key === "Escape") target.blur();
      return;
    }
    if ($("dialog[open]")) return;
    if (target.matches(".fleet a.tile") && event.key.startsWith("Arrow")) return moveOnMap(event, target);
    const inTable = target.closest("tbody");
    if (event.key === "/") { event.preventDefault(); $(".search input[type=search]").focus(); }
    else if (event.key === "?") $("#keys").showModal();
    else if (event.key === "j" || (inTable && event.key === "ArrowDown")) { event.preventDefault(); moveInTable(1); }
    else if (event.key === "k" || (inTable && event.key === "ArrowUp")) { event.preventDefault(); moveInTable(-1); }
  });

  // --- theme: kept in a cookie that the server reads, so that a page never flashes in the other one --------------------

  const theme = $("#theme");
  const themes = { auto: "◐", light: "○", dark: "●" };
  const nameTheme = () => {
    theme.textContent = themes[root.dataset.theme];
    theme.title = `Theme: ${root.dataset.theme}`;
    theme.setAttribute("aria-label", theme.title);
  };
  theme.addEventListener("click", () => {
    const names = Object.keys(themes);
    root.dataset.theme = names[(names.indexOf(root.dataset.theme) + 1) % names.length];
    document.cookie = `companyos_theme=${root.dataset.theme}; path=/; max-age=31536000; samesite=lax`;
    nameTheme();
  });
  theme.hidden = false;
  nameTheme();
  $("#help").hidden = false;
  $("#help").addEventListener("click", () => $("#keys").showModal());

  // --- start --------------------------------------------------------------------------------------------------------

  indexTiles();
  roam();
  tick();
  setInterval(tick, 1000);
  if (live) {
    show("connecting", "connecting");
    open();
    setInterval(watch, 1000);
    // A note in the timeline of an incident changes no row, so this page also looks by itself.
    if ($("[data-service]")) setInterval(() => { if (!document.hidden) refetch(); }, POLL_MS);
    document.addEventListener("visibilitychange", () => {
      if (document.hidden) close();
      else { heard(); open(); }
    });
    addEventListener("pagehide", close);
    addEventListener("pageshow", (event) => { if (event.persisted) open(); });
  }
})();
