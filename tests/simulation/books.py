"""All that a run left behind, read from the stores' insides and the topics. Judges nothing."""

from dataclasses import dataclass
from functools import cached_property
from typing import Any, Final

from services.identity.domain import CHECK, EVIDENCE
from services.intake.domain import dossier_aggregate
from services.notifications.domain import MESSAGE
from services.payments.domain import payment_aggregate
from shared.contracts.envelope import Message
from shared.contracts.event import Event
from shared.journal import Aggregate, Recorded
from shared.journal.model import Document
from shared.relay import dossier_of
from tests.simulation.people import People
from tests.simulation.processes import Fleet
from tests.simulation.scenario import Scenario
from tests.simulation.wiring import SCALE, Parts, catalogue

PLACES: Final = (
    ("intake", "dossiers"),
    ("identity", "checks"),
    ("identity", "evidence"),
    ("payments", "payments"),
    ("notifications", "messages"),
)


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
        "dossiers": dossier_aggregate(catalogue(), public_url="http://127.0.0.1:8100", deadline_scale=SCALE),
        "checks": CHECK,
        "evidence": EVIDENCE,
        "payments": payment_aggregate(5.0),
        "messages": MESSAGE,
    }
    return known[collection]
