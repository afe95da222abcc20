"""The simulated parts keep the same contracts as the real ones: they pass the same behaviour suites."""

import asyncio
import random
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import suppress
from typing import Any

import pytest

from shared.consumer import Dispatcher
from shared.contracts.envelope import Message
from shared.contracts.topics import dead_letter_topic
from shared.errors import StorageUnavailable
from shared.kafka import reader
from shared.kafka.client import KafkaPublisher
from tests.simulation import kafka
from tests.simulation.broker import SimBroker
from tests.simulation.scheduler import Process, SimLoop
from tests.simulation.small import markers
from tests.simulation.store import SimDatabase, SimJournalStore
from tests.simulation.wires import Log, Server, Wires
from tests.simulation.wiring import plugged, settings_of, wired
from tests.unit.bus_behaviour import BusBehaviour
from tests.unit.journal_store_behaviour import JournalStoreBehaviour
from tests.unit.markers_behaviour import MarkersBehaviour


def calm_wires() -> Wires:
    """Wires on the running loop: real milliseconds, no faults."""
    loop = asyncio.get_running_loop()
    return Wires(0, loop, Log(loop), calm=True)


class TestSimJournalStore(JournalStoreBehaviour):
    """All truths of `JournalStoreBehaviour`, over the wires and through the product's group commit."""

    @pytest.fixture
    async def store(self) -> SimJournalStore:
        """An empty store."""
        return SimJournalStore(SimDatabase("parts", calm_wires()), "tallies")


class TestSimMarkers(MarkersBehaviour):
    """All truths of `MarkersBehaviour`, over the wires."""

    @pytest.fixture
    async def markers(self) -> Any:
        """No markers."""
        return markers(SimDatabase("parts", calm_wires()))


class SimBus:
    """The product's publisher and reader on a fresh simulated broker."""

    def __init__(self, broker: SimBroker, publisher: KafkaPublisher, settings: Any) -> None:
        self.topic, self.group = "events", "readers"
        self.broker, self.publisher, self.settings = broker, publisher, settings
        self.letters = self

    async def records(self, topic: str) -> list[Message]:
        """All records of a topic, partition by partition."""
        return [record for place in sorted(self.broker.logs) if place[0] == topic for record in self.broker.logs[place]]

    async def consume(self, dispatcher: Dispatcher, until: Callable[[], bool], *, crash: bool = False) -> None:
        """Let a member read until the condition holds; a crash commits nothing."""
        with pytest.MonkeyPatch.context() as patch:
            if crash:
                patch.setattr(reader, "_commit", _commit_nothing)
            task = asyncio.create_task(reader.consume(self.settings, [self.topic], dispatcher))
            async with asyncio.timeout(10):
                while not until() or not (crash or self._committed(dispatcher.group, [self.topic])):  # noqa: ASYNC110
                    await asyncio.sleep(0.01)
            task.cancel()
            with suppress(asyncio.CancelledError):
                await task

    async def read(self, group: str, key: str) -> list[Message]:
        """The letters of one dossier."""
        return [letter for letter in await self.records(dead_letter_topic(group)) if letter.key == key.encode()]

    async def consumed(self, group: str, topics: Sequence[str], key: str) -> bool:
        """Wait until the group has committed everything."""
        while not self._committed(group, topics):  # noqa: ASYNC110 - the group commits elsewhere
            await asyncio.sleep(0.01)
        return True

    def _committed(self, group: str, topics: Sequence[str]) -> bool:
        offsets = self.broker.group(group).offsets
        return all(offsets.get(p, 0) >= len(log) for p, log in self.broker.logs.items() if p[0] in topics)


async def _commit_nothing(*_: object) -> None:
    """Crash before the commit."""


class TestSimBroker(BusBehaviour):
    """All truths of `BusBehaviour`, with the product's own clients on the simulated broker."""

    @pytest.fixture
    async def bus(self) -> AsyncIterator[SimBus]:
        """A fresh broker with its topics."""
        broker = SimBroker(calm_wires(), 6, idempotent=True)
        kafka.BROKER.set(broker)
        for topic in ("events", dead_letter_topic("readers"), dead_letter_topic("readers-other")):
            broker.create(topic, 6)
        with plugged():
            settings = settings_of(wired()["identity"], broker)
            publisher = KafkaPublisher(settings)
            await publisher.connect()
            yield SimBus(broker, publisher, settings)
            await publisher.close()


def test_a_killed_process_runs_no_step_more() -> None:
    """Killed between any two awaits, a process does nothing afterwards, not even a `finally`; others go on."""
    reached: list[int] = []
    for steps in range(1, 6):
        loop = SimLoop(random.Random(0))
        done: list[str] = []
        process = Process("victim", dies_at=steps)

        async def work(done: list[str] = done) -> None:
            try:
                for number in range(10):
                    await asyncio.sleep(0.1)
                    done.append(str(number))
            finally:
                done.append("unwound")

        loop.start(work(), process)
        loop.run_until_complete(asyncio.wait_for(_elsewhere(), 100))
        reached.append(len(done))
        assert not process.alive
        assert "unwound" not in done
        loop.dispose()
    assert reached == sorted(reached)
    assert len(set(reached)) > 1


async def _elsewhere() -> None:
    await asyncio.sleep(50)


def test_virtual_time_never_waits() -> None:
    """A day passes at once, and timers ring in their order."""
    loop, rung = SimLoop(random.Random(0)), []

    async def ring(after: float) -> None:
        await asyncio.sleep(after)
        rung.append(loop.time())

    async def day() -> None:
        await asyncio.gather(*(ring(hours * 3600.0) for hours in (24, 1, 7)))

    loop.run_until_complete(day())
    loop.dispose()
    assert rung == [3600.0, 25200.0, 86400.0]


@pytest.mark.parametrize(("fault", "carried_out"), [("refuses", False), ("loses", True)])
async def test_a_lost_answer_is_not_a_lost_request(fault: str, carried_out: bool) -> None:
    """A refused request is not carried out; one whose answer is lost is, and the caller hears the same."""
    server, done = Server("s", calm_wires(), StorageUnavailable), []
    setattr(server, fault, 1.0)
    with pytest.raises(StorageUnavailable):
        await server.ask(lambda: done.append("done"))
    assert bool(done) is carried_out
