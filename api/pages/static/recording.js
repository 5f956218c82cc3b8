// One recording of a dataset: its sensors' traces, and its skeleton as it moves.
"use strict";
{
  const place = document.getElementById("recording");
  const series = document.getElementById("series");
  const title = document.getElementById("recording-title");
  let playing = 0;

  async function show(id) {
    cancelAnimationFrame(playing);
    try {
      const found = await ask(`/v1/datasets/${place.dataset.dataset}/recordings/${encodeURIComponent(id)}?points=1000`);
      place.hidden = false;
      title.textContent = `${found.recording.id}: ${found.recording.label}, subject ${found.recording.subject}, ${found.recording.duration_s.toFixed(2)} s`;
      series.replaceChildren();
      if (found.skeleton && found.series.skeleton) figure(found.skeleton, found.series.skeleton);
      for (const [name, each] of Object.entries(found.series)) if (name !== "skeleton") trace(name, each);
      title.focus();
      place.scrollIntoView({ block: "start" });
    } catch (refusal) {
      tell(refusal.message);
    }
  }

  function trace(name, { unit, axes, t_s: xs, values }) {
    const chart = new Chart(series, { title: `${name} in ${unit}`, legend: true, height: 240, sync: "time", x: "time in s" });
    chart.draw(axes.map((axis, index) => ({ label: axis, index, width: 1, xs, ys: values.map((sample) => sample[index]) })));
  }

  /** The first person's joints from the front, at the pace of the recording. */
  function figure(skeleton, { t_s: times, values }) {
    const frames = values.map((frame) => (Array.isArray(frame[0][0]) ? frame[0] : frame));
    const box = document.createElement("figure");
    box.className = "chart";
    const caption = Object.assign(document.createElement("figcaption"), { textContent: "skeleton, from the front" });
    const canvas = document.createElement("canvas");
    canvas.setAttribute("role", "img");
    canvas.setAttribute("aria-label", `A skeleton of ${skeleton.joints.length} joints, moving for ${times.at(-1).toFixed(1)} seconds`);
    const controls = Object.assign(document.createElement("p"), { className: "filters" });
    const play = Object.assign(document.createElement("button"), { type: "button", textContent: "Play" });
    const label = document.createElement("label");
    const at = Object.assign(document.createElement("input"), { type: "range", min: 0, max: frames.length - 1, value: 0 });
    label.append("Frame", at);
    controls.append(play, label);
    box.append(caption, canvas, controls);
    series.append(box);
    const size = Math.max(box.clientWidth - 26, 120);
    canvas.width = size * devicePixelRatio;
    canvas.height = 240 * devicePixelRatio;
    const view = fitted(frames, canvas);
    const draw = () => drawn(canvas, skeleton, frames[at.value], view);
    let began = 0;
    const step = (now) => {
      if (!box.isConnected) return;
      began ||= now - 1000 * times[at.value];
      const elapsed = ((now - began) / 1000) % (times.at(-1) || 1);
      at.value = Math.max(times.findLastIndex((time) => time <= elapsed), 0);
      draw();
      playing = requestAnimationFrame(step);
    };
    const stop = () => { cancelAnimationFrame(playing); play.textContent = "Play"; };
    play.addEventListener("click", () => {
      if (play.textContent === "Play") {
        play.textContent = "Pause";
        began = 0;
        playing = requestAnimationFrame(step);
      } else {
        stop();
      }
    });
    at.addEventListener("input", () => { stop(); draw(); });
    document.addEventListener("recolour", draw);
    draw();
  }

  /** From metres to pixels, so that every frame fits. */
  function fitted(frames, canvas) {
    const [xs, ys] = [0, 1].map((axis) => frames.flat().map((joint) => joint[axis]));
    const [left, right, low, high] = [Math.min(...xs), Math.max(...xs), Math.min(...ys), Math.max(...ys)];
    const margin = 14 * devicePixelRatio;
    const scale = Math.min((canvas.width - 2 * margin) / Math.max(right - left, 0.01), (canvas.height - 2 * margin) / Math.max(high - low, 0.01));
    return ([x, y]) => [canvas.width / 2 + (x - (left + right) / 2) * scale, canvas.height / 2 - (y - (low + high) / 2) * scale];
  }

  function drawn(canvas, skeleton, frame, view) {
    const pen = canvas.getContext("2d");
    const joints = frame.map(view);
    pen.clearRect(0, 0, canvas.width, canvas.height);
    pen.lineWidth = 2.5 * devicePixelRatio;
    pen.lineCap = "round";
    pen.strokeStyle = colour("--muted");
    pen.fillStyle = colour("--accent");
    for (const [child, parent] of skeleton.bones) {
      pen.beginPath();
      pen.moveTo(...joints[parent]);
      pen.lineTo(...joints[child]);
      pen.stroke();
    }
    for (const [x, y] of joints) {
      pen.beginPath();
      pen.arc(x, y, 3.5 * devicePixelRatio, 0, 2 * Math.PI);
      pen.fill();
    }
  }

  document.addEventListener("click", (event) => {
    const button = event.target.closest("[data-recording]");
    if (button) show(button.dataset.recording);
  });
}
