// The way of a request as a picture: steps as stations, side by side where nothing orders them, joined by lines.

import { h, icon } from "./dom.js";
import { t } from "./words.js";

// `steps` are {id, title, kind, state, after}; `ending` says that what is not done will not be done any more.
export function journey(steps, { begun = true, ending = null } = {}) {
  const start = { id: "_start", title: t("journey.start"), kind: "inbox", state: begun ? "done" : "waiting" };
  const finish = { id: "_end", title: t(`journey.end.${ending ?? "open"}`), kind: "flag", state: endState(ending) };
  const rows = [[start], ...stages(steps), [finish]];
  return h("ol", { class: "journey" }, rows.map((row, index) => stage(row, rows[index + 1], ending)));
}

// The states in one word, so that a view can see whether the picture has to be drawn again.
export function outline({ steps, ending, status }) {
  return JSON.stringify([steps, ending, status.next_action]);
}

function stages(steps) {
  const depth = new Map();
  const known = new Set(steps.map((step) => step.id));
  for (const step of steps) {
    const before = (step.after ?? []).filter((id) => known.has(id));
    depth.set(step.id, before.length ? 1 + Math.max(...before.map((id) => depth.get(id) ?? 0)) : 0);
  }
  const rows = [];
  for (const step of steps) (rows[depth.get(step.id)] ??= []).push(step);
  return rows.filter(Boolean);
}

function stage(row, next, ending) {
  const passed = row.every((step) => step.state === "done");
  const shape = ["stage", row.length > 1 && "fork", next?.length > 1 && "before-fork", passed && "passed"].filter(Boolean).join(" ");
  const stations = row.map((step) => station(step, ending));
  if (row.length === 1) return h("li", { class: shape }, stations);
  return h("li", { class: shape }, h("ul", { class: "lanes", "aria-label": t("journey.parallel") }, stations.map((one) => h("li", {}, one))));
}

function station(step, ending) {
  const state = ending && ending !== "completed" && step.state !== "done" && !step.id.startsWith("_") ? "stopped" : step.state;
  const mark = state === "done" ? "check" : state === "stopped" ? "stop" : state === "yours" ? "person" : step.kind;
  return h("div", { class: `station ${state}`, "data-step": step.id, "data-state": state, "aria-current": ["open", "yours"].includes(state) && "step" }, [
    h("span", { class: "dot" }, icon(mark)),
    h("span", { class: "what" }, h("span", { class: "title" }, step.title), h("span", { class: "state" }, t(`state.${state}`))),
  ]);
}

function endState(ending) {
  if (!ending) return "waiting";
  return ending === "completed" ? "done" : "stopped";
}
