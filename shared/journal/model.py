"""What a journal stores and what a service tells it. Data only: no I/O, no clock, no randomness."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Final, Generic, NamedTuple, Protocol, Self, TypeVar

from pydantic import BaseModel, ConfigDict

from shared.contracts.envelope import Envelope
from shared.contracts.event import Event, event_class
from shared.errors import NewerRelease, Permanent, Transient

Document = dict[str, Any]

KEPT_EVENTS: Final = 200
"""Published events that stay in an aggregate's document; older ones move to sealed segments of as many."""

LARGEST_EVENT_BYTES: Final = 900_000
"""An event's data as JSON; with its attributes it still fits into one Kafka record of the default size (1 MiB)."""


class State(BaseModel):
    """Base of every aggregate's state: immutable, stored beside the events it is folded from."""

    model_config = ConfigDict(frozen=True)


S = TypeVar("S", bound=State)


class StaleSequence(Permanent):
    """`If-Match` named another sequence than the aggregate has now; nothing was decided."""


class IdempotencyConflict(Permanent):
    """The Idempotency-Key was used before with another body."""


class UnknownSubject(Permanent):
    """No aggregate has this id."""


class TooLarge(Permanent):
    """A decided event is larger than a record may be; nothing was saved, since it could never be published."""


class Contention(Transient):
    """Too many writers wanted the same aggregate at once."""


@dataclass(frozen=True, slots=True)
class Cause:
    """Why something is recorded, so that a repeat is recognised.

    `id` is `cmd:<caller>:<Idempotency-Key>`, an event's id, or `work:<id>`. An event also has its inbox position,
    which counts epochs first: see `Envelope.position`.
    """

    id: str
    subject: str | None = None
    sequence: int = 0
    body: str | None = None
    work: str | None = None
    traceparent: str = ""

    @classmethod
    def command(cls, caller: str, key: str, body: str) -> Self:
        """Return the cause of a request; `body` is a keyed hash of its content."""
        return cls(id=f"cmd:{caller}:{key}", body=body)

    @classmethod
    def event(cls, envelope: Envelope) -> Self:
        """Return the cause of a consumed event."""
        return cls(envelope.id, subject=envelope.subject, sequence=envelope.position, traceparent=envelope.traceparent)

    @classmethod
    def performed(cls, task: "Task[Any]") -> Self:
        """Return the cause of a piece of work that was done."""
        return cls(id=f"work:{task.id}:{task.attempts}", work=task.id, traceparent=task.traceparent)


@dataclass(frozen=True, slots=True)
class Share:
    """What one agency gets to know of an event."""

    agency: str
    event: Event


@dataclass(frozen=True, slots=True)
class Work:
    """Something to do outside, saved with the event that wants it: a call to a provider, or a timer."""

    kind: str
    due_at: str
    not_after: str | None = None
    id: str = ""
    attempts: int = 0
    traceparent: str = ""


@dataclass(frozen=True, slots=True)
class Task(Generic[S]):
    """A claimed piece of work with the state it is to be done for. `id` serves as idempotency key."""

    subject: str
    id: str
    kind: str
    attempts: int
    not_after: str | None
    traceparent: str
    state: S


@dataclass(frozen=True, slots=True)
class Recorded:
    """An event in its place in the journal."""

    subject: str
    sequence: int
    time: str
    event: Event

    @property
    def id(self) -> str:
        """`<subject>:<sequence>`; requests give it to the aggregate made for them. Published with the epoch, if any."""
        return f"{self.subject}:{self.sequence}"

    @classmethod
    def load(cls, subject: str, document: Mapping[str, Any]) -> Self:
        """Read a stored event; fields it does not know are left out. Raises `NewerRelease` for an unknown type."""
        kind = event_class(document["type"])
        if kind is None:
            raise NewerRelease(f"the journal of {subject} holds an event of unknown type {document['type']}")
        return cls(subject, document["seq"], document["time"], kind.model_validate(document["data"]))


Decide = Callable[[S | None, datetime], Sequence[Event]]


class Evolve(Protocol[S]):
    """`(state or None, recorded) -> state`, pure."""

    def __call__(self, state: S | None, recorded: Recorded, /) -> S:
        """Return the state after the event."""
        ...


