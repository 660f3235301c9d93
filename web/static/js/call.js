// A call in progress: the conversation grows turn by turn; when it ends the page becomes its story.
import { data, fill, mark, one, text, write } from "./dom.js";
import { count, duration } from "./format.js";
import { serverNow, stream } from "./stream.js";
import { shown, writeStrip, writeTalk } from "./talk.js";

/** After the end the analytics store needs a moment; then the page is loaded anew as the story of an ended call. */
const STORY_AFTER_MS = 1_500;

const boot = data("boot");
const list = /** @type {HTMLElement} */ (one("#turns"));
const strip = /** @type {SVGElement | null} */ (document.querySelector("[data-strip]"));
/** @type {import("./talk.js").Item[]} */
let items = boot.items;
let follow = true, ended = false;

/** @param {any} message */
function show(message) {
  // Gone from memory: it ended a while ago, its story is stored.
  if (message.gone) { finish(); return; }
  const row = message.row;
  if (message.from <= items.length) items = [...items.slice(0, message.from), ...message.turns];
  const running = row.state !== "ended";
  writeTalk(list, shown(items), boot.lang, running);
  writeStrip(strip, items, serverNow() - boot.opened_at);
  one("[data-no-turns]")?.toggleAttribute("hidden", items.length > 0);
  const state = one("[data-call-state]");
  mark(state, "data-s", row.state);
  if (state) fill(state, { word: text(`call-${row.state}`) });
  const turns = items.filter((item) => item.role === "agent" || item.role === "user" || item.role === "transfer_target").length;
  write(one("[data-talk]"), text("talk-turns", { n: count(turns) }));
  if (follow) toEnd();
  if (!running) finish();
}

function finish() {
  if (ended || !boot.live) return;
  ended = true;
  setTimeout(() => location.reload(), STORY_AFTER_MS);
}

function toEnd() {
  const end = one("[data-end]");
  if (end && end.getBoundingClientRect().bottom > innerHeight) end.scrollIntoView({ block: "end" });
}

const button = one("[data-follow]");
/** @param {boolean} on */
function setFollow(on) {
  follow = on;
  button?.setAttribute("aria-pressed", String(on));
  write(button?.querySelector("b") ?? null, text(on ? "follow-on" : "follow-off"));
  if (on) toEnd();
}
button?.addEventListener("click", () => setFollow(!follow));
// Whoever scrolls up wants to read.
addEventListener("wheel", (event) => { if (event.deltaY < 0 && follow) setFollow(false); }, { passive: true });

for (const child of list.children) {
  const place = /** @type {HTMLElement} */ (child);
  place.dataset.kind = place.classList.contains("turn") ? "turn" : place.classList.contains("tool") ? "tool" : "note";
}
writeTalk(list, shown(items), boot.lang, true);
stream(boot.stream, { call: show });
setInterval(() => {
  if (ended || document.documentElement.classList.contains("stale")) return;
  const lasts = serverNow() - boot.opened_at;
  write(one('[data-call-state] [data-f="age"]'), duration(lasts));
  write(one("[data-strip-end]"), duration(lasts));
  writeStrip(strip, items, lasts);
}, 1_000);
