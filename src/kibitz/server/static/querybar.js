// The query bar: the list follows what is typed, what may come next is offered, a mistake is shown in its place.
// The bar stands outside of what answers replace, so that nothing that is typed meanwhile is lost.

import { fetchPart, sayTimes, toast, visit } from "./parts.js";

const PAUSE_MS = 350;
const COMPLETE_MS = 90;
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

// What may come next. Places are counted in characters by the server and in halves of some of them here.

let items = [];
let span = [0, 0];
let active = -1;
let wrong = null;
let soon = 0;
let completing = null;

const toCharacters = (text, at) => [...text.slice(0, at)].length;
const fromCharacters = (text, at) => [...text].slice(0, at).join("").length;

function completeSoon() {
  clearTimeout(soon);
  soon = setTimeout(complete, COMPLETE_MS);
}

async function complete() {
  clearTimeout(soon);
  completing?.abort();
  completing = new AbortController();
  const text = box.value;
  const cursor = toCharacters(text, box.selectionStart ?? text.length);
  try {
    const response = await fetch(form.dataset.complete, {
      method: "POST",
      headers: { "content-type": "application/json" },
      body: JSON.stringify({ project: form.dataset.project, text, cursor }),
      signal: completing.signal,
      credentials: "same-origin",
    });
    if (!response.ok || box.value !== text) return;
    const answer = await response.json();
    wrong = answer.error ? { ...answer.error, text } : null;
    showFlaw();
    span = [fromCharacters(text, answer.from), fromCharacters(text, answer.to)];
    items = document.activeElement === box ? answer.items.filter((each) => each.text !== text.slice(...span)) : [];
    drawOffers();
  } catch (error) {
    if (error.name !== "AbortError") closeOffers();
  }
}

function drawOffers() {
  active = -1;
  box.removeAttribute("aria-activedescendant");
  offers.replaceChildren(...items.map((each, at) => {
    const line = document.createElement("li");
    line.id = `offer-${at}`;
    line.className = `offer offer-${each.kind}`;
    line.setAttribute("role", "option");
    line.setAttribute("aria-selected", "false");
    const label = document.createElement("span");
    label.className = "offer-label clip";
    label.textContent = each.label;
    const detail = document.createElement("span");
    detail.className = "note";
    detail.textContent = [each.detail, each.count?.toLocaleString("en")].filter(Boolean).join(" · ");
    line.append(label, detail);
    return line;
  }));
  offers.hidden = !items.length;
  box.setAttribute("aria-expanded", String(items.length > 0));
}

function closeOffers() {
  clearTimeout(soon);
  completing?.abort();
  items = [];
  drawOffers();
}

function choose(at) {
  offers.children[active]?.setAttribute("aria-selected", "false");
  active = at;
  const line = offers.children[at];
  line.setAttribute("aria-selected", "true");
  line.scrollIntoView({ block: "nearest" });
  box.setAttribute("aria-activedescendant", line.id);
}

function write(text, [from, to]) {
  box.focus();
  box.setRangeText(text, from, to, "end");
  box.dispatchEvent(new Event("input", { bubbles: true }));
}

function accept(at) {
  const { text } = items[at];
  const rest = box.value.slice(span[1]);
  write(/[(.\s]$/.test(text) || /^[\s,)]/.test(rest) ? text : `${text} `, span);
}

function onKey(event) {
  if (event.isComposing || event.ctrlKey && event.key !== " " || event.metaKey || event.altKey) return;
  const open = items.length > 0;
  if (event.key === "ArrowDown" || event.key === "ArrowUp") {
    if (open) choose((active + (event.key === "ArrowDown" ? 1 : active < 0 ? 0 : -1) + items.length) % items.length);
    else if (event.key === "ArrowDown") complete();
    else return;
  } else if (event.ctrlKey) complete();
  else if (event.key === "Tab" && open && !event.shiftKey) accept(Math.max(active, 0));
  else if (event.key === "Enter" && open && active >= 0) accept(active);
  else if (event.key === "Escape" && open) closeOffers();
  else return;
  event.preventDefault();
}

// A mistake while somebody types: in words, and with a caret below its place.

// Two answers tell of it, whichever comes first: that the text cannot be asked, and why.
function showFlaw() {
  const text = box.value;
  if (wrong?.text !== text || refused !== text) return;
  const { message, position, length, suggestion } = wrong;
  flaw.querySelector("[data-says]").textContent = message;
  const mend = flaw.querySelector("button");
  mend.hidden = !suggestion;
  mend.textContent = suggestion ? `Use ${suggestion}` : "";
  mend.onclick = () => write(suggestion, [fromCharacters(text, position), fromCharacters(text, position + length)]);
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
  box.setAttribute("role", "combobox");
  box.setAttribute("aria-autocomplete", "list");
  box.setAttribute("aria-controls", offers.id);
  box.setAttribute("aria-expanded", "false");
  box.addEventListener("input", () => {
    flaw.hidden = true;
    caret.hidden = true;
    follow();
    completeSoon();
  });
  box.addEventListener("keydown", onKey);
  box.addEventListener("blur", closeOffers);
  box.addEventListener("scroll", () => { caret.hidden = true; });
  offers.addEventListener("mousedown", (event) => event.preventDefault());
  offers.addEventListener("click", (event) => {
    const line = event.target.closest("[role=option]");
    if (line) accept([...offers.children].indexOf(line));
  });
  form.addEventListener("submit", (event) => {
    event.preventDefault();
    closeOffers();
    ask(false);
  });
  // What was typed before this script ran.
  follow();
}
