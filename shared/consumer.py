"""Consuming: what happens around every handler. Owns the order and the dead letters, never a decision.

Per dossier in order, different dossiers at once. MongoDB or Kafka away: wait in place. A permanent error: a durable
marker and the dead-letter topic before the offset is committed; later events of that dossier follow it there.

A redrive sends a dossier's letters to their topics again, with its token. While the marker stands, only letters with
that token are handled, so that no newer event overtakes them; one that fails again ends the redrive for those after it.
An event that operators discarded is skipped for good, whichever way it comes.
"""

import asyncio
import logging
from collections import defaultdict
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Final, Protocol

from shared.contracts.envelope import Message, Received, Undecodable, attributes, decode
from shared.contracts.event import Event
from shared.contracts.topics import dead_letter_topic
from shared.environment import Environment, timestamp
from shared.errors import Permanent, Transient
from shared.meters import record_handled
from shared.relay import Publisher
from shared.telemetry import span_from

log = logging.getLogger(__name__)

LONGEST_WAIT_SECONDS: Final = 10.0
LARGEST_LETTER_BYTES: Final = 950_000
LARGEST_KEY_BYTES: Final = 10_000

REASON: Final = "dlq_reason"
ORIGIN: Final = "dlq_origin"
SET_ASIDE: Final = "dlq_at"
FOLLOWS: Final = "dlq_follows"
"""On letters of marked dossiers: a redrive handles them in order. Unreadable records stand for themselves."""
REDRIVE: Final = "dlq_redrive"

Handler = Callable[[Received], Awaitable[None]]


class Markers(Protocol):
    """Durable dead-letter markers by consumer group and dossier. Every method raises `StorageUnavailable`."""

    async def mark(self, group: str, key: str, reason: str, event: str, now: str, *, letters: int = 0) -> None:
        """Set a dossier's events aside from now on; `letters` more now lie in the dead-letter topic."""
        ...

    async def stop_redrive(self, group: str, key: str, token: str, reason: str, event: str, now: str) -> None:
        """Handle no more letters of this redrive: `event` failed again; without effect for another redrive."""
        ...

    async def discarded(self, group: str) -> set[str]:
        """Return the ids of all events that operators discarded."""
        ...

    async def is_discarded(self, group: str, event: str) -> bool:
        """Return whether operators discarded an event."""
        ...

    async def marked(self, group: str, key: str, redrive: str = "") -> bool:
        """Return whether a dossier's events are set aside; those of the redrive under way are not."""
        ...

    async def keys(self, group: str) -> set[str]:
        """Return all dossiers set aside."""
        ...


