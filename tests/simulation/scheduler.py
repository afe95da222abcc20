"""The event loop of the simulation: virtual time, processes that can die between any two awaits. Knows no service.

Each simulated process has its own queue of ready steps, first in first out as in asyncio; which process runs next is
drawn from the seed, as an operating system's choice would be. Nothing ever sleeps for real: when nobody is ready, the
time moves to the next timer.
"""

import asyncio
import heapq
import random
from asyncio import events
from collections import deque
from collections.abc import Awaitable, Callable, Coroutine
from contextvars import Context, ContextVar, copy_context
from dataclasses import dataclass, field
from typing import Any, Final, TypeVar

T = TypeVar("T")

LONGEST_RUN: Final = 3_000_000
"""Steps after which a run is said never to come to rest."""


class Endless(Exception):  # noqa: N818 - what a run is
    """The run took more steps than any honest one."""


@dataclass(eq=False)
class Process:
    """One operating-system process: all steps of tasks started in its context belong to it."""

    name: str
    alive: bool = True
    paused: bool = False
    steps: int = 0
    dies_at: int | None = None
    clock_skew: float = 0.0
    ended: Callable[[], None] = lambda: None
    ready: deque[asyncio.Handle] = field(default_factory=deque)
    listed: bool = False

    def context(self) -> Context:
        """Return a context whose tasks belong to this process."""
        context = copy_context()
        context.run(PROCESS.set, self)
        return context


OUTSIDE: Final = Process("world")
"""Servers, wires and people: never dies."""

PROCESS: ContextVar[Process] = ContextVar("process", default=OUTSIDE)


class SimLoop(asyncio.BaseEventLoop):
    """An event loop on virtual time. `choice` draws which process runs next."""

    def __init__(self, choice: random.Random) -> None:
        super().__init__()
        self.tasks: dict[asyncio.Task[Any], None] = {}
        self.steps = 0
        self.disposing = False
        self._choice = choice
        self._now = 0.0
        self._timers: list[tuple[float, int, asyncio.TimerHandle]] = []
        self._numbered = 0
        self._runnable: list[Process] = []
        self._dropped: list[asyncio.Handle] = []
        OUTSIDE.listed = False
        OUTSIDE.ready.clear()
        self.set_task_factory(self._new_task)
        self.set_exception_handler(lambda *_: None)

    def time(self) -> float:
        """Return virtual seconds since the run began."""
        return self._now

    def call_soon(  # type: ignore[override]
        self, callback: Any, *args: Any, context: Context | None = None
    ) -> asyncio.Handle:
        """Append a step to its process's queue; a dead process takes none."""
        handle = events.Handle(callback, args, self, context)
        self._enqueue(handle)
        return handle

    def call_at(  # type: ignore[override]
        self, when: float, callback: Any, *args: Any, context: Context | None = None
    ) -> asyncio.TimerHandle:
        """Set a timer."""
        handle = events.TimerHandle(when, callback, args, self, context)
        self._numbered += 1
        heapq.heappush(self._timers, (when, self._numbered, handle))
        return handle

    def call_later(  # type: ignore[override]
        self, delay: float, callback: Any, *args: Any, context: Context | None = None
    ) -> asyncio.TimerHandle:
        """Set a timer."""
        return self.call_at(self._now + max(0.0, delay), callback, *args, context=context)

    def run_in_executor(  # type: ignore[override]
        self, _executor: Any, func: Callable[..., T], *args: Any
    ) -> "asyncio.Future[T]":
        """Do it at once: threads would not be repeatable."""
        future: asyncio.Future[T] = self.create_future()
        future.set_result(func(*args))
        return future

    def start(self, coroutine: Coroutine[Any, Any, T], process: Process) -> "asyncio.Task[T]":
        """Start a task that belongs to a process."""
        return self.create_task(coroutine, context=process.context())

    def kill(self, process: Process) -> None:
        """End a process as `kill -9` does: nothing of it runs any more, not even a `finally`."""
        process.alive = False
        self._dropped.extend(process.ready)
        process.ready.clear()
        process.ended()

    def pause(self, process: Process, seconds: float) -> None:
        """Stop a process as SIGSTOP does; it goes on where it was."""
        process.paused = True
        self.call_later(seconds, self._resume, process, context=OUTSIDE.context())

    def dispose(self) -> None:
        """Unwind every task, also those of dead processes, after everything was measured; then close."""
        self.disposing = True
        for handle in self._dropped:
            self._enqueue(handle)
        for _ in range(20):
            left = [task for task in self.tasks if not task.done()]
            if not left:
                break
            for task in left:
                task.cancel()
            self.run_until_complete(self._turns(50))
        self.tasks.clear()
        self.close()

    async def _turns(self, count: int) -> None:
        for _ in range(count):
            await asyncio.sleep(0)

    def _new_task(self, _loop: Any, coroutine: Any, **more: Any) -> "asyncio.Task[Any]":
        task: asyncio.Task[Any] = asyncio.Task(coroutine, loop=self, **more)
        self.tasks[task] = None
        task.add_done_callback(self._forget, context=_OUTSIDE_CONTEXT)
        return task

    def _forget(self, task: "asyncio.Task[Any]") -> None:
        if not self.disposing:
            self.tasks.pop(task, None)
        if not task.cancelled():
            task.exception()

    def _resume(self, process: Process) -> None:
        process.paused = False
        if process.ready and not process.listed:
            process.listed = True
            self._runnable.append(process)

    def _enqueue(self, handle: asyncio.Handle) -> None:
        process = OUTSIDE if self.disposing else handle._context.get(PROCESS, OUTSIDE)  # type: ignore[attr-defined]
        if not process.alive:
            self._dropped.append(handle)
            return
        process.ready.append(handle)
        if not process.listed and not process.paused:
            process.listed = True
            self._runnable.append(process)

    def _run_once(self) -> None:
        while not self._stopping:  # type: ignore[attr-defined]
            self._ring()
            if self._runnable:
                self._step()
            elif self._timers:
                self._now = max(self._now, self._timers[0][0])
            else:
                raise Endless("nobody is ready and no timer is set")

    def _ring(self) -> None:
        while self._timers and self._timers[0][0] <= self._now:
            handle = heapq.heappop(self._timers)[2]
            if not handle.cancelled():
                self._enqueue(handle)

    def _step(self) -> None:
        index = int(self._choice.random() * len(self._runnable)) if len(self._runnable) > 1 else 0
        process = self._runnable[index]
        if not process.ready or (process.paused and not self.disposing):
            process.listed = False
            del self._runnable[index]
            return
        handle = process.ready.popleft()
        if handle.cancelled():
            return
        self.steps += 1
        process.steps += 1
        if self.steps > LONGEST_RUN:
            raise Endless("the run never comes to rest")
        handle._run()
        if process.dies_at is not None and process.steps >= process.dies_at and process.alive:
            process.dies_at = None
            self.kill(process)


_OUTSIDE_CONTEXT: Final = OUTSIDE.context()


def at_once(coroutine: Awaitable[T]) -> T:
    """Return the result of a coroutine that never waits: a fake in memory, used as a server's inside."""
    steps = coroutine.__await__()
    try:
        next(steps)
    except StopIteration as end:
        result: T = end.value
        return result
    raise RuntimeError("it waits")
