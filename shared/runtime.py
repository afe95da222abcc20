"""The one wiring place: what every role of a service is made of. Production and tests differ by the settings only.

A role opens a `Bus`, adds its journals, subscriptions and performers, and serves. Nothing of that waits for a server:
what must be there first is prepared once the port is open. Holds no business rule.
"""

import argparse
import asyncio
import functools
import logging
import os
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any, Final, Generic, TypeVar

from fastapi import FastAPI

from shared.consumer import Dispatcher, Handler
from shared.contracts.event import Event
from shared.contracts.topics import EVENT_TOPICS, Topic, dead_letter_topic
from shared.environment import Environment, SystemEnvironment
from shared.errors import StorageUnavailable, Transient
from shared.journal.journal import Journal
from shared.journal.model import Aggregate, S
from shared.kafka import guard
from shared.kafka.client import KafkaPublisher
from shared.kafka.reader import consume
from shared.lookout import Lookout, Question, dead_letters, relay_backlog, work_backlog
from shared.operations import HTTP_PATIENCE_SECONDS, dead_letters_of, parity_of
from shared.outages import report
from shared.parity import Follower
from shared.parity_job import Comparison, ParityJob
from shared.phases import Background, Phases
from shared.relay import LARGEST_GROUP, Relay
from shared.settings import CommonSettings, load
from shared.store.circuits import MongoCircuits
from shared.store.figures import Figures
from shared.store.journals import journals_in, prepare_journals
from shared.store.mongo import Database, connect, ping
from shared.store.small import MongoInstallation, MongoKeyStore, MongoLeases, MongoMarkers
from shared.telemetry import configure
from shared.vault import MemoryKeyStore, Vault
from shared.web import operations, providers
from shared.web.serve import serve_async
from shared.work import Performer, WorkLoop

log = logging.getLogger(__name__)

SWEEP_SECONDS: Final = 1.0
SWEEP_LEASE: Final = timedelta(seconds=5)

Settings = TypeVar("Settings", bound=CommonSettings)
OnCluster = Callable[[str], Awaitable[None]]
T = TypeVar("T")


