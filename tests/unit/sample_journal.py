"""A small aggregate made of contract events, for tests of the core. It counts, reacts, plans work and shares."""

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any

from shared.contracts.agency import DossierShared, SharedDossierDecided
from shared.contracts.envelope import Envelope, Message, Received
from shared.contracts.event import Event
from shared.contracts.identity import (
    IdentityCheckCancelled,
    IdentityCheckDelayed,
    IdentityCheckFailed,
    IdentityCheckOpened,
    IdentityConfirmed,
    IdentityMismatched,
)
from shared.contracts.topics import IDENTITY_EVENTS
from shared.environment import timestamp
from shared.journal import Aggregate, Cause, Decide, Journal, Recorded, Share, State, Work
from shared.journal.fold import canonical
from shared.journal.model import Change, JournalStore
from shared.testing.environment import START, FakeEnvironment
from shared.testing.store import MemoryJournalStore

KEY = b"k" * 32
NOW = timestamp(START)
LATER = timestamp(START + timedelta(hours=1))
AGENCIES = ("debt-office", "court")
CALL, RING = "call", "ring"

OPENED = IdentityCheckOpened(
    step="identity", register_name="residents", person="sealed:v1:person:AAAA", give_up_at=LATER
)
CONFIRMED = IdentityConfirmed(step="identity", register_id="sealed:v1:person:BBBB", register_name="residents")
MISMATCHED = IdentityMismatched(step="identity", reasons=("date_of_birth",))
FAILED = IdentityCheckFailed(step="identity", reason="mismatched")
CANCELLED = IdentityCheckCancelled(step="identity")


class Tally(State):
    """What was counted: the words of all events in order, and the sum of their attempts."""

    words: tuple[str, ...] = ()
    total: int = 0


class QuickEnvironment(FakeEnvironment):
    """A fake whose clock runs ahead by itself whenever somebody sleeps."""

    async def sleep(self, seconds: float) -> None:
        """Move the clock instead of waiting."""
        self.advance(timedelta(seconds=seconds))
        await asyncio.sleep(0)


def noted(number: int) -> Event:
    """A plain event that carries a number."""
    return IdentityCheckDelayed(step="identity", attempts=number)


def evolve(state: Tally | None, recorded: Recorded) -> Tally:
    """Count an event."""
    before = state or Tally()
    number = recorded.event.attempts if isinstance(recorded.event, IdentityCheckDelayed) else 0
    return Tally(words=(*before.words, recorded.event.word), total=before.total + number)


def react(state: Tally, _now: datetime) -> Sequence[Event]:
    """A mismatch fails the check."""
    return (FAILED,) if state.words[-1] == MISMATCHED.word else ()


def plan(_state: Tally, recorded: Recorded) -> Sequence[Work]:
    """An opened check wants a call, a cancelled one a timer."""
    if isinstance(recorded.event, IdentityCheckOpened):
        return (Work(CALL, due_at=recorded.time, not_after=recorded.event.give_up_at),)
    return (Work(RING, due_at=LATER),) if isinstance(recorded.event, IdentityCheckCancelled) else ()


def share(_state: Tally, recorded: Recorded) -> Sequence[Share]:
    """Both agencies learn of the opening, the first one of the confirmation."""
    if isinstance(recorded.event, IdentityCheckOpened):
        shared = DossierShared(service="residence", service_version=1, person="p", steps=(), link="https://x.example")
        return tuple(Share(agency, shared) for agency in AGENCIES)
    if isinstance(recorded.event, IdentityConfirmed):
        return (Share(AGENCIES[0], SharedDossierDecided(outcome="granted", automatic=True)),)
    return ()


TALLY: Aggregate[Tally] = Aggregate(
    service="identity",
    name="identity",
    topic=IDENTITY_EVENTS,
    schema=1,
    state=Tally,
    evolve=evolve,
    react=react,
    plan=plan,
    share=share,
)


def add(*events: Event) -> Decide[Any]:
    """Decide these events whatever the state is."""
    return lambda _state, _now: events


def once(*events: Event) -> Decide[Any]:
    """Decide these events only for something that does not exist yet."""
    return lambda state, _now: () if state else events


def journal_of(
    store: JournalStore | None = None,
    environment: FakeEnvironment | None = None,
    aggregate: Aggregate[Tally] = TALLY,
) -> Journal[Tally]:
    """A journal, in memory unless a store is given."""
    return Journal(aggregate, store or MemoryJournalStore(), environment or QuickEnvironment(), tenant="emmen", key=KEY)


def command(key: str, body: str = "body") -> Cause:
    """The cause of a request."""
    return Cause.command("caller", key, body)


def told(subject: str, sequence: int, event: Event = CONFIRMED) -> Received:
    """An event of another service as the consumer hands it over."""
    dossier = subject.partition(":")[0]
    attributes = (f"{subject}:{sequence}", "//dossierbus/emmen/intake", event.type, subject, sequence, NOW, "emmen")
    return Received(Envelope(*attributes, partitionkey=dossier, traceparent="", mac=""), event)


def record_of(subject: str, sequence: int, event: Event = CONFIRMED, topic: str = IDENTITY_EVENTS) -> Message:
    """An event of another service as it lies on a topic."""
    received = told(subject, sequence, event)
    return received.envelope.message(topic, canonical(event.model_dump(mode="json")))


@dataclass
class Writer:
    """Writes plain changes to a store, keeping the numbers a journal would keep."""

    store: JournalStore
    environment: FakeEnvironment

    async def write(self, subject: str, *causes: str, change: Callable[[Change], Change] = lambda same: same) -> bool:
        """Append an event per cause; say whether the store took the change."""
        head = await self.store.load(subject)
        before = head.sequence if head else 0
        now = timestamp(self.environment.now())
        events = tuple(self._event(subject, before + place, cause, now) for place, cause in enumerate(causes, 1))
        plain = Change(
            subject=subject,
            tenant="emmen",
            version=head.version if head else 0,
            sequence=before + len(causes),
            schema=1,
            state={"count": before + len(causes)},
            events=events,
            seen=None,
            shared=head.shared if head else {},
            work=head.work if head else (),
            mac=f"mac-{before + len(causes)}",
            time=now,
        )
        return await self.store.commit(change(plain))

    def _event(self, subject: str, sequence: int, cause: str, now: str) -> dict[str, Any]:
        return {
            "seq": sequence,
            "id": f"{subject}:{sequence}",
            "type": noted(1).type,
            "time": now,
            "cause": cause,
            "trace": "",
            "data": noted(sequence).model_dump(mode="json"),
            "mac": f"mac-{sequence}",
        }


def with_work(*work: Work) -> Callable[[Change], Change]:
    """Let a change store this work."""
    return lambda change: replace(change, work=work)
