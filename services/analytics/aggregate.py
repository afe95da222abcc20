"""The KPIs of one partition as the worker publishes them, and which of two is the newer. Pure.

An aggregate is a function of the events it covers, so the offsets it covers are its age: whoever covers more is
newer, and whoever covers as much says the same. A worker that lost its partition and publishes late covers less than
its successor, so readers drop it; the successor repeats its aggregates every few seconds, so that a late record does
not stay the last one of its key for a reader that starts afterwards. Whoever has not repeated itself for some time is
gone, and then a smaller aggregate counts too: a source that came back empty begins at offset 0 again.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import Final

import orjson
from pydantic import TypeAdapter

from services.analytics.domain import Totals
from shared.contracts.envelope import Message
from shared.contracts.topics import KPIS
from shared.environment import parse_timestamp

REPEAT: Final = timedelta(seconds=5)
"""How often a worker tells its aggregates without a change."""

SILENCE: Final = 4 * REPEAT
"""After so long without a repeat a worker is gone. More than the clocks of two workers may differ."""


@dataclass(frozen=True, slots=True)
class Aggregate:
    """What one partition adds to the KPIs.

    `covered` is the next offset by source topic; `worker` and `generation` tell operators who counted; `at` is when it
    was published (RFC 3339).
    """

    partition: int
    worker: str
    generation: int
    covered: Mapping[str, int]
    at: str
    totals: Totals

    @property
    def age(self) -> int:
        """How many offsets are covered: more is newer."""
        return sum(self.covered.values())


_ADAPTER = TypeAdapter(Aggregate)


def newer(present: Aggregate | None, offered: Aggregate) -> bool:
    """Whether the offered aggregate replaces the present one of the same partition."""
    if present is None or offered.age >= present.age:
        return True
    return parse_timestamp(offered.at) - parse_timestamp(present.at) > SILENCE


def encode(aggregate: Aggregate) -> Message:
    """Return the record for `analytics.kpis`; its key is the partition's number."""
    return Message(KPIS, str(aggregate.partition).encode(), orjson.dumps(aggregate), [])


def decode(value: bytes | None) -> Aggregate | None:
    """Return the aggregate of a record, or None for a record of another shape."""
    try:
        found = _ADAPTER.validate_json(value or b"")
        parse_timestamp(found.at)
    except ValueError:  # pydantic's error is one, too
        return None
    return found
