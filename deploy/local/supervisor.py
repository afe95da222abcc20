"""Brings crashed processes of a running stack back, with growing pauses, and says so. Not for tests."""

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass

from deploy.local.errors import LocalError
from deploy.local.stack import Stack

# A role ends with this code when it notices that the broker came back empty and wants a fresh start.
BROKER_REPLACED = 75
_FIRST_PAUSE, _LONGEST_PAUSE = 0.5, 30.0
_CALM_SECONDS = 60.0


@dataclass(frozen=True)
class Crashes:
    """How often one process crashed in a row, and when it did so last (seconds of the monotonic clock)."""

    count: int = 0
    last: float = 0.0


def next_crash(before: Crashes, exit_code: int, now: float) -> tuple[Crashes, float]:
    """The new count and the pause in seconds before the restart: none for 75, doubling from 0.5 to 30 otherwise.

    After 60 calm seconds counting starts afresh.
    """
    if exit_code == BROKER_REPLACED:
        return before, 0.0
    count = 1 if now - before.last > _CALM_SECONDS else before.count + 1
    return Crashes(count, now), min(_LONGEST_PAUSE, _FIRST_PAUSE * 2.0 ** (count - 1))


class Supervisor:
    """A thread that watches all processes of a stack until `stop` is called."""

    def __init__(self, stack: Stack, clock: Callable[[], float] = time.monotonic) -> None:
        self._stack = stack
        self._clock = clock
        self._ended = threading.Event()
        self._crashes: dict[str, Crashes] = {}
        self._due: dict[str, float] = {}
        self._thread = threading.Thread(target=self._watch, name="supervisor", daemon=True)

    def start(self) -> None:
        """Begin to watch."""
        self._thread.start()

    def stop(self) -> None:
        """Watch no longer; a restart under way is finished first."""
        self._ended.set()
        self._thread.join()

    def _watch(self) -> None:
        while not self._ended.wait(0.2):
            for name in self._stack.names():
                self._look_at(name)

    def _look_at(self, name: str) -> None:
        process = self._stack.process(name)
        exit_code = process.exit_code
        if exit_code is None or not process.wanted:
            # It runs, or somebody stops and starts it on purpose: two would start it twice.
            self._due.pop(name, None)
            return
        if name not in self._due:
            self._crashes[name], pause = next_crash(self._crashes.get(name, Crashes()), exit_code, self._clock())
            self._due[name] = self._clock() + pause
            self._stack.progress.warn(sentence(name, exit_code, pause))
        if self._clock() >= self._due[name]:
            del self._due[name]
            self._bring_back(name)

    def _bring_back(self, name: str) -> None:
        try:
            self._stack.respawn(name)
        except LocalError as error:
            self._stack.progress.warn(str(error))


def sentence(name: str, exit_code: int, pause: float) -> str:
    """What the console says about an ended process."""
    if exit_code == BROKER_REPLACED:
        return f"{name} saw that the broker came back empty and is started again at once."
    how = f"was ended by signal {-exit_code}" if exit_code < 0 else f"ended with exit code {exit_code}"
    return f"{name} {how}; it is started again in {pause:.1f} s (see `./dev logs {name}`)."
