"""A consumer group on a broker in memory, with a handler that fails as a test wants."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field

from shared.consumer import Dispatcher
from shared.contracts.dossier import DossierWithdrawn
from shared.contracts.envelope import Message, Received
from shared.contracts.event import Event
from shared.contracts.identity import IdentityCheckDelayed, IdentityConfirmed
from shared.contracts.topics import IDENTITY_EVENTS, dead_letter_topic
from shared.testing.broker import MemoryBroker
from shared.testing.store import MemoryMarkers
from tests.unit.sample_journal import CONFIRMED, QuickEnvironment, record_of

GROUP = "readers"
DLQ = dead_letter_topic(GROUP)
UNSUBSCRIBED: Event = DossierWithdrawn()


@dataclass
class Desk:
    """Handles events: notes each that it handled, in order; `errors` are raised once each, `broken` always."""

    handled: list[str] = field(default_factory=list)
    errors: dict[str, list[Exception]] = field(default_factory=dict)
    broken: set[str] = field(default_factory=set)
    waits_for: dict[str, asyncio.Event] = field(default_factory=dict)

    async def handle(self, received: Received) -> None:
        """Do as the test wants."""
        event_id = received.envelope.id
        if event_id in self.waits_for:
            await self.waits_for[event_id].wait()
        if self.errors.get(event_id):
            raise self.errors[event_id].pop(0)
        if event_id in self.broken:
            raise ValueError("Lea Muster, 756.9217.0769.85")
        self.handled.append(event_id)


class Reader:
    """One member of the group with its broker and markers; `another()` is a second process."""

    def __init__(self, broker: MemoryBroker | None = None, markers: MemoryMarkers | None = None) -> None:
        self.desk = Desk()
        self.broker = broker or MemoryBroker()
        self.markers = markers or MemoryMarkers()
        self.environment = QuickEnvironment()
        handlers: dict[type[Event], Callable[[Received], Awaitable[None]]] = {
            IdentityConfirmed: self.desk.handle,
            IdentityCheckDelayed: self.desk.handle,
        }
        self.dispatcher = Dispatcher(GROUP, handlers, self.markers, self.broker, self.environment)

    def another(self) -> "Reader":
        """Another process of the same group, with its own handler."""
        return Reader(self.broker, self.markers)

    async def send(self, *subjects_and_sequences: tuple[str, int]) -> None:
        """Put events on the topic."""
        await self.put(*(record_of(subject, sequence) for subject, sequence in subjects_and_sequences))

    async def put(self, *messages: Message) -> None:
        """Put records on their topics."""
        assert all(await self.broker.publish(messages))

    async def read(self, *, commit: bool = True) -> int:
        """Deal with one fetch."""
        return await self.broker.deliver(self.dispatcher, [IDENTITY_EVENTS], commit=commit)

    def letters(self) -> list[str]:
        """The ids of the dead letters, in order."""
        return [dict(letter.headers)["ce_id"].decode() for letter in self.broker.topic(DLQ)]


class MemoryLetters:
    """The dead-letter topic in memory; asking whether the group has read lets it read."""

    def __init__(self, reader: Reader, meanwhile: Callable[[], object] = lambda: None) -> None:
        self.reader = reader
        self.meanwhile = meanwhile
        self.runs = True

    async def read(self, group: str, key: str) -> list[Message]:
        """All letters of the dossier."""
        assert group == GROUP
        return [letter for letter in self.reader.broker.topic(DLQ) if letter.key == key.encode()]

    async def consumed(self, group: str, topics: Sequence[str], key: str) -> bool:
        """Let the group read everything."""
        if self.runs:
            while await self.reader.read():
                pass
        return self.runs

    async def all(self, group: str) -> list[Message]:
        """All letters."""
        return list(self.reader.broker.topic(DLQ))


def raw(headers: dict[str, bytes | None], value: bytes | None = b"{}", key: bytes | None = b"d1") -> Message:
    """A record with certain headers (None: left out) otherwise like a good one."""
    good: dict[str, bytes | None] = dict(record_of("d1", 1, CONFIRMED).headers)
    merged = {name: content for name, content in {**good, **headers}.items() if content is not None}
    return Message(IDENTITY_EVENTS, key, value, list(merged.items()))
