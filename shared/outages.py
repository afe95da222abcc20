"""Tells a service's database which providers its work loop cannot reach, so that people can be told. Calls nobody."""

import logging
import os
from typing import Any, Final

from shared.environment import Environment
from shared.errors import StorageUnavailable
from shared.store.circuits import MongoCircuits, Outage
from shared.work import WorkLoop

log = logging.getLogger(__name__)

REPORT_SECONDS: Final = 2.0


async def report(loop: WorkLoop[Any], collection: str, circuits: MongoCircuits, environment: Environment) -> None:
    """Keep the word of this process on its providers, for ever. `collection` holds the journals of the loop."""
    holder = f"{os.getpid()}-{environment.token(5)}"
    told: set[str] = set()
    while True:
        await environment.sleep(REPORT_SECONDS)
        try:
            told = await _tell(loop, collection, circuits, holder, told)
        except StorageUnavailable:
            log.warning("outage_not_told")


async def _tell(loop: WorkLoop[Any], collection: str, circuits: MongoCircuits, holder: str, told: set[str]) -> set[str]:
    held = loop.held_back()
    for circuit, kinds in held.items():
        if circuit.since is not None:
            waiting = await circuits.waiting(collection, kinds)
            await circuits.keep(holder, Outage(circuit.provider, circuit.state, circuit.since, waiting))
    away = {circuit.provider for circuit in held}
    for provider in told - away:
        await circuits.forget(holder, provider)
    return away
