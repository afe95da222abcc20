"""Saving decisions: load, decide, one guarded write, hand over to the relay. Never calls a provider, never publishes.

A repeat of a cause is recognised by what is stored, so a caller whose answer was lost simply asks again.
"""

import hmac
from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Generic, Protocol

from opentelemetry import trace

from shared.contracts.event import Event
from shared.environment import Environment, timestamp
from shared.journal.fold import Context, Decided, chain, decided, fold
from shared.journal.model import (
    Aggregate,
    Cause,
    Change,
    Contention,
    Decide,
    Document,
    Head,
    IdempotencyConflict,
    JournalStore,
    Outcome,
    Recorded,
    S,
    StaleSequence,
    Task,
    UnknownSubject,
    Watermark,
    Work,
)
from shared.telemetry import traceparent

MAX_ATTEMPTS = 30

_tracer = trace.get_tracer("dossierbus")


class Listener(Protocol):
    """Whoever wants to know at once what was saved (the relay); called without await, after the commit."""

    def saved(self, subject: str, published: Watermark, events: tuple[Document, ...], work: tuple[Work, ...]) -> None:
        """Take note of a saved change, made when the aggregate was published so far; must not raise."""
        ...


class Journal(Generic[S]):
    """The journals of one kind of aggregate."""

    def __init__(
        self, aggregate: Aggregate[S], store: JournalStore, environment: Environment, *, tenant: str, key: bytes
    ) -> None:
        self.aggregate = aggregate
        self.store = store
        self.tenant = tenant
        self._environment = environment
        self._key = key
        self._listeners: list[Listener] = []

    def listen(self, listener: Listener) -> None:
        """Tell this listener of every change saved here from now on."""
        self._listeners.append(listener)

    async def state(self, subject: str) -> Outcome[S] | None:
        """Return the current state and sequence of an aggregate; None if there is none."""
        head = await self.store.load(subject)
        if head is None:
            return None
        return Outcome(subject, await self._state(head), head.sequence)

    async def record(
        self,
        subject: str,
        decide: Decide[S],
        cause: Cause,
        *,
        creates: bool = False,
        new: bool = False,
        expected: int | None = None,
    ) -> Outcome[S]:
        """Decide and save; a repeated cause gets the answer it got the first time.

        `creates`: there may be no such aggregate yet. `new`: its id is made from the cause, so only a repeat finds one;
        it is inserted without looking first. `expected` is the sequence that the caller has seen (If-Match).
        Raises `UnknownSubject`, `StaleSequence`, `IdempotencyConflict`, `Contention`, `StorageUnavailable`, and
        whatever `decide` raises.
        """
        with _tracer.start_as_current_span(f"save {self.aggregate.name}", attributes={"subject": subject}):
            if new and (outcome := await self._once(subject, None, decide, cause, None)) is not None:
                return outcome
            for _ in range(MAX_ATTEMPTS):
                head = await self.store.load(subject, cause.id)
                if head is None and not (creates or new):
                    raise UnknownSubject(f"no {self.aggregate.name} {subject}")
                outcome = await self._once(subject, head, decide, cause, expected)
                if outcome is not None:
                    return outcome
                await self._environment.sleep(0.002 + 0.01 * self._environment.random())
        raise Contention(f"{self.aggregate.name} {subject} is wanted by too many writers")

    async def claim(self, subject: str, work_id: str, lease: timedelta) -> Task[S] | None:
        """Take a due piece of work until the lease ends; None if it is gone or another was faster."""
        head = await self.store.load(subject)
        now = self._environment.now()
        work = _find(head, work_id)
        if head is None or work is None or work.due_at > timestamp(now):
            return None
        taken = replace(work, attempts=work.attempts + 1, due_at=timestamp(now + lease))
        if not await self.store.commit(self._with_work(head, taken, now)):
            return None
        state = await self._state(head)
        return Task(subject, work.id, work.kind, taken.attempts, work.not_after, work.traceparent, state)

    async def postpone(self, task: Task[S], due_at: datetime, decide: Decide[S] | None = None) -> None:
        """Give a claimed piece of work a later due time, recording a decision along with it if there is one.

        Work that was done meanwhile, or taken by another after this lease had ended, is left alone.
        """
        if decide is not None:
            await self.record(task.subject, decide, replace(Cause.performed(task), work=None))
        for _ in range(MAX_ATTEMPTS):
            head = await self.store.load(task.subject)
            work = _find(head, task.id)
            if head is None or work is None or work.attempts != task.attempts:
                return
            later = replace(work, due_at=timestamp(due_at))
            if await self.store.commit(self._with_work(head, later, self._environment.now())):
                return
        raise Contention(f"{self.aggregate.name} {task.subject} is wanted by too many writers")

    def has_mac(self, document: Document, previous: str) -> bool:
        """Return whether a stored event has the mac of its content and of the event with the mac `previous`."""
        return hmac.compare_digest(document.get("mac", ""), chain(self._key, previous, document))

    async def recorded(self, subject: str) -> list[Recorded]:
        """Return the whole journal of an aggregate in order."""
        return [Recorded.load(subject, document) for document in await self.store.events(subject)]

    async def _once(
        self, subject: str, head: Head | None, decide: Decide[S], cause: Cause, expected: int | None
    ) -> Outcome[S] | None:
        if head is not None and (repeated := await self._repeated(head, cause)):
            return repeated
        if expected is not None and head is not None and head.sequence != expected:
            raise StaleSequence(f"sequence is {head.sequence}, not {expected}")
        state = await self._state(head) if head else None
        now = self._environment.now()
        epoch = await self.store.epoch()
        context = Context(subject, self.tenant, now, self._key, traceparent() or cause.traceparent, epoch)
        result = decided(self.aggregate, head, state, decide, cause, context)
        if result is None:
            return self._unchanged(subject, head, state)
        if not await self.store.commit(result.change):
            return None
        self._tell(head, result)
        return result.outcome

    def _unchanged(self, subject: str, head: Head | None, state: S | None) -> Outcome[S]:
        if head is None or state is None:
            raise UnknownSubject(f"no {self.aggregate.name} {subject}")
        return Outcome(subject, state, head.sequence)

    async def _repeated(self, head: Head, cause: Cause) -> Outcome[S] | None:
        if cause.subject is not None and head.seen.get(cause.subject, 0) >= cause.sequence:
            return Outcome(head.subject, await self._state(head), head.sequence, repeated=True)
        if cause.work is not None and not any(work.id == cause.work for work in head.work):
            return Outcome(head.subject, await self._state(head), head.sequence, repeated=True)
        if not head.matched:
            return None
        if cause.body is not None and any(document.get("body") != cause.body for document in head.matched):
            raise IdempotencyConflict("the key was used with another body")
        return await self._answered(head)

    async def _answered(self, head: Head) -> Outcome[S]:
        """Rebuild the first answer: the state as it was after the last event of that cause."""
        last: int = head.matched[-1]["seq"]
        documents = [document for document in await self.store.events(head.subject) if document["seq"] <= last]
        state = fold(self.aggregate, head.subject, documents)
        assert state is not None  # noqa: S101  (a matched cause has events)
        recorded = tuple(Recorded.load(head.subject, document) for document in head.matched)
        return Outcome(head.subject, state, last, recorded, repeated=True)

    async def _state(self, head: Head) -> S:
        if head.schema == self.aggregate.schema:
            return self.aggregate.state.model_validate(head.state)
        state = fold(self.aggregate, head.subject, await self.store.events(head.subject))
        assert state is not None  # noqa: S101  (an aggregate is created with an event)
        return state

    def _with_work(self, head: Head, work: Work, now: datetime) -> Change:
        return Change(
            subject=head.subject,
            tenant=self.tenant,
            version=head.version,
            sequence=head.sequence,
            schema=head.schema,
            state=head.state,
            events=(),
            seen=None,
            shared=head.shared,
            work=tuple(work if one.id == work.id else one for one in head.work),
            mac=head.mac,
            time=timestamp(now),
        )

    def _tell(self, head: Head | None, result: Decided[S]) -> None:
        published = head.published if head else Watermark(self.store.fill, 0)
        for listener in self._listeners:
            listener.saved(result.change.subject, published, result.change.events, result.change.work)


def _find(head: Head | None, work_id: str) -> Work | None:
    return next((work for work in head.work if work.id == work_id), None) if head else None


def nothing(_state: object, _now: datetime) -> Sequence[Event]:
    """Decide nothing: for causes that only move the inbox or end a piece of work."""
    return ()
