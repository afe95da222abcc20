"""kill -9 of everything, once each, while dossiers flow: nothing lost, nothing twice."""

import asyncio
import itertools
import os

import pytest

from deploy.local.journeys.audit import audit
from deploy.local.journeys.crowd import Crowd, mixed, residents
from deploy.local.journeys.town import Town
from deploy.local.processes import wait_until
from deploy.local.roles import ROLES
from deploy.local.stack import Stack

DOSSIERS = int(os.environ.get("KILL_DOSSIERS", "60"))
TOGETHER = 50
VICTIMS = (*ROLES, "mongo", "broker")


async def test_every_dossier_survives_every_kill(stack: Stack, town: Town) -> None:
    """Each role, MongoDB and the broker are killed once in mid-flow; every dossier ends, each effect happened once."""
    if stack.broker_kind != "kafka":
        pytest.skip("the embedded broker keeps nothing over a kill: durability is claimed on genuine Kafka only")
    town.patience = 300
    crowd = Crowd(town, await residents(town))
    killer = asyncio.create_task(_kill_each(stack))
    # Dossiers flow until the last kill is over, and at least so many of them.
    for part in itertools.count():
        await crowd.play(mixed(min(DOSSIERS, TOGETHER), seed=part, hasty=False))
        if killer.done() and len(crowd.played) >= DOSSIERS:
            break
    await killer
    checks = await audit(stack, town, crowd.played)
    assert not crowd.failures
    assert [check for check in checks if not check.ok] == []


async def _kill_each(stack: Stack) -> None:
    """Kill one after the other; the supervisor brings each back before the next one goes."""
    for victim in VICTIMS:
        await asyncio.to_thread(_kill, stack, victim)


def _kill(stack: Stack, victim: str) -> None:
    process = stack.process(victim)
    process.kill()
    wait_until(lambda: process.exit_code is None and process.launch.ready(), 120, f"{victim} did not come back")
