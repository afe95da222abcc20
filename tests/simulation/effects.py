"""What must have happened outside, exactly once: decisions, documents, money, mails, figures. See `invariants`."""

from collections import Counter
from collections.abc import Iterator
from typing import Final

from services.analytics.aggregate import decode as decode_aggregate
from services.analytics.board import Board
from services.analytics.parity import differences, totals_of
from services.analytics.view import Targets, summed
from services.notifications.mail import message_id
from shared.contracts import dossier as told
from shared.contracts import payments as paid
from shared.contracts.envelope import Envelope, Received
from shared.contracts.topics import KPIS
from shared.relay import dossier_of
from tests.simulation.books import Books, Entry

FEES: Final = {"residence-certificate": 1000, "debt-register-extract": 1800, "payment-slips": 0}


def effects_happen_once(books: Books) -> Iterator[str]:
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


def money_is_right(books: Books) -> Iterator[str]:
    """The processor's and the bank's own books: a completed dossier paid its fee once, any other has all back."""
    moved: Counter[str] = Counter()
    for kind, payer, amount in books.parts.processor.ledger:
        moved[payer] += amount if kind == "payment" else -amount
    booked: Counter[str] = Counter()
    for reference, amount in books.people.booked:
        booked[reference] += amount
    for dossier in books.dossiers:
        state, net = dossier.document["state"], 0
        for payment in books.parts_of(dossier.subject, "payment"):
            referred = sum(one.amount for one in payment.of(paid.RefundReferred))
            kept = moved[payment.subject] + booked[payment.document["state"]["reference"] or ""] - referred
            net += kept
            yield from _payment_tells_the_truth(payment, kept)
        owed = FEES[state["service"]] if state["ending"] == "completed" else 0
        by_hand = any(step["review"] for step in state["steps"].values() if step["kind"] == "payment")
        if net != owed and not (by_hand and net == 0):
            yield f"{dossier.subject} {state['ending']} paid {net} instead of {owed}"


def _payment_tells_the_truth(payment: Entry, kept: int) -> Iterator[str]:
    state, succeeded = payment.document["state"], payment.of(paid.PaymentSucceeded)
    if len(succeeded) > 1:
        yield f"{payment.subject} succeeded {len(succeeded)} times"
    says = state["amount"] if state["status"] == "succeeded" and not state["to_return"] else 0
    if state["reference"] and state["status"] == "succeeded" and not state["unwanted"]:
        says = state["amount"]
    if kept != says:
        yield f"{payment.subject} says {state['status']}, {kept} rappen are kept"


def messages_are_sent_once(books: Books) -> Iterator[str]:
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


def kpis_are_exact(books: Books) -> Iterator[str]:
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


def recounts_are_done(books: Books) -> Iterator[str]:
    """Every recount of the KPIs that operators asked for has come to its end, in every partition."""
    recounts = books.parts.databases["analytics"].recounts
    done = {partition: recounts.done.get(partition, 0) for partition in range(books.scenario.partitions)}
    yield from (f"partition {one} is not recounted" for one, number in done.items() if number < recounts.wanted)


def _received(entry: Entry) -> list[Received]:
    found = []
    for event, one in zip(entry.events, entry.recorded, strict=True):
        key = dossier_of(entry.subject)
        envelope = Envelope(
            one.id, "", event["type"], entry.subject, one.sequence, one.time, "", key, traceparent="", mac=""
        )
        found.append(Received(envelope, one.event))
    return found


def processes_end_for_a_reason(books: Books) -> Iterator[str]:
    """No process ends by itself but when the broker was replaced, or could not keep the changelog."""
    yield from (crash for crash in books.fleet.crashes if "a changelog write was refused" not in crash)
