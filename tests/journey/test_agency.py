"""Another authority: its own topic, gap-free and without a personal field, and its part in a dossier."""

import asyncio
import sys
from pathlib import Path

import pytest

from deploy.local.journeys.crowd import Crowd, residents
from deploy.local.journeys.endings import JOURNEYS
from deploy.local.journeys.town import Town
from deploy.local.stack import Stack

EXAMPLE = Path(__file__).resolve().parents[2] / "examples" / "agency_subscriber.py"
APPROVED = next(journey for journey in JOURNEYS if journey.name == "debts-approved")
CARD = next(journey for journey in JOURNEYS if journey.name == "residence-by-card")


async def test_the_agency_sees_its_dossiers_and_no_others(stack: Stack, town: Town) -> None:
    """The example with a stock client prints the agency's events of its dossier in order, and nothing of others."""
    if stack.broker_kind != "kafka":
        pytest.skip("stock clients need genuine Kafka")
    crowd = Crowd(town, await residents(town))
    await crowd.play([APPROVED, CARD])
    assert not crowd.failures
    shared, other = (next(p.dossier for p in crowd.played if p.journey == name) for name in (APPROVED.name, CARD.name))
    lines = await _example(stack)
    mine = [line.split(" ", 4) for line in lines if shared in line]
    assert [(line[2], line[3]) for line in mine] == [
        ("1", "dossier_shared.v1"),
        ("2", "shared_review_requested.v1"),
        ("3", "shared_dossier_decided.v1"),
        ("4", "shared_dossier_closed.v1"),
    ]
    assert not [line for line in lines if other in line]


async def _example(stack: Stack) -> list[str]:
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        str(EXAMPLE),
        "--bootstrap",
        stack.bootstrap,
        "--idle-seconds",
        "15",
        stdout=asyncio.subprocess.PIPE,
    )
    output, _ = await process.communicate()
    assert process.returncode == 0
    return output.decode().splitlines()
