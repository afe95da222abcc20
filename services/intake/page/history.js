// What happened so far, in sentences. Events without a sentence are steps inside the house and stay there.

import { h, icon } from "./dom.js";
import { knows, moment, t } from "./words.js";

export function history(entries) {
  const list = h("ol", { class: "history" });
  const known = new Set();
  const add = (entry) => {
    if (known.has(entry.sequence)) return;
    known.add(entry.sequence);
    list.dataset.sequence = Math.max(...known);
    const key = sentence(entry);
    if (key) list.prepend(line(entry, key));
  };
  entries.forEach(add);
  return { node: list, add };
}

function line(entry, key) {
  return h("li", { "data-sequence": entry.sequence, "data-event": entry.event }, [
    icon("check"),
    h("span", {}, t(key)),
    h("time", { datetime: entry.time }, moment(entry.time)),
  ]);
}

function sentence({ event, data }) {
  const detail = data.outcome ?? data.ending ?? data.code;
  return [`event.${event}.${detail}`, `event.${event}`].find(knows) ?? null;
}
