"""Applicants, case workers, the bank and the provider's webhooks: everybody who acts from outside. Patient, as people
with a browser are: what is not answered is asked again with the same key.
"""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Any, Final

from services.intake import domain
from services.intake.domain import NotPossible
from services.intake.state import Dossier, StepState
from services.payments.bank import Credit
from services.payments.domain import Session, refuse_card, settle
from services.payments.handlers import book_credits, record_notice
from services.payments.webhooks import Notice
from shared.errors import Transient
from shared.journal import Cause, Decide
from tests.simulation.plans import Plan, submit
from tests.simulation.processes import Away, Fleet
from tests.simulation.wiring import IntakeDesk, Parts

HASH_KEY: Final = b"k" * 32
PATIENCE_SECONDS: Final = 2.0


@dataclass
class People:
    """Everybody outside. `accepted`: dossiers whose submission was answered."""

    parts: Parts
    fleet: Fleet
    accepted: dict[str, Plan] = field(default_factory=dict)
    booked: list[tuple[str, int]] = field(default_factory=list)
    webhook_faults: dict[str, float] = field(default_factory=dict)
    _changed: dict[str, asyncio.Event] = field(default_factory=dict)
    _busy: int = 0
    _notices: int = 0

    def __post_init__(self) -> None:
        self._random = self.parts.wires.stream("people")

    @property
    def busy(self) -> bool:
        """Whether anybody is still under way."""
        return self._busy > 0

    def saved(self, subject: str) -> None:
        """Wake whoever watches a dossier."""
        if subject in self._changed:
            self._changed[subject].set()

    def look(self, dossier: str) -> Dossier | None:
        """Return a dossier as it is stored now."""
        document = self.parts.databases["intake"].collections["dossiers"].documents.get(dossier)
        return Dossier.model_validate(document["state"]) if document else None

    async def play(self, plan: Plan) -> None:
        """Be an applicant until the dossier has ended, and whoever answers its reviews."""
        self._busy += 1
        await asyncio.sleep(plan.start)
        await self._patiently(lambda: self._to_intake(lambda desk: submit(desk, plan), twice=plan.twice))
        self.accepted[plan.dossier] = plan
        changed = self._changed[plan.dossier] = asyncio.Event()
        applicant = Applicant(self, plan)
        while (dossier := self.look(plan.dossier)) is None or dossier.ending is None:
            if dossier is not None and await applicant.acts(dossier):
                continue
            changed.clear()
            self._busy -= 1
            await changed.wait()
            self._busy += 1
        self._busy -= 1

    async def command(
        self, plan: Plan, key: str, decide: Callable[[IntakeDesk], Decide[Dossier]], hesitates: float = 4.0
    ) -> None:
        """Send a command until it is answered; a refusal is an answer."""
        cause = Cause.command(plan.caller.subject, key, "body")

        async def save(desk: IntakeDesk) -> None:
            await desk.dossiers.record(plan.dossier, decide(desk), cause)

        await asyncio.sleep(self._random.random() * hesitates)
        try:
            await self._patiently(lambda: self._to_intake(save, twice=plan.twice))
        except NotPossible as refusal:
            self.parts.wires.log.note(f"refused {plan.dossier} {key} {refusal.code}")

    async def pay_bill(self, reference: str, amount: int, times: int) -> None:
        """Send bank files with a credit until they are taken; each file may be sent again."""
        for number in range(times):
            credit = Credit("CH4431999123000889012", f"bank-{reference}-{number}", reference, amount, "CHF")
            self.booked.append((reference, amount))
            for _ in range(1 + (self._random.random() < 0.2)):
                await self._patiently(lambda c=credit: self._book(c))  # type: ignore[misc]

    def notify(self, kind: str, payment: str, session: Session) -> None:
        """Deliver a webhook, perhaps late, twice or never."""
        self._notices += 1
        number, faults = self._notices, self.webhook_faults
        if self._random.random() < faults.get("dropped", 0.0):
            return
        decide = refuse_card(session.declined) if session.declined else settle(session)
        notice = Notice(f"evt_{number}", payment, decide)
        for _ in range(1 + (self._random.random() < faults.get("doubled", 0.0))):
            delay = self._random.random() * (0.3 + faults.get("late", 0.0))
            self.parts.wires.later(delay, lambda: self._send(notice, kind))

    def _send(self, notice: Notice, kind: str) -> None:
        self.parts.wires.loop.create_task(self._deliver(notice, kind))

    async def _deliver(self, notice: Notice, kind: str) -> None:
        self._busy += 1
        for _ in range(6):
            try:
                outcome = await self.fleet.call("payments-api", lambda desk: record_notice(desk[0], notice))
            except (Away, Transient):
                await asyncio.sleep(1 + 3 * self._random.random())
            else:
                self.parts.wires.log.note(f"webhook {kind} {notice.payment} {outcome}")
                break
        self._busy -= 1

    async def _book(self, credit: Credit) -> None:
        async def book(desk: Any) -> None:
            payments, books = desk
            matched = await book_credits(payments, books, [credit])
            if matched[0].outcome == "unmatched":
                raise Away  # a person looks again when the file is not matched

        await self.fleet.call("payments-api", book)

    async def _to_intake(self, use: Callable[[IntakeDesk], Awaitable[None]], *, twice: bool) -> None:
        calls = [self.fleet.call("intake-api", use) for _ in range(1 + twice)]
        answers = await asyncio.gather(*calls, return_exceptions=True)
        for answer in answers:
            if isinstance(answer, BaseException):
                raise answer

    async def _patiently(self, call: Callable[[], Awaitable[None]]) -> None:
        while True:
            try:
                return await call()
            except (Away, Transient):
                await asyncio.sleep(0.2 + PATIENCE_SECONDS * self._random.random())


