"""Servers as clients see them: a request travels, is carried out, and its answer travels back, or is lost on the way.

What was sent is carried out even if the sender dies meanwhile. Owns delays and the log of the run; knows no protocol.
"""

import asyncio
import hashlib
import random
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any, Final, TypeVar

from shared.environment import to_milliseconds
from shared.identifiers import crockford
from tests.simulation.scheduler import OUTSIDE, Process

T = TypeVar("T")

START: Final = datetime(2026, 11, 2, 7, 30, tzinfo=UTC)
_TIMEOUT_SECONDS: Final = 2.0


@dataclass
class Log:
    """What happened, in order. Two runs are the same if their digests are."""

    loop: asyncio.AbstractEventLoop
    lines: list[str] = field(default_factory=list)

    def note(self, what: str) -> None:
        """Append a line with the virtual time."""
        self.lines.append(f"{self.loop.time():10.4f} {what}")

    def digest(self) -> str:
        """Return the SHA-256 of all lines."""
        return hashlib.sha256("\n".join(self.lines).encode()).hexdigest()


@dataclass
class Wires:
    """Time, randomness and delays of one run. `jump` moves everybody's clock, `calm` ends all slowness."""

    seed: int
    loop: asyncio.AbstractEventLoop
    log: Log
    jump: float = 0.0
    calm: bool = False

    def __post_init__(self) -> None:
        self._delays = self.stream("delays")
        self._context = OUTSIDE.context()

    @property
    def over(self) -> bool:
        """Whether everything was measured and only unwinds."""
        return getattr(self.loop, "disposing", False)

    def stream(self, name: str) -> random.Random:
        """Return a source of randomness of its own, so that one concern does not disturb another."""
        return random.Random(f"{self.seed}/{name}")

    def now(self) -> datetime:
        """Return the true time."""
        return to_milliseconds(START + timedelta(seconds=self.loop.time() + self.jump))

    def later(self, seconds: float, call: Callable[[], None]) -> None:
        """Call something outside of all processes after a while."""
        self.loop.call_later(seconds, call, context=self._context)

    def delay(self) -> float:
        """Return how long something travels: mostly a millisecond or so, seldom seconds."""
        kind, share = self._delays.random(), self._delays.random()
        if kind < 0.9 or self.calm:
            return 0.0003 + 0.003 * share
        return 0.01 + 0.2 * share if kind < 0.992 else 0.5 + 2.5 * share


@dataclass
class Server:
    """A server with its faults: away, chances of refusing a request undone and of losing the answer, extra seconds."""

    name: str
    wires: Wires
    error: Callable[[str], Exception]
    away: bool = False
    refuses: float = 0.0
    loses: float = 0.0
    slow: float = 0.0

    def __post_init__(self) -> None:
        self._chance = self.wires.stream(f"server {self.name}")

    def heal(self) -> None:
        """Work well from now on."""
        self.away, self.refuses, self.loses, self.slow = False, 0.0, 0.0, 0.0

    def happens(self, chance: float) -> bool:
        """Draw whether a fault with this chance happens now."""
        return chance > 0 and self._chance.random() < chance

    async def ask(self, carry_out: Callable[[], T], timeout: float = _TIMEOUT_SECONDS) -> T:  # noqa: ASYNC109 - a wire's
        """Have a request carried out and return its answer. Raises what it raises, or the server's `error`."""
        if self.wires.over:
            raise asyncio.CancelledError
        future: asyncio.Future[T] = self.wires.loop.create_future()
        slow = self.slow * self._chance.random() if self.slow else 0.0
        self.wires.later(self.wires.delay() + slow, lambda: self._arrived(carry_out, future, timeout))
        return await future

    def _arrived(self, carry_out: Callable[[], T], future: "asyncio.Future[T]", timeout: float) -> None:
        if self.away or self.happens(self.refuses):
            self._answer(future, self.error("away"), timeout * self._chance.random())
            return
        answer: Any
        try:
            answer = carry_out()
        except Exception as error:  # noqa: BLE001 - whatever it is travels back
            answer = error
        if self.happens(self.loses):
            self.wires.log.note(f"{self.name} answer lost")
            answer = self.error("the answer was lost")
        self._answer(future, answer, self.wires.delay())

    def _answer(self, future: "asyncio.Future[Any]", answer: Any, seconds: float) -> None:
        def settle() -> None:
            if future.done():
                return
            if isinstance(answer, Exception):
                future.set_exception(answer)
            else:
                future.set_result(answer)

        self.wires.later(seconds, settle)


class SimEnvironment:
    """The environment of one process: virtual time with this machine's skew, seeded randomness."""

    def __init__(self, wires: Wires, process: Process, incarnation: int) -> None:
        self._wires = wires
        self._process = process
        self._random = wires.stream(f"environment {process.name} {incarnation}")

    def now(self) -> datetime:
        """This machine's time."""
        return to_milliseconds(self._wires.now() + timedelta(seconds=self._process.clock_skew))

    def token(self, nbytes: int = 16) -> str:
        """Seeded text."""
        return crockford(self.entropy(nbytes))

    def entropy(self, nbytes: int) -> bytes:
        """Seeded bytes."""
        return self._random.randbytes(nbytes)

    def random(self) -> float:
        """A seeded number in [0, 1)."""
        return self._random.random()

    async def sleep(self, seconds: float) -> None:
        """Wait virtual seconds."""
        await asyncio.sleep(seconds)
