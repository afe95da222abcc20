"""What must be true when everything was healed and came to rest. Each invariant returns sentences, none when it holds.

Counted from the stores' insides, the topics and the providers' own books, never from what the product says of itself.
"""

from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cached_property
from hashlib import sha256
from typing import Any, Final

from services.analytics.aggregate import decode as decode_aggregate
from services.analytics.board import Board
from services.analytics.parity import differences, totals_of
from services.analytics.view import Targets, summed
from services.identity.domain import CHECK, EVIDENCE
from services.intake.domain import dossier_aggregate
from services.notifications.domain import MESSAGE
from services.notifications.mail import message_id
from services.payments.domain import payment_aggregate
from shared.contracts import dossier as told
from shared.contracts import payments as paid
from shared.contracts.envelope import Envelope, Message, Received, attributes
from shared.contracts.event import Event
from shared.contracts.flow import CONSUMERS
from shared.contracts.topics import KPIS, agency_topic
from shared.journal import Aggregate, Recorded
from shared.journal.fold import canonical, chain, fold
from shared.journal.model import Document
from shared.relay import dossier_of
from tests.simulation.faults import Scenario
from tests.simulation.people import People
from tests.simulation.processes import SCALE, Fleet, Parts, _catalogue

KEY: Final = b"k" * 32
PLACES: Final = (
    ("intake", "dossiers"),
    ("identity", "checks"),
    ("identity", "evidence"),
    ("payments", "payments"),
    ("notifications", "messages"),
)
FEES: Final = {"residence-certificate": 1000, "debt-register-extract": 1800, "payment-slips": 0}


@dataclass(frozen=True)
class Entry:
    """One journal: its aggregate, id, stored document and events."""

    aggregate: Aggregate[Any]
    subject: str
    document: Document
    events: list[Document]

    @cached_property
    def recorded(self) -> list[Recorded]:
        """The events in words."""
        return [Recorded.load(self.subject, event) for event in self.events]

    def of(self, kind: type[Event]) -> list[Any]:
        """The events of one class."""
        return [one.event for one in self.recorded if isinstance(one.event, kind)]


@dataclass(frozen=True)
class Books:
    """All that a run left behind."""

    scenario: Scenario
    parts: Parts
    people: People
    fleet: Fleet

    @cached_property
    def journals(self) -> list[Entry]:
        """Every journal of every service."""
        found = []
        for service, name in PLACES:
            inside = self.parts.databases[service].collections[name]
            for subject, document in inside.documents.items():
                found.append(Entry(_aggregate(name), subject, document, inside._events(subject)))
        return found

    @cached_property
    def dossiers(self) -> list[Entry]:
        """The dossiers."""
        return [entry for entry in self.journals if entry.aggregate.name == "dossier"]

    def parts_of(self, dossier: str, name: str) -> list[Entry]:
        """The journals of one kind that belong to a dossier."""
        return [one for one in self.journals if one.aggregate.name == name and dossier_of(one.subject) == dossier]

    def topic(self, name: str, logs: dict[tuple[str, int], list[Message]] | None = None) -> list[Message]:
        """The records of a topic, partition by partition."""
        logs = self.parts.broker.logs if logs is None else logs
        return [record for place, log in logs.items() if place[0] == name for record in log]


def _aggregate(collection: str) -> Aggregate[Any]:
    known: dict[str, Aggregate[Any]] = {
        "dossiers": dossier_aggregate(_catalogue(), public_url="http://127.0.0.1:8100", deadline_scale=SCALE),
        "checks": CHECK,
        "evidence": EVIDENCE,
        "payments": payment_aggregate(5.0),
        "messages": MESSAGE,
    }
    return known[collection]


def violations(books: Books) -> list[str]:
    """Return every broken invariant in a sentence."""
    return [f"{check.__name__[1:]}: {sentence}" for check in CHECKS for sentence in check(books)]


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
        yield from (f"{group} sets {dossier} aside: {m['reason']}" for (group, dossier), m in database.markers.markers.items())
    for logs in (books.parts.broker.logs, *books.parts.broker.past):
        yield from (f"{len(log)} letters in {place}" for place, log in logs.items() if place[0].endswith(".dlq") and log)


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
    """What was handled is noted, also when it led to nothing."""
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


def _effects_happen_once(books: Books) -> Iterator[str]:
    """One decision, one document of each step with its very file, as the ending wants."""
    for entry in books.dossiers:
        ending, decisions = entry.document["state"]["ending"], entry.of(told.DossierDecided)
        wanted = {"completed": ["granted"], "refused": ["refused"]}.get(ending, [])
        if [one.outcome for one in decisions] != wanted and ending in ("completed", "refused"):
            yield f"{entry.subject} {ending} was decided {[one.outcome for one in decisions]}"
        steps = Counter(one.step for one in entry.of(told.DocumentIssued))
        yield from (f"{entry.subject} has {count} documents of {step}" for step, count in steps.items() if count > 1)
        by_hand = any(one.step == "certificate" for one in entry.of(told.ReviewRequested))
        if ending == "completed" and not steps and not by_hand and not _reviewed_document(entry):
            yield f"{entry.subject} completed without a document"
        for issued in entry.of(told.DocumentIssued):
            if issued.document not in books.parts.databases["intake"].files:
                yield f"{entry.subject} has no file {issued.document}"


