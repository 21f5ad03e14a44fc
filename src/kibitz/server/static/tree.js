// The tree of a trace: all of its calls, of which only the lines in sight are drawn.

import { swapPart, toast } from "./parts.js";

const SPARE = 12;
const REFRESH_MS = 2000;
const [ID, DEPTH, NAME, KIND, STATUS, BELOW, POSITION, SIBLINGS, START, WIDTH, LATENCY] = Array.from({ length: 11 }, (_, n) => n);
const ICONS = new Set(["llm", "agent", "tool", "retriever", "scorer"]);

const tree = document.getElementById("tree");
const box = tree.querySelector(".tree-rows");
const folded = new Set();
let data = null;
let places = new Map();
let visible = [];
let drawn = new Map();
let height = 28;
let current = tree.dataset.current;
let matches = [];
let matched = new Set();

function latency(milliseconds) {
  if (milliseconds === null) return "…";
  if (milliseconds < 0.9995) return `${(milliseconds * 1000).toFixed(0)} µs`;
  if (milliseconds < 10) return `${milliseconds.toFixed(2)} ms`;
  if (milliseconds < 999.5) return `${milliseconds.toFixed(0)} ms`;
  const seconds = milliseconds / 1000;
  if (seconds < 59.995) return `${seconds.toFixed(seconds < 10 ? 2 : 1)} s`;
  const whole = Math.round(seconds);
  if (whole < 3600) return `${Math.floor(whole / 60)} min ${String(whole % 60).padStart(2, "0")} s`;
  const minutes = Math.round(seconds / 60);
  return `${Math.floor(minutes / 60).toLocaleString("en")} h ${String(minutes % 60).padStart(2, "0")} min`;
}

async function load() {
  const response = await fetch(tree.dataset.src, { credentials: "same-origin" });
  if (!response.ok) throw new Error(String(response.status));
  data = await response.json();
  places = new Map(data.rows.map((row, at) => [row[ID], at]));
  document.getElementById("trace-count").textContent = `${data.rows.length.toLocaleString("en")} call${data.rows.length === 1 ? "" : "s"}`;
  document.getElementById("trace-duration").textContent = latency(data.duration_ms);
  document.getElementById("tree-more")?.remove();
  height = box.firstElementChild?.offsetHeight || height;
  arrange();
  if (data.rows.some((row) => row[STATUS] === "running")) setTimeout(refresh, REFRESH_MS);
}

async function refresh() {
  if (document.hidden) {
    setTimeout(refresh, REFRESH_MS);
    return;
  }
  const before = data.rows[places.get(current)]?.[STATUS];
  try {
    drawn.clear();
    await load();
  } catch {
    setTimeout(refresh, REFRESH_MS * 3);
    return;
  }
  const after = data.rows[places.get(current)]?.[STATUS];
  if (before === "running" && after !== before && !document.activeElement?.closest("#feedback")) swapPart(pathOf(current), "call");
}

// Which lines there are

function arrange() {
  visible = [];
  for (let at = 0; at < data.rows.length; at += 1) {
    visible.push(at);
    if (folded.has(data.rows[at][ID])) at += data.rows[at][BELOW];
  }
  box.style.height = `${visible.length * height}px`;
  drawn.clear();
  draw();
}

function draw() {
  const first = Math.max(0, Math.floor((tree.scrollTop - box.offsetTop + tree.offsetTop) / height) - SPARE);
  const last = Math.min(visible.length, first + Math.ceil(tree.clientHeight / height) + 2 * SPARE);
  const focused = box.contains(document.activeElement) ? document.activeElement.dataset.id : null;
  const next = new Map();
  for (let at = first; at < last; at += 1) {
    const id = data.rows[visible[at]][ID];
    next.set(id, drawn.get(id) ?? line(data.rows[visible[at]]));
  }
  drawn = next;
  box.style.paddingTop = `${first * height}px`;
  box.replaceChildren(...next.values());
  if (focused) next.get(focused)?.focus({ preventScroll: true });
  // One line is always in the tab order, also when the current one is out of sight.
  if (!next.has(current) && box.firstElementChild) box.firstElementChild.tabIndex = 0;
}

function icon(name, style = "icon") {
  const svg = document.createElementNS("http://www.w3.org/2000/svg", "svg");
  svg.setAttribute("class", style);
  svg.setAttribute("aria-hidden", "true");
  const use = document.createElementNS("http://www.w3.org/2000/svg", "use");
  use.setAttribute("href", `#i-${name}`);
  svg.append(use);
  return svg;
}

function part(name, style, ...children) {
  const element = document.createElement(name);
  element.className = style;
  element.append(...children);
  return element;
}

