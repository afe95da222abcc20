"""The simulated databases: what `shared.store` keeps in MongoDB, in memory behind wires that lose answers.

Writes of journals go through the product's own group commit; a group may be applied in part, and a driver that tried
again may call a write that it made itself a conflict. Knows no aggregate.
"""

from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from pymongo.errors import AutoReconnect, BulkWriteError

from shared.errors import StorageUnavailable
from shared.journal.model import Change, Document, Filling, Head, Watermark, Work
from shared.store.mongo import GroupCommit
from shared.testing.recounts import MemoryRecounts
from shared.testing.store import MemoryJournalStore, MemoryMarkers
from shared.vault import MemoryKeyStore
from tests.simulation.scheduler import at_once
from tests.simulation.wires import Server, Wires

_DUPLICATE = 11000


class Inside(MemoryJournalStore):
    """The journals inside the server. Heads share what is stored: nobody changes a stored document in place."""

    async def load(self, subject: str, cause: str | None = None) -> Head | None:
        """Return the head, with the events already recorded for this cause."""
        document = self.documents.get(subject)
        if document is None:
            return None
        matched = [event for event in self._events(subject) if cause is not None and event["cause"] == cause]
        names = ("version", "schema", "state", "mac")
        return Head(
            subject=subject,
            sequence=document["head"],
            published=Watermark(document["fill"], document["published"]),
            seen=dict(document["seen"]),
            shared=dict(document["shared"]),
            work=tuple(Work(**work) for work in document["work"]),
            matched=tuple(matched),
            **{name: document[name] for name in names},
        )

    async def events(self, subject: str, after: int = 0) -> list[Document]:
        """Return the stored events with a greater sequence, in order."""
        return [event for event in self._events(subject) if event["seq"] > after]


@dataclass
class SimDatabase:
    """One service's database. `partial`: chance that a group is applied in part; `mistaken`: that a write made is
    called a conflict; `again`: events that were written into an inbox which had seen them.
    """

    name: str
    wires: Wires
    partial: float = 0.0
    mistaken: float = 0.0
    collections: dict[str, Inside] = field(default_factory=lambda: defaultdict(Inside))
    markers: MemoryMarkers = field(default_factory=MemoryMarkers)
    leases: dict[str, tuple[str, str]] = field(default_factory=dict)
    files: dict[str, bytes] = field(default_factory=dict)
    aliases: dict[str, str] = field(default_factory=dict)
    keys: MemoryKeyStore = field(default_factory=MemoryKeyStore)
    filling: Filling | None = None
    recounts: MemoryRecounts = field(default_factory=MemoryRecounts)
    changed: Callable[[str], None] = lambda _subject: None
    again: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.server = Server(f"database {self.name}", self.wires, StorageUnavailable)

    def heal(self) -> None:
        """Work well from now on."""
        self.server.heal()
        self.partial = self.mistaken = 0.0


@dataclass(frozen=True, slots=True)
class Mark:
    """The write of a watermark."""

    subject: str
    after: Watermark
    sequence: int


@dataclass(frozen=True, slots=True)
class Save:
    """The write of a change by a process that knows of this filling."""

    change: Change
    fill: int


