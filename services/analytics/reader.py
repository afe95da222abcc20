"""The api role: follows the aggregates and serves them. Counts nothing itself."""

import asyncio
from functools import partial
from typing import Final

from prometheus_client import REGISTRY

from services.analytics.api import routes
from services.analytics.board import Board, follow
from services.analytics.domain import Totals
from services.analytics.meters import KpiCollector
from services.analytics.settings import Settings
from services.analytics.view import Targets, summed
from shared.contracts.topics import KPIS, Topic
from shared.errors import StorageUnavailable
from shared.kafka import guard
from shared.runtime import Bus, patiently
from shared.store.small import MongoInstallation
from shared.web.app import create_app
from shared.web.serve import serve_async

TOPIC: Final = Topic(KPIS, "analytics", ("analytics",), (), compacted=True)


async def api(bus: Bus[Settings]) -> int:
    """Serve the KPIs until told to stop; return the exit code."""
    settings = bus.settings
    targets = Targets(p50_seconds=settings.kpi_target_p50_seconds, p90_seconds=settings.kpi_target_p90_seconds)
    board = Board(settings.kafka_partitions, targets)

    async def caught_up() -> None:
        if not board.caught_up:
            raise StorageUnavailable("the KPIs are not read yet")

    app = create_app("Analytics", "analytics", settings=settings, checks={"kpis": caught_up})
    app.include_router(routes(board))
    bus.operate(app, "analytics")
    REGISTRY.register(KpiCollector(partial(_totals, board), lambda: board.kpis().as_of))
    return await serve_async(app, settings, [lambda: _follow(bus, board), bus.publisher.connect])


def _totals(board: Board) -> Totals | None:
    return summed(board.aggregates()) if board.caught_up else None


async def _follow(bus: Bus[Settings], board: Board) -> None:
    """Read the aggregates beside the watch over the broker; whichever fails first ends the role."""
    settings, environment, installation = bus.settings, bus.environment, MongoInstallation(bus.database)
    try:
        cluster = await patiently(lambda: guard.prepare(settings, [TOPIC], KPIS, (), installation), environment)
        tasks = [
            asyncio.create_task(follow(settings, board)),
            asyncio.create_task(guard.watch(settings, cluster, KPIS, environment)),
        ]
        try:
            await next(asyncio.as_completed(tasks))
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
    finally:
        board.close()
