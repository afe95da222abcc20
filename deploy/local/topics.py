"""Creates the topics of a local stack before its roles start, so that eleven processes need not race to create them.

Topics of agencies are not among them: intake makes those when an agency is known to it.
"""

import asyncio
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor

from shared.contracts.topics import all_topics
from shared.kafka.client import ensure_topics
from shared.settings import CommonSettings


def create(environment: Mapping[str, str]) -> None:
    """Create what is missing, with the settings of any role. Raises BrokerUnavailable or WrongPartitions."""
    given = {name.lower(): value for name, value in environment.items()}
    settings = CommonSettings.model_validate(
        {name: given[name] for name in CommonSettings.model_fields if name in given}
    )
    # A thread of its own: the caller may already be inside an event loop.
    with ThreadPoolExecutor(max_workers=1) as pool:
        pool.submit(asyncio.run, ensure_topics(settings, all_topics(()))).result()
