"""Reads while the primary changes, on three real members: what was acknowledged once is seen for ever."""

import asyncio
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest
from pymongo import MongoClient
from pymongo.errors import OperationFailure
from pymongo.read_concern import ReadConcern

from deploy.local import mongo, secrets_file
from deploy.local.mongo import Member, MongoSettings
from deploy.local.processes import ManagedProcess, wait_until
from deploy.local.sandbox.testing import free_port
from shared.store.mongo import Collection, connect

NAMES = ("mongo", "mongo-2", "mongo-3")
FAILPOINTS = ("--setParameter", "enableTestCommands=1", "--setParameter", "writePeriodicNoops=false")
HEARTBEAT_SECONDS = 3
"""So late members hear of each other: shorter than the 4 s after which one stands for election by itself."""
STILL_SECONDS = 1.0
"""Longer than any read takes that does not wait."""


@dataclass
class Members:
    """The three members: their processes, and commands for one of them."""

    settings: MongoSettings
    processes: dict[str, ManagedProcess]

    def ask(self, name: str, *command: Any, **parameters: Any) -> dict[str, Any]:
        """One command for one member, as its administrator."""
        member = next(member for member in self.settings.members if member.name == name)
        login = f"root:{self.settings.secrets.mongo['root']}"
        with MongoClient[dict[str, Any]](f"mongodb://{login}@127.0.0.1:{member.port}/?directConnection=true") as client:
            return client.admin.command(*command, **parameters)

    def hold(self, name: str, what: str, **data: Any) -> None:
        """Let a member misbehave in one of the ways that MongoDB has for tests."""
        self.ask(name, "configureFailPoint", what, mode="alwaysOn", data=data)

    def release(self, name: str, what: str) -> None:
        """Let it behave again."""
        self.ask(name, "configureFailPoint", what, mode="off")

    def primary(self) -> str:
        """Who accepts writes; empty while nobody does."""
        member = mongo.primary(self.settings)
        return member.name if member else ""

    def knows_all(self, follower: str, leader: str) -> bool:
        """Whether a follower knows that all that the leader has is safe."""
        safe = self.ask(follower, "hello")["lastWrite"]["majorityOpTime"]
        return bool(safe == self.ask(leader, "hello")["lastWrite"]["opTime"])

    def lead(self, name: str) -> bool:
        """Let a member become primary; False while it cannot."""
        try:
            self.ask(name, "replSetStepUp")
        except OperationFailure:
            return False
        return self.primary() == name


@pytest.fixture
def members(tmp_path: Path) -> Iterator[Members]:
    """Three empty members with access control, two of them followers that have everything."""
    ports = [free_port() for _ in NAMES]
    more = tuple(Member(name, port, port) for name, port in zip(NAMES, ports, strict=True))
    settings = MongoSettings(tmp_path, ports[0], secrets_file.draw(), more)
    with ExitStack() as running:
        found = Members(settings, {})
        for name in NAMES:
            launch = mongo.launch(settings, name)
            started = replace(launch, command=[*launch.command, *FAILPOINTS], stop_seconds=5)
            found.processes[name] = running.enter_context(ManagedProcess(started, tmp_path).started())
        mongo.initiate(settings)
        wait_until(lambda: bool(found.primary()), 30, "There is no primary")
        mongo.create_users(settings)
        yield found
        # One that a failpoint holds does not end by itself.
        for process in found.processes.values():
            process.kill()


async def test_an_acknowledged_write_is_seen_at_the_next_primary(members: Members) -> None:
    """The next primary, elected before it knew that the write is safe, lets the reader wait; by itself it does not."""
    first = members.primary()
    second, third = (name for name in NAMES if name != first)
    async with connect(members.settings.uri("intake")) as database:
        await database["dossiers"].insert_one({"_id": "d0"})
        await asyncio.to_thread(_third_falls_behind, members, first, second, third)
        await database["dossiers"].insert_one({"_id": "d1"})
        members.processes[first].kill()
        await asyncio.to_thread(wait_until, lambda: members.lead(second), 30, "No other primary")
        unwatched = database["dossiers"].with_options(read_concern=ReadConcern("majority"))
        assert await unwatched.find_one({"_id": "d1"}) is None
        reading = asyncio.create_task(_read(database["dossiers"]))
        done, _ = await asyncio.wait({reading}, timeout=STILL_SECONDS)
        assert not done
        for what in ("stopReplProducer", "rsDelayHeartbeatResponse"):
            await asyncio.to_thread(members.release, third, what)
        assert await reading == {"_id": "d1"}


async def test_reads_wait_for_nobody_while_the_primary_stays(members: Members) -> None:
    """Every write that was acknowledged is read at once, by whoever made it and by others."""
    uri = members.settings.uri("intake")
    async with connect(uri) as ours, connect(uri) as others:
        for number in range(20):
            await ours["dossiers"].insert_one({"_id": number})
            assert await others["dossiers"].count_documents({}) == number + 1
            assert await others["dossiers"].find_one({"_id": number}) is not None


def _third_falls_behind(members: Members, first: str, second: str, third: str) -> None:
    """From now on the third follows no more, and the second takes one more write in but is not told that it is safe."""
    members.hold(third, "stopReplProducer")
    wait_until(lambda: members.knows_all(second, first), 30, "The second member does not follow")
    for name in (first, third):
        members.hold(name, "rsDelayHeartbeatResponse", delay=HEARTBEAT_SECONDS)
    members.hold(second, "hangOplogFetcherBeforeAdvancingLastFetched")


async def _read(collection: Collection) -> dict[str, Any] | None:
    return await collection.find_one({"_id": "d1"})
