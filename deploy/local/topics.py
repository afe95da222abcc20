"""Creates the topics of a local stack before its roles start, so that eleven processes need not race to create them.

Topics of agencies are not among them: intake makes those when an agency is known to it.
"""

import asyncio
import time
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor

from shared.contracts.topics import all_topics
from shared.errors import BrokerUnavailable
from shared.kafka.client import ensure_topics
from shared.settings import CommonSettings

PATIENCE_SECONDS = 30.0
POLL_SECONDS = 0.2


def create(environment: Mapping[str, str]) -> None:
    """Create what is missing, with the settings of any role. Raises BrokerUnavailable or WrongPartitions."""
    settings = settings_of(environment)
    # A thread of its own: the caller may already be inside an event loop.
    with ThreadPoolExecutor(max_workers=1) as pool:
        pool.submit(asyncio.run, _create(settings)).result()


def settings_of(environment: Mapping[str, str]) -> CommonSettings:
    """The settings that a process with this environment reads."""
    given = {name.lower(): value for name, value in environment.items() if value}
    return CommonSettings.model_validate({name: given[name] for name in CommonSettings.model_fields if name in given})


async def _create(settings: CommonSettings) -> None:
    """Ask until the broker shows what it was told to create: its answer comes before its metadata do."""
    until = time.monotonic() + PATIENCE_SECONDS
    while True:
        try:
            await ensure_topics(settings, all_topics(()))
        except BrokerUnavailable:
            if time.monotonic() > until:
                raise
            await asyncio.sleep(POLL_SECONDS)
        else:
            return
