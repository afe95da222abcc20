// Fields out of a JSON Schema and its hints, their values, and errors at their field by JSON Pointer (RFC 6901).

import { h, focusOn, icon } from "./dom.js";
import { money, t } from "./words.js";

// A field: pointer, label, help, required, kind (text, email, date, digits, money, lines, choice, check), choices, value.
export function fields(schema, hints, values, prefix) {
  return Object.entries(schema.properties ?? {}).map(([name, rule]) => {
    const hint = hints[name] ?? {};
    return {
      pointer: `${prefix}/${name}`,
      label: hint.label ?? name,
      help: hint.help,
      required: (schema.required ?? []).includes(name),
      kind: kindOf(rule, hint),
      choices: (rule.enum ?? []).map((value) => ({ value, label: hint.options?.[value] ?? value })),
      rule,
      value: values?.[name],
    };
  });
}

export function field(one) {
  const id = idOf(one.pointer);
  const help = one.help && h("p", { class: "help", id: `${id}-help` }, one.help);
  const label = [one.label, !one.required && h("span", { class: "optional" }, ` (${t("optional")})`)];
  const box = ["choice"].includes(one.kind) ? choice(one, id, label, help) : single(one, id, label, help);
  box.dataset.pointer = one.pointer;
  box.read = () => read(one, box);
  return box;
}

export function values(form) {
  const found = {};
  for (const box of form.querySelectorAll("[data-pointer]")) {
    const value = box.read?.();
    if (value === undefined) continue;
    const path = box.dataset.pointer.split("/").slice(1);
    const last = path.pop();
    path.reduce((node, name) => (node[name] ??= {}), found)[last] = value;
  }
  return found;
}

// Puts each error at its field (or the nearest group above it) and all of them into a summary that takes the focus.
export function showErrors(form, problem) {
  clearErrors(form);
  const entries = [...gathered(form, problem.errors)].map(([box, texts]) => placed(box, [...texts].join(" ")));
  const lines = entries.length ? entries : [h("li", {}, problem.detail || problem.title || t("error.network"))];
  const summary = h("div", { class: "summary", role: "group", "aria-labelledby": "summary-title" }, [
    h("h2", { id: "summary-title" }, icon("alert"), t(entries.length ? "error.check" : "error.title")),
    h("ul", {}, lines),
  ]);
  form.prepend(summary);
  focusOn(summary);
}

export function clearErrors(form) {
  for (const node of form.querySelectorAll(".summary, .error")) node.remove();
  for (const box of form.querySelectorAll(".field.wrong")) {
    box.classList.remove("wrong");
    for (const input of [box, ...box.querySelectorAll("[aria-invalid]")]) input.removeAttribute("aria-invalid");
    describe(box, null);
  }
}

// What is wrong with each field, all in one place; what belongs to no field stands under its own words.
function gathered(form, errors) {
  const found = new Map();
  for (const error of errors) {
    const box = boxFor(form, error.pointer ?? "") ?? error.detail;
    found.set(box, (found.get(box) ?? new Set()).add(worded(box, error)));
  }
  return found;
}

function placed(box, text) {
  if (typeof box === "string") return h("li", {}, text);
  const id = `${idOf(box.dataset.pointer)}-error`;
  box.classList.add("wrong");
  const target = box.querySelector("input, textarea");
  target.setAttribute("aria-invalid", "true");
  box.querySelector(".before").after(h("p", { class: "error", id }, icon("alert"), text));
  describe(box, id);
  const name = box.one.label;
  const jump = (event) => {
    event.preventDefault();
    focusOn(target);
  };
  return h("li", {}, h("a", { href: `#${target.id}`, onclick: jump }, `${name}${/[?!:]$/.test(name) ? "" : ":"} ${text}`));
}

function boxFor(form, pointer) {
  for (let path = pointer; path; path = path.slice(0, path.lastIndexOf("/"))) {
    const box = [...form.querySelectorAll("[data-pointer]")].find((one) => one.dataset.pointer === path);
    if (box) return box;
  }
  return null;
}

