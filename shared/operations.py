"""What operators work with beside a role: its service's dead letters and the comparison of its books.

Over the service's own connections, for its roles and for the operators' command alike.
"""

from collections.abc import Mapping, Sequence
from typing import Any, Final

from shared.dead_letters import DeadLetters
from shared.environment import Environment
from shared.journal.journal import Journal
from shared.kafka.client import KafkaPublisher
from shared.kafka.letters import PATIENCE_SECONDS, KafkaLetters
from shared.kafka.topics import KafkaTopics
from shared.parity import Follower, Parity
from shared.relay import Relay
from shared.settings import CommonSettings
from shared.store.mongo import Database
from shared.store.operations import MongoOperations
from shared.store.small import MongoMarkers

HTTP_PATIENCE_SECONDS: Final = 10.0
"""Shorter than a caller waits: what is not handled by then is handled later, and can be looked at."""


def dead_letters_of(
    settings: CommonSettings,
    database: Database,
    publisher: KafkaPublisher,
    environment: Environment,
    patience_seconds: float = PATIENCE_SECONDS,
) -> DeadLetters:
    """Return the dead letters of the service that these settings and this database belong to."""
    return DeadLetters(
        MongoMarkers(database),
        KafkaLetters(settings, patience_seconds),
        publisher,
        MongoOperations(database, environment),
        environment,
    )


def parity_of(
    settings: CommonSettings,
    database: Database,
    publisher: KafkaPublisher,
    environment: Environment,
    journals: Mapping[str, Journal[Any]],
    followers: Sequence[Follower],
) -> Parity:
    """Return the comparison of a service's journals (by collection) with the topics."""
    relays = [Relay(journal, publisher, environment) for journal in journals.values()]
    return Parity(journals, followers, KafkaTopics(settings), MongoMarkers(database), publisher, relays)
