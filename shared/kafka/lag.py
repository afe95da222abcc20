"""How far a consumer group is behind: in events, and in the age of the oldest one not dealt with. Reads no topic."""

from collections import deque
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Final, Protocol

from shared.meters import forget_lag, record_lag

REMEMBERED_ENDS: Final = 1_000


class Part(Protocol):
    """A topic's partition, as aiokafka and Faust have it."""

    @property
    def topic(self) -> str:
        """The topic."""
        ...

    @property
    def partition(self) -> int:
        """Its number."""
        ...


@dataclass
class Lag:
    """What one member of a group reads, told as gauges; a partition that goes to another member is shown no more."""

    group: str
    _shown: dict[tuple[str, int], int] = field(default_factory=dict)

    def taken(self, oldest: Mapping[Part, float]) -> None:
        """Note the time (epoch seconds) of the first record of each partition that is being dealt with now."""
        for part, since in oldest.items():
            self.tell(part, max(1, self._shown.get((part.topic, part.partition), 1)), since)

    def tell(self, part: Part, behind: int, since: float | None) -> None:
        """Show a partition: `behind` events, the oldest from `since` (epoch seconds)."""
        self._shown[part.topic, part.partition] = behind
        record_lag(self.group, part.topic, part.partition, behind, since if behind else None)

    def knows(self, part: Part) -> bool:
        """Whether a partition is shown."""
        return (part.topic, part.partition) in self._shown

    def keep_only(self, parts: Iterable[Part]) -> None:
        """Forget all other partitions."""
        kept = {(part.topic, part.partition) for part in parts}
        for topic, partition in [key for key in self._shown if key not in kept]:
            del self._shown[topic, partition]
            forget_lag(self.group, topic, partition)


@dataclass
class Ends:
    """Since when a topic's partition has held more than was read: for readers that see ends, not records' times."""

    _seen: "deque[tuple[int, float]]" = field(default_factory=lambda: deque(maxlen=REMEMBERED_ENDS))

    def since(self, offset: int, end: int, now: float) -> float | None:
        """Note the end seen `now`; return when an end beyond `offset` was first seen, None if all is read."""
        if not self._seen or end > self._seen[-1][0]:
            self._seen.append((end, now))
        while self._seen and self._seen[0][0] <= offset:
            self._seen.popleft()
        return self._seen[0][1] if end > offset and self._seen else None
