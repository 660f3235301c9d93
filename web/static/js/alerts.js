// What needs a person: figures off target first, then odd calls, worst first; the same rules as alert.rs.
import { fill, mark, one, shape, stamp, text, write } from "./dom.js";
import { count, duration, tileValue } from "./format.js";
import { flagOf, hrefOf, keyOf } from "./rows.js";

/** Alerts of one rule, and lines in all; the rest of a rule is one line. */
const OF_ONE_RULE = 2, LINES = 8;

/** @typedef {{ rank: number, key: string, state: string, title: string, words: string, when: string, href: string }} Alert */

/** @param {any} board @param {import("./rows.js").Row[]} rows @param {number} now @param {Record<string, string>} asked @returns {{ open: number, lines: Alert[] }} */
export function alertsOf(board, rows, now, asked) {
  /** @type {Alert[]} */
  const alerts = [];
  for (const tile of board.tiles) {
    if ((tile.state !== "breach" && tile.state !== "watch") || tile.provisional) continue;
    const place = one(`[data-tile="${tile.metric}"]`);
    const name = place?.querySelector(".lab")?.textContent?.trim() ?? tile.name;
    const { number, unit } = tileValue(tile);
    alerts.push({
      rank: tile.state === "breach" ? 0 : 3, key: `metric:${tile.metric}`, state: tile.state,
      title: text(tile.state === "breach" ? "alert-off" : "alert-near", { name }),
      words: text("alert-figure", { value: `${number} ${unit}`.trim(), words: tile.target_words ?? "" }), when: text("today"), href: place?.getAttribute("href") ?? "/calls",
    });
  }
  /** @type {Map<string, Alert[]>} */
  const rules = new Map();
  for (const row of rows) {
    const flag = flagOf(row, now);
    if (!flag) continue;
    rules.set(flag.key, [...(rules.get(flag.key) ?? []), {
      rank: flag.state === "breach" ? 1 : 2, key: `call:${keyOf(row)}`, state: flag.state, title: text(flag.key, { n: flag.n }),
      words: text("alert-call", { name: row.agent, time: duration(now - row.since) }), when: text("now-word"), href: hrefOf(row),
    }]);
  }
  let open = alerts.length;
  for (const [key, ofRule] of [...rules].sort(([a], [b]) => (a < b ? -1 : 1))) {
    open += ofRule.length;
    ofRule.sort((a, b) => a.rank - b.rank);
    alerts.push(...ofRule.slice(0, OF_ONE_RULE));
    if (ofRule.length > OF_ONE_RULE) alerts.push(more(key, ofRule.slice(OF_ONE_RULE), asked));
  }
  return { open, lines: alerts.sort((a, b) => a.rank - b.rank).slice(0, LINES) };
}

/** One line for the alerts of a rule that are not shown. @param {string} key @param {Alert[]} rest @param {Record<string, string>} asked @returns {Alert} */
function more(key, rest, asked) {
  const signal = key.replace("flag-", "");
  const address = new URLSearchParams([...Object.entries(asked).filter(([, value]) => value), ["signal", signal]]);
  return { rank: rest[0].rank, key: `more:${signal}`, state: rest[0].state, title: text("alert-more", { n: count(rest.length), name: text(`signal-${signal}`) }), words: "", when: "", href: `/live?${address}` };
}

/** @param {{ open: number, lines: Alert[] }} alerts */
export function writeAlerts({ open, lines }) {
  const list = one("[data-alerts]");
  if (!list || list.contains(document.activeElement) || list.matches(":hover")) return;
  write(one("[data-alert-count]"), text("alerts-open", { n: count(open) }));
  one("[data-no-alerts]")?.toggleAttribute("hidden", open > 0);
  list.closest(".side")?.classList.toggle("has-alerts", open > 0);
  lines.forEach((alert, i) => {
    let place = /** @type {HTMLElement | undefined} */ (list.children[i]);
    if (!place) { place = stamp("alert"); list.append(place); }
    place.dataset.alert = alert.key;
    fill(place, { title: alert.title, words: alert.words, when: alert.when, about: ` ${alert.title}` });
    mark(place.querySelector(".st"), "data-s", alert.state);
    shape(place.querySelector(".st use"), alert.state);
    mark(place.querySelector("a[data-open]"), "href", alert.href);
  });
  while (list.children.length > lines.length) list.lastElementChild?.remove();
}
