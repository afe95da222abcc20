// What the applicant can do next, each as one panel with a heading and buttons. `run` sends a command and shows the answer.

import { command, get, save } from "./api.js";
import { button, h, icon, link } from "./dom.js";
import { evidence } from "./evidence.js";
import { money, size, t } from "./words.js";

const PAYING = "dossierbus.paying";

// A word for what the panel shows: only when it changes is the panel drawn again, so that a focus inside it stays.
export function outline(view) {
  return JSON.stringify([view.status.next_action, view.payment, view.documents, view.ending]);
}

export async function actions(view, service, run) {
  const next = view.status.next_action;
  const make = next && PANELS[next.action];
  const panels = [make && (await make(view, service, run, next.url)), documents(view, run)];
  return panels.filter(Boolean);
}

const PANELS = {
  give_consent: (view, service, run, url) => {
    const asked = service.evidence.find((one) => one.step === url.split("/").pop());
    const answer = (granted) => () => run(() => command(url, { granted }));
    return panel("evidence", t("consent.title"), [
      h("p", {}, t("consent.ask", { title: asked?.title ?? "" })),
      h("p", { class: "help" }, t("consent.basis", { legal_basis: asked?.legal_basis ?? "" })),
      h("p", { class: "quiet" }, t("consent.without")),
      pair(button("action", answer(true), icon("check"), t("consent.grant")), button("action second", answer(false), t("consent.refuse"))),
    ]);
  },

  confirm_evidence: async (view, service, run, url) => {
    const preview = await get(url);
    const asked = service.evidence.find((one) => one.step === preview.step);
    const answer = (accepted) => () => run(() => command(url, { accepted }));
    return panel("evidence", t("evidence.title"), [
      h("p", {}, t("evidence.ask")),
      h("div", { class: "paper" }, h("h3", {}, asked?.title ?? preview.title), evidence(preview.evidence)),
      h("p", { class: "quiet" }, t("evidence.without")),
      pair(button("action", answer(true), icon("check"), t("evidence.accept")), button("action second", answer(false), t("evidence.reject"))),
    ]);
  },

  pay: (view, service, run) => {
    const { payment } = view;
    const visited = sessionStorage.getItem(PAYING) === view.id;
    const leave = () => sessionStorage.setItem(PAYING, view.id);
    return panel("payment", t("pay.title"), [
      h("p", { class: "amount" }, money(payment.amount, payment.currency)),
      visited && h("p", { class: "note" }, icon("clock"), t("pay.visited")),
      payment.url
        ? link(payment.url, { class: "action", rel: "noreferrer", onclick: leave }, t("pay.now"), icon("outside"))
        : payment.bill && [h("p", {}, t("pay.bill.help")), button("action", () => run(() => bill(view)), icon("download"), t("pay.bill"))],
      h("details", {}, h("summary", {}, t("pay.other")), methods(view, run, "other")),
    ]);
  },

  pay_again: (view, service, run) => {
    sessionStorage.removeItem(PAYING);
    return panel("payment", t("pay.again.title"), [
      h("p", { class: "amount" }, money(view.payment.amount, view.payment.currency)),
      h("p", {}, t("pay.again")),
      methods(view, run, "again"),
    ]);
  },

  contact_authority: (view, service) => panel("person", t("contact.title"), [h("p", {}, t("contact", { authority: service.authority }))]),

  download: () => null,
};

function documents(view, run) {
  if (!view.documents.length) return null;
  return panel("document", t("documents.title"), view.documents.map((one) => {
    const name = `${view.title.replaceAll(/[^\p{L}\p{N}]+/gu, "-")}-${view.reference}.pdf`;
    return button("action", () => run(() => save(one.url, name)), icon("download"), t("documents.download", { size: size(one.size) }));
  }));
}

// The way tried last comes last: after a declined card another card is as good as another way.
function methods(view, run, mode) {
  const { payment } = view;
  const offered = mode === "other" ? payment.methods.filter((one) => one !== payment.method) : payment.methods;
  const choose = (method) => () => run(() => command(`/v1/dossiers/${view.id}/payments`, { method }));
  return h("div", { class: "pair" }, offered.map((method) => button("action second", choose(method), t(`method.${method}`))));
}

async function bill(view) {
  await save(view.payment.bill, `QR-${view.reference}.pdf`);
}

function pair(...buttons) {
  return h("div", { class: "pair" }, buttons);
}

function panel(name, title, content) {
  return h("section", { class: "panel next", "data-panel": name }, h("h2", {}, icon(name), title), content);
}
