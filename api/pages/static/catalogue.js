// Datasets that are uploaded or made, and versions that are promoted.
"use strict";
{
  const upload = document.getElementById("upload");
  const making = document.getElementById("make");
  const changed = () => htmx.trigger(document.body, "changed");

  /** Sends the zip and shows how much of it has gone; `fetch` does not tell. */
  function send(form) {
    const request = new XMLHttpRequest();
    const sent = document.getElementById("sent");
    const text = document.getElementById("sent-text");
    const button = form.querySelector("button");
    const body = new FormData();
    if (form.elements.name.value) body.append("name", form.elements.name.value);
    body.append("file", form.elements.file.files[0]);
    request.upload.addEventListener("progress", (event) => {
      sent.value = event.loaded / event.total;
      text.textContent = `${Math.round((100 * event.loaded) / event.total)} %`;
    });
    request.addEventListener("loadend", () => {
      sent.hidden = true;
      button.disabled = false;
      if (request.status === 202) {
        text.textContent = "Uploaded; it is being read.";
        form.reset();
        changed();
      } else {
        text.textContent = reason(request.status, request.responseText);
      }
    });
    sent.hidden = false;
    button.disabled = true;
    request.open("POST", "/v1/datasets");
    for (const [name, value] of Object.entries({ "Idempotency-Key": newKey(), ...proof() })) request.setRequestHeader(name, value);
    request.send(body);
  }

  async function makeOne(form) {
    const { name, subjects, trials } = form.elements;
    const body = { name: name.value, source: { kind: "synthetic", subjects: Number(subjects.value), trials: Number(trials.value) } };
    try {
      await ask("/v1/datasets", { method: "POST", headers: { "Content-Type": "application/json", "Idempotency-Key": newKey() }, body: JSON.stringify(body) });
      form.reset();
      changed();
    } catch (refusal) {
      tell(refusal.message);
    }
  }

  /** Lets `champion` name another version, if it still names the one that the page showed. */
  async function promote({ model, promotes }) {
    const path = `/v1/models/${encodeURIComponent(model)}/aliases/champion`;
    if (!confirm(`Let version ${promotes} of ${model} answer from now on?`)) return;
    try {
      const before = await fetch(path);
      const condition = before.ok ? { "If-Match": before.headers.get("ETag") } : { "If-None-Match": "*" };
      await ask(path, { method: "PUT", headers: { "Content-Type": "application/json", ...condition }, body: JSON.stringify({ version: Number(promotes) }) });
      tell(`Version ${promotes} answers now.`, { good: true });
      changed();
    } catch (refusal) {
      tell(refusal.message);
    }
  }

  upload?.addEventListener("submit", (event) => { event.preventDefault(); send(upload); });
  making?.addEventListener("submit", (event) => { event.preventDefault(); makeOne(making); });
  document.addEventListener("click", (event) => {
    const button = event.target.closest("[data-promotes]");
    if (button) promote(button.dataset);
  });
}
