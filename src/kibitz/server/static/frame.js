// What every page does: times, copying, appearance, keys, messages.

import { busy, sayTimes, toast } from "./parts.js";

sayTimes();
setInterval(sayTimes, 10_000);
document.addEventListener("htmx:afterSwap", () => sayTimes());
document.addEventListener("htmx:beforeSend", ({ detail: { xhr } }) => {
  busy(1);
  xhr.addEventListener("loadend", () => busy(-1));
});
document.addEventListener("htmx:sendError", () => toast("The server cannot be reached"));
document.addEventListener("htmx:responseError", (event) => toast(`The server answered ${event.detail.xhr.status}`));

// Copying

async function copy(text, what) {
  try {
    await navigator.clipboard.writeText(text);
  } catch {
    // Only pages from a secure or local address may use the clipboard directly.
    const area = document.createElement("textarea");
    area.value = text;
    document.body.append(area);
    area.select();
    document.execCommand("copy");
    area.remove();
  }
  toast(`${what} copied`);
}

async function rawValue(element) {
  const response = await fetch(element.closest("[data-raw]").dataset.raw, { credentials: "same-origin" });
  return response.json();
}

function stepsTo(element) {
  const steps = [];
  for (let at = element.closest("[data-step]"); at; at = at.parentElement.closest("[data-step]")) steps.unshift(at.dataset.step);
  return steps;
}

// `Copy selector` has copied a selector, `Copy Select.RecordOutput` too.
function copied(title) {
  const [, what = "text"] = title.match(/^Copy (?:the )?(?:exact )?(selector|id|ids|field|reference|digest|path|place|Select)\b/) ?? [];
  return what === "Select" ? "Selector" : what[0].toUpperCase() + what.slice(1);
}

const asText = (value) => (typeof value === "string" ? value : JSON.stringify(value, null, 2));

document.addEventListener("click", async (event) => {
  const button = event.target.closest("[data-copy], [data-copy-raw], [data-copy-step], [data-copy-address]");
  if (!button) return;
  event.preventDefault();
  if ("copy" in button.dataset) await copy(button.dataset.copy, copied(button.title));
  else if ("copyAddress" in button.dataset) await copy(location.href, "Link");
  else {
    try {
      let value = await rawValue(button);
      if ("copyStep" in button.dataset) for (const step of stepsTo(button)) value = value?.[step];
      await copy(asText(value), "Value");
    } catch {
      toast("The value could not be read");
    }
  }
});

// What is cut off says itself in full when it is pointed at.

document.addEventListener("pointerover", (event) => {
  const cut = event.target.closest?.(".clip, .preview, .tree-name, .part-name, .chip-value");
  if (cut && cut.scrollWidth > cut.clientWidth && !cut.closest("[title]")) cut.title = cut.textContent.trim();
});

// Appearance: the cookie lets the server send the next page in it at once.

document.querySelector("[data-themes]")?.addEventListener("submit", (event) => {
  const theme = event.submitter?.value;
  if (!theme) return;
  event.preventDefault();
  document.documentElement.dataset.theme = theme;
  document.cookie = `kibitz_theme=${theme}; path=/; max-age=31536000; samesite=lax`;
  for (const button of event.currentTarget.querySelectorAll("button")) {
    button.setAttribute("aria-pressed", String(button === event.submitter));
  }
});

// Keys: one or two, such as "g c". A script of the page may take a key first, by the event `kibitz:key`.

let prefix = "";
let forget = 0;

function isTyping(target) {
  return target.closest?.("input:not([type=checkbox]), textarea, select, [contenteditable]") !== null;
}

document.addEventListener("keydown", (event) => {
  if (event.defaultPrevented || event.ctrlKey || event.metaKey || event.altKey) return;
  if (isTyping(event.target)) {
    if (event.key === "Escape") event.target.blur();
    return;
  }
  if (event.key.length > 1 && event.key !== "Escape" && event.key !== "Enter" && !event.key.startsWith("Arrow") && event.key !== "Home" && event.key !== "End") return;
  // Under the list of keys the page rests.
  if (document.querySelector(".keys:popover-open") && event.key !== "?") return;
  const keys = prefix ? `${prefix} ${event.key}` : event.key;
  clearTimeout(forget);
  prefix = "";
  if (keys === "g") {
    prefix = "g";
    forget = setTimeout(() => { prefix = ""; }, 1200);
    return;
  }
  const taken = !document.dispatchEvent(new CustomEvent("kibitz:key", { detail: { keys, event }, cancelable: true }));
  if (taken) {
    event.preventDefault();
    return;
  }
  const element = document.querySelector(`[data-key="${CSS.escape(keys)}"]`);
  if (!element) return;
  event.preventDefault();
  if (element.matches("input, textarea, [data-key-focus]")) {
    element.focus();
    element.select?.();
    element.scrollIntoView({ block: "nearest" });
  } else element.click();
});

// A menu that opens puts the reader into its first field, or its current choice.
document.addEventListener("toggle", (event) => {
  if (event.newState !== "open" || !event.target.matches?.(".menu")) return;
  (event.target.querySelector("input:not([type=hidden]), select, [aria-current]") ?? event.target.querySelector("a, button"))?.focus();
}, true);
