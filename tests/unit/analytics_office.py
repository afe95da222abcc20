"""A worker of analytics over topics in memory, with its changelog, recounts and comparison. No Faust, no broker."""

from bisect import bisect_left
from collections import defaultdict
from collections.abc import AsyncIterator, Iterable, Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from functools import partial

from services.analytics.aggregate import encode
from services.analytics.compare import KpiParity
from services.analytics.domain import Record, Totals, add, dump, load, merge
from services.analytics.handlers import Running, on_event
from services.analytics.recount import Recounter
from services.analytics.topics import CHANGELOG, SOURCES
from shared.contracts.envelope import Message, Received, decode
from shared.contracts.topics import KPIS
from shared.environment import Environment
from shared.kafka.client import partition_of
from shared.kafka.topics import Place, Span
from shared.testing.recounts import MemoryRecounts
from shared.testing.store import MemoryMarkers
from tests.unit.analytics_samples import message, stories
from tests.unit.sample_journal import QuickEnvironment

PARTITIONS = 2


class Logs:
    """Whole topics in memory. `kept_from`: what each partition of a topic has lost at its beginning."""

    def __init__(self, environment: Environment) -> None:
        self.environment = environment
        self.times: defaultdict[Place, list[datetime]] = defaultdict(list)
        self.logs: defaultdict[Place, list[Message]] = defaultdict(list)
        self.kept_from: defaultdict[Place, int] = defaultdict(int)
        self.offsets: defaultdict[Place, int] = defaultdict(int)

    def append(self, record: Message) -> None:
        """Add a record to its key's partition."""
        partition = int(record.key or b"0") if record.topic == KPIS else partition_of(record.key, PARTITIONS)
        log = self.logs[record.topic, partition]
        log.append(replace(record, partition=partition, offset=len(log)))
        self.times[record.topic, partition].append(self.environment.now())

    def forget(self) -> None:
        """Let every event there is now leave the topics."""
        for topic in SOURCES:
            for number in range(PARTITIONS):
                self.kept_from[topic, number] = len(self.logs[topic, number])

    async def spans(self, topics: Sequence[str], since: datetime | None) -> dict[Place, Span]:
        """What there is of records written since then."""
        places = [(topic, number) for topic in topics for number in range(PARTITIONS)]
        starts = {p: self.kept_from[p] if since is None else bisect_left(self.times[p], since) for p in places}
        return {p: Span(starts[p], len(self.logs[p]), starts[p] == 0) for p in places}

    async def read(self, spans: Mapping[Place, Span]) -> AsyncIterator[Message]:
        """Records in order."""
        for place, span in spans.items():
            for record in self.logs[place][max(span.start, self.kept_from[place]) : span.end]:
                yield record

    async def committed(self, _group: str, topics: Sequence[str]) -> dict[Place, int]:
        """What the worker has committed."""
        return {(topic, number): self.offsets[topic, number] for topic in topics for number in range(PARTITIONS)}


class Table(dict[bytes, bytes]):
    """Records with a changelog that takes everything at once."""

    def __init__(self, logs: Logs) -> None:
        super().__init__()
        self._logs = logs

    def __setitem__(self, key: bytes, value: bytes) -> None:
        super().__setitem__(key, value)
        self._logs.append(Message(CHANGELOG.name, key, value, []))

    def dossiers(self) -> list[bytes]:
        """Who has a record."""
        return list(self)

    def adopt(self, records: Mapping[bytes, bytes]) -> None:
        """In memory only."""
        self.update(records)

    def tell(self, _partition: int, keys: Iterable[bytes]) -> None:
        """To the changelog."""
        for key in keys:
            self[key] = self[key]

    async def settled(self) -> None:
        """At once."""


class Office:
    """One worker that owns all partitions."""

    def __init__(self) -> None:
        self.environment = QuickEnvironment()
        self.logs, self.markers, self.recounts = Logs(self.environment), MemoryMarkers(), MemoryRecounts()
        self.running = Running(PARTITIONS, "worker", self.environment)
        self.recounter = Recounter(self.running, self.recounts, self.markers, self.environment)
        self.parity = KpiParity(self.logs, self.markers, self.recounts, self.environment, PARTITIONS)
        self.table = Table(self.logs)

    async def start(self) -> None:
        """Recover from the changelog, as a worker that has just been given all partitions."""
        self.table = Table(self.logs)
        for number in range(PARTITIONS):
            for record in self.logs.logs[CHANGELOG.name, number]:
                key, value = record.key or b"", load(record.value)
                known = self.table.get(key)
                self.table.adopt({key: dump(value if known is None else merge(load(known), value))})
        self.running.rebuild(self.table.items())
        await self.recounter.take_over(range(PARTITIONS))
        offsets: dict[int, dict[str, int]] = {n: {} for n in range(PARTITIONS)}
        for (topic, number), offset in (await self.logs.committed("", SOURCES)).items():
            offsets[number][topic] = offset
        self.running.start_from(offsets, 1)

    def publish(self, events: Iterable[Received]) -> None:
        """Publish events without counting them."""
        for received in events:
            self.logs.append(message(received))

    async def count(self) -> None:
        """Count what is published, commit, and tell the KPIs."""
        for topic in SOURCES:
            for number in range(PARTITIONS):
                await self._count(topic, number)
        for aggregate in self.running.due():
            self.logs.append(encode(aggregate))

    async def _count(self, topic: str, number: int) -> None:
        handle = on_event(self.table, self.running, partial(int, number))
        for record in self.logs.logs[topic, number][self.logs.offsets[topic, number] :]:
            received = decode(record)
            async with self.recounter.handling:
                if received is not None:
                    await handle(received)
                self.running.cover(number, topic, record.offset + 1)
            self.logs.offsets[topic, number] = record.offset + 1

    async def recount(self) -> None:
        """Do what was asked for."""
        await self.recounter.look(lambda: self.table, self.logs)

    def plant(self, dossier: str, record: Record) -> None:
        """Write a wrong record to the changelog, where the next recovery finds it."""
        self.logs.append(Message(CHANGELOG.name, dossier.encode(), dump(record), []))

    def totals(self) -> Totals:
        """The KPIs as they are told."""
        found = Totals()
        for aggregate in self.running.due():
            add(found, aggregate.totals)
        return found


def events(count: int, seed: int = 1) -> list[list[Received]]:
    """So many dossiers' events."""
    return [list(story) for story in stories(count, seed)]


async def counted(dossiers: int = 12) -> Office:
    """Open an office whose worker has counted so many dossiers: those of `events`."""
    opened = Office()
    await opened.start()
    for story in events(dossiers):
        opened.publish(story)
    await opened.count()
    return opened


class Busy(Logs):
    """Topics on which others publish, and the worker counts, after every so many readings of a recount (`pace`)."""

    def __init__(self, office: Office, waiting: list[list[Received]], pace: int = 1) -> None:
        self.__dict__ = office.logs.__dict__
        self._office, self._waiting, self._pace, self._reads = office, waiting, pace, 0

    async def read(self, spans: Mapping[Place, Span]) -> AsyncIterator[Message]:
        """Records, and then some news."""
        async for record in super().read(spans):
            yield record
        self._reads += 1
        due = self._waiting and self._reads % self._pace == 0
        if due and not self._office.recounter.handling.locked():
            self._office.publish(self._waiting.pop())
            await self._office.count()
