"""`dossierbus kpis recount`: have the workers make the KPIs anew from the topics. Counts nothing itself."""

import argparse
from typing import Any, Final

from services.operations.command import name_of_operator
from shared.environment import SystemEnvironment
from shared.settings import CommonSettings
from shared.store.mongo import Database
from shared.store.operations import MongoOperations
from shared.store.recounts import MongoRecounts

POLL_SECONDS: Final = 0.5


async def recount(options: argparse.Namespace, settings: CommonSettings, database: Database) -> int:
    """Make every dossier's record anew from the topics while everything runs; wait until all partitions are done."""
    recounts, environment = MongoRecounts(database), SystemEnvironment()
    log = MongoOperations(database, environment)
    note = await log.begin(name_of_operator(options), "kpis recount", {"partitions": settings.kafka_partitions}, "")
    number = await recounts.ask()
    print(f"recount {number} is asked for")
    told, count = -1, settings.kafka_partitions
    while not options.no_wait and told < count:
        done = (await recounts.state()).done
        ready = sum(done.get(partition, 0) >= number for partition in range(count))
        if ready != told:
            told = ready
            print(f"{ready} of {count} partitions recounted", flush=True)
        if ready < count:
            await environment.sleep(POLL_SECONDS)
    await log.end(note, {"analytics": "asked for" if options.no_wait else "recounted"})
    return 0


def add_to(commands: Any) -> None:
    """Add `kpis` and its actions to the parser's commands."""
    actions = commands.add_parser("kpis", help="Look after the KPIs.").add_subparsers(required=True, metavar="action")
    one = actions.add_parser("recount", help=recount.__doc__)
    one.add_argument("--no-wait", action="store_true", help="only ask for it; the workers' log says when it is done")
    one.add_argument("--as", dest="operator", help="who you are, for the log of deeds")
    # Named, so that it is refused beside another service, whose database knows no recounts.
    one.set_defaults(command=recount, service="analytics")
