"""`python -m services.cli`: what operators do with journals and dead letters. Decides nothing and calls no provider.

It runs with the settings of one service (MONGODB_URI, JOURNAL_KEY, KAFKA_BOOTSTRAP_SERVERS…), next to its roles. It is
the one place that knows the journals of all services; none of them knows it. Its parts lie in `services/operations`.
Exit codes: 0 fine, 1 something was found or is left to do, 2 a wrong call.
"""

import argparse
import asyncio
import sys
from collections.abc import Sequence
from dataclasses import replace
from typing import Any, Final

import httpx

from services.analytics.compare import KpiParity
from services.identity.domain import CHECK, EVIDENCE
from services.identity.parity import FOLLOWERS as IDENTITY
from services.intake.domain import dossier_aggregate
from services.intake.parity import followers as intake_followers
from services.notifications.domain import MESSAGE
from services.notifications.parity import FOLLOWERS as NOTIFICATIONS
from services.operations import dlq, kpis
from services.operations.command import Command, connected, misplaced, moment
from services.operations.parity import compare
from services.payments.books import COLLECTION as PAYMENTS
from services.payments.domain import payment_aggregate
from services.payments.ledger import StripeLedger
from services.payments.parity import FOLLOWERS as PAYMENT
from services.payments.parity import LedgerParity
from services.payments.psp import client_of
from services.payments.settings import PaymentsSettings
from shared.backup import cli as backup
from shared.environment import SystemEnvironment
from shared.errors import Transient
from shared.journal import Aggregate, Journal
from shared.journal.verify import Finding, verify_all
from shared.kafka.client import KafkaPublisher
from shared.kafka.topics import KafkaTopics
from shared.operations import parity_of
from shared.parity_job import Comparison
from shared.settings import CommonSettings, load
from shared.store.journals import MongoJournalStore
from shared.store.mongo import Database, connect
from shared.store.recounts import MongoRecounts
from shared.store.small import MongoInstallation, MongoMarkers

# How an aggregate plans and shares does not matter here, only how its events fold.
JOURNALS: Final[dict[str, dict[str, Aggregate[Any]]]] = {
    "intake": {"dossiers": dossier_aggregate({}, public_url="", deadline_scale=1.0)},
    "identity": {"checks": CHECK, "evidence": EVIDENCE},
    "payments": {PAYMENTS: payment_aggregate(1.0)},
    "notifications": {"messages": MESSAGE},
}
FOLLOWERS: Final = {"identity": IDENTITY, "payments": PAYMENT, "notifications": NOTIFICATIONS}
ANALYTICS: Final = "analytics"
"""It has no journals; its books are the records of the KPIs."""
SHOWN: Final = 50


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command; return the exit code."""
    options = _parser().parse_args(arguments)
    try:
        if "alone" in options:
            return asyncio.run(backup.run(options))
        command: Command = options.command
        settings = load(CommonSettings)
        if (wrong := misplaced(options, settings)) is not None:
            print(wrong, file=sys.stderr)
            return 2
        return asyncio.run(_with_database(command, options, settings))
    except Transient as error:
        print(f"Not possible now: {type(error).__name__} ({error}).", file=sys.stderr)
        return 1


async def _with_database(command: Command, options: argparse.Namespace, settings: CommonSettings) -> int:
    async with connect(settings.mongodb_uri.get_secret_value()) as database:
        return await command(options, settings, database)


async def verify(options: argparse.Namespace, settings: CommonSettings, database: Database) -> int:
    """Check every journal of a service."""
    findings: list[Finding] = []
    for name, aggregate in JOURNALS[options.service].items():
        journals = events = 0
        journal = _journal(database, name, aggregate, settings)
        async for checked in verify_all(journal):
            journals, events = journals + 1, events + checked.events
            findings += checked.findings
        print(f"{options.service} {name}: {journals} journals, {events} events")
    for finding in findings[:SHOWN]:
        print(f"  {finding.subject}: {finding.rule}: {finding.text}")
    print(f"{options.service}: {f'{len(findings)} findings' if findings else 'whole'}")
    return 1 if findings else 0


async def replay(options: argparse.Namespace, settings: CommonSettings, database: Database) -> int:
    """Mark everything of a service as unpublished; its worker's sweeper then publishes it again."""
    installation = MongoInstallation(database)
    present = await installation.filling()
    if present is None:
        print(f"{options.service} has not been started yet", file=sys.stderr)
        return 1
    # Remembered first: a role that starts meanwhile takes up the new number and changes nothing that is done already.
    await installation.remember(filling := replace(present, number=present.number + 1))
    for name in JOURNALS[options.service]:
        marked = await _store(database, name).republish(filling.number)
        print(f"{options.service} {name}: {marked} journals will be published again")
    return 0


async def parity(options: argparse.Namespace, settings: CommonSettings, database: Database) -> int:
    """Compare a service's journals with topics, what it read, the payment provider's list; or KPIs with topics."""
    if options.service == ANALYTICS:
        if not settings.kafka_idempotence:
            print("The embedded broker does not tell how far its topics go: KPIs are compared on Apache Kafka only.")
            return 1
        return await compare(ANALYTICS, [_kpis(settings, database)], options, database)
    service, publisher, environment = options.service, KafkaPublisher(settings), SystemEnvironment()
    journals = {name: _journal(database, name, aggregate, settings) for name, aggregate in JOURNALS[service].items()}
    async with httpx.AsyncClient() as http:
        try:
            await connected(publisher)
            followers = FOLLOWERS.get(service) or intake_followers(journals["dossiers"])
            comparisons: list[Comparison] = [parity_of(settings, database, publisher, environment, journals, followers)]
            if service == "payments":
                ledger = StripeLedger(client_of(load(PaymentsSettings), http))
                comparisons.append(LedgerParity(journals[PAYMENTS], ledger, environment))
            return await compare(service, comparisons, options, database)
        finally:
            await publisher.close()


def _kpis(settings: CommonSettings, database: Database) -> KpiParity:
    recounts, markers = MongoRecounts(database), MongoMarkers(database)
    return KpiParity(KafkaTopics(settings), markers, recounts, SystemEnvironment(), settings.kafka_partitions)


def _store(database: Database, name: str) -> MongoJournalStore:
    return MongoJournalStore(database[name], database[f"{name}_segments"])


def _journal(database: Database, name: str, aggregate: Aggregate[Any], settings: CommonSettings) -> Journal[Any]:
    store, environment = _store(database, name), SystemEnvironment()
    return Journal(aggregate, store, environment, tenant=settings.tenant, key=settings.journal_key)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="dossierbus", description="Operate journals and dead letters; back up and restore."
    )
    commands = parser.add_subparsers(required=True, metavar="command")
    for name, command in (("verify", verify), ("replay", replay)):
        one = commands.add_parser(name, help=command.__doc__)
        one.add_argument("--service", required=True, choices=sorted(JOURNALS))
        one.set_defaults(command=command)
    one = commands.add_parser("parity", help=parity.__doc__)
    one.add_argument("--service", required=True, choices=sorted([*JOURNALS, ANALYTICS]))
    one.add_argument("--repair", action="store_true", help="publish, tell or count again what differs")
    one.add_argument("--since", type=moment, help="only what was written since (RFC 3339)")
    one.add_argument("--as", dest="operator", help="who you are, for the log of deeds")
    one.set_defaults(command=parity)
    backup.add_commands(commands)
    dlq.add_to(commands)
    kpis.add_to(commands)
    return parser


if __name__ == "__main__":
    sys.exit(main())
