"""CloudEvents 1.0 around our events: binary mode on Kafka. Owns the attribute names; never looks into the data.

Attributes travel as `ce_…` headers, the value is plain JSON. `sequence` counts per subject, zero-padded as the
CloudEvents sequence extension asks; `partitionkey` is the Kafka key; `mac` lets a reader check the journal's chain.
`epoch` says after which restore from a backup an event was recorded: its numbers may repeat those of lost events.
"""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Final

import orjson
from pydantic import ValidationError

from shared.contracts.event import Event, event_class
from shared.errors import Permanent

SCHEMA_BASE: Final = "https://dossierbus.org/schemas"
_REQUIRED: Final = ("specversion", "id", "source", "type", "subject", "sequence", "time", "tenant", "partitionkey")
MAX_VALUE_BYTES: Final = 1_000_000
_SEQUENCE: Final = re.compile(r"[0-9]{1,10}")
_EPOCH: Final = re.compile(r"[0-9]{1,8}")
_SEQUENCES: Final = 10_000_000_000

Headers = list[tuple[str, bytes]]


class Undecodable(Permanent):
    """A record that claims to be an event of ours and cannot be read. The text never quotes the data."""


@dataclass(frozen=True, slots=True)
class Message:
    """One Kafka record, in either direction."""

    topic: str
    key: bytes | None
    value: bytes | None
    headers: Headers
    partition: int = -1
    offset: int = -1


def position_of(sequence: int, epoch: int = 0) -> int:
    """Return where an event stands among all of its subject: a later epoch is after every number of an earlier one."""
    return epoch * _SEQUENCES + sequence


def event_id(subject: str, sequence: int, epoch: int = 0) -> str:
    """Return an event's id: `<subject>:<sequence>`, and `@<epoch>` for what was recorded after a restore."""
    return f"{subject}:{sequence}@{epoch}" if epoch else f"{subject}:{sequence}"


@dataclass(frozen=True, slots=True)
class Envelope:
    """The attributes of one published event."""

    id: str
    source: str
    type: str
    subject: str
    sequence: int
    time: str
    tenant: str
    partitionkey: str
    traceparent: str
    mac: str
    epoch: int = 0

    @property
    def name(self) -> str:
        """The id without its epoch: what is made for a request is named after it, so that a repeat finds it."""
        return self.id.partition("@")[0]

    @property
    def position(self) -> int:
        """Where the event stands among all of its subject."""
        return position_of(self.sequence, self.epoch)

    @property
    def dossier(self) -> str:
        """The dossier this event belongs to: the Kafka key."""
        return self.partitionkey

    def message(self, topic: str, value: bytes) -> Message:
        """Return the Kafka record for this event and its already encoded JSON data."""
        return Message(topic, self.partitionkey.encode(), value, self._headers())

    def _headers(self) -> Headers:
        attributes = (
            ("specversion", "1.0"),
            ("id", self.id),
            ("source", self.source),
            ("type", self.type),
            ("subject", self.subject),
            ("sequence", f"{self.sequence:010d}"),
            ("time", self.time),
            ("tenant", self.tenant),
            ("partitionkey", self.partitionkey),
            ("dataschema", f"{SCHEMA_BASE}/{self.type}.json"),
            ("traceparent", self.traceparent),
            ("mac", self.mac),
            ("epoch", str(self.epoch) if self.epoch else ""),
        )
        headers: Headers = [(f"ce_{name}", value.encode()) for name, value in attributes if value]
        headers.append(("content-type", b"application/json"))
        if self.traceparent:
            headers.append(("traceparent", self.traceparent.encode()))
        return headers


@dataclass(frozen=True, slots=True)
class Received:
    """A decoded event with its attributes."""

    envelope: Envelope
    event: Event


def attributes(headers: Iterable[tuple[str, bytes]]) -> dict[str, str]:
    """Return the CloudEvents attributes of Kafka headers by their bare names; unreadable bytes are replaced."""
    # A foreign producer may send a header without a value, whatever the types say.
    return {name[3:]: (value or b"").decode("utf-8", "replace") for name, value in headers if name.startswith("ce_")}


def decode(message: Message) -> Received | None:
    """Decode a record; None for an event type this release does not know.

    Raises `Undecodable` for a missing attribute, an unreadable value or data that break the event's schema.
    """
    found = attributes(message.headers)
    if found.get("type") and event_class(found["type"]) is None:
        return None
    envelope = _envelope(found, message.key)
    kind = event_class(envelope.type)
    if kind is None:
        raise Undecodable("no event type")
    return Received(envelope, _event(kind, message.value))


def _envelope(found: Mapping[str, str], key: bytes | None) -> Envelope:
    missing = [name for name in _REQUIRED if not found.get(name)]
    if missing:
        raise Undecodable(f"attributes missing: {', '.join(missing)}")
    if found["specversion"] != "1.0" or not _SEQUENCE.fullmatch(found["sequence"]) or int(found["sequence"]) < 1:
        raise Undecodable("specversion must be 1.0 and sequence a positive number of at most ten digits")
    if not _EPOCH.fullmatch(found.get("epoch", "0")):
        raise Undecodable("epoch must be a number of at most eight digits")
    if key is None or key != found["partitionkey"].encode():
        raise Undecodable("the record's key differs from its partitionkey")
    # Both become names in stored documents: the subject in `seen`, the id as what is made for a request.
    if any(character in found["subject"] + found["id"] for character in ".$\0"):
        raise Undecodable("subject or id has a forbidden character")
    return Envelope(
        id=found["id"],
        source=found["source"],
        type=found["type"],
        subject=found["subject"],
        sequence=int(found["sequence"]),
        time=found["time"],
        tenant=found["tenant"],
        partitionkey=found["partitionkey"],
        traceparent=found.get("traceparent", ""),
        mac=found.get("mac", ""),
        epoch=int(found.get("epoch", "0")),
    )


def _event(kind: type[Event], value: bytes | None) -> Event:
    if value is None or len(value) > MAX_VALUE_BYTES:
        raise Undecodable("the value is missing or too large")
    try:
        data: Any = orjson.loads(value)
        return kind.model_validate(data)
    except ValidationError as error:
        fields = sorted({".".join(str(part) for part in problem["loc"]) for problem in error.errors()})
        raise Undecodable(f"data break the schema at: {', '.join(fields)}") from None
    except orjson.JSONDecodeError:
        raise Undecodable("the value is not JSON") from None
