// Lists: a click or keys open, select and filter; the drawer; watching for new calls.

import { fetchPart, sayTimes, swapPart, visit } from "./parts.js";

const POLL_MS = 1500;
const AWAY_MS = 5000;

const list = () => document.getElementById("list");
const results = () => document.getElementById("results");
const rows = () => [...document.querySelectorAll("tr[data-row]")];
const linkOf = (row) => row?.querySelector("[data-row-link]");
const selected = new Set();
let currentId = null;

// Moving

function currentRow() {
  const focused = document.activeElement?.closest?.("tr[data-row]");
  if (focused) return focused;
  return rows().find((row) => row.dataset.row && row.dataset.row === currentId) ?? document.querySelector("tr.is-open");
}

function move(by) {
  const all = rows();
  if (!all.length) return;
  const at = all.indexOf(currentRow());
  const row = all[at < 0 ? (by > 0 ? 0 : all.length - 1) : Math.min(Math.max(at + by, 0), all.length - 1)];
  currentId = row.dataset.row;
  linkOf(row).focus({ preventScroll: true });
  row.scrollIntoView({ block: "nearest" });
  if (!document.getElementById("drawer")?.hidden && linkOf(row).dataset.open) openSoon(row);
}

let soon = 0;
function openSoon(row) {
  clearTimeout(soon);
  soon = setTimeout(() => open(row, true), 120);
}

// The drawer

async function open(row, replace = false) {
  const link = linkOf(row);
  currentId = row.dataset.row;
  if (!link.dataset.open) {
    location.href = link.href;
    return;
  }
  const drawer = await swapPart(link.dataset.open, "drawer");
  if (!drawer) return;
  visit(link.dataset.open, replace);
  drawer.scrollTop = 0;
  markOpen();
}

function close() {
  const drawer = document.getElementById("drawer");
  if (!drawer || drawer.hidden) return false;
  visit(drawer.dataset.close);
  drawer.hidden = true;
  drawer.replaceChildren();
  markOpen();
  linkOf(currentRow())?.focus({ preventScroll: true });
  return true;
}

function markOpen() {
  const drawer = document.getElementById("drawer");
  const id = drawer?.hidden ? null : drawer?.querySelector("#call")?.dataset.id;
  list()?.toggleAttribute("data-drawer", Boolean(id));
  for (const row of rows()) row.classList.toggle("is-open", row.dataset.row === id);
}

document.addEventListener("click", (event) => {
  if (event.defaultPrevented || event.button || event.ctrlKey || event.metaKey || event.shiftKey || event.altKey) return;
  if (event.target.closest("#drawer-close")) {
    event.preventDefault();
    close();
    return;
  }
  const child = event.target.closest("#drawer [data-call]");
  if (child) return;
  const row = event.target.closest("tr[data-row]");
  if (!row) return;
  const cell = event.target.closest("a[data-value]");
  if (cell) {
    event.preventDefault();
    offer(cell);
    return;
  }
  const pressed = event.target.closest("a, button, input, summary, label, .menu");
  if (pressed && !pressed.matches("[data-row-link][data-open]")) return;
  if (!pressed && getSelection()?.toString()) return;
  event.preventDefault();
  open(row, !document.getElementById("drawer")?.hidden);
});

// Filters from a cell

const WORDS = [["eq", "="], ["ne", "≠"], ["gte", "≥"], ["lte", "≤"]];

function offer(cell) {
  document.getElementById("cell-menu")?.remove();
  const { value: json, column } = cell.dataset;
  const value = JSON.parse(json);
  const { field } = document.querySelectorAll("th[data-field]")[column].dataset;
  const here = results().dataset.rowsUrl;
  const address = (operator) =>
    `${here}${here.includes("?") ? "&" : "?"}${new URLSearchParams({ field, operator, value: json, how: "narrow" })}`;
  const shownValue = typeof value === "string" && value.length > 40 ? `${value.slice(0, 39)}…` : String(value);
  const choices = WORDS.filter(([operator]) => typeof value === "number" || operator === "eq" || operator === "ne")
    .map(([operator, symbol]) => [`${symbol} ${shownValue}`, operator === "eq" ? cell.href : address(operator)]);
  choices.push(["is there", address("has")], ["is missing", address("lacks")]);
  const menu = document.createElement("div");
  menu.className = "menu";
  menu.id = "cell-menu";
  menu.popover = "auto";
  menu.setAttribute("hx-boost", "true");
  const items = document.createElement("ul");
  items.className = "menu-list";
  for (const [words, url] of choices) {
    const item = document.createElement("li");
    const link = document.createElement("a");
    link.className = "menu-item";
    link.href = url;
    link.textContent = words;
    item.append(link);
    items.append(item);
  }
  menu.append(items);
  results().append(menu);
  window.htmx?.process(menu);
  menu.showPopover();
  const box = cell.getBoundingClientRect();
  menu.style.margin = "0";
  menu.style.positionArea = "none";
  menu.style.left = `${Math.max(8, Math.min(box.left, innerWidth - menu.offsetWidth - 8))}px`;
  menu.style.top = `${box.bottom + menu.offsetHeight > innerHeight ? box.top - menu.offsetHeight : box.bottom + 4}px`;
}

// Selecting

