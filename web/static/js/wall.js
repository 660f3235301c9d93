// The wallboard: figures, calls, alerts and charts that follow the stream; television mode.
import { alertsOf, writeAlerts } from "./alerts.js";
import { offeredChart } from "./chart.js";
import { all, data, fill, mark, one, say, shape, stamp, text, write } from "./dom.js";
import { DASH, clock, count, decimal, duration, minute, money, tileValue } from "./format.js";
import { Calls, costOf, newRow, tickRow, writeRow } from "./rows.js";
import { draw } from "./spark.js";
import { serverNow, stream } from "./stream.js";
import { startTv } from "./tv.js";

const boot = data("boot");
const calls = new Calls();
/** @type {any} */
let board = boot.board;
/** @type {Map<string, string>} */
const lastStates = new Map();
const chart = offeredChart(one("[data-chart]"), one("#offered-table"));

/** @param {any} next */
function showBoard(next) {
  // A new day: every figure begins anew, and so does every way to the calls behind it.
  if (next.from > board.from && next.day_start > board.day_start) { location.reload(); return; }
  board = next;
  showNow();
  for (const tile of board.tiles) showTile(tile);
  showMix();
  showAgents();
  showCapacity();
  chart?.show(board);
  write(one("[data-per]"), text("per-interval", { n: board.interval_ms / 60_000 }));
  showAlerts();
  one("[data-first-use]")?.toggleAttribute("hidden", board.offered.total > 0);
}

function showNow() {
  const now = board.now, load = now.concurrency, block = one('[data-now="calls"]');
  if (!block) return;
  fill(block, { number: count(now.in_progress), limit: load.limit ? text("limit", { n: count(load.limit) }) : "" });
  const whole = Math.max(load.limit ?? 0, now.in_progress, 1);
  let x = 0;
  for (const key of ["inbound", "outbound", "web", "other"]) {
    const n = now.by_direction[key], rect = block.querySelector(`rect[data-part="${key}"]`);
    if (!rect) continue;
    const width = (n * 100) / whole;
    mark(rect, "x", x.toFixed(2));
    mark(rect, "width", width.toFixed(2));
    x += width;
    write(block.querySelector(`[data-part-count="${key}"]`), count(n));
  }
  const o = board.offered;
  const pace = o.pace_per_hour === null ? "" : text("pace", { n: decimal(o.pace_per_hour, 0) });
  const rate = o.answer_rate === null ? "" : `${decimal(o.answer_rate * 100, 1)} %`;
  figure("offered", count(o.total), "", pace, o.series);
  figure("answered", count(o.answered), rate, text("blocked", { n: count(o.blocked) }), o.answered_series);
  figure("spend", o.spend_cents === null ? DASH : money(o.spend_cents), "", inFlight(), o.spend_series);
  figure("person", count(now.by_state.with_person), text("now-word"), text("transfers-today", { n: count(o.transfers), total: count(o.transfers_bridged) }), []);
}

/** What the running calls have cost so far, by estimate. */
function inFlight() {
  const now = serverNow(), costs = [...calls.rows.values()].map((row) => costOf(row, now)).filter((cents) => cents !== null);
  return costs.length === 0 ? text("spend-note") : text("spend-flight", { value: money(costs.reduce((sum, cents) => sum + cents, 0)) });
}

/** The same rules as capacity.rs. */
function showCapacity() {
  const load = board.now.concurrency, o = board.offered, card = one("[data-capacity]");
  if (!card) return;
  const limited = load.limit !== null, share = load.share ?? 0, bar = card.querySelector("rect");
  fill(card, {
    used: limited ? text("capacity-used", { n: count(load.used), total: count(load.limit) }) : text("capacity-lines", { n: count(load.used) }),
    peak: load.peak_at === null ? count(load.peak) : text("capacity-peak-at", { n: count(load.peak), time: minute(load.peak_at) }),
    mean: load.mean === null ? DASH : decimal(load.mean, 1), "at-limit": load.at_limit_ms === null ? DASH : duration(load.at_limit_ms),
    blocked: text("capacity-blocked-of", { n: count(o.blocked), total: count(o.total) }), chats: count(board.now.chats),
  });
  card.querySelector("svg")?.toggleAttribute("hidden", !limited);
  card.querySelector("[data-no-limit]")?.toggleAttribute("hidden", limited);
  mark(bar, "width", Math.min(100, share * 100).toFixed(2));
  mark(bar, "class", `f-${share >= 1 ? "breach" : share >= 0.85 ? "watch" : "c1"}`);
}

