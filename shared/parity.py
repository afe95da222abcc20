"""Comparing a service's journals with the topics, and what other services told with what its own journals took in.

Reads in an order that makes running traffic no drift: an event is in its journal before it is on the topic, and a
follow-up is saved before the offset is committed. What seems to be missing is looked for once more. Repairs by saying
again what was said already, so that a second repair changes nothing; never alters a journal by itself.
"""

import logging
from collections import defaultdict
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Final, Literal, Protocol

from shared.contracts.envelope import Message, Received, Undecodable, attributes, decode
from shared.contracts.event import Event
from shared.environment import timestamp
from shared.errors import BrokerUnavailable
from shared.journal.journal import Journal
from shared.kafka.topics import Place, Span
from shared.relay import Publisher, Relay

log = logging.getLogger(__name__)

Kind = Literal["unpublished", "altered", "foreign", "unfollowed", "provider", "kpi"]
KINDS: Final[tuple[Kind, ...]] = ("unpublished", "altered", "foreign", "unfollowed", "provider", "kpi")
PAGE: Final = 500


@dataclass(frozen=True, slots=True)
class Drift:
    """Something that two books tell differently; the text names ids, numbers and codes only."""

    kind: Kind
    subject: str
    text: str
    repairable: bool = True


@dataclass(frozen=True, slots=True)
class Effect:
    """Where an event must have been taken in: the collection and id of an aggregate."""

    collection: str
    subject: str


EffectOf = Callable[[Received], Effect | None]


@dataclass(frozen=True)
class Follower:
    """A consumer group of this service: what it reads and where each event must have left its mark."""

    group: str
    topics: tuple[str, ...]
    events: frozenset[type[Event]]
    effect_of: EffectOf


class Topics(Protocol):
    """Whole topics. Raises `BrokerUnavailable`."""

    async def spans(self, topics: Sequence[str], since: datetime | None) -> dict[Place, Span]:
        """Return what there is to read now."""
        ...

    def read(self, spans: Mapping[Place, Span]) -> AsyncIterator[Message]:
        """Yield the records of these spans."""
        ...

    async def committed(self, group: str, topics: Sequence[str]) -> dict[Place, int]:
        """Return the next offset of a group by partition."""
        ...


class Excused(Protocol):
    """Dead letters excuse a missing follow-up. Raises `StorageUnavailable`."""

    async def keys(self, group: str) -> set[str]:
        """Return all dossiers set aside."""
        ...

    async def discarded(self, group: str) -> set[str]:
        """Return the ids of all events that operators discarded."""
        ...


@dataclass
class _Seen:
    """What lies on the own topic: the macs by subject and sequence, and from which event time on all of it does."""

    macs: dict[str, dict[int, set[str]]] = field(default_factory=lambda: defaultdict(lambda: defaultdict(set)))
    floors: dict[int, str] = field(default_factory=dict)

    async def take(self, records: AsyncIterator[Message], partial: Mapping[int, str]) -> None:
        """Note records; of partitions that were not read from their beginning the first record tells the floor."""
        async for record in records:
            found = attributes(record.headers)
            if record.partition in partial:
                self.floors.setdefault(record.partition, max(partial[record.partition], found.get("time", "")))
            sequence = found.get("sequence", "")
            if found.get("subject") and sequence.isascii() and sequence.isdigit():
                self.macs[found["subject"]][int(sequence)].add(found.get("mac", ""))


