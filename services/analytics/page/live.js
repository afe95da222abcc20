// The live page: takes the KPIs from the stream and shows each section as a picture, with a table for who prefers it.

import { bars, donut, legend, make, stackedBars, table } from "./draw.js";
import { LANGUAGES, clock, duration, money, number, percent, speak, text } from "./texts.js";

const GROUPS = {
  progress: ["received", "in_progress", "delayed"],
  applicant: ["consent_needed", "evidence_ready", "payment_due", "payment_declined", "payment_abandoned"],
  review: ["in_review"],
  completed: ["completed"],
  refused: ["refused"],
  ended: ["withdrawn", "expired"],
};
const KINDS = { completed: "good", refused: "bad" };
const kindOf = (group) => KINDS[group] ?? group;

let kpis = null;
let connection = "connecting";
const shown = {};

const sections = {
  dossiers(width) {
    const services = Object.entries(kpis.dossiers.byService);
    const rows = services.map(([service, statuses]) => ({
      label: named(service),
      parts: Object.entries(GROUPS).map(([group, codes]) => part(group, total(codes.map((code) => statuses[code])))),
    }));
    return {
      picture: rows.length ? stackedBars(rows, width, text("dossiers")) : null,
      legend: Object.keys(GROUPS).map((group) => ({ kind: kindOf(group), label: text(group) })),
      table: [
        [text("service"), ...Object.keys(GROUPS).map((group) => text(group))],
        rows.map((row) => [row.label, ...row.parts.map((each) => each.text)]),
      ],
    };
  },

  time(width) {
    const { p50Seconds, p90Seconds } = kpis.decisionTime.all;
    const promised = kpis.targets;
    const rows = [
      timed("half", p50Seconds, promised.p50Seconds),
      timed("nine", p90Seconds, promised.p90Seconds),
    ];
    const most = Math.log1p(Math.max(p90Seconds ?? 0, promised.p90Seconds) * 1.5);
    return {
      picture: p50Seconds === null ? null : bars(rows, width, rows.map((row) => `${row.label} ${row.text}`).join(". "),
        (seconds) => Math.log1p(seconds) / most),
      note: text("estimated"),
      table: [[text("what"), text("duration"), text("target", { time: "" }).replace(/[ :]+$/, "")],
        rows.map((row) => [row.label, row.text, duration(row.target.value)])],
    };
  },

  decisions() {
    const parts = [
      { kind: "good", value: kpis.decisions.automatic, label: text("automatic") },
      { kind: "review", value: kpis.decisions.byHand, label: text("byHand") },
    ];
    const share = kpis.decisions.automaticShare;
    const middle = share === null ? "" : percent(share);
    return {
      picture: share === null ? null : donut(parts, middle, `${text("automatic")} ${middle}`),
      legend: parts,
      table: counted(parts),
    };
  },

  money(width) {
    const paid = kpis.payments;
    const missed = ["declined", "expired", "cancelled"].map((state) => paid[state]);
    const states = [
      ["succeeded", "good", paid.succeeded],
      ["open", "applicant", paid.open],
      ["refunded", "progress", paid.refunded],
      ["missed", "ended", { count: total(missed.map((each) => each.count)), rappen: total(missed.map((each) => each.rappen)) }],
    ];
    const rows = states.map(([name, kind, { rappen }]) => ({ label: text(name), kind, value: rappen, text: money(rappen) }));
    return {
      picture: compared(rows, width, text("money")),
      table: [[text("what"), text("count"), text("amount")],
        states.map(([name, , { count, rappen }]) => [text(name), number(count), money(rappen)])],
    };
  },

  messages(width) {
    const kinds = { sent: "good", queued: "progress", failed: "bad", suppressed: "ended" };
    const rows = Object.entries(kinds).map(([state, kind]) => ({
      label: text(state), kind, value: kpis.messages[state], text: number(kpis.messages[state]),
    }));
    return { picture: compared(rows, width, text("messages")), table: counted(rows) };
  },

  reuse(width) {
    const { fields, accepted, rejected } = kpis.reuse;
    const rows = [
      { label: text("accepted"), kind: "good", value: accepted, text: number(accepted) },
      { label: text("rejected"), kind: "ended", value: rejected, text: number(rejected) },
    ];
    return {
      picture: compared(rows, width, text("reuse")),
      note: `${number(fields)} ${text("fields")}`,
      table: counted([...rows, { label: text("fields"), value: fields }]),
    };
  },

  consultations: () => ({ note: text("reserved"), picture: undefined }),
};

