// Numbers, times and money as people read them; the same rules as pages/format.rs (a browser test compares them).

export const DASH = "–";
// As format.rs writes them, in every language.
const lang = "en";
const zone = document.documentElement.dataset.zone || "UTC";
const grouped = [0, 1, 2, 3].map((digits) => new Intl.NumberFormat(lang, { minimumFractionDigits: digits, maximumFractionDigits: digits }));
const clockForm = new Intl.DateTimeFormat(lang, { hour: "2-digit", minute: "2-digit", second: "2-digit", hourCycle: "h23", timeZone: zone });
const minuteForm = new Intl.DateTimeFormat(lang, { hour: "2-digit", minute: "2-digit", hourCycle: "h23", timeZone: zone });

/** @param {number} value */
export function count(value) { return grouped[0].format(value); }

/** @param {number} value @param {number} digits */
export function decimal(value, digits) {
  const written = grouped[digits].format(value);
  return /[1-9]/.test(written) ? written.replace("-", "−") : written.replace("-", "");
}

/** `0:12`, `14:52`, `1:02:03`. @param {number} ms */
export function duration(ms) {
  const all = Math.floor(Math.max(0, ms) / 1000);
  const two = (/** @type {number} */ n) => String(n).padStart(2, "0");
  const hours = Math.floor(all / 3600), minutes = Math.floor(all / 60) % 60, seconds = all % 60;
  return hours > 0 ? `${hours}:${two(minutes)}:${two(seconds)}` : `${minutes}:${two(seconds)}`;
}

/** `1.38 s`. @param {number} ms */
export function latency(ms) { return `${decimal(ms / 1000, 2)} s`; }

/** Cents as `$ 0.61`. @param {number} cents */
export function money(cents) {
  const dollars = cents / 100;
  return `$ ${decimal(dollars, dollars !== 0 && Math.abs(dollars) < 0.1 ? 3 : 2)}`;
}

/** `12 s`, `8 min`, `3 h`, `2 d`. @param {number} ms */
export function age(ms) {
  const s = Math.floor(Math.max(0, ms) / 1000);
  if (s < 100) return `${s} s`;
  if (s < 6000) return `${Math.floor(s / 60)} min`;
  if (s < 172_800) return `${Math.floor(s / 3600)} h`;
  return `${Math.floor(s / 86_400)} d`;
}

/** `14:03:05`. @param {number} at */
export function clock(at) { return clockForm.format(at); }

/** `14:03`. @param {number} at */
export function minute(at) { return minuteForm.format(at); }

const SPANS = new Set(["aht_ai", "aht_call", "longest_wait", "time_at_limit"]);

/** A tile's value in its unit; handling times are minutes and seconds, however short. @param {{ metric: string, value: number | null, unit: string }} tile */
export function tileValue(tile) {
  return tile.value !== null && SPANS.has(tile.metric) ? { number: duration(tile.value), unit: "" } : metric(tile.value, tile.unit);
}

/**
 * A metric's value in its unit: the number, and the unit set smaller.
 * @param {number | null | undefined} value @param {string} unit @returns {{ number: string, unit: string }}
 */
export function metric(value, unit) {
  if (value === null || value === undefined || !Number.isFinite(value)) return { number: DASH, unit: "" };
  switch (unit) {
    case "share": return { number: decimal(value * 100, 1), unit: "%" };
    case "ms": return value >= 60_000 ? { number: duration(value), unit: "" } : { number: decimal(value / 1000, 2), unit: "s" };
    case "cents": return { number: money(value), unit: "" };
    case "cents_per_minute": return { number: `$ ${decimal(value / 100, 3)}`, unit: "/ min" };
    case "calls_per_hour": return { number: decimal(value, 0), unit: "/ h" };
    default: return { number: count(Math.round(value)), unit: "" };
  }
}
