// The panel for annotations: keys, rankings, pieces of a text, corrections with what they change.

import { swapPart, toast } from "./parts.js";

const panel = () => document.querySelector("#annotate:not([hidden])");
const slots = () => [...(panel()?.querySelectorAll("[data-slot]") ?? [])];
const isText = (target) => target.matches?.("textarea:not(.span-source), input:not([type=radio]):not([type=checkbox])") ?? false;
const controlOf = (slot) => slot.querySelector("input:checked") ?? slot.querySelector("input:not([type=hidden]), select, textarea, .rank-item");

function focusSlot(slot) {
  const control = slot && controlOf(slot);
  if (!control) return panel()?.focus();
  control.focus({ preventScroll: true });
  slot.scrollIntoView({ block: "nearest" });
}

function isAnswered(slot) {
  if (slot.querySelector("input:checked")) return true;
  if (slot.dataset.slot === "correction") return slot.querySelector("textarea").value !== slot.querySelector("textarea").dataset.source;
  return [...slot.querySelectorAll("textarea:not(.span-source), select, input:not([type=radio]):not([type=checkbox])")].some((each) => each.value);
}

const activeSlot = (target) => target.closest?.("[data-slot]") ?? slots().find((each) => !isAnswered(each)) ?? slots()[0];

// Opening, closing, moving on

async function show(url, { focus }) {
  const scrolled = document.getElementById("call")?.scrollTop ?? 0;
  const pane = await swapPart(url, "call");
  if (!pane) return;
  history.replaceState(null, "", url);
  pane.scrollTop = scrolled;
  arrange();
  if (focus) focusSlot(slots()[0]);
  else document.getElementById("annotate-open")?.focus({ preventScroll: true });
}

function close() {
  const link = document.getElementById("annotate-close");
  if (link) show(link.href, { focus: false });
}

document.addEventListener("click", (event) => {
  if (event.button || event.ctrlKey || event.metaKey || event.shiftKey || event.altKey) return;
  const link = event.target.closest("#annotate-open, #annotate-close");
  if (!link) return;
  event.preventDefault();
  if (link.id === "annotate-close") close();
  else if (panel()) focusSlot(slots()[0]);
  else show(link.href, { focus: true });
});

// Keys

function save(next) {
  document.getElementById(next ? "annotate-next" : "annotate-save")?.click();
}

function go(key) {
  const link = panel().querySelector(`[data-key="${key}"]`);
  if (link?.href) location.href = link.href;
  else toast(key === "n" ? "This is the last call of the list" : "This is the first call of the list");
}

document.addEventListener("keydown", (event) => {
  if (!panel() || event.defaultPrevented || document.querySelector(":popover-open")) return;
  const { key, target } = event;
  const inside = panel().contains(target);
  if (key === "Enter" && (event.ctrlKey || event.metaKey) && inside) {
    event.preventDefault();
    save(event.shiftKey);
    return;
  }
  if (event.ctrlKey || event.metaKey || event.altKey) return;
  if (inside && key === "Escape") {
    event.preventDefault();
    if (isText(target)) panel().focus({ preventScroll: true });
    else close();
    return;
  }
  if (!inside && target.closest("input, textarea, select, [contenteditable]")) return;
  if (isText(target) && key !== "Enter") return;
  if (inside && key === "Enter") {
    if (target.matches("textarea:not(.span-source), button, a, summary")) return;
    event.preventDefault();
    const all = slots();
    const next = all[all.indexOf(target.closest("[data-slot]")) + 1];
    if (next) focusSlot(next);
    else document.getElementById("annotate-save")?.focus();
  } else if (/^[0-9]$/.test(key)) {
    const slot = activeSlot(target);
    const option = slot?.querySelector(`[data-digit="${key}"]`);
    if (!option) return;
    event.preventDefault();
    option.click();
    if (!option.matches("button")) option.focus({ preventScroll: true });
  } else if (inside && (key === "n" || key === "p")) {
    event.preventDefault();
    go(key);
  } else if (target.matches(".rank-item") && (key === "ArrowUp" || key === "ArrowDown")) {
    event.preventDefault();
    rank(target, key === "ArrowUp" ? -1 : 1);
  }
}, true);

