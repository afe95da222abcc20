// The way in: which services there are, and what one of them asks for before anybody signs in.

import { get } from "./api.js";
import { button, h, icon, link } from "./dom.js";
import { journey } from "./journey.js";
import { level, signIn, token } from "./session.js";
import { money, t } from "./words.js";

const SIGNS = { "residence-certificate": "house", "debt-register-extract": "shield", "payment-slips": "code" };

export async function home() {
  const services = await get("/v1/services");
  return {
    title: t("home.title"),
    node: h("div", { class: "stack" }, [
      h("div", { class: "hero" }, [
        h("h1", {}, t("home.title")),
        h("p", { class: "lead" }, t("home.lead")),
        token() && link("/?view=dossiers", { class: "action second" }, icon("inbox"), t("list.title")),
      ]),
      h("ul", { class: "cards" }, services.map(card)),
    ]),
  };
}

export function feeText(fee) {
  return fee && fee.amount ? money(fee.amount, fee.currency) : t("fee.none");
}

function card(service) {
  return h("li", { class: "card" }, [
    h("span", { class: "badge-icon" }, icon(SIGNS[service.id] ?? "document")),
    h("div", {}, [
      h("h2", {}, link(`/?service=${service.id}`, { class: "cover" }, service.title)),
      h("p", {}, service.summary),
      h("p", { class: "facts" }, h("span", { class: "pill" }, feeText(service.fee)), h("span", {}, service.authority)),
    ]),
    icon("next", "icon go"),
  ]);
}

// What the service is and takes, with the sign-in; shown instead of the form until the sign-in is strong enough.
export function introduction(service) {
  const known = token() ? level() : null;
  const stronger = token() !== null && known !== null && known < service.assurance;
  const steps = service.steps.map((step) => ({ ...step, state: "waiting" }));
  return h("div", { class: "stack" }, [
    link("/", { class: "back" }, icon("back"), t("nav.services")),
    h("h1", {}, service.title),
    h("p", { class: "lead" }, service.summary),
    h("dl", { class: "facts-list" }, [
      fact("payment", t("fact.fee"), feeText(service.fee)),
      fact("person", t("fact.authority"), service.authority),
      fact("identity", t("fact.assurance"), t(`assurance.${service.assurance}`)),
    ]),
    stronger && h("p", { class: "note" }, icon("info"), t("sign-in.stronger")),
    button("action", () => signIn(service.assurance), icon("identity"), t(stronger ? "sign-in.again" : "sign-in.start")),
    h("section", { class: "panel" }, h("h2", {}, t("journey.preview")), journey(steps, { begun: false })),
  ]);
}

export function mayApply(service) {
  const known = level();
  return token() !== null && (known === null || known >= service.assurance);
}

function fact(name, label, value) {
  return h("div", {}, h("dt", {}, icon(name), label), h("dd", {}, value));
}
