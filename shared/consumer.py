"""Consuming: what happens around every handler. Owns the order and the dead letters, never a decision.

Per dossier in order, different dossiers at once. MongoDB or Kafka away: wait in place. A permanent error: a durable
marker and the dead-letter topic before the offset is committed; later events of that dossier follow it there.
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

Handler = Callable[[Received], Awaitable[None]]


class Markers(Protocol):
    """Durable dead-letter markers by consumer group and dossier."""

    async def mark(self, group: str, key: str, reason: str, event: str, now: str) -> None:
        """Set a dossier's events aside from now on."""
        ...

    async def marked(self, group: str, key: str) -> bool:
        """Return whether a dossier's events are set aside."""
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

    async def load_markers(self) -> None:
        """Read the markers anew: on start and whenever partitions are assigned."""
        self._marked = await self._patiently(lambda: self.markers.keys(self.group))

    async def dispatch(self, messages: Sequence[Message]) -> None:
        """Handle records; returns when each is handled, skipped or durably set aside."""
        chains: dict[bytes | None, list[Message]] = defaultdict(list)
        for message in messages:
            chains[message.key].append(message)
        await asyncio.gather(*(self._in_order(chain) for chain in chains.values()))

    async def _in_order(self, messages: Sequence[Message]) -> None:
        for message in messages:
            started = self.environment.now()
            outcome = await self._handle(message)
            record_handled(self.group, outcome, (self.environment.now() - started).total_seconds())

    async def _handle(self, message: Message) -> str:
        try:
            received = decode(message)
        except Undecodable as error:
            await self._set_aside(message, error)
            return "dead_lettered"
        handler = self.subscriptions.get(type(received.event)) if received else None
        if received is None or handler is None:
            return "skipped"
        if await self._is_marked(received.envelope.dossier):
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

    async def _is_marked(self, dossier: str) -> bool:
        """Ask the store only for dossiers known to be marked: a redrive may have cleared them meanwhile."""
        if dossier not in self._marked:
            return False
        if await self._patiently(lambda: self.markers.marked(self.group, dossier)):
            return True
        self._marked.discard(dossier)
        return False

    async def _set_aside(self, message: Message, error: Exception) -> None:
        found = attributes(message.headers)
        dossier = found.get("partitionkey") or (message.key or b"").decode("utf-8", "replace")
        if dossier and not isinstance(error, Undecodable):
            await self._patiently(lambda: self._mark(dossier, found.get("id", ""), error))
        letter = replace(message, topic=dead_letter_topic(self.group), headers=self._letter_headers(message, error))
        await self._patiently(lambda: self._send(letter))

    async def _mark(self, dossier: str, event: str, error: Exception) -> None:
        await self.markers.mark(self.group, dossier, _reason(error), event, timestamp(self.environment.now()))
        self._marked.add(dossier)

    async def _send(self, letter: Message) -> None:
        if not all(await self.publisher.publish([letter])):
            raise Transient("the dead-letter topic did not acknowledge")

    def _letter_headers(self, message: Message, error: Exception) -> list[tuple[str, bytes]]:
        origin = f"{message.topic}/{message.partition}/{message.offset}"
        return [*message.headers, ("dlq_reason", _reason(error).encode()), ("dlq_origin", origin.encode())]


def _reason(error: Exception) -> str:
    """Return why, without any value of the event: our own texts name fields only."""
    return str(error) if isinstance(error, Permanent) else type(error).__name__
