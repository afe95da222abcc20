"""Comparing the KPIs with the topics: each dossier's record in the changelog, and what is told of each partition.

Whether the topics hold what the journals say is compared by the services that own the journals; analytics may read no
journal. Both together lead from the journals to the KPIs. Asks in an order that makes counting under way no drift: what
the group had committed lies in the changelog, and what lies there was on a topic before. The changelog is read from its
beginning, also where only what is new on the topics is compared: what was published again is new there, and changed no
record. What seems to differ is looked for again. Repairs by a recount, and never writes a record itself.
"""

from collections.abc import Mapping, Sequence, Set
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final, Protocol

from services.analytics.aggregate import REPEAT, Aggregate, decode, newer
from services.analytics.books import Books
from services.analytics.domain import NOTHING, Record, load, merge
from services.analytics.fold import Fold
from services.analytics.topics import CHANGELOG, GROUP, SOURCES
from shared.contracts.topics import EVENT_TOPICS, KPIS
from shared.environment import Environment, timestamp
from shared.kafka.client import partition_of
from shared.kafka.topics import Place, Span
from shared.parity import Drift, Excused, Topics
from shared.recounts import until_done
from shared.store.recounts import Recounts

LOOKS: Final = 2
KEPT: Final = timedelta(milliseconds=min(topic.retention_ms for topic in EVENT_TOPICS))


class Store(Protocol):
    """Where recounts are asked for. Raises `StorageUnavailable`."""

    async def state(self) -> Recounts:
        """Return what is wanted and what is done."""
        ...

    async def ask(self) -> int:
        """Ask for one more recount; return its number."""
        ...


@dataclass(frozen=True)
class KpiParity:
    """The books of analytics. `partitions`: of the installation."""

    topics: Topics
    excused: Excused
    recounts: Store
    environment: Environment
    partitions: int

    async def find(self, since: datetime | None) -> list[Drift]:
        """Return the drift of every subject that began since then (None: of all, and of the totals on view)."""
        found = await self._look(since)
        for _ in range(LOOKS - 1):
            if not found:
                break
            # A worker that has just taken a partition over covers less, for a moment, than its records know.
            await self.environment.sleep(REPEAT.total_seconds())
            again = {drift.subject: drift for drift in await self._look(since)}
            found = [again[drift.subject] for drift in found if drift.subject in again]
        return found

    async def repair(self, drifts: Sequence[Drift], since: datetime | None) -> int:
        """Have everything recounted and wait for it; return how many drifts that concerns.

        Raises `RecountPending` if no worker did it in time; it is done as soon as one runs.
        """
        del since  # a recount is of everything
        concerned = sum(drift.kind == "kpi" for drift in drifts)
        if not concerned:
            return 0
        state = await self.recounts.state()
        is_under_way = not state.is_done(state.wanted, self.partitions)
        number = state.wanted if is_under_way else await self.recounts.ask()
        await until_done(self.recounts, self.environment, number, self.partitions)
        return concerned

    async def _look(self, since: datetime | None) -> list[Drift]:
        earlier = await self.topics.spans([CHANGELOG.name], None)
        committed, on_view = await self.topics.committed(GROUP, SOURCES), await self._on_view()
        changelog = await self.topics.spans([CHANGELOG.name], None)
        spans = await self.topics.spans(SOURCES, since)
        held, dropped = await self.excused.keys(GROUP), await self.excused.discarded(GROUP)
        floor = timestamp(since or self.environment.now() - KEPT)
        drifts: list[Drift] = []
        for number in range(self.partitions):
            mine = {place: span for place, span in spans.items() if place[1] == number}
            fold, place = Fold(number, self.partitions, dropped, floor), (CHANGELOG.name, number)
            books = Books(fold, all(span.whole for span in mine.values()), on_view.get(number))
            await self._read(books, mine, committed)
            wanted = fold.dossiers() if since else None
            known, live = await self._records(number, changelog[place], earlier[place].end, wanted)
            drifts += books.drifts(live, held)
            if since is None:
                drifts += books.totals(live, held, known)
        return drifts

    async def _read(self, books: Books, spans: Mapping[Place, Span], committed: Mapping[Place, int]) -> None:
        """Fill the books of a partition: up to what is both committed and on view, then the rest."""
        view = books.on_view.covered if books.on_view else None
        ends = {
            place: max(span.start, min(span.end, committed[place], span.end if view is None else view.get(place[0], 0)))
            for place, span in spans.items()
        }
        certain = {place: Span(spans[place].start, end, whole=False) for place, end in ends.items()}
        async for message in self.topics.read(certain):
            books.before(message)
        books.close()
        rest = {place: Span(end, spans[place].end, whole=False) for place, end in ends.items()}
        async for message in self.topics.read(rest):
            books.after(message)

    async def _records(
        self, number: int, span: Span, between: int, wanted: Set[str] | None
    ) -> tuple[dict[str, Record], dict[str, Record]]:
        """Return a partition's records as a worker recovers them: those up to the offset `between`, and those of now.

        `wanted`: of these dossiers only (None: of all).
        """
        earlier: dict[str, Record] | None = None
        records: dict[str, Record] = {}
        async for message in self.topics.read({(CHANGELOG.name, number): span}):
            if earlier is None and message.offset >= between:
                earlier = dict(records)
            if message.key and message.value and partition_of(message.key, self.partitions) == number:
                dossier = message.key.decode("utf-8", "replace")
                if wanted is None or dossier in wanted:
                    records[dossier] = merge(records.get(dossier, NOTHING), load(message.value))
        return records if earlier is None else earlier, records

    async def _on_view(self) -> dict[int, Aggregate]:
        """Return what the KPI API tells of each partition."""
        found: dict[int, Aggregate] = {}
        async for message in self.topics.read(await self.topics.spans([KPIS], None)):
            aggregate = decode(message.value)
            if aggregate is not None and newer(found.get(aggregate.partition), aggregate):
                found[aggregate.partition] = aggregate
        return found
