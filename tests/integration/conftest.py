"""One real MongoDB and one real broker for the whole pytest session; every test gets fresh names in them.

`mongo` gives databases, `kafka` gives topics and groups of genuine Apache Kafka (tests that need it are skipped with
the reason where it cannot be had), `stack` the processes themselves, to be killed or stopped; whoever does that brings
them back before the test ends. Roles are not started.
"""

import asyncio
import base64
import os
import uuid
from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from motor.motor_asyncio import AsyncIOMotorClient

from deploy.local.stack import Stack
from shared.contracts.topics import Topic
from shared.errors import BrokerUnavailable
from shared.kafka.client import ensure_topics
from shared.settings import CommonSettings
from shared.store.mongo import Database, connect

BASE = 30200 + os.getpid() % 17 * 140
KEY = base64.b64encode(b"k" * 32).decode()


@dataclass
class Mongo:
    """Fresh databases of the session's MongoDB, dropped after the test."""

    stack: Stack
    open_databases: AsyncExitStack

    def uri(self, name: str | None = None) -> str:
        """Connection string of the administrator, with a fresh (or the named) database in its path."""
        address, _, options = self.stack.root_mongo_uri.rpartition("/")
        return f"{address}/{name or fresh('db')}{options}"

    async def database(self, name: str | None = None) -> Database:
        """A connection to a fresh (or the named) database."""
        return await self.open_databases.enter_async_context(connect(self.uri(name)))


@dataclass
class Kafka:
    """Fresh topics and groups of the session's broker."""

    stack: Stack

    def settings(self, mongodb_uri: str = "mongodb://127.0.0.1/none", **changes: Any) -> CommonSettings:
        """Settings of a role on this broker."""
        values = {
            "kafka_bootstrap_servers": self.stack.bootstrap,
            "kafka_partitions": 6,
            "kafka_create_topics": True,
            "kafka_session_timeout_ms": 6_000,
            "mongodb_uri": mongodb_uri,
            "journal_key": KEY,
            "hash_key": KEY,
            "oidc_issuer": "https://login.example",
        }
        return CommonSettings.model_validate({**values, **changes})

    async def topic(self, name: str | None = None) -> str:
        """Create a topic and return its name."""
        topic = name or fresh("topic")
        async with asyncio.timeout(30):
            while True:
                try:
                    await ensure_topics(self.settings(), [Topic(topic, "tests", (), ())])
                except BrokerUnavailable:
                    await asyncio.sleep(0.05)  # created, but not yet known to everybody
                else:
                    return topic

    def group(self) -> str:
        """A group that has read nothing yet."""
        return fresh("group")


def fresh(prefix: str) -> str:
    """A name that was never used before."""
    return f"{prefix}-{uuid.uuid4().hex[:12]}"


@pytest.fixture(scope="session")
def session_stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    """MongoDB and the broker that DOSSIERBUS_BROKER asks for, started at first need."""
    root: Path = tmp_path_factory.mktemp("stack")
    stack = Stack(root, BASE, os.environ.get("DOSSIERBUS_BROKER", "auto"), roles=())
    try:
        stack.start_infrastructure()
        yield stack
    finally:
        stack.stop()


@pytest.fixture
def stack(session_stack: Stack) -> Stack:
    """The session's processes; a test that ends one brings it back."""
    return session_stack


@pytest.fixture
async def mongo(stack: Stack) -> AsyncIterator[Mongo]:
    """Fresh databases."""
    before = await _database_names(stack)
    async with AsyncExitStack() as opened:
        yield Mongo(stack, opened)
    client: AsyncIOMotorClient[dict[str, Any]] = AsyncIOMotorClient(stack.root_mongo_uri)
    for name in await _database_names(stack) - before:
        await client.drop_database(name)
    client.close()


@pytest.fixture
def kafka(stack: Stack) -> Kafka:
    """Genuine Kafka; elsewhere the test is skipped."""
    if stack.broker_kind != "kafka":
        pytest.skip(f"needs genuine Kafka. {stack.broker_reason}")
    return Kafka(stack)


async def _database_names(stack: Stack) -> set[str]:
    client: AsyncIOMotorClient[dict[str, Any]] = AsyncIOMotorClient(stack.root_mongo_uri)
    names = set(await client.list_database_names())
    client.close()
    return names
