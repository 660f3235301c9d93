// Calls in progress, thousands of them: only the rows in sight are in the document, rows wait while they are looked at.
import { all, data, mark, one, say, shape, text, write } from "./dom.js";
import { count } from "./format.js";
import { Calls, costOf, flagOf, keyOf, newRow, tickRow, writeRow } from "./rows.js";
import { serverNow, stream } from "./stream.js";

/** Rows beyond the edges, so that scrolling does not show gaps. */
const SPARE = 12;

const boot = data("boot");
const calls = new Calls();
const scroll = /** @type {HTMLElement} */ (one("#live-scroll"));
const table = /** @type {HTMLElement} */ (one("#live-calls"));
const body = /** @type {HTMLElement} */ (one("#live-calls tbody"));
const signal = /** @type {HTMLSelectElement | null} */ (one("[data-signal]"));
const search = /** @type {HTMLInputElement | null} */ (one("[data-search]"));
/** @type {{ by: string, down: boolean }} */
let order = { by: "age", down: true };
let flaggedOnly = false, holding = false, waiting = 0;
/** @type {import("./rows.js").Row[]} */
let shown = [];
/** @type {Map<string, HTMLElement>} */
const elements = new Map();
const before = gap(), after = gap();

function gap() {
  const tr = document.createElement("tr"), td = document.createElement("td");
  tr.className = "gap";
  tr.setAttribute("aria-hidden", "true");
  td.colSpan = 10;
  tr.append(td);
  return tr;
}

/** Space for rows that are not drawn. @param {HTMLElement} tr @param {number} height */
function room(tr, height) { if (tr.firstElementChild) /** @type {HTMLElement} */ (tr.firstElementChild).style.blockSize = `${height}px`; }

const rank = { breach: 2, watch: 1 };
/** @param {import("./rows.js").Row} row @param {number} now @returns {number | string} */
function sortKey(row, now) {
  switch (order.by) {
    case "age": return now - row.since;
    case "turns": return row.turns;
    case "response": return row.response_ms ?? -1;
    case "cost": return costOf(row, now) ?? -1;
    case "flag": { const flag = flagOf(row, now); return flag ? rank[/** @type {"breach" | "watch"} */ (flag.state)] * 1e9 + flag.n : 0; }
    case "agent": return row.agent.toLowerCase();
    case "caller": return row.caller;
    case "way": return row.way;
    default: return row.state;
  }
}

/** Chooses and orders; the rows in sight are written by `paint`. */
function arrange() {
  const now = serverNow(), words = (search?.value ?? "").trim().toLowerCase();
  let flagged = 0;
  const fitting = [];
  for (const row of calls.rows.values()) {
    const flag = flagOf(row, now);
    if (flag) flagged += 1;
    if (flaggedOnly && !flag) continue;
    if (signal?.value && flag?.key !== `flag-${signal.value}`) continue;
    if (words && !`${row.said} ${row.agent} ${row.caller} ${row.id}`.toLowerCase().includes(words)) continue;
    fitting.push(row);
  }
  const keyed = fitting.map((row) => ({ row, key: sortKey(row, now) }));
  const sign = order.down ? -1 : 1;
  keyed.sort((a, b) => (a.key < b.key ? -sign : a.key > b.key ? sign : a.row.since - b.row.since || (a.row.id < b.row.id ? -1 : 1)));
  shown = keyed.map((entry) => entry.row);
  waiting = 0;
  const total = calls.rows.size;
  write(one("[data-live-count]"), shown.length === total ? count(total) : text("count-of", { n: count(shown.length), total: count(total) }));
  write(one("[data-flag-count]"), count(flagged));
  one("[data-no-rows]")?.toggleAttribute("hidden", total > 0);
  one("[data-no-match]")?.toggleAttribute("hidden", total === 0 || shown.length > 0);
  paint();
}

