"""`intake`: handing in dossiers at the real role, beside a bare endpoint that stores a document of the same size."""

import asyncio
from statistics import median

from shared.store.mongo import connect
from tests.bench.ground import BARE_PORT, Ground, cpu_seconds, megabytes, pid_of
from tests.bench.load import Load, send, submissions
from tests.bench.measure import Result, percentile, rounded

REQUESTS = 600
CONNECTIONS = 32


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
    ours, limit, used = list[Load](), list[Load](), 0.0
    pid = pid_of(ground.stack.process("intake-api"))
    with ground.program("tests.bench.bare_intake", **bare) as process:
        await send(BARE_PORT, submissions(people, REQUESTS), CONNECTIONS)
        for _ in range(ground.rounds):
            before = cpu_seconds(pid)
            ours.append(await send(port, submissions(people, REQUESTS), CONNECTIONS))
            used += cpu_seconds(pid) - before
            limit.append(await send(BARE_PORT, submissions(people, REQUESTS), CONNECTIONS))
        notes = {
            "document_bytes": size,
            "milliseconds": {"ours": _latencies(ours), "limit": _latencies(limit)},
            "cpu_ms_per_request": rounded(1000 * used / REQUESTS / ground.rounds),
            "megabytes": {"ours": megabytes(pid), "limit": megabytes(pid_of(process))},
        }
    return Result("intake", "requests/s", [load.rate for load in ours], [load.rate for load in limit], notes=notes)


async def document_bytes(ground: Ground) -> int:
    """Return the mean size of a stored dossier."""
    async with connect(ground.mongo_uri("intake")) as database:
        found = await database.command("collStats", "dossiers")
    return int(found["avgObjSize"])


def _latencies(loads: list[Load]) -> dict[str, float]:
    return {
        name: rounded(median(percentile(load.milliseconds, share) for load in loads))
        for name, share in (("p50", 0.5), ("p99", 0.99))
    }
