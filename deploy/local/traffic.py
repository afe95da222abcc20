"""A small stream of dossiers for `./dev up`: Lugano's rate (3,500 smart dossiers a year), compressed.

A working day's 14 dossiers come within about a minute.
"""

import asyncio
import itertools
import logging
import random
import threading
from collections.abc import Callable
from typing import Final

import httpx

from deploy.local.journeys.crowd import Crowd, mixed, residents
from deploy.local.journeys.town import JourneyError, Town
from deploy.local.stack import Stack

log = logging.getLogger(__name__)

DAY_SECONDS: Final = 60.0
DOSSIERS_A_DAY: Final = 14


def run(stack: Stack, stop: threading.Event) -> None:
    """Send dossiers until told to stop; a journey that fails is left to the live page and the logs."""
    asyncio.run(_run(stack, stop))


async def _run(stack: Stack, stop: threading.Event) -> None:
    async with httpx.AsyncClient(timeout=20) as http:
        town = Town.of(stack, http)
        crowd = Crowd(town, await residents(town))
        under_way: set[asyncio.Task[None]] = set()
        for day in itertools.count():
            for journey in mixed(DOSSIERS_A_DAY, seed=day, hasty=False):
                if await asyncio.to_thread(stop.wait, _pause()):
                    return
                task = asyncio.create_task(crowd.play([journey]))
                under_way.add(task)
                task.add_done_callback(_ended(under_way))


def _ended(under_way: set["asyncio.Task[None]"]) -> Callable[["asyncio.Task[None]"], None]:
    def ended(task: "asyncio.Task[None]") -> None:
        under_way.discard(task)
        if not task.cancelled() and isinstance(task.exception(), JourneyError | httpx.HTTPError):
            log.warning("sample_dossier_failed")

    return ended


def _pause() -> float:
    return random.expovariate(DOSSIERS_A_DAY / DAY_SECONDS)
