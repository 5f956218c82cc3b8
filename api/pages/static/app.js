// What every page has: colours, times in the reader's zone, selects that submit, and refusals told where they are seen.
"use strict";

/** A new element. */
function make(tag, properties = {}) {
  return Object.assign(document.createElement(tag), properties);
}

/** What names one request, however often it is sent. */
function newKey() {
  return [...crypto.getRandomValues(new Uint8Array(16))].map((byte) => byte.toString(16).padStart(2, "0")).join("");
}

const THEMES = ["auto", "light", "dark"];

function theme() {
  return document.documentElement.dataset.theme || "auto";
}

function showTheme() {
  document.getElementById("theme-name").textContent = theme();
}

document.getElementById("theme").addEventListener("click", () => {
  const next = THEMES[(THEMES.indexOf(theme()) + 1) % THEMES.length];
  if (next === "auto") {
    delete document.documentElement.dataset.theme;
    localStorage.removeItem("theme");
  } else {
    document.documentElement.dataset.theme = next;
    localStorage.setItem("theme", next);
  }
  showTheme();
  document.dispatchEvent(new Event("recolour"));
});
matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => document.dispatchEvent(new Event("recolour")));
showTheme();

/** Shows times in the reader's own zone; UTC stays in the title. */
function localise(root) {
  for (const each of root.querySelectorAll("time[datetime]:not([title])")) {
    each.title = each.textContent;
    each.textContent = new Date(each.dateTime).toLocaleString([], { dateStyle: "medium", timeStyle: "short" });
  }
}

let hiding;

/** Tells the reader something that a request came to; what went wrong stays twice as long. */
function tell(text, { good = false } = {}) {
  const told = document.getElementById("told");
  told.textContent = text;
  told.classList.toggle("good", good);
  told.hidden = false;
  clearTimeout(hiding);
  hiding = setTimeout(() => { told.hidden = true; }, good ? 5000 : 10000);
}

/** What a problem+json answer says, or that there was none. */
function reason(status, text) {
  try {
    const problem = JSON.parse(text);
    return problem.title && problem.detail ? `${problem.title}: ${problem.detail}` : `the service answered ${status}`;
  } catch {
    return status ? `the service answered ${status}` : "the service does not answer; is it running?";
  }
}

/** What proves that a request comes from a page of the service: of one that signed in, its token. */
function proof() {
  const token = document.querySelector('meta[name="csrf"]')?.content;
  return token ? { "X-CSRF-Token": token } : {};
}

/** A request to the service; answers what came, and throws an Error with the problem in it. */
async function ask(path, options = {}) {
  let answer;
  try {
    answer = await fetch(path, { ...options, headers: { ...options.headers, ...proof() } });
  } catch {
    throw new Error(reason(0, ""));
  }
  const text = answer.status === 204 ? "" : await answer.text();
  if (!answer.ok) {
    const refusal = new Error(reason(answer.status, text));
    try { refusal.problem = JSON.parse(text); } catch { refusal.problem = null; }
    throw refusal;
  }
  return text ? JSON.parse(text) : null;
}

document.addEventListener("change", (event) => {
  if (event.target.matches("[data-submits]")) event.target.form.requestSubmit();
});

document.addEventListener("DOMContentLoaded", () => localise(document));
document.addEventListener("htmx:afterSwap", () => localise(document));
document.addEventListener("htmx:configRequest", (event) => Object.assign(event.detail.headers, proof()));
document.addEventListener("htmx:responseError", (event) => tell(reason(event.detail.xhr.status, event.detail.xhr.responseText)));
// A page that asks again and again says so once, in its state, not with a message every two seconds.
document.addEventListener("htmx:sendError", (event) => {
  if (event.detail.elt.matches("[data-changes]")) tell(reason(0, ""));
});
document.addEventListener("htmx:afterRequest", (event) => {
  if (!event.detail.successful) return;
  if (event.detail.elt.matches("[data-changes]")) htmx.trigger(document.body, "changed");
  if (event.detail.elt.matches("[data-leads]")) location.assign(event.detail.elt.dataset.leads);
});

let following;

/** One stream a page: told of a change, the part that shows it is asked for again. A hidden page holds no connection, of which browsers have few. */
function follow() {
  const part = document.hidden ? null : document.querySelector("[data-follows]");
  if (!part) {
    following?.close();
    following = null;
  } else if (!following) {
    following = new EventSource(part.dataset.follows);
    following.addEventListener("changed", () => htmx.trigger(document.body, "changed"));
  }
}

for (const happening of ["DOMContentLoaded", "visibilitychange", "htmx:afterSwap"]) document.addEventListener(happening, follow);
