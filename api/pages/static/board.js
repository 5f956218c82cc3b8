// The leaderboard: two rows to compare, and a row's seeds below it.
"use strict";
{
  const form = document.getElementById("compare");
  const go = document.getElementById("go-compare");
  const chosen = document.getElementById("chosen");

  const boxes = () => [...form.querySelectorAll("[data-row]:checked")];

  function count() {
    const rows = boxes();
    go.disabled = rows.length !== 2;
    chosen.textContent = ["Choose two rows to compare them.", "One row is chosen; choose another.", "Two rows are chosen."][rows.length] ?? `${rows.length} rows are chosen; two can be compared.`;
  }

  async function expand(button) {
    const row = button.closest("tr");
    const open = button.getAttribute("aria-expanded") === "true";
    button.setAttribute("aria-expanded", String(!open));
    if (open) {
      row.nextElementSibling.remove();
      return;
    }
    const below = Object.assign(document.createElement("tr"), { className: "below" });
    const cell = Object.assign(document.createElement("td"), { className: "expanded", colSpan: row.cells.length });
    const place = document.createElement("div");
    cell.append(place);
    below.append(cell);
    row.after(below);
    await htmx.ajax("GET", button.dataset.expands, { target: place, select: "#seeds", swap: "innerHTML" });
  }

  form.addEventListener("change", count);
  form.addEventListener("click", (event) => {
    const button = event.target.closest("[data-expands]");
    if (button) expand(button);
  });
  form.addEventListener("submit", (event) => {
    event.preventDefault();
    const [a, b] = boxes().map((box) => box.value);
    if (b) location.assign(`/leaderboard/compare?a=${a}&b=${b}`);
  });
  if (go) count();
}
