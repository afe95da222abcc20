"""A process of a service as far as publishing goes, for the tests of the relay."""

import pytest

from shared.contracts.topics import IDENTITY_EVENTS
from shared.journal import Journal
from shared.relay import SWEEP_AGE, Relay
from shared.testing.broker import MemoryBroker
from shared.testing.store import MemoryJournalStore
from tests.unit.sample_journal import (
    QuickEnvironment,
    Tally,
    add,
    command,
    journal_of,
    noted,
)


class Process:
    """One process of a service: a journal and its relay, over a store and a broker that several may share."""

    def __init__(self, store: MemoryJournalStore, broker: MemoryBroker, environment: QuickEnvironment) -> None:
        self.store, self.broker, self.environment = store, broker, environment
        self.journal: Journal[Tally] = journal_of(store, environment)
        self.relay = Relay(self.journal, broker, environment)
        self.journal.listen(self.relay)

    def another(self) -> "Process":
        """A second process beside this one."""
        return Process(self.store, self.broker, self.environment)

    async def save(self, subject: str = "d1", count: int = 1) -> None:
        """Save so many events in one write."""
        cause = command(self.environment.token())
        await self.journal.record(subject, add(*(noted(n + 1) for n in range(count))), cause, creates=True)

    async def relay_once(self) -> None:
        """Publish what was offered."""
        while self.relay._offered:
            await self.relay._publish_offered()

    async def sweep(self) -> int:
        """Publish what is old enough for the sweeper."""
        self.environment.advance(2 * SWEEP_AGE)
        return await self.relay.sweep()

    def published(self, subject: str = "d1", topic: str = IDENTITY_EVENTS) -> list[int]:
        """The sequences of a subject on a topic, in order, repeats included."""
        found = [dict(message.headers) for message in self.broker.topic(topic)]
        return [int(notes["ce_sequence"]) for notes in found if notes["ce_subject"] == subject.encode()]

    def watermark(self, subject: str = "d1") -> tuple[int, bool]:
        """How far the store says it is published, and whether something is pending."""
        document = self.store.documents[subject]
        return document["published"], document["pending"]


@pytest.fixture(name="process")
def process_of() -> Process:
    """One process on an empty store and broker."""
    return Process(MemoryJournalStore(), MemoryBroker(), QuickEnvironment())