// "None of these" and the others rule each other out.
document.addEventListener("change", (event) => {
  const box = event.target;
  if (box.type !== "checkbox" || !box.checked || !box.closest("[data-slot=checks]")) return;
  for (const other of box.closest("[data-slot]").querySelectorAll("input:checked")) {
    if (other !== box && (box.value === "[]" || other.value === "[]")) other.checked = false;
  }
});

// Rankings

function rank(item, by) {
  const list = item.parentElement;
  const other = by < 0 ? item.previousElementSibling : item.nextElementSibling;
  if (other) by < 0 ? other.before(item) : other.after(item);
  [...list.children].forEach((each, at) => { each.querySelector("select").selectedIndex = at + 1; });
  item.focus({ preventScroll: true });
}

document.addEventListener("click", (event) => {
  const button = event.target.closest("[data-rank]");
  if (button) rank(button.closest(".rank-item"), Number(button.dataset.rank));
});

// Pieces of a text. Places count characters, as Python does, not the units of a script's strings.

const characters = (text) => [...text].length;

function read(area) {
  try {
    const found = JSON.parse(area.value);
    return Array.isArray(found) ? found : [];
  } catch {
    return [];
  }
}

function drawSpans(slot) {
  const area = slot.querySelector(".span-text textarea");
  const spans = read(area);
  slot.querySelector(".span-list").replaceChildren(...spans.map((span, at) => {
    const item = document.createElement("li");
    const label = document.createElement("span");
    label.className = "tag";
    label.textContent = span.label;
    const words = document.createElement("span");
    words.className = "clip";
    words.textContent = span.text ?? `${span.start} to ${span.end}`;
    const button = document.createElement("button");
    button.type = "button";
    button.className = "button quiet small";
    button.textContent = "×";
    button.setAttribute("aria-label", `Remove ${span.label}: ${words.textContent}`);
    button.addEventListener("click", () => {
      spans.splice(at, 1);
      area.value = spans.length ? JSON.stringify(spans) : "";
      drawSpans(slot);
      slot.querySelector(".span-source").focus();
    });
    item.append(label, words, button);
    return item;
  }));
}

// Where the selection stands in the text: in the slot itself, or beside it where it can be told from the words.
function selected(slot) {
  const area = slot.querySelector(".span-source");
  if (area.selectionStart < area.selectionEnd) return [area.selectionStart, area.selectionEnd];
  const selection = getSelection();
  const words = selection.toString();
  if (!words || !selection.anchorNode?.parentElement?.closest(".value")) return null;
  const at = area.value.indexOf(words);
  if (at < 0 || area.value.indexOf(words, at + 1) >= 0) return null;
  return [at, at + words.length];
}

// The text can be walked through and selected by keys, which a read-only one cannot, but not changed.
for (const type of ["beforeinput", "drop", "paste"]) {
  document.addEventListener(type, (event) => {
    if (event.target.matches?.(".span-source")) event.preventDefault();
  });
}

document.addEventListener("mousedown", (event) => {
  // A button that takes the focus would take the selection with it.
  if (event.target.closest("[data-span-label]")) event.preventDefault();
});

document.addEventListener("click", (event) => {
  const button = event.target.closest("[data-span-label]");
  if (!button) return;
  const slot = button.closest("[data-slot]");
  const found = selected(slot);
  if (!found) {
    toast("Select a piece of the text first; where its words are there twice, in the box");
    return;
  }
  const text = slot.querySelector(".span-source").value;
  const area = slot.querySelector(".span-text textarea");
  const start = characters(text.slice(0, found[0]));
  const piece = text.slice(...found);
  const spans = read(area).filter((each) => each.start !== start || each.end !== start + characters(piece));
  spans.push({ start, end: start + characters(piece), label: button.dataset.spanLabel, text: piece });
  area.value = JSON.stringify(spans.sort((a, b) => a.start - b.start));
  drawSpans(slot);
});

// Corrections: what they change, word by word

const MAX_WORDS = 800;

