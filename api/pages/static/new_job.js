// A new job: the form of its spec, an estimate after every change, and the submission.
"use strict";
{
  const form = document.getElementById("spec");
  const { schema, presets, first, spec, datasets, dataset } = JSON.parse(form.dataset.described);
  const preset = document.getElementById("preset");
  const place = document.getElementById("fields");
  const estimate = document.getElementById("estimate");
  const general = document.getElementById("faults");
  const submit = document.getElementById("submit");
  // What a recipe does not say; it stays when another is chosen.
  const KEPT = ["name", "dataset", "protocol", "validation", "test", "seeds", "resources"];
  const GROUPS = [
    ["Job", ["name", "dataset", "seeds", "protocol", "validation", "test"]], ["Method", ["method"]], ["Student", ["student", "feature_dim"]],
    ["Training", ["training"]], ["Preprocessing and augmentation", ["preprocess", "augment", "augment_teachers"]], ["Resources", ["resources"]],
  ];
  const EDIT_MS = 350;
  // One key for this page: a submission that is repeated because its answer was lost makes no second job.
  const key = newKey();
  let parts = {};
  let schemaForm;
  let asked = 0;
  let waiting;

  function show(values) {
    schemaForm = new SchemaForm(schema, { choices: { "/dataset": datasets }, changed: look });
    parts = {};
    const known = new Set(GROUPS.flatMap(([, names]) => names));
    const others = Object.keys(schema.properties).filter((name) => !known.has(name));
    place.replaceChildren(...[...GROUPS, ["Further", others]].filter(([, names]) => names.length).map(([title, names], at) => groupOf(title, names, values, at === 0)));
  }

  function groupOf(title, names, values, open) {
    const box = make(open ? "fieldset" : "details", { className: "group" });
    const fields = make("div", { className: "fields" });
    for (const name of names) {
      // A group that is one field's alone needs no second frame.
      const given = schemaForm.resolve(schema.properties[name]);
      const alone = names.length === 1 && given.type === "object";
      parts[name] = alone ? schemaForm.properties(given, values[name], `/${name}`) : schemaForm.build(name, given, values[name], `/${name}`, { open: true });
    }
    if (names.length === 1) {
      box.append(make(open ? "legend" : "summary", { textContent: title }), parts[names[0]].element);
      return box;
    }
    const elements = names.map((name) => parts[name].element);
    fields.append(...elements.filter((each) => each.matches(".field")), ...elements.filter((each) => !each.matches(".field")));
    box.append(make(open ? "legend" : "summary", { textContent: title }), fields);
    return box;
  }

  function read() {
    return Object.fromEntries(Object.entries(parts).map(([name, part]) => [name, part.read()]));
  }

  /** What the service says of the spec as it stands; only the answer to the last edit counts. */
  async function check() {
    const mine = (asked += 1);
    try {
      const found = await ask("/v1/jobs?dry_run=true", { method: "POST", headers: { "Content-Type": "application/json" }, body: JSON.stringify(read()) });
      if (mine !== asked) return;
      showFaults([]);
      showEstimate(found);
    } catch (refusal) {
      if (mine !== asked) return;
      showRefusal(refusal);
      estimate.replaceChildren(make("p", { className: "muted", textContent: "No estimate while something is wrong." }));
    }
  }

  function showRefusal(refusal) {
    showFaults(refusal.problem?.errors ?? [{ detail: [refusal.problem?.detail ?? refusal.message, ...(refusal.problem?.missing ?? [])].join("; ") }]);
  }

  function showFaults(faults) {
    const rest = schemaForm.showFaults(faults);
    general.replaceChildren(...rest.map(({ detail }) => make("p", { className: "note bad", textContent: detail })));
    const elsewhere = faults.length - rest.length;
    if (elsewhere) general.append(make("p", { className: "note bad", textContent: elsewhere === 1 ? "One field needs another value." : `${elsewhere} fields need another value.` }));
    submit.disabled = faults.length > 0;
  }

  function showEstimate({ runs, epochs, steps, folds }) {
    if (folds === null) {
      estimate.replaceChildren(make("p", { textContent: "The dataset is still being imported. The job waits for it." }));
      return;
    }
    const facts = make("dl");
    for (const [term, value] of [["Runs", `${runs} (seeds × folds)`], ["Epochs of a run", epochs], ["Optimisation steps in all", steps.toLocaleString()]]) {
      facts.append(make("dt", { className: "muted", textContent: term }), make("dd", { textContent: value }));
    }
    const table = make("table");
    table.append(make("caption", { textContent: "Recordings" }));
    const head = table.createTHead().insertRow();
    for (const name of ["Fold", "Train", "Valid.", "Test"]) head.append(make("th", { scope: "col", textContent: name }));
    const body = table.createTBody();
    for (const fold of folds) {
      const row = body.insertRow();
      row.append(make("th", { scope: "row", textContent: fold.fold }));
      for (const part of ["train", "validation", "test"]) row.append(make("td", { className: "n", textContent: fold[part] }));
    }
    const scroll = make("div", { className: "scroll", tabIndex: 0, role: "region", ariaLabel: "Recordings by fold" });
    scroll.append(table);
    estimate.replaceChildren(facts, scroll);
  }

  function look() {
    clearTimeout(waiting);
    waiting = setTimeout(check, EDIT_MS);
  }

  form.addEventListener("input", (event) => { if (event.target !== preset) look(); });
  preset.addEventListener("change", () => {
    const now = read();
    const recipe = presets[preset.value] ?? spec;
    show({ ...recipe, ...Object.fromEntries(KEPT.map((name) => [name, now[name]])) });
    look();
  });
  form.addEventListener("submit", async (event) => {
    event.preventDefault();
    clearTimeout(waiting);
    submit.disabled = true;
    try {
      const job = await ask("/v1/jobs", { method: "POST", headers: { "Content-Type": "application/json", "Idempotency-Key": key }, body: JSON.stringify(read()) });
      location.assign(`/jobs/${job.id}`);
    } catch (refusal) {
      submit.disabled = false;
      if (refusal.problem) showRefusal(refusal);
      else tell(refusal.message);
      document.querySelector("[aria-invalid]")?.focus();
    }
  });

  // The other scripts have run by then.
  document.addEventListener("DOMContentLoaded", () => {
    show({ ...(spec ?? presets[first]), ...(spec ? {} : { dataset: dataset || datasets[0] || null }) });
    if (datasets.length || spec) check();
  });
}
