// What an accessibility checker looks at first, as a list of findings (empty = good).
() => {
  const found = [];
  const name = (e) =>
    (e.getAttribute("aria-label") || e.innerText || e.textContent || "").trim() ||
    [...e.querySelectorAll("img")].map((i) => i.alt).join("");
  const say = (what, e) => found.push(`${what}: ${e.outerHTML.slice(0, 160)}`);
  const hidden = (e) => e.closest("[aria-hidden=true], [hidden]") || !e.getClientRects().length;

  for (const tag of ["header", "nav", "main", "footer", "h1"]) {
    if (!document.querySelector(tag)) found.push(`no <${tag}>`);
  }
  for (const tag of ["main", "h1"]) {
    if (document.querySelectorAll(tag).length > 1) found.push(`more than one <${tag}>`);
  }
  if (!document.documentElement.lang) found.push("no language");
  if (!document.title.trim()) found.push("no title");

  const ids = [...document.querySelectorAll("[id]")].map((e) => e.id);
  for (const id of ids.filter((id, i) => ids.indexOf(id) !== i)) found.push(`id twice: ${id}`);
  for (const e of document.querySelectorAll("[aria-labelledby]")) {
    if (!document.getElementById(e.getAttribute("aria-labelledby"))) say("label is missing", e);
  }
  for (const e of document.querySelectorAll("img")) if (!e.hasAttribute("alt")) say("no alt", e);
  for (const e of document.querySelectorAll("svg")) {
    if (!hidden(e) && !(e.getAttribute("role") === "img" && e.getAttribute("aria-label"))) say("nameless picture", e);
  }
  for (const e of document.querySelectorAll("a[href], button")) {
    if (!hidden(e) && !name(e)) say("nameless control", e);
    if (e.closest("[aria-hidden=true]") && e.tabIndex >= 0) say("hidden but focusable", e);
  }
  for (const e of document.querySelectorAll("input:not([type=hidden]), select, meter, progress")) {
    if (!e.labels?.length && !e.getAttribute("aria-label")) say("no label", e);
  }
  let level = 0;
  for (const e of document.querySelectorAll("h1, h2, h3, h4")) {
    const next = Number(e.tagName[1]);
    if (next > level + 1) say("heading skips a level", e);
    level = next;
  }
  const navs = [...document.querySelectorAll("nav")].map((e) => e.getAttribute("aria-label"));
  if (new Set(navs).size !== navs.length || navs.includes(null)) found.push("navs are not told apart");

  // Contrast of all visible text against the nearest background colour (WCAG 2.2, 1.4.3).
  const parse = (text) => (text.match(/[\d.]+/g) || []).map(Number);
  const light = (rgb) => {
    const [r, g, b] = rgb.map((v) => (v /= 255) <= 0.04045 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4);
    return 0.2126 * r + 0.7152 * g + 0.0722 * b;
  };
  const behind = (e) => {
    for (; e; e = e.parentElement) {
      const [r, g, b, a = 1] = parse(getComputedStyle(e).backgroundColor);
      if (a === 1) return [r, g, b];
    }
    return [255, 255, 255];
  };
  const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  for (let node; (node = walker.nextNode()); ) {
    const e = node.parentElement;
    if (!node.textContent.trim() || !e.getClientRects().length || e.closest("title, svg, option, .unseen, meter, progress")) continue;
    const style = getComputedStyle(e);
    const [one, two] = [light(parse(style.color).slice(0, 3)), light(behind(e))].sort((a, b) => b - a);
    const size = parseFloat(style.fontSize);
    const large = size >= 24 || (size >= 18.66 && Number(style.fontWeight) >= 700);
    const ratio = (one + 0.05) / (two + 0.05);
    if (ratio < (large ? 3 : 4.5)) say(`contrast ${ratio.toFixed(2)}`, e);
  }
  return [...new Set(found)];
}
