// The form of one service: person and contact as the sign-in knows them, the service's own fields, consents, payment.

import { command, get } from "./api.js";
import { busy, h, icon, link } from "./dom.js";
import { clearErrors, field, fields, showErrors, values } from "./form.js";
import { feeText, introduction, mayApply } from "./home.js";
import { claims, signIn } from "./session.js";
import { current, t } from "./words.js";

const PERSON = {
  required: ["first_name", "official_name", "date_of_birth"],
  properties: { first_name: {}, official_name: {}, date_of_birth: { format: "date" }, ahv: { format: "ahv" } },
};
const CONTACT = { required: ["email"], properties: { email: { format: "email" } } };
const COMPLETED = { first_name: "given-name", official_name: "family-name", date_of_birth: "bday", email: "email" };

export async function apply(id, go) {
  const service = await get(`/v1/services/${id}`);
  if (!mayApply(service)) return { title: service.title, node: introduction(service) };
  const draft = new Draft(id);
  const form = h("form", { class: "stack", novalidate: true, "data-service": id }, sections(service, draft.read()));
  form.addEventListener("input", () => draft.write(values(form)));
  const submit = h("button", { type: "submit", class: "action" }, t("apply.submit"));
  form.append(h("p", { class: "quiet" }, t("apply.promise")), submit);
  form.addEventListener("submit", (event) => {
    event.preventDefault();
    busy(submit, () => send(service, form, draft, go));
  });
  return {
    title: service.title,
    node: h("div", { class: "stack" }, [
      link("/", { class: "back" }, icon("back"), t("nav.services")),
      h("h1", {}, service.title),
      h("p", { class: "lead" }, service.summary, " ", h("span", { class: "pill" }, feeText(service.fee))),
      form,
    ]),
    leave: () => draft.write(values(form)),
  };
}

async function send(service, form, draft, go) {
  clearErrors(form);
  const answers = values(form);
  const body = {
    service: service.id,
    language: current(),
    person: answers.person ?? {},
    contact: answers.contact ?? {},
    form: answers.form ?? {},
    consents: Object.values(answers.consent ?? {}).filter(Boolean),
    ...(answers.payment_method ? { payment_method: answers.payment_method } : {}),
  };
  try {
    const dossier = await command("/v1/dossiers", body, draft.key(body));
    draft.forget();
    form.replaceChildren();
    go(`/?dossier=${dossier.id}`);
  } catch (problem) {
    draft.write(answers);
    if (problem.status === 401) return signIn(service.assurance);
    if (problem.requiredAssurance) return signIn(problem.requiredAssurance);
    showErrors(form, problem);
    document.title = `${t("error.prefix")}: ${service.title}`;
  }
}

function sections(service, draft) {
  const known = claims();
  const person = draft.person ?? {
    first_name: known.given_name,
    official_name: known.family_name,
    date_of_birth: known.birthdate,
    ahv: known.ahv,
  };
  const contact = draft.contact ?? { email: known.email };
  return [
    section("person", t("apply.person"), known.given_name && t("apply.prefilled"), [
      ...fields(PERSON, hintsFor(PERSON, "person"), person, "/person"),
      ...fields(CONTACT, hintsFor(CONTACT, "contact"), contact, "/contact"),
    ].map(completed).map(field)),
    section("document", t("apply.form"), null, fields(service.form, service.ui, draft.form, "/form").map(field)),
    service.evidence.length > 0 &&
      section("evidence", t("apply.consents"), t("apply.consents.help"), service.evidence.map((one) => consent(service, one, draft))),
    service.fee && section("payment", t("apply.payment"), null, [field(method(service.fee, draft))]),
  ].filter(Boolean);
}

function section(name, title, note, boxes) {
  return h("section", { class: "panel" }, [
    h("h2", {}, icon(name), title),
    note && h("p", { class: "quiet" }, note),
    boxes,
  ]);
}

function hintsFor(schema, group) {
  const hint = (name) => ({ label: t(`${group}.${name}`), help: name === "ahv" || name === "email" ? t(`${group}.${name}.help`) : undefined });
  return Object.fromEntries(Object.keys(schema.properties).map((name) => [name, hint(name)]));
}

function completed(one) {
  return { ...one, autocomplete: COMPLETED[one.pointer.split("/").pop()] };
}

function consent(service, evidence, draft) {
  const id = `consent-${evidence.step}`;
  const authority = service.steps.find((step) => step.id === evidence.step)?.authority;
  const input = h("input", { type: "checkbox", id, checked: draft.consent?.[evidence.step] === evidence.step });
  input.setAttribute("aria-describedby", `${id}-help`);
  const box = h("div", { class: "consent", "data-pointer": `/consent/${evidence.step}` }, [
    h("label", { class: "option", for: id }, input, h("span", {}, t("consent.yes", { title: evidence.title }))),
    h("p", { class: "help", id: `${id}-help` }, t("consent.help", { authority, legal_basis: evidence.legal_basis })),
  ]);
  box.read = () => (input.checked ? evidence.step : undefined);
  return box;
}

function method(fee, draft) {
  const choices = fee.methods.map((value) => ({ value, label: t(`method.${value}`), note: t(`method.${value}.note`) }));
  const value = draft.payment_method ?? fee.methods[0];
  return { pointer: "/payment_method", label: t("apply.method", { fee: feeText(fee) }), required: true, kind: "choice", choices, value };
}

// What was filled in, kept in this tab until it is submitted, and the key of the submission that it stands for.
class Draft {
  constructor(service) {
    this.name = `dossierbus.draft.${service}`;
  }

  read() {
    return JSON.parse(sessionStorage.getItem(this.name) ?? "{}").answers ?? {};
  }

  write(answers) {
    if (Object.keys(answers).length) this.#store({ ...this.#stored(), answers });
  }

  key(body) {
    const text = JSON.stringify(body);
    const known = this.#stored();
    if (known.body !== text) this.#store({ ...known, body: text, key: crypto.randomUUID() });
    return this.#stored().key;
  }

  forget() {
    sessionStorage.removeItem(this.name);
  }

  #stored() {
    return JSON.parse(sessionStorage.getItem(this.name) ?? "{}");
  }

  #store(value) {
    sessionStorage.setItem(this.name, JSON.stringify(value));
  }
}
