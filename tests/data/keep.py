"""Keeps what a release left behind: `python -m tests.data.keep ROOT BASE_PORT DIRECTORY`, beside a running stack.

Plays a few dossiers of invented people and writes backup, stream records, KPIs and keys: what the next release must
be able to read. The keys are of that throw-away stack and open nothing else.
"""

import asyncio
import json
import os
import sys
from dataclasses import asdict
from pathlib import Path
from typing import Any

import httpx
from aiokafka import AIOKafkaConsumer, TopicPartition

from deploy.local.journeys import books
from deploy.local.journeys.crowd import Crowd, residents
from deploy.local.journeys.endings import JOURNEYS
from deploy.local.journeys.town import Citizen, Town
from deploy.local.stack import Stack
from shared.backup.backup import back_up, sources
from shared.environment import SystemEnvironment
from shared.store.dump import administer

PLAYED = ("payment-slips", "consent-later", "debts-refused", "withdrawn", "card-declined")
CHANGELOG = "analytics-dossiers-changelog"
COMPARED = ("dossiers", "decisions", "closingTime", "payments", "messages", "identity")
WAITING = {"purpose": "bank", "content": "simple"}


async def records(stack: Stack) -> dict[str, str]:
    """Return the newest record per dossier of the stream processor's changelog."""
    partitions = range(int(stack.env_for("intake-api")["KAFKA_PARTITIONS"]))
    parts = [TopicPartition(CHANGELOG, number) for number in partitions]
    consumer = AIOKafkaConsumer(bootstrap_servers=stack.bootstrap, auto_offset_reset="earliest")
    await consumer.start()
    found: dict[str, str] = {}
    try:
        consumer.assign(parts)
        ends = await consumer.end_offsets(parts)
        while [part for part in parts if await consumer.position(part) < ends[part]]:
            for batch in (await consumer.getmany(timeout_ms=500)).values():
                found.update({record.key.decode(): record.value.decode() for record in batch if record.value})
    finally:
        await consumer.stop()
    return found


def figures(stack: Stack) -> dict[str, Any]:
    """Return the KPIs that depend on events alone."""
    told = books.kpis(stack)
    return {name: told[name] for name in COMPARED}


async def keep(stack: Stack, directory: Path) -> None:
    """Play, wait until the KPIs have come to rest, write."""
    async with httpx.AsyncClient(timeout=20) as http:
        town = Town.of(stack, http)
        crowd = Crowd(town, await residents(town))
        await crowd.play([journey for journey in JOURNEYS if journey.name in PLAYED])
        waiting = Citizen(town, crowd.people[9])
        await waiting.submit("residence-certificate", WAITING, consents=["residence"], payment_method="card")
        await waiting.payable()
        await waiting.until("evidence_ready")
    before: dict[str, Any] = {}
    kpis = figures(stack)
    while before != kpis:
        await asyncio.sleep(5)
        before, kpis = kpis, figures(stack)
    async with administer(stack.root_mongo_uri) as database:
        wanted = sources(directory / "services", directory / "vault")
        await back_up(database, wanted, SystemEnvironment(), print)
    secrets = asdict(stack.settings.secrets)
    kept = {
        "waiting": waiting.dossier,
        "kpis": kpis,
        "records": await records(stack),
        "keys": {name: secrets[name] for name in ("vault", "journal", "hash")},
    }
    (directory / "release.json").write_text(json.dumps(kept, indent=1, sort_keys=True) + "\n")


if __name__ == "__main__":
    _, root, base_port, target = sys.argv
    asyncio.run(keep(Stack(Path(root), int(base_port)), Path(os.fspath(target))))