/** @param {string} id @param {string} number @param {string} unit @param {string} sub @param {(number | null)[]} series */
function figure(id, number, unit, sub, series) {
  const place = one(`[data-figure="${id}"]`);
  if (!place) return;
  fill(place, { number, unit, sub });
  draw(place.querySelector(".spark"), series, null);
}

/** @param {any} tile */
function showTile(tile) {
  const place = one(`[data-tile="${tile.metric}"]`);
  if (!place) return;
  const { number, unit } = tileValue(tile);
  const state = tile.state === "no_data" ? "none" : tile.state;
  const settled = !tile.provisional || tile.value === null;
  fill(place, {
    number, unit, word: settled ? text(`state-${state}`) : text("provisional"),
    target: tile.target_words ? text("target", { words: tile.target_words }) : "", base: baseOf(tile),
  });
  place.querySelector('[data-f="number"]')?.classList.toggle("dash", number === DASH);
  mark(place, "data-s", state);
  mark(place.querySelector(".st"), "data-s", state);
  shape(place.querySelector(".st use"), state);
  draw(place.querySelector(".spark"), tile.trend, tile.target?.target);
  const before = lastStates.get(tile.metric);
  const name = place.querySelector(".lab")?.textContent ?? "";
  if (before && before !== state && (state === "breach" || before === "breach")) say(text("said-state", { name, total: text(`state-${state}`) }));
  lastStates.set(tile.metric, state);
}

/** @param {any} tile */
function baseOf(tile) {
  if (tile.denominator === null) return "";
  if (tile.unit === "share" && tile.numerator !== null) return `${count(Math.round(tile.numerator))} / ${count(Math.round(tile.denominator))}`;
  return text("n-equals", { n: count(Math.round(tile.denominator)) });
}

function showMix() {
  const list = one("[data-mix]");
  if (!list) return;
  write(one("[data-ended-total]"), text("ended-today", { n: count(board.ended.reduce((/** @type {number} */ sum, /** @type {any} */ c) => sum + c.count, 0)) }));
  for (const known of all("[data-class]", list)) {
    const found = board.ended.find((/** @type {any} */ c) => c.metric === known.dataset.class);
    known.hidden = !found;
    if (!found) continue;
    fill(known, { share: `${decimal(found.share * 100, 1)} %` });
    mark(known.querySelector("rect"), "width", Math.max(0.8, found.share * 100).toFixed(2));
  }
}

function showAgents() {
  const table = one("[data-agents] tbody");
  if (!table) return;
  const rows = board.agents.slice(0, agentsThatFit(table));
  one("[data-no-agents]")?.toggleAttribute("hidden", rows.length > 0);
  rows.forEach((/** @type {any} */ agent, /** @type {number} */ i) => {
    let row = /** @type {HTMLElement | undefined} */ (table.children[i]);
    if (!row) { row = stamp("agent"); table.append(row); }
    const link = row.querySelector("a");
    const asked = Object.entries({ ...boot.asked, agent: agent.agent ?? "" }).filter(([, value]) => value);
    mark(link, "href", `/calls?${new URLSearchParams([...asked, ["since", new Date(board.from).toISOString()], ["behind", "calls_offered"]])}`);
    write(link, agent.name || agent.agent || text("no-agent"));
    fill(row, { live: text("n-live", { n: count(agent.live) }), success: agent.success === null ? DASH : `${decimal(agent.success * 100, 0)} %`, aht: agent.aht_ms === null ? DASH : duration(agent.aht_ms) });
  });
  while (table.children.length > rows.length) table.lastElementChild?.remove();
}