function worded(box, error) {
  const { kind, rule } = box.one ?? {};
  if (kind !== "money" || !["type", "minimum", "maximum", "multipleOf"].includes(error.code)) return error.detail;
  return t("error.amount", { from: money(rule.minimum ?? 0), to: money(rule.maximum), step: rule.multipleOf ?? 1 });
}

function describe(box, errorId) {
  const target = box.matches("fieldset") ? box : box.querySelector("input, textarea");
  const help = box.querySelector(".help")?.id;
  const ids = [errorId, help].filter(Boolean).join(" ");
  if (ids) target.setAttribute("aria-describedby", ids);
  else target.removeAttribute("aria-describedby");
}

function kindOf(rule, hint) {
  if (rule.enum) return "choice";
  if (rule.type === "array") return "lines";
  if (rule.type === "integer") return hint.unit === "rappen" ? "money" : "digits";
  return { email: "email", date: "date", ahv: "digits-text" }[rule.format] ?? "text";
}

function single(one, id, label, help) {
  const common = { id, name: one.pointer, autocomplete: one.autocomplete ?? "off", "aria-required": one.required && "true" };
  const shown = shownValue(one);
  const input =
    one.kind === "lines"
      ? h("textarea", { ...common, rows: 3 }, shown)
      : h("input", { ...common, ...inputKind(one.kind), value: shown, class: `kind-${one.kind}` });
  const unit = one.kind === "money" && h("span", { class: "unit", "aria-hidden": "true" }, "CHF");
  const box = h("div", { class: "field" }, [
    h("div", { class: "before" }, h("label", { for: id, class: "name" }, label), help),
    h("div", { class: "input" }, unit, input),
  ]);
  box.one = one;
  describe(box, null);
  return box;
}

function choice(one, id, label, help) {
  const options = one.choices.map(({ value, label: text, note }, index) => {
    const own = index ? `${id}-${index}` : id;
    const radio = h("input", { type: "radio", id: own, name: one.pointer, value, checked: value === one.value });
    return h("label", { class: "option", for: own }, radio, h("span", {}, text, note && h("small", {}, note)));
  });
  const box = h("fieldset", { class: "field" }, [
    h("legend", { class: "name" }, label),
    h("div", { class: "before" }, help),
    h("div", { class: "options" }, options),
  ]);
  box.one = one;
  describe(box, null);
  return box;
}

function inputKind(kind) {
  const kinds = {
    email: { type: "email", spellcheck: "false" },
    date: { type: "date", max: "2100-12-31" },
    digits: { type: "text", inputmode: "numeric" },
    "digits-text": { type: "text", inputmode: "numeric" },
    money: { type: "text", inputmode: "decimal" },
  };
  return kinds[kind] ?? { type: "text" };
}

function shownValue(one) {
  if (one.value === undefined || one.value === null) return "";
  if (one.kind === "lines") return Array.isArray(one.value) ? one.value.join("\n") : one.value;
  return one.kind === "money" && Number.isInteger(one.value) ? (one.value / 100).toFixed(2) : one.value;
}

// What cannot be read as a number is sent as it is: the API says what it expects, in one place for all portals.
function read(one, box) {
  if (one.kind === "choice") return box.querySelector("input:checked")?.value;
  const text = box.querySelector("input, textarea").value.trim();
  if (!text) return undefined;
  if (one.kind === "lines") return text.split("\n").map((line) => line.trim()).filter(Boolean);
  if (one.kind === "digits") return /^\d{1,15}$/.test(text) ? Number(text) : text;
  if (one.kind !== "money") return text;
  const plain = text.replace(/^CHF\s*/i, "").replace(/['’\s]/g, "").replace(",", ".").replace(/\.[-–—]$/, "");
  return /^\d{1,9}(\.\d{1,2})?$/.test(plain) ? Math.round(Number(plain) * 100) : text;
}

function idOf(pointer) {
  return `f${pointer.replaceAll("/", "-")}`;
}
