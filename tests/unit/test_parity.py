"""Comparing journals with topics and follow-ups: each drift planted by hand is found, repaired, and then gone."""

from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import replace
from datetime import datetime, timedelta

import pytest

from shared.contracts.envelope import Message, Received
from shared.contracts.identity import IdentityConfirmed
from shared.contracts.topics import IDENTITY_EVENTS
from shared.journal import Cause, Journal
from shared.kafka.topics import Place, Span
from shared.parity import Effect, Follower, Parity
from shared.relay import Relay
from shared.testing.broker import MemoryBroker
from shared.testing.store import MemoryMarkers
from tests.unit.sample_journal import (
    CONFIRMED,
    NOW,
    TALLY,
    QuickEnvironment,
    Tally,
    add,
    command,
    journal_of,
    noted,
    record_of,
)

TOPIC = "tallies"
GROUP = "tally"


class MemoryTopics:
    """Whole topics of a broker in memory; `trimmed`: records that each partition has lost at its beginning."""

    def __init__(self, broker: MemoryBroker) -> None:
        self.broker = broker
        self.trimmed = 0

    async def spans(self, topics: Sequence[str], _since: datetime | None) -> dict[Place, Span]:
        """All there is."""
        found = {place: len(log) for place, log in self.broker.logs.items() if place[0] in topics}
        return {place: Span(min(self.trimmed, end), end, self.trimmed == 0) for place, end in found.items()}

    async def read(self, spans: Mapping[Place, Span]) -> AsyncIterator[Message]:
        """Records in order."""
        for place, span in spans.items():
            for record in self.broker.logs[place][span.start : span.end]:
                yield record

    async def committed(self, group: str, topics: Sequence[str]) -> dict[Place, int]:
        """What the group has committed."""
        return {place: self.broker.offsets.get((group, place), 0) for place in self.broker.logs if place[0] in topics}


class Books:
    """A service with tallies, published on one topic, that reads what another service says of them."""

    def __init__(self) -> None:
        self.broker, self.markers = MemoryBroker(), MemoryMarkers()
        self.environment = QuickEnvironment()
        plain = replace(TALLY, topic=TOPIC, share=lambda _state, _recorded: ())
        self.journal: Journal[Tally] = journal_of(environment=self.environment, aggregate=plain)
        self.relay = Relay(self.journal, self.broker, self.environment)
        self.topics = MemoryTopics(self.broker)
        follower = Follower(GROUP, (IDENTITY_EVENTS,), frozenset({IdentityConfirmed}), self._effect_of)
        self.parity = Parity(
            {"tallies": self.journal}, [follower], self.topics, self.markers, self.broker, [self.relay]
        )

    def _effect_of(self, received: Received) -> Effect | None:
        return Effect("tallies", received.envelope.dossier)

    async def open(self) -> "Books":
        """Three dossiers, each with a told event; everything is published and taken in."""
        for number in range(3):
            await self.journal.record(f"d{number}", add(noted(1)), command("open"), creates=True)
        self.environment.advance(timedelta(minutes=1))
        await self.relay.sweep()
        for number in range(3):
            await self.tell(number, 1, handled=True)
        self.environment.advance(timedelta(minutes=1))
        await self.relay.sweep()
        return self

    async def tell(self, dossier: int, sequence: int, *, handled: bool) -> None:
        """Another service says something; the group has passed it, whether it was handled or not."""
        assert all(await self.broker.publish([record_of(f"d{dossier}:7", sequence, CONFIRMED, IDENTITY_EVENTS)]))
        if handled:
            await self.handle(dossier, sequence)
        self.broker.commit(GROUP, self.broker.fetch(GROUP, [IDENTITY_EVENTS]))

    async def handle(self, dossier: int, sequence: int) -> None:
        """What the group's handler does."""
        cause = Cause(f"d{dossier}:7:{sequence}", subject=f"d{dossier}:7", sequence=sequence)
        await self.journal.record(f"d{dossier}", add(CONFIRMED), cause)

    async def found(self) -> list[tuple[str, str]]:
        """Kind and subject of every drift."""
        return [(drift.kind, drift.subject) for drift in await self.parity.find(None)]


