// Parts of a page in which something goes on: asked for again while it does and somebody looks.
// Such a part has an id and, as `data-follow`, its address; the last answer has none, and that is the end.

import { fetchPart, sayTimes } from "./parts.js";

const PAUSE_MS = 1500;
const AWAY_MS = 6000;

async function look(part) {
  const url = part.dataset.follow;
  const response = await fetchPart(url, part.id, { cache: "no-store" });
  if (!response.ok) return;
  const page = new DOMParser().parseFromString(await response.text(), "text/html");
  const fresh = page.getElementById(part.id);
  const here = document.getElementById(part.id);
  if (!fresh || here !== part || here.dataset.follow !== url || same(here, fresh)) return;
  keep(here, fresh);
  const focused = here.contains(document.activeElement) ? path(document.activeElement) : null;
  here.replaceWith(fresh);
  if (focused) find(fresh, focused)?.focus({ preventScroll: true });
  window.htmx?.process(fresh);
  sayTimes(fresh);
}

// Times are said anew by the page itself, and folds are the reader's: neither makes a part another one.
function same(here, fresh) {
  const plain = (part) => {
    const copy = part.cloneNode(true);
    for (const time of copy.querySelectorAll("time")) time.replaceWith(time.dateTime);
    for (const each of copy.querySelectorAll("details")) each.open = false;
    return copy.textContent + (copy.dataset.follow ?? "");
  };
  return plain(here) === plain(fresh);
}

function keep(here, fresh) {
  for (const fold of here.querySelectorAll("details[id]")) {
    const other = fresh.querySelector(`#${CSS.escape(fold.id)}`);
    if (other) other.open = fold.open;
  }
}

// Where the reader was, as something that the new part has too.
function path(element) {
  const around = element.closest("[id]");
  const all = [...around.querySelectorAll("a, button, summary, input, select")];
  return [around.id, all.indexOf(element)];
}

function find(fresh, [id, index]) {
  const around = fresh.id === id ? fresh : fresh.querySelector(`#${CSS.escape(id)}`);
  return index < 0 ? around : around?.querySelectorAll("a, button, summary, input, select")[index];
}

async function round() {
  let wait = PAUSE_MS;
  const busy = document.hidden || document.querySelector(".menu:popover-open");
  if (!busy) {
    try {
      for (const part of document.querySelectorAll("[data-follow]")) await look(part);
    } catch {
      wait = AWAY_MS;
    }
  }
  setTimeout(round, wait);
}

document.addEventListener("visibilitychange", () => {
  if (!document.hidden) for (const part of document.querySelectorAll("[data-follow]")) look(part).catch(() => {});
});
setTimeout(round, PAUSE_MS);
