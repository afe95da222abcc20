// Fetched evidence as the applicant reads it before it is used: everything that came, in words where there are words.

import { h } from "./dom.js";
import { day, knows, moment, money, t } from "./words.js";

const TECHNICAL = new Set(["localPersonId", "maritalStatus"]);

export function evidence(value) {
  const entries = Object.entries(value);
  const codes = entries.filter(([name]) => TECHNICAL.has(name));
  const list = (rows) => h("dl", { class: "evidence" }, rows.map(([name, one]) => entry(name, one)));
  const rest = codes.length > 0 && h("details", {}, h("summary", {}, t("evidence.technical")), list(codes));
  return [list(entries.filter(([name]) => !TECHNICAL.has(name))), rest].filter(Boolean);
}

function entry(name, value) {
  return h("div", { "data-field": name, class: Array.isArray(value) && "long" }, h("dt", {}, label(name)), h("dd", {}, shown(name, value)));
}

function shown(name, value) {
  if (Array.isArray(value)) return value.length ? h("ol", { class: "entries" }, value.map((one) => h("li", {}, shown(name, one)))) : t("evidence.none");
  if (value !== null && typeof value === "object") return place(value) ?? evidence(value);
  if (knows(`value.${name}.${value}`)) return t(`value.${name}.${value}`);
  if (/rappen$/i.test(name)) return money(value);
  if (/^\d{4}-\d{2}-\d{2}$/.test(value)) return day(value);
  return /^\d{4}-\d{2}-\d{2}T/.test(value) ? moment(value) : String(value ?? "–");
}

// An address (eCH-0010) or municipality (eCH-0007) is read as one thing, not field by field.
function place(value) {
  const { street, houseNumber, swissZipCode, town, municipalityName, cantonAbbreviation, municipalityId } = value;
  if (municipalityName) return `${municipalityName} ${cantonAbbreviation ?? ""} (${t("field.municipalityId")} ${municipalityId})`;
  if (!street || !town) return null;
  return [`${street} ${houseNumber ?? ""}`.trim(), h("br"), `${swissZipCode ?? ""} ${town}`.trim()];
}

function label(name) {
  return knows(`field.${name}`) ? t(`field.${name}`) : name.replaceAll(/([a-z])([A-Z])/g, "$1 $2").replaceAll("_", " ");
}
