"""The truth from outside: journals, topics, the PSP's ledger, the mail sink, the KPI API, spans. Reads only."""

from collections import Counter
from collections.abc import Mapping, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass
from typing import Any, Final

import httpx
from aiokafka import AIOKafkaConsumer, TopicPartition

from deploy.local.stack import Stack
from shared.contracts.envelope import Envelope, Received, attributes
from shared.contracts.topics import EVENT_TOPICS, agency_topic
from shared.journal import Recorded
from shared.relay import dossier_of
from shared.store.journals import MongoJournalStore, open_journals
from shared.store.mongo import connect

COLLECTIONS: Final = {
    "intake": ("dossiers",),
    "identity": ("checks", "evidence"),
    "payments": ("payments",),
    "notifications": ("messages",),
}
AGENCIES: Final = ("debt-office",)


@dataclass(frozen=True)
class Entry:
    """One event of a journal, with what the tracing and the counting need."""

    service: str
    recorded: Recorded
    trace: str
    time: str
    id: str

    @property
    def received(self) -> Received:
        """The event as a consumer gets it."""
        recorded = self.recorded
        envelope = Envelope(
            id=self.id,
            source=self.service,
            type=recorded.event.type,
            subject=recorded.subject,
            sequence=recorded.sequence,
            time=recorded.time,
            tenant="",
            partitionkey=dossier_of(recorded.subject),
            traceparent="",
            mac="",
        )
        return Received(envelope, recorded.event)


async def journals(stack: Stack) -> dict[str, list[Entry]]:
    """Return every event of every journal by dossier, in order of time."""
    found: dict[str, list[Entry]] = {}
    for service, collections in COLLECTIONS.items():
        async with AsyncExitStack() as opened:
            database = await opened.enter_async_context(connect(stack.mongo_uri(service)))
            for name in collections:
                for entry in await journal_entries(service, await open_journals(database, name)):
                    found.setdefault(dossier_of(entry.recorded.subject), []).append(entry)
    for entries in found.values():
        entries.sort(key=lambda entry: entry.time)
    return found


async def journal_entries(service: str, store: MongoJournalStore) -> list[Entry]:
    """Return every event of every journal of a store."""
    entries: list[Entry] = []
    after = ""
    while subjects := await store.subjects(after):
        for subject in subjects:
            for document in await store.events(subject):
                recorded = Recorded.load(subject, document)
                entries.append(Entry(service, recorded, document["trace"], document["time"], document["id"]))
        after = subjects[-1]
    return entries


@dataclass(frozen=True)
class Published:
    """What lies on the topics: first occurrences by subject in their order, how many repeats there were, and texts."""

    sequences: Mapping[tuple[str, str], list[int]]
    records: int
    ids: Mapping[str, set[str]]
    texts: list[str]

    def out_of_order(self) -> list[str]:
        """Return subjects whose first occurrences are not 1, 2, 3…"""
        return [
            f"{topic} {subject}"
            for (topic, subject), sequences in self.sequences.items()
            if sequences != list(range(1, len(sequences) + 1))
        ]


async def published(stack: Stack) -> Published:
    """Read all event topics, the agencies' too, from beginning to end."""
    topics = [topic.name for topic in EVENT_TOPICS] + [agency_topic(agency) for agency in AGENCIES]
    partitions = range(int(stack.env_for("intake-api")["KAFKA_PARTITIONS"]))
    parts = [TopicPartition(topic, number) for topic in topics for number in partitions]
    consumer = AIOKafkaConsumer(bootstrap_servers=stack.bootstrap, auto_offset_reset="earliest")
    await consumer.start()
    try:
        return await _read(consumer, parts)
    finally:
        await consumer.stop()


async def _read(consumer: AIOKafkaConsumer, parts: Sequence[TopicPartition]) -> Published:
    consumer.assign(parts)
    ends = await consumer.end_offsets(parts)
    await consumer.seek_to_beginning(*parts)
    sequences: dict[tuple[str, str], list[int]] = {}
    ids: dict[str, set[str]] = {}
    texts: list[str] = []
    while [part for part in parts if await consumer.position(part) < ends[part]]:
        for part, records in (await consumer.getmany(timeout_ms=500)).items():
            for record in records:
                found = attributes(record.headers)
                known = ids.setdefault(part.topic, set())
                texts.append(f"{found} {(record.value or b'').decode('utf-8', 'replace')}")
                if found["id"] not in known:
                    known.add(found["id"])
                    sequences.setdefault((part.topic, found["subject"]), []).append(int(found["sequence"]))
    return Published(sequences, len(texts), ids, texts)


def ledger(stack: Stack) -> Counter[tuple[str, str]]:
    """Return how often money of each dossier was captured and refunded, as the payment provider has it."""
    entries = httpx.get(f"{stack.url('psp')}/sandbox/ledger", timeout=60).json()["entries"]
    return Counter((dossier_of(entry["client_reference_id"]), entry["kind"]) for entry in entries)


def mails(stack: Stack) -> list[dict[str, Any]]:
    """Return all mails of the sink."""
    found: list[dict[str, Any]] = httpx.get(
        f"{stack.url('mail')}/sandbox/messages", params={"limit": 1_000_000}, timeout=60
    ).json()["messages"]
    return found


def kpis(stack: Stack) -> dict[str, Any]:
    """Return the KPIs as the API tells them."""
    answer: dict[str, Any] = httpx.get(f"{stack.url('analytics-api')}/v1/kpis", timeout=20).json()
    return answer


def spans(stack: Stack, trace_id: str) -> list[dict[str, Any]]:
    """Return the exported spans of a trace."""
    found: list[dict[str, Any]] = httpx.get(f"{stack.url('collector')}/sandbox/traces/{trace_id}", timeout=20).json()
    return found
