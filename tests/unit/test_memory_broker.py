"""The broker in memory passes the behaviour suite of the real one."""

import asyncio
from collections.abc import Callable, Sequence

import pytest

from shared.consumer import Dispatcher
from shared.contracts.envelope import Message
from shared.contracts.topics import dead_letter_topic
from shared.testing.broker import MemoryBroker
from tests.unit.bus_behaviour import BusBehaviour


class MemoryBus:
    """A fresh broker."""

    def __init__(self) -> None:
        self.topic, self.group = "events", "readers"
        self.publisher = MemoryBroker()
        self.letters = self

    async def records(self, topic: str) -> list[Message]:
        """All records of a topic."""
        return self.publisher.topic(topic)

    async def consume(self, dispatcher: Dispatcher, until: Callable[[], bool], *, crash: bool = False) -> None:
        """Read until the condition holds."""
        async with asyncio.timeout(10):
            while not until():
                await self.publisher.deliver(dispatcher, [self.topic], commit=not crash)
                await asyncio.sleep(0)

    async def read(self, group: str, key: str) -> list[Message]:
        """The letters of one dossier."""
        return [letter for letter in self.publisher.topic(dead_letter_topic(group)) if letter.key == key.encode()]

    async def consumed(self, group: str, topics: Sequence[str], key: str) -> bool:
        """Wait until the group has committed everything."""
        while self.publisher.fetch(group, topics):  # noqa: ASYNC110 - the group commits elsewhere
            await asyncio.sleep(0)
        return True


class TestMemoryBroker(BusBehaviour):
    """All truths of `BusBehaviour`, in memory."""

    @pytest.fixture
    def bus(self) -> MemoryBus:
        """A fresh broker."""
        return MemoryBus()
