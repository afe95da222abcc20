"""A whole town for the journey tests: real database, real broker, every role and sandbox, watched by a supervisor."""

import os
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import httpx
import pytest

from deploy.local.journeys.town import Town
from deploy.local.stack import Stack
from deploy.local.supervisor import Supervisor

CATALOGUE = Path(__file__).resolve().parents[2] / "deploy" / "local" / "catalogue"
BASE_PORT = int(os.environ.get("JOURNEY_BASE_PORT", "23000"))
# Short enough for a campaign of kills, long enough for a busy machine of two cores.
SESSION_TIMEOUT_MS = "10000"
# Whoever is told to stop goes on answering so long, so that nobody is sent to it any more when it goes.
DRAIN_SECONDS = "2"


@pytest.fixture(scope="session")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    """Everything, started once; what ends is started again, as a cluster would."""
    environment = {
        "CATALOGUE": str(CATALOGUE),
        "KAFKA_SESSION_TIMEOUT_MS": SESSION_TIMEOUT_MS,
        "DRAIN_SECONDS": DRAIN_SECONDS,
    }
    broker = os.environ.get("DOSSIERBUS_BROKER", "auto")
    running = Stack(tmp_path_factory.mktemp("town"), BASE_PORT, broker, environment)
    running.start()
    supervisor = Supervisor(running)
    supervisor.start()
    try:
        yield running
    finally:
        supervisor.stop()
        running.stop()


@pytest.fixture
async def town(stack: Stack) -> AsyncIterator[Town]:
    """A client for everything people do from outside."""
    async with httpx.AsyncClient(timeout=20) as http:
        yield Town.of(stack, http)