@pytest.fixture
async def books() -> Books:
    """Books that agree."""
    return await Books().open()


async def test_books_that_agree_have_no_drift(books: Books) -> None:
    """Also with repeats on the topic, and with what is saved but not published yet."""
    assert await books.relay.repeat("d0")
    await books.journal.record("d1", add(noted(2)), command("later"))
    assert await books.found() == []


async def test_a_published_event_that_is_not_on_its_topic_is_published_again(books: Books) -> None:
    """A record that the broker lost; afterwards the topic has it, and a second repair has nothing to do."""
    for log in books.broker.logs.values():
        log[:] = [record for record in log if record.key != b"d1" or record.topic != TOPIC]
    assert await books.found() == [("unpublished", "d1")]
    assert await books.parity.repair(await books.parity.find(None), None) == 1
    assert await books.found() == []
    before = len(books.broker.topic(TOPIC))
    assert await books.parity.repair(await books.parity.find(None), None) == 0
    assert len(books.broker.topic(TOPIC)) == before


async def test_what_the_broker_has_let_go_by_age_is_not_missing(books: Books) -> None:
    """Of a partition without its beginning, only events younger than its first record are expected."""
    books.topics.trimmed = 1
    assert await books.found() == []


async def test_forged_and_altered_events_are_told_and_left_to_people(books: Books) -> None:
    """An event of no journal, one beyond a journal's end, one with another mac: a topic cannot be mended."""
    good = books.broker.topic(TOPIC)[0]
    forged = [(n, b"forged" if n == "ce_mac" else v) for n, v in good.headers]
    beyond = [(n, b"0000000099" if n == "ce_sequence" else v) for n, v in good.headers]
    nobody = [(n, b"d9" if n in ("ce_subject", "ce_partitionkey") else v) for n, v in good.headers]
    await books.broker.publish([replace(good, headers=headers) for headers in (forged, beyond, nobody)])
    assert sorted(await books.found()) == [("altered", "d0"), ("foreign", "d0"), ("foreign", "d9")]
    drifts = await books.parity.find(None)
    assert [drift.repairable for drift in drifts] == [False] * 3
    assert await books.parity.repair(drifts, None) == 0


async def test_an_event_that_was_passed_but_not_taken_in_is_told_again(books: Books) -> None:
    """As after a group's offset was moved by mistake; the group's own handler takes it in once."""
    await books.tell(2, 2, handled=False)
    assert await books.found() == [("unfollowed", "d2:7:2")]
    assert await books.parity.repair(await books.parity.find(None), None) == 1
    again = books.broker.fetch(GROUP, [IDENTITY_EVENTS])
    assert [dict(record.headers)["ce_id"] for records in again.values() for record in records] == [b"d2:7:2"]
    await books.handle(2, 2)
    books.broker.commit(GROUP, again)
    assert await books.found() == []
    assert await books.parity.repair(await books.parity.find(None), None) == 0


async def test_dead_letters_and_discarded_events_are_no_drift(books: Books) -> None:
    """They are known and waited for; an event that is not passed yet is no drift either."""
    await books.tell(1, 2, handled=False)
    await books.tell(2, 2, handled=False)
    await books.markers.mark(GROUP, "d1", "reason", "d1:7:2", NOW)
    await books.markers.discard(GROUP, "d2", "d2:7:2", "forged", "ops", NOW)
    assert all(await books.broker.publish([record_of("d0:7", 2, CONFIRMED, IDENTITY_EVENTS)]))
    assert await books.found() == []


async def test_a_look_back_compares_only_what_is_young(books: Books) -> None:
    """Journals of which nothing young lies on the topic are left to a comparison of everything."""
    for log in books.broker.logs.values():
        log[:] = [record for record in log if record.key != b"d1" or record.topic != TOPIC]
    assert await books.parity.find(books.environment.now()) == []
