"""All services' processes, wired by their own `__main__`, on simulated connections; started, ended, started again."""

import base64
import random
from collections.abc import Awaitable, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager, nullcontext
from contextvars import ContextVar
from dataclasses import dataclass, field
from functools import cache
from types import SimpleNamespace
from typing import Any, Final

import asyncio

import pytest

from services.intake.catalogue.load import load_catalogue
from services.intake.compose import open_dossiers
from services.intake.people import People
from services.payments.books import open_payments
from shared.errors import BrokerReplaced
from shared.kafka.client import KafkaPublisher
from shared.runtime import Bus
from shared.vault import Vault
from tests.contract.roles import ENVIRONMENT, Service, service
from tests.simulation import faust, kafka, store
from tests.simulation.broker import SimBroker
from tests.simulation.providers import SimMailServer, SimProcessor, SimRegister
from tests.simulation.scheduler import OUTSIDE, PROCESS, Process
from tests.simulation.store import SimDatabase, SimKeyStore
from tests.simulation.wires import SimEnvironment, Wires

SERVICES: Final = ("intake", "identity", "payments", "notifications", "analytics")
PURPOSES: Final = {
    "intake": ("person", "form", "contact", "evidence", "document"),
    "identity": ("person", "evidence"),
    "notifications": ("contact",),
}
SCALE: Final = 0.0003
"""Ten days become four minutes."""


@dataclass
class Parts:
    """Everything outside of the processes."""

    wires: Wires
    broker: SimBroker
    databases: dict[str, SimDatabase]
    register: SimRegister
    processor: SimProcessor
    mail: SimMailServer


PARTS: ContextVar[Parts] = ContextVar("parts")
DESK: ContextVar[Callable[[Any], None]] = ContextVar("desk")


@dataclass(frozen=True)
class IntakeDesk:
    """What a command of the portal needs."""

    dossiers: Any
    vault: Vault
    people: People
    catalogue: Any
    bus: Any


async def _intake_api(bus: Bus[Any]) -> int:
    dossiers, desk = await open_dossiers(bus)
    assert bus.aliases is not None
    people = People(bus.aliases, bus.settings.hash_key, bus.settings.tenant, bus.environment)
    DESK.get()(IntakeDesk(dossiers, bus.vault, people, desk.catalogue, bus))
    return await bus.serve(_App())  # type: ignore[arg-type]


async def _payments_api(bus: Bus[Any]) -> int:
    DESK.get()(await open_payments(bus))
    return await bus.serve(_App())  # type: ignore[arg-type]


@dataclass(frozen=True)
class Kind:
    """A role of a service."""

    name: str
    service: str
    role: Callable[[Bus[Any]], Awaitable[int]]


class _App:
    """Stands for a FastAPI application that nobody calls."""

    def include_router(self, _router: object) -> None:
        """Take routes."""


def _create_app(*_: object, **__: object) -> _App:
    return _App()


@cache
def wired() -> dict[str, Service]:
    """Return each service as its `__main__` wires it, its providers being the simulated ones."""
    found = {name: service(name) for name in SERVICES}
    for name in ("intake", "identity", "payments", "notifications"):
        for role in found[name].roles.values():
            # Names of the `__main__` that was run for this alone; no module that others import is touched.
            _plug(getattr(role, "func", role).__globals__)
    return found


def _plug(names: dict[str, Any]) -> None:
    stand_ins = {
        "open_register": _open_register,
        "StripeProvider": lambda *_: PARTS.get().processor,
        "mailer_of": lambda _settings: PARTS.get().mail,
        "httpx": SimpleNamespace(AsyncClient=nullcontext),
        "create_app": _create_app,
        "routes": lambda *_: None,
    }
    names.update({name: value for name, value in stand_ins.items() if name in names})


@asynccontextmanager
async def _open_register(*_: object) -> Any:
    yield PARTS.get().register


def kinds() -> dict[str, Kind]:
    """Return every role that is simulated, by process name."""
    known = wired()
    listed = [
        Kind("intake-api", "intake", _intake_api),
        Kind("intake-worker", "intake", known["intake"].roles["worker"]),
        Kind("identity-worker", "identity", known["identity"].roles["worker"]),
        Kind("identity-reuse", "identity", known["identity"].roles["reuse"]),
        Kind("payments-api", "payments", _payments_api),
        Kind("payments-worker", "payments", known["payments"].roles["worker"]),
        Kind("notifications-worker", "notifications", known["notifications"].roles["worker"]),
        Kind("analytics-worker", "analytics", known["analytics"].roles["worker"]),
    ]
    return {kind.name: kind for kind in listed}


