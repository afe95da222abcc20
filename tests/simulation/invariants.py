"""What must be true when everything was healed and came to rest. Each invariant returns sentences, none when it holds.

Counted from the stores' insides, the topics and the providers' own books, never from what the product says of itself.
"""

from collections import Counter
from collections.abc import Callable, Iterator
from typing import Final

from shared.contracts import dossier as told
from shared.contracts.envelope import attributes
from shared.contracts.event import Event
from shared.contracts.flow import CONSUMERS
from shared.contracts.topics import agency_topic
from shared.journal import Recorded
from shared.journal.fold import canonical, chain, fold
from shared.relay import dossier_of
from tests.simulation import effects
from tests.simulation.books import Books

KEY: Final = b"k" * 32


def violations(books: Books) -> list[str]:
    """Return every broken invariant in a sentence."""
    return [f"{check.__name__.strip('_')}: {sentence}" for check in CHECKS for sentence in check(books)]


def _accepted_is_there(books: Books) -> Iterator[str]:
    """What was answered is stored, under one id, and nothing else is."""
    present = {entry.subject for entry in books.dossiers}
    yield from (f"dossier {lost} is gone" for lost in books.people.accepted.keys() - present)
    yield from (f"nobody submitted {other}" for other in present - books.people.accepted.keys())


def _dossiers_end(books: Books) -> Iterator[str]:
    """Applicants, case workers and deadlines have done their part: every dossier has ended, told once."""
    for entry in books.dossiers:
        state, closed = entry.document["state"], entry.of(told.DossierClosed)
        if state["ending"] is None or [one.ending for one in closed] != [state["ending"]]:
            yield f"{entry.subject} is {state['status']}, ended {[one.ending for one in closed]}"


def _nothing_is_left(books: Books) -> Iterator[str]:
    """No unpublished event, no work, no dead letter, no marker."""
    for entry in books.journals:
        if entry.document["pending"] or entry.document["published"] != len(entry.events):
            yield f"{entry.subject} has published {entry.document['published']} of {len(entry.events)}"
        yield from (f"work {work['id']} is left" for work in entry.document["work"])
    for database in books.parts.databases.values():
        yield from (
            f"{group} sets {dossier} aside: {m['reason']}" for (group, dossier), m in database.markers.markers.items()
        )
    for logs in (books.parts.broker.logs, *books.parts.broker.past):
        yield from (
            f"{len(log)} letters in {place}" for place, log in logs.items() if place[0].endswith(".dlq") and log
        )


def _journals_are_whole(books: Books) -> Iterator[str]:
    """Sequences without a gap, the mac chain whole, the fold equal to the state."""
    for entry in books.journals:
        if [event["seq"] for event in entry.events] != list(range(1, len(entry.events) + 1)):
            yield f"{entry.subject} has sequences {[event['seq'] for event in entry.events]}"
            continue
        mac = ""
        for event in entry.events:
            if chain(KEY, mac, event) != event["mac"]:
                yield f"{entry.subject} breaks its chain at {event['seq']}"
                break
            mac = event["mac"]
        state = fold(entry.aggregate, entry.subject, entry.events)
        if mac != entry.document["mac"] or state is None or state.model_dump(mode="json") != entry.document["state"]:
            yield f"{entry.subject} is not what its events say"


def _topics_equal_journals(books: Books) -> Iterator[str]:
    """Nothing published that no journal holds, nothing held that is not published, to the byte."""
    held = {
        (entry.aggregate.topic, event["id"]): (canonical(event["data"]), event["mac"], event["type"])
        for entry in books.journals
        for event in entry.events
    }
    seen = set()
    for topic in sorted({topic for topic, _ in held}):
        for record in books.topic(topic):
            found = attributes(record.headers)
            key = (topic, found["id"])
            seen.add(key)
            if held.get(key) != (record.value, found["mac"], found["type"]):
                yield f"{topic} has {found['id']} as no journal has it"
    yield from (f"{topic} lacks {event}" for topic, event in sorted(held.keys() - seen))


