// The query bar. It stands outside of what answers replace, so that nothing that is typed meanwhile is lost.

const PAUSE_MS = 350;

const box = document.getElementById("search");
const form = box?.form;
const results = () => document.getElementById("results");

let timer = 0;

// The list follows the text after a pause; the answer to a later question aborts the one before.
function ask() {
  clearTimeout(timer);
  window.htmx?.ajax("GET", form.getAttribute("action"), {
    source: form, replace: "true", headers: { "kibitz-typing": "1" },
  });
}

function follow() {
  clearTimeout(timer);
  if (box.value.trim() !== results().dataset.text) timer = setTimeout(ask, PAUSE_MS);
}

// What a click elsewhere made of the text is taken over, unless something was typed since.

let asked = null;

document.addEventListener("htmx:beforeRequest", (event) => {
  if (!box || event.detail.target.id !== "results") return;
  clearTimeout(timer);
  asked = { text: box.value, here: event.detail.elt === form };
});

document.addEventListener("htmx:afterSettle", (event) => {
  if (!box || event.target.id !== "results" || !asked) return;
  if (box.value !== asked.text) follow();
  else if (!asked.here) box.value = results().dataset.text;
  asked = null;
});

if (box) {
  box.addEventListener("input", follow);
  // What was typed before this script ran; htmx is ready with the document.
  if (document.readyState === "complete") follow();
  else addEventListener("load", follow);
}
