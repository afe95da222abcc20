"""The work loop: does what journals want done outside, and rings their timers. Never decides what to do.

Handlers and requests save an intent; the loop takes what is due, performs it with the intent's id as idempotency key,
and saves the outcome. Each kind has its own few places, so that a provider which hangs holds up nobody else.
"""

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, Final, Generic

from opentelemetry.trace import SpanKind

from shared.circuit import CIRCUIT_FAILURES, Circuit
from shared.contracts.event import Event
from shared.environment import Environment, timestamp
from shared.errors import StorageUnavailable, Transient
from shared.journal.journal import Journal, nothing
from shared.journal.model import Cause, Decide, Document, S, Task, Watermark, Work
from shared.logs import error_types
from shared.meters import record_attempt, record_work
from shared.telemetry import span_from

log = logging.getLogger(__name__)

LEASE: Final = timedelta(seconds=60)
LEAVE_SECONDS: Final = 8.0
GIVE_BACK_SECONDS: Final = 2.0
POLL_SECONDS: Final = 0.25
FIRST_BACKOFF_SECONDS: Final = 1.0
LONGEST_BACKOFF_SECONDS: Final = 300.0


@dataclass(frozen=True, slots=True)
class Done(Generic[S]):
    """The work is over; `decide` records its outcome."""

    decide: Decide[S] = nothing


@dataclass(frozen=True, slots=True)
class Again(Generic[S]):
    """Not over: come back after so many seconds (None: back off), recording a decision meanwhile if there is one."""

    after: float | None = None
    decide: Decide[S] | None = None


Perform = Callable[[Task[S]], Awaitable[Done[S] | Again[S]]]


@dataclass(frozen=True)
class Performer(Generic[S]):
    """How one kind of work is done; `timeout_seconds` must end before the lease does, or two would do it at once.

    `awaited`: whether a dossier waits for it while the provider is away.
    `perform` may raise `Transient`: the work backs off, and `delayed(task)` says what to record then. Past its
    not-after time, or after a permanent error, `give_up(task, reason)` says what to record instead.
    """

    perform: Perform[S]
    give_up: Callable[[Task[S], str], Decide[S]]
    delayed: Callable[[Task[S]], Decide[S] | None] = lambda _task: None
    provider: str | None = None
    awaited: bool = True
    places: int = 16
    timeout_seconds: float = 20.0
    longest_backoff_seconds: float = LONGEST_BACKOFF_SECONDS

    def __post_init__(self) -> None:
        if self.timeout_seconds >= LEASE.total_seconds():
            raise ValueError(f"work may take less than its lease of {LEASE.total_seconds():.0f} s")


