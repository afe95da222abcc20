"""Making the records of this worker's partitions anew from the topics, as operators asked, while counting goes on.

A partition is read from its beginning, up to what it has now, and its records are made. Then events are held for an
instant, the few that came meanwhile are read, the records that these concern are made once more, and all new records
take the place of the old ones: first in memory, then in the changelog. They carry the number of the recount, by which
recovery prefers them. Only when the changelog has all of them is the partition noted as done; a worker that breaks off
before leaves records each of which is right, and its successor begins again. Whoever takes a partition over says so
first, so that no predecessor can note it as done later.
"""

import asyncio
import logging
from collections.abc import Callable, Iterable, Mapping, Sequence, Set
from dataclasses import dataclass, field
from typing import Final, Protocol

from services.analytics.domain import Totals, add, contribution, dump, load, stamped, subtract
from services.analytics.fold import Fold
from services.analytics.handlers import Running
from services.analytics.topics import GROUP, SOURCES
from shared.environment import Environment
from shared.errors import Transient
from shared.kafka.client import partition_of
from shared.kafka.topics import Place, Span
from shared.parity import Excused, Topics
from shared.store.recounts import Recounts

log = logging.getLogger(__name__)

LOOK_SECONDS: Final = 2.0
MOST_SECONDS: Final = 300.0
"""A failed attempt has read a partition from its beginning: the next one comes later and later, up to this."""
HOLD_SECONDS: Final = 30.0
STEP: Final = 200
"""So many records at once; then whatever else the process has to do is done."""


class Store(Protocol):
    """Where recounts are asked for and noted. Raises `StorageUnavailable`."""

    async def state(self) -> Recounts:
        """Return what is wanted and what is done."""
        ...

    async def take(self, partitions: Iterable[int], owner: str) -> Recounts:
        """Become the only one who may finish a recount of these partitions."""
        ...

    async def finish(self, partition: int, number: int, owner: str) -> bool:
        """Note a finished recount unless another took the partition meanwhile."""
        ...


class Table(Protocol):
    """The records in memory and their changelog."""

    def get(self, key: bytes) -> bytes | None:
        """Return a record, or None."""
        ...

    def dossiers(self) -> list[bytes]:
        """Return who has a record. While nothing is recovered, whoever gets one later stands behind them."""
        ...

    def adopt(self, records: Mapping[bytes, bytes]) -> None:
        """Put these records in the place of those in memory."""
        ...

    def tell(self, partition: int, keys: Iterable[bytes]) -> None:
        """Write to the changelog what is in memory now."""
        ...

    async def settled(self) -> None:
        """Return when the changelog has everything."""
        ...


@dataclass
class _Attempt:
    """One partition made anew. `stand`: the worker's when it began; another one ends the attempt.

    `seen`: how many had a record, in any partition, when the new ones were made; `sources`: what each was made from;
    `held`: whom dead letters held back then.
    """

    partition: int
    number: int
    owner: str
    stand: int
    fold: Fold
    everything: bool = False
    position: dict[Place, int] = field(default_factory=dict)
    seen: int = 0
    held: Set[str] = frozenset()
    sources: dict[bytes, bytes | None] = field(default_factory=dict)
    records: dict[bytes, bytes] = field(default_factory=dict)
    totals: Totals = field(default_factory=Totals)

    def make(self, key: bytes, live: bytes | None) -> None:
        """Make one record, perhaps once more. What dead letters hold back stays as it is until it is redriven."""
        dossier, record = _dossier(key), load(live)
        mended = record if dossier in self.held else self.fold.mended(dossier, record, everything=self.everything)
        if key in self.records:
            subtract(self.totals, contribution(load(self.records[key])))
        add(self.totals, contribution(mended))
        self.sources[key], self.records[key] = live, dump(stamped(mended, self.number))


