// The record: places by keys, selectors copied and tried, and what is large fetched when it is unfolded.

import { fetchPart, sayTimes, swapPart, toast, visit } from "./parts.js";

const tree = () => document.querySelector(".places-tree");
const seen = (row) => row.offsetParent !== null;
const rows = () => [...tree().querySelectorAll(".json-row:not(.json-more)")].filter(seen);
let current = null;

// A place is a row; its tools stand in it, or before the fold that it opens.
function toolsOf(row) {
  return row.matches("summary") ? row.closest(".json-branch").querySelector(":scope > .place-tools") : row.querySelector(".place-tools");
}

function select(row) {
  if (!row) return;
  current?.classList.remove("is-current");
  current?.removeAttribute("tabindex");
  current = row;
  row.classList.add("is-current");
  if (!row.matches("summary")) row.tabIndex = -1;
  row.focus({ preventScroll: true });
  row.scrollIntoView({ block: "nearest" });
}

function move(by) {
  const all = rows();
  const at = all.indexOf(current);
  select(all[at < 0 ? 0 : Math.min(Math.max(at + by, 0), all.length - 1)]);
}

// Left folds what stands open, or goes to what it lies in; right unfolds, or goes in.
function fold(open) {
  const own = current?.matches("summary") ? current.parentElement : null;
  if (open && own?.open) move(1);
  else if (open && own) own.open = true;
  else if (!open && own?.open) own.open = false;
  else if (!open) {
    const around = (own ?? current)?.parentElement.closest("details");
    if (around) select(around.querySelector("summary"));
  }
}

document.addEventListener("kibitz:key", (event) => {
  if (!tree()) return;
  const { keys } = event.detail;
  if (keys === "j" || keys === "k") move(keys === "j" ? 1 : -1);
  else if (keys === "ArrowRight" || keys === "ArrowLeft") {
    if (!current) return;
    fold(keys === "ArrowRight");
  } else if (keys === "y" && current) toolsOf(current)?.querySelector("[data-copy]")?.click();
  else if (keys === "t" && current) toolsOf(current)?.querySelector("a")?.click();
  else return;
  event.preventDefault();
});

document.addEventListener("click", (event) => {
  const row = event.target.closest(".places-tree .json-row:not(.json-more)");
  if (row && !event.target.closest("a, button")) {
    current?.classList.remove("is-current");
    current = row;
    row.classList.add("is-current");
  }
});

// Trying a selector shows what it gives, without leaving the place; the address says which one.

async function tryOut(text) {
  const form = document.getElementById("select-form");
  form.elements.select.value = text;
  const url = `${form.getAttribute("action")}?${new URLSearchParams({ select: text })}`;
  const found = await swapPart(url, "selected");
  if (!found) return;
  visit(url, false);
  found.scrollIntoView({ block: "nearest" });
}

document.addEventListener("submit", (event) => {
  if (event.target.id !== "select-form") return;
  event.preventDefault();
  tryOut(event.target.elements.select.value.trim());
});

document.addEventListener("click", (event) => {
  const link = event.target.closest(".place-tools a, #selected a[href*='select=']");
  if (!link || event.ctrlKey || event.metaKey || event.shiftKey || event.button) return;
  event.preventDefault();
  tryOut(new URL(link.href).searchParams.get("select"));
});

// What is large comes when it is unfolded.
document.addEventListener("toggle", async (event) => {
  const fold = event.target;
  if (!fold.open || !fold.dataset?.later) return;
  const url = fold.dataset.later;
  delete fold.dataset.later;
  try {
    const response = await fetchPart(url, "tree-of-record");
    if (!response.ok) throw new Error(String(response.status));
    const page = new DOMParser().parseFromString(await response.text(), "text/html");
    const fresh = page.querySelector(".places-tree");
    if (!fresh) return;
    fold.querySelector(":scope > .json-below").replaceChildren(...fresh.childNodes);
    sayTimes(fold);
  } catch {
    fold.dataset.later = url;
    fold.open = false;
    toast("It could not be read");
  }
}, true);
