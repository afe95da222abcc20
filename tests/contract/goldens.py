"""Golden messages: one published record per event type as it once lay on its topic. They are read and never rewritten.

The dossier events 1 to 6 are the beginning of one dossier; the events of other aggregates tell of its requests.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import orjson

from shared.contracts import topics  # noqa: F401  (registers the events)
from shared.contracts.envelope import Message, Received, decode
from shared.contracts.event import Event, events

FOLDER = Path(__file__).parent / "golden"
DOSSIER = "0k3v9m2q7x4w8c1r5t6y0d2f9h"
BEGINNING = (
    "DossierSubmitted",
    "ConsentGiven",
    "IdentityCheckRequested",
    "EvidenceRequested",
    "PaymentRequested",
    "DossierStatusChanged",
)
NAMES = tuple(sorted(event.__name__ for event in events().values()))


@dataclass(frozen=True)
class Golden:
    """A record: topic, key, headers and data as JSON."""

    topic: str
    key: str
    headers: Mapping[str, str]
    value: Mapping[str, Any]

    def message(self, **more: Any) -> Message:
        """Return the Kafka record, with more or other data fields if wanted."""
        headers = [(name, value.encode()) for name, value in self.headers.items()]
        return Message(self.topic, self.key.encode(), orjson.dumps({**self.value, **more}), headers)

    def received(self, **more: Any) -> Received:
        """Return the decoded record."""
        found = decode(self.message(**more))
        assert found is not None
        return found


def golden(name: str) -> Golden:
    """Return the golden message of an event class. Raises FileNotFoundError."""
    return Golden(**json.loads((FOLDER / f"{name}.json").read_text(encoding="utf-8")))


def class_of(name: str) -> type[Event]:
    """Return the event class of this name."""
    return next(event for event in events().values() if event.__name__ == name)
