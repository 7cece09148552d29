// Pages of releases while they are open: fetched again every second or two, as long as somebody looks.
// Everything can be read, filtered and asked for without this script.
"use strict";

(() => {
  const EVERY_MS = 1500;
  const OFFLINE_MS = 10_000; // after this long without an answer the page says that it may no longer be true
  const root = document.documentElement;
  const sign = document.getElementById("follow");
  const banner = document.getElementById("offline");
  const main = document.getElementById("main");

  let etag = null;
  let busy = false;
  let heardMs = performance.now();

  const show = (link) => {
    if (root.dataset.link === link) return;
    root.dataset.link = link;
    sign.hidden = false;
    sign.textContent = link;
    banner.hidden = link !== "offline";
    if (link === "offline") banner.textContent = "The server does not answer. What is shown here may no longer be true.";
  };

  const missed = () => { show(performance.now() - heardMs > OFFLINE_MS ? "offline" : "reconnecting"); };

  const look = async () => {
    if (busy || document.hidden) return;
    busy = true;
    try {
      const headers = { accept: "text/html", ...(etag && { "if-none-match": etag }) };
      const answer = await fetch(document.body.dataset.follows, { headers, signal: AbortSignal.timeout(OFFLINE_MS) });
      if (answer.status === 401 || answer.redirected) return location.reload();
      if (!answer.ok && answer.status !== 304) return missed();
      if (answer.ok) {
        etag = answer.headers.get("etag");
        morph(main, new DOMParser().parseFromString(await answer.text(), "text/html").getElementById("main"));
      }
      heardMs = performance.now();
      show("live");
    } catch {
      missed();
    } finally {
      busy = false;
    }
  };

  look();
  setInterval(look, EVERY_MS);
  document.addEventListener("visibilitychange", () => {
    if (document.hidden) return;
    heardMs = performance.now(); // A page that was hidden has not been left without an answer.
    look();
  });
})();
