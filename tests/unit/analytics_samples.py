"""Invented dossiers as events, for the tests of analytics. Same seed, same events; holds no person."""

import functools
import random
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

from shared.contracts import dossier, identity, notifications, payments
from shared.contracts.envelope import Envelope, Message, Received
from shared.contracts.event import Event
from shared.contracts.topics import topic_of
from shared.environment import timestamp
from shared.identifiers import crockford

SEALED = "sealed:v1:contact:AAAA"
START = datetime(2026, 11, 2, 7, 30, tzinfo=UTC)
SERVICES = ("residence-certificate", "parking-permit", "dog-registration")
TRACE = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"


class Story:
    """One dossier's events, each subject numbered by itself, told by a seeded narrator."""

    def __init__(self, seed: int) -> None:
        self._random = random.Random(seed)
        self.id = crockford(self._random.randbytes(16))
        self.events: list[Received] = []
        self._sequences: dict[str, int] = {}
        self._now = START + timedelta(minutes=self._random.randrange(60_000))

    def tell(self, event: Event, subject: str = "") -> str:
        """Append an event of the dossier or of another subject; return its id."""
        full = self.id + subject
        sequence = self._sequences[full] = self._sequences.get(full, 0) + 1
        self._now += timedelta(milliseconds=self._random.randrange(1, 40_000_000))
        envelope = Envelope(
            id=f"{full}:{sequence}",
            source="//dossierbus/emmen/test",
            type=event.type,
            subject=full,
            sequence=sequence,
            time=timestamp(self._now),
            tenant="emmen",
            partitionkey=self.id,
            traceparent=TRACE,
            mac="",
        )
        self.events.append(Received(envelope, event))
        return f":{sequence}"

    def happen(self) -> list[Received]:
        """Let the dossier run to a seeded point and return its events in the order they happened."""
        chance = self._random
        self._service = chance.choice(SERVICES)
        self.tell(made(dossier.DossierSubmitted, service=self._service))
        self._status("received")
        self._identity(chance.choice(("confirmed", "mismatched", "failed")))
        if chance.random() < 0.6:
            self._evidence()
        if chance.random() < 0.8:
            self._payment(chance.choice(("open", "succeeded", "declined", "expired", "cancelled", "refunded")))
        if chance.random() < 0.85:
            self._end(chance.choice(("granted", "refused")), automatic=chance.random() < 0.7)
        return self.events

    def _status(self, code: str) -> None:
        subject = self.tell(made(dossier.DossierStatusChanged, code=code, service=self._service))
        self.tell(made(notifications.MessageQueued), subject)
        kinds = (notifications.MessageSent, notifications.MessageFailed, notifications.MessageSuppressed)
        if self._random.random() < 0.9:
            self.tell(made(self._random.choice(kinds)), subject)

    def _identity(self, outcome: str) -> None:
        subject = self.tell(made(dossier.IdentityCheckRequested))
        self.tell(made(identity.IdentityCheckOpened), subject)
        known: dict[str, type[Event]] = {
            "confirmed": identity.IdentityConfirmed,
            "mismatched": identity.IdentityMismatched,
            "failed": identity.IdentityCheckFailed,
        }
        self.tell(made(known[outcome]), subject)

    def _evidence(self) -> None:
        self.tell(made(identity.EvidenceFetchOpened), ":900")
        self.tell(made(identity.EvidenceFetched), ":900")
        self.tell(made(dossier.EvidenceAccepted, fields_reused=self._random.randrange(9)))

    def _payment(self, outcome: str) -> None:
        subject, amount = ":901", self._random.randrange(100, 9_000)
        self._status("payment_due")
        self.tell(made(payments.PaymentOpened, amount=amount), subject)
        paid = made(payments.PaymentSucceeded, amount=amount)
        known: dict[str, Sequence[Event]] = {
            "open": (),
            "succeeded": (paid,),
            "declined": (made(payments.PaymentDeclined),),
            "expired": (made(payments.PaymentExpired),),
            "cancelled": (made(payments.PaymentCancelled),),
            "refunded": (paid, made(payments.PaymentRefunded, amount=amount)),
        }
        for event in known[outcome]:
            self.tell(event, subject)

    def _end(self, outcome: str, *, automatic: bool) -> None:
        self.tell(made(dossier.DossierDecided, outcome=outcome, automatic=automatic))
        ending = "completed" if outcome == "granted" else "refused"
        self._status(ending)
        self.tell(made(dossier.DossierClosed, ending=ending))


def stories(count: int, seed: int = 1) -> Iterator[list[Received]]:
    """Yield the events of so many dossiers."""
    for number in range(count):
        yield Story(seed * 1_000_003 + number).happen()


def message(received: Received) -> Message:
    """Return the Kafka record of an event, on the topic it belongs to."""
    return received.envelope.message(topic_of(type(received.event)), received.event.model_dump_json().encode())


def made(kind: type[Event], **known: Any) -> Event:
    """Return an event with these fields; what else the contract requires is filled in by its schema."""
    return kind.model_validate({**_required(kind), **known})


@functools.cache
def _required(kind: type[Event]) -> dict[str, Any]:
    schema = kind.model_json_schema()
    return {name: _filler(schema["properties"][name]) for name in schema.get("required", ())}


def _filler(schema: dict[str, Any]) -> Any:
    if "enum" in schema or "const" in schema:
        return schema.get("const", schema.get("enum", [None])[0])
    if schema.get("type") == "integer":
        return max(1, schema.get("minimum", 1))
    if schema.get("type") == "array":
        return [_filler(schema["items"])] * schema.get("minItems", 0)
    if str(schema.get("pattern", "")).startswith("^sealed"):
        return SEALED
    return timestamp(START) if schema.get("type") == "string" and "pattern" not in schema else "invented"
