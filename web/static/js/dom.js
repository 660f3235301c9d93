// Small reach into the page: texts, boot data, filling marked places, speaking to screen readers.

/** @type {Record<string, string>} */
const texts = data("texts") ?? {};

/** JSON of a data script. @param {string} id @returns {any} */
export function data(id) {
  const element = document.getElementById(id);
  try { return element ? JSON.parse(element.textContent || "null") : null; } catch { return null; }
}

/** Text of a key with its `{values}` filled in; of one thing it is said as of one, where there is such a form (`l10n.rs` does the same). @param {string} key @param {Record<string, string | number>} [values] */
export function text(key, values) {
  const pattern = (String(values?.n) === "1" ? texts[`${key}-one`] : undefined) ?? texts[key] ?? key;
  return values ? pattern.replace(/\{(\w+)\}/g, (all, name) => (name in values ? String(values[name]) : all)) : pattern;
}

/** First match below. @param {string} selector @param {ParentNode} [root] @returns {HTMLElement | null} */
export function one(selector, root = document) { return root.querySelector(selector); }

/** All matches below. @param {string} selector @param {ParentNode} [root] @returns {HTMLElement[]} */
export function all(selector, root = document) { return [...root.querySelectorAll(selector)]; }

/** Copy of the first element of a template. @param {string} id @returns {HTMLElement} */
export function stamp(id) {
  const template = /** @type {HTMLTemplateElement} */ (document.getElementById(id));
  return /** @type {HTMLElement} */ (template.content.firstElementChild?.cloneNode(true));
}

/** Writes text only where it changed, so that selections and readers are left alone. @param {Element | null} element @param {string} value */
export function write(element, value) {
  if (element && element.textContent !== value) element.textContent = value;
}

/** Writes the `data-f` places of a part. @param {Element} root @param {Record<string, string>} values */
export function fill(root, values) {
  for (const [name, value] of Object.entries(values)) write(root.querySelector(`[data-f="${name}"]`), value);
}

/** Sets or removes an attribute. @param {Element | null} element @param {string} name @param {string | null} value */
export function mark(element, name, value) {
  if (!element) return;
  if (value === null) element.removeAttribute(name);
  else if (element.getAttribute(name) !== value) element.setAttribute(name, value);
}

let lastSaid = 0;
/** Says something through the one polite live region, at most every 10 s unless it must. @param {string} words @param {boolean} [must] */
export function say(words, must = false) {
  const now = Date.now();
  if (!must && now - lastSaid < 10_000) return;
  lastSaid = now;
  write(document.getElementById("say"), words);
}

/** A shape of the sprite. @param {SVGUseElement | null} use @param {string} name */
export function shape(use, name) {
  if (!use) return;
  const href = (use.getAttribute("href") ?? "").replace(/#.*/, `#${name}`);
  if (use.getAttribute("href") !== href) use.setAttribute("href", href);
}
