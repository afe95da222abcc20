"""The processes of the installation: started, called, ended, started again. See `wiring` for what they are."""

import asyncio
import random
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Any

from shared.kafka.client import KafkaPublisher
from shared.runtime import Bus
from shared.vault import Vault
from tests.simulation import kafka
from tests.simulation.scheduler import OUTSIDE, Process, SimLoop
from tests.simulation.small import SimKeyStore
from tests.simulation.wires import SimEnvironment
from tests.simulation.wiring import DESK, FAILED, PARTS, STOP, Kind, Parts, settings_of, wired


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

    def __init__(self, parts: Parts, loop: SimLoop, random_: random.Random) -> None:
        self.parts = parts
        self.crashes: list[str] = []
        self._random = random_
        self.loop = loop
        self._settings = {name: settings_of(found, parts.broker) for name, found in wired().items()}
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
        context.run(STOP.set, lambda ending: setattr(place, "stop", lambda: _settle(ending, 0)))
        context.run(FAILED.set, lambda error: self._failed(place, error))
        task = self.loop.create_task(self._live(place, process), context=context)
        task.add_done_callback(lambda done: self._exited(place, process, done), context=OUTSIDE.context())

    async def call(self, role: str, use: Callable[[Any], Awaitable[Any]]) -> Any:
        """Let one process of an API do something; its answer may be lost. Raises `Away` and what it raises."""
        open_ = [place for place in self.places if place.kind.name == role and place.desk and place.process]
        if not open_:
            raise Away
        place = open_[int(self._random.random() * len(open_))]
        process, desk = place.process, place.desk
        assert process is not None
        future: asyncio.Future[Any] = self.loop.create_future()
        place.calls[future] = None

        async def handle() -> None:
            try:
                answer = await use(desk)
            except Exception as error:  # noqa: BLE001 - travels to the caller
                answer = error
            self.parts.wires.later(self.parts.wires.delay(), lambda: _settle(future, answer))

        context = process.context()
        context.run(PARTS.set, self.parts)
        self.loop.create_task(handle(), context=context)
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
        if self.loop.disposing or not process.alive:
            return
        if not done.cancelled() and done.exception() is not None:
            self._failed(place, done.exception())
        self.parts.wires.log.note(f"exit {place.name}")
        self.loop.kill(process)

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
