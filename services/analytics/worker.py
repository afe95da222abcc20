"""The worker role: Faust on our own loop, beside the probes, the publishing of totals and the watch over the broker.

Faust as a service of this loop leaves HTTP, signals and the exit code with `shared.web.serve`, as in every other role.
Any failure of Faust ends the process; everything it knew is in the broker.
"""

import asyncio
import logging
import os
import tempfile
import time
from collections import defaultdict
from collections.abc import Awaitable, Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Final

from aiokafka.errors import KafkaError
from faust.contrib.asgi import bind_to_running_loop
from faust.types import TP

from services.analytics.aggregate import encode
from services.analytics.compare import KpiParity
from services.analytics.domain import relevant_events
from services.analytics.handlers import Running, on_event
from services.analytics.meters import record_unsettled
from services.analytics.recount import Recounter
from services.analytics.settings import Settings
from services.analytics.stream import CountingApp, DossierTable, consume, current_partition, is_shorter, make_app
from services.analytics.topics import CHANGELOG, GROUP
from shared.consumer import Dispatcher
from shared.contracts.envelope import Message
from shared.contracts.topics import EVENT_TOPICS, KPIS, Topic, dead_letter_topic
from shared.errors import BrokerReplaced, StorageUnavailable
from shared.kafka import guard
from shared.kafka.lag import Ends, Lag
from shared.kafka.topics import KafkaTopics
from shared.lookout import Lookout, dead_letters
from shared.parity_job import ParityJob
from shared.runtime import Bus, patiently
from shared.store.recounts import MongoRecounts
from shared.store.small import MongoInstallation, MongoLeases, MongoMarkers
from shared.web.app import create_app
from shared.web.serve import serve_async

log = logging.getLogger(__name__)

STOP_SECONDS: Final = 8.0
LOOK_SECONDS: Final = 3.0
KPI_TOPIC: Final = Topic(KPIS, GROUP, (GROUP,), (), compacted=True)


async def worker(bus: Bus[Settings]) -> int:
    """Count events until told to stop; return the exit code."""
    with tempfile.TemporaryDirectory(prefix="analytics-") as datadir:
        counting = Counting(bus, datadir)
        app = create_app("Analytics worker", GROUP, settings=bus.settings, checks={"counting": counting.ready})
        code = await serve_async(app, bus.settings, counting.tasks())
    if counting.stuck:
        # Threads of Faust that wait for an absent broker would keep the process alive for ever.
        logging.shutdown()
        os._exit(code)
    return code


