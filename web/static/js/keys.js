// One registry of keyboard shortcuts: shown by "?", silent inside fields, single keys can be switched off.
import { all, data, one, text, write } from "./dom.js";
import { nextTheme } from "./theme.js";

/** @typedef {{ keys: string[], label: string, run: () => void }} Shortcut */
/** @type {Shortcut[]} */
const shortcuts = [];
let leader = 0;
let single = localStorage.getItem("keys") !== "off";

/** Adds a shortcut: one key, or a leader and a key. @param {string[]} keys @param {string} label @param {() => void} run */
export function shortcut(keys, label, run) { shortcuts.push({ keys, label, run }); }

/** @param {string} address */
const go = (address) => () => location.assign(address);

export function startKeys() {
  shortcut(["g", "w"], "key-wall", go("/wall"));
  shortcut(["g", "l"], "key-live", go("/live"));
  shortcut(["g", "c"], "key-calls", go("/calls"));
  if (one('.nav a[href="/operator"]')) shortcut(["g", "o"], "key-operator", go("/operator"));
  if (one('.nav a[href="/settings"]')) shortcut(["g", "s"], "key-settings", go("/settings"));
  if (one("[data-search]")) shortcut(["/"], "key-search", () => one("[data-search]")?.focus());
  shortcut(["j"], "key-next", () => step(1));
  shortcut(["k"], "key-next", () => step(-1));
  shortcut(["t"], "key-theme", nextTheme);
  shortcut(["?"], "key-help", help);
  addEventListener("keydown", pressed);
  for (const button of all("[data-help]")) button.addEventListener("click", help);
  one("[data-keys-toggle]")?.addEventListener("click", () => {
    single = !single;
    localStorage.setItem("keys", single ? "on" : "off");
    showToggle();
  });
}

/** Focus to the next or previous row link. @param {number} by */
function step(by) {
  const links = all("a[data-row]").filter((link) => link.offsetParent !== null);
  if (links.length === 0) return;
  const now = links.indexOf(/** @type {HTMLElement} */ (document.activeElement));
  links[now < 0 ? (by > 0 ? 0 : links.length - 1) : Math.max(0, Math.min(links.length - 1, now + by))].focus();
}

/** @param {KeyboardEvent} event */
function pressed(event) {
  const target = /** @type {HTMLElement} */ (event.target);
  if (event.key === "Escape" && target.matches("input[data-search]")) target.blur();
  if (event.key === "Escape") for (const open of all("details[data-menu][open]")) open.removeAttribute("open");
  if (event.ctrlKey || event.metaKey || event.altKey || target.matches("input, textarea, select, [contenteditable]")) return;
  if (!single && event.key !== "?") return;
  if (document.querySelector("dialog[open]") && event.key !== "?") return;
  const led = Date.now() - leader < 1200;
  const found = shortcuts.find((s) => (led ? s.keys[0] === "g" && s.keys[1] === event.key : s.keys.length === 1 && s.keys[0] === event.key));
  leader = !led && event.key === "g" ? Date.now() : 0;
  if (!found) return;
  event.preventDefault();
  found.run();
}

function help() {
  const dialog = /** @type {HTMLDialogElement | null} */ (one("#keys"));
  const list = one("[data-keys]");
  if (!dialog || !list) return;
  if (dialog.open) { dialog.close(); return; }
  /** @type {Map<string, string[][]>} */
  const rows = new Map();
  for (const s of shortcuts) rows.set(s.label, [...(rows.get(s.label) ?? []), s.keys]);
  list.replaceChildren();
  for (const [label, sets] of rows) {
    const keys = document.createElement("span");
    sets.flat().forEach((key, i) => {
      const cap = document.createElement("kbd");
      cap.textContent = key;
      keys.append(i ? " " : "", cap);
    });
    const words = document.createElement("span");
    words.textContent = text(label);
    list.append(keys, words);
  }
  showToggle();
  dialog.showModal();
}

function showToggle() {
  const button = one("[data-keys-toggle]");
  button?.setAttribute("aria-pressed", String(single));
  write(button, text(single ? "keys-single" : "keys-single-off"));
}
