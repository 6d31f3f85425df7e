// Keeps the numbers, the charts and the countdown moving while somebody looks. Without it the page is complete,
// only still.
(() => {
  const EVERY = 5000;
  const spaced = (n) => String(n).replace(/\B(?=(\d{3})+$)/g, "\u202f");

  const board = document.querySelector("[data-live]");
  const news = document.querySelector("[data-live-news]");
  let seen = null;

  async function refresh() {
    const response = await fetch(board.dataset.live, { headers: { Accept: "application/json" } });
    if (!response.ok) return;
    const now = await response.json();
    for (const place of board.querySelectorAll("[data-live-value]")) {
      const text = spaced(now[place.dataset.liveValue]);
      if (place.textContent !== text) {
        place.textContent = text;
        place.classList.remove("changed");
        void place.offsetWidth; // restarts the animation
        place.classList.add("changed");
      }
    }
    if (seen && (now.claims_today > seen.claims_today || now.gifts_today > seen.gifts_today)) {
      const link = document.createElement("a");
      link.href = location.pathname;
      link.textContent = "Show what is new";
      news.replaceChildren("Something just changed hands. ", link);
      news.hidden = false;
    }
    seen ??= now;
  }

  // Parts of the page that the server draws anew, taken over where they differ. Nothing is pulled
  // from under a cursor or a selection.
  const parts = document.querySelectorAll("[data-fresh]");
  async function redraw() {
    const response = await fetch(location.href, { headers: { Accept: "text/html" } });
    if (!response.ok) return;
    const page = new DOMParser().parseFromString(await response.text(), "text/html");
    const chosen = getSelection();
    for (const part of parts) {
      const next = page.querySelector(`[data-fresh="${part.dataset.fresh}"]`);
      if (!next || next.innerHTML === part.innerHTML || part.contains(document.activeElement)) continue;
      if (!chosen.isCollapsed && chosen.containsNode(part, true)) continue;
      part.replaceChildren(...next.childNodes);
    }
  }

  function count() {
    for (const place of document.querySelectorAll("[data-countdown]")) {
      const left = Math.max(0, Math.floor((new Date(place.dataset.countdown) - Date.now()) / 1000));
      const [h, m, s] = [Math.floor(left / 3600), Math.floor(left / 60) % 60, left % 60];
      place.textContent = h ? `${h} h ${m} min` : m ? `${m} min ${s} s` : `${s} s`;
    }
  }

  let timers = [];
  function run() {
    timers.forEach(clearInterval);
    timers = [];
    if (document.hidden) return;
    count();
    timers.push(setInterval(count, 1000));
    const repeat = (action) => setInterval(() => action().catch(() => {}), EVERY); // tries again
    if (board) {
      refresh().catch(() => {});
      timers.push(repeat(refresh));
    }
    if (parts.length) timers.push(repeat(redraw));
  }
  document.addEventListener("visibilitychange", run);
  run();
})();
