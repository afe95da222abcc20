"""`dossierbus kpis recount`: have the workers make the KPIs anew from the topics. Counts nothing itself."""

import argparse
from typing import Any

from services.operations.command import name_of_operator
from shared.environment import SystemEnvironment
from shared.recounts import until_done
from shared.settings import CommonSettings
from shared.store.mongo import Database
from shared.store.operations import MongoOperations
from shared.store.recounts import MongoRecounts


async def recount(options: argparse.Namespace, settings: CommonSettings, database: Database) -> int:
    """Make every dossier's record anew from the topics while everything runs; wait until all partitions are done.

    Raises `RecountPending` if that takes longer than ten minutes: the workers go on, or begin once they run.
    """
    recounts, environment = MongoRecounts(database), SystemEnvironment()
    log = MongoOperations(database, environment)
    note = await log.begin(name_of_operator(options), "kpis recount", {"partitions": settings.kafka_partitions}, "")
    outcome, count = "not asked for", settings.kafka_partitions
    try:
        number = await recounts.ask()
        print(f"recount {number} is asked for", flush=True)
        outcome = "asked for"
        if not options.no_wait:
            await until_done(recounts, environment, number, count, lambda ready: _tell(ready, count))
            outcome = "recounted"
    finally:
        await log.end(note, {"analytics": outcome})
    return 0


def _tell(ready: int, count: int) -> None:
    print(f"{ready} of {count} partitions recounted", flush=True)


def add_to(commands: Any) -> None:
    """Add `kpis` and its actions to the parser's commands."""
    actions = commands.add_parser("kpis", help="Look after the KPIs.").add_subparsers(required=True, metavar="action")
    one = actions.add_parser("recount", help="Make every dossier's record anew from the topics.")
    one.add_argument("--no-wait", action="store_true", help="only ask for it; the workers' log says when it is done")
    one.add_argument("--as", dest="operator", help="who you are, for the log of deeds")
    # Named, so that it is refused beside another service, whose database knows no recounts.
    one.set_defaults(command=recount, service="analytics")