function pathOf(id) {
  const kept = id.replaceAll("%", "%25").replaceAll("/", "%2F");
  return tree.dataset.base + encodeURIComponent(kept === "." || kept === ".." ? kept.replaceAll(".", "%2E") : kept);
}

function line(row) {
  const link = part("a", "tree-row");
  const isCurrent = row[ID] === current;
  link.href = pathOf(row[ID]);
  link.dataset.id = row[ID];
  link.setAttribute("role", "treeitem");
  link.setAttribute("aria-level", row[DEPTH] + 1);
  link.setAttribute("aria-posinset", row[POSITION]);
  link.setAttribute("aria-setsize", row[SIBLINGS]);
  link.setAttribute("aria-selected", String(isCurrent));
  link.tabIndex = isCurrent ? 0 : -1;
  link.classList.toggle("is-match", matched.has(row[ID]));
  const isFolded = folded.has(row[ID]);
  if (row[BELOW]) link.setAttribute("aria-expanded", String(!isFolded));
  const indent = part("span", "indent");
  indent.style.width = `${Math.min(row[DEPTH], 20) * 14}px`;
  const twist = part("span", "twist");
  twist.setAttribute("aria-hidden", "true");
  if (row[BELOW]) twist.append(icon("down"));
  const kind = data.kinds[row[KIND]];
  const mark = row[STATUS] === "success"
    ? icon(ICONS.has(kind) ? kind : "kind", "icon kind-icon")
    : part("span", `status status-${row[STATUS]}`, icon(row[STATUS]), part("span", "sr", row[STATUS]));
  const name = part("span", "tree-name", data.names[row[NAME]] || "(no name yet)");
  const parts = [indent, twist, mark, name];
  if (isFolded) parts.push(part("span", "tree-hidden", `${row[BELOW].toLocaleString("en")} below`));
  const span = document.createElementNS("http://www.w3.org/2000/svg", "svg");
  span.setAttribute("class", "span");
  span.setAttribute("aria-hidden", "true");
  const rect = document.createElementNS("http://www.w3.org/2000/svg", "rect");
  for (const [key, value] of Object.entries({ class: `span-${row[STATUS]}`, x: `${row[START]}%`, width: `${row[WIDTH]}%`, height: 8, rx: 1 })) rect.setAttribute(key, value);
  span.append(rect);
  link.append(...parts, part("span", "tree-latency", latency(row[LATENCY])), span);
  return link;
}

let waiting = 0;
tree.addEventListener("scroll", () => {
  if (!data || waiting) return;
  waiting = requestAnimationFrame(() => { waiting = 0; draw(); });
});
new ResizeObserver(() => data && draw()).observe(tree);

// Moving

function parentOf(at) {
  const depth = data.rows[at][DEPTH];
  for (let above = at - 1; above >= 0; above -= 1) if (data.rows[above][DEPTH] < depth) return above;
  return -1;
}

function sibling(at, by) {
  const depth = data.rows[at][DEPTH];
  if (by > 0) {
    const next = at + data.rows[at][BELOW] + 1;
    return next < data.rows.length && data.rows[next][DEPTH] === depth ? next : -1;
  }
  for (let above = at - 1; above >= 0 && data.rows[above][DEPTH] >= depth; above -= 1) if (data.rows[above][DEPTH] === depth) return above;
  return -1;
}

function unfoldTo(at) {
  let changed = false;
  for (let above = parentOf(at); above >= 0; above = parentOf(above)) changed = folded.delete(data.rows[above][ID]) || changed;
  if (changed) arrange();
}

function show(at) {
  unfoldTo(at);
  const place = visible.indexOf(at);
  const top = place * height;
  if (top < tree.scrollTop) tree.scrollTop = top - height;
  else if (top + 2 * height > tree.scrollTop + tree.clientHeight) tree.scrollTop = top + 2 * height - tree.clientHeight;
  draw();
}

let soon = 0;
function select(at, { replace = false, delay = 0, focus = true } = {}) {
  if (at < 0 || at >= data.rows.length) return;
  current = data.rows[at][ID];
  drawn.clear();
  show(at);
  if (focus) drawn.get(current)?.focus({ preventScroll: true });
  sayNeighbours(at);
  clearTimeout(soon);
  const id = current;
  soon = setTimeout(async () => {
    const url = pathOf(id) + annotating();
    const pane = await swapPart(url, "call");
    if (!pane) return;
    history[replace ? "replaceState" : "pushState"](null, "", url);
    shown = location.pathname;
    pane.scrollTop = 0;
  }, delay);
}

// The panel stays open, and knows which list the reader came from.
function annotating() {
  const from = new URL(document.getElementById("annotate-open")?.href ?? location.href).searchParams.get("from");
  const kept = new URLSearchParams();
  if (document.querySelector("#annotate:not([hidden])")) kept.set("annotate", "on");
  if (from) kept.set("from", from);
  return kept.size ? `?${kept}` : "";
}