@dataclass(frozen=True)
class Parity:
    """The books of one service. `journals` by collection; a service publishes all of them on one topic."""

    journals: Mapping[str, Journal[Any]]
    followers: Sequence[Follower]
    topics: Topics
    excused: Excused
    publisher: Publisher
    relays: Sequence[Relay]

    @property
    def topic(self) -> str:
        """The topic that the service alone writes."""
        return next(iter(self.journals.values())).aggregate.topic

    async def find(self, since: datetime | None) -> list[Drift]:
        """Return every drift of what was written since then (None: of all that the broker still has)."""
        drifts = await self._topic_drift(since)
        for follower in self.followers:
            drifts += [drift for drift, _ in await self._unfollowed(follower, since)]
        return drifts

    async def repair(self, drifts: Sequence[Drift], since: datetime | None) -> int:
        """Publish again what is missing, and say again what was not taken in; return how many drifts that concerns.

        Raises `BrokerUnavailable` if some of it was not acknowledged.
        """
        missing = sorted({drift.subject for drift in drifts if drift.kind == "unpublished"})
        for subject in missing:
            for relay in self.relays:
                if not await relay.repeat(subject):
                    raise BrokerUnavailable("a repeated event was not acknowledged")
        again: list[Message] = []
        if any(drift.kind == "unfollowed" for drift in drifts):
            for follower in self.followers:
                again += [record for _, record in await self._unfollowed(follower, since)]
        if again and not all(await self.publisher.publish(again)):
            raise BrokerUnavailable("a repeated event was not acknowledged")
        return len(missing) + len(again)

    async def _topic_drift(self, since: datetime | None) -> list[Drift]:
        spans = await self.topics.spans([self.topic], since)
        floor = timestamp(since) if since else ""
        seen, partial = _Seen(), {place[1]: floor for place, span in spans.items() if not span.whole}
        await seen.take(self.topics.read(spans), partial)
        drifts: list[Drift] = []
        missing: list[tuple[Drift, int]] = []
        known: set[str] = set()
        async for collection, subject in self._subjects():
            known.add(subject)
            drifts += await self._compare(self.journals[collection], subject, seen, floor, missing)
        tail = await self.topics.spans([self.topic], None)
        await seen.take(self.topics.read({p: Span(spans[p].end, tail[p].end, False) for p in tail}), {})
        drifts += [drift for drift, sequence in missing if sequence not in seen.macs[drift.subject]]
        foreign = [subject for subject in seen.macs if subject not in known]
        return drifts + [drift for subject in foreign for drift in await self._strangers(subject, seen)]

    async def _subjects(self) -> AsyncIterator[tuple[str, str]]:
        for collection, journal in self.journals.items():
            after = ""
            while page := await journal.store.subjects(after, PAGE):
                for subject in page:
                    yield collection, subject
                after = page[-1]

    async def _compare(
        self, journal: Journal[Any], subject: str, seen: _Seen, floor: str, missing: list[tuple[Drift, int]]
    ) -> list[Drift]:
        """Return what the topic has more or otherwise; what it has less goes to `missing`, one entry per journal."""
        copies = seen.macs.get(subject, {})
        head = await journal.store.load(subject) if copies or not floor else None
        if head is None:
            return []
        stored = {event["seq"]: event for event in await journal.store.events(subject)}
        lost = [
            n for n in range(1, head.published.sequence + 1) if n not in copies and _is_due(stored.get(n), seen, floor)
        ]
        if lost:
            text = f"{len(lost)} of {head.sequence} events are not on {self.topic}, the first is {lost[0]}"
            missing.append((Drift("unpublished", subject, text), lost[0]))
        more = sorted(set(copies) - set(stored))
        drifts = [Drift("foreign", subject, f"event {n} is in no journal", repairable=False) for n in more]
        other = [n for n in sorted(set(copies) & set(stored)) if copies[n] != {stored[n]["mac"]}]
        return drifts + [Drift("altered", subject, f"event {n} has another mac", repairable=False) for n in other]

    async def _strangers(self, subject: str, seen: _Seen) -> list[Drift]:
        """Return events of a subject that has no journal; one that was made meanwhile has."""
        for journal in self.journals.values():
            if await journal.store.load(subject) is not None:
                return []
        text = f"{len(seen.macs[subject])} events of a subject that has no journal"
        return [Drift("foreign", subject, text, repairable=False)]

    async def _unfollowed(self, follower: Follower, since: datetime | None) -> list[tuple[Drift, Message]]:
        """Return events behind the group's offset that left no mark, each with its record, in order."""
        spans = await self.topics.spans(follower.topics, since)
        committed = await self.topics.committed(follower.group, follower.topics)
        done = {place: Span(span.start, min(span.end, committed[place]), span.whole) for place, span in spans.items()}
        candidates: dict[str, tuple[Drift, Message, Received]] = {}
        async for record in self.topics.read(done):
            received = _readable(record)
            if received is None or type(received.event) not in follower.events:
                continue
            if received.envelope.id not in candidates and not await self._is_followed(follower, received):
                drift = Drift("unfollowed", received.envelope.id, f"{follower.group} took in no {received.event.word}")
                candidates[received.envelope.id] = (drift, record, received)
        if not candidates:
            return []
        aside = await self.excused.keys(follower.group)
        dropped = await self.excused.discarded(follower.group)
        return [
            (drift, record)
            for drift, record, received in candidates.values()
            if received.envelope.dossier not in aside and received.envelope.id not in dropped
        ]

    async def _is_followed(self, follower: Follower, received: Received) -> bool:
        effect = follower.effect_of(received)
        if effect is None:
            return True
        head = await self.journals[effect.collection].store.load(effect.subject)
        return head is not None and head.seen.get(received.envelope.subject, 0) >= received.envelope.sequence


def _is_due(event: Mapping[str, Any] | None, seen: _Seen, floor: str) -> bool:
    """Whether the broker should still have an event: it is younger than the oldest records that were read."""
    if event is None:
        return False
    return bool(event["time"] >= max([floor, *seen.floors.values()]))


def _readable(record: Message) -> Received | None:
    try:
        return decode(record)
    except Undecodable:
        return None