function difference(before, after) {
  const a = before.match(/\s+|[^\s]+/g) ?? [];
  const b = after.match(/\s+|[^\s]+/g) ?? [];
  let start = 0;
  while (start < a.length && start < b.length && a[start] === b[start]) start += 1;
  let end = 0;
  while (end < a.length - start && end < b.length - start && a[a.length - 1 - end] === b[b.length - 1 - end]) end += 1;
  const [x, y] = [a.slice(start, a.length - end), b.slice(start, b.length - end)];
  const parts = [["", a.slice(0, start).join("")]];
  if (x.length > MAX_WORDS || y.length > MAX_WORDS) parts.push(["del", x.join("")], ["ins", y.join("")]);
  else {
    const common = Array.from({ length: x.length + 1 }, () => new Uint16Array(y.length + 1));
    for (let i = x.length - 1; i >= 0; i -= 1) for (let j = y.length - 1; j >= 0; j -= 1) common[i][j] = x[i] === y[j] ? common[i + 1][j + 1] + 1 : Math.max(common[i + 1][j], common[i][j + 1]);
    for (let i = 0, j = 0; i < x.length || j < y.length;) {
      if (i < x.length && j < y.length && x[i] === y[j]) { parts.push(["", x[i]]); i += 1; j += 1; }
      else if (j >= y.length || (i < x.length && common[i + 1][j] >= common[i][j + 1])) { parts.push(["del", x[i]]); i += 1; }
      else { parts.push(["ins", y[j]]); j += 1; }
    }
  }
  parts.push(["", a.slice(a.length - end).join("")]);
  return parts;
}

// Changes that only white space parts are read as one: all that went, then all that came.
function hunks(parts) {
  const found = [];
  let [gone, come, gap] = ["", "", ""];
  const flush = () => {
    found.push(["del", gone], ["ins", come], ["", gap]);
    [gone, come, gap] = ["", "", ""];
  };
  for (const [kind, words] of parts) {
    if (kind === "del") [gone, come, gap] = [gone + gap + words, come + gap, ""];
    else if (kind === "ins") [gone, come, gap] = [gone + gap, come + gap + words, ""];
    else if ((gone || come) && /^\s+$/.test(words)) gap += words;
    else {
      flush();
      found.push(["", words]);
    }
  }
  flush();
  return found.filter(([, words]) => words);
}

function drawDifference(area) {
  const place = area.parentElement.querySelector(".diff");
  const same = area.value === area.dataset.source.replaceAll("\r\n", "\n");
  place.hidden = same;
  if (same) return;
  place.replaceChildren(...hunks(difference(area.dataset.source, area.value)).map(([kind, words]) => {
    if (!kind) return document.createTextNode(words);
    const element = document.createElement(kind);
    element.textContent = words;
    return element;
  }));
}

document.addEventListener("input", (event) => {
  if (event.target.matches("[data-slot=correction] textarea")) drawDifference(event.target);
});

// Whatever part of the page is new

export function arrange(within = document) {
  for (const slot of within.querySelectorAll("[data-slot=spans]:not([data-arranged])")) {
    slot.dataset.arranged = "";
    const area = slot.querySelector(".span-text textarea");
    // Lines that could not be understood stay to be put right.
    if (!area.value || area.value.startsWith("[")) slot.querySelector(".span-text").hidden = true;
    drawSpans(slot);
  }
  for (const item of within.querySelectorAll(".rank-item:not([tabindex])")) item.tabIndex = 0;
  for (const area of within.querySelectorAll("[data-slot=correction] textarea")) drawDifference(area);
}

let place = 0;
document.addEventListener("htmx:beforeSwap", () => {
  place = Math.max(0, slots().indexOf(document.activeElement?.closest?.("[data-slot]")));
});
document.addEventListener("htmx:afterSwap", (event) => {
  arrange();
  if (event.detail.target?.id !== "annotate" && event.target.id !== "annotate") return;
  if (panel()?.hasAttribute("data-saved")) toast("Saved");
  const wrong = panel()?.querySelector("[aria-invalid], .form-error");
  focusSlot(wrong?.closest("[data-slot]") ?? slots()[place]);
});

arrange();
if (panel()) focusSlot(slots()[0]);
