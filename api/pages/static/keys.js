// A new API key: asked for, and shown this once.
"use strict";
{
  const form = document.getElementById("make");
  const fault = document.getElementById("fault");
  const made = document.getElementById("made");
  const secret = document.getElementById("secret");
  // A key that is asked for again because its answer was lost is made once.
  let once = newKey();

  async function makeKey() {
    const { name, expires } = form.elements;
    const scopes = [...form.querySelectorAll("[name=scopes]:checked")].map((box) => box.value);
    const body = { name: name.value, scopes, expires_at: expires.value ? new Date(expires.value).toISOString() : null };
    fault.hidden = true;
    try {
      const found = await ask("/v1/keys", { method: "POST", headers: { "Content-Type": "application/json", "Idempotency-Key": once }, body: JSON.stringify(body) });
      secret.textContent = found.key ?? "was shown already";
      made.hidden = false;
      made.focus();
      form.reset();
      htmx.trigger(document.body, "changed");
    } catch (refusal) {
      const faults = refusal.problem?.errors ?? [];
      fault.textContent = faults.map(({ pointer, detail }) => `${(pointer ?? "").slice(1)} ${detail}`.trim()).join("; ") || refusal.message;
      fault.hidden = false;
      if (!refusal.problem) return;
    }
    once = newKey();
  }

  form.addEventListener("submit", (event) => { event.preventDefault(); makeKey(); });
  document.getElementById("copy").addEventListener("click", async () => {
    await navigator.clipboard.writeText(secret.textContent);
    tell("Copied.", { good: true });
  });
}
