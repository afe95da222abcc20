"""The relay: publishes what the journals hold, in order, at least once. Never decides and never skips.

It sends the contiguous run from the watermark on, never only what was just saved, and stops at a dossier's first
failed acknowledgement; the sweeper comes back to it. First occurrences are therefore in order, and a second relay can
only repeat. What is sent together for one partition is one atomic batch.
"""

import asyncio
import logging
from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any, Final, Protocol

from opentelemetry import trace

from shared.contracts.envelope import Envelope, Message, event_id
from shared.contracts.topics import agency_topic
from shared.environment import Environment, timestamp
from shared.errors import StorageUnavailable, Transient
from shared.journal.fold import canonical
from shared.journal.journal import Journal
from shared.journal.model import KEPT_EVENTS, NOTHING_PUBLISHED, Document, Watermark, Work
from shared.telemetry import span_from

log = logging.getLogger(__name__)

LARGEST_GROUP: Final = 500
HELD_EVENTS: Final = 20_000
"""What is offered and not yet sent; a saved event is about a kilobyte."""
REMEMBERED: Final = 4_000
"""How many watermarks: enough for those that were raised since their journals were read, a second or two ago. Of all
others the journal tells."""
SWEEP_AGE: Final = timedelta(seconds=5)
"""Younger events are left to the relay of the process that saved them: a busy machine takes seconds to publish, and
repeating what is under way would make it busier."""


class Publisher(Protocol):
    """Sends records and waits for their acknowledgement."""

    async def publish(self, messages: Sequence[Message]) -> list[bool]:
        """Send the records in order; per record, whether it was acknowledged.

        Once a record of a topic's partition fails, those after it on that partition are not sent.
        """
        ...


@dataclass(frozen=True, slots=True)
class _Run:
    """Events of one aggregate without a gap, from the one behind the watermark `after` on."""

    subject: str
    after: Watermark
    documents: tuple[Document, ...]


