// A call in progress: the conversation grows turn by turn; when it ends the page becomes its story.
import { all, data, fill, mark, one, stamp, text, write } from "./dom.js";
import { DASH, clock, count, duration, latency, money } from "./format.js";
import { costOf, flagOf } from "./rows.js";
import { serverNow, stream } from "./stream.js";
import { responses, shown, writeStrip, writeTalk } from "./talk.js";

/** After the end the analytics store needs a moment; then the page is loaded anew as the story of an ended call. */
const STORY_AFTER_MS = 1_500;

const boot = data("boot");
const list = /** @type {HTMLElement} */ (one("#turns"));
const strip = /** @type {SVGElement | null} */ (document.querySelector("[data-strip]"));
/** @type {import("./talk.js").Item[]} */
let items = boot.items;
/** @type {import("./rows.js").Row} */
let row = boot.row;
let follow = true, ended = false, unread = 0;

const spoken = () => items.filter((item) => item.role === "agent" || item.role === "user" || item.role === "transfer_target").length;

/** @param {any} message */
function show(message) {
  // Gone from memory: it ended a while ago, its story is stored.
  if (message.gone) { finish(); return; }
  const before = spoken();
  row = message.row;
  if (message.from <= items.length) items = [...items.slice(0, message.from), ...message.turns];
  const running = row.state !== "ended";
  writeTalk(list, shown(items), boot.lang, running);
  writeStrip(strip, items, serverNow() - boot.opened_at);
  showLatency();
  showEvents(message);
  one("[data-no-turns]")?.toggleAttribute("hidden", items.length > 0);
  const state = one("[data-call-state]");
  mark(state, "data-s", row.state);
  if (state) fill(state, { word: text(`call-${row.state}`) });
  write(one("[data-talk]"), text("talk-turns", { n: count(spoken()) }));
  if (follow) toEnd(); else showUnread(unread + Math.max(0, spoken() - before));
  if (!running) finish();
}

function finish() {
  if (ended || !boot.live) return;
  ended = true;
  setTimeout(() => location.reload(), STORY_AFTER_MS);
}

/** What was received, as one line for each run of the same. @param {any} message */
function showEvents(message) {
  const place = one("[data-events]");
  if (!place) return;
  write(one("[data-events-count]"), text("events-count", { n: count(message.records), total: count(message.repeats) }));
  message.events.forEach((/** @type {any} */ run, /** @type {number} */ i) => {
    let line = /** @type {HTMLElement | undefined} */ (place.children[i]);
    if (!line) { line = stamp("event"); place.append(line); }
    const words = [
      run.n > 1 ? text("event-run", { n: run.n }) : "", run.repeats > 0 ? text("event-repeats", { n: run.repeats }) : "",
      run.revision ? text("event-revision") : "", run.unknown ? text("event-unknown") : "",
    ];
    const [at, name, note] = line.children;
    write(at, clock(run.at));
    write(name, run.event);
    write(note, words.filter(Boolean).join(", "));
  });
  while (place.children.length > message.events.length) place.lastElementChild?.remove();
}

/** Median and 95th percentile of the gaps so far; the same rule as detail.rs. */
function showLatency() {
  const place = one("[data-latency]"), gaps = responses(items).sort((a, b) => a - b);
  if (!place || gaps.length === 0) return;
  one("[data-no-latency]")?.setAttribute("hidden", "");
  let line = /** @type {HTMLElement | null} */ (place.firstElementChild);
  if (!line) { line = stamp("lat"); place.append(line); }
  const at = (/** @type {number} */ share) => gaps[Math.max(0, Math.ceil(gaps.length * share) - 1)];
  const p50 = at(0.5), p95 = at(0.95), most = Math.max(1, p95) * 1.08;
  const [, median, mark95] = line.querySelectorAll("rect");
  mark(median, "width", ((p50 / most) * 100).toFixed(1));
  mark(mark95, "x", ((p95 / most) * 100).toFixed(1));
  mark(line.querySelector("svg"), "aria-label", text("latency-words", { name: text("stage-e2e"), value: latency(p50), total: latency(p95) }));
  write(line.lastElementChild, latency(p50));
}

/** Cost and signals move by time alone. */
function showGlance() {
  const now = serverNow(), cost = costOf(row, now), flag = flagOf(row, now);
  write(one("[data-g=cost]"), cost === null ? DASH : text("about", { value: money(cost) }));
  write(one("[data-g=signals]"), flag ? text(flag.key, { n: flag.n }) : DASH);
}

const end = one("[data-end]");
function toEnd() { if (end && end.getBoundingClientRect().bottom > innerHeight) end.scrollIntoView({ block: "end" }); }

const button = one("[data-follow]"), fresh = one("[data-new-turns]");
/** @param {number} n */
function showUnread(n) {
  unread = n;
  if (!fresh) return;
  fresh.hidden = n === 0;
  write(fresh, text("new-turns", { n: count(n) }));
}

/** @param {boolean} on */
function setFollow(on) {
  if (follow === on) return;
  follow = on;
  mark(button, "aria-pressed", String(on));
  write(button?.querySelector("b") ?? null, text(on ? "follow-on" : "follow-off"));
  if (on) { showUnread(0); toEnd(); }
}
button?.addEventListener("click", () => setFollow(!follow));
fresh?.addEventListener("click", () => setFollow(true));
// Whoever scrolls up, by whatever means, wants to read; whoever comes back to the end wants to follow again.
let lastY = scrollY;
addEventListener("scroll", () => {
  const up = scrollY < lastY - 1, atEnd = end !== null && end.getBoundingClientRect().bottom <= innerHeight + 4;
  lastY = scrollY;
  if (up && !atEnd) setFollow(false);
  else if (!up && atEnd) setFollow(true);
}, { passive: true });

for (const child of all(":scope > *", list)) child.dataset.kind = child.classList.contains("turn") ? "turn" : child.classList.contains("tool") ? "tool" : "note";
writeTalk(list, shown(items), boot.lang, true);
showLatency();
stream(boot.stream, { call: show });
setInterval(() => {
  if (ended || document.documentElement.classList.contains("stale")) return;
  const lasts = serverNow() - boot.opened_at;
  write(one('[data-call-state] [data-f="age"]'), duration(lasts));
  write(one("[data-strip-end]"), duration(lasts));
  writeStrip(strip, items, lasts);
  showGlance();
}, 1_000);
