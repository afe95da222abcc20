// The reference page: which view an address stands for, the frame around it, language, focus and errors.

import { apply } from "./apply.js";
import { Problem } from "./api.js";
import { dossier } from "./dossier.js";
import { button, focusOn, h, icon, link } from "./dom.js";
import { home } from "./home.js";
import { list } from "./list.js";
import { claims, finish, signIn, signOut, token } from "./session.js";
import * as words from "./words.js";

const { t } = words;
const main = document.getElementById("main");
let shown = { dispose() {}, leave() {} };
let number = 0;

async function start() {
  await words.load();
  const answer = await finish();
  document.addEventListener("click", follow);
  window.addEventListener("unhandledrejection", unforeseen);
  window.addEventListener("popstate", () => show());
  document.getElementById("skip").addEventListener("click", skip);
  await show({ focus: answer !== false, refused: answer === "refused" });
}

function go(address) {
  history.pushState(null, "", address);
  return show();
}

async function show({ focus = true, refused = false } = {}) {
  number += 1;
  const mine = number;
  shown.leave?.();
  shown.dispose?.();
  shown = {};
  frame();
  main.setAttribute("aria-busy", "true");
  const view = refused ? declined() : await chosen().catch(failed);
  if (mine !== number) return view.dispose?.();
  shown = view;
  main.replaceChildren(view.node);
  main.removeAttribute("aria-busy");
  document.title = `${view.title} – ${t("site")}`;
  window.scrollTo(0, 0);
  if (focus) focusOn(main.querySelector("h1"));
}

function chosen() {
  const address = new URLSearchParams(location.search);
  const own = address.has("dossier") || address.get("view") === "dossiers";
  if (own && !token()) return Promise.resolve(gate());
  if (address.has("dossier")) return dossier(address.get("dossier"));
  if (address.get("view") === "dossiers") return list();
  return address.has("service") ? apply(address.get("service"), go) : home();
}

function frame() {
  const mine = token() && link("/?view=dossiers", { class: "tool" }, icon("inbox"), h("span", {}, t("list.title")));
  const leave = token() && button("tool", () => (signOut(), go("/")), icon("person"), h("span", {}, t("sign-out")));
  const enter = !token() && button("tool", () => signIn(1), icon("person"), h("span", {}, t("sign-in")));
  document.getElementById("skip").textContent = t("skip");
  document.getElementById("top").replaceChildren(h("div", { class: "bar" }, [
    link("/", { class: "brand" }, h("img", { src: "/page/icon.svg", alt: "", width: 36, height: 36 }), h("span", {}, h("strong", {}, t("municipality")), h("small", {}, t("counter")))),
    h("nav", { class: "languages", "aria-label": t("nav.language") }, Object.entries(words.LANGUAGES).map(language)),
    h("nav", { class: "tools", "aria-label": t("nav.own") }, mine, leave, enter),
  ]));
  document.getElementById("foot").replaceChildren(h("p", {}, icon("info"), t("foot")), token() && h("p", {}, t("foot.signed-in", { name: claims().name ?? "" })) || "");
}

function language([code, name]) {
  const choose = async () => {
    words.choose(code);
    words.remember();
    await show({ focus: false });
    document.querySelector(`[data-language=${code}]`).focus();
  };
  const current = code === words.current();
  return h("button", { type: "button", lang: code, title: name, "aria-label": name, "data-language": code, "aria-current": current && "true", onclick: choose }, code.toUpperCase());
}

function gate() {
  return message(t("gate.title"), t("gate"), button("action", () => signIn(1), icon("identity"), t("sign-in.start")));
}

function declined() {
  return message(t("sign-in.refused"), t("sign-in.refused.help"), link(location.pathname + location.search, { class: "action" }, t("error.again")));
}

function failed(problem) {
  if (!(problem instanceof Problem)) console.error(problem);
  if (problem.status === 401) return gate();
  const text = problem.detail || problem.title || t("error.network");
  const title = problem.status === 404 ? t("error.unknown") : t("error.title");
  return message(title, text, button("action", () => show(), t("error.again")));
}

// What no view has foreseen, such as a sign-in that cannot be reached, is said at the top.
function unforeseen({ reason }) {
  const text = reason instanceof Problem ? reason.detail || reason.title : "";
  main.prepend(h("div", { class: "summary", role: "alert" }, h("p", {}, icon("alert"), text || t("error.network"))));
  window.scrollTo(0, 0);
}

function message(title, text, action) {
  return { title, node: h("div", { class: "stack empty" }, h("h1", {}, title), h("p", {}, text), action, link("/", { class: "back" }, icon("back"), t("nav.services"))) };
}

function follow(event) {
  const anchor = event.target.closest?.("a[href^='/']");
  const plain = event.button === 0 && !event.ctrlKey && !event.metaKey && !event.shiftKey && !event.altKey;
  if (!anchor || !plain || event.defaultPrevented || anchor.pathname !== "/") return;
  event.preventDefault();
  go(anchor.getAttribute("href"));
}

function skip(event) {
  event.preventDefault();
  main.focus();
}

start();
