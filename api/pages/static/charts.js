// Line charts by uPlot in the page's colours; each is a figure that a screen reader is told the last values of.
"use strict";

const COLOURS = 8;
const CHART_HEIGHT = 190;
// Epochs are whole.
const EPOCHS = [1, 2, 5, 10, 20, 50, 100, 200, 500, 1000, 2000, 5000];
const live = new Set();

function colour(name) {
  return getComputedStyle(document.documentElement).getPropertyValue(name).trim();
}

/** The colour of the `index`-th run, teacher or class. */
function seriesColour(index) {
  return colour(`--s${index % COLOURS}`);
}

function number(value) {
  if (value === null || value === undefined || Number.isNaN(value)) return "–";
  const size = Math.abs(value);
  return size !== 0 && (size < 0.001 || size >= 100000) ? value.toExponential(2) : Number(value.toPrecision(4)).toString();
}

/** Lines over one axis: `lines` are {label, colour index, xs, ys, dash}; points of different xs are joined by themselves. */
function lineData(lines) {
  if (!lines.length) return [[]];
  return uPlot.join(lines.map((line) => [line.xs, line.ys])).map((column) => Array.from(column));
}

class Chart {
  /** A chart below `parent`; `options` are {title, log, unit, sync, wide, height, legend, x}. */
  constructor(parent, options) {
    this.options = options;
    this.figure = document.createElement("figure");
    this.figure.className = options.wide ? "chart wide" : "chart";
    this.caption = document.createElement("figcaption");
    this.place = document.createElement("div");
    this.place.setAttribute("role", "img");
    this.figure.append(this.caption, this.place);
    parent.append(this.figure);
    this.lines = [];
    live.add(this);
    new ResizeObserver(() => this.fit()).observe(this.figure);
  }

  /** Draws these lines; the plot is made anew only if there are other lines than before. */
  draw(lines, { log = false } = {}) {
    const same = this.plot && this.log === log && this.names === lines.map((line) => `${line.label}/${line.index}`).join();
    this.lines = lines;
    this.log = log;
    if (same) this.plot.setData(lineData(lines));
    else this.make();
    this.describe();
  }

  make() {
    if (this.plot) this.plot.destroy();
    this.names = this.lines.map((line) => `${line.label}/${line.index}`).join();
    const axis = { stroke: colour("--muted"), grid: { stroke: colour("--line"), width: 1 }, ticks: { stroke: colour("--line"), width: 1 }, font: "12px system-ui, sans-serif" };
    this.plot = new uPlot({
      width: this.width(), height: this.options.height || CHART_HEIGHT,
      cursor: { sync: this.options.sync ? { key: this.options.sync } : undefined, points: { size: 6 } },
      legend: { show: Boolean(this.options.legend) },
      scales: { x: { time: false }, y: this.log ? { distr: 3 } : {} },
      axes: [{ ...axis, size: 34, ...(this.options.x ? {} : { incrs: EPOCHS }), values: (_, ticks) => ticks.map(number) }, { ...axis, size: 56, values: (_, ticks) => ticks.map((tick) => tick === null ? "" : number(tick)) }],
      series: [{ label: this.options.x || "epoch" }, ...this.lines.map((line) => ({
        label: line.label, stroke: seriesColour(line.index), width: line.width || 2, dash: line.dash, spanGaps: true,
        points: { show: line.xs.length < 2, size: 5 }, value: (_, value) => number(value),
      }))],
      hooks: this.options.hooks || {},
    }, lineData(this.lines), this.place);
  }

  width() {
    return Math.max(this.figure.clientWidth - 26, 120);
  }

  fit() {
    if (this.plot && Math.abs(this.plot.width - this.width()) > 1) {
      this.plot.setSize({ width: this.width(), height: this.options.height || CHART_HEIGHT });
    }
  }

  describe() {
    const last = this.lines.filter((line) => line.ys.length).map((line) => [line.label, number(line.ys.at(-1))]);
    const values = last.length > 3 || this.options.x ? "" : last.map(([, value]) => value).join(" · ");
    this.caption.replaceChildren(this.options.title, Object.assign(document.createElement("span"), { textContent: values }));
    const told = last.map(([label, value]) => `${label} ${value}`).join(", ");
    this.place.setAttribute("aria-label", `${this.options.title}${this.log ? ", logarithmic" : ""}. Last values: ${told || "none"}`);
  }
}

document.addEventListener("recolour", () => {
  for (const chart of live) if (chart.plot) chart.make();
});
