// What may come next in a query: offered below the box that it is typed into, taken with Tab or a click.
// Places are counted in characters by the server and in halves of some of them here.

const PAUSE_MS = 90;

const toCharacters = (text, at) => [...text.slice(0, at)].length;
export const fromCharacters = (text, at) => [...text].slice(0, at).join("").length;

export function write(box, text, [from, to]) {
  box.focus();
  box.setRangeText(text, from, to, "end");
  box.dispatchEvent(new Event("input", { bubbles: true }));
}

// Makes a box of this kind. `told` hears each answer with the text that it is about.
export function complete(box, offers, { project, url, told = () => {} }) {
  let items = [];
  let span = [0, 0];
  let active = -1;
  let soon = 0;
  let asking = null;

  async function ask() {
    clearTimeout(soon);
    asking?.abort();
    asking = new AbortController();
    const text = box.value;
    const cursor = toCharacters(text, box.selectionStart ?? text.length);
    try {
      const response = await fetch(url, {
        method: "POST",
        headers: { "content-type": "application/json" },
        body: JSON.stringify({ project, text, cursor }),
        signal: asking.signal,
        credentials: "same-origin",
      });
      if (!response.ok || box.value !== text) return;
      const answer = await response.json();
      told(answer, text);
      span = [fromCharacters(text, answer.from), fromCharacters(text, answer.to)];
      items = document.activeElement === box ? answer.items.filter((each) => each.text !== text.slice(...span)) : [];
      draw();
    } catch (error) {
      if (error.name !== "AbortError") close();
    }
  }

  function draw() {
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

  function close() {
    clearTimeout(soon);
    asking?.abort();
    items = [];
    draw();
  }

  function choose(at) {
    offers.children[active]?.setAttribute("aria-selected", "false");
    active = at;
    const line = offers.children[at];
    line.setAttribute("aria-selected", "true");
    line.scrollIntoView({ block: "nearest" });
    box.setAttribute("aria-activedescendant", line.id);
  }

  function accept(at) {
    const { text } = items[at];
    const rest = box.value.slice(span[1]);
    write(box, /[(.\s]$/.test(text) || /^[\s,)]/.test(rest) ? text : `${text} `, span);
  }

  function onKey(event) {
    if (event.isComposing || event.ctrlKey && event.key !== " " || event.metaKey || event.altKey) return;
    const open = items.length > 0;
    if (event.key === "ArrowDown" || event.key === "ArrowUp") {
      if (open) choose((active + (event.key === "ArrowDown" ? 1 : active < 0 ? 0 : -1) + items.length) % items.length);
      else if (event.key === "ArrowDown") ask();
      else return;
    } else if (event.ctrlKey) ask();
    else if (event.key === "Tab" && open && !event.shiftKey) accept(Math.max(active, 0));
    else if (event.key === "Enter" && open && active >= 0) accept(active);
    else if (event.key === "Escape" && open) close();
    else return;
    event.preventDefault();
  }

  box.setAttribute("role", "combobox");
  box.setAttribute("aria-autocomplete", "list");
  box.setAttribute("aria-controls", offers.id);
  box.setAttribute("aria-expanded", "false");
  box.addEventListener("input", () => {
    clearTimeout(soon);
    soon = setTimeout(ask, PAUSE_MS);
  });
  box.addEventListener("keydown", onKey);
  box.addEventListener("blur", close);
  offers.addEventListener("mousedown", (event) => event.preventDefault());
  offers.addEventListener("click", (event) => {
    const line = event.target.closest("[role=option]");
    if (line) accept([...offers.children].indexOf(line));
  });
  return { close };
}
