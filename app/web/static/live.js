// Keeps the numbers and the countdown moving while somebody looks. Without it the page is complete,
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
    if (board) {
      const ask = () => refresh().catch(() => {}); // the next round tries again
      ask();
      timers.push(setInterval(ask, EVERY));
    }
  }
  document.addEventListener("visibilitychange", run);
  run();
})();
