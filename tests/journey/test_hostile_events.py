"""Malformed, unknown and forged records on the topics: set aside with a reason, or skipped, while dossiers go on."""

import asyncio
import time
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass

import httpx
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition

from deploy.local.journeys.audit import audit
from deploy.local.journeys.crowd import Crowd, mixed, residents
from deploy.local.journeys.town import Town
from deploy.local.roles import ROLES
from deploy.local.stack import Stack
from shared.consumer import ORIGIN, REASON
from shared.contracts.topics import GROUPS, dead_letter_topic
from tests.journey.hostile_records import FOLLOWS_FROM, RECORDS, Hostile

PATIENCE_SECONDS = 90.0


@dataclass(frozen=True)
class Letter:
    """A dead letter: who could not handle what, and why."""

    group: str
    origin: str
    reason: str
    key: bytes | None


async def _write(stack: Stack) -> dict[str, Hostile]:
    """Put every hostile record on its topic; return them by where they lie."""
    producer = AIOKafkaProducer(bootstrap_servers=stack.bootstrap, max_request_size=1_048_576)
    partitions = int(stack.env_for("intake-api")["KAFKA_PARTITIONS"])
    written = {}
    await producer.start()
    try:
        for hostile in RECORDS:
            one = hostile.message
            place = await producer.send_and_wait(
                one.topic, one.value, key=one.key, partition=hostile.partition(partitions), headers=one.headers
            )
            written[f"{place.topic}/{place.partition}/{place.offset}"] = hostile
    finally:
        await producer.stop()
    return written


@asynccontextmanager
async def _letter_box(stack: Stack) -> AsyncIterator[AIOKafkaConsumer]:
    consumer = AIOKafkaConsumer(bootstrap_servers=stack.bootstrap, auto_offset_reset="earliest")
    await consumer.start()
    try:
        partitions = range(int(stack.env_for("intake-api")["KAFKA_PARTITIONS"]))
        consumer.assign([TopicPartition(dead_letter_topic(group), part) for group in GROUPS for part in partitions])
        yield consumer
    finally:
        await consumer.stop()


async def _letters(stack: Stack, wanted: int, written: Mapping[str, Hostile]) -> list[Letter]:
    """Read dead letters until so many are about what was written, and what follows from it."""
    found: list[Letter] = []
    until = time.monotonic() + PATIENCE_SECONDS
    async with _letter_box(stack) as box:
        while len(_about(found, written)) < wanted and time.monotonic() < until:
            for part, records in (await box.getmany(timeout_ms=500)).items():
                group = part.topic.removesuffix(dead_letter_topic(""))
                for record in records:
                    told = {name: (value or b"").decode("utf-8", "replace") for name, value in record.headers}
                    found.append(Letter(group, told[ORIGIN], told[REASON], record.key))
    return _about(found, written)


def _about(letters: list[Letter], written: Mapping[str, Hostile]) -> list[Letter]:
    follows = set(FOLLOWS_FROM.values())
    return [letter for letter in letters if letter.origin in written or letter.key in follows]


def _pids(stack: Stack) -> dict[str, int | None]:
    return {name: stack.process(name).pid for name in stack.names()}


async def _started_anew(stack: Stack, town: Town, before: Mapping[str, int | None]) -> None:
    """Wait until every role has noticed the emptied broker and is back."""
    until, waiting = time.monotonic() + PATIENCE_SECONDS, set(ROLES)
    while waiting and time.monotonic() < until:
        await asyncio.sleep(0.5)
        new = {name for name in waiting if _pids(stack)[name] not in (None, before[name])}
        waiting -= {name for name in new if await _is_ready(stack, town, name)}
    assert waiting == set()


async def _is_ready(stack: Stack, town: Town, role: str) -> bool:
    try:
        return (await town.http.get(f"{stack.url(role)}/health/ready")).is_success
    except httpx.TransportError:
        return False


async def test_hostile_records_are_set_aside_and_nobody_waits(stack: Stack, town: Town) -> None:
    """Each group that reads a record sets it aside with its reason, no role ends, and dossiers complete meanwhile."""
    crowd = Crowd(town, await residents(town))
    before = _pids(stack)
    playing = asyncio.create_task(crowd.play(mixed(15, seed=9, hasty=False)))
    written = await _write(stack)
    expected = {(group, origin) for origin, hostile in written.items() for group in hostile.reasons}
    letters = await _letters(stack, len(expected) + len(FOLLOWS_FROM), written)
    await playing
    assert crowd.failures == []
    about = {(letter.group, letter.origin): letter for letter in letters if letter.origin in written}
    missing = sorted(f"{group}: {written[origin].name}" for group, origin in expected - set(about))
    surplus = sorted(f"{group}: {written[origin].name}" for group, origin in set(about) - expected)
    assert (missing, surplus) == ([], [])
    wrong = [
        (written[origin].name, letter)
        for (group, origin), letter in about.items()
        if written[origin].reasons[group] not in letter.reason
    ]
    assert wrong == []
    assert {letter.key for letter in letters if letter.group == "intake"} >= set(FOLLOWS_FROM.values())
    assert _pids(stack) == before


async def test_afterwards_everything_adds_up(stack: Stack, town: Town) -> None:
    """With the topics filled anew from the journals nothing of the forgeries is left, and every count is exact."""
    before = _pids(stack)
    await asyncio.to_thread(stack.wipe_broker)
    await _started_anew(stack, town, before)
    crowd = Crowd(town, await residents(town))
    await crowd.play(mixed(15, seed=10))
    assert crowd.failures == []
    assert [check for check in await audit(stack, town, crowd.played) if not check.ok] == []
