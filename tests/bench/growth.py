"""`growth`: what handing in a dossier costs while ever more are stored. Writes the picture of docs/performance.md.

Stored are copies of a dossier that the product made, closed to the relay. CPU time of the role and of MongoDB per new
dossier is what grows if anything does; it depends less on what else the machine does than milliseconds do.
"""

import asyncio
import os
from dataclasses import dataclass
from statistics import median

from deploy.local.stack import CHECKOUT
from shared.store.mongo import connect
from tests.bench.ground import Ground, cpu_seconds, pid_of, uses
from tests.bench.load import Load, send, submissions
from tests.bench.measure import Result, percentile, rounded
from tests.bench.picture import draw
from tests.bench.samples import store

STEPS = tuple(int(step) for step in os.environ.get("GROWTH_STEPS", "1000,3000,10000,30000,100000,300000").split(","))
REQUESTS = 300
CONNECTIONS = 8
PICTURE = CHECKOUT / "docs" / "images" / "growth.svg"


@dataclass(frozen=True)
class Point:
    """The cost of a dossier at one number of stored ones."""

    stored: int
    role_ms: float
    mongo_ms: float
    p50_ms: float


def measure(ground: Ground) -> list[Result]:
    """Return CPU milliseconds of role and database per dossier: ours with each number stored, limit with the first."""
    for name in ("oidc", "register", "intake-api"):
        ground.stack.start_role(name)
    try:
        points = asyncio.run(_measure(ground))
    finally:
        for name in ("intake-api", "register", "oidc"):
            ground.stack.stop_role(name)
    PICTURE.write_text(draw([(point.stored, point.role_ms, point.mongo_ms) for point in points]), encoding="utf-8")
    costs = [point.role_ms + point.mongo_ms for point in points]
    notes = {
        "points": [
            {"stored": p.stored, "role_ms": p.role_ms, "mongo_ms": p.mongo_ms, "p50_ms": p.p50_ms} for p in points
        ]
    }
    return [Result("growth", "CPU ms/dossier", costs, [costs[0]] * len(costs), less_is_better=True, notes=notes)]


async def _measure(ground: Ground) -> list[Point]:
    people = await ground.tokens(40)
    port = ground.stack.settings.port("intake-api")
    await send(port, submissions(people, 2 * REQUESTS), CONNECTIONS)
    points, filled = list[Point](), 0
    async with connect(ground.mongo_uri("intake")) as database:
        documents = database["dossiers"]
        sample = await documents.find_one({})
        if sample is None:
            raise RuntimeError("nothing was handed in")
        for step in STEPS:
            missing = max(0, step - await documents.count_documents({}))
            await store(documents, sample, range(filled + 1, filled + missing + 1), pending=False)
            filled += missing
            points.append(await _point(ground, step, port, [submissions(people, REQUESTS) for _ in range(3)]))
    return points


async def _point(ground: Ground, stored: int, port: int, rounds: list[list[bytes]]) -> Point:
    pids = {name: pid_of(ground.stack.process(name)) for name in ("intake-api", "mongo")}
    loads, used = list[Load](), list[dict[str, float]]()
    for requests in rounds:
        before = {name: cpu_seconds(pid) for name, pid in pids.items()}
        loads.append(await send(port, requests, CONNECTIONS))
        used.append(uses(before, {name: cpu_seconds(pid) for name, pid in pids.items()}))
    return Point(
        stored,
        rounded(1000 * median(use["intake-api"] for use in used) / REQUESTS),
        rounded(1000 * median(use["mongo"] for use in used) / REQUESTS),
        rounded(median(percentile(load.milliseconds, 0.5) for load in loads)),
    )
