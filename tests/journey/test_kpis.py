"""The books go wrong, and everything is made anew from the journals while people hand in: KPIs, messages, timelines."""

import asyncio
import os
import sys
import time
from asyncio.subprocess import PIPE
from collections.abc import Mapping, Sequence
from typing import Any

import pytest
from aiokafka import AIOKafkaProducer

from deploy.local.journeys import books
from deploy.local.journeys.audit import Played, audit
from deploy.local.journeys.crowd import Crowd, mixed, residents
from deploy.local.journeys.town import Town
from deploy.local.stack import CHECKOUT, Stack
from services.analytics.domain import Record, dump
from services.analytics.topics import CHANGELOG
from shared.kafka.client import partition_of
from shared.store.mongo import connect

DOSSIERS = int(os.environ.get("KPI_DOSSIERS", "6"))
WORKER = "analytics-worker"
NOBODY = "nobody-handed-this-in"
PATIENCE_SECONDS = 90.0
FORGED: Record = {
    "": {"k": "d", "n": 900_000, "service": "residence-certificate", "status": "received"},
    ":900": {"k": "p", "n": 900_000, "s": "succeeded", "a": 4_200},
}


async def operate(stack: Stack, role: str, *arguments: str) -> tuple[int, str]:
    """Run the operators' command beside a role; return its exit code and output."""
    command = [sys.executable, "-m", "services.cli", *arguments]
    process = await asyncio.create_subprocess_exec(*command, env=stack.env_for(role), cwd=CHECKOUT, stdout=PIPE)
    output, _ = await process.communicate()
    return process.returncode or 0, output.decode()


async def plant(stack: Stack, dossiers: Sequence[str]) -> None:
    """Write wrong records to the changelog and let the worker recover from it."""
    count = int(stack.env_for(WORKER)["KAFKA_PARTITIONS"])
    producer = AIOKafkaProducer(bootstrap_servers=stack.bootstrap)
    await producer.start()
    try:
        for dossier in dossiers:
            key = dossier.encode()
            await producer.send_and_wait(CHANGELOG.name, dump(FORGED), key, partition=partition_of(key, count))
    finally:
        await producer.stop()
    await asyncio.to_thread(stack.restart, WORKER)


async def lose_a_message(stack: Stack, dossier: str) -> str:
    """Take one of a dossier's messages out of the notifications' database; return its id."""
    async with connect(stack.mongo_uri("notifications")) as database:
        found = await database["messages"].find_one_and_delete({"_id": {"$regex": f"^{dossier}:"}})
    assert found is not None
    name: str = found["_id"]
    return name


async def wrong_money(stack: Stack, before: Mapping[str, Any]) -> None:
    """Wait until the KPI API tells the planted payments."""
    until = time.monotonic() + PATIENCE_SECONDS
    while books.kpis(stack)["payments"]["succeeded"]["rappen"] == before["payments"]["succeeded"]["rappen"]:
        assert time.monotonic() < until, "the planted records never counted"
        await asyncio.sleep(0.2)


async def left_of(stack: Stack, town: Town, played: Sequence[Played]) -> dict[str, Any]:
    """Return what people and operators read of these dossiers: timelines, and what became of each message."""
    found: dict[str, Any] = {}
    for one in played:
        url = f"{town.portal}/v1/dossiers/{one.dossier}/timeline"
        found[one.dossier] = await town.ask("GET", url, await town.token(one.subject, "citizen"))
    for dossier, entries in (await books.journals(stack)).items():
        if dossier in {one.dossier for one in played}:
            messages = [entry for entry in entries if entry.service == "notifications"]
            found[f"messages of {dossier}"] = sorted((entry.id, entry.recorded.event.word) for entry in messages)
    return found


async def test_everything_is_made_anew_while_people_hand_in(stack: Stack, town: Town) -> None:
    """Wrong KPI records are named by the comparison; a replay and one repair under traffic make KPIs and a lost message
    what they were, to the last figure; timelines are the same; a second repair finds nothing to do."""
    if stack.broker_kind == "embedded":
        pytest.skip("the embedded broker does not tell how far its topics go")
    crowd = Crowd(town, await residents(town))
    await crowd.play(mixed(DOSSIERS, seed=11, hasty=False))
    assert [check for check in await audit(stack, town, crowd.played) if not check.ok] == []
    first, before = list(crowd.played), books.kpis(stack)
    known = await left_of(stack, town, first)
    wrong = first[0].dossier
    await plant(stack, [wrong, NOBODY])
    await wrong_money(stack, before)
    await lose_a_message(stack, first[1].dossier)
    traffic = asyncio.create_task(crowd.play(mixed(DOSSIERS, seed=12, hasty=False)))
    replays = (operate(stack, f"{service}-worker", "replay", "--service", service) for service in books.COLLECTIONS)
    assert [code for code, _ in await asyncio.gather(*replays)] == [0] * len(books.COLLECTIONS)
    code, said = await operate(stack, WORKER, "parity", "--service", "analytics", "--repair")
    assert (code, "repaired, 0 left to people" in said) == (0, True), said
    named = {line.split()[1].rstrip(":") for line in said.splitlines() if line.startswith("  kpi")}
    assert {wrong, NOBODY} <= named <= {wrong, NOBODY, "partition"}, said
    await traffic
    assert crowd.failures == []
    assert [check for check in await audit(stack, town, crowd.played) if not check.ok] == []
    assert await left_of(stack, town, first) == known
    assert await operate(stack, WORKER, "parity", "--service", "analytics", "--repair") == (0, "analytics: no drift\n")
