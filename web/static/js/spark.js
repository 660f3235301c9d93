// Sparklines as inline SVG: the server draws the first one with the same rule (pages/spark.rs).

const WIDTH = 200, HEIGHT = 34, MARGIN = 1;

/**
 * Path of a line over `values`; missing values leave a gap.
 * @param {(number | null)[]} values @param {number | null | undefined} target
 * @returns {{ path: string, target: number | null }}
 */
export function spark(values, target) {
  const known = values.filter((v) => v !== null && Number.isFinite(v));
  if (known.length === 0) return { path: "", target: null };
  values = values.slice(values.findIndex((v) => v !== null && Number.isFinite(v)));
  const ends = target === null || target === undefined ? known : [...known, target];
  let low = Math.min(.../** @type {number[]} */ (ends)), high = Math.max(.../** @type {number[]} */ (ends));
  if (high - low < 1e-9) { low -= 1; high += 1; }
  const y = (/** @type {number} */ v) => (HEIGHT - MARGIN - ((v - low) / (high - low)) * (HEIGHT - 2 * MARGIN)).toFixed(1);
  const step = values.length > 1 ? WIDTH / (values.length - 1) : 0;
  let path = "", pen = false;
  values.forEach((v, i) => {
    if (v === null || !Number.isFinite(v)) { pen = false; return; }
    const x = (i * step).toFixed(1);
    const alone = !pen && (i + 1 >= values.length || values[i + 1] === null);
    path += pen ? `L${x} ${y(v)}` : `M${x} ${y(v)}`;
    if (alone) path += `l.1 0`;
    pen = true;
  });
  return { path, target: target === null || target === undefined ? null : Number(y(target)) };
}

/** Draws into an existing `<svg>` with a path and, if there is a target, a line. @param {Element | null} svg @param {(number | null)[]} values @param {number | null | undefined} target */
export function draw(svg, values, target) {
  if (!svg) return;
  const { path, target: at } = spark(values, target);
  const line = svg.querySelector("line"), stroke = svg.querySelector("path");
  if (stroke && stroke.getAttribute("d") !== path) stroke.setAttribute("d", path);
  if (!line) return;
  line.toggleAttribute("hidden", at === null);
  if (at !== null) for (const name of ["y1", "y2"]) line.setAttribute(name, String(at));
}
