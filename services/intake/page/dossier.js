// One request: where it stands (live), what to do next, its way as a picture, what happened, and withdrawing it.

import { actions, outline as outlineOfActions } from "./actions.js";
import { command, get, Problem } from "./api.js";
import { button, focusOn, h, icon, link } from "./dom.js";
import { history as happened } from "./history.js";
import { journey, outline } from "./journey.js";
import { follow } from "./live.js";
import { signIn } from "./session.js";
import { day, moment, t } from "./words.js";

export async function dossier(id) {
  const view = await get(`/v1/dossiers/${id}`);
  const [service, entries] = await Promise.all([serviceOf(view), get(`/v1/dossiers/${id}/timeline`)]);
  const page = new DossierPage(service, happened(entries));
  await page.show(view);
  if (!view.ending) page.listen();
  return { title: `${view.title} ${view.reference}`, node: page.node(view), dispose: () => page.dispose() };
}

// A service may have left the catalogue: the request is shown without what only the service could tell.
function serviceOf(view) {
  return get(`/v1/services/${view.service}`).catch((problem) => {
    if (problem.status !== 404) throw problem;
    return { steps: [], evidence: [] };
  });
}

class DossierPage {
  constructor(service, record) {
    this.service = service;
    this.record = record;
    this.view = null;
    this.offered = null;
    this.drawing = Promise.resolve();
    this.hangUp = () => {};
    this.status = h("div", { class: "status" });
    this.spoken = h("p", { class: "hidden", role: "status" });
    this.line = h("p", { class: "line" });
    this.next = h("div", { class: "stack" });
    this.problem = h("div", {});
    this.picture = h("div", {});
    this.ending = h("div", {});
  }

  node(view) {
    return h("div", { class: "stack", "data-dossier": view.id }, [
      link("/?view=dossiers", { class: "back" }, icon("back"), t("list.title")),
      h("h1", {}, view.title),
      h("p", { class: "quiet" }, t("dossier.reference", { reference: view.reference, date: day(view.submitted_at) })),
      h("section", { class: "standing", "aria-label": t("dossier.status") }, this.status, this.line, this.spoken),
      this.problem,
      this.next,
      h("section", { class: "panel" }, h("h2", {}, t("journey.title")), this.picture),
      h("section", { class: "panel" }, h("h2", {}, t("history.title")), this.record.node),
      this.ending,
    ]);
  }

  // Answers and the stream both bring views; they are drawn one after the other, and an older one not at all.
  show(view) {
    const drawn = this.drawing.then(() => this.#draw(view));
    this.drawing = drawn.catch(() => {});
    return drawn;
  }

  // Draws what differs. The status is spoken when it changes; a panel that vanishes under the focus hands it on.
  async #draw(view) {
    if (this.view && view.sequence < this.view.sequence) return;
    const before = this.view;
    this.view = view;
    if (before?.status.code !== view.status.code) this.#showStatus(view, before !== null);
    if (this.offered !== outlineOfActions(view)) await this.#showActions(view);
    if (!before || outline(before) !== outline(view)) this.#showPicture(view);
    if (!before || before.ending !== view.ending) this.#showEnding(view);
  }

  listen() {
    this.#connection("waiting");
    this.hangUp = follow(this.view.id, this.view.sequence, {
      onEntry: (entry) => this.record.add(entry),
      onView: (view) => this.show(view).then(() => view.ending && this.#over()),
      onState: (state) => this.#connection(state),
    });
  }

  dispose() {
    this.hangUp();
  }

  run = async (act) => {
    this.problem.replaceChildren();
    try {
      const answer = await act();
      if (answer?.status?.code) await this.show(answer);
    } catch (problem) {
      if (!(problem instanceof Problem)) throw problem;
      if (problem.status === 401) return signIn(this.service.assurance);
      this.#complain(problem);
      if (problem.status === 409 || problem.status === 412) await this.show(await get(`/v1/dossiers/${this.view.id}`));
    }
  };

  #over() {
    this.hangUp();
    this.line.replaceChildren();
  }

  #connection(state) {
    if (this.view.ending) return;
    this.line.replaceChildren(h("span", { class: `pulse ${state}`, "aria-hidden": "true" }), t(`live.${state}`));
    this.line.dataset.live = state;
  }

  #showStatus(view, changed) {
    const { code, text, delay, waiting_for: waitingFor, expected_by: due } = view.status;
    const tone = TONES[code] ?? "calm";
    this.status.className = `status ${tone}`;
    this.status.dataset.code = code;
    const promise = due ? t(waitingFor === "applicant" ? "dossier.until" : "dossier.expected", { date: moment(due) }) : null;
    this.status.replaceChildren(...[
      h("span", { class: "badge-icon" }, icon(SIGNS[tone])),
      h("div", {}, h("p", { class: "text" }, text), delay && h("p", { class: "quiet" }, delay), promise && h("p", { class: "quiet" }, promise)),
    ]);
    if (changed) this.spoken.textContent = text;
  }

  async #showActions(view) {
    const panels = await actions(view, this.service, this.run);
    const held = this.next.contains(document.activeElement);
    this.next.replaceChildren(...panels);
    this.offered = outlineOfActions(view);
    if (held) focusOn(this.next.querySelector("h2") ?? document.querySelector("h1"));
  }

  #showPicture(view) {
    const after = new Map(this.service.steps.map((step) => [step.id, step.after]));
    const steps = view.steps.map((step, index) => ({
      ...step,
      state: awaits(view.status.next_action, step) ? "yours" : step.state,
      after: after.get(step.id) ?? [view.steps[index - 1]?.id],
    }));
    this.picture.replaceChildren(journey(steps, { ending: view.ending }));
  }

  #showEnding(view) {
    if (view.ending) {
      const held = this.ending.contains(document.activeElement);
      this.ending.replaceChildren();
      return held && focusOn(document.querySelector("h1"));
    }
    const dialog = withdrawal(() => this.run(() => command(`/v1/dossiers/${view.id}/withdrawal`)));
    const open = h("button", { type: "button", class: "plain", onclick: () => dialog.showModal() }, t("withdraw"));
    this.ending.replaceChildren(open, dialog);
  }

  #complain(problem) {
    const text = problem.detail || problem.title || t("error.network");
    const box = h("div", { class: "summary", role: "alert" }, h("p", {}, icon("alert"), text));
    this.problem.replaceChildren(box);
  }
}

// Whether it is this step that the applicant's next action belongs to.
function awaits(next, step) {
  if (!next || step.state !== "open") return false;
  if (["pay", "pay_again"].includes(next.action)) return step.kind === "payment";
  return ["give_consent", "confirm_evidence"].includes(next.action) && next.url.endsWith(`/${step.id}`);
}

const TONES = {
  consent_needed: "asking", evidence_ready: "asking", payment_due: "asking", payment_abandoned: "asking",
  payment_declined: "failed", refused: "failed", expired: "failed", completed: "done", withdrawn: "failed", delayed: "waiting",
};
const SIGNS = { asking: "person", failed: "alert", done: "check", waiting: "clock", calm: "clock" };

function withdrawal(withdraw) {
  const dialog = h("dialog", { "aria-labelledby": "withdraw-title" });
  const sure = button("action danger", async () => {
    await withdraw();
    dialog.close();
  }, t("withdraw.sure"));
  dialog.append(
    h("h2", { id: "withdraw-title" }, t("withdraw.title")),
    h("p", {}, t("withdraw.help")),
    h("div", { class: "pair" }, sure, h("button", { type: "button", class: "action second", onclick: () => dialog.close() }, t("withdraw.no"))),
  );
  return dialog;
}