@dataclass
class Dispatcher:
    """Gives records to the handlers of one consumer group. `subscriptions`: event class -> handler."""

    group: str
    subscriptions: Mapping[type[Event], Handler]
    markers: Markers
    publisher: Publisher
    environment: Environment
    _marked: set[str] = field(default_factory=set)
    _discarded: set[str] = field(default_factory=set)
    _assignments: int = 1
    _loaded_for: int = 0
    _loading: asyncio.Lock = field(default_factory=asyncio.Lock)

    async def load_markers(self) -> None:
        """Read the markers anew: on start and whenever partitions are assigned."""
        self._assignments += 1
        await self._load()

    async def _load(self) -> None:
        """Load what is not loaded yet: records may arrive before the call that an assignment made has its answer."""
        async with self._loading:
            if self._loaded_for == self._assignments:
                return
            assignments = self._assignments
            # Those known stay: one of them may have been marked after the store was read.
            self._marked |= await self._patiently(lambda: self.markers.keys(self.group))
            self._discarded |= await self._patiently(lambda: self.markers.discarded(self.group))
            self._loaded_for = assignments

    async def dispatch(self, messages: Sequence[Message]) -> None:
        """Handle records; returns when each is handled, skipped or durably set aside."""
        if len(messages) == 1:
            await self._in_order(messages)
            return
        chains: dict[bytes | None, list[Message]] = defaultdict(list)
        for message in messages:
            chains[message.key].append(message)
        await asyncio.gather(*(self._in_order(chain) for chain in chains.values()))

    async def _in_order(self, messages: Sequence[Message]) -> None:
        for message in messages:
            started = self.environment.now()
            outcome = await self._handle(message)
            seconds = (self.environment.now() - started).total_seconds()
            record_handled(self.group, outcome, seconds, _trace_of(message))

    async def _handle(self, message: Message) -> str:
        try:
            received = decode(message)
        except Undecodable as error:
            await self._set_aside(message, error)
            return "dead_lettered"
        handler = self.subscriptions.get(type(received.event)) if received else None
        if received is None or handler is None:
            return "skipped"
        redrive = _redrive(message, self.group)
        if await self._is_discarded(received.envelope.id, redrive):
            return "discarded"
        if await self._is_marked(received.envelope.dossier, redrive):
            await self._set_aside(message, Permanent("an earlier event of this dossier waits"))
            return "dead_lettered"
        return await self._call(handler, received, message)

    async def _call(self, handler: Handler, received: Received, message: Message) -> str:
        envelope = received.envelope
        with span_from(envelope.traceparent, f"on {received.event.word}", subject=envelope.subject, group=self.group):
            try:
                await self._patiently(lambda: handler(received))
            except Exception as error:  # whatever a handler raises must not stop its partition
                log.exception("event_not_handled", extra={"event_id": envelope.id, "group": self.group})
                await self._set_aside(message, error)
                return "dead_lettered"
        return "handled"

    async def _patiently(self, call: Callable[[], Awaitable[Any]]) -> Any:
        """Wait in place, in order, as long as something outside is away."""
        pause = 0.1
        while True:
            try:
                return await call()
            except Transient as error:
                log.warning("consumer_waits", extra={"group": self.group, "reason": type(error).__name__})
            await self.environment.sleep(pause * (0.5 + self.environment.random()))
            pause = min(pause * 2, LONGEST_WAIT_SECONDS)

    async def _is_marked(self, dossier: str, redrive: str) -> bool:
        """Ask the store only for dossiers known to be marked: a redrive may have cleared them meanwhile."""
        if self._loaded_for != self._assignments:
            await self._load()
        if dossier not in self._marked:
            return False
        if await self._patiently(lambda: self.markers.marked(self.group, dossier, redrive)):
            return True
        if not redrive:
            self._marked.discard(dossier)
        return False

    async def _is_discarded(self, event: str, redrive: str) -> bool:
        """Ask the store for letters of a redrive only: it follows a discard; other members load what was discarded."""
        if self._loaded_for != self._assignments:
            await self._load()
        if event in self._discarded:
            return True
        if not redrive or not await self._patiently(lambda: self.markers.is_discarded(self.group, event)):
            return False
        self._discarded.add(event)
        return True

    async def _set_aside(self, message: Message, error: Exception) -> None:
        """Send a letter, after and before a mark: who ends a redrive sees either the letter counted or a new marker."""
        now = timestamp(self.environment.now())
        letter = _letter(message, self.group, error, now)
        if isinstance(error, Undecodable):
            await self._patiently(lambda: self._send(letter))
            return
        await self._patiently(lambda: self._mark(message, error, now, letters=0))
        await self._patiently(lambda: self._send(letter))
        await self._patiently(lambda: self._mark(message, error, now, letters=1))

    async def _mark(self, message: Message, error: Exception, now: str, *, letters: int) -> None:
        found, reason = attributes(message.headers), _reason(error)
        dossier, event, redrive = found["partitionkey"], found["id"], _redrive(message, self.group)
        await self.markers.mark(self.group, dossier, reason, event, now, letters=letters)
        self._marked.add(dossier)
        if redrive:
            await self.markers.stop_redrive(self.group, dossier, redrive, reason, event, now)

    async def _send(self, letter: Message) -> None:
        if not all(await self.publisher.publish([letter])):
            raise Transient("the dead-letter topic did not acknowledge")


def redriven(letter: Message, group: str, token: str) -> Message:
    """Return the record that sends a letter of a group to its topic again, as part of the redrive with this token."""
    found = dict(letter.headers)
    topic = found[ORIGIN].decode().rsplit("/", 2)[0]
    return replace(letter, topic=topic, headers=[*_own_headers(letter), (REDRIVE, f"{group}/{token}".encode())])


def _trace_of(message: Message) -> str | None:
    found = next((value for name, value in message.headers if name == "ce_traceparent"), None)
    return found.decode("ascii", "replace") if found else None


def _redrive(message: Message, group: str) -> str:
    """Return the token of the redrive of this group that a record belongs to, or nothing."""
    named = next((value for name, value in reversed(message.headers) if name == REDRIVE), None)
    owner, _, token = (named or b"").decode("utf-8", "replace").rpartition("/")
    return token if owner == group else ""


def _letter(message: Message, group: str, error: Exception, now: str) -> Message:
    """Return the record for the dead-letter topic; what does not fit there is named by its origin only."""
    origin = f"{message.topic}/{message.partition}/{message.offset}"
    notes = [(REASON, _reason(error).encode()), (ORIGIN, origin.encode()), (SET_ASIDE, now.encode())]
    headers, value = _own_headers(message), message.value
    if not isinstance(error, Undecodable):
        notes.append((FOLLOWS, b"1"))
    if sum(len(name) + len(content or b"") for name, content in headers) + len(value or b"") > LARGEST_LETTER_BYTES:
        headers, value = [], None
    key = message.key if len(message.key or b"") <= LARGEST_KEY_BYTES else None
    return replace(message, topic=dead_letter_topic(group), key=key, value=value, headers=[*headers, *notes])


def _own_headers(message: Message) -> list[tuple[str, bytes]]:
    return [(name, content) for name, content in message.headers if not name.startswith("dlq_")]


def _reason(error: Exception) -> str:
    """Return why, without any value of the event: our own texts name fields only."""
    return str(error) if isinstance(error, Permanent) else type(error).__name__