@dataclass
class Applicant:
    """One applicant with what they have done already, and the case workers of their dossier."""

    people: People
    plan: Plan
    done: set[str] = field(default_factory=set)
    pages: list[str] = field(default_factory=list)
    statuses: set[str] = field(default_factory=set)

    async def acts(self, dossier: Dossier) -> bool:
        """Do the next thing that makes sense, if there is one."""
        if dossier.status_event:
            self.statuses.add(dossier.status_event)
        plan = self.plan
        if plan.withdraws_after is not None and len(self.statuses) > plan.withdraws_after and self._first("withdraw"):
            await self.people.command(plan, "withdraw", lambda _desk: domain.withdraw(), hesitates=0.5)
            return True
        for step_id, step in dossier.steps.items():
            if not step.done and await self._step(dossier, step_id, step):
                return True
        return False

    async def _step(self, dossier: Dossier, step_id: str, step: StepState) -> bool:
        if step.review is not None:
            return step.review.outcome is None and await self._reviewed(step_id, step.review.authority)
        if self.plan.passive:
            return False
        if step.phase == "consent_asked":
            decide = lambda desk: domain.answer_consent(_service(desk), step_id, granted=self.plan.agrees)  # noqa: E731
            return await self._once(f"consent-{step_id}", decide)
        request = dossier.request_of(step_id)
        if request is None or request.outcome is None:
            return False
        if request.outcome == "fetched" and step.phase == "consent_given":
            decide = lambda desk: domain.confirm_evidence(_service(desk), step_id, accepted=self.plan.accepts)  # noqa: E731
            return await self._once(f"confirm-{step_id}", decide)
        if request.outcome == "checkout_created" and request.url:
            return await self._on_page(request.url.rpartition("/")[2], step.request or "")
        if request.outcome == "invoiced" and request.reference and self._first(f"bill-{request.reference}"):
            await asyncio.sleep(self.people._random.random() * 3)
            await self.people.pay_bill(request.reference, _fee(self.people, dossier), 1 + self.plan.impatient)
            return True
        if request.outcome in ("declined", "expired"):
            return await self._once(f"again-{step.request}", self._again)
        return False

    def _again(self, desk: IntakeDesk) -> Decide[Dossier]:
        return domain.pay_again(_service(desk), "card", desk.bus.settings.deadline_scale)

    async def _reviewed(self, step_id: str, authority: str) -> bool:
        plan = self.plan
        decide = lambda _desk: domain.review(step_id, plan.review, "reviewer", authority, ("seen",))  # noqa: E731
        return await self._once(f"review-{step_id}", decide)

    async def _on_page(self, session: str, request: str) -> bool:
        if not self._first(f"page-{session}"):
            return False
        random, processor = self.people._random, self.people.parts.processor
        if self.plan.impatient and self._first("impatient"):
            # Asks for another page, then pays on both.
            await self._once(f"again-{request}", self._again)
        await asyncio.sleep(random.random() * 4)
        action = self.plan.pages[len(self.pages)] if len(self.pages) < len(self.plan.pages) else "pay"
        self.pages.append(session)
        processor.act(session, action)
        if action == "decline" and random.random() < 0.3:
            processor.act(session, "pay")
        return True

    async def _once(self, key: str, decide: Callable[[IntakeDesk], Decide[Dossier]]) -> bool:
        if not self._first(key):
            return False
        await self.people.command(self.plan, key, decide)
        return True

    def _first(self, key: str) -> bool:
        if key in self.done:
            return False
        self.done.add(key)
        return True


def _service(desk: IntakeDesk) -> Callable[[Dossier], Any]:
    return lambda dossier: desk.catalogue[dossier.service, dossier.service_version]


def _fee(people: People, dossier: Dossier) -> int:
    amounts = {"residence-certificate": 1000, "debt-register-extract": 1800}
    return amounts[dossier.service]