def _nothing(*_: object) -> tuple[()]:
    return ()


@dataclass(frozen=True)
class Aggregate(Generic[S]):
    """How one kind of aggregate lives; every function is pure.

    `react` says what follows by itself from a state (the next steps, a new public status); it is asked again until
    nothing follows. `plan` says which work an event wants. `share` says which agency learns what of an event.
    """

    service: str
    name: str
    topic: str
    schema: int
    state: type[S]
    evolve: Evolve[S]
    react: Callable[[S, datetime], Sequence[Event]] = _nothing
    plan: Callable[[S, Recorded], Sequence[Work]] = _nothing
    share: Callable[[S, Recorded], Sequence[Share]] = _nothing


class Watermark(NamedTuple):
    """How far an aggregate is published: up to `sequence` in the `fill`-th filling of the topics.

    A broker that comes back empty begins another filling; what was acknowledged in an earlier one says nothing of it.
    """

    fill: int
    sequence: int


NOTHING_PUBLISHED: Final = Watermark(0, 0)


@dataclass(frozen=True, slots=True)
class Filling:
    """Which cluster's topics the journals are published to, and how often topics were filled before."""

    cluster: str
    number: int


@dataclass(frozen=True, slots=True)
class Head:
    """A stored aggregate without its events, but with those that the asked cause had already led to."""

    subject: str
    version: int
    sequence: int
    schema: int
    state: Document
    published: Watermark
    seen: Mapping[str, int]
    shared: Mapping[str, int]
    work: tuple[Work, ...]
    mac: str
    matched: tuple[Document, ...] = ()
    pending: bool = False


@dataclass(frozen=True, slots=True)
class Change:
    """One atomic write: guarded by `version` (0 creates), it moves everything at once or nothing."""

    subject: str
    tenant: str
    version: int
    sequence: int
    schema: int
    state: Document
    events: tuple[Document, ...]
    seen: tuple[str, int] | None
    shared: Mapping[str, int]
    work: tuple[Work, ...]
    mac: str
    time: str


@dataclass(frozen=True, slots=True)
class Outcome(Generic[S]):
    """What became of a cause: the state after it, its sequence, and whether it had been recorded before."""

    subject: str
    state: S
    sequence: int
    events: tuple[Recorded, ...] = field(default=())
    repeated: bool = False


class JournalStore(Protocol):
    """Where the journals of one aggregate kind lie. The fake and MongoDB pass the same behaviour suite.

    Every method raises `StorageUnavailable` when the store cannot answer; a write may then have happened or not.
    `fill` is the newest filling of the topics that this process knows of; new aggregates begin in it.
    """

    fill: int

    async def load(self, subject: str, cause: str | None = None) -> Head | None:
        """Return the head, with the events already recorded for this cause; sees every acknowledged commit."""
        ...

    async def commit(self, change: Change) -> bool:
        """Apply the change durably; False if another writer was first."""
        ...

    async def events(self, subject: str, after: int = 0) -> list[Document]:
        """Return the stored events with a greater sequence, in order, sealed segments included."""
        ...

    async def mark_published(self, subject: str, after: Watermark, sequence: int) -> None:
        """Raise the watermark to `sequence`; clear the pending mark if this is the newest event.

        Nothing happens while the watermark is below `after`, or of another filling: what lies between was not published
        (any more).
        """
        ...

    async def pending(self, before: str, limit: int) -> list[str]:
        """Return subjects that may have unpublished events and got their newest before this time, oldest first."""
        ...

    async def due(self, now: str, kinds: Sequence[str], limit: int) -> list[tuple[str, str]]:
        """Return (subject, work id) of work of these kinds that is due."""
        ...

    async def republish(self, fill: int) -> int:
        """Begin a filling: mark every event of every aggregate that is not in it yet as unpublished.

        Return how many aggregates that were. What another process already published in this filling stays published.
        """
        ...

    async def seal(self, subject: str, keep: int) -> int:
        """Move published events but the newest `keep` to sealed segments; return how many moved."""
        ...

    async def subjects(self, after: str = "", limit: int = 1000) -> list[str]:
        """Return ids in ascending order, for paging through everything."""
        ...

    async def epoch(self) -> int:
        """Return the number of the last restore from a backup; 0 before any. The same as long as a process runs."""
        ...
