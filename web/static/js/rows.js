// Rows of calls in progress: their texts, their flags, and how one is written into the table.
import { fill, mark, stamp, text, write } from "./dom.js";
import { DASH, count, decimal, duration, money } from "./format.js";

const SILENCE_WATCH_MS = 12_000, SILENCE_BREACH_MS = 30_000, TRANSFER_WATCH_MS = 20_000;

/**
 * @typedef {{ kind: string, id: string, state: string, since: number, agent: string, agent_id: string, caller: string, way: string,
 *   who: string | null, said: string, said_at: number | null, lang: string | null, turns: number, tool_failures: number, ringing_since: number | null,
 *   response_ms: number | null, cost_cents: number | null, cents_per_minute: number | null }} Row
 */

/** @param {Row} row */
export function keyOf(row) { return `${row.kind}:${row.id}`; }

/** @param {Row} row */
export function hrefOf(row) { return `/calls/${row.kind}/${encodeURIComponent(row.id)}`; }

/** What is odd about a call; the same rules as row.rs. @param {Row} row @param {number} now */
export function flagOf(row, now) {
  if (row.state === "ended") return null;
  if (row.ringing_since !== null) {
    const waited = now - row.ringing_since;
    return waited >= TRANSFER_WATCH_MS ? { state: "watch", key: "flag-ringing", n: Math.floor(waited / 1000) } : null;
  }
  if (row.tool_failures > 0) return { state: "breach", key: "flag-tool", n: row.tool_failures };
  if (row.said_at === null || row.state !== "ongoing" || row.kind !== "call") return null;
  const silent = now - row.said_at;
  if (silent < SILENCE_WATCH_MS) return null;
  return { state: silent >= SILENCE_BREACH_MS ? "breach" : "watch", key: "flag-silence", n: Math.floor(silent / 1000) };
}

/** A new, empty row. */
export function newRow() { return stamp("row"); }

/** Writes everything of a row. @param {HTMLElement} element @param {Row} row @param {number} now */
export function writeRow(element, row, now) {
  element.dataset.key = keyOf(row);
  const who = row.who && row.who !== "user" ? `${text(`who-${row.who}`)}: ` : "";
  fill(element, {
    state: text(`call-${row.state}`), agent: row.agent, caller: row.caller, who,
    said: row.said || text(`call-${row.state}`), way: text(`way-${row.way}`), turns: row.turns ? count(row.turns) : DASH,
    response: row.response_ms === null ? DASH : `${decimal(row.response_ms / 1000, 1)} s`,
  });
  mark(element.querySelector('[data-f="state"]'), "data-s", row.state);
  mark(element.querySelector('[data-f="said"]'), "lang", row.lang);
  mark(element.querySelector("a[data-row]"), "href", hrefOf(row));
  tickRow(element, row, now);
}

/** What it has cost so far: what Retell says, else by the price of its agent's earlier calls. @param {Row} row @param {number} now @returns {number | null} */
export function costOf(row, now) {
  if (row.cost_cents !== null) return row.cost_cents;
  return row.cents_per_minute === null || row.state === "registered" ? null : (row.cents_per_minute * Math.max(0, now - row.since)) / 60_000;
}

/** Writes what changes by time alone. @param {HTMLElement} element @param {Row} row @param {number} now */
export function tickRow(element, row, now) {
  write(element.querySelector('[data-f="age"]'), duration(now - row.since));
  const cost = costOf(row, now);
  write(element.querySelector('[data-f="cost"]'), cost === null ? DASH : money(cost));
  const place = /** @type {HTMLElement | null} */ (element.querySelector('[data-f="flag"]'));
  if (!place) return;
  const flag = flagOf(row, now);
  place.hidden = flag === null;
  if (!flag) return;
  mark(place, "data-s", flag.state);
  write(place, text(flag.key, { n: flag.n }));
}

/** Keeps the newest state of each call. */
export class Calls {
  /** @type {Map<string, Row>} */
  rows = new Map();

  /** Takes what the stream sent: everything, or what changed and what is gone. @param {{ full?: boolean, rows?: Row[], removed?: (string | { kind: string, id: string })[] }} message */
  take(message) {
    if (message.full) this.rows.clear();
    for (const row of message.rows ?? []) {
      if (row.state === "ended") this.rows.delete(keyOf(row));
      else this.rows.set(keyOf(row), row);
    }
    for (const gone of message.removed ?? []) this.rows.delete(typeof gone === "string" ? gone : `${gone.kind}:${gone.id}`);
  }

  /** Longest first. @returns {Row[]} */
  longest() { return [...this.rows.values()].sort((a, b) => a.since - b.since || (a.id < b.id ? -1 : 1)); }
}
