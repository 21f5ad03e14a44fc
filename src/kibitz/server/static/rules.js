// The form of a rule: what may come next in its query.

import { complete } from "./completion.js";

const box = document.getElementById("rule-query");
if (box) {
  const { project, complete: url } = box.form.dataset;
  complete(box, document.getElementById("rule-offers"), { project, url });
}