def _reviewed_document(entry: Entry) -> bool:
    return any(step["review"] for step in entry.document["state"]["steps"].values() if step["kind"] == "document")


def _money_is_right(books: Books) -> Iterator[str]:
    """The processor's and the bank's own books: a completed dossier paid its fee once, any other has all back."""
    moved: Counter[str] = Counter()
    for kind, payment, amount in books.parts.processor.ledger:
        moved[payment] += amount if kind == "payment" else -amount
    booked: Counter[str] = Counter()
    for reference, amount in books.people.booked:
        booked[reference] += amount
    for entry in books.dossiers:
        state, net = entry.document["state"], 0
        for payment in books.parts_of(entry.subject, "payment"):
            referred = sum(one.amount for one in payment.of(paid.RefundReferred))
            kept = moved[payment.subject] + booked[payment.document["state"]["reference"] or ""] - referred
            net += kept
            yield from _payment_tells_the_truth(payment, kept)
        owed = FEES[state["service"]] if state["ending"] == "completed" else 0
        by_hand = any(step["review"] for step in state["steps"].values() if step["kind"] == "payment")
        if net != owed and not (by_hand and net == 0):
            yield f"{entry.subject} {state['ending']} paid {net} instead of {owed}"


def _payment_tells_the_truth(payment: Entry, kept: int) -> Iterator[str]:
    state, succeeded = payment.document["state"], payment.of(paid.PaymentSucceeded)
    if len(succeeded) > 1:
        yield f"{payment.subject} succeeded {len(succeeded)} times"
    says = state["amount"] if state["status"] == "succeeded" and not state["to_return"] else 0
    if state["reference"] and state["status"] == "succeeded" and not state["unwanted"]:
        says = state["amount"]
    if kept != says:
        yield f"{payment.subject} says {state['status']}, {kept} rappen are kept"


def _messages_are_sent_once(books: Books) -> Iterator[str]:
    """One message per status; a second copy of a mail is the first to the byte; no other mail."""
    known = {}
    for message in [entry for entry in books.journals if entry.aggregate.name == "message"]:
        name = message_id(message.subject, "muster.example")
        known[name] = message
        copies, phase = books.parts.mail.mailboxes.get(name, []), message.document["state"]["phase"]
        if phase == "sent" and not copies:
            yield f"{message.subject} was never sent"
        if len(set(copies)) > 1 or (len(copies) > 1 and not books.scenario.injections):
            yield f"{message.subject} was sent as {len(copies)} mails"
        if phase == "queued" or (phase != "sent" and not books.scenario.injections):
            yield f"{message.subject} is {phase}"
    yield from (f"mail {other} belongs to no message" for other in books.parts.mail.mailboxes.keys() - known.keys())
    for entry in books.dossiers:
        statuses, messages = len(entry.of(told.DossierStatusChanged)), len(books.parts_of(entry.subject, "message"))
        if statuses != messages:
            yield f"{entry.subject} has {messages} messages for {statuses} statuses"


def _kpis_are_exact(books: Books) -> Iterator[str]:
    """What the KPI topic tells a reader equals the fold of all journals."""
    board = Board(books.scenario.partitions, Targets(p50_seconds=1, p90_seconds=1))
    for record in books.topic(KPIS):
        aggregate = decode_aggregate(record.value)
        if aggregate is None:
            yield "an aggregate cannot be read"
        else:
            board.take(aggregate)
    expected = totals_of(*(_received(entry) for entry in books.journals))
    yield from (f"{path} is {a}, not {b}" for path, (a, b) in differences(summed(board.aggregates()), expected).items())


def _received(entry: Entry) -> list[Received]:
    found = []
    for event, one in zip(entry.events, entry.recorded, strict=True):
        key = dossier_of(entry.subject)
        envelope = Envelope(
            one.id, "", event["type"], entry.subject, one.sequence, one.time, "", key, traceparent="", mac=""
        )
        found.append(Received(envelope, one.event))
    return found


def _processes_end_for_a_reason(books: Books) -> Iterator[str]:
    """No process ends by itself but when the broker was replaced."""
    yield from books.fleet.crashes


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
    _effects_happen_once,
    _money_is_right,
    _messages_are_sent_once,
    _kpis_are_exact,
    _processes_end_for_a_reason,
)
