// The applicant's requests, page by page.

import { get } from "./api.js";
import { button, h, icon, link } from "./dom.js";
import { day, t } from "./words.js";

export async function list() {
  const cards = h("ul", { class: "cards" });
  const more = h("div", {});
  await load(cards, more, null);
  const empty = !cards.children.length && h("div", { class: "empty" }, icon("inbox"), h("p", {}, t("list.empty")), link("/", { class: "action" }, t("home.title")));
  const node = h("div", { class: "stack" }, link("/", { class: "back" }, icon("back"), t("nav.services")), h("h1", {}, t("list.title")), empty, cards, more);
  return { title: t("list.title"), node };
}

async function load(cards, more, cursor) {
  const page = await get(`/v1/dossiers?limit=20${cursor ? `&cursor=${encodeURIComponent(cursor)}` : ""}`);
  cards.append(...page.items.map(card));
  const next = page.next && button("action second", () => load(cards, more, page.next), t("list.more"));
  more.replaceChildren(...(next ? [next] : []));
}

function card(view) {
  const yours = view.status.waiting_for === "applicant";
  return h("li", { class: "card" }, [
    h("span", { class: "badge-icon" }, icon(view.ending === "completed" ? "check" : yours ? "person" : view.ending ? "stop" : "clock")),
    h("div", {}, [
      h("h2", {}, link(`/?dossier=${view.id}`, { class: "cover" }, view.title)),
      h("p", {}, view.status.text),
      h("p", { class: "facts" }, yours && h("span", { class: "pill strong" }, t("list.yours")), h("span", {}, `${view.reference}, ${day(view.submitted_at)}`)),
    ]),
    icon("next", "icon go"),
  ]);
}
