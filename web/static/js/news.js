// Says how many calls came since the log was opened. Rows never move under the reader: whoever wants them asks for them.
import { mark, one, say, text, write } from "./dom.js";
import { count } from "./format.js";

const ASK_MS = 5_000;
const place = one("[data-news]"), link = one("[data-news-link]");
let told = 0;

async function ask() {
  if (!place || document.visibilityState !== "visible") return;
  let news;
  try {
    const answer = await fetch(place.dataset.news ?? "", { headers: { accept: "application/json" } });
    if (!answer.ok) return;
    news = await answer.json();
  } catch { return; }
  if (news.calls === told) return;
  told = news.calls;
  place.hidden = told === 0;
  const words = news.more ? text("news-many", { n: count(told) }) : text("news", { n: count(told) });
  write(link, words);
  mark(link, "title", words);
  say(words);
}

setInterval(() => void ask(), ASK_MS);
document.addEventListener("visibilitychange", () => void ask());
