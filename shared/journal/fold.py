"""The pure heart of the journal: from decisions to stored events, their mac chain, the next head. No I/O.

`mac` is HMAC-SHA256 over the canonical JSON of the event (RFC 8785; our events hold no floats, so sorted compact
JSON is canonical) and the mac before it.
"""

import hmac
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any, Generic

import orjson

from shared.contracts.envelope import event_id
from shared.contracts.event import Event
from shared.environment import timestamp
from shared.journal.model import (
    LARGEST_EVENT_BYTES,
    Aggregate,
    Cause,
    Change,
    Decide,
    Document,
    Head,
    Outcome,
    Recorded,
    S,
    Share,
    TooLarge,
    Work,
)

MAX_ROUNDS = 50


def canonical(document: Mapping[str, Any]) -> bytes:
    """Return the RFC 8785 form of a document without floats."""
    return orjson.dumps(document, option=orjson.OPT_SORT_KEYS)


def chain(key: bytes, previous: str, document: Mapping[str, Any]) -> str:
    """Return the mac of an event that follows the event with the mac `previous` ("" for the first)."""
    body = {name: value for name, value in document.items() if name != "mac"}
    return _mac(key, previous, canonical(body))


def _mac(key: bytes, previous: str, body: bytes) -> str:
    return hmac.digest(key, body + previous.encode(), "sha256").hex()


def fold(aggregate: Aggregate[S], subject: str, documents: Iterable[Mapping[str, Any]]) -> S | None:
    """Return the state that stored events lead to; None without events."""
    state: S | None = None
    for document in documents:
        state = aggregate.evolve(state, Recorded.load(subject, document))
    return state


@dataclass
class _Draft(Generic[S]):
    """A decision taking shape: grows event by event, then becomes one change."""

    aggregate: Aggregate[S]
    subject: str
    cause: Cause
    traceparent: str
    time: str
    key: bytes
    epoch: int
    state: S | None
    sequence: int
    mac: str
    shared: dict[str, int]
    documents: list[Document]
    recorded: list[Recorded]
    work: list[Work]

    def add(self, event: Event) -> None:
        recorded = Recorded(self.subject, self.sequence + 1, self.time, event)
        self.state = self.aggregate.evolve(self.state, recorded)
        self.sequence = recorded.sequence
        self.recorded.append(recorded)
        document = self._document(recorded, self.aggregate.share(self.state, recorded))
        body = canonical(document)
        if len(body) > LARGEST_EVENT_BYTES and len(canonical(document["data"])) > LARGEST_EVENT_BYTES:
            raise TooLarge(f"{event.word} is larger than {LARGEST_EVENT_BYTES} bytes")
        self.mac = document["mac"] = _mac(self.key, self.mac, body)
        self.documents.append(document)
        for work in self.aggregate.plan(self.state, recorded):
            self._want(replace(work, id=f"{recorded.id}/{work.kind}", traceparent=self.traceparent))

    def _want(self, work: Work) -> None:
        if any(work.id == other.id for other in self.work):
            raise RuntimeError(f"one event wants work of kind {work.kind} twice: the two could not be told apart")
        self.work.append(work)

    def _document(self, recorded: Recorded, shares: Sequence[Share]) -> Document:
        document: Document = {
            "seq": recorded.sequence,
            "id": event_id(recorded.subject, recorded.sequence, self.epoch),
            "type": recorded.event.type,
            "time": self.time,
            "cause": self.cause.id,
            "trace": self.traceparent,
            "data": recorded.event.model_dump(mode="json"),
        }
        if self.epoch:
            document["epoch"] = self.epoch
        if self.cause.body is not None:
            document["body"] = self.cause.body
        if shares:
            document["shares"] = [self._share(share) for share in shares]
        return document

    def _share(self, share: Share) -> Document:
        number = self.shared.get(share.agency, 0) + 1
        self.shared[share.agency] = number
        return {
            "agency": share.agency,
            "seq": number,
            "type": share.event.type,
            "data": share.event.model_dump(mode="json"),
        }


@dataclass(frozen=True)
class Decided(Generic[S]):
    """A decision ready to be saved: the change and what to answer once it is."""

    change: Change
    outcome: Outcome[S]


def decided(
    aggregate: Aggregate[S], head: Head | None, state: S | None, decide: Decide[S], cause: Cause, context: "Context"
) -> Decided[S] | None:
    """Return the change that a cause leads to; None if there is nothing to save.

    Events are evolved one by one; then `react` is asked until nothing follows. Raises what `decide` raises.
    """
    draft = _draft(aggregate, head, state, cause, context)
    for event in decide(state, context.now):
        draft.add(event)
    _follow(draft, context.now)
    removed = cause.work is not None and head is not None and any(work.id == cause.work for work in head.work)
    moved = cause.subject is not None and head is not None
    if draft.state is None or not (draft.documents or removed or moved):
        return None
    return Decided(_change(draft, head, context), _outcome(draft, draft.state))


@dataclass(frozen=True, slots=True)
class Context:
    """What a decision needs from outside, given once: subject, tenant, time, chain key, current trace, epoch."""

    subject: str
    tenant: str
    now: datetime
    key: bytes
    traceparent: str
    epoch: int = 0


def _draft(aggregate: Aggregate[S], head: Head | None, state: S | None, cause: Cause, context: Context) -> _Draft[S]:
    work = [work for work in head.work if work.id != cause.work] if head else []
    return _Draft(
        aggregate=aggregate,
        subject=context.subject,
        cause=cause,
        traceparent=context.traceparent,
        time=timestamp(context.now),
        key=context.key,
        epoch=context.epoch,
        state=state,
        sequence=head.sequence if head else 0,
        mac=head.mac if head else "",
        shared=dict(head.shared) if head else {},
        documents=[],
        recorded=[],
        work=work,
    )


def _follow(draft: _Draft[S], now: datetime) -> None:
    for _ in range(MAX_ROUNDS):
        following = draft.aggregate.react(draft.state, now) if draft.state is not None and draft.documents else ()
        if not following:
            return
        for event in following:
            draft.add(event)
    raise RuntimeError(f"{draft.aggregate.name} never comes to rest: react must end")


def _change(draft: _Draft[S], head: Head | None, context: Context) -> Change:
    assert draft.state is not None  # noqa: S101  (the caller checked; narrows the type)
    cause = draft.cause
    return Change(
        subject=draft.subject,
        tenant=context.tenant,
        version=head.version if head else 0,
        sequence=draft.sequence,
        schema=draft.aggregate.schema,
        state=draft.state.model_dump(mode="json"),
        events=tuple(draft.documents),
        seen=(cause.subject, cause.sequence) if cause.subject is not None else None,
        shared=draft.shared,
        work=tuple(draft.work),
        mac=draft.mac,
        time=draft.time,
    )


def _outcome(draft: _Draft[S], state: S) -> Outcome[S]:
    return Outcome(draft.subject, state, draft.sequence, tuple(draft.recorded))
