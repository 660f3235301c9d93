// Puts what a link of a mail carries behind "#" into the form, so that nobody has to copy it. It stays in the address, which goes to
// no server, so that loading the page again or choosing a language loses nothing; the form leaves it behind.
const given = new URLSearchParams(location.hash.slice(1));

for (const field of document.querySelectorAll("[data-from-link]")) {
  const value = given.get(field.dataset.fromLink);
  if (!value) continue;
  field.querySelector("input").value = value;
  field.hidden = true;
}

for (const field of document.querySelectorAll("[data-from-link-kept]")) {
  const input = field.querySelector("input");
  input.value ||= given.get(field.dataset.fromLinkKept) ?? "";
}

for (const way of document.querySelectorAll(".langs a")) way.hash = location.hash;

const first = [...document.querySelectorAll("form input")].find((input) => !input.value && input.offsetParent);
first?.focus();
