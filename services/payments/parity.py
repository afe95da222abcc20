"""The payment provider's own list beside the payments: what it says and we do not, and the other way round.

The provider is read first and what differs is looked at again, so that a webhook under way is no drift. A repair tells
the core what the provider says, as the webhook would have; what that cannot mend is for people.
"""

from collections import defaultdict
from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final, Protocol

from services.payments import domain
from services.payments.books import COLLECTION
from services.payments.domain import Session
from services.payments.state import Payment
from shared.contracts.dossier import PaymentRequested, StepCancelled
from shared.contracts.envelope import Received
from shared.contracts.topics import INTAKE_EVENTS
from shared.environment import Environment, parse_timestamp
from shared.journal import Cause, Journal
from shared.parity import Drift, Effect, Follower

CONFIRM_SECONDS: Final = 3.0
PAGE: Final = 500


def effect_of(received: Received) -> Effect | None:
    """A request is one payment, named after it; a cancellation is recorded on the payment it is about."""
    if isinstance(received.event, StepCancelled):
        return Effect(COLLECTION, received.event.request) if received.event.kind == "payment" else None
    return Effect(COLLECTION, received.envelope.id)


FOLLOWERS: Final = (Follower("payments", (INTAKE_EVENTS,), frozenset({PaymentRequested, StepCancelled}), effect_of),)


@dataclass(frozen=True, slots=True)
class Listed:
    """A checkout as the provider lists it: whose it is, how it stands, what was given back (minor unit)."""

    payment: str
    session: Session
    refunded: int


class Ledger(Protocol):
    """The provider's list. Raises `ProviderUnavailable`."""

    def listed(self, since: datetime | None) -> AsyncIterator[Listed]:
        """Yield every checkout made since then."""
        ...


@dataclass(frozen=True)
class LedgerParity:
    """The payments beside the provider's list."""

    payments: Journal[Payment]
    ledger: Ledger
    environment: Environment

    async def find(self, since: datetime | None) -> list[Drift]:
        """Return what differs, also on a second look."""
        found = await self._once(since)
        if found:
            await self.environment.sleep(CONFIRM_SECONDS)
            again = {drift.subject for drift in await self._once(since)}
            found = [drift for drift in found if drift.subject in again]
        return found

    async def repair(self, drifts: Sequence[Drift], since: datetime | None) -> int:
        """Record what the provider says of each checkout whose payment differs; return how many payments changed."""
        differ = {drift.subject for drift in drifts if drift.kind == "provider" and drift.repairable}
        listed = await self._listed(since) if differ else {}
        return sum([await self._tell(one) for payment in sorted(differ) for one in listed.get(payment, ())])

    async def _tell(self, one: Listed) -> int:
        cause = Cause(f"parity:{one.session.id}:{one.session.state}:{one.refunded}")
        outcome = await self.payments.record(one.payment, domain.settle(one.session), cause)
        if 0 < outcome.state.owed_back <= one.refunded - outcome.state.returned:
            again = Cause(f"{cause.id}:back")
            outcome = await self.payments.record(one.payment, domain.returned, again)
        return int(bool(outcome.events) and not outcome.repeated)

    async def _listed(self, since: datetime | None) -> Mapping[str, list[Listed]]:
        found: dict[str, list[Listed]] = defaultdict(list)
        async for one in self.ledger.listed(since):
            found[one.payment].append(one)
        return found

    async def _once(self, since: datetime | None) -> list[Drift]:
        listed = await self._listed(since)
        drifts: list[Drift] = []
        for payment, sessions in listed.items():
            known = await self.payments.state(payment)
            if known is None:
                drifts.append(_for_people(payment, "the provider has a checkout of a payment that nobody asked for"))
            else:
                drifts += _differences(payment, known.state, sessions)
        return drifts + [drift async for drift in self._unlisted(listed, since)]

    async def _unlisted(self, listed: Mapping[str, list[Listed]], since: datetime | None) -> AsyncIterator[Drift]:
        """Yield payments by the provider that it does not list."""
        after = ""
        while subjects := await self.payments.store.subjects(after, PAGE):
            for subject in subjects:
                found = None if subject in listed else await self.payments.state(subject)
                state = found.state if found else None
                if state is None or state.session is None:
                    continue
                if since is None or parse_timestamp(state.opened_at) >= since:
                    yield _for_people(subject, "the provider does not list its checkout")
            after = subjects[-1]


def _differences(payment: str, state: Payment, sessions: list[Listed]) -> list[Drift]:
    paid = [one for one in sessions if one.session.state == "paid"]
    ours = next((one for one in sessions if one.session.id == state.session), None)
    refunded = sum(one.refunded for one in sessions)
    if len(paid) > 1:
        return [_for_people(payment, f"paid {len(paid)} times at the provider")]
    if paid and ours not in paid:
        return [_for_people(payment, "paid by a checkout that the payment does not know")]
    if paid and not state.captured:
        return [Drift("provider", payment, "paid at the provider, not here")]
    if not paid and state.status == "succeeded" and state.method != "invoice":
        return [_for_people(payment, "paid here, not at the provider")]
    if refunded > state.returned:
        text = f"{refunded} given back at the provider, {state.returned} here"
        return [Drift("provider", payment, text, repairable=0 < state.owed_back <= refunded - state.returned)]
    if refunded < state.returned and state.method != "invoice":
        return [_for_people(payment, f"{refunded} given back at the provider, {state.returned} here")]
    return []


def _for_people(payment: str, text: str) -> Drift:
    return Drift("provider", payment, text, repairable=False)