def _render(_kind: str, facts: dict[str, Any], language: str) -> bytes:
    return f"{sorted(facts)} {facts['issued_at']} {language}".encode()


@cache
def _catalogue(_own: object = None) -> Any:
    return load_catalogue()


@contextmanager
def plugged() -> Iterator[None]:
    """Put the simulated connections where the product makes its own."""
    stand_ins: dict[str, Any] = {
        "shared.kafka.client.AIOKafkaProducer": kafka.SimProducer,
        "shared.kafka.client.AIOKafkaAdminClient": kafka.SimAdmin,
        "shared.kafka.reader.AIOKafkaConsumer": kafka.SimConsumer,
        "shared.kafka.guard.AIOKafkaConsumer": kafka.SimConsumer,
        "shared.runtime.open_journals": store.open_journals,
        "shared.runtime.MongoLeases": store.SimLeases,
        "shared.runtime.MongoMarkers": store.markers,
        "shared.runtime.MongoInstallation": store.SimInstallation,
        "shared.runtime.serve_async": serve,
        "shared.work.POLL_SECONDS": 1.0,
        "services.intake.compose.MongoFiles": store.SimFiles,
        "services.intake.compose.create_app": _create_app,
        "services.intake.compose.load_catalogue": _catalogue,
        "services.intake.work.render": _render,
        "services.payments.books.open_books": store.open_books,
        "services.analytics.worker.MongoInstallation": store.SimInstallation,
        "services.analytics.worker.MongoMarkers": store.markers,
        "services.analytics.worker.make_app": faust.make_app,
        "services.analytics.worker.consume": faust.consume,
        "services.analytics.worker.bind_to_running_loop": lambda _app: None,
        "services.analytics.worker.current_partition": faust.current_partition,
        "services.analytics.worker.serve_async": serve,
        "services.analytics.worker.create_app": _create_app,
        "services.analytics.worker.tempfile": SimpleNamespace(TemporaryDirectory=lambda **_: nullcontext("")),
    }
    with pytest.MonkeyPatch.context() as patch:
        for name, stand_in in stand_ins.items():
            patch.setattr(name, stand_in)
        yield


STOP: ContextVar[Callable[["asyncio.Future[int]"], None]] = ContextVar("stop")
FAILED: ContextVar[Callable[[Exception], None]] = ContextVar("failed")


async def serve(_app: object, _settings: object, background: Any) -> int:
    """Stand for `serve_async`: run the background until one task fails or the process is asked to stop."""
    ending: asyncio.Future[int] = asyncio.get_running_loop().create_future()
    STOP.get()(ending)

    def end(code: int) -> None:
        if not ending.done():
            ending.set_result(code)

    async def run(task: Callable[[], Awaitable[None]]) -> None:
        try:
            await task()
        except BrokerReplaced:
            end(75)
        except Exception as error:  # noqa: BLE001 - as the real one
            FAILED.get()(error)
            end(1)

    tasks = [asyncio.ensure_future(run(task)) for task in background]
    code = await ending
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
    return code


@dataclass(eq=False)
class Running:
    """One place for a process: whoever runs there now."""

    kind: Kind
    name: str
    process: Process | None = None
    desk: Any = None
    stop: Callable[[], None] = lambda: None
    incarnation: int = 0
    calls: dict["asyncio.Future[Any]", None] = field(default_factory=dict)


class Away(Exception):  # noqa: N818 - what an API is
    """The connection broke, or nobody listens."""


