// One live stream: snapshot, then the newest state of each key; knows how old what it shows is, and says so.
import { all, mark, one, say, text, write } from "./dom.js";
import { age, clock, count, decimal } from "./format.js";

/** Beyond this without a sign of life the word says "delayed". */
const DELAYED_MS = 5_000;
/** Beyond this the figures are dimmed and a line runs across the top. */
const LOST_MS = 30_000;
const BACKOFF_MS = [500, 1_000, 2_000, 4_000, 8_000, 15_000, 30_000];

let offset = 0;
/** The server's clock, as this browser can know it. */
export function serverNow() { return Date.now() + offset; }

/** @typedef {(data: any) => void} Listener */

/** Starts a stream. @param {string} address @param {Record<string, Listener>} listeners */
export function stream(address, listeners) {
  /** @type {EventSource | null} */
  let source = null;
  let tries = 0, alive = Date.now(), timer = 0, paused = false, level = "wait", fresh = true, heard = false;

  /** @param {string} name */
  const taken = (name) => (/** @type {MessageEvent} */ event) => {
    alive = Date.now();
    tries = 0;
    heard = true;
    let message;
    try { message = JSON.parse(event.data); } catch { return; }
    const asOf = message.as_of ?? message.board?.as_of;
    if (typeof asOf === "number") {
      // The smallest delay seen is the best guess of the offset; drift upwards slowly after sleep.
      const guess = asOf - Date.now();
      offset = fresh || Math.abs(guess - offset) > 5_000 ? guess : Math.max(offset, guess);
      fresh = false;
    }
    if (message.completeness) showCompleteness(message.completeness);
    listeners[name]?.(message);
    look();
  };

  function open() {
    clearTimeout(timer);
    source?.close();
    if (paused) return;
    fresh = true;
    source = new EventSource(address);
    for (const name of new Set([...Object.keys(listeners), "beat"])) source.addEventListener(name, taken(name));
    source.addEventListener("end", leave);
    source.onerror = () => {
      // Closed by itself means that an answer came, and it was a refusal; a connection that breaks is tried again.
      if (heard && source?.readyState === EventSource.CLOSED) void refused(address);
      source?.close();
      source = null;
      const wait = BACKOFF_MS[Math.min(tries, BACKOFF_MS.length - 1)];
      tries += 1;
      timer = setTimeout(open, wait / 2 + Math.random() * wait);
      look();
    };
  }

  function look() {
    const silent = Date.now() - alive;
    const now = paused ? "paused" : silent > LOST_MS ? "lost" : silent > DELAYED_MS ? "delayed" : "ok";
    const place = one("#fresh");
    mark(place, "data-s", now);
    write(one("[data-fresh-word]"), now === "ok" ? "" : now === "paused" ? ` · ${text("fresh-paused")}` : ` · ${text(`fresh-${now}`, { time: age(silent) })}`);
    document.documentElement.classList.toggle("stale", now === "lost");
    for (const note of all("[data-stale-age]")) write(note, age(silent));
    const banner = one("#banner");
    if (banner) banner.hidden = now !== "lost";
    if (now === "lost") write(one("[data-banner-text]"), text("banner-lost", { time: age(silent), n: tries }));
    if (now !== level && now === "lost") say(text("said-lost"), true);
    if (level === "lost" && now === "ok") say(text("said-back"), true);
    level = now;
  }

  open();
  setInterval(look, 1_000);
  // Sleep and hidden tabs stop timers and may leave a dead connection open: whoever looks again gets a new one.
  const again = () => { if (document.visibilityState === "visible" && Date.now() - alive > DELAYED_MS) { tries = 0; open(); } look(); };
  document.addEventListener("visibilitychange", again);
  document.addEventListener("resume", again);
  addEventListener("pageshow", again);
  addEventListener("online", again);
  addEventListener("pagehide", () => source?.close());
  one("[data-reconnect]")?.addEventListener("click", () => { tries = 0; open(); });

  return {
    /** Stops or goes on. @param {boolean} stop */
    pause(stop) { paused = stop; if (stop) { source?.close(); source = null; clearTimeout(timer); } else { alive = Date.now(); open(); } look(); },
    /** Other filters, same listeners. @param {string} next */
    retarget(next) { address = next; tries = 0; open(); },
  };
}

/** Leaves when the stream is refused to whoever looks; a server that is away or busy is waited for. @param {string} address */
async function refused(address) {
  const asked = new AbortController();
  try {
    const answer = await fetch(address, { signal: asked.signal, cache: "no-store" });
    if ([401, 403, 404].includes(answer.status)) leave();
  } catch { /* Away: the stream itself goes on trying. */ }
  asked.abort();
}

/** What is shown may not be seen any more: loads the page anew, as who looks may see it now; `why.js` says it there. */
function leave() {
  const time = clock(serverNow());
  try { sessionStorage.setItem("why", JSON.stringify({ inside: text("why-rights", { time }), outside: text("why-out", { time }) })); } catch { /* Then without a word. */ }
  location.reload();
}

/** @param {{ complete_to: number | null, gaps: unknown[] | number, lag_ms: number | null, open_without_end?: number, reconciled?: { healed: number } | null, audited?: { repaired: number } | null, rebuilding?: boolean }} c */
export function showCompleteness(c) {
  if (c.complete_to === null || c.complete_to === undefined) return;
  write(one("[data-fresh-complete]"), text("fresh-complete", { time: clock(c.complete_to) }));
  const gaps = Array.isArray(c.gaps) ? c.gaps.length : c.gaps;
  // Nothing to look at is not said: the line is short.
  const said = (/** @type {string} */ key, /** @type {number | undefined} */ n) => (n ? text(key, { n: count(n) }) : "");
  mark(one("#fresh"), "data-gaps", gaps ? "" : null);
  const parts = [
    said("fresh-open", c.open_without_end),
    text("fresh-more", { n: count(gaps), seconds: decimal(Math.max(0, c.lag_ms ?? 0) / 1000, 1) }),
    said("fresh-healed", c.reconciled?.healed),
    said("fresh-audit", c.audited?.repaired),
    c.rebuilding ? `· ${text("fresh-rebuilding")}` : "",
  ];
  write(one("[data-fresh-more]"), parts.filter(Boolean).join(" "));
}
