"""The map of the flow has no loose end: every event has a schema, a writer and a reader, every topic one writer."""

import ast
from collections import Counter

import pytest

from shared.contracts import agency, dossier, payments
from shared.contracts.event import Event, events
from shared.contracts.flow import CONSUMERS
from shared.contracts.generate import ROOT, SCHEMAS
from shared.contracts.topics import EVENT_TOPICS, all_topics, topic_of
from tests.architecture.tree import product

TIMELINE = "the applicant's timeline and the audit log: read from the dossier's own journal, not from the topic"
INTERNAL = "a step inside payments: its own journal, operators and the books need it, intake waits for the outcome"
AGENCY = "read by the agency whose topic it is on, outside of this project"

UNREAD: dict[type[Event], str] = {
    dossier.ConsentRequested: TIMELINE,
    dossier.ConsentGiven: TIMELINE,
    dossier.ConsentRefused: TIMELINE,
    dossier.ReviewRequested: TIMELINE,
    dossier.ReviewCompleted: TIMELINE,
    dossier.DocumentIssued: TIMELINE,
    dossier.OutcomeRecorded: TIMELINE,
    dossier.StepOpened: TIMELINE,
    dossier.RulesEvaluated: TIMELINE,
    dossier.StepCompleted: TIMELINE,
    dossier.ApplicantNotified: TIMELINE,
    dossier.DossierWithdrawn: TIMELINE,
    dossier.DossierExpired: TIMELINE,
    payments.CheckoutClosureRequested: INTERNAL,
    payments.RefundRequested: INTERNAL,
    payments.RefundReferred: INTERNAL,
    agency.DossierShared: AGENCY,
    agency.SharedReviewRequested: AGENCY,
    agency.SharedDossierDecided: AGENCY,
    agency.SharedDossierClosed: AGENCY,
}
"""Events without a consumer group, each with the reason."""

ALL = pytest.mark.parametrize("event", events().values(), ids=lambda event: event.__name__)


@ALL
def test_event_has_a_schema_file(event: type[Event]) -> None:
    """Its JSON Schema is committed under its published type."""
    assert (ROOT / SCHEMAS / f"{event.type}.json").is_file()


@ALL
def test_event_has_a_consumer_or_a_reason(event: type[Event]) -> None:
    """Some group handles it, or it is written down why none does; never both."""
    assert (event in CONSUMERS) != (event in UNREAD)


@ALL
def test_event_is_made_by_its_topics_writer_alone(event: type[Event]) -> None:
    """The code of the service that writes the topic makes the event, and no other service's code does."""
    writer = next((topic.writer for topic in EVENT_TOPICS if topic.name == topic_of(event)), "intake")
    makers = {module.service for module in product() if module.service and event.__name__ in _made(module.tree)}
    assert makers == {writer}


def _made(tree: ast.Module) -> set[str]:
    """Return the names of what a module calls, or validates as a model: classes among them."""
    found = set()
    for node in ast.walk(tree):
        if not isinstance(node, ast.Call):
            continue
        called = node.func
        if isinstance(called, ast.Attribute) and called.attr == "model_validate":
            called = called.value
        if isinstance(called, ast.Attribute | ast.Name):
            found.add(called.attr if isinstance(called, ast.Attribute) else called.id)
    return found


@ALL
def test_event_is_explained(event: type[Event]) -> None:
    """The class says in a sentence what happened."""
    assert event.__doc__
    assert event.__doc__.split("\n", maxsplit=1)[0].endswith((".", ";"))


def test_every_topic_has_one_writer() -> None:
    """A topic's name stands once in the map, and an aggregate's events go to one topic."""
    names = Counter(topic.name for topic in all_topics(["a", "b"]))
    assert max(names.values()) == 1
    aggregates = Counter(aggregate for topic in EVENT_TOPICS for aggregate in topic.aggregates)
    assert max(aggregates.values()) == 1


def test_agencies_read_their_own_topic_only() -> None:
    """No consumer group of ours reads an agency's topic, and no agency a topic of ours."""
    for topic in all_topics(["a", "b"]):
        if topic.aggregates == ("agency",):
            assert topic.readers == (f"agency:{topic.name.split('.')[1]}",)
        else:
            assert not any(reader.startswith("agency") for reader in topic.readers)
