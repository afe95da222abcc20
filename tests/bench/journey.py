"""`journey`: from handing in to the decision, beside the sum of bare round trips on that way.

The way is read from the dossier itself: each of its journals' events up to the decision was written once and, where
another service had to hear of it, carried once. The limit is what those writes and carries take one after the other.
"""

import asyncio
import time
from contextlib import AsyncExitStack
from itertools import pairwise
from statistics import median
from typing import Any

import httpx
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer

from deploy.local.journeys.town import Citizen, Town
from shared.environment import parse_timestamp
from shared.store.mongo import connect
from tests.bench.ground import Ground, fresh
from tests.bench.measure import Result

ROLES = ("intake-api", "intake-worker", "identity-worker")
SANDBOXES = ("oidc", "register")
JOURNEYS = 10
TRIPS = 60
HEARD = ("identity_check_requested", "outcome_recorded")
"""The entries that travel to or from another service before the decision of an order of payment slips."""


def measure(ground: Ground) -> list[Result]:
    """Return the milliseconds from an order of payment slips, which no person decides, to its decision."""
    for name in (*SANDBOXES, *ROLES):
        ground.stack.start_role(name)
    try:
        return [asyncio.run(_measure(ground))]
    finally:
        for name in (*ROLES, *SANDBOXES):
            ground.stack.stop_role(name)


async def _measure(ground: Ground) -> Result:
    ours, limit, way = list[float](), list[float](), dict[str, int]()
    async with httpx.AsyncClient(timeout=30) as http:
        town = Town.of(ground.stack, http)
        people = [person for person in await town.people() if person.get("sub")]
        await _one(town, people[0])
        for _ in range(ground.rounds):
            played = [await _one(town, people[0]) for _ in range(JOURNEYS)]
            ours.append(median(milliseconds for milliseconds, _ in played))
            way = played[-1][1]
            write, carry = await write_milliseconds(ground), await carry_milliseconds(ground)
            limit.append(way["writes"] * write + way["carries"] * carry)
    return Result("journey", "ms", ours, limit, less_is_better=True, notes={"way": way})


async def _one(town: Town, person: dict[str, Any]) -> tuple[float, dict[str, int]]:
    """Return the milliseconds between the first entry and the decision, as the timeline tells, and the way."""
    citizen = Citizen(town, person)
    await citizen.submit("payment-slips", {"account": "fee", "count": 1})
    until = time.monotonic() + 60
    words: list[str] = []
    while "dossier_decided" not in words:
        if time.monotonic() > until:
            raise RuntimeError(f"not decided: {words}")
        await asyncio.sleep(0.05)
        found = await citizen.get("/timeline")
        words = [entry["event"] for entry in found]
    decided = words.index("dossier_decided")
    taken = _milliseconds(found[decided]["time"]) - _milliseconds(found[0]["time"])
    # Events of one write share their time; identity writes its check, takes the work, writes the outcome.
    writes = 1 + sum(one["time"] != other["time"] for one, other in pairwise(found[: decided + 1])) + 3
    return taken, {"writes": writes, "carries": sum(word in HEARD for word in words[:decided])}


def _milliseconds(text: str) -> float:
    return parse_timestamp(text).timestamp() * 1000


async def write_milliseconds(ground: Ground) -> float:
    """Return the median time of one journaled insert of 5 KB."""
    async with connect(ground.mongo_uri(fresh("trips"))) as database:
        found = []
        for number in range(TRIPS):
            began = time.perf_counter()
            await database["trips"].insert_one({"_id": number, "padding": "x" * 5_000})
            found.append((time.perf_counter() - began) * 1000)
    return median(found)


async def carry_milliseconds(ground: Ground) -> float:
    """Return the median time of one record of 1 KB from sending to having it in a consumer."""
    topic, server = await ground.topic("trips"), ground.settings().kafka_bootstrap_servers
    async with AsyncExitStack() as opened:
        producer = AIOKafkaProducer(bootstrap_servers=server, acks="all", enable_idempotence=True)
        consumer = AIOKafkaConsumer(topic, bootstrap_servers=server, auto_offset_reset="earliest")
        for client in (producer, consumer):
            await client.start()
            opened.push_async_callback(client.stop)
        found = []
        for _ in range(TRIPS):
            began = time.perf_counter()
            await producer.send(topic, b"x" * 1_000, key=b"k")
            await consumer.getone()
            found.append((time.perf_counter() - began) * 1000)
    return median(found)
