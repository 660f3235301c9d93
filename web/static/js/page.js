// What every page has: theme, keyboard, menus, copy buttons, forms that send themselves.
import { all, one, say, shape, text } from "./dom.js";
import { startKeys } from "./keys.js";
import { startTheme } from "./theme.js";

startTheme();
startKeys();

document.addEventListener("click", (event) => {
  const target = /** @type {HTMLElement} */ (event.target);
  for (const open of all("details[data-menu][open]")) if (!open.contains(target)) open.removeAttribute("open");
  const copy = target.closest("[data-copy]");
  if (copy) void copied(/** @type {HTMLElement} */ (copy));
  // A row is as wide as its link: the link itself stays for keyboard, new tabs and readers.
  const row = target.closest("tr[data-href]");
  if (row && !target.closest("a, button, summary, input") && !String(getSelection())) {
    const link = one("a[data-row]", row);
    if (link) { if (event.ctrlKey || event.metaKey) open(link.getAttribute("href") ?? "", "_blank", "noopener"); else link.click(); }
  }
});

document.addEventListener("change", (event) => {
  const target = /** @type {HTMLElement} */ (event.target);
  const form = /** @type {HTMLFormElement | null} */ (target.closest("form[data-auto]"));
  if (!form || !target.matches("select")) return;
  send(form);
});
document.addEventListener("submit", (event) => {
  const form = /** @type {HTMLFormElement} */ (event.target);
  if (form.matches("form[data-auto]") && form.method === "get" && !form.hasAttribute("hx-get")) { event.preventDefault(); send(form); }
});

/** Goes where a form leads, without its empty fields: short addresses are for people. @param {HTMLFormElement} form */
function send(form) {
  const address = new URL(form.action, location.href);
  address.search = "";
  for (const [name, value] of new FormData(form)) if (value !== "") address.searchParams.append(name, String(value));
  location.assign(address);
}

/** @param {HTMLElement} button */
async function copied(button) {
  const use = /** @type {SVGUseElement | null} */ (button.querySelector("use"));
  try { await navigator.clipboard.writeText(button.dataset.copy ?? ""); } catch { return; }
  shape(use, "done");
  say(text("copied"), true);
  setTimeout(() => shape(use, "copy"), 1_500);
}