@dataclass
class Relay:
    """Publishes the journals of one aggregate kind. Listens to a `Journal`, so that publishing needs no poll."""

    journal: Journal[Any]
    publisher: Publisher
    environment: Environment
    _offered: OrderedDict[str, tuple[Watermark, tuple[Document, ...]]] = field(default_factory=OrderedDict)
    _sent: OrderedDict[str, Watermark] = field(default_factory=OrderedDict)
    _sending: set[str] = field(default_factory=set)
    _held: int = 0
    _wake: asyncio.Event = field(default_factory=asyncio.Event)
    _ended: asyncio.Event | None = None
    _finishing: bool = False

    def saved(self, subject: str, published: Watermark, events: tuple[Document, ...], _work: tuple[Work, ...]) -> None:
        """Note saved events; what no longer fits in memory is left to the sweeper."""
        if not events:
            return
        _, before = self._offered.pop(subject, (NOTHING_PUBLISHED, ()))
        self._held -= len(before)
        if self._held + len(before) + len(events) <= HELD_EVENTS:
            self._offered[subject] = (published, (*before, *events))
            self._held += len(before) + len(events)
        self._wake.set()

    async def run(self) -> None:
        """Publish what is offered, until told to finish; everything offered meanwhile goes with the next group."""
        self._ended = asyncio.Event()
        try:
            await self._run()
        finally:
            self._ended.set()

    async def finish(self) -> None:
        """Return when everything offered so far was sent, or was left to the sweeper; `run` ends with it."""
        self._finishing = True
        self._wake.set()
        if self._ended is not None:
            await self._ended.wait()

    async def _run(self) -> None:
        while not self._finishing or self._offered:
            await self._wake.wait()
            self._wake.clear()
            while self._offered:
                await self._publish_offered()

    async def sweep(self, limit: int = LARGEST_GROUP) -> int:
        """Publish what a crash or an absent broker left behind; return how many aggregates were wholly published."""
        before = timestamp(self.environment.now() - SWEEP_AGE)
        pending = await self.journal.store.pending(before, limit)
        # What this process is about to send anyway would only be repeated.
        subjects = [subject for subject in pending if subject not in self._offered and subject not in self._sending]
        return await self._publish(await asyncio.gather(*(self._stored(subject) for subject in subjects)))

    async def repeat(self, subject: str) -> bool:
        """Publish all that a journal holds once more, whatever its watermark says; say if all was acknowledged."""
        documents = tuple(await self.journal.store.events(subject))
        messages = [message for _, message in self._messages(_Run(subject, NOTHING_PUBLISHED, documents))]
        return all(await self.publisher.publish(messages)) if messages else True

    async def _publish_offered(self) -> None:
        group = [self._offered.popitem(last=False) for _ in range(min(LARGEST_GROUP, len(self._offered)))]
        self._held -= sum(len(events) for _, (_, events) in group)
        self._sending = {subject for subject, _ in group}
        try:
            await self._publish(await asyncio.gather(*(self._contiguous(subject, *offer) for subject, offer in group)))
        except Transient as error:
            log.warning("relay_waits", extra={"reason": type(error).__name__})
        finally:
            self._sending = set()

    async def _contiguous(self, subject: str, published: Watermark, documents: tuple[Document, ...]) -> _Run:
        watermark = max(published, self._sent.get(subject, NOTHING_PUBLISHED))
        if watermark.fill < self.journal.store.fill:
            # From before the broker came back empty: it would get the newest event before all older ones.
            return await self._stored(subject)
        done = watermark.sequence
        new = tuple(sorted((d for d in documents if d["seq"] > done), key=lambda d: d["seq"]))
        if new and [d["seq"] for d in new] == list(range(done + 1, done + 1 + len(new))):
            return _Run(subject, watermark, new)
        return await self._stored(subject)

    async def _stored(self, subject: str) -> _Run:
        head = await self.journal.store.load(subject)
        after = head.published if head else NOTHING_PUBLISHED
        return _Run(subject, after, tuple(await self.journal.store.events(subject, after.sequence)))

    async def _publish(self, runs: Sequence[_Run]) -> int:
        """Send several dossiers' runs together and raise each watermark as far as it was acknowledged.

        Return how many runs were acknowledged to their end.
        """
        messages = [(run, message) for run in runs for message in self._messages(run)]
        trace_of_first = messages[0][0].documents[0]["trace"] if messages else ""
        with span_from(trace_of_first, f"publish {self.journal.aggregate.topic}", trace.SpanKind.PRODUCER):
            acknowledged = await self.publisher.publish([message for _, (_, message) in messages]) if messages else []
        failed: dict[str, int] = {}
        for (run, (index, _)), good in zip(messages, acknowledged, strict=True):
            if not good:
                failed[run.subject] = min(index, failed.get(run.subject, index))
        await asyncio.gather(*(self._settle(run, failed.get(run.subject, len(run.documents))) for run in runs))
        return len(runs) - len(failed)

    async def _settle(self, run: _Run, acknowledged: int) -> None:
        if acknowledged == 0 and run.documents:
            return
        sequence = run.documents[acknowledged - 1]["seq"] if run.documents else run.after.sequence
        store = self.journal.store
        try:
            await store.mark_published(run.subject, run.after, sequence)
            self._remember(run.subject, Watermark(run.after.fill, sequence))
            if sequence // KEPT_EVENTS > max(1, run.after.sequence // KEPT_EVENTS):
                await store.seal(run.subject, KEPT_EVENTS)
        except StorageUnavailable:
            log.warning("watermark_not_saved", extra={"subject": run.subject})

    def _remember(self, subject: str, sent: Watermark) -> None:
        self._sent[subject] = max(sent, self._sent.pop(subject, NOTHING_PUBLISHED))
        if len(self._sent) > REMEMBERED:
            self._sent.popitem(last=False)

    def _messages(self, run: _Run) -> list[tuple[int, Message]]:
        """Return the records of a run, each with its event's place in the run."""
        found = []
        for index, document in enumerate(run.documents):
            found.append((index, self._message(run.subject, document)))
            found += [(index, self._shared(run.subject, document, share)) for share in document.get("shares", ())]
        return found

    def _message(self, subject: str, document: Document) -> Message:
        envelope = Envelope(
            id=document["id"],
            source=f"//dossierbus/{self.journal.tenant}/{self.journal.aggregate.service}",
            type=document["type"],
            subject=subject,
            sequence=document["seq"],
            time=document["time"],
            tenant=self.journal.tenant,
            partitionkey=dossier_of(subject),
            traceparent=document["trace"],
            mac=document["mac"],
            epoch=document.get("epoch", 0),
        )
        return envelope.message(self.journal.aggregate.topic, canonical(document["data"]))

    def _shared(self, subject: str, document: Document, share: Document) -> Message:
        envelope = Envelope(
            id=event_id(subject, share["seq"], document.get("epoch", 0)),
            source=f"//dossierbus/{self.journal.tenant}/{self.journal.aggregate.service}/agency/{share['agency']}",
            type=share["type"],
            subject=subject,
            sequence=share["seq"],
            time=document["time"],
            tenant=self.journal.tenant,
            partitionkey=dossier_of(subject),
            traceparent=document["trace"],
            mac="",
            epoch=document.get("epoch", 0),
        )
        return envelope.message(agency_topic(share["agency"]), canonical(share["data"]))


def dossier_of(subject: str) -> str:
    """Return the dossier that an aggregate's id begins with: the Kafka key of all its events."""
    return subject.partition(":")[0]
