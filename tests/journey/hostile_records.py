"""Records that no service of ours would write, as data: what they are, and which group says what about them."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Final

import orjson

from shared.contracts.dossier import DossierDecided, DossierStatusChanged, EvidenceAccepted, IdentityCheckRequested
from shared.contracts.envelope import Envelope, Message
from shared.contracts.event import Event
from shared.contracts.identity import IdentityConfirmed
from shared.contracts.notifications import MessageSent
from shared.contracts.payments import PaymentSucceeded
from shared.contracts.topics import (
    EVENT_TOPICS,
    IDENTITY_EVENTS,
    INTAKE_EVENTS,
    NOTIFICATIONS_EVENTS,
    PAYMENTS_EVENTS,
)
from shared.kafka.client import partition_of

READERS: Final = {topic.name: topic.readers for topic in EVENT_TOPICS}
SEALED: Final = "sealed:v1:person:" + "A" * 60
TOO_LARGE: Final = 1_000_001
MANY_HEADERS: Final = 95_000


@dataclass(frozen=True)
class Hostile:
    """A record and, by consumer group, a part of the reason that its letter must give; other groups write none."""

    name: str
    message: Message
    reasons: Mapping[str, str] = field(default_factory=dict)
    astray: bool = False

    def partition(self, partitions: int) -> int | None:
        """Where to put it: where its key belongs, or next to it."""
        own = partition_of(self.message.key, partitions)
        return (own + 1) % partitions if self.astray else own


def told(topic: str, event: Event, number: int, **changed: str) -> Message:
    """Return a good record of an event about a dossier that nobody has; `changed` attributes make it bad."""
    dossier = f"{number:026d}"
    envelope = Envelope(
        id=f"{dossier}:1",
        source="somebody",
        type=event.type,
        subject=dossier,
        sequence=1,
        time="2026-11-21T08:30:00.000Z",
        tenant="emmen",
        partitionkey=dossier,
        traceparent="not-a-trace",
        mac="",
    )
    message = envelope.message(topic, orjson.dumps(event.model_dump(mode="json")))
    headers = [(name, changed.get(name[3:], value.decode()).encode()) for name, value in message.headers]
    return replace(message, headers=headers)


def _unreadable(name: str, reason: str, message: Message) -> Hostile:
    return Hostile(name, message, dict.fromkeys(READERS[message.topic], reason))


def _valued(name: str, reason: str, value: bytes | None) -> Hostile:
    good = told(INTAKE_EVENTS, EvidenceAccepted(step="residence", claim="residence_record", fields_reused=1), 1)
    return _unreadable(name, reason, replace(good, value=value))


def _attributed(name: str, reason: str, **changed: str) -> Hostile:
    good = told(INTAKE_EVENTS, EvidenceAccepted(step="residence", claim="residence_record", fields_reused=1), 2)
    headers = [(known, changed.get(known[3:], value.decode()).encode()) for known, value in good.headers]
    return _unreadable(name, reason, replace(good, headers=headers))


def _bare(topic: str) -> Hostile:
    return _unreadable(f"no headers on {topic}", "attributes missing", Message(topic, b"ghost", b"{}", []))


def _status(number: int, **changed: str) -> Message:
    status = DossierStatusChanged(
        code="received", waiting_for="authority", service="payment-slips", language="de", contact=SEALED
    )
    return told(INTAKE_EVENTS, status, number, **changed)


def _many_headers() -> Message:
    """As many headers as the broker takes in one record: there is no room for notes on them."""
    return Message(INTAKE_EVENTS, b"ghost", b"{}", [("h", b"1234567")] * MANY_HEADERS)


_CHECK: Final = IdentityCheckRequested(step="identity", register_name="residents", person=SEALED)
DECIDED: Final = DossierDecided(step="decision", outcome="granted", automatic=True, authority="x")
_UNKNOWN: Final = [("ce_specversion", b"1.0"), ("ce_type", b"org.dossierbus.dossier.teleported.v1")]
_MISSING: Final = "no dossier"

RECORDS: Final = (
    *(_bare(topic) for topic in READERS),
    _valued("no value", "missing or too large", None),
    _valued("no JSON", "not JSON", b"{step: residence"),
    _valued("invalid UTF-8", "not JSON", b'{"step": "\xff"}'),
    _valued("NaN", "not JSON", b'{"step": NaN}'),
    _valued("nested 100000 times", "not JSON", b"[" * 100_000),
    _valued("a list", "break the schema", b"[]"),
    _valued("wrong types", "fields_reused, step", b'{"step": 5, "claim": "x", "fields_reused": {}}'),
    _valued("missing fields", "claim, fields_reused", b'{"step": "residence"}'),
    _valued("larger than we read", "missing or too large", b'"' + b"x" * TOO_LARGE + b'"'),
    _attributed("sequence 0", "sequence", sequence="0"),
    _attributed("sequence is endless", "sequence", sequence="9" * 400),
    _attributed("sequence is a text", "sequence", sequence="one"),
    _attributed("sequence in Arabic digits", "sequence", sequence="١"),
    _attributed("another version of CloudEvents", "specversion", specversion="0.3"),
    _attributed("subject with a dot", "forbidden", subject="a.b"),
    _attributed("subject with a dollar", "forbidden", subject="$set"),
    _attributed("subject with a zero byte", "forbidden", subject="a\0b"),
    _attributed("id with a dollar", "forbidden", id="a.$b:1"),
    _attributed("no subject", "attributes missing", subject=""),
    _attributed("key of another dossier", "key", partitionkey="somebody-else"),
    _unreadable("no key", "key", replace(_status(3), key=None)),
    _unreadable("many headers", "attributes missing", _many_headers()),
    Hostile("unknown type", Message(INTAKE_EVENTS, b"ghost", b"\xff", list(_UNKNOWN))),
    Hostile("identity of nobody", told(IDENTITY_EVENTS, IdentityConfirmed(step="identity", register_name="x",
            register_id=SEALED), 11),
            {"intake": _MISSING}),
    Hostile("payment of nobody", told(PAYMENTS_EVENTS, PaymentSucceeded(step="fee", amount=1, currency="CHF",
            method="card"), 12), {"intake": _MISSING}),
    Hostile("message to nobody", told(NOTIFICATIONS_EVENTS, MessageSent(channel="email", attempts=1), 13),
            {"intake": _MISSING}),
    Hostile("status at no time", _status(14, time="yesterday"), {"notifications": "ValueError"}),
    Hostile("astray", told(INTAKE_EVENTS, DECIDED, 15), {"analytics": "partition"}, astray=True),
    Hostile("decided at no time", told(INTAKE_EVENTS, DECIDED, 17, time="yesterday"), {"analytics": "ValueError"}),
    Hostile("check of nobody", told(INTAKE_EVENTS, _CHECK, 16)),
)  # fmt: skip

FOLLOWS_FROM: Final[Mapping[str, Any]] = {"check of nobody": b"%026d" % 16}
"""Records that are handled and lead to an event of another service that intake then cannot place, by key."""
