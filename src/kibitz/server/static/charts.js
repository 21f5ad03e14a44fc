// A chart is one stop of the Tab key; arrows go from mark to mark, Home and End to the ends.

function arrange(within = document) {
  for (const chart of within.querySelectorAll("[data-chart]:not([data-arranged])")) {
    chart.dataset.arranged = "";
    [...chart.querySelectorAll(".mark")].forEach((mark, at, all) => mark.setAttribute("tabindex", at === all.length - 1 ? "0" : "-1"));
  }
}

const STEPS = { ArrowRight: 1, ArrowLeft: -1, Home: -Infinity, End: Infinity };

document.addEventListener("keydown", (event) => {
  const mark = event.target.closest?.(".mark");
  if (!mark || !(event.key in STEPS) || event.ctrlKey || event.metaKey || event.altKey) return;
  const all = [...mark.closest("[data-chart]").querySelectorAll(".mark")];
  const next = all[Math.min(Math.max(all.indexOf(mark) + STEPS[event.key], 0), all.length - 1)];
  event.preventDefault();
  mark.setAttribute("tabindex", "-1");
  next.setAttribute("tabindex", "0");
  next.focus();
}, true);

document.addEventListener("htmx:afterSwap", () => arrange());
arrange();
