"""What a save costs as a journal's document grows: `python -m tests.bench.save_cost` prints JSON.

One writer on a real MongoDB of its own, one command at a time: read the head, decide, one journaled write. Events are
status changes, the most frequent and among the largest that a dossier has. Medians in milliseconds. `sealed` is a
journal of 1,000 events as the relay leaves it; the plain ones hold all their events in the document.
"""

import asyncio
import json
import os
import tempfile
import time
from collections.abc import Awaitable, Sequence
from pathlib import Path
from statistics import median
from typing import Any, Final

import bson
from pydantic import Field

from deploy.local.stack import Stack
from shared.contracts.dossier import DossierStatusChanged
from shared.contracts.event import Event
from shared.contracts.topics import INTAKE_EVENTS
from shared.environment import SystemEnvironment
from shared.journal import Aggregate, Cause, Decide, Journal, Recorded, State
from shared.journal.model import KEPT_EVENTS, NOTHING_PUBLISHED
from shared.store.journals import MongoJournalStore, open_journals
from shared.store.mongo import connect

SIZES: Final = (10, 100, 1_000)
DOCUMENTS: Final = 40
SAVES: Final = 5
BASE_PORT: Final = 23_000
EVENT: Final = DossierStatusChanged(
    code="in_review",
    waiting_for="authority",
    expected_by="2026-11-30T16:00:00.000Z",
    service="residence-certificate",
    language="de",
    contact="sealed:v1:contact:" + "A" * 160,
)


class Count(State):
    """As many fields as a small dossier has."""

    events: int = 0
    steps: dict[str, str] = Field(default_factory=dict)


def evolve(state: Count | None, recorded: Recorded) -> Count:
    """Count."""
    before = state or Count(steps={f"step-{n}": "open" for n in range(8)})
    return before.model_copy(update={"events": before.events + 1})


COUNT: Final = Aggregate(service="intake", name="dossier", topic=INTAKE_EVENTS, schema=1, state=Count, evolve=evolve)


def changed(times: int = 1) -> Decide[Count]:
    """So many changes of status."""

    def decide(_state: Count | None, _now: object) -> Sequence[Event]:
        return (EVENT,) * times

    return decide


async def grown(journal: Journal[Count], size: int, *, sealed: bool) -> list[str]:
    """Make documents with so many events."""
    subjects = [f"d{size}{'s' if sealed else ''}-{number}" for number in range(DOCUMENTS)]
    for subject in subjects:
        await journal.record(subject, changed(size), Cause.command("bench", "seed", "seed"), creates=True)
        await journal.store.mark_published(subject, NOTHING_PUBLISHED, size)
        if sealed:
            await journal.store.seal(subject, KEPT_EVENTS)
    return subjects


async def measured(journal: Journal[Count], store: MongoJournalStore, size: int, *, sealed: bool) -> dict[str, Any]:
    """Save into each document several times, then repeat one of the commands."""
    subjects = await grown(journal, size, sealed=sealed)
    stored = await store._journals.find_one({"_id": subjects[0]})
    timings: dict[str, list[float]] = {"save": [], "read_head": [], "repeat": []}
    for number in range(SAVES):
        cause = Cause.command("bench", f"k{number}", "body")
        for subject in subjects:
            timings["read_head"].append(await _milliseconds(store.load(subject, cause.id)))
            timings["save"].append(await _milliseconds(journal.record(subject, changed(), cause)))
    for subject in subjects:
        timings["repeat"].append(await _milliseconds(journal.record(subject, changed(), cause)))
    medians = {f"{name}_ms": round(median(values), 2) for name, values in timings.items()}
    return {"events": size, "sealed": sealed, "document_bytes": len(bson.encode(stored or {})), **medians}


async def main(uri: str) -> list[dict[str, Any]]:
    """Measure every size."""
    async with connect(uri) as database:
        store = await open_journals(database, "dossiers")
        journal = Journal(COUNT, store, SystemEnvironment(), tenant="emmen", key=b"k" * 32)
        await measured(journal, store, 1, sealed=False)
        plain = [await measured(journal, store, size, sealed=False) for size in SIZES]
        return [*plain, await measured(journal, store, SIZES[-1], sealed=True)]


async def _milliseconds(work: Awaitable[object]) -> float:
    started = time.perf_counter()
    await work
    return (time.perf_counter() - started) * 1000


def run() -> None:
    """Start a MongoDB, measure, stop it."""
    with tempfile.TemporaryDirectory(prefix="save-cost-", ignore_cleanup_errors=True) as root:
        stack = Stack(Path(root), BASE_PORT, "embedded")
        try:
            stack.start_role("mongo")
            figures = asyncio.run(main(stack.mongo_uri("intake")))
        finally:
            stack.stop()
    load, cores = os.getloadavg()[0], os.cpu_count()
    print(json.dumps({"load": round(load, 1), "cores": cores, "saves": figures}, indent=2))  # noqa: T201 - its answer


if __name__ == "__main__":
    run()