function toggle(row) {
  if (!row?.dataset.row) return;
  const id = row.dataset.row;
  selected.has(id) ? selected.delete(id) : selected.add(id);
  sayselected();
}

function sayselected() {
  for (const row of rows()) {
    const is = selected.has(row.dataset.row);
    row.classList.toggle("is-selected", is);
    const pick = row.querySelector("[data-pick]");
    if (pick) pick.checked = is;
    if (is) row.setAttribute("aria-selected", "true");
    else row.removeAttribute("aria-selected");
  }
  const bar = document.getElementById("selection");
  if (!bar) return;
  bar.hidden = selected.size === 0;
  document.getElementById("selection-words").textContent = `${selected.size} selected`;
}

document.addEventListener("change", (event) => {
  if (event.target.matches("[data-pick]")) toggle(event.target.closest("tr[data-row]"));
});

document.addEventListener("click", async (event) => {
  const does = event.target.closest("[data-selection]")?.dataset.selection;
  if (!does) return;
  if (does === "only" || does === "act") {
    const ids = [...selected].map((id) => JSON.stringify(id)).join(", ");
    const query = new URLSearchParams({ q: `id in (${ids})`, calls: "all" });
    location.href = `${location.pathname}${does === "act" ? "/bulk" : ""}?${query}`;
    return;
  }
  if (does === "copy") {
    const button = document.createElement("button");
    button.dataset.copy = [...selected].join("\n");
    button.title = "Copy ids";
    button.hidden = true;
    document.body.append(button);
    button.click();
    button.remove();
    return;
  }
  selected.clear();
  sayselected();
});

// Keys

document.addEventListener("kibitz:key", (event) => {
  const { keys } = event.detail;
  const row = currentRow();
  if (keys === "j" || keys === "k") move(keys === "j" ? 1 : -1);
  else if (keys === "o" && row) location.href = linkOf(row).href;
  else if (keys === "x" && row?.dataset.row) toggle(row);
  else if (keys === "Escape" && !document.querySelector(":popover-open")) {
    if (!close() && selected.size) {
      selected.clear();
      sayselected();
    }
    return;
  } else return;
  event.preventDefault();
});

function begin() {
  selected.clear();
  sayselected();
  markOpen();
  watch();
}

document.addEventListener("htmx:afterSettle", (event) => {
  if (event.target.id === "results") begin();
});
document.addEventListener("kibitz:list", begin);

// Watching: the lines alone, twice in three seconds, while somebody looks.

let timer = 0;
let etag = null;
let watched = null;

function watch() {
  clearTimeout(timer);
  const page = results();
  if (!page || !("live" in page.dataset)) return;
  if (watched !== page.dataset.rowsUrl) etag = null;
  watched = page.dataset.rowsUrl;
  timer = setTimeout(look, POLL_MS);
}

async function look() {
  const page = results();
  if (document.hidden || document.querySelector(":popover-open") || !page) {
    timer = setTimeout(look, POLL_MS);
    return;
  }
  const url = page.dataset.rowsUrl;
  let wait = POLL_MS;
  try {
    const response = await fetchPart(url, "rows", { cache: "no-store", headers: etag ? { "if-none-match": etag } : {} });
    if (results()?.dataset.rowsUrl !== url) return;
    if (response.status === 200) {
      etag = response.headers.get("etag");
      merge(await response.text());
    } else if (response.status !== 304) throw new Error(String(response.status));
    document.getElementById("live")?.classList.remove("is-away");
  } catch {
    document.getElementById("live")?.classList.add("is-away");
    wait = AWAY_MS;
  }
  clearTimeout(timer);
  timer = setTimeout(look, wait);
}

// Lines that stayed the same are kept as they are, so that focus, selection and scroll stay too.
function merge(html) {
  const template = document.createElement("template");
  template.innerHTML = `<table>${html}</table>`;
  const fresh = [...template.content.querySelectorAll("tr[data-row]")];
  const body = document.getElementById("rows");
  if (!body) {
    if (fresh.length && document.getElementById("search")) swapPart(results().dataset.rowsUrl, "results").then(watch);
    else if (fresh.length) location.reload();
    return;
  }
  const old = new Map([...body.rows].map((row) => [row.dataset.row, row]));
  const focusedId = document.activeElement?.closest?.("tr[data-row]")?.dataset.row;
  let before = body.firstElementChild;
  for (const row of fresh) {
    const have = old.get(row.dataset.row);
    old.delete(row.dataset.row);
    if (have && have.dataset.rev === row.dataset.rev) {
      if (have === before) before = before.nextElementSibling;
      else body.insertBefore(have, before);
      continue;
    }
    if (have) {
      if (have === before) before = before.nextElementSibling;
      have.remove();
    } else row.classList.add("is-new");
    body.insertBefore(row, before);
    window.htmx?.process(row);
  }
  for (const row of old.values()) row.remove();
  if (focusedId && !document.activeElement?.closest?.("tr[data-row]")) {
    linkOf(rows().find((row) => row.dataset.row === focusedId))?.focus({ preventScroll: true });
  }
  sayTimes(body);
  markOpen();
  sayselected();
}

document.addEventListener("visibilitychange", () => {
  if (!document.hidden) watch();
});
watch();
