// The curves of one job: all that was measured so far, then one event stream that adds to them until the job has ended.
"use strict";
{
  const section = document.getElementById("curves");
  const charts = document.getElementById("charts");
  const log = document.getElementById("log");
  const keys = document.getElementById("run-keys");
  const said = document.getElementById("live");
  const path = `/v1/jobs/${section.dataset.job}`;
  const runs = new Map(); // by id: {index, seed, fold, shown, curves: {name: {steps, values}}}
  const drawn = new Map(); // charts by title
  const byClass = document.getElementById("by-class");
  const ofClasses = new Map(); // by class: {chart, and by teacher a map from run to its curve}
  const classes = JSON.parse(section.dataset.classes);
  let drawing = 0;

  const FOLLOWS = "student/follows/";
  const TERMS = {
    total: "whole loss", ce: "labels (cross-entropy)", kd: "soft targets L_K", mk: "several teachers L_MK", feature: "features L_S",
    pull: "pull towards the student", fallback: "labels where no teacher guides",
  };

  function addRun(id, seed, fold) {
    if (!runs.has(id)) {
      const run = { index: runs.size, seed, fold, shown: true, curves: {} };
      runs.set(id, run);
      keys.append(keyOf(run));
    }
    return runs.get(id);
  }

  function keyOf(run) {
    const label = document.createElement("label");
    label.className = "check";
    const box = Object.assign(document.createElement("input"), { type: "checkbox", checked: true });
    box.addEventListener("change", () => {
      run.shown = box.checked;
      redraw();
      if (byClass.open) drawClasses().catch((refusal) => tell(refusal.message));
    });
    const mark = Object.assign(document.createElement("span"), { className: `key key-${run.index % 8}` });
    label.append(box, mark, nameOf(run));
    return label;
  }

  function nameOf(run) {
    return run.fold === "all" ? `seed ${run.seed}` : `seed ${run.seed}, ${run.fold}`;
  }

  /** One point; what the events repeat of what was loaded before is known by its epoch. */
  function add(run, name, step, value) {
    const curve = (run.curves[name] ||= { steps: [], values: [] });
    const last = curve.steps.at(-1);
    if (last === undefined || step > last) {
      curve.steps.push(step);
      curve.values.push(value);
    } else if (!curve.steps.includes(step)) {
      const place = curve.steps.findIndex((each) => each > step);
      curve.steps.splice(place, 0, step);
      curve.values.splice(place, 0, value);
    }
  }

  function linesOf(name) {
    return [...runs.values()].filter((run) => run.shown && run.curves[name]).map((run) => (
      { label: nameOf(run), index: run.index, xs: run.curves[name].steps, ys: run.curves[name].values }
    ));
  }

  /** The mean over several lines, epoch by epoch. */
  function meanOf(lines) {
    const sums = new Map();
    for (const line of lines) line.xs.forEach((step, at) => {
      const [sum, count] = sums.get(step) || [0, 0];
      sums.set(step, [sum + line.ys[at], count + 1]);
    });
    const xs = [...sums.keys()].sort((a, b) => a - b);
    return { xs, ys: xs.map((step) => sums.get(step)[0] / sums.get(step)[1]) };
  }

  /** How far the student follows each teacher: the mean over the runs shown. */
  function follows(names) {
    return names.map((name, index) => ({ label: name.slice(FOLLOWS.length), index, width: 3, ...meanOf(linesOf(name)) }));
  }

  /** The same for each class, a small chart each; asked for only by who wants to see it, since it is much. */
  async function drawClasses() {
    const found = await ask(`${path}/metrics?by_class=true`);
    const lines = new Map(); // by class, by teacher
    for (const run of found.runs.filter((each) => runs.get(each.run_id)?.shown)) {
      for (const [name, curve] of Object.entries(run.curves)) {
        const [teacher, index] = name.slice(`by_class/${FOLLOWS}`.length).split("/");
        const teachers = lines.get(Number(index)) || new Map();
        lines.set(Number(index), teachers.set(teacher, [...(teachers.get(teacher) || []), { xs: curve.steps, ys: curve.values }]));
      }
    }
    for (const index of [...lines.keys()].sort((a, b) => a - b)) {
      if (!ofClasses.has(index)) ofClasses.set(index, new Chart(document.getElementById("class-charts"), { title: classes[index] || `class ${index}`, sync: "classes", legend: true }));
      ofClasses.get(index).draw([...lines.get(index)].sort().map(([label, each], at) => ({ label, index: at, width: 3, ...meanOf(each) })));
    }
  }

  function grid(title) {
    const heading = Object.assign(document.createElement("h3"), { textContent: title });
    const place = Object.assign(document.createElement("div"), { className: "grid" });
    charts.append(heading, place);
    return place;
  }

  function chartOf(group, title, options) {
    const key = `${group}/${title}`;
    if (!drawn.has(key)) {
      if (!drawn.has(group)) {
        if (!drawn.size) charts.replaceChildren();
        drawn.set(group, grid(group));
      }
      drawn.set(key, new Chart(drawn.get(group), { title, sync: "epochs", ...options }));
    }
    return drawn.get(key);
  }

  function draw() {
    drawing = 0;
    const names = [...new Set([...runs.values()].flatMap((run) => Object.keys(run.curves)))];
    const terms = names.filter((name) => !name.startsWith(FOLLOWS) && !isOnlyTerm(name, names)).sort(byNetwork);
    const followed = names.filter((name) => name.startsWith(FOLLOWS));
    for (const name of terms.filter((each) => each.startsWith("student/"))) term(name);
    if (followed.length) chartOf("Which teacher the student follows", "mean weight of each teacher, over the runs shown", { wide: true, legend: true }).draw(follows(followed));
    byClass.hidden = !followed.length;
    for (const name of terms.filter((each) => !each.startsWith("student/"))) term(name);
  }

  /** A teacher's whole loss where it has one term is that term once more. */
  function isOnlyTerm(name, names) {
    const [network, what] = name.split("/");
    return what === "total" && names.filter((each) => each.startsWith(`${network}/`)).length === 2;
  }

  function term(name) {
    const [network, ...rest] = name.split("/");
    const what = rest.join("/");
    const about = TERMS[what] ? `${what}: ${TERMS[what]}` : what;
    const [group, title] = network === "student" ? ["Student", about] : ["Teachers", `${network}, ${about}`];
    chartOf(group, title, {}).draw(linesOf(name), { log: log.checked });
  }

  /** The whole loss first, then its terms; the student before its teachers. */
  function byNetwork(a, b) {
    const rank = (name) => [name.startsWith("student/") ? 0 : 1, name.split("/")[0], name.endsWith("/total") ? 0 : 1, name];
    const [left, right] = [rank(a), rank(b)];
    for (let at = 0; at < left.length; at += 1) if (left[at] !== right[at]) return left[at] < right[at] ? -1 : 1;
    return 0;
  }

  function redraw() {
    if (!drawing) drawing = requestAnimationFrame(draw);
  }

  let refreshing = 0;

  /** State and runs are the server's to tell; asked for once a second at most, however many events come. */
  function refresh(finished) {
    refreshing ||= setTimeout(() => { refreshing = 0; htmx.trigger(document.body, "changed"); }, 1000);
    if (finished && byClass.open) drawClasses().catch((refusal) => tell(refusal.message));
    if (finished) setTimeout(() => htmx.trigger(document.body, "finished"), 1200);
  }

  const lines = document.getElementById("log-lines");
  let source;
  let noted = 0;

  /** Whether the page shows a state that may change; the events of a job that had ended tell nothing new. */
  function goesOn() {
    return document.getElementById("status").dataset.ended === "0";
  }


  /** Tells what happened, in one line; events that come again after a break are known by their numbers. */
  function note({ seq, at, data }, text) {
    if (seq <= noted) return;
    noted = seq;
    const line = make("li", { className: text.startsWith("warning") ? "warn" : "" });
    line.append(make("time", { dateTime: at, textContent: new Date(at).toLocaleTimeString(), title: at }), text + (data.detail && !text.startsWith("warning") ? ` (${data.cause}: ${data.detail})` : ""));
    lines.append(line);
    lines.parentElement.scrollTop = lines.parentElement.scrollHeight;
  }

  /** Listens from the job's first event to its last, and again when it was resumed or tried again. */
  function listen() {
    if (source && (!goesOn() || source.readyState !== EventSource.CLOSED)) return;
    source = new EventSource(`${path}/events`);
    source.onopen = () => { said.textContent = goesOn() ? "live" : ""; };
    // Closed for good is an answer of 204, by which the service says that the job has ended.
    source.onerror = () => { said.textContent = source.readyState === EventSource.CLOSED || !goesOn() ? "" : "the connection is lost; trying again"; };
    source.addEventListener("run.epoch", (event) => {
      const { data } = JSON.parse(event.data);
      const run = addRun(data.run_id, data.seed, data.fold);
      for (const [name, value] of Object.entries(data.metrics)) add(run, name, data.epoch, value);
      redraw();
      if (goesOn()) refresh(false);
    });
    source.addEventListener("run.state", (event) => {
      const found = JSON.parse(event.data);
      const run = addRun(found.data.run_id, found.data.seed, found.data.fold);
      note(found, `${nameOf(run)}: ${found.data.state}`);
      if (goesOn()) refresh(found.data.state === "succeeded");
    });
    source.addEventListener("job.state", (event) => {
      const found = JSON.parse(event.data);
      note(found, `job: ${found.data.state}`);
      if (goesOn()) refresh(found.data.state === "succeeded");
    });
    source.addEventListener("warning", (event) => {
      const found = JSON.parse(event.data);
      note(found, `warning, seed ${found.data.seed}: ${found.data.detail}`);
    });
  }

  document.addEventListener("DOMContentLoaded", async () => {
    log.addEventListener("change", redraw);
    byClass.addEventListener("toggle", () => { if (byClass.open) drawClasses().catch((refusal) => tell(refusal.message)); });
    try {
      const found = await ask(`${path}/metrics`);
      for (const each of found.runs) {
        const run = addRun(each.run_id, each.seed, each.fold);
        for (const [name, curve] of Object.entries(each.curves)) curve.steps.forEach((step, at) => add(run, name, step, curve.values[at]));
      }
      draw();
    } catch (refusal) {
      tell(refusal.message);
    }
    listen();
    document.addEventListener("htmx:afterSwap", listen);
  });
}
