"""What publishing and consuming do, whatever the broker. Subclasses give the fixture `bus`."""

import asyncio
from collections.abc import Callable
from typing import Protocol

from shared.consumer import Dispatcher, Handler
from shared.contracts.envelope import Message, Received
from shared.contracts.event import Event
from shared.contracts.identity import IdentityCheckDelayed
from shared.errors import Permanent
from shared.redrive import Letters, redrive
from shared.relay import Publisher
from shared.testing.store import MemoryMarkers
from tests.unit.sample_journal import QuickEnvironment, noted, record_of


class Bus(Protocol):
    """A broker with one fresh topic and group."""

    @property
    def topic(self) -> str:
        """The topic."""
        ...

    @property
    def group(self) -> str:
        """The consumer group."""
        ...

    @property
    def publisher(self) -> Publisher:
        """Writes to any topic."""
        ...

    @property
    def letters(self) -> Letters:
        """The dead-letter topics."""
        ...

    async def records(self, topic: str) -> list[Message]:
        """All records of a topic, partition by partition."""
        ...

    async def consume(self, dispatcher: Dispatcher, until: Callable[[], bool], *, crash: bool = False) -> None:
        """Let a member of the dispatcher's group read the topic until the condition holds; a crash commits nothing."""
        ...


class Group:
    """A consumer group's member that notes what it handled and refuses what a test wants."""

    def __init__(self, bus: Bus, markers: MemoryMarkers | None = None, group: str | None = None) -> None:
        self.handled: list[str] = []
        self.broken: set[str] = set()
        self.markers = markers or MemoryMarkers()
        handlers: dict[type[Event], Handler] = {IdentityCheckDelayed: self._handle}
        environment = QuickEnvironment()
        self.dispatcher = Dispatcher(group or bus.group, handlers, self.markers, bus.publisher, environment)

    async def _handle(self, received: Received) -> None:
        if received.envelope.id in self.broken:
            raise Permanent("refused by the test")
        self.handled.append(received.envelope.id)

    def of(self, subject: str) -> list[str]:
        """What was handled of one subject, in order, without repeats."""
        return list(dict.fromkeys(event for event in self.handled if event.startswith(f"{subject}:")))


def ids(subject: str, *numbers: int) -> list[str]:
    """Event ids."""
    return [f"{subject}:{number}" for number in numbers]


class BusBehaviour:
    """The behaviour suite."""

    async def put(self, bus: Bus, *events: tuple[str, int]) -> None:
        """Publish events, which must be acknowledged."""
        messages = [record_of(subject, sequence, noted(sequence), bus.topic) for subject, sequence in events]
        assert await bus.publisher.publish(messages) == [True] * len(messages)

    async def test_nothing_to_publish(self, bus: Bus) -> None:
        """No records, no answers."""
        assert await bus.publisher.publish([]) == []

    async def test_records_arrive_as_they_were_sent(self, bus: Bus) -> None:
        """Key, value and headers are unchanged; each key has its partition, and in it the order of sending."""
        sent = [record_of(f"d{number % 7}", number + 1, noted(number + 1), bus.topic) for number in range(60)]
        assert await bus.publisher.publish(sent[:30]) == [True] * 30
        assert await bus.publisher.publish(sent[30:]) == [True] * 30
        records = await bus.records(bus.topic)
        assert len(records) == 60
        for key in {message.key for message in sent}:
            mine = [record for record in records if record.key == key]
            assert len({record.partition for record in mine}) == 1
            assert [(record.value, record.headers) for record in mine] == [
                (message.value, message.headers) for message in sent if message.key == key
            ]
        assert len({record.partition for record in records}) > 1

    async def test_empty_values_are_records_too(self, bus: Bus) -> None:
        """A letter without value and a record without key arrive."""
        odd = [Message(bus.topic, b"d1", None, [("h", b"")]), Message(bus.topic, None, b"v", [])]
        assert await bus.publisher.publish(odd) == [True, True]
        found = {(record.key, record.value) for record in await bus.records(bus.topic)}
        assert found == {(b"d1", None), (None, b"v")}

    async def test_a_group_reads_everything_from_the_beginning_once(self, bus: Bus) -> None:
        """A new group starts at the earliest record, in order, and continues where it had committed."""
        await self.put(bus, ("d1", 1), ("d2", 1), ("d1", 2))
        first = Group(bus)
        await bus.consume(first.dispatcher, lambda: len(first.handled) == 3)
        assert (first.of("d1"), first.of("d2")) == (ids("d1", 1, 2), ids("d2", 1))
        await self.put(bus, ("d1", 3))
        second = Group(bus)
        await bus.consume(second.dispatcher, lambda: bool(second.handled))
        assert second.handled == ids("d1", 3)

    async def test_groups_do_not_share_their_place(self, bus: Bus) -> None:
        """Another group gets everything too."""
        await self.put(bus, ("d1", 1))
        one, other = Group(bus), Group(bus, group=f"{bus.group}-other")
        await bus.consume(one.dispatcher, lambda: bool(one.handled))
        await bus.consume(other.dispatcher, lambda: bool(other.handled))
        assert one.handled == other.handled == ids("d1", 1)

    async def test_what_was_not_committed_comes_again(self, bus: Bus) -> None:
        """After a crash before the commit another member gets the same events again, in order."""
        await self.put(bus, ("d1", 1), ("d1", 2))
        crashed = Group(bus)
        await bus.consume(crashed.dispatcher, lambda: len(crashed.handled) == 2, crash=True)
        other = Group(bus)
        await bus.consume(other.dispatcher, lambda: len(other.handled) == 2)
        assert other.handled == ids("d1", 1, 2)

    async def test_dead_letters_are_redriven_in_order(self, bus: Bus) -> None:
        """A dossier is set aside with its followers; a redrive handles them in order, newer ones behind them."""
        markers = MemoryMarkers()
        group = Group(bus, markers)
        group.broken = {"d1:1"}
        await self.put(bus, ("d1", 1), ("d1", 2), ("d2", 1))
        await bus.consume(group.dispatcher, lambda: _waiting(markers, bus.group) == 2 and bool(group.handled))
        assert group.handled == ids("d2", 1)
        group.broken.clear()
        await self.put(bus, ("d1", 3))
        redriving = asyncio.create_task(
            redrive(bus.group, "d1", token="t1", markers=markers, letters=bus.letters, publisher=bus.publisher)
        )
        await bus.consume(group.dispatcher, redriving.done)
        ended = await redriving
        assert (ended.ending, await markers.list(bus.group)) == ("handled", [])
        assert group.of("d1") == ids("d1", 1, 2, 3)


def _waiting(markers: MemoryMarkers, group: str) -> int:
    marker = markers.markers.get((group, "d1"), {})
    return int(marker.get("waiting", 0))