const total = (values) => values.reduce((sum, value) => sum + (value ?? 0), 0);
const named = (service) => service.replaceAll(/[-_.]/g, " ");
const part = (group, value) => ({ kind: kindOf(group), value, text: number(value) });
const counted = (parts) => [[text("what"), text("count")], parts.map(({ label, value }) => [label, number(value)])];

function timed(name, seconds, target) {
  const kind = seconds !== null && seconds <= target ? "good" : "bad";
  return { label: text(name), kind, value: seconds, text: duration(seconds), target: { value: target, text: text("target", { time: duration(target) }) } };
}

function compared(rows, width, label) {
  const most = Math.max(...rows.map((row) => row.value));
  const spoken = `${label}: ${rows.map((row) => `${row.label} ${row.text}`).join(", ")}`;
  return most ? bars(rows, width, spoken, (value) => value / most) : null;
}

function show(name) {
  const section = document.getElementById(name);
  const opened = section.querySelector("details")?.open ?? false;
  const focused = section.contains(document.activeElement);
  const style = getComputedStyle(section);
  const width = Math.floor(section.clientWidth - parseFloat(style.paddingLeft) - parseFloat(style.paddingRight));
  const parts = sections[name](width);
  const state = JSON.stringify([document.documentElement.lang, width, parts.table, parts.note]);
  if (shown[name] === state) return; // nothing new: leave a reader's place in the page alone
  shown[name] = state;
  const children = [make("h2", { id: `${name}-title` }, text(name))];
  if (parts.picture) children.push(parts.picture);
  else if (parts.picture === null) children.push(make("p", {}, text("none")));
  if (parts.picture && parts.legend) children.push(legend(parts.legend));
  if (parts.note && parts.picture !== null) children.push(make("p", {}, parts.note));
  if (parts.picture && parts.table) children.push(inWords(name, parts.table, opened));
  section.setAttribute("aria-labelledby", `${name}-title`);
  section.replaceChildren(...children);
  if (focused) section.querySelector("summary")?.focus();
}

function inWords(name, [heads, rows], opened) {
  const scroll = make("div", { class: "scroll", role: "group", tabindex: "0", "aria-labelledby": `${name}-title` }, table(text(name), heads, rows));
  const details = make("details", {}, make("summary", {}, text("table")), scroll);
  details.open = opened;
  return details;
}

function showAll() {
  for (const element of document.querySelectorAll("[data-text]")) element.textContent = text(element.dataset.text);
  const status = document.getElementById("connection");
  if (status.textContent !== text(connection)) status.textContent = text(connection);
  status.className = connection;
  if (kpis === null) return;
  const parts = [kpis.asOf ? text("asOf", { time: clock(kpis.asOf) }) : "", kpis.complete ? "" : text("incomplete")];
  document.getElementById("as-of").textContent = parts.filter(Boolean).join(" – ");
  for (const name of Object.keys(sections)) show(name);
}

function choose(wanted) {
  const language = speak(wanted);
  document.documentElement.lang = language;
  for (const button of document.querySelectorAll("[data-language]")) {
    button.setAttribute("aria-pressed", String(button.dataset.language === language));
  }
  document.title = `Dossierbus – ${text("title")}`;
  showAll();
}

function remembered() {
  const asked = new URLSearchParams(location.search).get("lang");
  const spoken = navigator.languages.map((tag) => tag.slice(0, 2)).find((tag) => LANGUAGES.includes(tag));
  return asked ?? localStorage.getItem("language") ?? spoken ?? "de";
}

function connect() {
  const stream = new EventSource("v1/kpis/stream");
  stream.addEventListener("open", () => { connection = "live"; showAll(); });
  stream.addEventListener("kpis", (event) => { kpis = JSON.parse(event.data); connection = "live"; showAll(); });
  stream.addEventListener("error", () => {
    connection = "lost";
    showAll();
    // An answer such as 503 ends an EventSource for good: begin anew.
    if (stream.readyState === EventSource.CLOSED) setTimeout(connect, 3000);
  });
}

for (const button of document.querySelectorAll("[data-language]")) {
  button.addEventListener("click", () => { localStorage.setItem("language", button.dataset.language); choose(button.dataset.language); });
}
addEventListener("resize", showAll);
choose(remembered());
connect();
