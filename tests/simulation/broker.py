"""The simulated broker: partitioned logs, consumer groups with generations, batches that are appended once or refused.

It keeps what Kafka promises and no more. Knows no event; the clients are in `kafka`.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import Final, Protocol, TypeVar

from aiokafka.errors import (
    CommitFailedError,
    KafkaConnectionError,
    OutOfOrderSequenceNumber,
    UnknownTopicOrPartitionError,
)

from shared.contracts.envelope import Message, attributes
from tests.simulation.scheduler import Process
from tests.simulation.wires import Server, Wires

Place = tuple[str, int]
T = TypeVar("T")

SESSION_SECONDS: Final = 4.0


class Member(Protocol):
    """A consumer in a group, as the coordinator sees it."""

    process: Process
    topics: Sequence[str]
    generation: int
    stopped: bool
    positions: dict[Place, int]
    idle: bool

    @property
    def fenced(self) -> bool:
        """Whether it is kept to another cluster."""
        ...

    def offer(self, generation: int, places: set[Place]) -> None:
        """Take note, some time later, of a new assignment."""
        ...

    def wake(self) -> None:
        """There is something to fetch."""
        ...


@dataclass
class Group:
    """A consumer group: members in order of joining, committed offsets, the generation of its assignment."""

    offsets: dict[Place, int] = field(default_factory=dict)
    members: list[Member] = field(default_factory=list)
    generation: int = 0
    planned: bool = False


@dataclass
class SimBroker:
    """Topics and groups of the present cluster; `past` holds the logs of earlier ones."""

    wires: Wires
    partitions: int
    idempotent: bool
    cluster: int = 1
    logs: dict[Place, list[Message]] = field(default_factory=dict)
    groups: dict[str, Group] = field(default_factory=dict)
    refusing: set[Place] = field(default_factory=set)
    past: list[dict[Place, list[Message]]] = field(default_factory=list)
    appended: set[tuple[int, int]] = field(default_factory=set)
    producers: int = 0

    def __post_init__(self) -> None:
        self.server = Server("broker", self.wires, KafkaConnectionError)
        self.random = self.wires.stream("broker choices")

    async def ask(self, carry_out: Callable[[], T]) -> T:
        """Have a request carried out by the broker it was sent to; the one that replaced it never hears of it."""
        cluster = self.cluster

        def arrive() -> T:
            if self.cluster != cluster:
                raise KafkaConnectionError("closed")
            return carry_out()

        return await self.server.ask(arrive)

    def create(self, topic: str, partitions: int) -> None:
        """Make a topic unless it exists; groups that wait for it hear of it soon."""
        if (topic, 0) in self.logs:
            return
        self.wires.log.note(f"create {topic}")
        self.logs |= {(topic, number): [] for number in range(partitions)}
        for name, group in self.groups.items():
            if any(topic in member.topics for member in group.members):
                self.plan(name)

    def end(self, place: Place) -> int:
        """Return the offset of the next record. Raises for a partition that does not exist."""
        if place not in self.logs:
            raise UnknownTopicOrPartitionError
        return len(self.logs[place])

    def append(self, batch: tuple[int, int], place: Place, records: Sequence[Message]) -> None:
        """Append a batch as a whole; an idempotent producer's repeat changes nothing."""
        if place in self.refusing and self.random.random() < 0.5:
            raise OutOfOrderSequenceNumber
        if place in self.refusing:
            raise KafkaConnectionError("no leader")
        self.end(place)
        if self.idempotent and batch in self.appended:
            return
        self.appended.add(batch)
        log = self.logs[place]
        for record in records:
            log.append(replace(record, topic=place[0], partition=place[1], offset=len(log)))
        self.wires.log.note(f"append {place} {[attributes(record.headers).get('id', '-') for record in records]}")
        for group in self.groups.values():
            for member in group.members:
                if place[0] in member.topics:
                    member.wake()

    def group(self, name: str) -> Group:
        """Return a group, empty if it is new."""
        return self.groups.setdefault(name, Group())

    def join(self, name: str, member: Member) -> None:
        """Let a consumer into a group; the assignment changes a little later."""
        group = self.group(name)
        if member not in group.members:
            group.members.append(member)
        self.plan(name)

    def leave(self, name: str, member: Member) -> None:
        """Let a consumer go."""
        group = self.group(name)
        if member in group.members:
            group.members.remove(member)
            self.plan(name)

    def plan(self, name: str) -> None:
        """Change the assignment soon, once for all changes until then."""
        group = self.group(name)
        if not group.planned:
            group.planned = True
            self.wires.later(0.02 + 0.5 * self.random.random(), lambda: self._assign(name, group))

    def commit(self, name: str, member: Member, offsets: dict[Place, int]) -> None:
        """Store offsets of a member that belongs to the present generation."""
        group = self.group(name)
        if member not in group.members or member.generation != group.generation:
            raise CommitFailedError
        for place in offsets:
            self.end(place)
        group.offsets.update(offsets)

    def was_set_back(self, name: str, place: Place) -> bool:
        """Whether the group dealt with a whole partition and only its committed offset is behind.

        Kafka stores what a member commits whoever reads the partition by then, so a commit asked for before a
        rebalance and repeated after it sets the offset back. The partition's reader asks for more and knows nothing.
        """
        end = len(self.logs[place])
        return any(member.idle and member.positions.get(place, 0) >= end for member in self.group(name).members)

    def watch(self, process: Process) -> None:
        """Evict a process's members if it is still silent when their session ends; later they join again."""

        def evict() -> None:
            for name, group in self.groups.items():
                for member in [member for member in group.members if member.process is process]:
                    if not process.alive or process.paused:
                        self.leave(name, member)
                        self._rejoin_when_awake(name, member)

        self.wires.later(SESSION_SECONDS, evict)

    def empty(self) -> None:
        """Come back as another cluster without topics and offsets; members join again when they notice."""
        self.past.append(self.logs)
        self.cluster += 1
        members = [(name, member) for name, group in self.groups.items() for member in group.members]
        # Generations go on, so that the members' own count stays behind.
        self.groups = {name: Group(generation=group.generation) for name, group in self.groups.items()}
        self.logs, self.appended = {}, set()
        for name, member in members:
            self._rejoin_when_awake(name, member)

    def _rejoin_when_awake(self, name: str, member: Member) -> None:
        def look() -> None:
            if member.process.paused:
                self.wires.later(0.5, look)
            elif member.process.alive and not member.stopped and not member.fenced:
                self.join(name, member)

        self.wires.later(0.3 + self.random.random(), look)

    def _assign(self, name: str, group: Group) -> None:
        group.planned = False
        if self.groups.get(name) is not group:
            return
        group.generation += 1
        shift = int(self.random.random() * 7)
        assigned: list[set[Place]] = [set() for _ in group.members]
        for number in range(self.partitions if group.members else 0):
            index = (number + shift) % len(group.members)
            places = {(topic, number) for topic in group.members[index].topics}
            assigned[index] |= places & self.logs.keys()
        self.wires.log.note(f"assign {name} generation {group.generation}: {[len(places) for places in assigned]}")
        for member, places in zip(group.members, assigned, strict=True):
            member.offer(group.generation, places)