function sayNeighbours(at) {
  for (const [id, by] of [["sibling-previous", -1], ["sibling-next", 1]]) {
    const link = document.getElementById(id);
    const other = sibling(at, by);
    if (other < 0) link.removeAttribute("href");
    else link.href = pathOf(data.rows[other][ID]);
    link.setAttribute("role", "link");
    link.setAttribute("aria-disabled", String(other < 0));
  }
}

let shown = location.pathname;
addEventListener("popstate", () => {
  if (location.pathname === shown) return;
  const id = [...places.keys()].find((each) => pathOf(each) === location.pathname);
  if (!id) {
    location.reload();
    return;
  }
  shown = location.pathname;
  current = id;
  drawn.clear();
  show(places.get(id));
  swapPart(pathOf(id), "call");
});

function fold(at, closed) {
  const id = data.rows[at][ID];
  if (closed === folded.has(id) || !data.rows[at][BELOW]) return false;
  closed ? folded.add(id) : folded.delete(id);
  arrange();
  return true;
}

document.addEventListener("click", (event) => {
  if (!data || event.button || event.ctrlKey || event.metaKey || event.shiftKey || event.altKey) return;
  const row = event.target.closest(".tree-row");
  const link = event.target.closest("#sibling-previous[href], #sibling-next[href], #parent-link, [data-call]");
  if (!row && !link) return;
  const at = places.get(row ? row.dataset.id : link.dataset.call ?? [...places.keys()].find((id) => pathOf(id) === link.pathname));
  if (at === undefined) return;
  event.preventDefault();
  if (row && event.target.closest(".twist") && data.rows[at][BELOW]) fold(at, !folded.has(data.rows[at][ID]));
  else select(at, { focus: Boolean(row) });
});

document.addEventListener("kibitz:key", (event) => {
  if (!data) return;
  const { keys, event: pressed } = event.detail;
  const focused = pressed.target.closest?.(".tree-row");
  const at = places.get(focused?.dataset.id ?? current);
  if (at === undefined) return;
  const place = visible.indexOf(at);
  const beside = { delay: 120, replace: true };
  const step = (by) => visible[Math.min(Math.max(place + by, 0), visible.length - 1)];
  if (keys === "j" || (focused && keys === "ArrowDown")) select(step(1), beside);
  else if (keys === "k" || (focused && keys === "ArrowUp")) select(step(-1), beside);
  else if (focused && keys === "Home") select(visible[0], beside);
  else if (focused && keys === "End") select(visible.at(-1), beside);
  else if (keys === "]") select(sibling(at, 1), beside);
  else if (keys === "[") select(sibling(at, -1), beside);
  else if (keys === "u") select(parentOf(at), beside);
  else if (focused && keys === "ArrowRight") {
    if (!fold(at, false) && data.rows[at][BELOW]) select(at + 1, beside);
  } else if (focused && keys === "ArrowLeft") {
    if (!fold(at, true)) select(parentOf(at), beside);
  } else return;
  event.preventDefault();
});

document.getElementById("tree-collapse").addEventListener("click", () => {
  if (!data) return;
  for (const row of data.rows) if (row[BELOW] && row[DEPTH] > 0) folded.add(row[ID]);
  arrange();
});
document.getElementById("tree-expand").addEventListener("click", () => {
  folded.clear();
  if (data) arrange();
});

// Finding

const search = document.getElementById("tree-search");
const found = document.getElementById("tree-found");
let at = -1;

search.addEventListener("input", () => {
  if (!data) return;
  const wanted = search.value.trim().toLowerCase();
  const names = data.names.map((name) => name.toLowerCase().includes(wanted));
  matches = wanted ? data.rows.flatMap((row, index) => (names[row[NAME]] ? [index] : [])) : [];
  matched = new Set(matches.map((index) => data.rows[index][ID]));
  at = -1;
  drawn.clear();
  if (matches.length) goTo(0);
  else draw();
  found.textContent = wanted ? (matches.length ? `1 of ${matches.length.toLocaleString("en")}` : "none") : "";
});
search.addEventListener("keydown", (event) => {
  if (event.key !== "Enter" || !matches.length) return;
  event.preventDefault();
  goTo((at + (event.shiftKey ? matches.length - 1 : 1)) % matches.length);
  found.textContent = `${at + 1} of ${matches.length.toLocaleString("en")}`;
});

function goTo(match) {
  at = match;
  select(matches[at], { replace: true, delay: 200, focus: false });
}

try {
  await load();
  const place = places.get(current);
  if (place !== undefined) {
    show(place);
    sayNeighbours(place);
  }
} catch {
  toast("The tree could not be loaded; the list of the trace has all calls");
}
