"""Making the records of this worker's partitions anew from the topics, as operators asked, while counting goes on.

A partition is read from its beginning into records of its own, up to what it has now. Then events are held for an
instant, the few that came meanwhile are read, and the new records take the place of the old ones: first in memory, then
in the changelog. They carry the number of the recount, by which recovery prefers them. Only when the changelog has all
of them is the partition noted as done; a worker that breaks off before leaves records each of which is right, and its
successor begins again. Whoever takes a partition over says so first, so that no predecessor can note it as done later.
"""

import asyncio
import logging
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final, Protocol

from services.analytics.domain import Totals, add, contribution, dump, load, stamped
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
        """Return who has a record."""
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
    """One partition made anew. `stand`: the worker's when it began; another one ends the attempt."""

    partition: int
    number: int
    owner: str
    stand: int
    fold: Fold
    everything: bool = False
    position: dict[Place, int] = field(default_factory=dict)


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
        while True:
            await self.environment.sleep(LOOK_SECONDS)
            try:
                await self.look(table, topics())
            except (Transient, TimeoutError) as error:
                log.warning("recount_waits", extra={"reason": type(error).__name__})
            except Exception:  # counting is worth more than counting anew
                log.exception("recount_failed")

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
        known = await self._known(table, partition)
        async with asyncio.timeout(HOLD_SECONDS), self.handling:
            await self._read(attempt, topics, self._rest(attempt))
            keys = {*known, *(dossier.encode() for dossier in attempt.fold.records)}
            records, totals = await self._made(attempt, table, sorted(keys))
            if self.running.stand != attempt.stand:
                return
            table.adopt(records)
            self.running.recounted(partition, totals, attempt.number)
        await self._finish(attempt, table, list(records))

    async def _begin(self, partition: int, wanted: int) -> _Attempt:
        stand, owner, level = self.running.stand, self._owner(), self.running.levels.get(partition, 0)
        await self.store.take([partition], owner)
        dropped = await self.excused.discarded(GROUP)
        # Higher than that of any record: an attempt may have broken off, or the database come from a backup.
        number = max(wanted, level + 1)
        log.info("recount_began", extra={"partition": partition})
        return _Attempt(partition, number, owner, stand, Fold(partition, self.running.partitions, dropped))

    async def _read(self, attempt: _Attempt, topics: Topics, spans: Mapping[Place, Span]) -> None:
        taken = 0
        async for message in topics.read(spans):
            attempt.fold.take(message)
            taken += 1
            if taken % STEP == 0:
                await self.environment.sleep(0)
        attempt.position |= {place: span.end for place, span in spans.items()}

    async def _known(self, table: Table, partition: int) -> list[bytes]:
        known = []
        for place, key in enumerate(table.dossiers()):
            if partition_of(key, self.running.partitions) == partition:
                known.append(key)
            if place % STEP == STEP - 1:
                await self.environment.sleep(0)
        return known

    def _rest(self, attempt: _Attempt) -> dict[Place, Span]:
        """Return what was counted but not read yet."""
        covered = {(part.topic, part.partition): offset for part, offset in self.running.covered().items()}
        return {
            place: Span(read, covered[place], whole=False)
            for place, read in attempt.position.items()
            if covered.get(place, 0) > read
        }

    async def _made(self, attempt: _Attempt, table: Table, keys: Sequence[bytes]) -> tuple[dict[bytes, bytes], Totals]:
        """Return the new records and their totals. What dead letters hold back stays as it is until it is redriven."""
        held = await self.excused.keys(GROUP)
        records, totals = dict[bytes, bytes](), Totals()
        for place, key in enumerate(keys):
            dossier, live = key.decode(), load(table.get(key))
            mended = live if dossier in held else attempt.fold.mended(dossier, live, everything=attempt.everything)
            records[key] = dump(stamped(mended, attempt.number))
            add(totals, contribution(mended))
            if place % STEP == STEP - 1:
                await self.environment.sleep(0)
        return records, totals

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
