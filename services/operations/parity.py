"""`dossierbus parity`: compare a service's books now, print what differs, repair it if asked. Decides nothing."""

import argparse
from collections.abc import Sequence
from datetime import datetime

from services.operations.command import name_of_operator
from shared.environment import SystemEnvironment, parse_timestamp
from shared.errors import Transient
from shared.parity import KINDS, Drift
from shared.parity_job import Comparison
from shared.store.mongo import Database
from shared.store.operations import MongoOperations

SHOWN = 50


async def compare(
    service: str, comparisons: Sequence[Comparison], options: argparse.Namespace, database: Database
) -> int:
    """Print the drift of a service's books and repair it if asked; 0 if there is none left to do.

    Raises `Transient` if something is away, or a recount not done in time; the log of deeds says so, too.
    """
    since: datetime | None = parse_timestamp(options.since) if options.since else None
    found = [drift for one in comparisons for drift in await one.find(since)]
    _print(service, found)
    if not found or not options.repair:
        return 1 if found else 0
    log = MongoOperations(database, SystemEnvironment())
    target = {"service": service, "drifts": len(found), "first": [drift.subject for drift in found[:SHOWN]]}
    note = await log.begin(name_of_operator(options), "parity repair", target, "")
    outcome = "not repaired"
    try:
        repaired = [await one.repair(found, since) for one in comparisons]
        outcome = f"{sum(repaired)} repaired"
    except Transient as error:
        outcome = f"not repaired yet: {type(error).__name__}"
        raise
    finally:
        await log.end(note, {service: outcome})
    left = sum(not drift.repairable for drift in found)
    print(f"{service}: {sum(repaired)} repaired, {left} left to people; compare again once the system is at rest")
    return 1 if left else 0


def _print(service: str, found: Sequence[Drift]) -> None:
    for drift in found[:SHOWN]:
        whose = "" if drift.repairable else " (for people)"
        print(f"  {drift.kind:12} {drift.subject}: {drift.text}{whose}")
    counted = ", ".join(f"{kind} {n}" for kind in KINDS if (n := sum(drift.kind == kind for drift in found)))
    print(f"{service}: {counted or 'no drift'}")