@dataclass
class Recounter:
    """Recounts the partitions of `running`. Whoever handles an event holds `handling` meanwhile."""

    running: Running
    store: Store
    excused: Excused
    environment: Environment
    handling: asyncio.Lock = field(default_factory=asyncio.Lock)
    _done: dict[int, int] = field(default_factory=dict)

    async def take_over(self, partitions: Iterable[int]) -> None:
        """Note what is done of partitions that are this worker's now; call it before their first event."""
        taken, stand = sorted(partitions), self.running.stand
        state = await self.store.take(taken, self._owner())
        if self.running.stand == stand:
            self._done = {partition: state.done.get(partition, 0) for partition in taken}
            for partition, done in self._done.items():
                self.running.levels[partition] = max(done, self.running.levels.get(partition, 0))

    async def run(self, table: Callable[[], Table | None], topics: Callable[[], Topics]) -> None:
        """Do what is asked for, for ever. `table`: None while the records are not recovered."""
        pause = LOOK_SECONDS
        while True:
            await self.environment.sleep(pause)
            pause = LOOK_SECONDS if await self._looked(table, topics) else min(2 * pause, MOST_SECONDS)

    async def _looked(self, table: Callable[[], Table | None], topics: Callable[[], Topics]) -> bool:
        try:
            await self.look(table, topics())
        except Transient as error:
            log.warning("recount_waits", extra={"reason": type(error).__name__})
        except TimeoutError:
            log.warning("recount_held_too_long")
        except Exception:  # counting is worth more than counting anew
            log.exception("recount_failed")
        else:
            return True
        return False

    async def look(self, table: Callable[[], Table | None], topics: Topics) -> None:
        """Recount every partition that is behind. Raises `Transient`, and TimeoutError if events cannot be held."""
        wanted = (await self.store.state()).wanted
        for partition in sorted({part.partition for part in self.running.covered()}):
            records = table()
            if records is not None and self._is_behind(partition, wanted):
                await self._recount(partition, wanted, records, topics)

    def _is_behind(self, partition: int, wanted: int) -> bool:
        """Also a partition that was done while its changelog was being read: some record is of before, then."""
        done = self._done.get(partition)
        return done is not None and (done < wanted or self.running.oldest.get(partition, done) < done)

    async def _recount(self, partition: int, wanted: int, table: Table, topics: Topics) -> None:
        attempt = await self._begin(partition, wanted)
        spans = {place: span for place, span in (await topics.spans(SOURCES, None)).items() if place[1] == partition}
        attempt.everything = all(span.whole for span in spans.values())
        await self._read(attempt, topics, spans)
        await self._make(attempt, table)
        told = await self._read(attempt, topics, self._rest(attempt))
        async with asyncio.timeout(HOLD_SECONDS), self.handling:
            told |= await self._read(attempt, topics, self._rest(attempt))
            await self._renew(attempt, table, told)
            if self.running.stand != attempt.stand:
                return
            table.adopt(attempt.records)
            self.running.recounted(partition, attempt.totals, attempt.number)
        await self._finish(attempt, table, list(attempt.records))

    async def _begin(self, partition: int, wanted: int) -> _Attempt:
        stand, owner, level = self.running.stand, self._owner(), self.running.levels.get(partition, 0)
        await self.store.take([partition], owner)
        dropped = await self.excused.discarded(GROUP)
        # Higher than that of any record: an attempt may have broken off, or the database come from a backup.
        number = max(wanted, level + 1)
        log.info("recount_began", extra={"partition": partition})
        return _Attempt(partition, number, owner, stand, Fold(partition, self.running.partitions, dropped))

    async def _read(self, attempt: _Attempt, topics: Topics, spans: Mapping[Place, Span]) -> set[bytes]:
        """Fold these events; return whose they are, once there are records of before."""
        taken, told = 0, set[bytes]()
        async for message in topics.read(spans):
            attempt.fold.take(message)
            if attempt.records and message.key:
                told.add(message.key)
            taken += 1
            if taken % STEP == 0:
                await self.environment.sleep(0)
        attempt.position |= {place: span.end for place, span in spans.items()}
        return told

    async def _make(self, attempt: _Attempt, table: Table) -> None:
        """Make every record of the partition, while counting goes on."""
        attempt.held, present = await self.excused.keys(GROUP), table.dossiers()
        attempt.seen = len(present)
        known = await self._own(attempt.partition, present)
        told = [dossier.encode() for dossier in attempt.fold.records]
        for place, key in enumerate(dict.fromkeys([*known, *told])):
            attempt.make(key, table.get(key))
            if place % STEP == STEP - 1:
                await self.environment.sleep(0)

    async def _renew(self, attempt: _Attempt, table: Table, told: Set[bytes]) -> None:
        """Make once more what changed since it was made: by counting, by events read since, or by a dead letter."""
        held, before = await self.excused.keys(GROUP), attempt.held
        attempt.held = held
        changed = {key for key in told if _dossier(key) in attempt.fold.records or table.get(key) is not None}
        changed |= attempt.records.keys() & {dossier.encode() for dossier in held ^ before}
        changed.update(await self._own(attempt.partition, table.dossiers()[attempt.seen :]))
        for place, (key, source) in enumerate(attempt.sources.items()):
            if table.get(key) != source:
                changed.add(key)
            if place % STEP == STEP - 1:
                await self.environment.sleep(0)
        for place, key in enumerate(sorted(changed)):
            attempt.make(key, table.get(key))
            if place % STEP == STEP - 1:
                await self.environment.sleep(0)

    async def _own(self, partition: int, keys: Iterable[bytes]) -> list[bytes]:
        """Return which of these keys are the partition's."""
        own = []
        for place, key in enumerate(keys):
            if partition_of(key, self.running.partitions) == partition:
                own.append(key)
            if place % STEP == STEP - 1:
                await self.environment.sleep(0)
        return own

    def _rest(self, attempt: _Attempt) -> dict[Place, Span]:
        """Return what was counted but not read yet."""
        covered = {(part.topic, part.partition): offset for part, offset in self.running.covered().items()}
        return {
            place: Span(read, covered[place], whole=False)
            for place, read in attempt.position.items()
            if covered.get(place, 0) > read
        }

    async def _finish(self, attempt: _Attempt, table: Table, keys: Sequence[bytes]) -> None:
        for start in range(0, len(keys), STEP):
            if self.running.stand != attempt.stand:
                return
            table.tell(attempt.partition, keys[start : start + STEP])
            await table.settled()
        if self.running.stand == attempt.stand and await self.store.finish(
            attempt.partition, attempt.number, attempt.owner
        ):
            self._done[attempt.partition] = attempt.number
            log.info("recount_done", extra={"partition": attempt.partition, "count": len(keys)})

    def _owner(self) -> str:
        return f"{self.running.worker}-{self.environment.token(5)}"


def _dossier(key: bytes) -> str:
    """A forged record's key may be no text; it is still a key."""
    return key.decode("utf-8", "replace")