def _first_occurrences_are_in_order(books: Books) -> Iterator[str]:
    """On every topic, also of clusters that are gone, a subject's first occurrences are 1, 2, 3…"""
    for logs in (*books.parts.broker.past, books.parts.broker.logs):
        newest: dict[tuple[str, str], int] = {}
        for (topic, _), log in logs.items():
            if not topic.endswith(".events"):
                continue
            for record in log:
                found = attributes(record.headers)
                subject, sequence = (topic, found["subject"]), int(found["sequence"])
                if sequence > newest.get(subject, 0) + 1:
                    yield f"{topic}: {found['id']} comes after {newest.get(subject, 0)}"
                newest[subject] = max(sequence, newest.get(subject, 0))


def _agencies_learn_their_part(books: Books) -> Iterator[str]:
    """Each agency's topic holds exactly what the journals share with it."""
    shared: dict[str, set[tuple[str, int, str]]] = {}
    for entry in books.dossiers:
        for event in entry.events:
            for share in event.get("shares", ()):
                known = shared.setdefault(share["agency"], set())
                known.add((entry.subject, share["seq"], share["type"]))
    for agency, wanted in shared.items():
        found = {
            (one["subject"], int(one["sequence"]), one["type"])
            for record in books.topic(agency_topic(agency))
            if (one := attributes(record.headers))
        }
        if found != wanted:
            yield f"{agency} got {sorted(found ^ wanted)} too much or not"


def _facts_are_recorded_once(books: Books) -> Iterator[str]:
    """Every outcome that another service told is in the dossier's journal exactly once."""
    for dossier in books.dossiers:
        reports = Counter(one.reported_by for one in dossier.of(told.OutcomeRecorded))
        notices = Counter(one.message for one in dossier.of(told.ApplicantNotified))
        for entry in books.journals:
            if dossier_of(entry.subject) != dossier.subject or entry is dossier:
                continue
            for one in entry.recorded:
                if "intake" not in CONSUMERS.get(type(one.event), ()):
                    continue
                count = notices[entry.subject] if entry.aggregate.name == "message" else reports[one.id]
                if count != 1:
                    yield f"{dossier.subject} recorded {one.id} {one.event.word} {count} times"


def _inboxes_have_seen_everything(books: Books) -> Iterator[str]:
    """What was handled is noted, also when it led to nothing, and is never taken in again."""
    for database in books.parts.databases.values():
        yield from database.again
    by_subject = {(entry.aggregate.name, entry.subject): entry for entry in books.journals}
    for entry in books.journals:
        for one in entry.recorded:
            for name, subject in _inboxes(one):
                inbox = by_subject.get((name, subject))
                if inbox is None:
                    if not (name == "payment" and isinstance(one.event, told.StepCancelled)):
                        yield f"{name} {subject} was never made for {one.id} {one.event.word}"
                elif inbox.document["seen"].get(one.subject, 0) < one.sequence:
                    yield f"{name} {subject} has not seen {one.id} {one.event.word}"


_MADE_FOR: Final[dict[type[Event], str]] = {
    told.IdentityCheckRequested: "identity",
    told.EvidenceRequested: "evidence",
    told.PaymentRequested: "payment",
    told.DossierStatusChanged: "message",
}


def _inboxes(one: Recorded) -> list[tuple[str, str]]:
    """Return which aggregates must have noted an event."""
    if isinstance(one.event, told.StepCancelled):
        return [(one.event.kind, one.event.request)]
    if type(one.event) in _MADE_FOR:
        return [(_MADE_FOR[type(one.event)], one.id)]
    return [("dossier", dossier_of(one.subject))] if "intake" in CONSUMERS.get(type(one.event), ()) else []


CHECKS: Final[tuple[Callable[[Books], Iterator[str]], ...]] = (
    _accepted_is_there,
    _dossiers_end,
    _nothing_is_left,
    _journals_are_whole,
    _topics_equal_journals,
    _first_occurrences_are_in_order,
    _agencies_learn_their_part,
    _facts_are_recorded_once,
    _inboxes_have_seen_everything,
    effects.effects_happen_once,
    effects.money_is_right,
    effects.messages_are_sent_once,
    effects.kpis_are_exact,
    effects.recounts_are_done,
    effects.processes_end_for_a_reason,
)
