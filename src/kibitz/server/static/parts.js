// What several scripts need: times in the reader's words, short messages, and one part of a page from its address.

const UNITS = [["d", 86400], ["h", 3600], ["min", 60], ["s", 1]];
const exactly = new Intl.DateTimeFormat(undefined, {
  year: "numeric", month: "short", day: "numeric", hour: "2-digit", minute: "2-digit", second: "2-digit",
  fractionalSecondDigits: 3, timeZoneName: "short",
});

function ago(milliseconds) {
  const seconds = milliseconds / 1000;
  if (seconds < -5) return "in the future";
  if (seconds < 5) return "now";
  const [unit, length] = UNITS.find(([, each]) => seconds >= each);
  return `${Math.floor(seconds / length).toLocaleString("en")} ${unit} ago`;
}

export function sayTimes(within = document) {
  const now = Date.now();
  for (const time of within.querySelectorAll("time[data-ago], time[data-exact]")) {
    const at = Date.parse(time.dateTime);
    if (Number.isNaN(at)) continue;
    const exact = exactly.format(at);
    if (time.title !== exact) time.title = exact;
    const words = "ago" in time.dataset ? ago(now - at) : exact;
    if (time.textContent !== words) time.textContent = words;
  }
}

export function toast(words) {
  const box = document.getElementById("toasts");
  const each = document.createElement("p");
  each.className = "toast";
  each.textContent = words;
  box.append(each);
  setTimeout(() => each.remove(), 4000);
}

export async function fetchPart(url, id, options = {}) {
  return fetch(url, {
    ...options,
    headers: { accept: "text/html", "hx-request": "true", "hx-target": id, ...options.headers },
    credentials: "same-origin",
  });
}

let under = 0;

// That a reader waits for something: one more, or one less. A line shows it when it takes long.
export function busy(by) {
  under += by;
  document.documentElement.toggleAttribute("data-busy", under > 0);
}

const loading = new Map();

// Puts the element of this id from another address in the place of the one here. The last one asked for wins.
export async function swapPart(url, id) {
  loading.get(id)?.abort();
  const control = new AbortController();
  loading.set(id, control);
  busy(1);
  try {
    const response = await fetchPart(url, id, { signal: control.signal });
    if (!response.ok) {
      toast(response.status === 404 ? "It is not there any more" : `The server answered ${response.status}`);
      return null;
    }
    const page = new DOMParser().parseFromString(await response.text(), "text/html");
    const found = page.getElementById(id);
    const here = document.getElementById(id);
    if (!found || !here || control.signal.aborted) return null;
    here.replaceWith(found);
    if (page.title) document.title = page.title;
    window.htmx?.process(found);
    sayTimes(found);
    return found;
  } catch (error) {
    if (error.name !== "AbortError") toast("The server cannot be reached");
    return null;
  } finally {
    busy(-1);
  }
}

let shown = location.pathname + location.search;

// Puts an address into the history that a script has shown itself.
export function visit(url, replace) {
  history[replace ? "replaceState" : "pushState"](null, "", url);
  shown = location.pathname + location.search;
}

// Back and forward over what scripts put into the history; htmx sees to its own.
addEventListener("popstate", (event) => {
  if (!event.state?.htmx && location.pathname + location.search !== shown) location.reload();
});
document.addEventListener("htmx:pushedIntoHistory", () => { shown = location.pathname + location.search; });
document.addEventListener("htmx:replacedInHistory", () => { shown = location.pathname + location.search; });
