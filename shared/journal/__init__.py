"""The journal: one MongoDB document per aggregate, which is its own event log, outbox, inbox and timer.

`model` says what is stored, `fold` is the pure heart (decide, evolve, chain), `journal` saves, `verify` checks.
"""

from shared.journal.journal import Journal
from shared.journal.model import (
    Aggregate,
    Cause,
    Contention,
    Decide,
    IdempotencyConflict,
    Outcome,
    Recorded,
    Share,
    StaleSequence,
    State,
    Task,
    UnknownSubject,
    Work,
)

__all__ = [
    "Aggregate",
    "Cause",
    "Contention",
    "Decide",
    "IdempotencyConflict",
    "Journal",
    "Outcome",
    "Recorded",
    "Share",
    "StaleSequence",
    "State",
    "Task",
    "UnknownSubject",
    "Work",
]