@dataclass
class Counting:
    """The background of a worker: what runs once the broker is prepared."""

    bus: Bus[Settings]
    datadir: str
    stuck: bool = False
    _app: CountingApp | None = None
    _cluster: str = ""
    _prepared: asyncio.Event = field(default_factory=asyncio.Event)

    def __post_init__(self) -> None:
        settings, environment, database = self.bus.settings, self.bus.environment, self.bus.database
        self.running = Running(settings.kafka_partitions, environment.token(5), environment)
        self.recounts, markers = MongoRecounts(database), MongoMarkers(database)
        self.recounter = Recounter(self.running, self.recounts, markers, environment)

    def tasks(self) -> list[Callable[[], Awaitable[None]]]:
        """Return what runs beside the HTTP server."""
        lookout = Lookout(self.bus.environment, [dead_letters(self.bus.figures, GROUP)])
        gated = (self._connect, self._count, self._publish, self._look, self._recount, self._compare_books)
        return [self._guard, *(self._gated(task) for task in gated), lookout.run]

    async def ready(self) -> None:
        """Raise unless the records are recovered and events are being counted."""
        app = self._app
        if app is None or app.rebalancing or not app.tables.actives_ready:
            raise StorageUnavailable("the records are not recovered yet")

    async def _guard(self) -> None:
        settings = self.bus.settings
        topics = [*EVENT_TOPICS, KPI_TOPIC, CHANGELOG, Topic(dead_letter_topic(GROUP), GROUP, (), ())]
        installation = MongoInstallation(self.bus.database)
        cluster = await patiently(lambda: guard.prepare(settings, topics, KPIS, (), installation), self.bus.environment)
        self._cluster = cluster
        self._prepared.set()
        await guard.watch(settings, cluster, KPIS, self.bus.environment)

    def _gated(self, task: Callable[[], Awaitable[None]]) -> Callable[[], Awaitable[None]]:
        async def when_prepared() -> None:
            await self._prepared.wait()
            await task()

        return when_prepared

    async def _connect(self) -> None:
        await self.bus.publisher.connect(self._cluster)

    async def _count(self) -> None:
        """Run Faust until it stops by itself, which is a failure, or this task is cancelled."""
        settings = self.bus.settings
        app = make_app(settings, self.running, settings.kpi_overlap, self.datadir, self._cluster)
        refused = app.table.refused = asyncio.get_running_loop().create_future()
        dispatcher = self._dispatcher(app)
        app.table.on_recover(dispatcher.load_markers)
        app.table.on_recover(lambda: self._take_over(app))
        consume(app, _counted_or_stopped(dispatcher, self.running, refused, self.recounter.handling))
        bind_to_running_loop(app)
        starting = asyncio.create_task(app.start())
        self._app = app
        stopping = asyncio.create_task(_until_stopped(app, starting))
        try:
            await asyncio.wait([stopping, refused], return_when=asyncio.FIRST_COMPLETED)
            if refused.done():
                refused.result()
            raise RuntimeError("Faust stopped") from app.crash_reason
        finally:
            self._app = None
            stopping.cancel()
            starting.cancel()
            await self._stop(app)

    async def _stop(self, app: CountingApp) -> None:
        self.running.clear()
        stopping = asyncio.create_task(app.stop())
        # Not `wait_for`: Faust's threads hold a cancellation back for a minute.
        await asyncio.wait({stopping}, timeout=STOP_SECONDS)
        error = stopping.exception() if stopping.done() and not stopping.cancelled() else TimeoutError()
        if error is not None:
            self.stuck = True
            log.warning("faust_did_not_stop", extra={"error_type": type(error).__name__})

    def _dispatcher(self, app: CountingApp) -> Dispatcher:
        handler = on_event(app.table, self.running, current_partition)
        subscriptions = dict.fromkeys(relevant_events(), handler)
        markers = MongoMarkers(self.bus.database)
        return Dispatcher(GROUP, subscriptions, markers, self.bus.publisher, self.bus.environment)

    async def _take_over(self, app: CountingApp) -> None:
        owned = {part.partition for part in app.consumer.assignment()}
        await patiently(lambda: self.recounter.take_over(owned), self.bus.environment)

    async def _recount(self) -> None:
        await self.recounter.run(self._records, lambda: KafkaTopics(self.bus.settings, self._cluster))

    def _records(self) -> DossierTable | None:
        app = self._app
        return None if app is None or app.rebalancing or not self.running.rebuilt else app.table

    async def _compare_books(self) -> None:
        """Compare the records with the topics now and then; one replica at a time."""
        settings, environment, database = self.bus.settings, self.bus.environment, self.bus.database
        books = KpiParity(
            KafkaTopics(settings, self._cluster),
            MongoMarkers(database),
            self.recounts,
            environment,
            settings.kafka_partitions,
        )
        # The embedded broker does not tell how far its topics go.
        seconds = settings.parity_seconds if settings.kafka_idempotence else 0
        leases = MongoLeases(database, environment)
        await ParityJob(GROUP, (books,), leases, environment, seconds, settings.parity_repair).run()

    async def _publish(self) -> None:
        """Publish changed totals, for ever; what is not acknowledged stays due."""
        while True:
            await self.bus.environment.sleep(self.bus.settings.kpi_publish_seconds)
            due = self.running.due()
            acknowledged = await self.bus.publisher.publish([encode(aggregate) for aggregate in due])
            self.running.published(one for one, good in zip(due, acknowledged, strict=True) if good)

    async def _look(self) -> None:
        """Report how far behind counting is. Raises `BrokerReplaced` for a source that came back empty.

        Every partition ever seen is asked for, also while none is assigned, as after its topic went away.
        """
        seen: dict[TP, int] = {}
        lag, times = Lag(GROUP), defaultdict[TP, Ends](Ends)
        while True:
            await self.bus.environment.sleep(LOOK_SECONDS)
            app, covered = self._app, self.running.covered()
            lag.keep_only(covered)
            seen.update((part, max(offset, seen.get(part, 0))) for part, offset in covered.items())
            if app is None or app.rebalancing or not seen:
                continue
            record_unsettled(len(app.table.unsettled))
            with suppress(KafkaError):
                ends = await app.consumer.highwaters(*seen)
                if app.tells_ends:
                    _refuse_shorter(seen, ends)
                for part, offset in covered.items():
                    end = ends.get(part) or 0
                    lag.tell(part, max(0, end - offset), times[part].since(offset, end, time.time()))


def _refuse_shorter(seen: Mapping[TP, int], ends: Mapping[TP, int | None]) -> None:
    for part, offset in seen.items():
        if is_shorter(ends.get(part), offset):
            log.warning("source_is_shorter", extra={"topic": part.topic, "partition": part.partition})
            raise BrokerReplaced("a source came back empty")


def _counted_or_stopped(
    dispatcher: Dispatcher, running: Running, refused: "asyncio.Future[None]", handling: asyncio.Lock
) -> Callable[[Message], Awaitable[None]]:
    """Count, skip or set aside a record, then note it as covered; what cannot even be set aside ends the process.

    Faust acknowledges an event whose agent raised, so nothing may be raised here.
    """

    async def handle(message: Message) -> None:
        try:
            async with handling:
                await dispatcher.dispatch([message])
                running.cover(message.partition, message.topic, message.offset + 1)
        except Exception as error:
            log.exception("event_not_set_aside", extra={"topic": message.topic, "offset": message.offset})
            if not refused.done():
                refused.set_exception(error)
            await asyncio.Event().wait()

    return handle


async def _until_stopped(app: CountingApp, starting: "asyncio.Task[None]") -> None:
    await starting
    await app.wait_until_stopped()
