// The page's language: texts, dates and amounts. The API's own texts come in the same language by Accept-Language.

export const LANGUAGES = { de: "Deutsch", fr: "Français", it: "Italiano", en: "English" };
const CHOICE = "dossierbus.language";
const ZONE = "Europe/Zurich";
let table = { municipality: "", texts: {} };
let language = "de";

export async function load() {
  table = await (await fetch("/page/texts.json")).json();
  const wishes = [localStorage.getItem(CHOICE), ...navigator.languages];
  choose(wishes.map((wish) => (wish ?? "").slice(0, 2).toLowerCase()).find((wish) => wish in LANGUAGES) ?? "de");
}

export function choose(wanted) {
  language = wanted;
  document.documentElement.lang = wanted;
}

export function remember() {
  localStorage.setItem(CHOICE, language);
}

export function current() {
  return language;
}

export function knows(key) {
  return key in table.texts;
}

// A missing text shows its key, so that nobody overlooks it; tests look for that too.
export function t(key, values = {}) {
  const text = table.texts[key]?.[language] ?? key;
  const all = { municipality: table.municipality, of: elided(table.municipality), ...values };
  return text.replace(/\{(\w+)\}/g, (_, name) => String(all[name] ?? ""));
}

// French says "d’Emmen" but "de Sursee".
function elided(name) {
  return /^[aeiouyàâéèêîôû]/i.test(name) ? "d’" : "de ";
}

export function money(rappen, currency = "CHF") {
  return new Intl.NumberFormat(`${language}-CH`, { style: "currency", currency }).format(rappen / 100);
}

export function day(text) {
  const time = /^\d{4}-\d{2}-\d{2}$/.test(text) ? `${text}T12:00:00Z` : text;
  return new Intl.DateTimeFormat(`${language}-CH`, { dateStyle: "long", timeZone: ZONE }).format(new Date(time));
}

export function moment(text) {
  const format = new Intl.DateTimeFormat(`${language}-CH`, { dateStyle: "medium", timeStyle: "short", timeZone: ZONE });
  return format.format(new Date(text));
}

export function size(bytes) {
  return `${new Intl.NumberFormat(`${language}-CH`).format(Math.max(1, Math.round(bytes / 1024)))}\u00a0KB`;
}
