"""The records of one partition as its topics tell them, made from their beginning. Pure; reads no topic itself.

Topics keep events for a time only, and may hold a subject's later events before its first ones, published again. So a
subject counts here only as far as its events are there from the first one on without a gap: of all others the live
record knows more than the topics.
"""

import logging
from collections.abc import Set
from dataclasses import dataclass, field, replace
from typing import Final, Self

from services.analytics.domain import NOTHING, RECOUNT, Record, apply, relevant_events
from shared.contracts.envelope import Message, Received, Undecodable, attributes, decode, position_of
from shared.contracts.event import event_class
from shared.kafka.client import partition_of

log = logging.getLogger(__name__)

_RELEVANT: Final = frozenset(relevant_events())

Name = tuple[str, str]
"""A dossier, and a subject without the dossier's id that it begins with."""


@dataclass(frozen=True, slots=True)
class _Run:
    """Up to which (epoch, sequence) a subject's events are there without a gap, and the last one that is there."""

    reached: tuple[int, int] = (0, 0)
    furthest: tuple[int, int] = (0, 0)

    def follows(self, epoch: int, sequence: int) -> bool:
        """Whether this event is the next one; after a restore, numbers begin again behind what was restored."""
        if epoch == self.reached[0]:
            return sequence == self.reached[1] + 1
        return epoch > self.reached[0] and sequence <= self.reached[1] + 1


@dataclass
class Fold:
    """`dropped`: events that operators discarded; `partitions`: of the installation.

    `floor`: events of before this time (RFC 3339) may have left the topics; if they are there, they came back.
    """

    partition: int
    partitions: int
    dropped: Set[str] = frozenset()
    floor: str = ""
    records: dict[str, Record] = field(default_factory=dict)
    _runs: dict[Name, _Run] = field(default_factory=dict)
    _old: set[Name] = field(default_factory=set)

    def copy(self) -> Self:
        """Return another one that stands where this one stands."""
        return replace(self, records=dict(self.records), _runs=dict(self._runs), _old=set(self._old))

    def take(self, message: Message) -> Name | None:
        """Take in a record of a topic, in order; return whose part changed, if one did."""
        found = attributes(message.headers)
        place = _place(found)
        if place is None or not self._belongs_here(message, found):
            return None
        name = (found["partitionkey"], found["subject"].removeprefix(found["partitionkey"]))
        if found.get("time", "") < self.floor:
            self._old.add(name)
        run, dropped = self._runs.get(name, _Run()), found.get("id") in self.dropped
        if place <= run.reached:
            return None
        try:
            received = None if dropped else _relevant(message, found)
        except Undecodable:
            return None
        before = self.records.get(name[0])
        # What cannot be taken in stays a gap, so that the live record is left alone.
        reached = place if run.follows(*place) and self._taken(received) else run.reached
        self._runs[name] = _Run(reached, run.furthest if dropped else max(run.furthest, place))
        return name if self.records.get(name[0]) is not before else None

    def is_whole(self, name: Name) -> bool:
        """Whether events of a subject are there, and all of them from the first one on."""
        run = self._runs.get(name)
        return run is not None and run.reached >= run.furthest

    def vouches(self, name: Name, *, everything: bool) -> bool:
        """Whether the topics say all there is to say of a subject.

        `everything`: they still have all that was ever published, so that what they do not know never was.
        """
        return self.is_whole(name) or (everything and name not in self._runs)

    def knows(self, name: Name) -> bool:
        """Whether any event of a subject is there."""
        return name in self._runs

    def dossiers(self) -> set[str]:
        """Return whose events are there."""
        return {dossier for dossier, _ in self._runs}

    def has_more(self, name: Name, other: Self) -> bool:
        """Whether a subject has later events here than in another fold."""
        return self._runs.get(name, _Run()).furthest > other._runs.get(name, _Run()).furthest

    def may_lack(self, name: Name, position: int) -> bool:
        """Whether a subject may have come to this position before, and its events here are a repeat not yet ended."""
        epoch, sequence = self._runs.get(name, _Run()).reached
        return name in self._old and position > position_of(sequence, epoch)

    def mended(self, dossier: str, live: Record, *, everything: bool) -> Record:
        """Return what a dossier's record should be: what the topics do not vouch for stays as it is."""
        told = self.records.get(dossier, NOTHING)
        return {
            **{
                name: part
                for name, part in live.items()
                if name != RECOUNT and not self.vouches((dossier, name), everything=everything)
            },
            **{name: part for name, part in told.items() if self.is_whole((dossier, name))},
        }

    def _belongs_here(self, message: Message, found: dict[str, str]) -> bool:
        """An event elsewhere than its dossier is counted by nobody."""
        dossier = found.get("partitionkey", "").encode()
        return (
            bool(dossier and found.get("subject"))
            and message.key == dossier
            and (partition_of(dossier, self.partitions) == self.partition)
        )

    def _taken(self, received: Received | None) -> bool:
        if received is None:
            return True
        dossier = received.envelope.dossier
        before = self.records.get(dossier, NOTHING)
        try:
            after = apply(before, received.envelope, received.event)
        except Exception:  # as a handler's: it is set aside and must not stop the partition
            log.exception("event_not_folded", extra={"event_id": received.envelope.id})
            return False
        if after is not before:
            self.records[dossier] = after
        return True


def _relevant(message: Message, found: dict[str, str]) -> Received | None:
    kind = event_class(found.get("type", ""))
    return decode(message) if kind in _RELEVANT else None


def _place(found: dict[str, str]) -> tuple[int, int] | None:
    epoch, sequence = found.get("epoch", "0"), found.get("sequence", "")
    if not all(number.isascii() and number.isdigit() and len(number) <= 10 for number in (epoch, sequence)):
        return None
    return int(epoch), int(sequence)
