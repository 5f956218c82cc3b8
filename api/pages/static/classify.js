// A dropped file: sent, answered, and shown as a trace with its labels; nothing is kept but in this page.
"use strict";
{
  const form = document.getElementById("classify");
  const drop = document.getElementById("drop");
  const file = document.getElementById("file");
  const busy = document.getElementById("busy");
  const answer = document.getElementById("answer");
  let given; // the file that was chosen last
  let found; // the answer to it
  let chart;

  const per_cent = (fraction) => `${(100 * fraction).toFixed(1)} %`;
  const seconds = (value) => `${value.toFixed(2)} s`;
  const byId = (id) => document.getElementById(id);


  async function send() {
    if (!given) return;
    const asked = new FormData(form);
    const query = new URLSearchParams();
    for (const name of ["version", "rate_hz", "unit", "columns"]) if (asked.get(name)) query.set(name, asked.get(name));
    const body = new FormData();
    body.append("file", given, given.name);
    busy.textContent = `Reading ${given.name} …`;
    try {
      const said = await ask(`/classify/${encodeURIComponent(asked.get("model"))}?${query}`, { method: "POST", body });
      found = said.answer;
      show(said);
      busy.textContent = "Done. Drop another one at any time.";
    } catch (refusal) {
      answer.hidden = true;
      busy.textContent = refusal.message;
      tell(refusal.message);
    }
  }

  function show({ trace }) {
    answer.hidden = false;
    byId("answer-file").textContent = given.name;
    byId("answer-label").textContent = found.label;
    const { model } = found;
    const test = model.test ? `${per_cent(model.test.accuracy)} of ${model.test.n} test recordings right` : "not tested";
    byId("answer-model").textContent = `${model.name}, version ${model.version}, trained on ${model.dataset}: ${test}`;
    byId("warnings").replaceChildren(...[...found.warnings, ...found.input.repairs].map((text) => make("p", { className: "note warn", textContent: text })));
    draw(trace);
    showTables();
    showInput();
    answer.focus({ preventScroll: true });
    answer.scrollIntoView({ block: "start" });
  }

  /** Labels in order of appearance. */
  function labels() {
    return [...new Set(found.segments.map((segment) => segment.label))];
  }

  function draw(trace) {
    chart ||= new Chart(byId("trace"), { title: "Acceleration in g", wide: true, height: 260, legend: true, x: "time in s", hooks: timelineHooks(() => found.segments, labels) });
    const line = (label, index) => ({ label, index, width: 1, xs: trace.t_s, ys: trace[label] });
    chart.draw([line("x", 0), line("y", 1), line("z", 2)]);
    chart.make();
    chart.place.setAttribute("aria-label", `Acceleration over ${seconds(found.input.duration_s)}, labelled ${found.segments.map((each) => `${each.label} from ${seconds(each.start_s)} to ${seconds(each.end_s)}`).join(", ")}`);
    showLegend(byId("legend"), labels());
  }

  function showTables() {
    byId("probabilities").replaceChildren(...Object.entries(found.probabilities).slice(0, 12).map(([name, value]) => {
      const row = make("tr");
      const bar = make("td");
      bar.append(make("meter", { min: 0, max: 1, value, ariaLabel: `${name}: ${per_cent(value)}` }));
      row.append(make("th", { scope: "row", textContent: name }), make("td", { className: "n", textContent: per_cent(value) }), bar);
      return row;
    }));
    byId("segments").replaceChildren(...found.segments.map((segment) => {
      const row = make("tr");
      row.append(...[seconds(segment.start_s), seconds(segment.end_s), segment.label, per_cent(segment.probability)].map((text, at) => make("td", { className: at === 2 ? "" : "n", textContent: text })));
      return row;
    }));
  }

  function showInput() {
    const { input } = found;
    const facts = {
      Samples: input.samples.toLocaleString(), Duration: seconds(input.duration_s), Rate: `${number(input.rate_hz)} Hz (${input.rate_found})`, Unit: input.unit,
      Columns: input.columns.join(", "), "Time column": input.time_column ?? "none", Gravity: { true: "seen", false: "absent" }[input.gravity] ?? "unknown", Gaps: input.gaps.length,
    };
    byId("understood").replaceChildren(...Object.entries(facts).map(([term, value]) => {
      const item = make("div");
      item.append(make("dt", { textContent: term }), make("dd", { textContent: value }));
      return item;
    }));
  }

  function save(name, type, text) {
    const link = make("a", { href: URL.createObjectURL(new Blob([text], { type })), download: name });
    link.click();
    setTimeout(() => URL.revokeObjectURL(link.href), 1000);
  }

  const stem = () => given.name.replace(/\.[^.]*$/, "");
  const cell = (value) => (/[",\n]/.test(value) ? `"${String(value).replaceAll('"', '""')}"` : value);

  function take(files) {
    if (files.length) {
      [given] = files;
      send();
    }
  }

  if (form) {
    file.addEventListener("change", () => take(file.files));
    form.addEventListener("submit", (event) => { event.preventDefault(); send(); });
    form.addEventListener("change", (event) => { if (event.target !== file) send(); });
    for (const name of ["dragenter", "dragover"]) drop.addEventListener(name, (event) => { event.preventDefault(); drop.classList.add("over"); });
    for (const name of ["dragleave", "drop"]) drop.addEventListener(name, () => drop.classList.remove("over"));
    drop.addEventListener("drop", (event) => { event.preventDefault(); take(event.dataTransfer.files); });
    byId("save-json").addEventListener("click", () => save(`${stem()}.labels.json`, "application/json", JSON.stringify(found, null, 2)));
    byId("save-csv").addEventListener("click", () => {
      const rows = found.segments.map((each) => [each.start_s, each.end_s, each.label, each.probability].map(cell).join(","));
      save(`${stem()}.segments.csv`, "text/csv", `${["start_s,end_s,label,probability", ...rows].join("\n")}\n`);
    });
  }
}
