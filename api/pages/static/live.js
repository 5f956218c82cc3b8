// This device's accelerometer: samples go to the service as they come, labels come back; the page holds the last seconds alone.
"use strict";
{
  const byId = (id) => document.getElementById(id);
  const form = byId("classify");
  const toggle = byId("live-toggle");
  const state = byId("live-state");
  const SHOWN_S = 20;
  const SEND_MS = 100;
  const SENSOR_MS = 5000; // within which a sensor that is there reports
  const MOST_WAITING = 1000; // samples, while the connection opens
  const MOST_BUFFERED = 2 ** 18; // bytes that the connection does not take
  let stream; // the open one, or the last one, whose trace stays
  let silence;
  let chart;

  const per_cent = (fraction) => `${(100 * fraction).toFixed(1)} %`;

  async function begin() {
    if (!window.DeviceMotionEvent) {
      state.textContent = isSecureContext ? "This browser has no motion sensor to give." : "Browsers give sensors to pages under https alone; open this page at an https address.";
      return;
    }
    toggle.disabled = true;
    // A browser that asks its user does so only when a button was pressed.
    const allowed = DeviceMotionEvent.requestPermission ? await DeviceMotionEvent.requestPermission().catch(() => "denied") : "granted";
    toggle.disabled = false;
    if (allowed !== "granted") {
      state.textContent = "The motion sensor was not allowed; allow it for this page in the browser's settings, then start again.";
      return;
    }
    stream = null;
    toggle.textContent = "Stop";
    state.textContent = "Waiting for the sensor …";
    silence = setTimeout(() => ended("No sensor reports; a computer has none. Open this page on a phone."), SENSOR_MS);
    addEventListener("devicemotion", measure);
  }

  function measure(event) {
    const { x, y, z } = event.accelerationIncludingGravity ?? {};
    if (![x, y, z].every(Number.isFinite)) return; // a computer reports once that it has no sensor
    clearTimeout(silence);
    stream ??= open(event);
    const sign = byId("live-turn").checked ? -1 : 1;
    const sample = [event.timeStamp / 1000 - stream.first_s, sign * x, sign * y, sign * z];
    stream.samples.push(sample);
    stream.waiting.push(sample.map((value) => Number(value.toFixed(5))));
  }

  function open({ timeStamp, interval }) {
    // In milliseconds; older iOS says seconds. Samples carry times, so the rate need only be about right.
    const hz = Math.round(1000 / (interval < 1 ? 1000 * interval : interval));
    const rate_hz = Number.isFinite(hz) ? Math.min(Math.max(hz, 1), 1000) : 60;
    const asked = new FormData(form);
    const url = new URL(`/v1/models/${encodeURIComponent(asked.get("model"))}/stream`, location.href);
    url.protocol = url.protocol.replace("http", "ws");
    url.search = new URLSearchParams({ rate_hz, unit: "m/s^2", ...(asked.get("version") ? { version: asked.get("version") } : {}) });
    const socket = new WebSocket(url);
    const opened = { socket, first_s: timeStamp / 1000, samples: [], waiting: [], segments: [], order: [], hop_s: 0, failed: "", timer: setInterval(tick, SEND_MS) };
    socket.addEventListener("message", (message) => take(opened, JSON.parse(message.data)));
    socket.addEventListener("close", ({ code, reason }) => ended(code === 1000 ? "Stopped." : opened.failed || reason || "The connection broke off or was refused. Reload the page, see whether the model is there, and start again."));
    return opened;
  }

  function take(opened, told) {
    if (told.kind === "began") {
      opened.hop_s = told.hop_s;
      state.textContent = `${told.model.name}, version ${told.model.version}: a label each ${told.hop_s.toFixed(1)} s on the last ${told.window_s.toFixed(1)} s, ${told.rate_hz} samples a second.`;
      byId("live").hidden = false;
      byId("live-label").textContent = "…";
    } else if (told.kind === "window") {
      show(opened, told);
    } else if (told.kind === "failed") {
      opened.failed = told.detail;
    }
  }

  /** A window's label holds for the part of it that lies nearer to its middle than to that of another. */
  function show({ segments, order, hop_s }, { start_s, end_s, label, probabilities, confidence }) {
    const middle_s = (start_s + end_s) / 2;
    const from_s = middle_s - hop_s / 2;
    const last = segments.at(-1);
    if (!order.includes(label)) order.push(label);
    if (last && last.label === label && from_s - last.end_s < 0.01) last.end_s = middle_s + hop_s / 2;
    else segments.push({ start_s: from_s, end_s: middle_s + hop_s / 2, label });
    if (byId("live-label").textContent !== label) byId("live-label").textContent = label;
    byId("live-sure").textContent = confidence === null ? `probability ${per_cent(Object.values(probabilities)[0])}` : `confidence ${per_cent(confidence)}`;
    showLegend(byId("live-legend"), order);
  }

  function tick() {
    if (stream.socket.readyState === WebSocket.OPEN && stream.waiting.length) {
      stream.socket.send(JSON.stringify({ samples: stream.waiting }));
      stream.waiting = [];
    }
    if (stream.waiting.length > MOST_WAITING || stream.socket.bufferedAmount > MOST_BUFFERED) {
      stream.failed = "The connection is slower than the sensor; start again where it is faster.";
      stream.socket.close();
    }
    draw();
  }

  function draw() {
    const since_s = (stream.samples.at(-1)?.[0] ?? 0) - SHOWN_S;
    stream.samples = stream.samples.filter(([at_s]) => at_s >= since_s);
    stream.segments = stream.segments.filter(({ end_s }) => end_s >= since_s);
    chart ||= new Chart(byId("live-trace"), { title: "Acceleration in m/s²", wide: true, height: 240, x: "time in s", hooks: timelineHooks(() => stream?.segments ?? [], () => stream?.order ?? []) });
    const xs = stream.samples.map(([at_s]) => at_s);
    chart.draw(["x", "y", "z"].map((label, index) => ({ label, index, width: 1, xs, ys: stream.samples.map((sample) => sample[index + 1]) })));
  }

  function finish() {
    removeEventListener("devicemotion", measure);
    clearTimeout(silence);
    if (!stream) {
      ended("Stopped.");
    } else if (stream.socket.readyState === WebSocket.OPEN) {
      toggle.disabled = true;
      stream.socket.send(JSON.stringify({ samples: stream.waiting.splice(0), end: true }));
    } else {
      stream.failed = "Stopped.";
      stream.socket.close();
    }
  }

  function ended(why) {
    removeEventListener("devicemotion", measure);
    clearTimeout(silence);
    if (stream) clearInterval(stream.timer);
    toggle.disabled = false;
    toggle.textContent = "Use this phone's sensor";
    state.textContent = why;
  }

  if (toggle) {
    // Tablets with iOS call themselves a Macintosh, which has no touch screen.
    byId("live-turn").checked = /iPhone|iPod|iPad/.test(navigator.userAgent) || (navigator.userAgent.includes("Macintosh") && navigator.maxTouchPoints > 1);
    toggle.addEventListener("click", () => (toggle.textContent === "Stop" ? finish() : begin()));
  }
}
