"""Taking an event into its dossier's record and its partition's totals. Owns the running totals; runs no Faust."""

from collections.abc import Callable, Iterable, Mapping, MutableMapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Final

from faust.types import TP

from services.analytics.aggregate import REPEAT, Aggregate
from services.analytics.domain import (
    Record,
    Totals,
    add,
    apply,
    contribution,
    difference,
    dump,
    load,
    recount_of,
    stamped,
    subtract,
)
from shared.consumer import Handler
from shared.contracts.envelope import Received
from shared.environment import Environment, timestamp
from shared.errors import Permanent
from shared.kafka.client import partition_of

Table = MutableMapping[bytes, bytes]
"""Dossier id -> its record as JSON."""


_LONG_AGO: Final = datetime(1970, 1, 1, tzinfo=UTC)


@dataclass
class Running:
    """The totals of the partitions that this worker owns now, kept by taking the old contribution off, the new one on.

    `levels`: by partition, of which recount new records are; `oldest`: the first recount that some record is still of;
    `stand`: another number whenever the partitions may have changed. `worker`: a random name of this process. Between
    losing partitions and standing again at their offsets it covers nothing, so nothing is published then.
    """

    partitions: int
    worker: str
    environment: Environment
    generation: int = 0
    rebuilt: bool = False
    stand: int = 0
    levels: dict[int, int] = field(default_factory=dict)
    oldest: dict[int, int] = field(default_factory=dict)
    _totals: dict[int, Totals] = field(default_factory=dict)
    _covered: dict[int, dict[str, int]] = field(default_factory=dict)
    _changed: set[int] = field(default_factory=set)
    _published: datetime = _LONG_AGO

    def clear(self) -> None:
        """Forget everything: the partitions may be another worker's now."""
        self.rebuilt = False
        self.stand += 1
        for kept in (self._totals, self._covered, self._changed, self.levels, self.oldest):
            kept.clear()

    def rebuild(self, records: Iterable[tuple[bytes, bytes]]) -> None:
        """Count anew from the records of the owned partitions."""
        self.clear()
        for key, value in records:
            partition, record = partition_of(key, self.partitions), load(value)
            add(self._totals.setdefault(partition, {}), contribution(record))
            recount = recount_of(record)
            self.levels[partition] = max(recount, self.levels.get(partition, 0))
            self.oldest[partition] = min(recount, self.oldest.get(partition, recount))
        self.rebuilt = True

    def start_from(self, committed: Mapping[int, Mapping[str, int]], generation: int) -> None:
        """Note what the records are known to cover: the committed offsets by partition and topic. Publishing may begin.

        Without effect before the totals are rebuilt.
        """
        if not self.rebuilt:
            return
        self.generation = generation
        self._covered = {partition: dict(offsets) for partition, offsets in committed.items()}
        self._changed = set(committed)

    def replace(self, partition: int, before: Record, after: Record) -> None:
        """Put a dossier's new contribution in the place of the old one."""
        totals = self._totals.setdefault(partition, {})
        less, more = difference(before, after)
        subtract(totals, less)
        add(totals, more)

    def recounted(self, partition: int, totals: Totals, recount: int) -> None:
        """Put the totals of records that were made anew in the place of what was counted so far."""
        self._totals[partition] = totals
        self.levels[partition] = self.oldest[partition] = recount
        self._changed.add(partition)

    def cover(self, partition: int, topic: str, following: int) -> None:
        """Note that everything before this offset is counted or set aside; a replayed offset lowers nothing."""
        covered = self._covered.get(partition)
        if covered is not None and following > covered.get(topic, 0):
            covered[topic] = following
            self._changed.add(partition)

    def covered(self) -> dict[TP, int]:
        """Return the next offset by topic and partition."""
        return {
            TP(topic, partition): offset
            for partition, offsets in self._covered.items()
            for topic, offset in offsets.items()
        }

    def due(self) -> list[Aggregate]:
        """Return what is to be published now: what changed, and every few seconds all of it."""
        now = self.environment.now()
        everything = now - self._published >= REPEAT
        if everything:
            self._published = now
        wanted = self._covered if everything else self._changed
        return [self._aggregate(number, timestamp(now)) for number in sorted(wanted)]

    def published(self, aggregates: Iterable[Aggregate]) -> None:
        """Note that these aggregates were acknowledged; what was counted meanwhile stays due."""
        for aggregate in aggregates:
            if self._covered.get(aggregate.partition) == aggregate.covered:
                self._changed.discard(aggregate.partition)

    def _aggregate(self, number: int, now: str) -> Aggregate:
        return Aggregate(
            partition=number,
            worker=self.worker,
            generation=self.generation,
            covered=dict(self._covered[number]),
            at=now,
            totals=dict(self._totals.get(number, {})),
        )


def on_event(table: Table, running: Running, current_partition: Callable[[], int]) -> Handler:
    """Return the handler that counts an event: one write of its dossier's record, none for a repeat.

    It raises `Permanent` for an event that lies on another partition than its dossier's: two records of one dossier
    would count it twice.
    """

    async def handle(received: Received) -> None:
        key = received.envelope.dossier.encode()
        partition = partition_of(key, running.partitions)
        if partition != current_partition():
            raise Permanent("the event is not on its dossier's partition")
        before = load(table.get(key))
        after = apply(before, received.envelope, received.event)
        if after is not before:
            after = after if before else stamped(after, running.levels.get(partition, 0))
            table[key] = dump(after)
            running.replace(partition, before, after)

    return handle
