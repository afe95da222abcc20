"""A broker in memory: partitioned logs, a publisher and consumer groups. It can fail, lose answers and be emptied.

It keeps what the core relies on: order per partition, at-least-once, committed offsets per group. No time, no network.
"""

from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace

from shared.consumer import Dispatcher
from shared.contracts.envelope import Message
from shared.kafka.client import partition_of

Place = tuple[str, int]


@dataclass
class MemoryBroker:
    """Topics that exist once written to, each with the same number of partitions. Is a `Publisher`.

    `away` acknowledges nothing; `failing` holds (topic, partition) that refuse; the next `lose_acknowledgements` groups
    are written, yet not acknowledged; `refuses` says which single record is not taken, nor those after it.
    """

    partitions: int = 6
    away: bool = False
    failing: set[Place] = field(default_factory=set)
    lose_acknowledgements: int = 0
    refuses: Callable[[Message], bool] = lambda _message: False
    cluster: int = 1
    logs: dict[Place, list[Message]] = field(default_factory=lambda: defaultdict(list))
    offsets: dict[tuple[str, Place], int] = field(default_factory=dict)

    async def publish(self, messages: Sequence[Message]) -> list[bool]:
        """Append the records in order per partition; per record, whether it was acknowledged."""
        stopped: set[Place] = set(self.failing)
        acknowledged = [not self.away and self._append(message, stopped) for message in messages]
        if self.lose_acknowledgements and not self.away:
            self.lose_acknowledgements -= 1
            return [False] * len(messages)
        return acknowledged

    def topic(self, name: str) -> list[Message]:
        """Return a topic's records, partition by partition, in order."""
        return [message for place in sorted(self.logs) if place[0] == name for message in self.logs[place]]

    def empty(self) -> None:
        """Come back as another cluster without records and offsets."""
        self.cluster += 1
        self.logs.clear()
        self.offsets.clear()

    def fetch(self, group: str, topics: Sequence[str], limit: int = 500) -> dict[Place, list[Message]]:
        """Return what a group has not committed yet, from the earliest record on."""
        found = {}
        for place in sorted(self.logs):
            start = self.offsets.get((group, place), 0)
            if place[0] in topics and (records := self.logs[place][start : start + limit]):
                found[place] = records
        return found

    def commit(self, group: str, fetched: dict[Place, list[Message]]) -> None:
        """Note that a group has dealt with all of a fetch."""
        for place, records in fetched.items():
            self.offsets[group, place] = records[-1].offset + 1

    async def deliver(self, dispatcher: Dispatcher, topics: Sequence[str], *, commit: bool = True) -> int:
        """Let a group deal with one fetch, as the reader does; return how many records it held."""
        fetched = self.fetch(dispatcher.group, topics)
        await dispatcher.dispatch([message for records in fetched.values() for message in records])
        if commit:
            self.commit(dispatcher.group, fetched)
        return sum(len(records) for records in fetched.values())

    def _append(self, message: Message, stopped: set[Place]) -> bool:
        place = (message.topic, partition_of(message.key, self.partitions))
        if place in stopped or self.refuses(message):
            stopped.add(place)
            return False
        log = self.logs[place]
        log.append(replace(message, partition=place[1], offset=len(log)))
        return True
