"""`intake`: handing in dossiers at the real role, beside a bare endpoint that stores a document of the same size."""

import asyncio
from dataclasses import dataclass
from statistics import median
from typing import Any

from shared.store.mongo import connect
from tests.bench.ground import BARE_PORT, Ground, cpu_seconds, megabytes, pid_of
from tests.bench.load import Load, send, submissions
from tests.bench.measure import Result, medians, percentile, rounded

REQUESTS = 600
CONNECTIONS = 32


@dataclass(frozen=True)
class Used:
    """A load, the CPU milliseconds that the answering process used for each request, and its memory after it."""

    load: Load
    cpu_ms: float
    megabytes: float


def measure(ground: Ground) -> list[Result]:
    """Return requests a second at 32 connections; p50 and p99 of both stand in the notes."""
    for name in ("oidc", "register", "intake-api"):
        ground.stack.start_role(name)
    try:
        return [asyncio.run(_measure(ground))]
    finally:
        for name in ("intake-api", "register", "oidc"):
            ground.stack.stop_role(name)


async def _measure(ground: Ground) -> Result:
    people = await ground.tokens(40)
    port = ground.stack.settings.port("intake-api")
    await send(port, submissions(people, REQUESTS), CONNECTIONS)
    size = await document_bytes(ground)
    bare = {"BARE_URI": ground.mongo_uri("bare"), "BARE_PORT": str(BARE_PORT), "DOCUMENT_BYTES": str(size)}
    ours, limit = list[Used](), list[Used]()
    pid = pid_of(ground.stack.process("intake-api"))
    with ground.program("tests.bench.bare_intake", **bare) as process:
        await send(BARE_PORT, submissions(people, REQUESTS), CONNECTIONS)
        for _ in range(ground.rounds):
            ours.append(await _used(port, pid, people))
            limit.append(await _used(BARE_PORT, pid_of(process), people))
    notes = {
        "document_bytes": size,
        "milliseconds": {"ours": _latencies(ours), "limit": _latencies(limit)},
        "cpu_ms_per_request": medians([one.cpu_ms for one in ours], [one.cpu_ms for one in limit]),
        "megabytes": medians([one.megabytes for one in ours], [one.megabytes for one in limit]),
    }
    own, bound = ([one.load.rate for one in found] for found in (ours, limit))
    return Result("intake", "requests/s", own, bound, notes=notes)


async def _used(port: int, pid: int, people: list[dict[str, Any]]) -> Used:
    before = cpu_seconds(pid)
    load = await send(port, submissions(people, REQUESTS), CONNECTIONS)
    return Used(load, 1000 * (cpu_seconds(pid) - before) / REQUESTS, megabytes(pid))


async def document_bytes(ground: Ground) -> int:
    """Return the mean size of a stored dossier."""
    async with connect(ground.mongo_uri("intake")) as database:
        found = await database.command("collStats", "dossiers")
    return int(found["avgObjSize"])


def _latencies(found: list[Used]) -> dict[str, float]:
    return {
        name: rounded(median(percentile(one.load.milliseconds, share) for one in found))
        for name, share in (("p50", 0.5), ("p99", 0.99))
    }
