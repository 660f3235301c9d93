// Television: keeps the screen awake, hides the pointer, moves everything by two pixels now and then.
const SHIFT_MS = 300_000, POINTER_MS = 5_000, RELOAD_MS = 6 * 3_600_000;

export function startTv() {
  const root = document.documentElement;
  if (!root.classList.contains("tv")) return;
  const wake = async () => {
    // @ts-ignore: not in every browser
    try { await navigator.wakeLock?.request("screen"); } catch { /* A screen that may not stay awake is still a screen. */ }
  };
  void wake();
  document.addEventListener("visibilitychange", () => { if (document.visibilityState === "visible") void wake(); });
  let step = 0;
  setInterval(() => { step = (step + 1) % 4; root.dataset.shift = String(step); }, SHIFT_MS);
  let timer = 0;
  addEventListener("pointermove", () => {
    root.classList.add("awake");
    clearTimeout(timer);
    timer = setTimeout(() => root.classList.remove("awake"), POINTER_MS);
  });
  // A page that runs for weeks starts anew from time to time: new builds, new fonts, no old memory.
  setTimeout(() => location.reload(), RELOAD_MS);
}
