// After a page loaded itself anew because what its reader may see had changed: says why, on whatever page that led to.
let why = null;
try {
  why = JSON.parse(sessionStorage.getItem("why") ?? "null");
  sessionStorage.removeItem("why");
} catch { /* Storage is closed to us: nothing to say. */ }

if (why) {
  const note = document.createElement("p");
  // Outside: the form to sign in, or a screen that asks to be paired again.
  note.textContent = document.querySelector(".signin, .pairing") ? why.outside : why.inside;
  note.className = "why";
  note.setAttribute("role", "status");
  const heading = document.querySelector(".center h1");
  if (heading) heading.after(note);
  else document.querySelector("main")?.before(note);
}