@dataclass
class WorkLoop(Generic[S]):
    """Performs the work of one aggregate kind. Replicas may run beside each other: work is leased."""

    journal: Journal[S]
    performers: Mapping[str, Performer[S]]
    environment: Environment
    _busy: dict[str, set[str]] = field(default_factory=dict)
    _circuits: dict[str, Circuit] = field(default_factory=dict)
    _tasks: set["asyncio.Task[None]"] = field(default_factory=set)
    _wake: asyncio.Event = field(default_factory=asyncio.Event)
    _leaving: bool = False

    def saved(
        self, _subject: str, _published: Watermark, _events: tuple[Document, ...], work: tuple[Work, ...]
    ) -> None:
        """Look at once when work was saved in this process; other processes' work is found by polling."""
        if work:
            self._wake.set()

    async def run(self) -> None:
        """Perform due work until told to leave."""
        while not self._leaving:
            try:
                await self.start_due()
            except StorageUnavailable:
                log.warning("work_waits", extra={"aggregate": self.journal.aggregate.name})
            await self._pause()

    async def start_due(self) -> int:
        """Start what is due and has a free place; return how many pieces were started."""
        free = {kind: self._free(kind) for kind in self.performers}
        kinds = [kind for kind, places in free.items() if places > 0]
        if not kinds:
            return 0
        now = timestamp(self.environment.now())
        limit = sum(free[kind] for kind in kinds) + sum(len(busy) for busy in self._busy.values())
        found = await self.journal.store.due(now, kinds, limit)
        if len(found) >= limit and len(kinds) > 1:
            # A backlog of one kind would hide the others.
            found = [work for kind in kinds for work in await self.journal.store.due(now, [kind], limit)]
        return sum(self._start(subject, work_id) for subject, work_id in found)

    async def settle(self) -> None:
        """Wait until what was started is over (tests and shutdown)."""
        while self._tasks:
            await asyncio.gather(*self._tasks)

    def held_back(self) -> dict[Circuit, list[str]]:
        """Return the open circuits, each with the kinds of work that dossiers wait for."""
        return {
            circuit: [kind for kind, one in self.performers.items() if one.provider == provider and one.awaited]
            for provider, circuit in self._circuits.items()
            if circuit.state != "closed"
        }

    async def leave(self) -> None:
        """Start nothing more, end what was started, and give back what takes longer than `LEAVE_SECONDS`."""
        self._leaving = True
        self._wake.set()
        if not self._tasks:
            return
        _, late = await asyncio.wait(self._tasks, timeout=LEAVE_SECONDS)
        for task in late:
            task.cancel()
        if late:
            await asyncio.wait(late, timeout=GIVE_BACK_SECONDS)

    async def _pause(self) -> None:
        if self._leaving:
            return
        self._wake.clear()
        waiter = asyncio.ensure_future(self._wake.wait())
        nap = asyncio.ensure_future(self.environment.sleep(POLL_SECONDS))
        try:
            await asyncio.wait({waiter, nap}, return_when=asyncio.FIRST_COMPLETED)
        finally:
            waiter.cancel()
            nap.cancel()

    def _free(self, kind: str) -> int:
        performer = self.performers[kind]
        circuit = self._circuit(performer)
        busy = len(self._busy.get(kind, ()))
        if circuit is None or circuit.failures < CIRCUIT_FAILURES:
            return performer.places - busy
        return int(busy == 0) if circuit.allows(self.environment.now()) else 0

    def _circuit(self, performer: Performer[S]) -> Circuit | None:
        if performer.provider is None:
            return None
        return self._circuits.setdefault(performer.provider, Circuit(performer.provider))

    def _start(self, subject: str, work_id: str) -> bool:
        kind = work_id.rpartition("/")[2]
        busy = self._busy.setdefault(kind, set())
        if self._leaving or work_id in busy or self._free(kind) <= 0:
            return False
        busy.add(work_id)
        task = asyncio.create_task(self._perform(subject, work_id, self.performers[kind]))
        self._tasks.add(task)
        task.add_done_callback(lambda done: self._ended(done, busy, work_id))
        return True

    def _ended(self, task: "asyncio.Task[None]", busy: set[str], work_id: str) -> None:
        self._tasks.discard(task)
        busy.discard(work_id)
        self._wake.set()
        if not task.cancelled() and task.exception() is not None:
            log.error("work_lost_its_place", exc_info=task.exception(), extra={"work_id": work_id})

    async def _perform(self, subject: str, work_id: str, performer: Performer[S]) -> None:
        try:
            task = await self.journal.claim(subject, work_id, LEASE)
            if task is None:
                return
            began = time.perf_counter()
            with span_from(task.traceparent, f"do {task.kind}", SpanKind.CLIENT, subject=subject, work_id=task.id):
                await self._do_or_give_back(task, performer)
                record_attempt(task.kind, time.perf_counter() - began)
        except Transient as error:
            # Its lease ends by itself; then it is due again.
            log.warning("work_outcome_not_saved", extra={"work_id": work_id, "reason": type(error).__name__})

    async def _do_or_give_back(self, task: Task[S], performer: Performer[S]) -> None:
        try:
            await self._do(task, performer)
        except asyncio.CancelledError:
            if self._leaving:
                # Others need not wait for the lease to end. The provider's outcome is as unknown as after a crash.
                record_work(task.kind, "given_back")
                await self.journal.postpone(task, self.environment.now())
            raise

    async def _do(self, task: Task[S], performer: Performer[S]) -> None:
        if task.not_after is not None and timestamp(self.environment.now()) > task.not_after:
            await self._finish(task, performer.give_up(task, "too_old"), "too_old")
            return
        circuit = self._circuit(performer)
        if circuit is not None:
            circuit.called()
        try:
            async with asyncio.timeout(performer.timeout_seconds):
                result = await performer.perform(task)
        except (Transient, TimeoutError) as error:
            await self._failed(task, performer, circuit, error)
            return
        except Exception:
            log.exception("work_failed", extra={"work_id": task.id, "kind": task.kind})
            if circuit is not None:
                circuit.succeeded()  # a permanent error is an answer
            await self._finish(task, performer.give_up(task, "failed"), "failed")
            return
        if circuit is not None:
            circuit.succeeded()
        await self._record(task, result, performer)

    async def _failed(self, task: Task[S], performer: Performer[S], circuit: Circuit | None, error: Exception) -> None:
        log.warning("work_again", extra={"work_id": task.id, "kind": task.kind, "reason": error_types(error)})
        if circuit is not None and not isinstance(error, StorageUnavailable):
            circuit.failed(self.environment.now())
        record_work(task.kind, "again")
        await self.journal.postpone(task, self._later(task, performer, None), performer.delayed(task))

    async def _record(self, task: Task[S], result: Done[S] | Again[S], performer: Performer[S]) -> None:
        if isinstance(result, Again):
            await self.journal.postpone(task, self._later(task, performer, result.after), result.decide)
            return
        await self._finish(task, result.decide, "done")

    async def _finish(self, task: Task[S], decide: Decide[S], outcome: str) -> None:
        await self.journal.record(task.subject, decide, Cause.performed(task))
        record_work(task.kind, outcome)

    def _later(self, task: Task[Any], performer: Performer[S], after: float | None) -> datetime:
        if after is None:
            backoff = FIRST_BACKOFF_SECONDS * 2 ** min(task.attempts - 1, 20)
            after = min(backoff, performer.longest_backoff_seconds) * (0.75 + self.environment.random() / 2)
        return self.environment.now() + timedelta(seconds=after)


def timer(event: Callable[[S], Event | None]) -> Perform[S]:
    """Return a performer for work that only rings: at its time it records what `event(state)` says, or nothing."""

    async def ring(task: Task[S]) -> Done[S]:
        def decide(state: S | None, _now: datetime) -> tuple[Event, ...]:
            rung = event(state) if state is not None else None
            return (rung,) if rung is not None else ()

        return Done(decide)

    return ring
