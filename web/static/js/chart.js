// Calls offered by interval as bars (uPlot), with the same figures as a table.
import { one, text } from "./dom.js";
import { count, minute } from "./format.js";

/** @param {string} name */
const colour = (name) => getComputedStyle(document.documentElement).getPropertyValue(name).trim();

/** @param {HTMLElement | null} box @param {HTMLElement | null} tableBox */
export function offeredChart(box, tableBox) {
  // @ts-ignore: the vendored script defines it
  const Plot = window.uPlot;
  if (!box || !Plot) return null;
  /** @type {any} */
  let plot = null, board = null;
  let drawn = "";

  function build() {
    plot?.destroy();
    const axis = { stroke: colour("--ink-3"), font: "11px Inter Variable, system-ui", grid: { stroke: colour("--line"), width: 1 }, ticks: { show: false } };
    plot = new Plot({
      width: box.clientWidth, height: box.clientHeight, cursor: { y: false, points: { show: false }, drag: { x: false, y: false } }, legend: { show: false }, padding: [8, 20, 0, 0],
      scales: { x: { time: false, range: () => [board.day_start / 1000, board.day_start / 1000 + 86_400] }, y: { range: (/** @type {any} */ _u, /** @type {number} */ _low, /** @type {number} */ high) => [0, Math.max(4, high * 1.12)] } },
      axes: [
        { ...axis, grid: { show: false }, size: 24, space: 60, splits: () => [0, 4, 8, 12, 16, 20, 24].map((h) => board.day_start / 1000 + h * 3600), values: (/** @type {any} */ _u, /** @type {number[]} */ at) => at.map((s) => minute(s * 1000)) },
        { ...axis, size: 36, space: 36, values: (/** @type {any} */ _u, /** @type {number[]} */ at) => at.map((n) => (Number.isInteger(n) ? count(n) : "")) },
      ],
      series: [{}, { fill: colour("--c1"), stroke: colour("--c1"), width: 0, points: { show: false }, paths: Plot.paths.bars({ size: [0.72, 14], radius: 0.15, align: 1 }) }],
      hooks: { draw: [(/** @type {any} */ u) => nowLine(u)] },
    }, points(), box);
  }

  /** @param {any} u */
  function nowLine(u) {
    const x = u.valToPos(board.as_of / 1000, "x", true), { top, height } = u.bbox, ctx = u.ctx;
    ctx.save();
    ctx.strokeStyle = colour("--ink-3");
    ctx.setLineDash([4, 6]);
    ctx.beginPath();
    ctx.moveTo(x, top);
    ctx.lineTo(x, top + height);
    ctx.stroke();
    ctx.restore();
  }

  function points() {
    const series = board.offered.series;
    return [series.map((/** @type {number} */ _n, /** @type {number} */ i) => (board.from + i * board.interval_ms) / 1000), series];
  }

  function writeTable() {
    if (!tableBox || tableBox.hidden) return;
    const table = document.createElement("table");
    table.className = "plain";
    const row = (/** @type {string} */ cell, /** @type {string[]} */ values) => {
      const tr = document.createElement("tr");
      values.forEach((value, i) => { const td = document.createElement(cell); td.textContent = value; if (i) td.className = "num"; tr.append(td); });
      return tr;
    };
    table.append(row("th", [text("chart-time"), text("chart-offered")]));
    board.offered.series.forEach((/** @type {number} */ n, /** @type {number} */ i) => table.append(row("td", [minute(board.from + i * board.interval_ms), count(n)])));
    tableBox.replaceChildren(table);
  }

  new ResizeObserver(() => { if (plot) plot.setSize({ width: box.clientWidth, height: box.clientHeight }); }).observe(box);
  addEventListener("themechange", () => { if (board) build(); });
  const toggle = one("[data-chart-table]");
  toggle?.addEventListener("click", () => {
    if (!tableBox) return;
    tableBox.hidden = !tableBox.hidden;
    toggle.setAttribute("aria-expanded", String(!tableBox.hidden));
    writeTable();
  });

  return {
    /** @param {any} next */
    show(next) {
      board = next;
      const state = JSON.stringify([board.from, board.interval_ms, board.offered.series]);
      if (!plot) build();
      else if (state !== drawn) plot.setData(points());
      else plot.redraw(false);
      if (state !== drawn) writeTable();
      drawn = state;
    },
  };
}
