"""All services' roles, wired by their own `__main__`, on simulated connections. Starts nothing; see `processes`."""

import asyncio
import base64
from collections.abc import Awaitable, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager, nullcontext, suppress
from contextvars import ContextVar
from dataclasses import dataclass
from functools import cache
from types import SimpleNamespace
from typing import Any, Final

import pytest

from services.intake.catalogue.load import load_catalogue
from services.intake.compose import open_dossiers
from services.intake.people import People
from services.payments.books import open_payments
from shared.errors import BrokerReplaced
from shared.phases import Phases
from shared.runtime import Bus
from shared.vault import Vault
from shared.web.serve import FLUSH_SECONDS, LEAVE_SECONDS
from tests.contract.roles import ENVIRONMENT, Service, service
from tests.simulation import consumer, faust, kafka, small, store
from tests.simulation.broker import SimBroker
from tests.simulation.providers import SimMailServer, SimProcessor, SimRegister
from tests.simulation.store import SimDatabase
from tests.simulation.wires import Wires

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
def catalogue(_own: object = None) -> Any:
    """Return the municipal services, read once."""
    return load_catalogue()


def _analytics() -> dict[str, Any]:
    return {
        "services.analytics.worker.MongoInstallation": small.SimInstallation,
        "services.analytics.worker.MongoMarkers": small.markers,
        "services.analytics.worker.MongoRecounts": small.recounts,
        "services.analytics.worker.MongoLeases": small.SimLeases,
        "services.analytics.worker.KafkaTopics": kafka.SimTopics,
        "services.analytics.worker.make_app": faust.make_app,
        "services.analytics.worker.consume": faust.consume,
        "services.analytics.worker.bind_to_running_loop": lambda _app: None,
        "services.analytics.worker.current_partition": faust.current_partition,
        "services.analytics.worker.serve_async": serve,
        "services.analytics.worker.create_app": _create_app,
        "services.analytics.worker.tempfile": SimpleNamespace(TemporaryDirectory=lambda **_: nullcontext("")),
    }


def _shared() -> dict[str, Any]:
    return {
        "shared.kafka.client.AIOKafkaProducer": kafka.SimProducer,
        "shared.kafka.client.AIOKafkaAdminClient": kafka.SimAdmin,
        "shared.kafka.client.keep_to": kafka.keep_to,
        "shared.kafka.reader.AIOKafkaConsumer": consumer.SimConsumer,
        "shared.kafka.reader.keep_to": kafka.keep_to,
        "shared.kafka.guard.AIOKafkaConsumer": consumer.SimConsumer,
        "shared.runtime.journals_in": store.journals_in,
        "shared.runtime.prepare_journals": store.prepare,
        "shared.runtime.MongoLeases": small.SimLeases,
        "shared.runtime.MongoCircuits": small.SimCircuits,
        "shared.runtime.MongoMarkers": small.markers,
        "shared.runtime.parity_of": lambda *_: small.Agreement(),
        "shared.runtime.Figures": small.SimFigures,
        "shared.runtime.MongoInstallation": small.SimInstallation,
        "shared.runtime.serve_async": serve,
        "shared.work.POLL_SECONDS": 1.0,
    }


def _services() -> dict[str, Any]:
    return {
        "services.intake.compose.MongoFiles": small.SimFiles,
        "services.intake.compose.create_app": _create_app,
        "services.intake.compose.prepare_delays": store.prepare,
        "services.intake.compose.load_catalogue": catalogue,
        "services.intake.work.render": _render,
        "services.payments.books.MongoBooks": small.SimBooks,
        "services.payments.books.prepare_books": store.prepare,
    }


@contextmanager
def plugged() -> Iterator[None]:
    """Put the simulated connections where the product makes its own."""
    with pytest.MonkeyPatch.context() as patch:
        for name, stand_in in (_shared() | _services() | _analytics()).items():
            patch.setattr(name, stand_in)
        yield


STOP: ContextVar[Callable[["asyncio.Future[int]"], None]] = ContextVar("stop")
FAILED: ContextVar[Callable[[Exception], None]] = ContextVar("failed")


async def serve(_app: object, _settings: object, background: Any, phases: Phases | None = None) -> int:
    """Stand for `serve_async`: run the background until one task fails or the process is asked to stop, in order."""
    phases = phases or Phases()
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

    await phases.open()
    tasks = [asyncio.ensure_future(run(task)) for task in background]
    code = await ending
    if code == 0:
        for phase, seconds in ((phases.leave, LEAVE_SECONDS), (phases.flush, FLUSH_SECONDS)):
            with suppress(TimeoutError):
                async with asyncio.timeout(seconds):
                    await phase()
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
    return code


def settings_of(found: Service, broker: SimBroker) -> Any:
    """Return a service's settings, with deadlines so short that a run sees them pass."""
    key = base64.b64encode(b"k" * 32).decode()
    given: dict[str, Any] = {name.lower(): value for name, value in ENVIRONMENT.items()}
    given |= {
        "vault_keys": dict.fromkeys(PURPOSES.get(found.name, ()), key),
        "kafka_partitions": broker.partitions,
        "kafka_create_topics": True,
        "kafka_idempotence": broker.idempotent,
        "deadline_scale": SCALE,
        "parity_seconds": 0,
        "poll_first_seconds": 5.0,
        "kpi_overlap": 5,
        "kpi_publish_seconds": 1.0,
    }
    return found.settings.model_validate({name: given[name] for name in found.settings.model_fields if name in given})
