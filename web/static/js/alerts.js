// What needs a person: figures off target first, then odd calls, worst first; the same rules as alert.rs.
import { fill, mark, one, shape, stamp, text, write } from "./dom.js";
import { duration, tileValue } from "./format.js";
import { flagOf, hrefOf, keyOf } from "./rows.js";

const ALERTS = 6;

/** @typedef {{ rank: number, key: string, state: string, title: string, words: string, when: string, href: string }} Alert */

/** @param {any} board @param {import("./rows.js").Row[]} rows @param {number} now @param {any} asked @returns {Alert[]} */
export function alertsOf(board, rows, now, asked) {
  /** @type {Alert[]} */
  const alerts = [];
  for (const tile of board.tiles) {
    if ((tile.state !== "breach" && tile.state !== "watch") || tile.provisional) continue;
    const name = one(`[data-tile="${tile.metric}"] .lab`)?.textContent?.trim() ?? tile.name;
    const { number, unit } = tileValue(tile);
    const address = new URLSearchParams(Object.entries(asked).filter(([, value]) => value));
    address.set("range", "today");
    alerts.push({
      rank: tile.state === "breach" ? 0 : 3, key: `metric:${tile.metric}`, state: tile.state,
      title: text(tile.state === "breach" ? "alert-off" : "alert-near", { name }),
      words: text("alert-figure", { value: `${number} ${unit}`.trim(), words: tile.target_words ?? "" }), when: text("today"), href: `/calls?${address}`,
    });
  }
  for (const row of rows) {
    const flag = flagOf(row, now);
    if (!flag) continue;
    alerts.push({
      rank: flag.state === "breach" ? 1 : 2, key: `call:${keyOf(row)}`, state: flag.state, title: text(flag.key, { n: flag.n }),
      words: text("alert-call", { name: row.agent, time: duration(now - row.since) }), when: text("now-word"), href: hrefOf(row),
    });
  }
  return alerts.sort((a, b) => a.rank - b.rank);
}

/** @param {Alert[]} alerts */
export function writeAlerts(alerts) {
  const list = one("[data-alerts]");
  if (!list || list.contains(document.activeElement) || list.matches(":hover")) return;
  write(one("[data-alert-count]"), text("alerts-open", { n: alerts.length }));
  one("[data-no-alerts]")?.toggleAttribute("hidden", alerts.length > 0);
  list.closest(".side")?.classList.toggle("has-alerts", alerts.length > 0);
  alerts.slice(0, ALERTS).forEach((alert, i) => {
    let place = /** @type {HTMLElement | undefined} */ (list.children[i]);
    if (!place) { place = stamp("alert"); list.append(place); }
    place.dataset.alert = alert.key;
    fill(place, { title: alert.title, words: alert.words, when: alert.when, about: ` ${alert.title}` });
    mark(place.querySelector(".st"), "data-s", alert.state);
    shape(place.querySelector(".st use"), alert.state);
    mark(place.querySelector("a[data-open]"), "href", alert.href);
  });
  while (list.children.length > Math.min(alerts.length, ALERTS)) list.lastElementChild?.remove();
}