function showAlerts() { writeAlerts(alertsOf(board, calls.longest(), serverNow(), boot.asked)); }

/** @param {HTMLElement} body */
function agentsThatFit(body) {
  const side = /** @type {HTMLElement | null} */ (body.closest(".side")), row = /** @type {HTMLElement | null} */ (body.querySelector("tr"));
  if (!side || !row || !document.documentElement.classList.contains("tv")) return boot.rows;
  const room = side.getBoundingClientRect().bottom - body.getBoundingClientRect().top;
  return Math.max(1, Math.floor((room - 2) / row.offsetHeight));
}

/** On a television no row is cut in half: as many as fit. */
function rowsThatFit() {
  const box = /** @type {HTMLElement | null} */ (one("#wall-calls")?.closest(".scroll") ?? null);
  if (!box || !document.documentElement.classList.contains("tv")) return boot.rows;
  const row = /** @type {HTMLElement | null} */ (one("#wall-calls tbody tr")), head = /** @type {HTMLElement | null} */ (one("#wall-calls thead"));
  return row && head ? Math.max(1, Math.floor((box.clientHeight - head.offsetHeight) / row.offsetHeight)) : boot.rows;
}

let holding = false, streaming = false;
/** Rows do not move under a pointer or a focus: the order waits. */
function showCalls() {
  const body = one("#wall-calls tbody");
  if (!body) return;
  const now = serverNow();
  const rows = calls.longest();
  write(one("[data-live-count]"), count(rows.length));
  one("[data-no-rows]")?.toggleAttribute("hidden", rows.length > 0);
  /** @type {Map<string, HTMLElement>} */
  const have = new Map(all("tr[data-key]", body).map((tr) => [tr.dataset.key ?? "", tr]));
  const room = rowsThatFit();
  const wanted = holding ? [...have.keys()].map((key) => calls.rows.get(key)).filter((row) => row !== undefined) : rows.slice(0, room);
  const keep = new Set(wanted.map((row) => `${row.kind}:${row.id}`));
  if (!holding) for (const [key, tr] of have) if (!keep.has(key)) tr.remove();
  wanted.forEach((row, i) => {
    const key = `${row.kind}:${row.id}`;
    let tr = have.get(key);
    if (!tr) { tr = newRow(); tr.classList.toggle("new", streaming); }
    writeRow(tr, row, now);
    if (!holding && body.children[i] !== tr) body.insertBefore(tr, body.children[i] ?? null);
  });
}

const table = one("#wall-calls");
table?.addEventListener("pointerenter", () => { holding = true; });
table?.addEventListener("pointerleave", () => { holding = false; showCalls(); });
table?.addEventListener("focusin", () => { holding = true; });
table?.addEventListener("focusout", () => { holding = table.matches(":hover"); });

const box = table?.closest(".scroll");
if (box) new ResizeObserver(() => showCalls()).observe(box);
void document.fonts.ready.then(() => showCalls());
calls.take({ full: true, rows: boot.calls });
showBoard(board);
showCalls();
const live = stream(boot.stream, {
  board: (message) => showBoard(message.board ?? message),
  calls: (message) => { streaming = !message.full; calls.take(message); showCalls(); showAlerts(); },
});

setInterval(() => {
  const now = serverNow();
  if (document.documentElement.classList.contains("stale")) return;
  for (const tr of all("#wall-calls tr[data-key]")) {
    const row = calls.rows.get(tr.dataset.key ?? "");
    if (row) tickRow(tr, row, now);
  }
  write(one("[data-clock]"), clock(now));
}, 1_000);

const pause = one("[data-pause]");
pause?.addEventListener("click", () => {
  const stop = pause.getAttribute("aria-pressed") !== "true";
  pause.setAttribute("aria-pressed", String(stop));
  write(pause.querySelector("span"), text(stop ? "resume" : "pause"));
  shape(pause.querySelector("use"), stop ? "play" : "pause");
  live.pause(stop);
});
startTv();
