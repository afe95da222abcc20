"""Checking that a journal is whole. Reads only, also while others write; repairs nothing.

Whole means: numbers without a gap, a mac chain from the first event to the head's mac, a stored state that the events
lead to, a watermark within the journal, a pending mark that the sweeper can rely on, shares without a gap per agency.
"""

from collections import defaultdict
from collections.abc import AsyncIterator, Iterator, Sequence
from dataclasses import dataclass
from typing import Final, Literal

from pydantic import ValidationError

from shared.contracts.envelope import event_id
from shared.errors import Permanent
from shared.journal.fold import fold
from shared.journal.journal import Journal
from shared.journal.model import Document, Head, S

PAGE: Final = 500

Rule = Literal["missing", "sequence", "chain", "state", "watermark", "pending", "shares"]


@dataclass(frozen=True, slots=True)
class Finding:
    """Something that is not as it must be; the text names numbers and ids only."""

    subject: str
    rule: Rule
    text: str


@dataclass(frozen=True, slots=True)
class Checked:
    """One journal that was checked: how many events it has and what was found."""

    subject: str
    events: int
    findings: tuple[Finding, ...]


async def verify(journal: Journal[S], subject: str) -> list[Finding]:
    """Return what is wrong with one journal; nothing if it is whole. Raises `StorageUnavailable`."""
    return list((await check(journal, subject)).findings)


async def verify_all(journal: Journal[S]) -> AsyncIterator[Checked]:
    """Check every journal of an aggregate kind in the order of their ids. Raises `StorageUnavailable`."""
    after = ""
    while subjects := await journal.store.subjects(after, PAGE):
        for subject in subjects:
            yield await check(journal, subject)
        after = subjects[-1]


async def check(journal: Journal[S], subject: str) -> Checked:
    """Check one journal. Raises `StorageUnavailable`."""
    head = await journal.store.load(subject)
    if head is None:
        return Checked(subject, 0, (Finding(subject, "missing", "there is no such journal"),))
    # What was written after the head was read is not part of what is checked.
    events = [event for event in await journal.store.events(subject) if event["seq"] <= head.sequence]
    found: dict[Rule, Iterator[str]] = {
        "sequence": _sequence(head, events),
        "chain": _chain(journal, head, events),
        "state": _state(journal, head, events),
        "watermark": _watermark(head),
        "pending": _pending(head),
        "shares": _shares(head, events),
    }
    findings = tuple(Finding(subject, rule, text) for rule, texts in found.items() for text in texts)
    return Checked(subject, len(events), findings)


def _sequence(head: Head, events: Sequence[Document]) -> Iterator[str]:
    numbers = [event["seq"] for event in events]
    if numbers != list(range(1, head.sequence + 1)):
        missing = sorted(set(range(1, head.sequence + 1)) - set(numbers))
        yield f"the head says {head.sequence} events, there are {len(numbers)}; missing: {missing[:10]}"
    epoch = 0
    for event in events:
        if event["id"] != event_id(head.subject, event["seq"], event.get("epoch", 0)):
            yield f"event {event['seq']} is named {event['id']}"
        if event.get("epoch", 0) < epoch:
            yield f"event {event['seq']} is of an earlier epoch than the one before it"
        epoch = event.get("epoch", 0)


def _chain(journal: Journal[S], head: Head, events: Sequence[Document]) -> Iterator[str]:
    previous = ""
    for event in events:
        if not journal.has_mac(event, previous):
            yield f"event {event['seq']} does not have the mac of its content and its predecessor"
        previous = event.get("mac", "")
    if previous != head.mac:
        yield "the head's mac is not that of the last event"


def _state(journal: Journal[S], head: Head, events: Sequence[Document]) -> Iterator[str]:
    aggregate = journal.aggregate
    try:
        state = fold(aggregate, head.subject, events)
        # Read as the journal reads it: a field that came later has its default.
        stored = aggregate.state.model_validate(head.state) if head.schema == aggregate.schema else state
    except (Permanent, ValidationError) as error:
        yield f"state or events cannot be read: {type(error).__name__}"
        return
    if state is None or stored is None or state.model_dump(mode="json") != stored.model_dump(mode="json"):
        yield "the stored state is not what the events lead to"


def _watermark(head: Head) -> Iterator[str]:
    published = head.published.sequence
    if not 0 <= published <= head.sequence:
        yield f"published is {published}, but there are {head.sequence} events"


def _pending(head: Head) -> Iterator[str]:
    published = head.published.sequence
    if published < head.sequence and not head.pending:
        yield f"events from {published + 1} on are unpublished, and no sweeper will look at them"


def _shares(head: Head, events: Sequence[Document]) -> Iterator[str]:
    counted: dict[str, list[int]] = defaultdict(list)
    for event in events:
        for share in event.get("shares", ()):
            counted[share["agency"]].append(share["seq"])
    for agency in sorted(counted.keys() | head.shared.keys()):
        numbers, last = counted[agency], head.shared.get(agency, 0)
        if numbers != list(range(1, last + 1)):
            yield f"{agency} was given {len(numbers)} shares, the head says {last}, or their numbers have a gap"