/** Writes the rows in sight. */
function paint() {
  const now = serverNow();
  const height = elements.values().next().value?.offsetHeight || 34;
  const head = table.tHead?.offsetHeight ?? 34;
  const first = Math.max(0, Math.floor((scroll.scrollTop - head) / height) - SPARE);
  const last = Math.min(shown.length, Math.ceil((scroll.scrollTop + scroll.clientHeight) / height) + SPARE);
  const window = shown.slice(first, last);
  const keep = new Set(window.map(keyOf));
  for (const [key, tr] of elements) if (!keep.has(key) && !tr.contains(document.activeElement)) { tr.remove(); elements.delete(key); }
  room(before, first * height);
  room(after, (shown.length - last) * height);
  if (body.firstElementChild !== before) body.prepend(before);
  /** @type {Element} */
  let place = before;
  window.forEach((row, i) => {
    const key = keyOf(row);
    let tr = elements.get(key);
    if (!tr) { tr = newRow(); elements.set(key, tr); }
    writeRow(tr, row, now);
    mark(tr, "aria-rowindex", String(first + i + 2));
    if (place.nextElementSibling !== tr) place.after(tr);
    place = tr;
  });
  if (place.nextElementSibling !== after) place.after(after);
  mark(table, "aria-rowcount", String(shown.length + 1));
}

/** After a change: at once, or when nobody points at a row. */
function changed() {
  if (!holding) { arrange(); return; }
  // Rows that are looked at keep their place; what they say goes on.
  const now = serverNow();
  shown = shown.map((row) => calls.rows.get(keyOf(row)) ?? { ...row, state: "ended" });
  for (const row of shown) { const tr = elements.get(keyOf(row)); if (tr) writeRow(tr, row, now); }
  waiting += 1;
  const note = one("[data-waiting]");
  if (note) { note.hidden = false; write(note, text("rows-waiting", { n: waiting })); }
}

/** @param {boolean} hold */
function hold(hold) {
  if (holding === hold) return;
  holding = hold;
  one("[data-waiting]")?.setAttribute("hidden", "");
  if (!hold) arrange();
}

body.addEventListener("pointerenter", () => hold(true));
body.addEventListener("pointerleave", () => hold(body.contains(document.activeElement)));
body.addEventListener("focusin", () => hold(true));
body.addEventListener("focusout", (event) => hold(body.matches(":hover") || body.contains(/** @type {Node | null} */ (event.relatedTarget))));
scroll.addEventListener("scroll", () => requestAnimationFrame(paint), { passive: true });
new ResizeObserver(() => paint()).observe(scroll);
search?.addEventListener("input", arrange);

for (const button of all("[data-sort]", table)) {
  button.addEventListener("click", () => {
    const by = button.dataset.sort ?? "age";
    order = { by, down: order.by === by ? !order.down : ["age", "turns", "flag", "response", "cost"].includes(by) };
    for (const th of all("th[aria-sort]", table)) th.removeAttribute("aria-sort");
    button.closest("th")?.setAttribute("aria-sort", order.down ? "descending" : "ascending");
    arrange();
  });
}

const flagged = one("[data-flagged]");
flagged?.addEventListener("click", () => { flaggedOnly = !flaggedOnly; flagged.setAttribute("aria-pressed", String(flaggedOnly)); arrange(); });
signal?.addEventListener("change", () => { signal.classList.toggle("on", signal.value !== ""); arrange(); });
one("[data-clear]")?.addEventListener("click", () => { flaggedOnly = false; if (signal) signal.value = ""; flagged?.setAttribute("aria-pressed", "false"); if (search) search.value = ""; arrange(); });

// A link may ask for one signal: "and 14 more" on the wall does.
const wished = new URLSearchParams(location.search).get("signal");
if (signal && wished && [...signal.options].some((option) => option.value === wished)) { signal.value = wished; signal.classList.add("on"); }
for (const tr of all("tr[data-key]", body)) elements.set(tr.dataset.key ?? "", tr);
calls.take({ full: true, rows: boot.calls });
arrange();
const live = stream(boot.stream, { calls: (message) => { calls.take(message); changed(); } });

let beats = 0;
setInterval(() => {
  if (document.documentElement.classList.contains("stale")) return;
  const now = serverNow();
  for (const [key, tr] of elements) { const row = calls.rows.get(key); if (row) tickRow(tr, row, now); }
  // Flags appear by time alone; every few seconds the list follows them.
  if (++beats % 5 === 0 && !holding) arrange();
}, 1_000);

const pause = one("[data-pause]");
pause?.addEventListener("click", () => {
  const stop = pause.getAttribute("aria-pressed") !== "true";
  pause.setAttribute("aria-pressed", String(stop));
  write(pause.querySelector("span"), text(stop ? "resume" : "pause"));
  shape(pause.querySelector("use"), stop ? "play" : "pause");
  say(text(stop ? "pause" : "resume"), true);
  live.pause(stop);
});
