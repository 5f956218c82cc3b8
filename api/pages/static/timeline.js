// Labels over a trace: bands behind it and a strip at the top, each label in a colour of its own.
"use strict";

const STRIP = 20;

/** A label's colour, by its place in the order of appearance; the first three are the axes'. */
function labelColour(place) {
  return (place + 3) % COLOURS;
}

/** Hooks of a plot that draw segments {start_s, end_s, label}; `order` answers the labels in the order of their colours. */
function timelineHooks(segments, order) {
  const over = (plot, paint) => {
    const { ctx, bbox } = plot;
    const labels = order();
    ctx.save();
    ctx.beginPath();
    ctx.rect(bbox.left, bbox.top, bbox.width, bbox.height);
    ctx.clip();
    for (const segment of segments()) {
      const left = plot.valToPos(segment.start_s, "x", true);
      const width = plot.valToPos(segment.end_s, "x", true) - left;
      ctx.fillStyle = seriesColour(labelColour(labels.indexOf(segment.label)));
      paint(plot, segment, left, width);
    }
    ctx.restore();
  };
  return {
    drawClear: [(plot) => over(plot, paintBand)],
    draw: [(plot) => over(plot, paintLabel)],
  };
}

function paintBand({ ctx, bbox }, segment, left, width) {
  ctx.globalAlpha = 0.13;
  ctx.fillRect(left, bbox.top, width, bbox.height);
}

function paintLabel({ ctx, bbox }, { label }, left, width) {
  ctx.fillRect(left, bbox.top, Math.max(width - 1, 1), STRIP * devicePixelRatio);
  ctx.font = `600 ${12 * devicePixelRatio}px system-ui, sans-serif`;
  if (ctx.measureText(label).width + 8 * devicePixelRatio > width) return;
  ctx.fillStyle = colour("--card");
  ctx.textAlign = "center";
  ctx.textBaseline = "middle";
  ctx.fillText(label, left + width / 2, bbox.top + (STRIP / 2) * devicePixelRatio);
}

/** Which colour is which label. */
function showLegend(list, order) {
  list.replaceChildren(...order.map((label, place) => {
    const item = make("li");
    item.append(make("span", { className: `key key-${labelColour(place)}` }), label);
    return item;
  }));
}