@dataclass
class Bus(Generic[Settings]):
    """The connections of one role, and what runs in its background."""

    service: str
    settings: Settings
    environment: Environment
    database: Database
    vault: Vault
    aliases: MongoKeyStore | None
    publisher: KafkaPublisher
    topics: tuple[Topic, ...] = ()
    background: list[Background] = field(default_factory=list)
    _relays: list[Relay] = field(default_factory=list)
    _publishing: list[OnCluster] = field(default_factory=list)
    _groups: list[str] = field(default_factory=list)
    _preparations: list[Background] = field(default_factory=list)
    _loops: list[WorkLoop[Any]] = field(default_factory=list)
    _collections: dict[str, str] = field(default_factory=dict)
    _ending: set[asyncio.Event] = field(default_factory=set)
    _leaving: asyncio.Event = field(default_factory=asyncio.Event)
    _questions: list[Question] = field(default_factory=list)
    _prepared: "asyncio.Future[str]" = field(default_factory=lambda: asyncio.get_running_loop().create_future())

    async def journal(self, aggregate: Aggregate[S], collection: str, lookups: Sequence[str] = ()) -> Journal[S]:
        """Add the journals of an aggregate kind; what is saved through them is published by this process."""
        self.prepare(functools.partial(prepare_journals, self.database, collection, lookups))
        self._collections[aggregate.name] = collection
        store = journals_in(self.database, collection)
        journal = Journal(
            aggregate, store, self.environment, tenant=self.settings.tenant, key=self.settings.journal_key
        )
        relay = Relay(journal, self.publisher, self.environment)
        journal.listen(relay)
        self._relays.append(relay)
        self.watch(relay_backlog(self.figures, collection, aggregate.name))
        self._publishing.append(lambda _cluster: relay.run())
        return journal

    def prepare(self, preparation: Background) -> None:
        """Do this before the first request and before anything in the background; again until it is done."""
        self._preparations.append(preparation)

    def consume(self, group: str, topics: Sequence[str], subscriptions: Mapping[type[Event], Handler]) -> None:
        """Read these topics as this consumer group: one line per event and its handler."""
        dispatcher = Dispatcher(group, subscriptions, MongoMarkers(self.database), self.publisher, self.environment)
        self._groups.append(group)
        self.watch(dead_letters(self.figures, group))
        reading = functools.partial(consume, self.settings, topics, dispatcher, leaving=self._leaving)
        self._publishing.append(lambda cluster: self._ended(functools.partial(reading, cluster)))

    def perform(self, journal: Journal[S], performers: Mapping[str, Performer[S]]) -> None:
        """Do the work that these journals want, and sweep up what they could not publish at once."""
        loop = WorkLoop(journal, performers, self.environment)
        journal.listen(loop)
        self._loops.append(loop)
        collection = self._collections[journal.aggregate.name]
        circuits = MongoCircuits(self.database, self.environment)
        self.background += [loop.run, functools.partial(report, loop, collection, circuits, self.environment)]
        providers = {kind: performer.provider for kind, performer in performers.items()}
        self.watch(work_backlog(self.figures, collection, providers, self.environment))

    @property
    def figures(self) -> Figures:
        """How much waits in this service's database."""
        return Figures(self.database)

    def watch(self, question: Question) -> None:
        """Have the lookout ask this too; it runs in roles that consume."""
        self._questions.append(question)

    def operate(self, app: FastAPI, *groups: str) -> None:
        """Give operators the dead letters of these groups of the service."""
        found = dead_letters_of(self.settings, self.database, self.publisher, self.environment, HTTP_PATIENCE_SECONDS)
        app.include_router(operations.routes(found, groups, self.settings.hash_key))
        app.include_router(providers.routes(MongoCircuits(self.database, self.environment), self.environment))

    def compare(self, journals: Mapping[str, Journal[Any]], followers: Sequence[Follower], *others: Comparison) -> None:
        """Compare the service's journals, by collection, with their topic and what these groups read; and others."""
        settings, environment = self.settings, self.environment
        own = parity_of(settings, self.database, self.publisher, environment, journals, followers)
        leases = MongoLeases(self.database, environment)
        job = ParityJob(
            self.service, (own, *others), leases, environment, settings.parity_seconds, settings.parity_repair
        )
        self._publishing.append(lambda _cluster: job.run())

    async def serve(self, app: FastAPI) -> int:
        """Run the role until it is told to stop; return the exit code."""
        after_preparation = [self.publisher.connect, *self._publishing]
        if self._groups:
            self.background.append(Lookout(self.environment, self._questions).run)
            after_preparation.append(lambda _cluster: self._ended(self._sweep))
        waiting = [functools.partial(self._when_prepared, task) for task in after_preparation]
        phases = Phases(self._open, self._leave, self._flush)
        return await serve_async(app, self.settings, [self._guard, *self.background, *waiting], phases)

    async def ready(self) -> None:
        """Raise `StorageUnavailable` unless the database has a primary."""
        await ping(self.database)

    async def _open(self) -> None:
        for preparation in self._preparations:
            await patiently(preparation, self.environment)

    async def _leave(self) -> None:
        self._leaving.set()
        await asyncio.gather(*(loop.leave() for loop in self._loops), *(ended.wait() for ended in self._ending))

    async def _flush(self) -> None:
        await asyncio.gather(*(relay.finish() for relay in self._relays))

    async def _ended(self, task: Background) -> None:
        """Do something that ends by itself on leaving, so that leaving can wait for it."""
        ended = asyncio.Event()
        self._ending.add(ended)
        try:
            await task()
        finally:
            ended.set()
            self._ending.discard(ended)

    async def _guard(self) -> None:
        """Prepare the broker, let publishing and consuming begin, then watch that it stays the same."""
        own = next((topic.name for topic in EVENT_TOPICS if topic.writer == self.service), None)
        topics = [*EVENT_TOPICS, *self.topics, *(Topic(dead_letter_topic(g), g, (), ()) for g in self._groups)]
        stores = [relay.journal.store for relay in self._relays]
        installation = MongoInstallation(self.database)
        prepare = functools.partial(guard.prepare, self.settings, topics, own, stores, installation)
        cluster = await patiently(prepare, self.environment)
        self._prepared.set_result(cluster)
        await guard.watch(self.settings, cluster, own, self.environment)

    async def _when_prepared(self, task: OnCluster) -> None:
        await task(await asyncio.shield(self._prepared))

    async def _sweep(self) -> None:
        """Publish what is left over, for ever; one replica at a time."""
        leases = MongoLeases(self.database, self.environment)
        holder = f"{os.getpid()}-{self.environment.token(5)}"
        while not self._leaving.is_set():
            await self.environment.sleep(SWEEP_SECONDS)
            try:
                if await leases.acquire(f"sweep/{self.service}", holder, SWEEP_LEASE):
                    for relay in self._relays:
                        while await relay.sweep() == LARGEST_GROUP:
                            await leases.acquire(f"sweep/{self.service}", holder, SWEEP_LEASE)
            except StorageUnavailable:
                log.warning("sweeper_waits")


@asynccontextmanager
async def open_bus(service: str, settings: Settings) -> AsyncIterator[Bus[Settings]]:
    """Yield the connections of a role; none of them needs its server to be there yet."""
    environment = SystemEnvironment()
    publisher = KafkaPublisher(settings)
    async with AsyncExitStack() as stack:
        database = await stack.enter_async_context(connect(settings.mongodb_uri.get_secret_value()))
        aliases: MongoKeyStore | None = None
        if settings.vault_mongodb_uri is not None:
            vault_uri = settings.vault_mongodb_uri.get_secret_value()
            aliases = MongoKeyStore(await stack.enter_async_context(connect(vault_uri)))
        vault = Vault(aliases or MemoryKeyStore(), settings.vault_keys, environment, settings.vault_other_keys)
        stack.push_async_callback(publisher.close)
        yield Bus(service, settings, environment, database, vault, aliases, publisher)


async def patiently(call: Callable[[], Awaitable[T]], environment: Environment) -> T:
    """Call until what it needs is there."""
    while True:
        try:
            return await call()
        except Transient as error:
            log.warning("start_waits", extra={"reason": type(error).__name__})
        await environment.sleep(1)


Role = Callable[[Bus[Settings]], Awaitable[int]]


def run(service: str, settings_class: type[Settings], roles: Mapping[str, Role[Settings]]) -> None:
    """Be the process `python -m services.<service> <role>`."""
    parser = argparse.ArgumentParser(prog=f"python -m services.{service}")
    parser.add_argument("role", choices=sorted(roles))
    role: str = parser.parse_args().role
    settings = load(settings_class)
    configure(settings, f"{service}.{role}")
    raise SystemExit(asyncio.run(_play(service, settings, roles[role])))


async def _play(service: str, settings: Settings, role: Role[Settings]) -> int:
    async with open_bus(service, settings) as bus:
        return await role(bus)
