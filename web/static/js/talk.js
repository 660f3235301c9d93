// A transcript as people read it: turns, tools with their results, notes; the same rules as pages/talk.rs.
import { fill, mark, stamp, text } from "./dom.js";
import { decimal, duration } from "./format.js";

const SILENCE_MS = 3_000, SLOW_MS = 1_500, STRIP = 1000;
const SPEAKS = new Set(["agent", "user", "transfer_target"]);

/**
 * @typedef {{ role: string, role_raw?: string, content: string, start_ms: number | null, end_ms: number | null, tool?: string, tool_call_id?: string, successful?: boolean }} Item
 * @typedef {{ kind: "turn" | "tool" | "note", role: string, index: number, at: string, who: string, text: string, result: string, gap: string, slow: boolean, failed: boolean }} Shown
 */

/** @param {string} value */
function payload(value) {
  try {
    const parsed = JSON.parse(value);
    return parsed !== null && typeof parsed === "object" ? JSON.stringify(parsed, null, 2) : value;
  } catch { return value; }
}

/** @param {Item[]} items @returns {Shown[]} */
export function shown(items) {
  const results = new Map(items.filter((item) => item.role === "tool_result" && item.tool_call_id).map((item) => [item.tool_call_id, item]));
  const called = new Set(items.filter((item) => item.role === "tool_call").map((item) => item.tool_call_id));
  /** @type {Shown[]} */
  const out = [];
  /** @type {{ role: string, end: number } | null} */
  let heard = null;
  items.forEach((item, index) => {
    const at = item.start_ms === null || item.start_ms === undefined ? "" : duration(item.start_ms);
    const plain = { role: item.role, index, at, who: "", text: "", result: "", gap: "", slow: false, failed: false };
    if (SPEAKS.has(item.role) || item.role === "injected" || item.role === "other") {
      const silent = heard && typeof item.start_ms === "number" ? item.start_ms - heard.end : null;
      const speaks = SPEAKS.has(item.role);
      if (silent !== null && silent >= SILENCE_MS && speaks) out.push({ ...plain, kind: "note", role: "silence", at: "", text: text("silence", { n: Math.floor(silent / 1000) }) });
      const waited = heard?.role === "user" && item.role === "agent" && silent !== null && silent >= 0 ? silent : null;
      out.push({ ...plain, kind: "turn", who: item.role_raw ?? text(`who-${item.role}`), text: item.content, gap: waited === null ? "" : `${decimal(waited / 1000, 1)} s`, slow: waited !== null && waited >= SLOW_MS });
      if (speaks && typeof item.end_ms === "number") heard = { role: item.role, end: item.end_ms };
    } else if (item.role === "tool_call") {
      const result = results.get(item.tool_call_id);
      out.push({ ...plain, kind: "tool", who: item.tool ?? "", text: payload(item.content), result: result ? payload(result.content) : "", failed: result?.successful === false });
    } else if (item.role === "tool_result") {
      if (!called.has(item.tool_call_id)) out.push({ ...plain, kind: "tool", who: item.tool ?? "→", result: payload(item.content), failed: item.successful === false });
    } else {
      out.push({ ...plain, kind: "note", text: text(item.role === "node" ? "tool-step" : item.role === "dtmf" ? "tool-key" : "tool-sms", { name: item.content }) });
    }
  });
  return out;
}

/** Brings the list in step with the transcript: entries are changed in place, so that reading and selecting go on. @param {HTMLElement} list @param {Shown[]} entries @param {string} lang @param {boolean} growing */
export function writeTalk(list, entries, lang, growing) {
  const last = entries.findLastIndex((entry) => entry.kind === "turn");
  entries.forEach((entry, i) => {
    let place = /** @type {HTMLElement | undefined} */ (list.children[i]);
    if (!place || place.dataset.kind !== entry.kind) {
      const made = stamp(entry.kind);
      made.dataset.kind = entry.kind;
      if (place) place.replaceWith(made); else list.append(made);
      place = made;
    }
    place.dataset.i = String(entry.index);
    if (entry.kind === "turn") {
      mark(place, "data-r", entry.role);
      fill(place, { at: entry.at, who: entry.who, text: entry.text, lat: entry.gap });
      mark(place.querySelector('[data-f="text"]'), "lang", lang || null);
      place.querySelector('[data-f="lat"]')?.classList.toggle("w", entry.slow);
      place.classList.toggle("growing", growing && i === last && i === entries.length - 1);
    } else if (entry.kind === "tool") {
      fill(place, { name: entry.who, at: entry.at, args: entry.text, result: entry.result });
      place.classList.toggle("e", entry.failed);
      place.querySelector('[data-f="fail"]')?.toggleAttribute("hidden", !entry.failed);
    } else {
      fill(place, { text: entry.text, at: entry.at });
    }
  });
  while (list.children.length > entries.length) list.lastElementChild?.remove();
}

/** How long the caller waited for each answer, by word times. @param {Item[]} items @returns {number[]} */
export function responses(items) {
  const turns = items.filter((item) => SPEAKS.has(item.role));
  return turns.slice(1).flatMap((turn, i) => {
    const before = turns[i];
    if (before.role !== "user" || turn.role !== "agent" || typeof before.end_ms !== "number" || typeof turn.start_ms !== "number") return [];
    return turn.start_ms >= before.end_ms ? [turn.start_ms - before.end_ms] : [];
  });
}

/** Who spoke when. @param {SVGElement | null} svg @param {Item[]} items @param {number} lasts */
export function writeStrip(svg, items, lasts) {
  if (!svg) return;
  const whole = Math.max(1, lasts, ...items.map((item) => item.end_ms ?? 0));
  const x = (/** @type {number} */ ms) => Math.min(STRIP, (Math.max(0, ms) / whole) * STRIP);
  /** @type {Record<string, [string, number, number]>} */
  const form = { agent: ["c1", 10, 16], user: ["c2", 34, 16], transfer_target: ["c3", 34, 16], tool_call: ["c3", 56, 6], injected: ["c3", 56, 6] };
  const bars = items.filter((item) => form[item.role] && typeof item.start_ms === "number");
  bars.forEach((item, i) => {
    const [colour, y, height] = form[item.role], start = item.start_ms ?? 0;
    let rect = svg.children[i];
    if (!rect) { rect = document.createElementNS("http://www.w3.org/2000/svg", "rect"); rect.setAttribute("rx", "2"); svg.append(rect); }
    mark(rect, "class", `f-${colour}`);
    mark(rect, "x", x(start).toFixed(1));
    mark(rect, "y", String(y));
    mark(rect, "width", Math.max(height === 6 ? 6 : 2, x(item.end_ms ?? start) - x(start)).toFixed(1));
    mark(rect, "height", String(height));
  });
  while (svg.children.length > bars.length) svg.lastElementChild?.remove();
}