@dataclass
class SimCollection:
    """The driver's collection, as far as group commits use it."""

    database: SimDatabase
    inside: Inside
    name: str = "journals"

    async def bulk_write(self, operations: Sequence[Save | Mark], *, ordered: bool) -> None:
        """Apply each operation by itself. Raises what the driver raises."""
        assert not ordered
        try:
            failures = await self.database.server.ask(lambda: self._apply(operations))
        except StorageUnavailable as error:
            raise AutoReconnect(str(error)) from None
        if failures:
            raise BulkWriteError({"writeErrors": failures})

    def _apply(self, operations: Sequence[Save | Mark]) -> list[dict[str, int]]:
        server = self.database.server
        if server.happens(self.database.partial):
            applied = [operation for operation in operations if server.happens(0.5)]
            for operation in applied:
                self._one(operation)
            server.wires.log.note(f"{server.name} applied {len(applied)} of {len(operations)}")
            raise StorageUnavailable("interrupted")
        return [
            {"index": index, "code": _DUPLICATE}
            for index, operation in enumerate(operations)
            if not self._one(operation) or (isinstance(operation, Save) and server.happens(self.database.mistaken))
        ]

    def _one(self, operation: Save | Mark) -> bool:
        if isinstance(operation, Mark):
            at_once(self.inside.mark_published(operation.subject, operation.after, operation.sequence))
            return True
        return self._save(operation.change, operation.fill)

    def _save(self, operation: Change, fill: int) -> bool:
        self.inside.fill = fill
        before = self.inside.documents.get(operation.subject)
        written = at_once(self.inside.commit(operation))
        if written and before and operation.seen and before["seen"].get(operation.seen[0], 0) >= operation.seen[1]:
            self.database.again.append(f"{operation.subject} took {operation.seen[0]}:{operation.seen[1]} in again")
        words = ",".join(event["type"].split(".")[-2] for event in operation.events)
        note = f"{operation.subject} v{operation.version} {words} {'written' if written else 'conflict'}"
        self.database.wires.log.note(f"{self.database.name}: {note}")
        self.database.changed(operation.subject)
        return written


class SimJournalStore:
    """`JournalStore` over the wires; one for each process. See the protocol for the contract."""

    def __init__(self, database: SimDatabase, collection: str) -> None:
        self.fill = 0
        self.inside = database.collections[collection]
        self._ask = database.server.ask
        self._writes = GroupCommit(SimCollection(database, self.inside))  # type: ignore[arg-type]

    async def load(self, subject: str, cause: str | None = None) -> Head | None:
        """Return the head, with the events already recorded for this cause."""
        head = await self._ask(lambda: at_once(self.inside.load(subject, cause)))
        self.fill = max(self.fill, head.published.fill if head else 0)
        return head

    async def commit(self, change: Change) -> bool:
        """Apply the change durably; False if another writer was first."""
        return await self._writes.submit(Save(change, self.fill)) == "written"  # type: ignore[arg-type]

    async def events(self, subject: str, after: int = 0) -> list[Document]:
        """Return the stored events with a greater sequence, in order."""
        return await self._ask(lambda: at_once(self.inside.events(subject, after)))

    async def mark_published(self, subject: str, after: Watermark, sequence: int) -> None:
        """Raise the watermark."""
        await self._writes.submit(Mark(subject, after, sequence))  # type: ignore[arg-type]

    async def pending(self, before: str, limit: int) -> list[str]:
        """Return subjects with unpublished events."""
        return await self._ask(lambda: at_once(self.inside.pending(before, limit)))

    async def epoch(self) -> int:
        """Return 0: a simulated town is never restored from a backup."""
        return 0

    async def due(self, now: str, kinds: Sequence[str], limit: int) -> list[tuple[str, str]]:
        """Return due work."""
        return await self._ask(lambda: at_once(self.inside.due(now, kinds, limit)))

    async def republish(self, fill: int) -> int:
        """Begin a filling."""
        marked = await self._ask(lambda: at_once(self.inside.republish(fill)))
        self.fill = max(self.fill, fill)
        return marked

    async def seal(self, subject: str, keep: int) -> int:
        """Move published events to segments."""
        return await self._ask(lambda: at_once(self.inside.seal(subject, keep)))

    async def subjects(self, after: str = "", limit: int = 1000) -> list[str]:
        """Return ids in ascending order."""
        return await self._ask(lambda: at_once(self.inside.subjects(after, limit)))


def journals_in(database: SimDatabase, name: str) -> SimJournalStore:
    """Return a process's store; stands for the function of this name in `shared.store.journals`."""
    return SimJournalStore(database, name)


async def prepare(*_: object) -> None:
    """Stand for what makes collections and indexes."""
