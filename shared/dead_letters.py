"""Dead letters as operators see and treat them: what is held and why, handle again, discard. Handles nothing itself.

Every deed is noted before it is done: who, what, why, when. Discarding only remembers that the group is not to handle
one event; the redrive that follows it lets the events behind go on. Never shows a value of an event.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, Protocol

from shared.consumer import FOLLOWS, ORIGIN, REASON, SET_ASIDE, redriven
from shared.contracts.envelope import Message, attributes
from shared.environment import Environment, parse_timestamp, timestamp
from shared.errors import BrokerUnavailable, Permanent
from shared.redrive import Letters, Redrivable, Redriven, in_order, redrive
from shared.relay import Publisher

UNREADABLE: Final = "unreadable"
NOTHING: Final = "nothing to redrive"
"""The end of a redrive whose selection held no dossier."""


class NotHeld(Permanent):
    """No such letter is held: it was handled, discarded, or never set aside."""


@dataclass(frozen=True, slots=True)
class Letter:
    """One event that was set aside: which, of what time, why and when it was set aside, where it came from."""

    id: str
    type: str
    time: str
    reason: str
    at: str
    origin: str


@dataclass(frozen=True, slots=True)
class Held:
    """A dossier that a group sets aside. `event` failed for `reason`, `attempts` times; `waiting` letters lie there."""

    group: str
    dossier: str
    event: str
    reason: str
    since: str
    last: str
    attempts: int
    waiting: int


@dataclass(frozen=True, slots=True)
class Selection:
    """Which held dossiers are meant: ids of dossiers or failed events, words of the reason, set aside from, until.

    Times are RFC 3339; what is empty selects all.
    """

    ids: frozenset[str] = frozenset()
    reason: str = ""
    since: str = ""
    until: str = ""

    def fits(self, held: Held) -> bool:
        """Return whether a held dossier is meant. Raises ValueError for a time that is none."""
        named = not self.ids or bool({held.dossier, held.event} & self.ids)
        begun = parse_timestamp(held.since)
        after = not self.since or begun >= parse_timestamp(self.since)
        before = not self.until or begun <= parse_timestamp(self.until)
        return named and after and before and self.reason.lower() in held.reason.lower()


class Markers(Redrivable, Protocol):
    """Markers, as operators use them. Raises `StorageUnavailable`."""

    async def page(self, group: str, after: tuple[str, str] | None, limit: int) -> list[dict[str, Any]]:
        """Return so many of the group's markers after the one with this (since, dossier), oldest first."""
        ...

    async def discard(self, group: str, key: str, event: str, reason: str, who: str, now: str) -> None:
        """Remember for good that the group is not to handle this event."""
        ...

    async def discarded(self, group: str) -> set[str]:
        """Return the ids of all events that operators discarded."""
        ...

    async def list(self, group: str) -> list[dict[str, Any]]:
        """Return the group's markers, oldest first."""
        ...


class AllLetters(Letters, Protocol):
    """The dead-letter topics, also without looking for a dossier. Raises `BrokerUnavailable`."""

    async def all(self, group: str) -> list[Message]:
        """Return all letters of a group."""
        ...


class Log(Protocol):
    """What operators did; append only. Raises `StorageUnavailable`."""

    async def begin(self, who: str, what: str, target: Mapping[str, Any], reason: str) -> str:
        """Note a deed before it is done; return the note's id."""
        ...

    async def end(self, note: str, outcome: Mapping[str, Any]) -> None:
        """Add what became of it."""
        ...

    async def page(self, before: str | None, limit: int) -> list[dict[str, Any]]:
        """Return so many deeds before the one with this id, newest first."""
        ...


