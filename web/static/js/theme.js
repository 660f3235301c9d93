// Light, dark, or as the system says; kept in a cookie so that the server paints the right one first.
import { all, mark, say, text, write } from "./dom.js";

const order = ["system", "light", "dark"];

function saved() {
  const found = document.cookie.match(/(?:^|; )theme=(light|dark)/);
  return found ? found[1] : "system";
}

/** @param {string} theme */
function show(theme) {
  const root = document.documentElement;
  const system = matchMedia("(prefers-color-scheme: dark)").matches ? "dark" : "light";
  mark(root, "data-theme", theme === "system" ? (root.classList.contains("tv") ? "dark" : system) : theme);
  for (const label of all("[data-theme-label]")) write(label, text(`theme-${theme}`));
  dispatchEvent(new CustomEvent("themechange"));
}

/** Next of system, light, dark. */
export function nextTheme() {
  const theme = order[(order.indexOf(saved()) + 1) % order.length];
  document.cookie = theme === "system" ? "theme=; path=/; max-age=0; samesite=lax" : `theme=${theme}; path=/; max-age=31536000; samesite=lax`;
  show(theme);
  say(text(`theme-${theme}`), true);
}

export function startTheme() {
  show(saved());
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => show(saved()));
  for (const button of all("[data-theme-next]")) button.addEventListener("click", nextTheme);
}
