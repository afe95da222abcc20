"""The KPIs of one partition as the worker publishes them, and which of two is the newer. Pure.

An aggregate is a function of the events it covers, so the offsets it covers are its age: whoever covers more is
newer, and whoever covers as much says the same. A worker that lost its partition and publishes late covers less than
its successor, so readers drop it; the successor repeats its aggregates every few seconds, so that a late record does
not stay the last one of its key for a reader that starts afterwards.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import orjson
from pydantic import TypeAdapter, ValidationError

from services.analytics.domain import Totals
from shared.contracts.envelope import Message
from shared.contracts.topics import KPIS


@dataclass(frozen=True, slots=True)
class Aggregate:
    """What one partition adds to the KPIs.

    `covered` is the next offset by source topic; `worker` and `generation` tell operators who counted; `at` is when it
    was published (RFC 3339). `refilled`: a source came back empty, so the offsets begin anew.
    """

    partition: int
    worker: str
    generation: int
    covered: Mapping[str, int]
    at: str
    totals: Totals
    refilled: bool = False

    @property
    def age(self) -> int:
        """How many offsets are covered: more is newer."""
        return sum(self.covered.values())


_ADAPTER = TypeAdapter(Aggregate)


def newer(present: Aggregate | None, offered: Aggregate) -> bool:
    """Whether the offered aggregate replaces the present one of the same partition."""
    if present is None or offered.age >= present.age:
        return True
    return offered.refilled and not (present.refilled and present.worker == offered.worker)


def encode(aggregate: Aggregate) -> Message:
    """Return the record for `analytics.kpis`; its key is the partition's number."""
    return Message(KPIS, str(aggregate.partition).encode(), orjson.dumps(aggregate), [])


def decode(value: bytes | None) -> Aggregate | None:
    """Return the aggregate of a record, or None for a record of another shape."""
    try:
        return _ADAPTER.validate_json(value or b"")
    except ValidationError:
        return None