@dataclass(frozen=True)
class DeadLetters:
    """The dead letters of one service's groups."""

    markers: Markers
    letters: AllLetters
    publisher: Publisher
    log: Log
    environment: Environment

    async def held(self, group: str, selection: Selection | None = None) -> list[Held]:
        """Return the dossiers that a group sets aside, oldest first."""
        found = [held_of(marker) for marker in await self.markers.list(group)]
        return [one for one in found if selection is None or selection.fits(one)]

    async def page(self, group: str, after: tuple[str, str] | None, limit: int) -> list[Held]:
        """Return so many held dossiers after the one with this (since, dossier), oldest first."""
        return [held_of(marker) for marker in await self.markers.page(group, after, limit)]

    async def show(self, group: str, dossier: str) -> tuple[Held, list[Letter]]:
        """Return a held dossier and its letters in order: what failed and what waits behind it. Raises `NotHeld`."""
        marker = await self.markers.find(group, dossier)
        if marker is None:
            raise NotHeld(f"{group} holds no letter of {dossier}")
        held, gone = held_of(marker), await self.markers.discarded(group)
        fresh = [one for one in await self.letters.read(group, dossier) if not _is_older(one, held.since)]
        return held, [one for letter in in_order(fresh) if (one := letter_of(letter)).id not in gone]

    async def unreadable(self, group: str) -> list[Letter]:
        """Return the records that nobody could read, but for those that operators discarded."""
        gone = await self.markers.discarded(group)
        found = [letter_of(letter) for letter in await self.letters.all(group) if _is_unreadable(letter)]
        return [letter for letter in found if letter.origin not in gone]

    async def redrive(self, group: str, selection: Selection, who: str, *, most: int = 1_000) -> list[Redriven]:
        """Let the group handle the selected dossiers' letters again, the oldest dossier first, at most so many.

        Raises `Transient`, to be called again.
        """
        chosen = (await self.held(group, selection))[:most]
        target = {"group": group, "dossiers": [one.dossier for one in chosen]}
        note = await self.log.begin(who, "redrive", target, "")
        endings = [await self._redrive(group, one.dossier) for one in chosen]
        await self.log.end(note, {one.key: one.ending for one in endings} or {group: NOTHING})
        return endings

    async def discard(self, group: str, dossier: str, event: str, reason: str, who: str) -> Redriven:
        """Drop one held event for good and let those behind it go on. Raises `NotHeld`, `Transient`."""
        _, letters = await self.show(group, dossier)
        if event not in {letter.id for letter in letters}:
            raise NotHeld(f"{group} holds no letter {event}")
        note = await self.log.begin(who, "discard", {"group": group, "dossier": dossier, "event": event}, reason)
        now = timestamp(self.environment.now())
        await self.markers.discard(group, dossier, event, reason, who, now)
        ended = await self._redrive(group, dossier)
        await self.log.end(note, {ended.key: ended.ending})
        return ended

    async def discard_unreadable(self, group: str, origin: str, reason: str, who: str) -> None:
        """List a record that nobody could read no more. Raises `NotHeld`."""
        await self._unreadable(group, origin)
        note = await self.log.begin(who, "discard", {"group": group, "origin": origin}, reason)
        await self.markers.discard(group, "", origin, reason, who, timestamp(self.environment.now()))
        await self.log.end(note, {origin: "discarded"})

    async def redrive_unreadable(self, group: str, origin: str, who: str) -> None:
        """Send a record that nobody could read to its topic again; if it still cannot be, a new letter says so."""
        letter = await self._unreadable(group, origin)
        note = await self.log.begin(who, "redrive", {"group": group, "origin": origin}, "")
        again = redriven(letter, group, self.environment.token())
        if not all(await self.publisher.publish([again])):
            raise BrokerUnavailable("a letter was not acknowledged")
        await self.markers.discard(group, "", origin, "redriven", who, timestamp(self.environment.now()))
        await self.log.end(note, {origin: "sent"})

    async def _unreadable(self, group: str, origin: str) -> Message:
        gone = await self.markers.discarded(group)
        for letter in await self.letters.all(group):
            if _is_unreadable(letter) and letter_of(letter).origin == origin and origin not in gone:
                return letter
        raise NotHeld(f"{group} holds no unreadable record {origin}")

    async def _redrive(self, group: str, dossier: str) -> Redriven:
        token = self.environment.token()
        return await redrive(
            group, dossier, token=token, markers=self.markers, letters=self.letters, publisher=self.publisher
        )


def held_of(marker: Mapping[str, Any]) -> Held:
    """Read a stored marker; those of an earlier release count one attempt."""
    return Held(
        group=marker["group"],
        dossier=marker["key"],
        event=marker["event"],
        reason=marker["reason"],
        since=marker["since"],
        last=marker.get("last", marker["since"]),
        attempts=marker.get("attempts", 1),
        waiting=marker["waiting"],
    )


def letter_of(message: Message) -> Letter:
    """Read a letter's attributes and notes; of an unreadable record some are empty."""
    found, notes = attributes(message.headers), _notes(message.headers)
    return Letter(
        id=found.get("id", ""),
        type=found.get("type", UNREADABLE),
        time=found.get("time", ""),
        reason=notes.get(REASON, ""),
        at=notes.get(SET_ASIDE, ""),
        origin=notes.get(ORIGIN, ""),
    )


def _notes(headers: Sequence[tuple[str, bytes]]) -> dict[str, str]:
    return {name: (value or b"").decode("utf-8", "replace") for name, value in headers if name.startswith("dlq_")}


def _is_unreadable(letter: Message) -> bool:
    return FOLLOWS not in dict(letter.headers)


def _is_older(letter: Message, since: str) -> bool:
    """Whether a letter was set aside before this time, and handled since; without a note of the time it counts."""
    at = _notes(letter.headers).get(SET_ASIDE, "")
    return bool(at) and at < since
