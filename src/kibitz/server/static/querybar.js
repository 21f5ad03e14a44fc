// The query bar: the list follows what is typed, what may come next is offered, a mistake is shown in its place.
// The bar stands outside of what answers replace, so that nothing that is typed meanwhile is lost.

import { complete, fromCharacters, write } from "./completion.js";
import { fetchPart, sayTimes, toast, visit } from "./parts.js";

const PAUSE_MS = 350;
const PARTS = ["results", "list-head", "drawer"];

const box = document.getElementById("search");
const form = box?.form;
const offers = document.getElementById("query-offers");
const flaw = document.getElementById("query-flaw");
const caret = document.getElementById("query-caret");
const results = () => document.getElementById("results");

// The list

let timer = 0;
let control = null;
let refused = null; // The text that could not be asked.
let elsewhere = null; // What the bar held when a click elsewhere asked for the list.

function address() {
  const pairs = [...new FormData(form)].filter(([name, value]) => name !== "q" || value.trim());
  const query = new URLSearchParams(pairs).toString();
  return form.getAttribute("action") + (query && `?${query}`);
}

// The answer to a later question replaces the one before, whichever comes first.
async function ask(typing) {
  clearTimeout(timer);
  if (elsewhere !== null) return; // Its answer brings the text up to date.
  control?.abort();
  const mine = new AbortController();
  control = mine;
  const text = box.value;
  const url = address();
  try {
    const response = await fetchPart(url, "results", { signal: mine.signal, headers: typing ? { "kibitz-typing": "1" } : {} });
    if (response.status === 204) {
      refused = text;
      showFlaw();
      return;
    }
    if (!response.ok && response.status !== 400) {
      toast(`The server answered ${response.status}`);
      return;
    }
    const page = new DOMParser().parseFromString(await response.text(), "text/html");
    if (mine.signal.aborted) return;
    for (const id of PARTS) put(page.getElementById(id), document.getElementById(id));
    hideFlaw();
    visit(url, typing);
    document.dispatchEvent(new CustomEvent("kibitz:list"));
    if (box.value !== text) follow();
  } catch (error) {
    if (error.name !== "AbortError") toast("The server cannot be reached");
  } finally {
    if (control === mine) control = null;
  }
}

function put(fresh, old) {
  if (!fresh || !old) return;
  old.replaceWith(fresh);
  window.htmx?.process(fresh);
  sayTimes(fresh);
}

function follow() {
  clearTimeout(timer);
  if (box.value.trim() !== results().dataset.text || control) timer = setTimeout(ask, PAUSE_MS, true);
}

// What a click elsewhere made of the text is taken over, unless something was typed since.

document.addEventListener("htmx:beforeRequest", (event) => {
  if (!box || event.detail.target.id !== "results") return;
  clearTimeout(timer);
  control?.abort();
  elsewhere = box.value;
});

document.addEventListener("htmx:afterSettle", (event) => {
  if (!box || event.target.id !== "results") return;
  const typed = box.value !== elsewhere;
  elsewhere = null;
  if (typed) follow();
  else box.value = results().dataset.text;
  hideFlaw();
});

for (const failure of ["htmx:sendError", "htmx:responseError", "htmx:sendAbort"]) {
  document.addEventListener(failure, () => { elsewhere = null; });
}

// A mistake while somebody types: in words, and with a caret below its place.

let wrong = null;

function told(answer, text) {
  wrong = answer.error ? { ...answer.error, text } : null;
  showFlaw();
}

// Two answers tell of it, whichever comes first: that the text cannot be asked, and why.
function showFlaw() {
  const text = box.value;
  if (wrong?.text !== text || refused !== text) return;
  const { message, position, length, suggestion } = wrong;
  flaw.querySelector("[data-says]").textContent = message;
  const mend = flaw.querySelector("button");
  mend.hidden = !suggestion;
  mend.textContent = suggestion ? `Use ${suggestion}` : "";
  mend.onclick = () => write(box, suggestion, [fromCharacters(text, position), fromCharacters(text, position + length)]);
  flaw.hidden = false;
  caret.hidden = false;
  caret.textContent = "^".repeat(Math.max(1, Math.min(length, 40)));
  caret.style.left = `calc(var(--query-inset) + ${position}ch - ${box.scrollLeft}px)`;
}

function hideFlaw() {
  refused = null;
  flaw.hidden = true;
  caret.hidden = true;
}

if (box) {
  const { close } = complete(box, offers, { project: form.dataset.project, url: form.dataset.complete, told });
  box.addEventListener("input", () => {
    flaw.hidden = true;
    caret.hidden = true;
    follow();
  });
  box.addEventListener("scroll", () => { caret.hidden = true; });
  form.addEventListener("submit", (event) => {
    event.preventDefault();
    close();
    ask(false);
  });
  // What was typed before this script ran.
  follow();
}