class Fleet:
    """All processes of the installation, kept alive like an orchestrator does."""

    def __init__(self, parts: Parts, random_: random.Random) -> None:
        self.parts = parts
        self.crashes: list[str] = []
        self._random = random_
        self._loop = parts.wires.loop
        self._settings = {name: _settings(found, parts.broker) for name, found in wired().items()}
        self.places: list[Running] = []
        self.closing = False

    def add(self, kind: Kind, replicas: int) -> None:
        """Start so many processes of a role."""
        for number in range(replicas):
            place = Running(kind, f"{kind.name}-{number}")
            self.places.append(place)
            self.start(place)

    def start(self, place: Running) -> None:
        """Start whoever belongs here."""
        if self.closing:
            return
        process = Process(place.name)
        place.incarnation += 1
        place.process, place.desk, place.stop = process, None, lambda: None
        process.ended = lambda: self._ended(place, process)
        self.parts.wires.log.note(f"start {place.name} {place.incarnation}")
        context = process.context()
        context.run(PARTS.set, self.parts)
        context.run(kafka.BROKER.set, self.parts.broker)
        context.run(DESK.set, lambda desk: setattr(place, "desk", desk))
        context.run(STOP.set, lambda ending: setattr(place, "stop", lambda: ending.done() or ending.set_result(0)))
        context.run(FAILED.set, lambda error: self._failed(place, error))
        task = self._loop.create_task(self._live(place, process), context=context)
        task.add_done_callback(lambda done: self._exited(place, process, done), context=OUTSIDE.context())

    async def call(self, role: str, use: Callable[[Any], Awaitable[Any]]) -> Any:
        """Let one process of an API do something; its answer may be lost. Raises `Away` and what it raises."""
        open_ = [place for place in self.places if place.kind.name == role and place.desk and place.process]
        if not open_:
            raise Away
        place = open_[int(self._random.random() * len(open_))]
        process, desk = place.process, place.desk
        assert process is not None
        future: asyncio.Future[Any] = self._loop.create_future()
        place.calls[future] = None

        async def handle() -> None:
            try:
                answer = await use(desk)
            except Exception as error:  # noqa: BLE001 - travels to the caller
                answer = error
            self.parts.wires.later(self.parts.wires.delay(), lambda: _settle(future, answer))

        context = process.context()
        context.run(PARTS.set, self.parts)
        self._loop.create_task(handle(), context=context)
        try:
            async with asyncio.timeout(20):
                return await future
        except TimeoutError:
            raise Away from None
        finally:
            place.calls.pop(future, None)

    async def _live(self, place: Running, process: Process) -> int:
        kind, wires = place.kind, self.parts.wires
        settings = self._settings[kind.service]
        environment = SimEnvironment(wires, process, place.incarnation)
        keys = SimKeyStore(self.parts.databases["vault"])
        publisher = KafkaPublisher(settings)
        vault = Vault(keys, settings.vault_keys, environment)
        database: Any = self.parts.databases[kind.service]
        bus = Bus(kind.service, settings, environment, database, vault, keys, publisher)  # type: ignore[arg-type]
        try:
            return await kind.role(bus)
        finally:
            await publisher.close()

    def _exited(self, place: Running, process: Process, done: "asyncio.Task[int]") -> None:
        if self._loop.disposing or not process.alive:
            return
        if not done.cancelled() and done.exception() is not None:
            self._failed(place, done.exception())
        self.parts.wires.log.note(f"exit {place.name}")
        self._loop.kill(process)

    def _ended(self, place: Running, process: Process) -> None:
        self.parts.wires.log.note(f"end {place.name} after {process.steps} steps")
        place.desk = None
        for future in list(place.calls):
            _settle(future, Away())
        self.parts.broker.watch(process)
        self.parts.wires.later(0.2 + 2.0 * self._random.random(), lambda: self.start(place))

    def _failed(self, place: Running, error: BaseException | None) -> None:
        self.crashes.append(f"{place.name}: {error!r}")
        self.parts.wires.log.note(f"failed {place.name} {type(error).__name__}")


def _settle(future: "asyncio.Future[Any]", answer: Any) -> None:
    if future.done():
        return
    if isinstance(answer, Exception):
        future.set_exception(answer)
    else:
        future.set_result(answer)


def _settings(found: Service, broker: SimBroker) -> Any:
    key = base64.b64encode(b"k" * 32).decode()
    given = {name.lower(): value for name, value in ENVIRONMENT.items()}
    given |= {
        "vault_keys": {purpose: key for purpose in PURPOSES.get(found.name, ())},
        "kafka_partitions": broker.partitions,
        "kafka_create_topics": True,
        "kafka_idempotence": broker.idempotent,
        "deadline_scale": SCALE,
        "poll_first_seconds": 5.0,
        "kpi_overlap": 5,
        "kpi_publish_seconds": 1.0,
    }
    return found.settings.model_validate({name: given[name] for name in found.settings.model_fields if name in given})
